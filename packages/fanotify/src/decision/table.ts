// The pending table: every access that was read from the kernel is in it, or has left it with a ruling, exactly once. Pure: it knows
// neither kernel nor processes.

import { ALLOW, DENY, type Ruling } from './permission.ts';

/** Decides on accesses, at once or later. What it does not do in time its policy does. */
export interface Decider<Access> {
  readonly deadlineMs: number;
  /** How long this access may wait, where that is less than `deadlineMs`. */
  patienceMs?(access: Access): number;
  readonly onTimeout: Ruling;
  readonly onError: Ruling;
  /**
   * A ruling; or undefined, when {@link PendingTable.settle} will bring it.
   *
   * @param id Names the access to `settle`.
   * @param dueMs When `onTimeout` decides.
   */
  decide(access: Access, id: number, dueMs: number): Ruling | undefined;
  /** `decide` has thrown. */
  failed?(access: Access, error: unknown): void;
  /** The access was decided without an answer of this decider. */
  timedOut?(access: Access, id: number): void;
}

/** An access that somebody is to decide on. */
interface Entry<Access> {
  readonly id: number;
  readonly access: Access;
  deciders: readonly Decider<Access>[];
  /** Whose turn it is. */
  turn: number;
  /** Since when the decider whose turn it is has been asked. */
  sinceMs: number;
  dueMs: number;
  ruling: Ruling;
  /** Neighbours in the order of `dueMs`. */
  before: Entry<Access> | undefined;
  after: Entry<Access> | undefined;
}

/**
 * Holds accesses while their deciders decide: one after the other, in their order. The first that denies ends it; when all have
 * allowed, the access is allowed. Each has its own deadline, so a slow one delays no more than that.
 */
export class PendingTable<Access> {
  readonly #leave: (access: Access, ruling: Ruling) => void;
  readonly #entries = new Map<number, Entry<Access>>();
  #first: Entry<Access> | undefined;
  #last: Entry<Access> | undefined;
  #lastId = 0;

  /** @param leave Is called for each access exactly once. */
  constructor(leave: (access: Access, ruling: Ruling) => void) {
    this.#leave = leave;
  }

  /** How many accesses are undecided. */
  get size(): number {
    return this.#entries.size;
  }

