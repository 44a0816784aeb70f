// The terminal is in the foreground of whom the shell gave it to. A command that is a shell itself takes it, and cannot give it back:
// inside of its PID namespace our process group has no number.

import { type Kernel, KernelError } from '../../kernel/index.ts';

const STANDARD_DESCRIPTORS = [0, 1, 2];

/** The terminal that this process is in the foreground of, if there is one. */
export class Terminal {
  readonly #kernel: Kernel;
  readonly #fd: number | undefined;
  readonly #group: number = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#fd = STANDARD_DESCRIPTORS.find((fd) => this.#groupAt(fd) !== undefined);
    if (this.#fd !== undefined) this.#group = this.#groupAt(this.#fd) ?? 0;
    if (this.#group !== ownGroup(kernel)) this.#fd = undefined;
  }

  /** Puts our process group into the foreground again, if it was. */
  takeBack(): void {
    if (this.#fd === undefined || this.#groupAt(this.#fd) === this.#group) return;
    try {
      this.#kernel.setTerminalGroup(this.#fd, this.#group);
    } catch (error) {
      // It was hung up.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  #groupAt(fd: number): number | undefined {
    try {
      return this.#kernel.terminalGroup(fd);
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }
}

/** proc_pid_stat(5): the fifth field, counted from behind the name, which may hold anything. */
function ownGroup(kernel: Kernel): number {
  const stat = kernel.readFile('/proc/self/stat').toString('latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}
