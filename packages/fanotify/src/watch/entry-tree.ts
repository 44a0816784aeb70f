// A tree of entries: found by path, moved with all below at once, walked in order.

import type { Known } from './baseline.ts';
import { EntryStore, LAST_CHILD, NEXT, PARENT, PREVIOUS, type Slot } from './entry-store.ts';
import { EntryTable } from './entry-table.ts';

/** '/' itself. */
export const TOP: Slot = 1;
/** The children are not in order: they are put so when somebody walks. Greater flags, up to 0x80, are the caller's. */
const UNSORTED = 0x08;

const SLASH = 0x2f;
const EMPTY = new Uint8Array(0);

/** A directory tree. Entries of which nothing is kept only lead to others. An entry keeps its number when it is moved. */
export class EntryTree {
  readonly #store = new EntryStore();
  readonly #table = new EntryTable(this.#store);

  constructor() {
    this.#store.add(EMPTY, 0, 0);
  }

  /** How many entries, with those that only lead to others, without '/'. */
  get count(): number {
    return this.#table.count;
  }

  known(slot: Slot): Known | undefined {
    return this.#store.known(slot);
  }

  isKnown(slot: Slot): boolean {
    return this.#store.isKnown(slot);
  }

  setKnown(slot: Slot, known: Known): void {
    this.#store.setKnown(slot, known);
  }

  forgetKnown(slot: Slot): void {
    this.#store.forgetKnown(slot);
  }

  hasFlag(slot: Slot, flag: number): boolean {
    return this.#store.hasFlag(slot, flag);
  }

  setFlag(slot: Slot, flag: number, on: boolean): void {
    this.#store.setFlag(slot, flag, on);
  }

  parent(slot: Slot): Slot {
    return this.#store.link(slot, PARENT);
  }

  hasChildren(slot: Slot): boolean {
    return this.#store.link(slot, LAST_CHILD) !== 0;
  }

  /** 0 when there is none. */
  find(path: Uint8Array): Slot {
    let slot = TOP;
    for (let start = 1; start < path.length && slot !== 0; ) {
      const end = endOfName(path, start);
      slot = this.child(slot, path, start, end);
      start = end + 1;
    }
    return slot;
  }

  /** The entry at a path, made with all above where there is none. */
  make(path: Uint8Array): Slot {
    let slot = TOP;
    for (let start = 1; start < path.length; ) {
      const end = endOfName(path, start);
      slot = this.child(slot, path, start, end) || this.#add(slot, path, start, end);
      start = end + 1;
    }
    return slot;
  }

  /** The entry of a directory whose name is in these bytes; 0 when there is none. */
  child(parent: Slot, bytes: Uint8Array, start: number, end: number): Slot {
    return this.#table.find(parent, bytes, start, end);
  }

  /** Removes an entry with all below; of '/' what is kept of it, and all below. `leaving` is told of each before. */
  remove(slot: Slot, leaving?: (slot: Slot) => void): void {
    // From the bottom up, without recursion: paths can be long.
    for (let at = slot; ; ) {
      const child = this.#store.link(at, LAST_CHILD);
      if (child !== 0) {
        at = child;
        continue;
      }
      leaving?.(at);
      if (at === TOP) {
        this.#store.forgetKnown(TOP);
        return;
      }
      const parent = this.parent(at);
      this.#detach(at);
      this.#store.remove(at);
      if (at === slot) return;
      at = parent;
    }
  }

  /** Removes what leads nowhere, from an entry upwards, unless it has one of these flags. */
  prune(slot: Slot, flags = 0): void {
    for (let at = slot; at > TOP; ) {
      if (this.hasChildren(at) || this.isKnown(at) || this.hasFlag(at, flags)) return;
      const parent = this.parent(at);
      this.remove(at);
      at = parent;
    }
  }

