// A guard from its opening to its end: whoever closes it at whatever moment, nothing is held any more then.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guard } from 'fanotify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

describe.skipIf(!canMount)('a guard', () => {
  let mount: ScratchMount;
  let file: string;
  beforeAll(() => {
    mount = mountTmpfs();
    file = join(mount.path, 'file');
    writeFileSync(file, '');
  });
  afterAll(() => mount.unmount());

  const isAllowed = async () => (await once(spawn('cat', [file], { stdio: 'ignore' }), 'exit'))[0] === 0;

  test.each([false, true])(
    'stays closed when it is closed upon the end of its responder: restart %s',
    async (restart) => {
      const gate = await guard(mount.path, { decide: () => 'deny', restart });
      const told: string[] = [];
      gate.on('restart', () => told.push('restart')).on('close', () => told.push('close'));
      const closed = new Promise<void>((resolve) => {
        gate.on('error', () => void gate.close().then(resolve));
      });
      process.kill(gate.responderPid ?? 0, 'SIGKILL');
      await closed;
      // Another responder would be ready before a second one that is started later.
      await (await guard(mount.path, { decide: () => 'allow' })).close();
      expect(gate.responderPid).toBeUndefined();
      expect(told).toEqual(['close']);
      expect(await isAllowed()).toBe(true);
    },
  );

  test('says once that it is closed, also to who closes it then', async () => {
    const gate = await guard(mount.path, { decide: () => 'deny' });
    let count = 0;
    gate.on('error', () => undefined);
    gate.on('close', () => {
      count++;
      void gate.close();
    });
    process.kill(gate.responderPid ?? 0, 'SIGKILL');
    await new Promise<void>((resolve) => gate.on('close', resolve));
    await gate.close();
    expect(count).toBe(1);
  });
});
