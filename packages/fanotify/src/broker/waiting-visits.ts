// What waits to be handed to a visitor: users take turns, and whose visits are slow waits until others have had the visitors.

import { type ClientPeer, countedUid } from './rights.ts';
import { Slowness } from './slowness.ts';
import { Turns } from './turns.ts';
import { isRepeatable, VISIT } from './visit-wire.ts';

/** What is asked of a visitor, as far as it matters for when. */
export interface Wanted {
  readonly type: number;
  /** Counts up; may begin anew. */
  readonly number: number;
  readonly peer: ClientPeer;
  readonly askedMs: number;
}

export class WaitingVisits<T extends Wanted> {
  readonly #turns = new Turns<T>();
  readonly #slowness = new Slowness();
  readonly #longestMs: number;
  /** When it was looked last what may go. */
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** @param longestMs What waits because its user is slow is given up after so long. */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  get length(): number {
    return this.#turns.length;
  }

  /** How much waits of a user. */
  of(peer: ClientPeer): number {
    return this.#turns.of(peer);
  }

  /** A user asks for something. */
  asks(peer: ClientPeer, nowMs: number): void {
    this.#slowness.asks(countedUid(peer), nowMs);
  }

  /** What a user has asked for has taken so long. */
  took(peer: ClientPeer, tookMs: number, nowMs: number): void {
    this.#slowness.charge(countedUid(peer), tookMs, nowMs);
  }

  /** What is to be closed takes no time: it waits for nothing else that its user has asked for. */
  push(wanted: T): void {
    if (wanted.type === VISIT.letGo) this.#turns.unshift(wanted);
    else this.#turns.push(wanted);
  }

  /** It could not be handed over, after all. */
  unshift(wanted: T): void {
    this.#turns.unshift(wanted);
  }

  /** A visitor has left it for later. */
  putBack(wanted: T): void {
    this.#turns.putBack(wanted, ({ number }) => ((number - wanted.number) | 0) < 0);
  }

  /** The next that may go. */
  shift(nowMs: number): T | undefined {
    this.#lookedMs = nowMs;
    return this.#turns.shift((first) => this.#restsUntilMs(first, nowMs) === 0);
  }

  /** When something may go that may not yet, or is given up; what may go already waits for a visitor. */
  get dueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const first of this.#turns.firsts()) {
      const untilMs = this.#restsUntilMs(first, this.#lookedMs);
      if (untilMs > 0) due = Math.min(due, untilMs, this.#givenUpMs(first));
    }
    return due;
  }

  /** Takes out what has waited for too long because its user is slow: it would keep descriptors without end. */
  takeOverdue(nowMs: number): T[] {
    const isOver = (wanted: T) => this.#givenUpMs(wanted) <= nowMs && this.#restsUntilMs(wanted, nowMs) > 0;
    return [...this.#turns.firsts()].some(isOver) ? this.#turns.take(isOver) : [];
  }

  /** Takes out all that `test` says. */
  take(test: (wanted: T) => boolean): T[] {
    return this.#turns.take(test);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#turns[Symbol.iterator]();
  }

  /** Until when it waits because its user is slow; 0 when it does not. */
  #restsUntilMs({ type, peer }: T, nowMs: number): number {
    return type === VISIT.letGo ? 0 : this.#slowness.restsUntilMs(countedUid(peer), nowMs);
  }

  /** What is received must not be given up: that would end a connection. */
  #givenUpMs({ type, askedMs }: T): number {
    return isRepeatable(type) ? askedMs + this.#longestMs : Number.POSITIVE_INFINITY;
  }
}
