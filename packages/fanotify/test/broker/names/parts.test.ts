// File systems of which only parts are mounted.

import { mkdirSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { FAN_CREATE } from '../../../src/abi/index.ts';
import { canMount, mountBind, mountTmpfs } from '../../support/mounts.ts';
import { NamesHouse } from './names-house.ts';

test.runIf(canMount)('what is in another part than what is marked is refused for as long, and says what to do', () => {
  const whole = mountTmpfs();
  for (const part of ['a', 'b']) mkdirSync(`${whole.path}/${part}`);
  const [a, b] = [mountBind(`${whole.path}/a`), mountBind(`${whole.path}/b`)];
  onTestFinished(() => b.unmount());
  whole.unmount();
  const house = new NamesHouse({}, a);
  const [client, other] = [house.client(), house.client()];
  client.mark('.', FAN_CREATE);
  expect(() => other.mark(b.path, FAN_CREATE)).toThrow('mount the whole of it in the mount namespace of the daemon');
  client.unmark('.', FAN_CREATE);
  other.mark(b.path, FAN_CREATE, { number: 2 });
  house.do(`: > ${b.path}/file; : > unheard`);
  expect([client.lines(), other.lines()]).toEqual([[], ['CREATE file @2:']]);
});
