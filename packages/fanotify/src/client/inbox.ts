// What a group has received of the daemon and not read yet: read as from a group of the kernel.

import {
  FAN_EVENT_METADATA_LEN,
  FAN_NOFD,
  FAN_Q_OVERFLOW,
  FANOTIFY_METADATA_VERSION,
  HOST_IS_LITTLE_ENDIAN as LE,
} from '../abi/index.ts';
import type { EventMessage } from './connection.ts';
import { EventCopier, eventBytes, type Told, type Wanted } from './kernel-bytes.ts';

/** Events in their order. */
export class Inbox {
  readonly #copier: EventCopier;
  readonly #messages: { readonly bytes: Buffer; readonly view: DataView }[] = [];
  /** How far the first has been read. */
  #at = 0;
  #count = 0;
  #bytes = 0;

  constructor(wanted: Wanted, told: Told) {
    this.#copier = new EventCopier(wanted, told);
  }

  /** How many events wait. */
  get count(): number {
    return this.#count;
  }

  /** How many bytes they have, ours included. */
  get bytes(): number {
    return this.#bytes;
  }

  put({ bytes, count }: Pick<EventMessage, 'bytes' | 'count'>): void {
    this.#messages.push({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
    this.#count += count;
    this.#bytes += bytes.length;
  }

  /** Says that events were lost here. */
  putOverflow(): void {
    const bytes = Buffer.alloc(FAN_EVENT_METADATA_LEN);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    view.setUint32(0, bytes.length, LE);
    view.setUint8(4, FANOTIFY_METADATA_VERSION);
    view.setUint16(6, FAN_EVENT_METADATA_LEN, LE);
    view.setBigUint64(8, FAN_Q_OVERFLOW, LE);
    view.setInt32(16, FAN_NOFD, LE);
    this.put({ bytes, count: 1 });
  }

  /** Fills a buffer with whole events; tells how many bytes. */
  read(buffer: Uint8Array): number {
    let written = 0;
    for (let message = this.#messages[0]; message; message = this.#messages[0]) {
      const { bytes, view } = message;
      while (this.#at < bytes.length) {
        const length = this.#copier.copy(bytes, view, this.#at, buffer, written);
        if (length === 0) return written;
        const own = eventBytes(view, this.#at);
        written += length;
        this.#at += own;
        this.#bytes -= own;
        this.#count--;
      }
      this.#messages.shift();
      this.#at = 0;
    }
    return written;
  }
}
