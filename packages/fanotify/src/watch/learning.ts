// Gets to know the tree: lists it in the background, tells what is there, or what has changed since a snapshot; writes snapshots.

import { InvalidOptionsError } from '../group/errors.ts';
import type { ResolvedPath } from '../identity/path.ts';
import type { Kernel } from '../kernel/index.ts';
import type { Listed } from './baseline.ts';
import { difference } from './difference.ts';
import { type ListingOptions, list } from './listing.ts';
import { comparePaths, isAtOrBelow } from './path-order.ts';
import type { Report } from './report.ts';
import { openSnapshot, type Snapshot, writeSnapshot } from './snapshot.ts';
import type { Step } from './step.ts';

export interface LearningOptions {
  readonly kernel: Kernel;
  readonly report: Report;
  readonly roots: () => readonly ResolvedPath[];
  readonly listing: ListingOptions;
  readonly room: () => Promise<void>;
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  /** Whether everything that was queued has been told. */
  readonly isIdle: () => boolean;
}

/** How often, and how long apart, it waits for a moment in which nothing is queued to have listed everything. */
const MOST_ATTEMPTS = 100;
const ATTEMPTS_APART_MS = 10;

/** Gets to know the tree. */
export class Learning {
  readonly #options: LearningOptions;
  #isClosed = false;
  #listing: Promise<void> = Promise.resolve();

  constructor(options: LearningOptions) {
    this.#options = options;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Tells everything that is there. */
  async tellAll(): Promise<void> {
    const { report, room } = this.#options;
    for (const root of this.#options.roots()) {
      for (const part of this.#list(root)) {
        if (this.#isClosed) return;
        for (const listed of part) if (listed.known.type !== 'unknown') report.listed(listed, 'initial');
        await turn();
        await room();
      }
    }
    report.knowledge.complete();
  }

  /** Tells what has changed since a snapshot was written. */
  async tellSince(path: string): Promise<void> {
    const { report, room } = this.#options;
    const snapshot = await openSnapshot(path);
    try {
      for (const root of this.#options.roots()) {
        const steps: Step[] = [];
        for (const part of difference(this.#told(snapshot, root, path), this.#learn(root))) {
          if (this.#isClosed) return;
          steps.push(...part);
          await turn();
        }
        for (const [index, step] of steps.entries()) {
          report.tell(step, 'snapshot');
          if (index % 512 === 511) await room();
        }
      }
    } finally {
      snapshot.close();
    }
    report.knowledge.complete();
  }

  /** What a snapshot has of a root, by its real path. */
  *#told(snapshot: Snapshot, root: ResolvedPath, path: string): Generator<Listed, void> {
    const { report, listing } = this.#options;
    const given = report.toldAs(root).raw;
    if (!snapshot.roots.some((other) => isAtOrBelow(given, other))) {
      throw new InvalidOptionsError(
        `since: ${JSON.stringify(path)} is a snapshot of ${snapshot.roots.map((other) => other.toString()).join(', ')}, not of ${given.toString()}`,
      );
    }
    const realOf = (told: Buffer) => Buffer.concat([root.raw, told.subarray(given.length)]);
    const isExcluded = (told: Buffer) => listing.isExcluded?.(realOf(told)) === true;
    for (const listed of snapshot.entries(given, isExcluded)) {
      yield given.equals(root.raw) ? listed : { ...listed, path: realOf(listed.path) };
    }
  }

  /** Lists, and keeps what is listed. */
  *#learn(root: ResolvedPath): Generator<readonly Listed[], void> {
    const { knowledge } = this.#options.report;
    for (const part of this.#list(root)) {
      for (const { path, known } of part) knowledge.set(path, known);
      yield part;
    }
  }

  #list(root: ResolvedPath): Iterable<readonly Listed[]> {
    return list(this.#options.kernel, root.raw, this.#options.listing);
  }

  /** Lists everything while events are told. `known` is called in the moment in which all is known. */
  inBackground(known: () => void): void {
    this.#listing = this.#listAll(known);
  }

  async #listAll(known: () => void): Promise<void> {
    const { knowledge } = this.#options.report;
    while (knowledge.state === 'listing' && !this.#isClosed) {
      const { starts } = knowledge;
      const isDone = () => this.#isClosed || knowledge.starts !== starts || knowledge.state !== 'listing';
      for (const root of this.#options.roots()) {
        for (const _ of this.#learn(root)) {
          await turn();
          if (isDone()) break;
        }
        if (isDone()) break;
      }
      if (isDone()) continue;
      await this.#settle(isDone, known);
    }
  }

  /**
   * What was renamed meanwhile may have been listed by a path that it no longer has. What is queued may be of directories above it, or of
   * some that were listed in both places or in none: only when that has been told is what is listed what was told.
   */
  async #settle(isDone: () => boolean, known: () => void): Promise<void> {
    const { exclusively, isIdle, report } = this.#options;
    const { knowledge } = report;
    for (let attempt = 1; !isDone(); attempt++) {
      await exclusively(async () => {
        if (isDone()) return;
        const changed = knowledge.takeChanged();
        const isQuiet = isIdle();
        for (const path of changed) await this.#listAgain(path);
        if (isDone()) return;
        if (attempt < MOST_ATTEMPTS && !(isQuiet && isIdle())) return knowledge.changedAgain(changed);
        knowledge.complete();
        known();
      });
      if (!isDone()) await pause();
    }
  }

  async #listAgain(path: Buffer): Promise<void> {
    const { kernel, report, listing } = this.#options;
    const { knowledge } = report;
    const roots = path.length === 1 ? this.#options.roots().map(({ raw }) => raw) : [path];
    for (const root of roots) {
      const steps: Step[] = [];
      for (const part of difference(knowledge.entries(root), list(kernel, root, listing))) {
        steps.push(...part);
        await turn();
      }
      for (const step of steps) report.note(step);
    }
  }

  /** Writes what was told to a file, or where that is not kept what is on disk. */
  async writeSnapshot(path: string, options: Readonly<Record<string, unknown>>): Promise<void> {
    const { knowledge } = this.#options.report;
    await this.#listing;
    await this.#options.exclusively(async () => {
      const { report, roots } = this.#options;
      const named = roots().map((real) => ({ real, given: report.toldAs(real).raw }));
      named.sort((a, b) => comparePaths(a.given, b.given));
      const header = { roots: named.map(({ given }) => given), timeMs: Date.now(), options };
      await writeSnapshot(path, header, this.#entries(named, knowledge.isComplete));
    });
  }

  *#entries(
    roots: readonly { readonly real: ResolvedPath; readonly given: Buffer }[],
    isKnown: boolean,
  ): Generator<Listed, void> {
    for (const { real, given } of roots) {
      const parts = isKnown ? [this.#options.report.knowledge.entries(real.raw)] : this.#list(real);
      for (const part of parts) {
        for (const listed of part) {
          if (listed.known.type === 'unknown' && !isKnown) continue;
          const told = Buffer.concat([given, listed.path.subarray(real.raw.length)]);
          yield given.equals(real.raw) ? listed : { ...listed, path: told };
        }
      }
    }
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, ATTEMPTS_APART_MS));
