// How far the kernel has come in giving out process ids, which go round: what tells whether a number can have been given to
// another process since.

import { type Kernel, KernelError } from '../kernel/index.ts';

/** After a round the kernel begins here (RESERVED_PIDS of kernel/pid.c). */
const FIRST_AGAIN = 300;
const DEFAULT_PID_MAX = 32_768;
/** More than any machine makes in a millisecond: what can have been passed unseen while nobody looked. */
const MOST_A_MS = 20;

/** The place in the round of ids, counted on from round to round. */
export class PidCursor {
  readonly #kernel: Kernel;
  readonly #range: number;
  #last = 0;
  #passed = 0;
  #lookedMs = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#range = Math.max(1, this.#number('/proc/sys/kernel/pid_max', DEFAULT_PID_MAX) - FIRST_AGAIN);
    this.#lookedMs = kernel.bootTimeMs();
    this.#last = this.#lastPid();
  }

  /** How many ids there are in a round. */
  get range(): number {
    return this.#range;
  }

  /** How often to look, so that a round is not missed. */
  get lookEveryMs(): number {
    return Math.min(1000, Math.max(20, this.#range / MOST_A_MS / 2));
  }

  /** Ids passed since the beginning. Whoever asks rarely is told of rounds that may not have been. */
  look(): number {
    const nowMs = this.#kernel.bootTimeMs();
    const last = this.#lastPid();
    this.#passed += (last - this.#last + this.#range) % this.#range;
    if ((nowMs - this.#lookedMs) * MOST_A_MS > this.#range) this.#passed += this.#range;
    this.#last = last;
    this.#lookedMs = nowMs;
    return this.#passed;
  }

  /** As told last. */
  get passed(): number {
    return this.#passed;
  }

  /** How many ids are to be passed, from when it was last looked, before this one is given out again. */
  distanceTo(pid: number): number {
    return (pid - this.#last - 1 + 2 * this.#range) % this.#range;
  }

  /** proc_loadavg(5): the id of the newest process, in our PID namespace. */
  #lastPid(): number {
    return this.#number('/proc/loadavg', this.#last);
  }

  #number(path: string, otherwise: number): number {
    try {
      const last = /(\d+)\s*$/.exec(this.#kernel.readFile(path).toString('latin1'))?.[1];
      return last === undefined ? otherwise : Number(last);
    } catch (error) {
      if (error instanceof KernelError) return otherwise;
      throw error;
    }
  }
}
