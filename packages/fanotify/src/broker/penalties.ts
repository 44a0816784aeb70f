// Who has made a visitor wait is asked to wait himself: longer each time.

/** Nobody waits longer, and what was that long ago is forgotten. */
const LONGEST_MS = 3_600_000;
const FACTOR = 4;
/** So many users are remembered, before those are forgotten whose time is over. */
const MOST_USERS = 1_000;

export class Penalties {
  readonly #firstMs: number;
  readonly #users = new Map<number, { untilMs: number; nextMs: number; forgottenMs: number }>();

  /** @param firstMs For how long, the first time. */
  constructor(firstMs: number) {
    this.#firstMs = firstMs;
  }

  punish(uid: number, nowMs: number): void {
    const before = this.#users.get(uid);
    const lastsMs = before && before.forgottenMs > nowMs ? before.nextMs : this.#firstMs;
    if (this.#users.size >= MOST_USERS) this.#forget(nowMs);
    this.#users.set(uid, {
      untilMs: nowMs + lastsMs,
      nextMs: Math.min(lastsMs * FACTOR, LONGEST_MS),
      forgottenMs: nowMs + lastsMs + LONGEST_MS,
    });
  }

  /** Whether a user's time is not over yet. */
  isOut(uid: number, nowMs: number): boolean {
    return nowMs < this.outUntilMs(uid);
  }

  /** When it is over. */
  outUntilMs(uid: number): number {
    return this.#users.get(uid)?.untilMs ?? 0;
  }

  #forget(nowMs: number): void {
    for (const [uid, { forgottenMs }] of this.#users) if (forgottenMs <= nowMs) this.#users.delete(uid);
  }
}
