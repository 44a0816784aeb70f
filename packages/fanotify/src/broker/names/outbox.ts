// What a group is still to be told, in order: events, and answers to its requests. Nothing overtakes.

import {
  FAN_EVENT_METADATA_LEN,
  FAN_NOFD,
  FANOTIFY_METADATA_VERSION,
  HOST_IS_LITTLE_ENDIAN as LE,
} from '../../abi/index.ts';
import { SEQUENCE_TYPE } from '../../core/process/wire.ts';
import { OVERFLOW } from './bits.ts';

const MESSAGE_BYTES = 65_536;
const SEQUENCE_BYTES = 16;
/** No event has longer records: it would fit no message. */
export const MOST_RECORDS_BYTES: number = MESSAGE_BYTES - FAN_EVENT_METADATA_LEN - SEQUENCE_BYTES;
/** How many entries were sent before the room that they took is used again. */
const MOST_SENT = 1024;

/** An event, or an answer. */
export interface Entry {
  /** What is told of; 0 for nothing, and for an answer. */
  mask: number;
  pid: number;
  /** The kernel's records and ours, a byte a character: shared by all who are told the same. */
  records: string;
  /** Nobody knows yet whether it is told. */
  isUndecided: boolean;
  /** How much is kept for it besides, as long as nobody knows. */
  readonly heldBytes?: number;
  /** What takes its turn instead of an event. */
  readonly turn: (() => void) | undefined;
}

/** Where messages go. */
export interface Outlet {
  readonly isWritable: boolean;
  /** False when there is no room. */
  send(events: Uint8Array): boolean;
}

// One message is made at a time.
const message = Buffer.allocUnsafeSlow(MESSAGE_BYTES);
const view = new DataView(message.buffer, message.byteOffset, message.byteLength);

export class Outbox {
  delivered = 0;
  lost = 0;
  overflows = 0;
  bytes = 0;
  /** What waits and is told: of the rest nobody knows whether it is for whoever asks. */
  queued = 0;
  readonly #outlet: Outlet;
  #entries: Entry[] = [];
  /** How many of them are gone. */
  #head = 0;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  hasRoomFor(entry: Entry, mostBytes: number): boolean {
    return this.bytes + bytesOf(entry) <= mostBytes && entry.records.length <= MOST_RECORDS_BYTES;
  }

  /** Puts an event last, or if there is no room for it or it fits no message, an overflow in its place: false then. */
  push(entry: Entry, mostBytes: number): boolean {
    if (!this.hasRoomFor(entry, mostBytes)) {
      this.lost++;
      this.overflow();
      return false;
    }
    this.#push(entry);
    return true;
  }

  #push(entry: Entry): void {
    this.bytes += bytesOf(entry);
    if (isTold(entry)) this.queued++;
    this.#entries.push(entry);
  }

  /** Tells of a loss. */
  overflow(): void {
    const last = this.length > 0 ? this.#entries[this.#entries.length - 1] : undefined;
    if (last?.mask === OVERFLOW && !last.isUndecided) return;
    this.#push({ mask: OVERFLOW, pid: 0, records: '', isUndecided: false, turn: undefined });
  }

  /** Does something when all that is before it was sent. */
  inTurn(turn: () => void): void {
    this.#entries.push({ mask: 0, pid: 0, records: '', isUndecided: false, turn });
  }

  /** An entry says something else by now: of a loss, if that fits no message. */
  change(entry: Entry, mask: number, records: string): void {
    const fits = records.length <= MOST_RECORDS_BYTES;
    this.bytes -= bytesOf(entry);
    entry.mask = fits ? mask : OVERFLOW;
    entry.records = fits ? records : '';
    entry.isUndecided = false;
    this.bytes += bytesOf(entry);
    if (isTold(entry)) this.queued++;
    if (entry.mask === OVERFLOW) this.lost++;
  }

  /** Sends what is decided, as far as there is room for it. */
  flush(): void {
    while (this.length > 0 && this.#outlet.isWritable) {
      const first = this.#entries[this.#head] as Entry;
      if (first.isUndecided) return;
      if (first.turn) {
        this.#taken(1);
        first.turn();
      } else if (!this.#sendMessage()) {
        return;
      }
    }
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.bytes = 0;
    this.queued = 0;
  }

  /** One message, of what comes first; false when there is no room for it. */
  #sendMessage(): boolean {
    const entries = this.#entries;
    let next = this.#head;
    let at = 0;
    let events = 0;
    let losses = 0;
    let isLoss = false;
    for (; next < entries.length; next++) {
      const entry = entries[next] as Entry;
      if (entry.isUndecided || entry.turn) break;
      // Two losses in a row are one.
      if (entry.mask === 0 || (isLoss && entry.mask === OVERFLOW)) continue;
      if (at + SEQUENCE_BYTES + bytesOf(entry) > MESSAGE_BYTES) break;
      at = write(at, entry, events === 0 ? this.delivered + 1 : 0);
      isLoss = entry.mask === OVERFLOW;
      if (isLoss) losses++;
      events++;
    }
    if (events > 0 && !this.#outlet.send(message.subarray(0, at))) return false;
    this.delivered += events;
    // Counted when they are told: how many are one by then says what is between them.
    this.overflows += losses;
    this.#taken(next - this.#head);
    return true;
  }

  #taken(count: number): void {
    const entries = this.#entries;
    const end = this.#head + count;
    for (let at = this.#head; at < end; at++) {
      const entry = entries[at] as Entry;
      if (entry.turn) continue;
      this.bytes -= bytesOf(entry);
      if (isTold(entry)) this.queued--;
    }
    this.#head = end;
    if (end === entries.length) {
      this.clear();
    } else if (end > MOST_SENT && end * 2 > entries.length) {
      this.#entries = entries.slice(end);
      this.#head = 0;
    }
  }
}

function bytesOf({ records, isUndecided, heldBytes = 0 }: Entry): number {
  return FAN_EVENT_METADATA_LEN + records.length + (isUndecided ? heldBytes : 0);
}

function isTold({ mask, isUndecided, turn }: Entry): boolean {
  return mask !== 0 && !isUndecided && !turn;
}

/** Writes an event, and returns where it ends. */
function write(start: number, { mask, pid, records }: Entry, sequence: number): number {
  let end = start + FAN_EVENT_METADATA_LEN;
  if (sequence > 0) {
    view.setUint8(end, SEQUENCE_TYPE);
    view.setUint8(end + 1, 0);
    view.setUint16(end + 2, SEQUENCE_BYTES, LE);
    view.setUint32(end + 4, 0, LE);
    view.setUint32(end + (LE ? 8 : 12), sequence >>> 0, LE);
    view.setUint32(end + (LE ? 12 : 8), Math.floor(sequence / 2 ** 32), LE);
    end += SEQUENCE_BYTES;
  }
  if (records.length > 0) message.write(records, end, records.length, 'latin1');
  end += records.length;
  view.setUint32(start, end - start, LE);
  view.setUint8(start + 4, FANOTIFY_METADATA_VERSION);
  view.setUint8(start + 5, 0);
  view.setUint16(start + 6, FAN_EVENT_METADATA_LEN, LE);
  view.setUint32(start + (LE ? 8 : 12), mask, LE);
  view.setUint32(start + (LE ? 12 : 8), 0, LE);
  view.setInt32(start + 16, FAN_NOFD, LE);
  view.setInt32(start + 20, pid, LE);
  return end;
}
