// The terminal is in the foreground of whom the shell gave it to. A command that is a shell itself takes it, and cannot give it back:
// inside of its PID namespace our process group has no number.

import { type Kernel, KernelError } from '../../kernel/index.ts';

const STANDARD_DESCRIPTORS = [0, 1, 2];

/** The terminal that this process is in the foreground of, if there is one. */
export class Terminal {
  readonly #kernel: Kernel;
  readonly #fd: number | undefined;
  readonly #group: number = 0;
  /** The group of the command's own that had it when the command was stopped. */
  #lent: number | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#fd = STANDARD_DESCRIPTORS.find((fd) => this.#groupAt(fd) !== undefined);
    if (this.#fd !== undefined) this.#group = this.#groupAt(this.#fd) ?? 0;
    if (this.#group !== ownGroup(kernel)) this.#fd = undefined;
  }

  /** Before this process is stopped with a command that has put itself into the foreground. */
  noteHolder(): void {
    const holder = this.#fd === undefined ? undefined : this.#groupAt(this.#fd);
    this.#lent = holder === this.#group ? undefined : holder;
  }

  /** When it goes on in the foreground: a command that had put itself there is there again. */
  lendAgain(): void {
    const group = this.#lent;
    this.#lent = undefined;
    if (group !== undefined && this.#fd !== undefined && this.#groupAt(this.#fd) === this.#group) this.#put(group);
  }

  /** Puts our process group into the foreground again, if it was. */
  takeBack(): void {
    if (this.#fd !== undefined && this.#groupAt(this.#fd) !== this.#group) this.#put(this.#group);
  }

  #put(group: number): void {
    try {
      this.#kernel.setTerminalGroup(this.#fd ?? -1, group);
    } catch (error) {
      // It was hung up, or the group has ended.
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
