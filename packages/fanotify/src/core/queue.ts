// What waits to be told to one group: bounded, merged as the kernel merges, and whatever is lost is told. What somebody waits for is
// never lost.

import { OVERFLOW } from './bits.ts';
import type { Carried } from './carried.ts';
import type { Holdings } from './holdings.ts';
import type { Attached } from './marks.ts';

/** An event that waits. */
export interface Waiting {
  bits: number;
  readonly pid: number;
  /** Undefined where there is no descriptor. */
  carried: Carried | undefined;
  /** Of an access that waits for a response: what names it. */
  readonly ask: number | undefined;
  readonly range: { readonly offset: number; readonly bytes: number } | null;
  /** The number of a request that is answered when everything before it was told: no event. */
  readonly request: number | undefined;
  /** The object, for merging. */
  readonly filesystem: object | undefined;
  readonly ino: bigint;
  /** Put with the mark that it was heard by. */
  attached: Attached | undefined;
  /** It is being looked at whether it is to be told: nothing is merged into it any more. */
  isClosed: boolean;
  /** It is not to be told any more: nobody waits for a response, or it was dropped. */
  isWithdrawn: boolean;
}

/** Closed up when there are so many, and more than what waits. */
const MOST_HOLES = 64;
const OVERFLOW_EVENT = {
  bits: OVERFLOW,
  pid: 0,
  carried: undefined,
  ask: undefined,
  range: null,
  request: undefined,
  filesystem: undefined,
  ino: 0n,
  attached: undefined,
  isClosed: false,
  isWithdrawn: false,
} as const;

/** How much waits, as of now. */
export interface QueueBounds {
  /** Notifications. More are lost. */
  readonly maxQueued: number;
  /** What all groups of its user hold, where others have some, too. */
  readonly holdings?: Holdings | undefined;
  /** Whether it is told at once that there was no room for one; else whoever gives bounds sees to it that it is later. By default it is. */
  readonly tellsLoss?: (() => boolean) | undefined;
}

/** What somebody is asked. */
export interface Asked extends Pick<Waiting, 'bits' | 'pid' | 'range'> {
  readonly carried: Carried;
}

export class EventQueue {
  readonly #bounds: QueueBounds;
  #items: (Waiting | undefined)[] = [];
  #head = 0;
  /** How many of those from the head on wait no more: withdrawn, or dropped. */
  #holes = 0;
  /** Notifications that wait. */
  #notifications = 0;
  /** By inode number: the last that waits. */
  readonly #last = new Map<bigint, Waiting>();
  readonly #asks = new Map<number, Waiting>();
  /** The overflow event that waits, if nothing has come in since. */
  #overflowing: Waiting | undefined;
  merged = 0;
  lost = 0;
  overflows = 0;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  /** How many events wait. */
  get length(): number {
    return this.held - this.#holes;
  }

  /** How many places the queue has for them: never many more. */
  get held(): number {
    return this.#items.length - this.#head;
  }

  /** The same of all groups of its user. */
  get notificationsOfUser(): number {
    return this.#bounds.holdings?.queued ?? this.#notifications;
  }

  /** How many of them hold a descriptor that somebody could do without. */
  get notifications(): number {
    return this.#notifications;
  }

  /** Takes what happened, if there is room. Holds the descriptor if it does. */
  push(
    bits: number,
    pid: number,
    carried: Carried | undefined,
    filesystem: object,
    ino: bigint,
    attached?: Attached,
  ): void {
    const last = this.#last.get(ino);
    if (last && last.pid === pid && last.filesystem === filesystem && !last.isClosed) {
      last.bits |= bits;
      this.merged++;
      return;
    }
    const { maxQueued, tellsLoss } = this.#bounds;
    if (this.#notifications >= maxQueued) {
      if (tellsLoss?.() ?? true) this.#overflow(1);
      else this.lost++;
      return;
    }
    this.#overflowing = undefined;
    const item: Waiting = {
      bits,
      pid,
      carried: carried?.hold(),
      ask: undefined,
      range: null,
      request: undefined,
      filesystem,
      ino,
      attached: attached?.hold(),
      isClosed: false,
      isWithdrawn: false,
    };
    this.#count(1);
    this.#last.set(ino, item);
    this.#items.push(item);
  }

  /** Takes an access that waits for a response. Holds the descriptor. */
  ask({ bits, pid, carried, range }: Asked, ask: number, attached?: Attached): void {
    const item = {
      bits,
      pid,
      carried: carried.hold(),
      ask,
      range,
      request: undefined,
      filesystem: undefined,
      ino: 0n,
      attached: attached?.hold(),
      isClosed: false,
      isWithdrawn: false,
    };
    this.#asks.set(ask, item);
    this.#items.push(item);
  }

