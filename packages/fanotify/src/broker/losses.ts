// When clients are told that something was lost because nobody could look whether they may hear it. If each such event told of itself, it
// would say that something happens where a client may not look: so they are told at times that do not depend on what happens.

/** How long it is from one time to the next. */
const EVERY_MS = 5_000;

interface Times {
  nextMs: number;
  /** Until then nobody looks for its user. */
  outUntilMs: number;
}

export class Losses<Group extends object> {
  /** Those that have lost something, or may have. */
  readonly #times = new Map<Group, Times>();

  /** When {@link due} is to be asked at the latest; Infinity when nobody has lost anything. */
  get dueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { nextMs } of this.#times.values()) due = Math.min(due, nextMs);
    return due;
  }

  /** Something was lost. True when the group is to be told at once; in any case it is once more, behind all that is lost until then. */
  lose(group: Group, nowMs: number): boolean {
    if (this.#times.has(group)) return false;
    this.#times.set(group, { nextMs: nowMs + EVERY_MS, outUntilMs: 0 });
    return true;
  }

  /** Nobody looks for a group's user until then: it is told again and again, whether or not something happens. The same is returned. */
  loseUntil(group: Group, untilMs: number, nowMs: number): boolean {
    const isFirst = this.lose(group, nowMs);
    const times = this.#times.get(group);
    if (times) times.outUntilMs = untilMs;
    return isFirst;
  }

  /** Those that are to be told now. */
  due(nowMs: number): Group[] {
    const due: Group[] = [];
    for (const [group, times] of this.#times) {
      if (nowMs < times.nextMs) continue;
      due.push(group);
      if (nowMs < times.outUntilMs) times.nextMs = Math.min(nowMs + EVERY_MS, times.outUntilMs);
      else this.#times.delete(group);
    }
    return due;
  }

  /** A group has gone. */
  forget(group: Group): void {
    this.#times.delete(group);
  }
}
