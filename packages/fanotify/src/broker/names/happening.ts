// An event as it is told: the kernel's records, and without those of directories that somebody may not know of.

import { type EventCursor, HOST_IS_LITTLE_ENDIAN as LE, recordKey } from '../../abi/index.ts';
import type { HandleKey } from '../../identity/locator.ts';
import { ONDIR } from './bits.ts';
import { SIDE } from './hit.ts';

const RECORD_LENGTH = 2;
const METADATA_LENGTH = 6;

export class Happening {
  readonly bits: number;
  readonly pid: number;
  /** All records, a byte a character. */
  readonly records: string;
  /** Which records of directories it has, as bits. */
  readonly sides: number;
  /** The directory that it is of, if it is of one, and says so. */
  readonly target: HandleKey | undefined;
  /** Where they are among the records; -1 where there is none. */
  readonly #only: number;
  readonly #old: number;
  readonly #new: number;

  constructor(cursor: EventCursor, pid: number) {
    const { buffer, view, offset, end, maskLow } = cursor;
    this.bits = maskLow;
    this.pid = pid;
    this.target = (maskLow & ONDIR) !== 0 && cursor.fid !== 0 ? recordKey(cursor, cursor.fid) : undefined;
    const first = offset + view.getUint16(offset + METADATA_LENGTH, LE);
    this.records = buffer.toString('latin1', first, end);
    this.#only = cursor.dfid === 0 ? -1 : cursor.dfid - first;
    this.#old = cursor.oldDfid === 0 ? -1 : cursor.oldDfid - first;
    this.#new = cursor.newDfid === 0 ? -1 : cursor.newDfid - first;
    this.sides = (this.#only < 0 ? 0 : SIDE.only) | (this.#old < 0 ? 0 : SIDE.old) | (this.#new < 0 ? 0 : SIDE.new);
  }

  get isDirectory(): boolean {
    return (this.bits & ONDIR) !== 0;
  }

  /** The records, with those of these directories alone. */
  recordsOf(sides: number): string {
    const cut = this.sides & ~sides;
    if (cut === 0) return this.records;
    let records = '';
    let at = 0;
    // In this order the kernel has them.
    for (const start of [
      (cut & SIDE.only) === 0 ? -1 : this.#only,
      (cut & SIDE.old) === 0 ? -1 : this.#old,
      (cut & SIDE.new) === 0 ? -1 : this.#new,
    ]) {
      if (start < 0) continue;
      records += this.records.slice(at, start);
      at = start + this.#lengthAt(start);
    }
    return records + this.records.slice(at);
  }

  /** Of a record: two bytes, in the order of the machine. */
  #lengthAt(record: number): number {
    const [one, other] = [RECORD_LENGTH, RECORD_LENGTH + 1].map((at) => this.records.charCodeAt(record + at));
    return LE ? Number(one) | (Number(other) << 8) : Number(other) | (Number(one) << 8);
  }
}
