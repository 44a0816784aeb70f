// What watch() knows of what it has told: a baseline, and since when it can be relied on.

import type { Baseline, Known, Listed } from './baseline.ts';
import { isBelowAny } from './doubts.ts';
import { BaselineError } from './errors.ts';

/**
 * `none`: nothing is kept. `listing`: the tree is being listed. `complete`: everything is known. `lost`: there was no room for it.
 */
export type KnowledgeState = 'none' | 'listing' | 'complete' | 'lost';

/** While a tree is listed: more than these places that change, and all is listed again. */
const MOST_CHANGED = 4096;

/** A baseline, or none. Paths are real ones. */
export class Knowledge {
  #baseline: Baseline | undefined;
  #state: KnowledgeState = 'none';
  /** What was renamed or deleted while the tree was listed, by paths in latin1. */
  #changed = new Set<string>();

  #starts = 0;

  constructor(baseline: Baseline | undefined) {
    this.#baseline = baseline;
    if (baseline) this.#state = 'listing';
  }

  get state(): KnowledgeState {
    return this.#state;
  }

  /** Grows when everything has to be listed again. */
  get starts(): number {
    return this.#starts;
  }

  /** Whether there is anything to keep up to date. */
  get isKept(): boolean {
    return this.#baseline !== undefined;
  }

  get isComplete(): boolean {
    return this.#state === 'complete';
  }

  get(path: Buffer): Known | undefined {
    return this.#with((baseline) => baseline.get(path));
  }

  set(path: Buffer, known: Known): void {
    this.#with((baseline) => baseline.set(path, known));
  }

  delete(path: Buffer): void {
    this.#with((baseline) => baseline.delete(path));
    this.#note(path);
  }

  move(from: Buffer, to: Buffer): void {
    this.#with((baseline) => baseline.move(from, to));
    this.#note(from);
    this.#note(to);
  }

  /** All that is known at and below a path, in order. */
  *entries(root: Buffer): Generator<Listed, void> {
    const entries = this.#with((baseline) => baseline.entries(root)[Symbol.iterator]());
    if (!entries) return;
    try {
      for (let next = entries.next(); !next.done; next = entries.next()) yield next.value;
    } catch (error) {
      this.#lose(error);
    } finally {
      entries.return?.();
    }
  }

  /** Something below may not be as it was listed: the listing may have gone by before or after. */
  #note(path: Buffer): void {
    if (this.#state !== 'listing') return;
    if (this.#changed.size < MOST_CHANGED) this.#changed.add(path.toString('latin1'));
    else this.#changed = new Set(['/']);
  }

  /** What is to be listed again, since it was renamed or deleted meanwhile. */
  takeChanged(): Buffer[] {
    const changed = this.#changed;
    this.#changed = new Set();
    return [...changed].filter((path) => !isBelowAny(path, changed)).map((path) => Buffer.from(path, 'latin1'));
  }

  /** These are to be listed again once more. */
  changedAgain(paths: readonly Buffer[]): void {
    for (const path of paths) this.#note(path);
  }

  /** Everything is listed. */
  complete(): void {
    if (this.#state !== 'listing') return;
    this.#state = 'complete';
    this.#changed.clear();
  }

  /** Events were lost while the tree was listed: it has to be listed again. */
  startOver(): void {
    if (this.#state !== 'listing') return;
    this.#starts++;
    this.#changed.clear();
    this.#with((baseline) => baseline.delete(Buffer.from('/')));
  }

  close(): void {
    this.#baseline?.close();
    this.#baseline = undefined;
  }

  #with<T>(work: (baseline: Baseline) => T): T | undefined {
    if (!this.#baseline) return undefined;
    try {
      return work(this.#baseline);
    } catch (error) {
      this.#lose(error);
      return undefined;
    }
  }

  #lose(error: unknown): void {
    if (!(error instanceof BaselineError)) throw error;
    this.#state = 'lost';
    this.close();
    process.emitWarning(`${error.message}. From now on a loss of events is told with complete: false.`, {
      code: 'FANOTIFY_BASELINE_LOST',
    });
  }
}
