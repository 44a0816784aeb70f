// Entries by directory and name: hash tables with open addressing, in arrays of numbers. There are many, so that none takes long to grow.

import { allocate, type EntryStore, hashOf, PARENT, type Slot } from './entry-store.ts';

const PARTS_BITS = 6;
const FIRST_LENGTH = 16;

/** The entries with the same first bits. The length is a power of two; 0 is free. */
interface Part {
  slots: Int32Array;
  count: number;
}

/** Finds entries of a store. */
export class EntryTable {
  /** How many entries. */
  count = 0;
  readonly #store: EntryStore;
  readonly #parts: readonly Part[] = Array.from({ length: 1 << PARTS_BITS }, () => ({
    slots: new Int32Array(FIRST_LENGTH),
    count: 0,
  }));

  constructor(store: EntryStore) {
    this.#store = store;
  }

  /** The entry of a directory whose name is in these bytes; 0 when there is none. */
  find(parent: Slot, bytes: Uint8Array, start: number, end: number): Slot {
    const hash = hashOf(parent, bytes, start, end);
    const { slots } = this.#part(hash);
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = slots[at] as Slot;
      if (slot === 0) return 0;
      if (this.#store.link(slot, PARENT) === parent && this.#store.isNamed(slot, bytes, start, end)) return slot;
    }
  }

  enter(slot: Slot): void {
    const hash = this.#store.hash(slot);
    const part = this.#part(hash);
    this.count++;
    part.count++;
    if (part.count * 3 > part.slots.length * 2) this.#grow(part);
    put(part.slots, slot, hash);
  }

  /** Before its name or directory changes. */
  leave(slot: Slot): void {
    const hash = this.#store.hash(slot);
    const part = this.#part(hash);
    this.count--;
    part.count--;
    const { slots } = part;
    const mask = slots.length - 1;
    let gap = hash & mask;
    while (slots[gap] !== slot) gap = (gap + 1) & mask;
    // What comes behind and was pushed on from here, or from before, comes back (Knuth, 6.4, algorithm R).
    for (let at = (gap + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const moving = slots[at] as Slot;
      const wanted = this.#store.hash(moving) & mask;
      if (((at - wanted) & mask) < ((at - gap) & mask)) continue;
      slots[gap] = moving;
      gap = at;
    }
    slots[gap] = 0;
  }

  #part(hash: number): Part {
    return this.#parts[hash >>> (32 - PARTS_BITS)] as Part;
  }

  #grow(part: Part): void {
    const old = part.slots;
    part.slots = allocate(() => new Int32Array(old.length * 2));
    for (const slot of old) if (slot !== 0) put(part.slots, slot, this.#store.hash(slot));
  }
}

function put(slots: Int32Array, slot: Slot, hash: number): void {
  const mask = slots.length - 1;
  let at = hash & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = slot;
}
