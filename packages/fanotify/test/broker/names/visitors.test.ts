// With visitors as they are, and with the broker as a process of its own.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  FAN_ATTRIB,
  FAN_CREATE,
  FAN_DELETE,
  FAN_ONDIR,
  FAN_RENAME,
  FAN_REPORT_DFID_NAME_TARGET,
} from '../../../src/abi/index.ts';
import { Visitors } from '../../../src/broker/visitors.ts';
import { linuxKernel } from '../../../src/kernel/index.ts';
import { canMount, mountBind, mountTmpfs } from '../../support/mounts.ts';
import { House, rightsOf as rightsIn } from '../house.ts';
import { NamesHouse, rightsOf, USER } from './names-house.ts';

const NAMES = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_ONDIR | FAN_ATTRIB;
const VISITOR = fileURLToPath(new URL('../../../dist/broker/visitor-main.js', import.meta.url));

const kernel = linuxKernel();

function houseWithVisitor(): NamesHouse {
  const house = new NamesHouse({ visits: (onStuck) => new Visitors({ kernel, onStuck }) });
  const [ours, theirs] = kernel.socketPair();
  const visitor = spawn(process.execPath, [VISITOR], { stdio: ['ignore', 'inherit', 'inherit', theirs] });
  onTestFinished(() => void visitor.kill('SIGKILL'));
  kernel.close(theirs);
  house.addVisitor(ours);
  return house;
}

describe.runIf(canMount)('visitors', () => {
  test('go where a user goes, and tell the broker what that user may hear', () => {
    const house = houseWithVisitor();
    house.do('mkdir -p open/deep shut dark; chmod 700 shut; chmod 711 dark; echo > dark/file');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('.', NAMES);
    house.do('echo > open/deep/file; echo > shut/secret; echo > dark/other; rm dark/file; mv open/deep open/moved');
    expect(client.lines()).toEqual([
      'CREATE file @1:open/deep',
      'CREATE other @1:dark',
      'RENAME|ONDIR deep moved @1:open @1:open',
    ]);
    house.do('chmod 755 shut; echo > shut/told; echo > open/moved/later');
    expect(client.lines()).toEqual(['ATTRIB|ONDIR . @1:shut', 'CREATE told @1:shut', 'CREATE later @1:open/moved']);
    expect(house.status().totals).toMatchObject({ visitsStuck: 0, kernelMarks: 1 });
  });

  test('look through the directory that the client has marked, whatever is mounted over it elsewhere', () => {
    const house = houseWithVisitor();
    house.do('mkdir -p part/a');
    const bind = mountBind(`${house.mount.path}/part`);
    onTestFinished(() => bind.unmount());
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark(bind.path, NAMES);
    house.do('echo > part/a/file; echo > outside');
    expect(client.lines()).toEqual(['CREATE file @1:a']);
    // Nobody who goes there gets past it.
    const over = mountTmpfs(1 << 20);
    onTestFinished(() => over.unmount());
    spawnSync('mount', ['--bind', over.path, `${bind.path}/a`]);
    onTestFinished(() => void spawnSync('umount', [`${bind.path}/a`]));
    house.do('echo > part/a/beneath; echo > part/beside');
    expect(client.lines()).toEqual(['CREATE beside @1:']);
  });
});

describe.runIf(canMount)('a names broker in a process of its own', () => {
  test('tells a client what others do, and ends with the main process', async () => {
    const mount = mountTmpfs();
    onTestFinished(() => mount.unmount());
    mkdirSync(`${mount.path}/d`);
    const house = await House.open('names');
    const client = house.admit(rightsIn([], { uid: USER }));
    await client.bind({ flags: FAN_REPORT_DFID_NAME_TARGET });
    await client.mark(`${mount.path}/d`, FAN_CREATE, { scope: 'subtree' });
    spawnSync('touch', [`${mount.path}/d/file`]);
    await client.sync();
    expect(client.take().map(({ mask }) => mask)).toEqual([FAN_CREATE]);
    expect((await house.status()).groups).toMatchObject([{ kind: 'names', uid: USER, marks: 1, delivered: 1 }]);
    house.closeControl();
    await house.until(() => client.isOver, 'the connection ends');
    await house.end();
    expect(house.broker.exitCode).toBe(0);
  });
});
