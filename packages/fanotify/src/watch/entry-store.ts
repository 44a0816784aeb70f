// Many entries in little memory: numbers in typed arrays that the garbage collector does not look into, names in one buffer.
// About 90 bytes an entry, however they are spread over directories.

import type { Known } from './baseline.ts';
import type { EntryType } from './change.ts';
import { BaselineError } from './errors.ts';

/** The number of an entry; 0 is none. */
export type Slot = number;

// 64 bytes a slot, a cache line.
const WORDS = 16;
export const PARENT = 0;
export const NEXT = 1;
export const PREVIOUS = 2;
export const LAST_CHILD = 3;
const BORN = 4;
const NAME = 5;
const NAME_LENGTH = 6;
/** Device (24 bits), flags (5), type and 1 (3; 0: nothing is kept). */
const WORD_OF_DEVICE = 7;
// The same in words of 64 bits.
const INO = 4;
const SIZE = 5;
const MTIME = 6;
const CTIME = 7;

const TYPES: readonly EntryType[] = ['unknown', 'file', 'directory', 'symlink', 'other'];
const TYPE_MASK = 7;
const FLAGS_MASK = 0xff;
/** Slots are taken as many at once: nothing has to be copied when there are more. */
const SLAB_BITS = 10;
const SLAB_MASK = (1 << SLAB_BITS) - 1;

type Link = typeof PARENT | typeof NEXT | typeof PREVIOUS | typeof LAST_CHILD;

/** Fields of entries, by slot: what is kept of them, where they are, and their names. */
export class EntryStore {
  // By slab; the three are views of the same bytes.
  readonly #words: Uint32Array[] = [];
  readonly #longs: BigInt64Array[] = [];
  readonly #doubles: Float64Array[] = [];
  #used = 1;
  #free: Slot = 0;
  #names: Buffer = Buffer.alloc(1024);
  #namesEnd = 0;
  #namesLost = 0;
  readonly #devices: bigint[] = [];
  readonly #deviceNumbers = new Map<bigint, number>();

