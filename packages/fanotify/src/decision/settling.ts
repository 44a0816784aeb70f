// A thread that waits for renames which are under way: the kernel moves a file, and only then tells of it. Until it has told, it keeps
// the directories locked, so whoever has looked for a name in them since has come after the telling. That may wait; the loop may not.

import { type Kernel, KernelError } from '../kernel/index.ts';
import { COUNT, FIRST_LOOK, LOOK_SLOTS, MOST_LOOKS, type SettlingData } from './settling-data.ts';
import { lookNext } from './settling-look.ts';
import { startThread } from './thread.ts';

export class Settling {
  /** Readable when looks are done. */
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #counter = Buffer.alloc(8);
  readonly #numbers = new Int32Array(new SharedArrayBuffer(4 * (FIRST_LOOK + MOST_LOOKS * LOOK_SLOTS)));

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.fd = kernel.eventFd();
  }

  /** Starts the thread, which loads modules: before anything is marked. A simulated machine has none: there a rename is told as it is made. */
  async start(): Promise<void> {
    if (this.#kernel.simulation) return;
    const workerData: SettlingData = { numbers: this.#numbers, wake: this.fd };
    const worker = await startThread(new URL('./settling-main.js', import.meta.url), workerData);
    worker.unref();
  }

  /**
   * Asks for a look into a directory and those above it.
   *
   * @returns Its number, or undefined when too many wait.
   */
  ask(directory: number, levels: number): number | undefined {
    const asked = Atomics.load(this.#numbers, COUNT.asked);
    if (((asked - Atomics.load(this.#numbers, COUNT.done)) | 0) >= MOST_LOOKS) return undefined;
    const slot = FIRST_LOOK + (asked & (MOST_LOOKS - 1)) * LOOK_SLOTS;
    this.#numbers[slot] = directory;
    this.#numbers[slot + 1] = levels;
    Atomics.add(this.#numbers, COUNT.asked, 1);
    Atomics.notify(this.#numbers, COUNT.asked);
    if (this.#kernel.simulation) lookNext(this.#kernel, { numbers: this.#numbers, wake: this.fd });
    return asked;
  }

  /** What is done until now is noticed: {@link fd} is readable when there is more. */
  notice(): void {
    try {
      this.#kernel.read(this.fd, this.#counter);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** Whether a look is done: its descriptor is used no more. */
  isDone(look: number): boolean {
    return ((Atomics.load(this.#numbers, COUNT.done) - look) | 0) > 0;
  }
}
