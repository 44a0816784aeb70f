// Waits for a group's descriptor to become readable, and lets the event loop turn between two reads of a queue that never
// empties.

import type { Kernel, Readiness } from '../kernel/index.ts';

/** The waiting end of a group. Nothing is watched, and nothing keeps the process alive, while nobody waits. */
export class Waiter {
  readonly #kernel: Kernel;
  readonly #fd: number;
  #readiness: Readiness | undefined;
  #wake: (() => void) | undefined;
  #keepsAlive = true;
  #closed = false;
  #owesTurn = false;

  constructor(kernel: Kernel, fd: number) {
    this.#kernel = kernel;
    this.#fd = fd;
  }

  /** A read gave events: the next wait, even if there is more, lets timers and signals run first. */
  served(): void {
    this.#owesTurn = true;
  }

  /** Whether the event loop should turn before the next read. */
  get owesTurn(): boolean {
    return this.#owesTurn;
  }

  async turn(): Promise<void> {
    this.#owesTurn = false;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Resolves when the descriptor is readable, or closed. */
  async wait(): Promise<void> {
    if (this.#closed) return;
    this.#owesTurn = false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#readiness) this.#readiness.start();
      else this.#readiness = this.#kernel.onReadable(this.#fd, this.#onReadable);
      if (!this.#keepsAlive) this.#readiness.unref();
    });
  }

  ref(): void {
    this.#keepsAlive = true;
    this.#readiness?.ref();
  }

  unref(): void {
    this.#keepsAlive = false;
    this.#readiness?.unref();
  }

  /** Wakes whoever waits. Must come before the descriptor is closed. */
  close(): void {
    this.#closed = true;
    this.#readiness?.close();
    this.#wake?.();
    this.#wake = undefined;
  }

  readonly #onReadable = (): void => {
    this.#readiness?.stop();
    this.#wake?.();
    this.#wake = undefined;
  };
}
