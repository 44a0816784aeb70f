// Whose accesses are allowed without asking, with real processes on a real mount.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Exemption, guard } from 'fanotify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { NOBODY } from './changing.ts';

describe.skipIf(!canMount)('an access is allowed without asking', () => {
  let mount: ScratchMount;
  let file: string;
  let home: string;
  let ownCat: string;
  beforeAll(() => {
    mount = mountTmpfs();
    file = join(mount.path, 'file');
    writeFileSync(file, '');
    home = mkdtempSync(join(tmpdir(), 'fanotify-exempt-'));
    spawnSync('chmod', ['755', home]);
    ownCat = join(home, 'own-cat');
    copyFileSync('/bin/cat', ownCat);
  });
  afterAll(() => {
    mount.unmount();
    rmSync(home, { recursive: true });
  });

  /** Which of some commands may read the file, when everybody else is denied. */
  async function allowed(exempt: Exemption[], commands: [string, string[], number][]): Promise<boolean[]> {
    const gate = await guard(mount.path, { decide: () => 'deny', exempt });
    const answers: boolean[] = [];
    for (const [program, args, uid] of commands) {
      const child = spawn(program, args, { uid, gid: uid, stdio: 'ignore' });
      answers.push((await once(child, 'exit'))[0] === 0);
    }
    await gate.close();
    return answers;
  }

  test('of a user', async () => {
    const cat = (uid: number): [string, string[], number] => ['cat', [file], uid];
    expect(await allowed([{ uid: NOBODY }], [cat(NOBODY), cat(0)])).toEqual([true, false]);
  });

  test('of a program, where it is run by whom is meant', async () => {
    const commands: [string, string[], number][] = [
      [ownCat, [file], NOBODY],
      [ownCat, [file], 0],
      ['cat', [file], NOBODY],
    ];
    expect(await allowed([{ executable: ownCat, uid: NOBODY }], commands)).toEqual([true, false, false]);
    expect(await allowed([{ executable: ownCat, uid: 'any' }], commands)).toEqual([true, true, false]);
  });

  test('of a process and its descendants, and not of others', async () => {
    const script = `read line; cat ${file} && sh -c 'cat ${file}; exit $?'`;
    const shell = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
    const gate = await guard(mount.path, { decide: () => 'deny', exempt: [{ tree: shell.pid ?? 0 }] });
    const stranger = spawn('cat', [file], { stdio: 'ignore' });
    expect((await once(stranger, 'exit'))[0]).toBe(1);
    shell.stdin?.end('\n');
    expect((await once(shell, 'exit'))[0]).toBe(0);
    expect(await gate.status()).toMatchObject({ byExemption: 2, denied: 1 });
    await gate.close();
  });

  test('not of whom another PID namespace has under the number', async () => {
    // cat has the number there that this process has here, and /proc is that of here.
    const program = `
      import { spawn } from 'node:child_process';
      import { writeFileSync } from 'node:fs';
      import { guard } from '${import.meta.resolve('fanotify')}';
      const gate = await guard('${mount.path}', { decide: () => 'deny', exempt: [{ uid: 0 }] });
      writeFileSync('/proc/sys/kernel/ns_last_pid', '${process.pid - 1}');
      const cat = spawn('cat', ['${file}'], { uid: ${NOBODY}, gid: ${NOBODY}, stdio: 'ignore' });
      cat.on('exit', (status) => process.exit(cat.pid === ${process.pid} ? status : 2));`;
    const inside = ['--pid', '--fork', '--kill-child', process.execPath, '--input-type=module', '--eval', program];
    expect((await once(spawn('unshare', inside, { stdio: ['ignore', 'ignore', 'inherit'] }), 'exit'))[0]).toBe(1);
  });

  test('not of a process that has the number of one that has ended, when the responder is started again', async (context) => {
    const first = spawn('sleep', ['60'], { stdio: 'ignore' });
    const tree = first.pid ?? 0;
    const exempt: Exemption[] = [{ tree }];
    const gate = await guard(mount.path, { decide: () => 'deny', exempt, restart: true });
    gate.on('error', () => undefined);
    first.kill();
    await once(first, 'exit');
    // Start times are exact to 10 ms.
    await sleep(20);
    const again = await spawnAs(tree, 'sh', ['-c', `read line; cat ${file}; exit $?`]);
    if (!again) context.skip('the number was not given on in 50 attempts');
    const restarted = new Promise<void>((resolve) => gate.on('restart', resolve));
    process.kill(gate.responderPid ?? 0, 'SIGKILL');
    await restarted;
    again?.stdin?.end('\n');
    expect((await once(again as ChildProcess, 'exit'))[0]).toBe(1);
    await gate.close();
  });
});

/** Starts a process that has a number of choice, that after the last one (ns_last_pid); on a busy machine another may be faster. */
async function spawnAs(pid: number, program: string, args: string[]): Promise<ChildProcess | undefined> {
  for (let attempt = 0; attempt < 50; attempt++) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
    if (child.pid === pid) return child;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  return undefined;
}
