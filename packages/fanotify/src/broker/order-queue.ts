// What the daemon's main process has to say to a broker, which may have no room for it now: nobody waits, and the order stays.

import { type Kernel, KernelError } from '../kernel/index.ts';
import type { Order } from './control.ts';

/** When the socket has no room, this is tried again after so long: the event loop tells of what can be read alone. */
const RETRY_MS = 5;

interface Outgoing {
  readonly bytes: Buffer;
  readonly descriptors: readonly number[];
}

export class OrderQueue {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #waiting: Outgoing[] = [];
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(kernel: Kernel, fd: number) {
    this.#kernel = kernel;
    this.#fd = fd;
  }

  /** Sends an order, now or when there is room. Its descriptors are closed here then. */
  push(order: Order, descriptors: readonly number[] = []): void {
    this.#waiting.push({ bytes: Buffer.from(JSON.stringify(order)), descriptors });
    if (this.#isClosed) this.#drop();
    else if (this.#waiting.length === 1) this.#flush();
  }

  /** Drops what waits, and what is said from now on. The socket stays open. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#drop();
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (!this.#send(next)) {
        this.#retry = setTimeout(() => this.#flush(), RETRY_MS);
        return;
      }
      this.#waiting.shift();
      for (const descriptor of next.descriptors) this.#kernel.close(descriptor);
    }
  }

  /** Whether it has gone out, or never will. */
  #send({ bytes, descriptors }: Outgoing): boolean {
    try {
      this.#kernel.sendMessage(this.#fd, bytes, descriptors);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Where the broker has ended, its exit tells it.
      return error.code !== 'EAGAIN' && error.code !== 'ETOOMANYREFS';
    }
  }

  #drop(): void {
    for (const { descriptors } of this.#waiting.splice(0)) {
      for (const descriptor of descriptors) this.#kernel.close(descriptor);
    }
  }
}