  /** Takes a request that is answered behind what waits now. */
  answerBehind(request: number): void {
    this.#last.clear();
    this.#overflowing = undefined;
    this.#items.push({ ...OVERFLOW_EVENT, bits: 0, request });
  }

  /** Nobody waits for a response any more: it is not told, if it was not yet. */
  withdraw(ask: number): void {
    const item = this.#asks.get(ask);
    if (!item) return;
    this.#asks.delete(ask);
    item.isWithdrawn = true;
    letGo(item);
    this.#holes++;
    this.#close();
  }

  /** Drops a notification that waits: it is told nobody. */
  drop(item: Waiting): void {
    this.#forget(item);
    item.isWithdrawn = true;
    letGo(item);
    this.#holes++;
    this.#close();
  }

  /** Makes a notification that waits an overflow, in its place. */
  lose(item: Waiting): void {
    this.#forget(item);
    letGo(item);
    Object.assign(item, { ...OVERFLOW_EVENT, isClosed: true });
    this.lost++;
    this.overflows++;
  }

  /** The first `most` that wait, which stay: see {@link taken}. */
  peek(most: number): Waiting[] {
    this.#skip();
    const first: Waiting[] = [];
    for (let at = this.#head; at < this.#items.length && first.length < most; at++) {
      const item = this.#items[at];
      if (item && !item.isWithdrawn) first.push(item);
    }
    return first;
  }

  /** What {@link peek} gave was told: lets go of it. */
  taken(items: readonly Waiting[]): void {
    let left = items.length;
    while (left > 0 && this.#head < this.#items.length) {
      const item = this.#items[this.#head];
      this.#items[this.#head++] = undefined;
      if (!item || item.isWithdrawn) {
        this.#holes--;
        continue;
      }
      left--;
      this.#forget(item);
      letGo(item);
    }
    this.#skip();
  }

  /** Events were lost before they came here: nobody knows how many. */
  overflow(): void {
    this.#overflow(0);
  }

  /** Drops the newest notifications until `most` are left, as an overflow. */
  shorten(most: number): void {
    let dropped = 0;
    for (let at = this.#items.length - 1; at >= this.#head && this.#notifications > most; at--) {
      const item = this.#items[at];
      if (!item || item.isWithdrawn || !isNotification(item)) continue;
      this.#items[at] = undefined;
      this.#forget(item);
      item.isWithdrawn = true;
      letGo(item);
      dropped++;
    }
    if (dropped === 0) return;
    this.#holes += dropped;
    this.#close();
    this.#overflow(dropped);
  }

  /** Lets go of everything. */
  clear(): void {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (!item || item.isWithdrawn) continue;
      item.isWithdrawn = true;
      letGo(item);
    }
    this.#items = [];
    this.#head = 0;
    this.#holes = 0;
    this.#count(-this.#notifications);
    this.#last.clear();
    this.#asks.clear();
  }

  #count(change: number): void {
    this.#notifications += change;
    const { holdings } = this.#bounds;
    if (holdings) holdings.queued += change;
  }

  #overflow(lost: number): void {
    this.lost += lost;
    if (this.#overflowing) return;
    this.overflows++;
    // What was before the loss and what comes after it are not merged.
    this.#last.clear();
    this.#overflowing = { ...OVERFLOW_EVENT };
    this.#items.push(this.#overflowing);
  }

  #forget(item: Waiting): void {
    if (item.ask !== undefined) {
      this.#asks.delete(item.ask);
    } else if (!isNotification(item)) {
      if (this.#overflowing === item) this.#overflowing = undefined;
    } else {
      this.#count(-1);
      if (this.#last.get(item.ino) === item) this.#last.delete(item.ino);
    }
  }

  /** What waits no more must not pile up behind what nobody reads: whoever reads too slowly is asked on and on. */
  #close(): void {
    if (this.#holes < MOST_HOLES || this.#holes * 2 < this.held) return;
    this.#items = this.#items.slice(this.#head).filter((item) => item && !item.isWithdrawn);
    this.#head = 0;
    this.#holes = 0;
  }

  #skip(): void {
    while (this.#head < this.#items.length) {
      const item = this.#items[this.#head];
      if (item && !item.isWithdrawn) break;
      this.#head++;
      this.#holes--;
    }
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 4096 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}

function isNotification({ ask, request, bits }: Waiting): boolean {
  return ask === undefined && request === undefined && bits !== OVERFLOW;
}

function letGo({ carried, attached }: Waiting): void {
  carried?.release();
  attached?.release();
}
