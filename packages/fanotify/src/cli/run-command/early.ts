// Starts the process inside of new PID and mount namespaces. Starting Node.js takes longest of all that `fanotify run` does by itself:
// so that comes first, before the command line is understood, and this file imports next to nothing.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { AT_FDCWD, O_CLOEXEC } from '../../abi/index.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { Terminal } from './terminal.ts';

const INSIDE = fileURLToPath(new URL('./inside-main.js', import.meta.url));
// linux/sched.h
const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWPID = 0x2000_0000;

/** Room for the events of a second: else garbage is collected a hundred times while a program is built. */
const FLAGS = ['--min-semi-space-size=16'];

/** The process inside, which waits to be told what to do; and the terminal as it was before. */
export interface Started {
  readonly child: ChildProcess;
  readonly terminal: Terminal;
}

/** Starts it. @throws KernelError EPERM without privilege. */
export function startInside(kernel: Kernel): Started {
  const terminal = new Terminal(kernel);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const own = kernel.openAt(AT_FDCWD, '/proc/self/ns/pid', O_CLOEXEC);
  try {
    kernel.unshare(CLONE_NEWPID | CLONE_NEWNS);
    try {
      const child = spawn(process.execPath, [...FLAGS, INSIDE], {
        env,
        stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
      });
      return { child, terminal };
    } finally {
      // Until then this process could start no thread.
      kernel.setNamespace(own, CLONE_NEWPID);
    }
  } finally {
    kernel.close(own);
  }
}

/** The same, or what it threw, for `run` with anything but a question in its arguments. */
export function startEarly(args: readonly string[], kernel: () => Kernel): Started | KernelError | undefined {
  const [name, ...rest] = args;
  if (name !== 'run' || rest.length === 0 || rest.some((arg) => arg === '--help' || arg === '-h')) return undefined;
  try {
    return startInside(kernel());
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}