  /** A new slot, all zero but for its name. */
  add(bytes: Uint8Array, start: number, end: number): Slot {
    let slot = this.#free;
    if (slot !== 0) this.#free = this.#word(slot, NEXT);
    else slot = this.#used++;
    if (slot >>> SLAB_BITS >= this.#words.length) this.#grow();
    const first = (slot & SLAB_MASK) * WORDS;
    (this.#words[slot >>> SLAB_BITS] as Uint32Array).fill(0, first, first + WORDS);
    this.setName(slot, bytes, start, end);
    return slot;
  }

  remove(slot: Slot): void {
    this.#namesLost += this.nameLength(slot);
    this.#setWord(slot, NAME_LENGTH, 0);
    this.#setWord(slot, NEXT, this.#free);
    this.#free = slot;
    this.#setWord(slot, WORD_OF_DEVICE, 0);
  }

  /** A slot that this one points to. */
  link(slot: Slot, link: Link): Slot {
    return this.#word(slot, link);
  }

  setLink(slot: Slot, link: Link, to: Slot): void {
    this.#setWord(slot, link, to);
  }

  /** Whether anything is kept of it: else it only leads to what is below. */
  isKnown(slot: Slot): boolean {
    return (this.#word(slot, WORD_OF_DEVICE) & TYPE_MASK) !== 0;
  }

  known(slot: Slot): Known | undefined {
    const word = this.#word(slot, WORD_OF_DEVICE);
    const type = TYPES[(word & TYPE_MASK) - 1];
    if (type === undefined) return undefined;
    const longs = this.#longs[slot >>> SLAB_BITS] as BigInt64Array;
    const doubles = this.#doubles[slot >>> SLAB_BITS] as Float64Array;
    const start = (slot & SLAB_MASK) * (WORDS / 2);
    return {
      type,
      ino: BigInt.asUintN(64, longs[start + INO] as bigint),
      device: this.#devices[word >>> 8] as bigint,
      born: this.#word(slot, BORN),
      size: doubles[start + SIZE] as number,
      mtimeNs: longs[start + MTIME] as bigint,
      ctimeNs: longs[start + CTIME] as bigint,
    };
  }

  setKnown(slot: Slot, known: Known): void {
    const flags = this.#word(slot, WORD_OF_DEVICE) & FLAGS_MASK & ~TYPE_MASK;
    const word = this.#deviceNumber(known.device) * 0x100 + (flags | (TYPES.indexOf(known.type) + 1));
    this.#setWord(slot, WORD_OF_DEVICE, word);
    this.#setWord(slot, BORN, known.born);
    const longs = this.#longs[slot >>> SLAB_BITS] as BigInt64Array;
    const doubles = this.#doubles[slot >>> SLAB_BITS] as Float64Array;
    const start = (slot & SLAB_MASK) * (WORDS / 2);
    longs[start + INO] = known.ino;
    doubles[start + SIZE] = known.size;
    longs[start + MTIME] = known.mtimeNs;
    longs[start + CTIME] = known.ctimeNs;
  }

  forgetKnown(slot: Slot): void {
    this.#setWord(slot, WORD_OF_DEVICE, this.#word(slot, WORD_OF_DEVICE) & FLAGS_MASK & ~TYPE_MASK);
  }

  hasFlag(slot: Slot, flag: number): boolean {
    return (this.#word(slot, WORD_OF_DEVICE) & flag) !== 0;
  }

  setFlag(slot: Slot, flag: number, on: boolean): void {
    const word = this.#word(slot, WORD_OF_DEVICE);
    this.#setWord(slot, WORD_OF_DEVICE, on ? word | flag : word & ~flag);
  }

  nameLength(slot: Slot): number {
    return this.#word(slot, NAME_LENGTH);
  }

  copyName(slot: Slot, target: Uint8Array, at: number): void {
    const start = this.#word(slot, NAME);
    const length = this.nameLength(slot);
    for (let index = 0; index < length; index++) {
      target[at + index] = this.#names[start + index] as number;
    }
  }

  setName(slot: Slot, bytes: Uint8Array, start: number, end: number): void {
    this.#namesLost += this.nameLength(slot);
    this.#setWord(slot, NAME_LENGTH, 0);
    const length = end - start;
    if (this.#namesEnd + length > this.#names.length) this.#makeRoomForNames(length);
    for (let index = start; index < end; index++) this.#names[this.#namesEnd + index - start] = bytes[index] as number;
    this.#setWord(slot, NAME, this.#namesEnd);
    this.#setWord(slot, NAME_LENGTH, length);
    this.#namesEnd += length;
  }

  isNamed(slot: Slot, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.nameLength(slot) !== end - start) return false;
    const offset = this.#word(slot, NAME) - start;
    for (let index = start; index < end; index++) if (this.#names[offset + index] !== bytes[index]) return false;
    return true;
  }

  compareNames(a: Slot, b: Slot): number {
    const [startA, startB] = [this.#word(a, NAME), this.#word(b, NAME)];
    const [lengthA, lengthB] = [this.nameLength(a), this.nameLength(b)];
    for (let index = 0; index < lengthA && index < lengthB; index++) {
      const difference = (this.#names[startA + index] as number) - (this.#names[startB + index] as number);
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }

  /** A number made of a name and the directory that it is in. */
  hash(slot: Slot): number {
    const start = this.#word(slot, NAME);
    return hashOf(this.#word(slot, PARENT), this.#names, start, start + this.nameLength(slot));
  }

  #word(slot: Slot, word: number): number {
    return (this.#words[slot >>> SLAB_BITS] as Uint32Array)[(slot & SLAB_MASK) * WORDS + word] as number;
  }

  #setWord(slot: Slot, word: number, value: number): void {
    (this.#words[slot >>> SLAB_BITS] as Uint32Array)[(slot & SLAB_MASK) * WORDS + word] = value;
  }

  #deviceNumber(device: bigint): number {
    let number = this.#deviceNumbers.get(device);
    if (number === undefined) {
      number = this.#devices.push(device) - 1;
      this.#deviceNumbers.set(device, number);
    }
    return number;
  }

  #grow(): void {
    const bytes = allocate(() => new ArrayBuffer((SLAB_MASK + 1) * WORDS * 4));
    this.#words.push(new Uint32Array(bytes));
    this.#longs.push(new BigInt64Array(bytes));
    this.#doubles.push(new Float64Array(bytes));
  }

  /** Takes more room, or where much of it is lost, puts the names that are in use together. */
  #makeRoomForNames(length: number): void {
    const old = this.#names;
    const isWorthwhile = this.#namesLost > old.length / 2;
    const bytes = isWorthwhile ? old.length + length : old.length * 2 + length;
    this.#names = allocate(() => Buffer.allocUnsafeSlow(bytes));
    if (!isWorthwhile) {
      old.copy(this.#names, 0, 0, this.#namesEnd);
      return;
    }
    let end = 0;
    for (let slot = 1; slot < this.#used; slot++) {
      const start = this.#word(slot, NAME);
      this.#setWord(slot, NAME, end);
      end += old.copy(this.#names, end, start, start + this.nameLength(slot));
    }
    this.#namesEnd = end;
    this.#namesLost = 0;
  }
}

/** A number made of the name in these bytes and the directory that it is in. */
export function hashOf(parent: Slot, bytes: Uint8Array, start: number, end: number): number {
  // FNV-1a, begun with the directory and mixed at the end.
  let hash = Math.imul(parent ^ 0x811c9dc5, 0x9e3779b1);
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
}

/** Takes memory, as much as there may not be. */
export function allocate<T>(take: () => T): T {
  try {
    return take();
  } catch (cause) {
    throw new BaselineError('there is no memory for what is known of the tree: keep it in a file, or leave out more', {
      cause,
    });
  }
}