  /** Gives an entry with all below another place, where nothing may be. */
  move(slot: Slot, to: Buffer): void {
    this.#detach(slot);
    const nameStart = to.lastIndexOf(SLASH) + 1;
    const parent = this.make(to.subarray(0, Math.max(1, nameStart - 1)));
    this.#store.setName(slot, to, nameStart, to.length);
    this.#attach(slot, parent);
  }

  /** The path of an entry. */
  path(slot: Slot): Buffer {
    if (slot === TOP) return Buffer.from('/');
    let length = 0;
    for (let at = slot; at !== TOP; at = this.parent(at)) length += 1 + this.#store.nameLength(at);
    const path = Buffer.allocUnsafe(length);
    for (let at = slot; at !== TOP; at = this.parent(at)) {
      length -= this.#store.nameLength(at);
      this.#store.copyName(at, path, length);
      path[--length] = SLASH;
    }
    return path;
  }

  /** The entry after this one in a walk of `root`; 0 at the end. `skip` leaves out what is below this one. */
  after(slot: Slot, root: Slot, skip = false): Slot {
    const child = skip ? 0 : this.firstChild(slot);
    if (child !== 0) return child;
    for (let at = slot; at !== root; at = this.parent(at)) {
      const next = this.nextSibling(at);
      if (next !== 0) return next;
    }
    return 0;
  }

  /** The first entry of a directory, in order; 0 when there is none. */
  firstChild(slot: Slot): Slot {
    if (this.hasFlag(slot, UNSORTED)) this.#sort(slot);
    const last = this.#store.link(slot, LAST_CHILD);
    return last === 0 ? 0 : this.#store.link(last, NEXT);
  }

  /** The next entry of the same directory, in order since its first was asked for; 0 at the end. */
  nextSibling(slot: Slot): Slot {
    if (slot === TOP) return 0;
    return this.#store.link(this.parent(slot), LAST_CHILD) === slot ? 0 : this.#store.link(slot, NEXT);
  }

  #add(parent: Slot, bytes: Uint8Array, start: number, end: number): Slot {
    const slot = this.#store.add(bytes, start, end);
    this.#attach(slot, parent);
    return slot;
  }

  #attach(slot: Slot, parent: Slot): void {
    const store = this.#store;
    store.setLink(slot, PARENT, parent);
    // A ring: after the last comes the first.
    const last = store.link(parent, LAST_CHILD);
    if (last === 0) {
      store.setFlag(parent, UNSORTED, false);
      this.#join(slot, slot);
    } else {
      if (store.compareNames(last, slot) > 0) store.setFlag(parent, UNSORTED, true);
      this.#join(slot, store.link(last, NEXT));
      this.#join(last, slot);
    }
    store.setLink(parent, LAST_CHILD, slot);
    this.#table.enter(slot);
  }

  #detach(slot: Slot): void {
    const store = this.#store;
    this.#table.leave(slot);
    const parent = this.parent(slot);
    const next = store.link(slot, NEXT);
    const previous = store.link(slot, PREVIOUS);
    if (store.link(parent, LAST_CHILD) === slot) store.setLink(parent, LAST_CHILD, next === slot ? 0 : previous);
    this.#join(previous, next);
  }

  #join(slot: Slot, next: Slot): void {
    this.#store.setLink(slot, NEXT, next);
    this.#store.setLink(next, PREVIOUS, slot);
  }

  #sort(parent: Slot): void {
    const children: Slot[] = [];
    const last = this.#store.link(parent, LAST_CHILD);
    for (let at = last; at !== 0; at = this.#store.link(at, PREVIOUS)) {
      children.push(at);
      if (this.#store.link(at, PREVIOUS) === last) break;
    }
    children.sort((a, b) => this.#store.compareNames(a, b));
    let previous = children.at(-1) ?? 0;
    this.#store.setLink(parent, LAST_CHILD, previous);
    for (const child of children) {
      this.#join(previous, child);
      previous = child;
    }
    this.#store.setFlag(parent, UNSORTED, false);
  }
}

function endOfName(path: Uint8Array, start: number): number {
  let end = start;
  while (end < path.length && path[end] !== SLASH) end++;
  return end;
}
