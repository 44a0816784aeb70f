// Waits for a group's descriptor to become readable; under load lets events gather for a moment, since many small reads cost
// more than the events in them.

import type { Kernel, Readiness } from '../kernel/index.ts';

/** How long events gather between two reads under load, in milliseconds. The first event after a silence never waits. */
const GATHER_MS = 1;

/** The waiting end of a group. Nothing is watched, and nothing keeps the process alive, while nobody waits. */
export class Waiter {
  readonly #kernel: Kernel;
  readonly #fd: number;
  #readiness: Readiness | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #keepsAlive = true;
  #closed = false;

  constructor(kernel: Kernel, fd: number) {
    this.#kernel = kernel;
    this.#fd = fd;
  }

  /** Resolves when the descriptor is readable, or closed. */
  readable(): Promise<void> {
    return this.#wait(() => {
      if (this.#readiness) this.#readiness.start();
      else this.#readiness = this.#kernel.onReadable(this.#fd, this.#onReadable);
      if (!this.#keepsAlive) this.#readiness.unref();
    });
  }

  /** Resolves a moment later: timers and signals have run, and events have gathered. */
  gather(): Promise<void> {
    return this.#wait(() => {
      this.#timer = setTimeout(this.#onWake, GATHER_MS);
      if (!this.#keepsAlive) this.#timer.unref();
    });
  }

  /** Resolves as soon as timers and signals have had their turn. */
  turn(): Promise<void> {
    return this.#wait(() => setImmediate(this.#onWake));
  }

  ref(): void {
    this.#keepsAlive = true;
    this.#readiness?.ref();
    this.#timer?.ref();
  }

  unref(): void {
    this.#keepsAlive = false;
    this.#readiness?.unref();
    this.#timer?.unref();
  }

  /** Wakes whoever waits for the descriptor: what made it readable has been read by somebody else. */
  wake(): void {
    this.#readiness?.stop();
    this.#onWake();
  }

  /** Wakes whoever waits. Must come before the descriptor is closed. */
  close(): void {
    this.#closed = true;
    this.#readiness?.close();
    clearTimeout(this.#timer);
    this.#onWake();
  }

  async #wait(start: () => void): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      start();
    });
  }

  readonly #onReadable = (): void => {
    this.#readiness?.stop();
    this.#onWake();
  };

  readonly #onWake = (): void => {
    this.#wake?.();
    this.#wake = undefined;
  };
}
