// Notices that the mount table has changed, also while nobody asks for it.

import { AT_FDCWD, O_CLOEXEC } from '../abi/index.ts';
import { type Kernel, KernelError, type Readiness } from '../kernel/index.ts';

/**
 * Calls `changed` soon after the mount table of this process has changed, once at its start, and never while it still runs. Does not
 * keep the process alive. Without /proc it never calls.
 */
export class MountWatch {
  readonly #kernel: Kernel;
  readonly #changed: () => Promise<void>;
  // A descriptor of its own: whoever polls one takes the news out of it.
  readonly #fd: number;
  readonly #readiness: Readiness | undefined;
  #isRunning = false;
  #isDue = false;
  #closed = false;

  constructor(kernel: Kernel, changed: () => Promise<void>) {
    this.#kernel = kernel;
    this.#changed = changed;
    this.#fd = open(kernel);
    if (this.#fd < 0) return;
    this.#readiness = kernel.onPriority(this.#fd, () => void this.look());
    this.#readiness.unref();
  }

  /** Calls `changed` now, or again when it is done. */
  async look(): Promise<void> {
    this.#isDue = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#isDue && !this.#closed) {
        this.#isDue = false;
        await this.#changed();
      }
    } finally {
      this.#isRunning = false;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readiness?.close();
    if (this.#fd >= 0) this.#kernel.close(this.#fd);
  }
}

function open(kernel: Kernel): number {
  try {
    return kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_CLOEXEC);
  } catch (error) {
    if (error instanceof KernelError) return -1;
    throw error;
  }
}
