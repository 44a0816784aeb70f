// Places of which nobody is sure that they were told right: the kernel merges renames, and without privilege a directory can be
// where nobody finds it. When nothing is left in the queue it is looked what is there.

import type { HandleKey } from '../identity/locator.ts';

/** More than these, and it is cheaper to look at everything. */
const MOST = 4096;

/** A place in doubt. */
export interface Doubt {
  /** Where it was told to be: a real path, in latin1. */
  readonly told: string;
  /** The directory that it is about, if any. */
  readonly key: HandleKey | undefined;
  readonly why: Why;
}

/**
 * `moved`: it may be elsewhere. `wrong`: something was told there that may be wrong, even if the directory is there. `below`: the
 * directory was told, and nothing of what is below. `perhaps`: a directory of which nobody is sure may be here, and was told to be elsewhere.
 */
export type Why = 'moved' | 'wrong' | 'below' | 'perhaps';

/** What is in doubt, by where it was told to be. */
export class Doubts {
  #doubts = new Map<string, Doubt>();
  #isEverything = false;
  /** Places that were looked at, while events from before the looks could come: up to a round. */
  #looked: readonly string[] = [];
  #lookedIn = -1;

  get isEmpty(): boolean {
    return this.#doubts.size === 0 && !this.#isEverything;
  }

  /** More than are kept in mind. */
  get isEverything(): boolean {
    return this.#isEverything;
  }

  add(path: Buffer, key: HandleKey | undefined, why: Why): void {
    const told = path.toString('latin1');
    if (this.#doubts.size >= MOST) this.#isEverything = true;
    else this.#doubts.set(`${told}\0${why}\0${key ?? ''}`, { told, key, why });
  }

  /** Whether what is in a directory may never have been told. */
  covers(directory: Buffer): boolean {
    if (this.#doubts.size === 0) return false;
    const path = directory.toString('latin1');
    const told = new Set([...this.#doubts.values()].map((doubt) => doubt.told));
    return told.has(path) || isBelowAny(path, told);
  }

  /** Whether a directory, another than this, may be here that was told to be elsewhere. */
  isPerhaps(directory: Buffer, other?: HandleKey): boolean {
    if (this.#doubts.size === 0) return false;
    const path = directory.toString('latin1');
    return [...this.#doubts.values()].some(({ told, key, why }) => why === 'perhaps' && told === path && key !== other);
  }

  /** These places were looked at. Events that are still to come are of this round or of one before if they were queued by then. */
  looked(paths: readonly string[], round: number): void {
    this.#looked = [...this.#looked, ...paths].slice(-MOST);
    this.#lookedIn = round;
  }

  /** Events of a round have come: what was looked at before has been caught up with. */
  forgetBefore(round: number): void {
    if (round <= this.#lookedIn) return;
    this.#looked = [];
    this.#lookedIn = -1;
  }

  /** A directory was told to have another path. */
  move(from: Buffer, to: Buffer): void {
    const before = from.toString('latin1');
    const after = to.toString('latin1');
    // Whoever looked there found nothing of what it took along, or something else.
    for (const path of this.#looked) {
      if (path === before || path.startsWith(`${before}/`)) {
        this.add(Buffer.from(after + path.slice(before.length), 'latin1'), undefined, 'wrong');
      }
    }
    if (this.#doubts.size === 0) return;
    const doubts = [...this.#doubts.values()];
    this.#doubts.clear();
    // It takes along what may be wrong in what it was in.
    if (doubts.some(({ told, why }) => why === 'wrong' && told !== '' && before.startsWith(`${told}/`))) {
      this.add(to, undefined, 'wrong');
    }
    for (const { told, key, why } of doubts) {
      const isBelow = told === before || told.startsWith(`${before}/`);
      this.add(Buffer.from(isBelow ? after + told.slice(before.length) : told, 'latin1'), key, why);
    }
  }

  take(): Doubt[] {
    const doubts = [...this.#doubts.values()];
    this.clear();
    return doubts;
  }

  clear(): void {
    this.#doubts.clear();
    this.#isEverything = false;
  }
}

/** The paths that are not below another. */
export function outermost(paths: ReadonlySet<string>): string[] {
  return [...paths].filter((path) => !isBelowAny(path, paths));
}

/** Whether a path is below one of others. */
export function isBelowAny(path: string, others: ReadonlySet<string>): boolean {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (others.has(path.slice(0, end))) return true;
  }
  return false;
}
