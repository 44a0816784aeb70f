// A guard from its opening to its end: whoever closes it at whatever moment, nothing is held any more then.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Group, guard } from 'fanotify';
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

  test('decides while a group is closed that the kernel keeps until then', async () => {
    let closing: Promise<void> | undefined;
    const group = await Group.open();
    await group.mark(mount.path, { scope: 'filesystem', events: ['closeWrite'] });
    const gate = await guard(mount.path, {
      scope: 'mount',
      deadlineMs: 15_000,
      onTimeout: 'deny',
      decide: async () => {
        closing = group.close();
        await sleep(1);
        return 'allow' as const;
      },
    });
    expect(await isAllowed()).toBe(true);
    await closing;
    await gate.close();
  });

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

  describe('whose decide module is never loaded', () => {
    let home: string;
    beforeAll(() => {
      home = mkdtempSync(join(tmpdir(), 'fanotify-lifecycle-'));
    });
    afterAll(() => rmSync(home, { recursive: true }));

    /** A module that notes the number of its process; and waits for ever, from a number of loads on. */
    function makeModule(
      name: string,
      from: number,
    ): { readonly module: string; loaded(count: number): Promise<number> } {
      const module = join(home, `${name}.mjs`);
      const pids = join(home, `${name}.pids`);
      const code = `
        import { appendFileSync, readFileSync } from 'node:fs';
        appendFileSync('${pids}', process.pid + '\\n');
        if (readFileSync('${pids}', 'utf8').split('\\n').length > ${from}) {
          setInterval(() => undefined, 1000);
          await new Promise(() => undefined);
        }
        export const decide = () => 'deny';`;
      writeFileSync(module, code);
      return {
        module,
        loaded: async (count) => {
          for (;;) {
            const loads = existsSync(pids) ? readFileSync(pids, 'utf8').split('\n') : [];
            if (loads.length > count) return Number(loads[count - 1]);
            await sleep(20);
          }
        },
      };
    }

    const isGone = (pid: number) => {
      try {
        return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
      } catch {
        return true;
      }
    };

    test('is not opened when its signal aborts', async () => {
      const { module, loaded } = makeModule('abort', 1);
      const abort = new AbortController();
      const opening = guard(mount.path, { decide: module, signal: abort.signal });
      const pid = await loaded(1);
      abort.abort(new Error('no longer wanted'));
      await expect(opening).rejects.toThrow('no longer wanted');
      expect(isGone(pid)).toBe(true);
    });

    test('can be closed while another responder is being started', async () => {
      const { module, loaded } = makeModule('restart', 2);
      const gate = await guard(mount.path, { decide: module, restart: true });
      gate.on('error', () => undefined);
      process.kill(gate.responderPid ?? 0, 'SIGKILL');
      const pid = await loaded(2);
      await gate.close();
      expect(isGone(pid)).toBe(true);
      expect(await isAllowed()).toBe(true);
    });

    test('leaves no responder behind when its owner is killed', async () => {
      const { module, loaded } = makeModule('killed', 1);
      const face = import.meta.resolve('fanotify');
      const program = `import { guard } from '${face}'; await guard('${mount.path}', { decide: '${module}' });`;
      const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' });
      const pid = await loaded(1);
      owner.kill('SIGKILL');
      while (!isGone(pid)) await sleep(20);
    });
  });

  test('is of the same file when its responder is started again, though it was given a descriptor that is closed', async () => {
    const other = join(mount.path, 'other');
    writeFileSync(other, '');
    const given = openSync(file, 'r');
    const asked: (string | null)[] = [];
    const gate = await guard(
      { fd: given },
      {
        restart: true,
        decide: ({ path }) => {
          asked.push(path);
          return 'allow';
        },
      },
    );
    gate.on('error', () => undefined);
    closeSync(given);
    const others: number[] = [];
    do others.push(openSync(other, 'r'));
    while (others.at(-1) !== given);
    const restarted = new Promise<void>((resolve) => gate.on('restart', resolve));
    process.kill(gate.responderPid ?? 0, 'SIGKILL');
    await restarted;
    for (const path of [other, file]) await once(spawn('cat', [path], { stdio: 'ignore' }), 'exit');
    expect(asked).toEqual([file]);
    await gate.close();
    for (const fd of others) closeSync(fd);
  });

  test('can be asked how it is while another responder is being started', async () => {
    const gate = await guard(mount.path, { decide: () => 'allow', restart: true });
    const first = gate.responderPid ?? 0;
    const asked = new Promise((resolve) => {
      gate.on('error', () => resolve(gate.forget().then(() => gate.status())));
    });
    process.kill(first, 'SIGKILL');
    expect(await asked).toMatchObject({ pending: 0 });
    expect(gate.responderPid).not.toBe(first);
    await gate.close();
    await expect(gate.status()).rejects.toMatchObject({ code: 'GUARD_CLOSED' });
  });

  test('is not opened when its signal aborts at once, or at any time until it is', async () => {
    for (const ms of [0, 50, 100, 150, 200, 300]) {
      const abort = new AbortController();
      const opening = guard(mount.path, { decide: () => 'deny', deadlineMs: 60_000, signal: abort.signal });
      const isSettled = opening.then(
        () => 'opened',
        () => 'aborted',
      );
      if (ms > 0) await Promise.race([sleep(ms), isSettled]);
      abort.abort();
      if ((await isSettled) === 'opened') await (await opening).close();
      expect(await isAllowed()).toBe(true);
    }
  });

  test('that is not to keep its process alive answers what it is asked all the same', async () => {
    const program = `
      import { guard } from '${import.meta.resolve('fanotify')}';
      const gate = await guard('${mount.path}', { decide: () => 'allow' });
      gate.unref();
      await gate.forget();
      const [{ pending }] = await Promise.all([gate.status(), gate.forget()]);
      console.log(pending);`;
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', program]);
    let said = '';
    owner.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [status] = await once(owner, 'close');
    expect({ said, status }).toEqual({ said: '0\n', status: 0 });
  });
});
