// Which marked directories are in the tree, as the events tell it in the queue's order: a mark cannot be taken back from a directory
// that has left for a place nobody knows.

import type { HandleKey } from '../identity/locator.ts';

/** An entry of a directory. */
export interface Entry {
  readonly parent: HandleKey;
  readonly name: Buffer;
}

/** The same for equal entries. */
export function entryId({ parent, name }: Entry): string {
  return `${parent}/${name.toString('latin1')}`;
}

const AWAY = Symbol('away');
const DEEPEST = 4096;
const MOST_UNNAMED = 64;

/** Where marked directories are. */
export class Branches {
  readonly #roots = new Set<HandleKey>();
  readonly #places = new Map<HandleKey, Entry | typeof AWAY>();
  /** How many of these are in a directory. */
  readonly #counts = new Map<HandleKey, number>();
  /** Those that were seen where they are, and not heard to go there: events of before that may still come. */
  readonly #seen = new Set<HandleKey>();
  /** By {@link entryId}, from when an event first does not name what it is of. */
  #at: Map<string, HandleKey> | undefined;
  /** What left last, by events that do not name what they are of. */
  readonly #unnamed: HandleKey[] = [];

  /** How many directories are marked. */
  get size(): number {
    return this.#places.size;
  }

  /** Whether a directory is marked, wherever it is. */
  has(key: HandleKey): boolean {
    return this.#places.has(key);
  }

  /** Whether a directory is marked and, as far as has been told, at or below a root. */
  isInside(key: HandleKey): boolean {
    return this.way(key) !== undefined;
  }

  /** The root that a directory is at or below, and the names from there to it; undefined when it is not inside. */
  way(key: HandleKey): { root: HandleKey; names: Buffer[] } | undefined {
    const names: Buffer[] = [];
    for (let next = key; names.length < DEEPEST; ) {
      const place = this.#places.get(next);
      if (place === undefined) return undefined;
      if (this.#roots.has(next)) return { root: next, names: names.reverse() };
      if (place === AWAY) return undefined;
      names.push(place.name);
      next = place.parent;
    }
    return undefined;
  }

  /** A directory and all marked ones below; with `fsid`, all of that file system too. */
  below(top: HandleKey, fsid?: string): HandleKey[] {
    return [...this.#places.keys()].filter(
      (key) => (fsid !== undefined && key.startsWith(fsid)) || this.isBelow(key, top),
    );
  }

  /** Whether a directory is another, or below it. */
  isBelow(key: HandleKey, top: HandleKey): boolean {
    for (let next = key, depth = 0; depth < DEEPEST; depth++) {
      if (next === top) return true;
      const place = this.#places.get(next);
      if (place === undefined || place === AWAY) return false;
      next = place.parent;
    }
    return false;
  }

  /** Whether a marked directory is in this one, as far as has been told. */
  holds(key: HandleKey): boolean {
    return this.#counts.has(key);
  }

  /** Whether a marked directory has left the tree, by itself or with one that it is in. */
  isAway(key: HandleKey): boolean {
    return this.has(key) && !this.isInside(key);
  }

  addRoot(key: HandleKey): void {
    this.#roots.add(key);
    if (!this.#places.has(key)) this.#places.set(key, AWAY);
  }

  isRoot(key: HandleKey): boolean {
    return this.#roots.has(key);
  }

  removeRoot(key: HandleKey): void {
    this.#roots.delete(key);
  }

  /** A directory was seen somewhere. */
  set(key: HandleKey, entry: Entry): void {
    this.#put(key, entry);
    this.#seen.add(key);
  }

  #put(key: HandleKey, entry: Entry): void {
    this.#forgetPlace(key);
    this.#places.set(key, entry);
    this.#counts.set(entry.parent, (this.#counts.get(entry.parent) ?? 0) + 1);
    this.#at?.set(entryId(entry), key);
  }

  delete(key: HandleKey): boolean {
    this.#forgetPlace(key);
    this.#roots.delete(key);
    this.#seen.delete(key);
    return this.#places.delete(key);
  }

  /** Forgets all but the roots; tells what was marked. */
  startOver(): ReadonlySet<HandleKey> {
    const before = new Set(this.#places.keys());
    this.#places.clear();
    this.#counts.clear();
    this.#seen.clear();
    this.#at = undefined;
    for (const key of this.#roots) this.#places.set(key, AWAY);
    return before;
  }

  /** A directory has left a place, says an event; `key` where the event tells it. */
  leave(entry: Entry, named: HandleKey | undefined): void {
    const key = named ?? this.#keyAt(entry);
    if (key === undefined || this.#isAhead(key, entry)) return;
    this.#forgetPlace(key);
    this.#places.set(key, AWAY);
    if (named === undefined && this.#unnamed.push(key) > MOST_UNNAMED) this.#unnamed.shift();
  }

  /** Something has come to a place, says an event that does not name it: most likely what left last. */
  comeUnnamed(to: Entry): void {
    for (let key = this.#unnamed.pop(); key !== undefined; key = this.#unnamed.pop()) {
      if (this.#places.get(key) !== AWAY) continue;
      this.#put(key, to);
      return;
    }
  }

  /** A marked directory was renamed: within the tree. */
  move(key: HandleKey, from: Entry, to: Entry): void {
    if (!this.#isAhead(key, from)) this.#put(key, to);
  }

  /**
   * Whether nothing is to be learned from an event by which a directory leaves a place: it is not marked, or was seen where it went after
   * that. One that was heard to be elsewhere was here all the same: the kernel merges renames.
   */
  #isAhead(key: HandleKey, from: Entry): boolean {
    const place = this.#places.get(key);
    if (place === undefined || place === AWAY) return true;
    if (this.#seen.has(key) && entryId(place) !== entryId(from)) return true;
    this.#seen.delete(key);
    return false;
  }

  #keyAt(entry: Entry): HandleKey | undefined {
    if (!this.#at) {
      this.#at = new Map();
      for (const [key, place] of this.#places) if (place !== AWAY) this.#at.set(entryId(place), key);
    }
    return this.#at.get(entryId(entry));
  }

  #forgetPlace(key: HandleKey): void {
    const place = this.#places.get(key);
    if (place === undefined || place === AWAY) return;
    const count = this.#counts.get(place.parent) ?? 0;
    if (count > 1) this.#counts.set(place.parent, count - 1);
    else this.#counts.delete(place.parent);
    if (!this.#at) return;
    const id = entryId(place);
    if (this.#at.get(id) === key) this.#at.delete(id);
  }
}
