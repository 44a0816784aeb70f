// Entries in order as bytes: a path is written as what it shares with the one before, and the rest. Blocks stand alone, so that reading
// can begin at any.
//
// An entry: shared length and length of the rest (varints), the rest, a byte of flags and type, inode number (8), size (varint), time of
// modification (8), then what the flags do not say: device (8), time of change of status (8), birth (4). Little-endian.

import type { Known, Listed } from './baseline.ts';
import type { EntryType } from './change.ts';
import { comparePaths } from './path-order.ts';

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
  #length = 0;
  #last: Buffer = NOTHING;
  #device = 0n;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(expectedBytes + 1024);
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
    at = bytes.writeBigUInt64LE(known.ino, at);
    at = putNumber(bytes, at, known.size);
    at = bytes.writeBigInt64LE(known.mtimeNs, at);
    if (!(flags & SAME_DEVICE)) at = bytes.writeBigUInt64LE(known.device, at);
    if (!(flags & SAME_TIMES)) at = bytes.writeBigInt64LE(known.ctimeNs, at);
    if (!(flags & NO_BIRTH)) at = bytes.writeUInt32LE(known.born, at);
    this.#length = at;
    this.#last = path;
    this.#device = known.device;
  }

  #grow(pathLength: number): void {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes.length * 2 + pathLength + MOST);
    this.#bytes.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
  }
}

/** Reads a block, entry by entry. */
export class BlockReader {
  readonly #bytes: Buffer;
  #at = 0;
  #path: Buffer = Buffer.allocUnsafe(256);
  #pathLength = 0;
  /** Where what is kept of the entry begins. */
  #knownAt = 0;
  #device = 0n;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Goes on to the next entry; false at the end. */
  next(): boolean {
    const bytes = this.#bytes;
    if (this.#at >= bytes.length) return false;
    const shared = this.#number();
    const rest = this.#number();
    if (shared + rest > this.#path.length) this.#path = Buffer.concat([this.#path], (shared + rest) * 2);
    bytes.copy(this.#path, shared, this.#at, this.#at + rest);
    this.#pathLength = shared + rest;
    this.#at += rest;
    this.#knownAt = this.#at;
    const flags = bytes[this.#at] as number;
    this.#at += 9;
    while ((bytes[this.#at++] as number) >= 0x80);
    this.#at += 8;
    if (!(flags & SAME_DEVICE)) {
      this.#device = bytes.readBigUInt64LE(this.#at);
      this.#at += 8;
    }
    this.#at += (flags & SAME_TIMES ? 0 : 8) + (flags & NO_BIRTH ? 0 : 4);
    return true;
  }

  /** Goes on to the first entry that is at `path` or after it; false when there is none in this block. */
  seek(path: Buffer): boolean {
    while (this.next()) if (comparePaths(this.pathNow(), path) >= 0) return true;
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
    const bytes = this.#bytes;
    const end = this.#at;
    const flags = bytes[this.#knownAt] as number;
    const type = TYPES[flags & TYPE_MASK];
    if (type === undefined) throw new RangeError(`there is no type ${flags & TYPE_MASK}`);
    const ino = bytes.readBigUInt64LE(this.#knownAt + 1);
    this.#at = this.#knownAt + 9;
    const size = this.#number();
    let at = this.#at;
    this.#at = end;
    const mtimeNs = bytes.readBigInt64LE(at);
    at += flags & SAME_DEVICE ? 8 : 16;
    const ctimeNs = flags & SAME_TIMES ? mtimeNs : bytes.readBigInt64LE(at);
    if (!(flags & SAME_TIMES)) at += 8;
    const born = flags & NO_BIRTH ? 0 : bytes.readUInt32LE(at);
    return { type, ino, device: this.#device, born, size, mtimeNs, ctimeNs };
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
