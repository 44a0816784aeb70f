// A group of the core: what it was opened with, what waits for it, and how it decides.

import type { Access } from '../decision/access.ts';
import { ALLOW, DENY, type Ruling } from '../decision/permission.ts';
import type { Decider } from '../decision/table.ts';
import type { Carried } from './carried.ts';
import type { Channel } from './channel.ts';
import type { Holdings } from './holdings.ts';
import type { Attached, Mark, MarkOwner } from './marks.ts';
import { EventQueue, type QueueBounds } from './queue.ts';
import type { GroupStatistics } from './types.ts';

/** An access that is held: its descriptor is handed on to whoever is asked. */
export interface HeldAccess extends Access {
  readonly carried: Carried;
  /** The permission event's bit. */
  readonly bits: number;
  /** Put with the marks by which groups are asked about it, and held. */
  by: Map<CoreGroup, Attached> | undefined;
  /** For how long it has waited for groups of a user. */
  spentMs?: Map<Holdings, number> | undefined;
}

/** How much of a group there may be, as of now. */
export interface GroupBounds extends QueueBounds {
  /** Accesses that wait for its response. More get its policy at once. */
  readonly maxPending: number;
  /** How long one access may wait for all groups of its user together. */
  readonly longestMs?: number | undefined;
}

/** What a group is made of. */
export interface GroupParts {
  readonly priority: number;
  readonly initBits: number;
  readonly notification: Channel;
  readonly permission: Channel;
  /** The process whose accesses it is not asked about. */
  readonly ownerPid: number;
  readonly bounds: GroupBounds;
  /** Something waits to be told to it. */
  wake(group: CoreGroup): void;
  /** It is asked about an access. */
  asked(group: CoreGroup, access: HeldAccess, id: number): void;
  nowMs(): number;
}

export const DEFAULT_DEADLINE_MS = 5_000;

export class CoreGroup implements MarkOwner, Decider<HeldAccess> {
  readonly priority: number;
  readonly initBits: number;
  readonly notification: Channel;
  readonly permission: Channel;
  readonly ownerPid: number;
  readonly excludedTypes: Set<number> = new Set();
  readonly excludedFsids: Set<bigint> = new Set();
  readonly marks: Set<Mark<CoreGroup>> = new Set();
  readonly queue: EventQueue;
  readonly onError: Ruling = DENY;
  deadlineMs: number = DEFAULT_DEADLINE_MS;
  onTimeout: Ruling = ALLOW;
  isClosed = false;
  rank = 0;
  turn = 0;
  gathered = 0;
  ignored = 0;
  by: Attached | undefined;
  delivered = 0;
  readonly #parts: GroupParts;
  /** What it is asked now, and since when. */
  readonly #asked = new Map<number, { readonly access: HeldAccess; readonly sinceMs: number }>();
  #allowed = 0;
  #denied = 0;
  #timedOut = 0;

  constructor(parts: GroupParts) {
    this.#parts = parts;
    this.priority = parts.priority;
    this.initBits = parts.initBits;
    this.notification = parts.notification;
    this.permission = parts.permission;
    this.ownerPid = parts.ownerPid;
    this.queue = new EventQueue(parts.bounds);
  }

  /** Tells it of something that happened. */
  tell(bits: number, pid: number, carried: Carried | undefined, filesystem: object, ino: bigint): void {
    this.queue.push(bits, pid, carried, filesystem, ino, this.by);
    this.#parts.wake(this);
  }

  /** Asks it. What it answers comes back by {@link CoreGroup.answered}, or not in time. */
  decide(access: HeldAccess, id: number): Ruling | undefined {
    if (this.isClosed) return ALLOW;
    const { maxPending, holdings } = this.#parts.bounds;
    if (this.#asked.size >= maxPending || this.patienceMs(access) <= 0) {
      this.#timedOut++;
      return this.onTimeout;
    }
    this.#asked.set(id, { access, sinceMs: this.#parts.nowMs() });
    if (holdings) holdings.pending++;
    this.queue.ask(access, id, access.by?.get(this));
    this.#parts.asked(this, access, id);
    this.#parts.wake(this);
    return undefined;
  }

  /** How long an access may wait for it: of what one user's groups take, each has what the others have left. */
  patienceMs({ spentMs }: HeldAccess): number {
    const { holdings, longestMs = Number.POSITIVE_INFINITY } = this.#parts.bounds;
    const spent = (holdings && spentMs?.get(holdings)) ?? 0;
    return Math.min(this.deadlineMs, longestMs - spent);
  }

  timedOut(_access: HeldAccess, id: number): void {
    this.gaveUp(id);
  }

  /** What it is asked its policy decides. */
  gaveUp(id: number): void {
    this.#timedOut++;
    this.#settled(id);
  }

  /** It is not asked this after all. */
  passedOver(id: number): void {
    this.#settled(id);
  }

  /** Accesses that wait for its response. */
  get pending(): number {
    return this.#asked.size;
  }

  /** Whether it is asked this now. */
  isAsked(id: number): boolean {
    return this.#asked.has(id);
  }

  answered(id: number, isAllowed: boolean): void {
    this.#settled(id);
    if (isAllowed) this.#allowed++;
    else this.#denied++;
  }

  #settled(id: number): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    // It may answer what it was never told.
    this.queue.withdraw(id);
    const { holdings } = this.#parts.bounds;
    if (!asked || !holdings) return;
    holdings.pending--;
    const { access, sinceMs } = asked;
    access.spentMs ??= new Map();
    access.spentMs.set(holdings, (access.spentMs.get(holdings) ?? 0) + this.#parts.nowMs() - sinceMs);
  }

  get statistics(): GroupStatistics {
    const [oldest] = this.#asked.values();
    return {
      queued: this.queue.length,
      delivered: this.delivered,
      merged: this.queue.merged,
      lost: this.queue.lost,
      overflows: this.queue.overflows,
      pending: this.#asked.size,
      oldestMs: oldest === undefined ? 0 : this.#parts.nowMs() - oldest.sinceMs,
      allowed: this.#allowed,
      denied: this.#denied,
      timedOut: this.#timedOut,
      kernelDenied: this.permission.kernelDenied,
      marks: this.marks.size,
    };
  }

  /** Whether it is asked before another: by priority, and then by age. */
  isBefore(other: CoreGroup): boolean {
    return this.priority > other.priority;
  }
}