  /** When the next access is due; Infinity when there is none. */
  get nextDueMs(): number {
    return this.#first?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** The accesses that are held, those that are due first in front. */
  *pending(): IterableIterator<{ readonly id: number; readonly access: Access; readonly dueMs: number }> {
    for (let entry = this.#first; entry; entry = entry.after) yield entry;
  }

  /**
   * Takes an access in and asks its first decider.
   *
   * @param sinceMs Since when it may have been waiting.
   */
  hold(access: Access, deciders: readonly Decider<Access>[], sinceMs: number): void {
    this.#lastId = (this.#lastId + 1) >>> 0;
    const entry: Entry<Access> = {
      id: this.#lastId,
      access,
      deciders,
      turn: 0,
      sinceMs: 0,
      dueMs: 0,
      ruling: ALLOW,
      before: undefined,
      after: undefined,
    };
    this.#ask(entry, sinceMs);
  }

  /**
   * What a decider has decided later.
   *
   * @returns Whether it counts: false when the access has left the table, or is another decider's by now.
   */
  settle(id: number, decider: Decider<Access>, ruling: Ruling, nowMs: number): boolean {
    const entry = this.#entries.get(id);
    if (entry?.deciders[entry.turn] !== decider) return false;
    this.#unlink(entry);
    this.#ruled(entry, ruling, nowMs);
    return true;
  }

  /**
   * A decider has found out who is to decide.
   *
   * @param sinceMs Since when the access may have been waiting.
   * @returns As {@link settle}.
   */
  passOn(id: number, decider: Decider<Access>, deciders: readonly Decider<Access>[], sinceMs: number): boolean {
    const entry = this.#entries.get(id);
    if (entry?.deciders[entry.turn] !== decider) return false;
    this.#unlink(entry);
    entry.deciders = deciders;
    entry.turn = 0;
    this.#ask(entry, sinceMs);
    return true;
  }

  /** Whether an access is still to be decided on by a decider. */
  isWaitingFor(id: number, decider: Decider<Access>): boolean {
    const entry = this.#entries.get(id);
    return entry?.deciders[entry.turn] === decider;
  }

  /** The deadline of a decider is another: what it is asked now is due by that. */
  deadlineChanged(decider: Decider<Access>): void {
    const asked = [...this.#entries.values()].filter(({ deciders, turn }) => deciders[turn] === decider);
    for (const entry of asked) {
      this.#unlink(entry);
      entry.dueMs = dueOf(entry, decider);
      this.#link(entry);
    }
  }

  /** Gives what is due its policy; returns how many. */
  expire(nowMs: number): number {
    let expired = 0;
    for (let entry = this.#first; entry && entry.dueMs <= nowMs; entry = this.#first) {
      expired++;
      this.#giveUp(entry, nowMs);
    }
    return expired;
  }

  /** Gives everything, or what one decider is asked for, its policy now. The decider asks nobody any more. */
  abandon(nowMs: number, decider?: Decider<Access>): number {
    let abandoned = 0;
    for (let entry = this.#first; entry; ) {
      const next: Entry<Access> | undefined = entry.after;
      if (!decider || entry.deciders[entry.turn] === decider) {
        abandoned++;
        if (decider) this.#giveUp(entry, nowMs);
        else this.#end(entry);
      }
      entry = next;
    }
    return abandoned;
  }

  #ask(entry: Entry<Access>, sinceMs: number): void {
    const decider = entry.deciders[entry.turn];
    if (!decider) {
      this.#leave(entry.access, entry.ruling);
      return;
    }
    entry.sinceMs = sinceMs;
    entry.dueMs = dueOf(entry, decider);
    let ruling: Ruling | undefined;
    try {
      ruling = decider.decide(entry.access, entry.id, entry.dueMs);
    } catch (error) {
      ruling = decider.onError;
      decider.failed?.(entry.access, error);
    }
    if (ruling) this.#ruled(entry, ruling, sinceMs);
    else this.#link(entry);
  }

  /** One decider has decided on an entry that is not in the list. */
  #ruled(entry: Entry<Access>, ruling: Ruling, nowMs: number): void {
    const isFirst = entry.turn === 0;
    entry.ruling = isFirst ? ruling : combined(entry.ruling, ruling);
    entry.turn = ruling.allowed ? entry.turn + 1 : entry.deciders.length;
    this.#ask(entry, nowMs);
  }

  #giveUp(entry: Entry<Access>, nowMs: number): void {
    const decider = entry.deciders[entry.turn];
    this.#unlink(entry);
    decider?.timedOut?.(entry.access, entry.id);
    this.#ruled(entry, decider?.onTimeout ?? DENY, nowMs);
  }

  /** As {@link #giveUp} for all deciders that are left. */
  #end(entry: Entry<Access>): void {
    this.#unlink(entry);
    entry.deciders[entry.turn]?.timedOut?.(entry.access, entry.id);
    this.#leave(entry.access, policyOf(entry.deciders.slice(entry.turn)));
  }

  /** In the order of `dueMs`: mostly at the end. */
  #link(entry: Entry<Access>): void {
    this.#entries.set(entry.id, entry);
    let before = this.#last;
    while (before && before.dueMs > entry.dueMs) before = before.before;
    entry.before = before;
    entry.after = before ? before.after : this.#first;
    if (entry.before) entry.before.after = entry;
    else this.#first = entry;
    if (entry.after) entry.after.before = entry;
    else this.#last = entry;
  }

  #unlink(entry: Entry<Access>): void {
    this.#entries.delete(entry.id);
    if (entry.before) entry.before.after = entry.after;
    else this.#first = entry.after;
    if (entry.after) entry.after.before = entry.before;
    else this.#last = entry.before;
    entry.before = undefined;
    entry.after = undefined;
  }
}

function dueOf<Access>({ access, sinceMs }: Entry<Access>, decider: Decider<Access>): number {
  return sinceMs + (decider.patienceMs?.(access) ?? decider.deadlineMs);
}

/** What an access gets when none of its deciders decides. */
export function policyOf(deciders: readonly Pick<Decider<never>, 'onTimeout'>[]): Ruling {
  const denial = deciders.find(({ onTimeout }) => !onTimeout.allowed);
  return (denial ?? deciders[0])?.onTimeout ?? ALLOW;
}

/** Two deciders allowed, or the second denied: what holds of both. */
function combined(first: Ruling, second: Ruling): Ruling {
  const audit = first.audit || second.audit;
  if (!second.allowed) return { ...second, audit };
  return { ...second, audit, cache: first.cache && second.cache, always: first.always && second.always };
}
