// The thread that waits for renames under way: it is done with a directory when nobody has that locked any more. A file system whose
// daemon does not answer keeps one locked, for whoever makes something in it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../../src/abi/index.ts';
import type { Settling } from '../../src/decision/settling.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';

const FUSE_DAEMON = join(import.meta.dirname, '../support/fuse-daemon.mjs');
/** As built: the thread is a program of its own. */
const BUILT = join(import.meta.dirname, '../../dist/decision/settling.js');
const POLLIN = 1;

const stateOf = (path: string) => / (\S) [^)]*$/.exec(readFileSync(path, 'latin1'))?.[1];
/** Whether a thread waits for what cannot be interrupted. */
const isBlocked = (pid: number | 'self') =>
  readdirSync(`/proc/${pid}/task`).some((thread) => {
    try {
      return stateOf(`/proc/${pid}/task/${thread}/stat`) === 'D';
    } catch {
      return false;
    }
  });

test.skipIf(!canMount || !existsSync('/dev/fuse'))(
  'waits for whoever has a directory locked, and for nobody else',
  async () => {
    const kernel = linuxKernel();
    const { Settling: Built } = (await import(/* @vite-ignore */ BUILT)) as {
      Settling: new (kernel: unknown) => Settling;
    };
    const { linuxKernel: builtKernel } = (await import(
      /* @vite-ignore */ join(BUILT, '../../kernel/index.js')
    )) as typeof import('../../src/kernel/index.ts');
    const settling = new Built(builtKernel());
    await settling.start();
    const descriptorOf = (path: string) => {
      const fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
      onTestFinished(() => kernel.close(fd));
      return fd;
    };
    const mount = mountTmpfs();
    const own = descriptorOf(mount.path);
    onTestFinished(mount.unmount);
    const isDone = (look: number | undefined) => look !== undefined && settling.isDone(look);
    const isReadable = () => kernel.poll([{ fd: settling.fd, events: POLLIN, revents: 0 }], 0) === 1;

    const first = settling.ask(own, 2);
    await expect.poll(() => isDone(first) && isReadable()).toBe(true);
    settling.notice();
    expect(isReadable()).toBe(false);

    const place = mkdtempSync(join(tmpdir(), 'fanotify-settling-'));
    const daemon = spawn(process.execPath, [FUSE_DAEMON, 'stall', place], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(daemon.stdout, 'data');
    const stalled = descriptorOf(place);
    const free = settling.ask(stalled, 1);
    await expect.poll(() => isDone(free)).toBe(true);
    const maker = spawn('mkdir', [join(place, 'new')], { stdio: 'ignore' });
    const made = once(maker, 'exit');
    await expect.poll(() => maker.pid !== undefined && isBlockedOn(maker.pid)).toBe(true);
    const waits = settling.ask(stalled, 1);
    const behind = settling.ask(own, 1);
    await expect.poll(() => isBlocked('self')).toBe(true);
    expect([isDone(waits), isDone(behind)]).toEqual([false, false]);

    daemon.stdin.end();
    await made;
    await expect.poll(() => isDone(waits) && isDone(behind) && isReadable()).toBe(true);
    const unmount = spawn('umount', ['--lazy', place]);
    await once(unmount, 'exit');
    rmdirSync(place);
  },
);

/** Waits for its daemon, in whichever way. */
function isBlockedOn(pid: number): boolean {
  try {
    return (
      /^(request_wait_answer|fuse_\w+|__fuse_\w+)/.test(readFileSync(`/proc/${pid}/wchan`, 'latin1')) || isBlocked(pid)
    );
  } catch {
    return false;
  }
}
