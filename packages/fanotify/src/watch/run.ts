// Entries in order in a temporary file. Nothing is changed once it is written; more can be added behind. In memory are the first path of
// each block of 8 KiB (less than a byte an entry), the last block and some that were read.

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Known, Listed } from './baseline.ts';
import { BlockReader, BlockWriter } from './block.ts';
import { PathList } from './path-list.ts';
import { comparePaths, isAtOrBelow } from './path-order.ts';

const BLOCK_BYTES = 8192;
const MOST_CACHED = 128;
/** Read at once in a scan. */
const AHEAD_BYTES = 65_536;

const NOTHING = Buffer.alloc(0);

/** What is at a path, and whether anything can be below it. */
export interface Look {
  readonly known: Known | undefined;
  readonly mayHaveBelow: boolean;
}

/** Something that can be asked for entries. */
export interface Layer {
  look(path: Buffer): Look;
  /** The entry itself and all below it, in order; with `past`, a path below it, only what comes after that and all below that. */
  scan(root: Buffer, past?: Buffer): Iterable<Listed>;
}

/** A {@link Layer} in a file that has no name and is gone with this process at the latest. */
export class Run implements Layer {
  /** How many entries. */
  size = 0;
  readonly #fd: number;
  readonly #blockBytes: number;
  readonly #writer: BlockWriter;
  /** The first path of each block, also of the last one, which is not written yet. */
  readonly #firsts = new PathList();
  /** Where each written block begins, and where the next one will. */
  readonly #offsets: number[] = [0];
  #last: Buffer = NOTHING;
  readonly #cache = new Map<number, Buffer>();

  constructor(directory: string = tmpdir(), blockBytes: number = BLOCK_BYTES) {
    const path = join(directory, `.fanotify-baseline-${randomBytes(12).toString('hex')}`);
    this.#fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    this.#blockBytes = blockBytes;
    this.#writer = new BlockWriter(blockBytes);
  }

  /** Whether something may be added at this path. */
  isBehind(path: Buffer): boolean {
    return this.size === 0 || comparePaths(this.#last, path) < 0;
  }

  /** Adds an entry behind all others. */
  add(path: Buffer, known: Known): void {
    const writer = this.#writer;
    if (writer.length >= this.#blockBytes) this.#flush();
    if (writer.length === 0) this.#firsts.add(path);
    writer.add(path, known);
    this.#last = path;
    this.size++;
  }

  look(path: Buffer): Look {
    const block = this.#blockOf(path);
    if (block < 0) return { known: undefined, mayHaveBelow: this.#isFirstBelow(0, path) };
    const reader = new BlockReader(this.#read(block));
    let found = reader.seek(path);
    const known = found && reader.pathNow().equals(path) ? reader.known() : undefined;
    if (known) found = reader.next();
    return { known, mayHaveBelow: found ? isAtOrBelow(reader.pathNow(), path) : this.#isFirstBelow(block + 1, path) };
  }

  *scan(root: Buffer, past?: Buffer): Iterable<Listed> {
    const start = Math.max(0, past ? this.#blockPast(past) : this.#blockOf(root));
    // Of its own: what is cached may go while the caller has the loop.
    let ahead: Buffer = NOTHING;
    let from = start;
    let until = start;
    // Few at first, since the rest may not be wanted.
    let aheadBytes = 0;
    for (let block = start; block < this.#firsts.length; block++) {
      const isWritten = block + 1 < this.#offsets.length;
      if (block === until && isWritten) {
        from = block;
        until = this.#until(from, aheadBytes);
        aheadBytes = AHEAD_BYTES;
        const bytes = this.#offset(until) - this.#offset(from);
        if (ahead.length < bytes) ahead = Buffer.allocUnsafeSlow(bytes);
        this.#readInto(ahead.subarray(0, bytes), this.#offset(from));
      }
      const base = this.#offset(from);
      const bytes = isWritten ? ahead.subarray(this.#offset(block) - base, this.#offset(block + 1) - base) : undefined;
      const reader = new BlockReader(bytes ?? this.#writer.bytes());
      let more = block === start ? reader.seek(past ?? root) : reader.next();
      if (past && block === start) while (more && isAtOrBelow(reader.pathNow(), past)) more = reader.next();
      for (; more; more = reader.next()) {
        if (!isAtOrBelow(reader.pathNow(), root)) return;
        yield reader.listed();
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
    this.#cache.clear();
  }

  #isFirstBelow(block: number, path: Buffer): boolean {
    const first = this.#firsts.at(block);
    return first !== undefined && isAtOrBelow(first, path);
  }

  /** The block that an entry is in, if it is there; -1 when it is before all. */
  #blockOf(path: Buffer): number {
    return this.#lastBlock((first) => comparePaths(first, path) <= 0);
  }

  /** The block in which what comes after a path and all below it begins, or which ends right before that. */
  #blockPast(path: Buffer): number {
    return this.#lastBlock((first) => comparePaths(first, path) <= 0 || isAtOrBelow(first, path));
  }

  /** The last block for whose first path this holds, as it does for those of all before it; -1 when there is none. */
  #lastBlock(holds: (first: Buffer) => boolean): number {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.#firsts.at(middle) as Buffer)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #offset(block: number): number {
    return this.#offsets[block] as number;
  }

  /** The block after those that are read at once: one, or as many as are not more than so many bytes. */
  #until(from: number, bytes: number): number {
    let until = from + 1;
    while (until + 1 < this.#offsets.length && this.#offset(until + 1) - this.#offset(from) <= bytes) until++;
    return until;
  }

  #read(block: number): Buffer {
    const start = this.#offset(block);
    const end = this.#offsets[block + 1];
    if (end === undefined) return this.#writer.bytes();
    let whole = this.#cache.get(block);
    if (!whole) {
      const [oldest] = this.#cache.size < MOST_CACHED ? [] : this.#cache.keys();
      const room = oldest === undefined ? undefined : this.#cache.get(oldest);
      if (oldest !== undefined) this.#cache.delete(oldest);
      whole = room && room.length >= end - start ? room : Buffer.allocUnsafeSlow(end - start + 256);
      this.#readInto(whole.subarray(0, end - start), start);
      this.#cache.set(block, whole);
    }
    return whole.subarray(0, end - start);
  }

  #readInto(bytes: Buffer, start: number): void {
    for (let read = 0; read < bytes.length; ) {
      const more = readSync(this.#fd, bytes, read, bytes.length - read, start + read);
      if (more === 0) throw new RangeError('the file is shorter than what was written');
      read += more;
    }
  }

  #flush(): void {
    const bytes = this.#writer.bytes();
    const start = this.#offsets.at(-1) ?? 0;
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#fd, bytes, written, bytes.length - written, start + written);
    }
    this.#offsets.push(start + bytes.length);
    this.#writer.clear();
  }
}
