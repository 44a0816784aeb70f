// Whose processes are: a client is told the pids of its own user's.

import { AT_FDCWD } from '../../abi/index.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';

const NOBODY = -1;

export class Pids {
  readonly #kernel: Kernel;
  readonly #owners = new Map<number, number>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** A number may be another's by the next time. */
  nextRound(): void {
    if (this.#owners.size > 0) this.#owners.clear();
  }

  /** Whether a process is of a user. One that has ended is nobody's, and one that may not be looked into root's. */
  isOf(pid: number, uid: number): boolean {
    let owner = this.#owners.get(pid);
    if (owner === undefined) {
      owner = this.#ask(pid);
      this.#owners.set(pid, owner);
    }
    return owner === uid;
  }

  #ask(pid: number): number {
    try {
      return this.#kernel.statAt(AT_FDCWD, `/proc/${pid}`, 0).uid;
    } catch (error) {
      if (error instanceof KernelError) return NOBODY;
      throw error;
    }
  }
}
