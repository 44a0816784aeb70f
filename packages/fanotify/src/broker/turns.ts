// A queue in which users take turns: what one of them has asked for is done in order, and nobody waits for all that another has.

import { type ClientPeer, countedUid } from './rights.ts';

export class Turns<T extends { readonly peer: ClientPeer }> {
  /** In the order of their turns; none is empty. */
  readonly #users = new Map<number, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** How much waits of a user. */
  of(peer: ClientPeer): number {
    return this.#users.get(countedUid(peer))?.length ?? 0;
  }

  push(item: T): void {
    const uid = countedUid(item.peer);
    const items = this.#users.get(uid);
    if (items) items.push(item);
    else this.#users.set(uid, [item]);
    this.#length++;
  }

  /** Before all else that its user has asked for. */
  unshift(item: T): void {
    const uid = countedUid(item.peer);
    const items = this.#users.get(uid);
    if (items) items.unshift(item);
    else this.#users.set(uid, [item]);
    this.#length++;
  }

  /** Where it was: behind what its user has asked for before. */
  putBack(item: T, isBefore: (other: T) => boolean): void {
    this.unshift(item);
    const items = this.#users.get(countedUid(item.peer)) ?? [];
    for (let at = 1; at < items.length; at++) {
      const other = items[at] as T;
      if (!isBefore(other)) return;
      items[at - 1] = other;
      items[at] = item;
    }
  }

  /** The next, of those users whose first may go now. */
  shift(mayGo: (first: T) => boolean = () => true): T | undefined {
    for (const [uid, items] of this.#users) {
      const [first] = items;
      if (!first || !mayGo(first)) continue;
      items.shift();
      this.#users.delete(uid);
      if (items.length > 0) this.#users.set(uid, items);
      this.#length--;
      return first;
    }
    return undefined;
  }

  /** The first of each user. */
  *firsts(): IterableIterator<T> {
    for (const [first] of this.#users.values()) if (first) yield first;
  }

  /** Takes out all that `test` says. */
  take(test: (item: T) => boolean): T[] {
    const taken: T[] = [];
    for (const [uid, items] of this.#users) {
      const kept: T[] = [];
      for (const item of items) (test(item) ? taken : kept).push(item);
      if (kept.length === 0) this.#users.delete(uid);
      else this.#users.set(uid, kept);
    }
    this.#length -= taken.length;
    return taken;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const items of this.#users.values()) yield* items;
  }
}
