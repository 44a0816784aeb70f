// What the responder has to say to its owner, who may not listen: never waits, and never holds more than so much.

import { type Kernel, KernelError } from '../kernel/index.ts';
import { ASK_FRAME_BYTES } from './wire.ts';

/** When so much waits, what can wait elsewhere does. */
const ROOM_BYTES = 64 * 1024;

export class Outlet {
  readonly #kernel: Kernel;
  readonly #socket: number;
  #buffer: Buffer = Buffer.alloc(ROOM_BYTES * 2);
  #view: DataView = viewOf(this.#buffer);
  #start = 0;
  #end = 0;

  /** @param socket Does not block. */
  constructor(kernel: Kernel, socket: number) {
    this.#kernel = kernel;
    this.#socket = socket;
  }

  /** Whether something waits to be sent. */
  get isWaiting(): boolean {
    return this.#end > this.#start;
  }

  get hasRoom(): boolean {
    return this.#end - this.#start < ROOM_BYTES;
  }

  /** Takes an ask, if there is room; sent by the next {@link send}. */
  sayFixed(write: (view: DataView, at: number) => void): boolean {
    if (!this.hasRoom) return false;
    write(this.#view, this.#makeRoom(ASK_FRAME_BYTES));
    return true;
  }

  /** Takes a frame in any case: there are few of these. Sends what it can. */
  say(frame: Uint8Array): void {
    const at = this.#makeRoom(frame.byteLength);
    this.#buffer.set(frame, at);
    this.send();
  }

  /** Sends as much as the socket takes. */
  send(): void {
    try {
      while (this.isWaiting) {
        const taken = this.#kernel.write(this.#socket, this.#buffer.subarray(this.#start, this.#end));
        this.#start += taken;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN') return;
      // The owner hears nothing any more: that it is gone is told by its pidfd.
    }
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(bytes: number): number {
    if (this.#end + bytes > this.#buffer.byteLength) {
      const waiting = this.#end - this.#start;
      const buffer = waiting + bytes > this.#buffer.byteLength ? Buffer.alloc((waiting + bytes) * 2) : this.#buffer;
      this.#buffer.copy(buffer, 0, this.#start, this.#end);
      this.#buffer = buffer;
      this.#view = viewOf(buffer);
      this.#start = 0;
      this.#end = waiting;
    }
    const at = this.#end;
    this.#end += bytes;
    return at;
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
