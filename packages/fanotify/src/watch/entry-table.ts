// Entries by directory and name: a hash table with open addressing, in one array of numbers.

import { allocate, type EntryStore, hashOf, PARENT, type Slot } from './entry-store.ts';

const FIRST_LENGTH = 64;

/** Finds entries of a store. */
export class EntryTable {
  /** How many entries. */
  count = 0;
  readonly #store: EntryStore;
  /** The length is a power of two; 0 is free. */
  #slots = new Int32Array(FIRST_LENGTH);

  constructor(store: EntryStore) {
    this.#store = store;
  }

  /** The entry of a directory whose name is in these bytes; 0 when there is none. */
  find(parent: Slot, bytes: Uint8Array, start: number, end: number): Slot {
    const mask = this.#slots.length - 1;
    for (let at = hashOf(parent, bytes, start, end) & mask; ; at = (at + 1) & mask) {
      const slot = this.#slots[at] as Slot;
      if (slot === 0) return 0;
      if (this.#store.link(slot, PARENT) === parent && this.#store.isNamed(slot, bytes, start, end)) return slot;
    }
  }

  enter(slot: Slot): void {
    this.count++;
    if (this.count * 3 > this.#slots.length * 2) this.#grow();
    this.#put(slot);
  }

  /** Before its name or directory changes. */
  leave(slot: Slot): void {
    this.count--;
    const mask = this.#slots.length - 1;
    let gap = this.#store.hash(slot) & mask;
    while (this.#slots[gap] !== slot) gap = (gap + 1) & mask;
    // What comes behind and was pushed on from here, or from before, comes back (Knuth, 6.4, algorithm R).
    for (let at = (gap + 1) & mask; this.#slots[at] !== 0; at = (at + 1) & mask) {
      const moving = this.#slots[at] as Slot;
      const wanted = this.#store.hash(moving) & mask;
      if (((at - wanted) & mask) < ((at - gap) & mask)) continue;
      this.#slots[gap] = moving;
      gap = at;
    }
    this.#slots[gap] = 0;
  }

  #put(slot: Slot): void {
    const mask = this.#slots.length - 1;
    let at = this.#store.hash(slot) & mask;
    while (this.#slots[at] !== 0) at = (at + 1) & mask;
    this.#slots[at] = slot;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = allocate(() => new Int32Array(old.length * 2));
    for (const slot of old) if (slot !== 0) this.#put(slot);
  }
}
