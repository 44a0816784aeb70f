// How much happens, and who and where it happens most: rates over the last seconds, in bounded memory.

/** A rate falls to a third in this time when nothing more happens. */
const MEMORY_MS = 3000;
/** Below this many a second nothing is remembered. */
const FORGOTTEN = 0.05;
const MOST_NAMES = 20_000;

interface Counted<Detail> {
  detail: Detail;
  /** Since the last tick. */
  count: number;
  perSecond: number;
}

/** Something that happens, and how often. */
export interface Busy<Detail> {
  readonly name: string;
  readonly detail: Detail;
  readonly perSecond: number;
}

/** Counts by name. */
export class Busiest<Detail> {
  readonly #names = new Map<string, Counted<Detail>>();

  /** One more. `detail` is what is told of the name, the last one that was given. */
  add(name: string, detail: Detail): void {
    const counted = this.#names.get(name);
    if (counted) {
      counted.count++;
      counted.detail = detail;
    } else {
      if (this.#names.size >= MOST_NAMES) this.#makeRoom();
      this.#names.set(name, { detail, count: 1, perSecond: 0 });
    }
  }

  /** Forgets what was seldom: if need be, all but what was often. */
  #makeRoom(): void {
    for (let seldom = 1; this.#names.size > MOST_NAMES / 2; seldom *= 4) {
      for (const [name, { count, perSecond }] of this.#names) {
        if (count <= seldom && perSecond <= seldom) this.#names.delete(name);
      }
    }
  }

  /** Turns what was counted in the time since the last tick into rates. */
  tick(elapsedMs: number): void {
    const kept = Math.exp(-elapsedMs / MEMORY_MS);
    for (const [name, counted] of this.#names) {
      counted.perSecond = counted.perSecond * kept + ((counted.count * 1000) / elapsedMs) * (1 - kept);
      counted.count = 0;
      if (counted.perSecond < FORGOTTEN) this.#names.delete(name);
    }
  }

  /** The busiest, at most so many. */
  top(most: number): Busy<Detail>[] {
    return [...this.#names]
      .map(([name, { detail, perSecond }]) => ({ name, detail, perSecond }))
      .sort((a, b) => b.perSecond - a.perSecond)
      .slice(0, most);
  }
}
