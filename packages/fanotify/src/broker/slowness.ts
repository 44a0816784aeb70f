// Whose visits are slow, though none gets stuck: they wait for so much longer than they took, so that others have the visitors meanwhile.
// Where nobody else asks for anything, nobody has to wait.

/** So much a visit may take of everybody's time. */
const FREE_MS = 100;
/** Who has taken some waits for so many times that. */
const REST = 4;
/** Nobody waits longer: what was taken while nobody else asked for anything must not add up. */
const LONGEST_REST_MS = 16_000;
/** Who has asked for nothing for so long needs nothing kept for him. */
const ALONE_MS = 60_000;
/** So many users are remembered, before those are forgotten whose time is over. */
const MOST_USERS = 1_000;

export class Slowness {
  readonly #untilMs = new Map<number, number>();
  /** Who has asked last, and who had before that. */
  #last: { readonly uid: number; readonly ms: number } | undefined;
  #other: { readonly uid: number; readonly ms: number } | undefined;

  /** A user asks for something. */
  asks(uid: number, nowMs: number): void {
    if (this.#last && this.#last.uid !== uid) this.#other = this.#last;
    this.#last = { uid, ms: nowMs };
  }

  /** Something that a user has asked for has taken so long. */
  charge(uid: number, tookMs: number, nowMs: number): void {
    if (!isSlow(tookMs)) return;
    if (this.#untilMs.size >= MOST_USERS) this.#forget(nowMs);
    const sinceMs = Math.max(nowMs, this.#untilMs.get(uid) ?? 0);
    this.#untilMs.set(uid, Math.min(sinceMs + REST * tookMs, nowMs + LONGEST_REST_MS));
  }

  /** Until when a user's requests wait; 0 when they need not. */
  restsUntilMs(uid: number, nowMs: number): number {
    const untilMs = this.#untilMs.get(uid);
    if (untilMs === undefined) return 0;
    const other = this.#last?.uid === uid ? this.#other : this.#last;
    const isAlone = other === undefined || nowMs - other.ms >= ALONE_MS;
    return isAlone || untilMs <= nowMs ? 0 : untilMs;
  }

  #forget(nowMs: number): void {
    for (const [uid, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(uid);
  }
}

/** Whether a visit has taken more than it may of everybody's time. */
export function isSlow(tookMs: number): boolean {
  return tookMs > FREE_MS;
}
