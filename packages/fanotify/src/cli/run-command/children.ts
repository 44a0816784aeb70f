// What the first process of a PID namespace owes the others: it collects those that end without a parent, and knows when it is alone.

import { commOf, lookAt, processIds } from '../../identity/running.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';

// linux/wait.h
const WNOHANG = 1;
const WSTOPPED = 2;
const WEXITED = 4;
const WCONTINUED = 8;
const WNOWAIT = 0x0100_0000;
const CLD_STOPPED = 5;
const CLD_CONTINUED = 6;

/** A process that is still there. */
export interface Remaining {
  readonly pid: number;
  readonly comm: string;
}

/** The processes of the namespace. */
export class Children {
  readonly #kernel: Kernel;
  /** Children that libuv waits for. */
  readonly #managed = new Set<number>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** One that was started by Node.js, which collects it. */
  manage(pid: number): void {
    this.#managed.add(pid);
  }

  /** Collects orphans that have ended. To be called on SIGCHLD, and when Node.js has collected one of its own. */
  collect(): void {
    for (;;) {
      const ended = this.#ask(0, WEXITED | WNOHANG | WNOWAIT);
      // Whoever stands behind one that Node.js has not collected yet is collected afterwards.
      if (!ended || this.#managed.has(ended.pid)) return;
      this.#ask(ended.pid, WEXITED | WNOHANG);
    }
  }

  /** Whether a child has stopped since this was asked last. */
  hasStopped(pid: number): boolean {
    return this.#ask(pid, WSTOPPED | WNOHANG)?.code === CLD_STOPPED;
  }

  /** Whether it has gone on since. */
  hasGoneOn(pid: number): boolean {
    return this.#ask(pid, WCONTINUED | WNOHANG)?.code === CLD_CONTINUED;
  }

  /** Everybody else in the namespace, but for those that are `ours`. */
  remaining(ours: ReadonlySet<number>): Remaining[] {
    return processIds(this.#kernel).flatMap((pid) => {
      if (pid === this.#kernel.pid || ours.has(pid)) return [];
      const comm = lookAt(() => commOf(this.#kernel, pid));
      return typeof comm === 'string' ? [] : [{ pid, comm: comm.toString() }];
    });
  }

  #ask(pid: number, options: number) {
    try {
      return this.#kernel.waitChild(pid, options);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ECHILD') return undefined;
      throw error;
    }
  }
}
