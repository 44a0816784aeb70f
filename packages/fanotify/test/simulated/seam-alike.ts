// Scripts of the seam's operations, run on Linux and on the simulated machine: both are to answer the same, but for numbers that nobody chooses.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { forwarding, type Kernel, KernelError, linuxKernel, type PollEntry } from '../../src/kernel/index.ts';
import { createTestSystem } from '../../src/testing.ts';
import { canMount } from '../support/mounts.ts';

export const [POLLIN, POLLPRI, POLLOUT] = [1, 2, 4] as const;
export const F = {
  DUPFD: 0,
  GETFD: 1,
  GETFL: 3,
  SETFL: 4,
  SETLEASE: 1024,
  GETLEASE: 1025,
  DUPFD_CLOEXEC: 1030,
} as const;
export const AT_EACCESS = 0x200;
/** Operations that answer a descriptor. */
const OPENING = [
  'openAt',
  'openAt2',
  'fanotifyInit',
  'epollCreate',
  'eventFd',
  'connectUnix',
  'listenUnix',
  'acceptUnix',
  'pidfdOpen',
  'pidfdGetfd',
] as const;

/** A kernel, and a directory of its own with a file and a symlink in it. */
export interface Seam {
  readonly kernel: Kernel;
  readonly directory: string;
}

export type Scripts = Readonly<Record<string, (seam: Seam) => unknown>>;

/** A test for each script. @param needsRoot And a mount namespace that is ours alone. */
export function testAlike(scripts: Scripts, needsRoot = false): void {
  const isSkipped = needsRoot ? !canMount : process.platform !== 'linux';
  describe.skipIf(isSkipped)('Linux and the simulated machine answer alike', () => {
    for (const [name, script] of Object.entries(scripts)) {
      test(name, () => {
        expect(run(onSimulated(), script)).toEqual(run(onLinux(), script));
      });
    }
  });
}

/** What an operation gives, or what it fails with. */
export function tried(operation: () => unknown): unknown {
  try {
    return operation();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return `${error.syscall}: ${error.code}`;
  }
}

export function polled(kernel: Kernel, fd: number, events: number): number {
  const entry: PollEntry = { fd, events, revents: 0 };
  kernel.poll([entry], 0);
  return entry.revents;
}

export const bytes = (text: string): Buffer => Buffer.from(text);

function onSimulated(): Seam & { done(): void } {
  const system = createTestSystem();
  system.fs.dir('/tmp/seam').file('/tmp/seam/file', 'text').symlink('/tmp/seam/link', 'file');
  return { kernel: system.kernel, directory: '/tmp/seam', done: () => undefined };
}

function onLinux(): Seam & { done(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-seam-'));
  // For the scripts in which an ordinary user comes by.
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, 'file'), 'text', { mode: 0o644 });
  symlinkSync('file', join(directory, 'link'));
  const { kernel, closeAll } = noting(linuxKernel());
  return {
    kernel,
    directory,
    done: () => {
      closeAll();
      // What a script has mounted there.
      while (spawnSync('umount', ['--lazy', directory], { stdio: 'ignore' }).status === 0);
      rmSync(directory, { recursive: true });
    },
  };
}

/** A kernel that knows what it has opened. */
function noting(kernel: Kernel): { readonly kernel: Kernel; closeAll(): void } {
  const open = new Set<number>();
  const note = (fd: number): number => {
    open.add(fd);
    return fd;
  };
  const noted: Kernel = {
    ...forwarding(kernel),
    close: (fd) => {
      kernel.close(fd);
      open.delete(fd);
    },
    socketPair: () => kernel.socketPair().map(note) as [number, number],
    receiveMessage: (fd, buffer, closeOnExec) => {
      const message = kernel.receiveMessage(fd, buffer, closeOnExec);
      message.descriptors.forEach(note);
      return message;
    },
    fcntl: (fd, command, argument) => {
      const answer = kernel.fcntl(fd, command, argument);
      return command === F.DUPFD || command === F.DUPFD_CLOEXEC ? note(answer) : answer;
    },
  };
  for (const name of OPENING) {
    const operation = noted[name] as (...args: unknown[]) => number;
    Object.assign(noted, { [name]: (...args: unknown[]) => note(operation(...args)) });
  }
  return {
    kernel: noted,
    closeAll: () => {
      for (const fd of open) kernel.close(fd);
    },
  };
}

function run(seam: Seam & { done(): void }, script: (seam: Seam) => unknown): unknown {
  try {
    return script(seam);
  } finally {
    seam.done();
  }
}
