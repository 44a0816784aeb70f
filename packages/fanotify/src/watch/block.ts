// Entries in order as bytes: a path is written as what it shares with the one before, and the rest. Blocks stand alone, so that reading
// can begin at any.
//
// An entry: shared length and length of the rest (varints), the rest, a byte of flags and type, inode number (8), size (varint), time of
// modification (8), then what the flags do not say: device (8), time of change of status (8), birth (4). Little-endian.

import type { Known, Listed } from './baseline.ts';
import type { EntryType } from './change.ts';
import { isAfter } from './path-order.ts';

const TYPES: readonly EntryType[] = ['unknown', 'file', 'directory', 'symlink', 'other'];
const TYPE_MASK = 7;
const SAME_DEVICE = 0x08;
const SAME_TIMES = 0x10;
const NO_BIRTH = 0x20;
/** All of an entry but its path, at most. */
const MOST = 5 + 5 + 1 + 8 + 8 + 8 + 8 + 8 + 4;
const NOTHING = Buffer.alloc(0);

/** Writes a block. */
export class BlockWriter {
  #bytes: Buffer;
  #view: DataView;
  #length = 0;
  #last: Buffer = NOTHING;
  #device = 0n;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(expectedBytes + 1024);
    this.#view = viewOf(this.#bytes);
  }

  /** The last path. */
  get last(): Buffer {
    return this.#last;
  }

  get length(): number {
    return this.#length;
  }

  /** What is written, until more is. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
    this.#last = NOTHING;
    this.#device = 0n;
  }

  add(path: Buffer, known: Known): void {
    if (this.#length + path.length + MOST > this.#bytes.length) this.#grow(path.length);
    const bytes = this.#bytes;
    const shared = sharedLength(this.#last, path);
    let at = putNumber(bytes, this.#length, shared);
    at = putNumber(bytes, at, path.length - shared);
    at += path.copy(bytes, at, shared);
    const flags =
      (known.device === this.#device ? SAME_DEVICE : 0) |
      (known.ctimeNs === known.mtimeNs ? SAME_TIMES : 0) |
      (known.born === 0 ? NO_BIRTH : 0);
    bytes[at++] = flags | TYPES.indexOf(known.type);
    const view = this.#view;
    view.setBigUint64(at, known.ino, true);
    at = putNumber(bytes, at + 8, known.size);
    view.setBigInt64(at, known.mtimeNs, true);
    at += 8;
    if (!(flags & SAME_DEVICE)) {
      view.setBigUint64(at, known.device, true);
      at += 8;
    }
    if (!(flags & SAME_TIMES)) {
      view.setBigInt64(at, known.ctimeNs, true);
      at += 8;
    }
    if (!(flags & NO_BIRTH)) {
      view.setUint32(at, known.born, true);
      at += 4;
    }
    this.#length = at;
    this.#last = path;
    this.#device = known.device;
  }

  #grow(pathLength: number): void {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes.length * 2 + pathLength + MOST);
    this.#bytes.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

/** Reads a block, entry by entry. */
export class BlockReader {
  readonly #bytes: Buffer;
  // Much faster than a buffer's own methods for 64 bits.
  readonly #view: DataView;
  #at = 0;
  #path: Buffer = Buffer.allocUnsafe(256);
  #pathLength = 0;
  /** Where what is kept of the entry begins. */
  #knownAt = 0;
  #shared = 0;
  /** Where the last device is written. */
  #deviceAt = -1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  /** Goes on to the next entry; false at the end. */
  next(): boolean {
    const bytes = this.#bytes;
    if (this.#at >= bytes.length) return false;
    const shared = this.#number();
    const rest = this.#number();
    if (shared + rest > this.#path.length) this.#path = Buffer.concat([this.#path], (shared + rest) * 2);
    const path = this.#path;
    let at = this.#at;
    for (let index = shared; index < shared + rest; index++) path[index] = bytes[at++] as number;
    this.#shared = shared;
    this.#pathLength = shared + rest;
    this.#knownAt = at;
    const flags = bytes[at] as number;
    at += 9;
    while ((bytes[at++] as number) >= 0x80);
    at += 8;
    if (!(flags & SAME_DEVICE)) {
      this.#deviceAt = at;
      at += 8;
    }
    this.#at = at + (flags & SAME_TIMES ? 0 : 8) + (flags & NO_BIRTH ? 0 : 4);
    return true;
  }

  /** From the beginning, goes on to the first entry that is at `path` or after it; false when there is none in this block. */
  seek(path: Buffer): boolean {
    // How much the entry before this one has in common with what is sought. Since both come after it, the bytes that this one shares
    // with it say how they compare, unless they are just as many.
    let common = 0;
    while (this.next()) {
      if (this.#shared > common) continue;
      if (this.#shared < common) return true;
      const most = Math.min(this.#pathLength, path.length);
      while (common < most && this.#path[common] === path[common]) common++;
      if (common === path.length) return true;
      if (common < this.#pathLength && isAfter(this.#path[common] as number, path[common] as number)) return true;
    }
    return false;
  }

  /** The path of the entry, until the next. */
  pathNow(): Buffer {
    return this.#path.subarray(0, this.#pathLength);
  }

  listed(): Listed {
    return { path: Buffer.from(this.pathNow()), known: this.known() };
  }

  known(): Known {
    const view = this.#view;
    const end = this.#at;
    const flags = view.getUint8(this.#knownAt);
    const type = TYPES[flags & TYPE_MASK];
    if (type === undefined) throw new RangeError(`there is no type ${flags & TYPE_MASK}`);
    const ino = view.getBigUint64(this.#knownAt + 1, true);
    this.#at = this.#knownAt + 9;
    const size = this.#number();
    let at = this.#at;
    this.#at = end;
    const mtimeNs = view.getBigInt64(at, true);
    at += flags & SAME_DEVICE ? 8 : 16;
    const ctimeNs = flags & SAME_TIMES ? mtimeNs : view.getBigInt64(at, true);
    if (!(flags & SAME_TIMES)) at += 8;
    const born = flags & NO_BIRTH ? 0 : view.getUint32(at, true);
    const device = this.#deviceAt < 0 ? 0n : view.getBigUint64(this.#deviceAt, true);
    return { type, ino, device, born, size, mtimeNs, ctimeNs };
  }

  #number(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }
}

function putNumber(bytes: Buffer, at: number, value: number): number {
  let end = at;
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes[end++] = (left % 0x80) | 0x80;
  bytes[end++] = left;
  return end;
}

function sharedLength(a: Buffer, b: Buffer): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
