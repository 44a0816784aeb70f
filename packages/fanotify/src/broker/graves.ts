// Closes what more is to be closed than visitors can: by the end of processes. What a process has open the kernel closes as it ends, and
// nobody waits for that. One takes many at once, and nothing is sent to it that its clients could have a say in.

import { spawn } from 'node:child_process';
import type { Kernel } from '../kernel/index.ts';

/** So many one process takes. */
const MOST_OF_ONE = 128;
/** So many may be ending: what is in them may make their end last. */
const MOST_ENDING = 4;
/** When a process could not be started, another is tried after so long. */
const RETRY_MS = 100;

export class Graves {
  readonly #kernel: Kernel;
  readonly #tell: (text: string) => void;
  #waiting: number[] = [];
  #ending = 0;
  #next: NodeJS.Timeout | undefined;

  /** @param tell For the log. */
  constructor(kernel: Kernel, tell: (text: string) => void) {
    this.#kernel = kernel;
    this.#tell = tell;
  }

  /** How many are open here still. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Closes a descriptor, sooner or later. */
  take(fd: number): void {
    this.#waiting.push(fd);
    this.#soon(0);
  }

  /** Closes what waits, as far as it can be at once; the rest this process closes as it ends. */
  close(): void {
    while (this.#waiting.length > 0 && this.#bury());
    clearTimeout(this.#next);
    this.#next = undefined;
  }

  /** After what comes in this turn. */
  #soon(ms: number): void {
    this.#next ??= setTimeout(() => {
      this.#next = undefined;
      while (this.#waiting.length > 0 && this.#bury());
    }, ms);
  }

  /** False when none can be started now. */
  #bury(): boolean {
    if (this.#ending >= MOST_ENDING) return false;
    const some = this.#waiting.slice(0, MOST_OF_ONE);
    try {
      const child = spawn(process.execPath, ['--version'], {
        detached: true,
        cwd: '/',
        stdio: ['ignore', 'ignore', 'ignore', ...some],
      });
      // Without a number it was not started, and what it was to get is open here alone.
      child.once('error', () => undefined);
      if (child.pid === undefined) throw new Error('there is no process for it');
      this.#ending++;
      child.once('exit', () => {
        this.#ending--;
        if (this.#waiting.length > 0) this.#soon(0);
      });
      child.kill('SIGKILL');
    } catch (error) {
      this.#tell(`connections that are refused cannot be closed now: ${String(error)}`);
      this.#soon(RETRY_MS);
      return false;
    }
    this.#waiting = this.#waiting.slice(some.length);
    for (const fd of some) this.#kernel.close(fd);
    return true;
  }
}
