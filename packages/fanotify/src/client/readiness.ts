// Tells when a group through the daemon has something to read: its socket, or what has been received and not read.

import type { Kernel, Readiness } from '../kernel/index.ts';

/** A {@link Readiness} whose descriptor may be another one day: the daemon has been started again. */
export class BrokeredReadiness implements Readiness {
  readonly #kernel: Kernel;
  readonly #listener: () => void;
  readonly #hasWaiting: () => boolean;
  readonly #onAlive: () => void;
  #socket: Readiness | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #isStarted = true;
  #isReferenced = true;
  #isClosed = false;

  /**
   * @param hasWaiting Whether something has been received and not read.
   * @param onAlive Told that {@link keepsAlive} may have changed.
   */
  constructor(kernel: Kernel, listener: () => void, hasWaiting: () => boolean, onAlive: () => void) {
    this.#kernel = kernel;
    this.#listener = listener;
    this.#hasWaiting = hasWaiting;
    this.#onAlive = onAlive;
    this.poke();
  }

  /** Whether somebody waits, and the process is not to end meanwhile. */
  get keepsAlive(): boolean {
    return this.#isStarted && this.#isReferenced && !this.#isClosed;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on this socket is watched; undefined while there is none. Before the old one is closed. */
  attach(fd: number | undefined): void {
    this.#socket?.close();
    this.#socket = undefined;
    if (fd === undefined || this.#isClosed) return;
    this.#socket = this.#kernel.onReadable(fd, this.#listener);
    if (!this.#isStarted) this.#socket.stop();
    if (!this.#isReferenced) this.#socket.unref();
  }

  /** Something has been received. */
  poke(): void {
    if (!this.#isStarted || this.#isClosed || !this.#hasWaiting()) return;
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      if (!this.#isStarted || this.#isClosed) return;
      this.#listener();
      this.poke();
    });
  }

  ref(): void {
    this.#isReferenced = true;
    this.#socket?.ref();
    this.#onAlive();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#socket?.unref();
    this.#onAlive();
  }

  start(): void {
    if (this.#isClosed) return;
    this.#isStarted = true;
    this.#socket?.start();
    // Starting takes it back.
    if (!this.#isReferenced) this.#socket?.unref();
    this.#onAlive();
    this.poke();
  }

  stop(): void {
    this.#isStarted = false;
    this.#socket?.stop();
    this.#onAlive();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#socket?.close();
    this.#socket = undefined;
    this.#onAlive();
  }
}
