// What makes a watch: hears the roots that are there, looks out for those that are not, and makes changes of it all.

import { NoSuchPathError, NotDirectoryError } from '../group/errors.ts';
import { ResolvedPath } from '../identity/path.ts';
import type { Kernel } from '../kernel/index.ts';
import { FileSource } from './file-source.ts';
import type { Knowledge } from './knowledge.ts';
import { Learning } from './learning.ts';
import { Lookout } from './lookout.ts';
import type { WatchOptions } from './options.ts';
import { Report } from './report.ts';
import { Rescan } from './rescan.ts';
import { type Root, type RootChange, RootSet, type RootTarget } from './root-set.ts';
import type { Source } from './source.ts';
import { Teller } from './teller.ts';
import type { Telling } from './telling.ts';
import { openTree, type TreeSource } from './tree-source.ts';

/** What an engine needs of who hands its changes on. */
export interface EngineOptions {
  readonly kernel: Kernel;
  readonly options: WatchOptions;
  readonly telling: Telling;
  /** Waited for while too much waits to be taken. */
  readonly room: () => Promise<void>;
  /** Something was heard: it is to be told soon. */
  readonly onHeard: () => void;
  /** It cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

/** A source, and what tells of it. */
interface Ear<S extends Source> {
  readonly source: S;
  readonly teller: Teller;
  readonly rescan: Rescan;
}

/** A root that goes while it is being marked is looked for again, so often. */
const ATTEMPTS = 10;

/** What is in doubt is looked at when nothing is queued, which is asked so often. */
const CLEAR_UP_MS = 50;

/** The workings of one watch. */
export class Engine {
  readonly roots: RootSet;
  readonly report: Report;
  readonly #options: EngineOptions;
  readonly #learning: Learning;
  #trees: Ear<TreeSource> | undefined;
  #files: Ear<FileSource> | undefined;
  #lookout: Lookout | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isBusy = false;
  /** It should have looked while it was busy. */
  #isUnsettled = false;
  #isClosed = false;
  #isStray = false;
  /** Those that will be asked to clear up. */
  readonly #inDoubt = new Set<Teller>();
  #keepsAlive = false;
  /** Roots that are told to be there. */
  readonly #told = new Set<Root>();

  constructor(paths: readonly Buffer[], knowledge: Knowledge, options: EngineOptions) {
    this.#options = options;
    this.roots = new RootSet(options.kernel, paths, options.options.recursive !== false);
    this.report = new Report(options.telling, knowledge, this.roots);
    this.report.onGone = (told) => {
      for (const root of this.#told) if (root.given.raw.equals(told)) this.#told.delete(root);
    };
    this.#learning = new Learning({
      kernel: options.kernel,
      report: this.report,
      roots: () => this.#targets(),
      listing: this.#listing,
      room: options.room,
      exclusively: (work) => this.exclusively(work),
      isIdle: () => [this.#trees, this.#files].every((ear) => ear?.source.isIdle() !== false),
    });
  }

  /** Hears everything from then on. */
  async start(): Promise<void> {
    const { kernel } = this.#options;
    this.#lookout = await Lookout.open(kernel);
    await this.exclusively(() => this.#lookAtRoots(true));
    if (this.#isClosed) return;
    if (this.#lookout) void this.#lookOut(this.#lookout).catch(this.#options.onFailure);
    this.#alive();
  }

  get how(): 'filesystem' | 'inodes' {
    return this.#trees?.source.how ?? 'inodes';
  }

  get because(): 'privilege' | 'filesystem' | undefined {
    return this.#trees?.source.because;
  }

  get rescans(): number {
    return (this.#trees?.rescan.count ?? 0) + (this.#files?.rescan.count ?? 0);
  }

  get markedDirectories(): number {
    return this.#trees?.source.markedDirectories ?? 0;
  }

  /** How many entries wait to be looked at. */
  get waiting(): number {
    return (this.#trees?.teller.waiting ?? 0) + (this.#files?.teller.waiting ?? 0);
  }

  get learning(): Learning {
    return this.#learning;
  }

  /** Looks at the disk for what was heard, unless it is being looked at just now. */
  settle(): void {
    this.#isUnsettled = this.#isBusy;
    if (this.#isBusy) return;
    for (const teller of [this.#trees?.teller, this.#files?.teller]) {
      teller?.settle();
      if (teller?.isInDoubt) this.#clearUpLater(teller);
    }
  }

  /** From now on it is known what was told before. */
  trust(): void {
    this.#trees?.teller.trust();
    this.#files?.teller.trust();
  }

  /** One after the other: whatever tells more than what was settled. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      this.#isBusy = true;
      const { told } = this.report;
      try {
        return await work();
      } finally {
        this.#isBusy = false;
        if (this.#isUnsettled || this.report.told !== told) this.#options.onHeard();
        this.#isUnsettled = false;
      }
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  ref(): void {
    this.#keepsAlive = true;
    this.#alive();
  }

  unref(): void {
    this.#keepsAlive = false;
    this.#alive();
  }

  #alive(): void {
    for (const each of [this.#trees?.source, this.#files?.source, this.#lookout]) {
      if (this.#keepsAlive) each?.ref();
      else each?.unref();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#learning.close();
    await Promise.all([this.#trees?.source.close(), this.#files?.source.close(), this.#lookout?.close()]);
    // What was being told comes to its end.
    await this.#turn;
    this.report.knowledge.close();
  }

  #targets(kind?: 'trees' | 'files'): ResolvedPath[] {
    const present = this.roots.present.filter(({ target }) => {
      return kind === undefined || target.isDirectory === (kind === 'trees');
    });
    return present.map(({ target }) => target.real);
  }

  get #listing() {
    const { recursive, crossMounts } = this.#options.options;
    return { recursive, crossMounts, isExcluded: (path: Buffer) => this.#trees?.source.excludes(path) === true };
  }

  // Roots.

  async #lookOut(lookout: Lookout): Promise<void> {
    for await (const _ of lookout.changes()) {
      if (this.#isClosed) return;
      this.#options.onHeard();
      await this.exclusively(() => this.#lookAtRoots(false));
    }
  }

  /** Marks what is above first, and looks then: whatever changes after that is heard. */
  async #lookAtRoots(isStart: boolean): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS && !this.#isClosed; attempt++) {
      await this.#lookout?.watch(this.roots.all.map(({ given }) => given.raw));
      const changes = this.roots.look();
      const returned = this.#returned(changes);
      if (changes.length === 0 && returned.length === 0) return;
      this.#trees?.teller.settle();
      this.#files?.teller.settle();
      for (const { root, before } of changes) if (before) this.#leave(root, before);
      for (const change of changes) if (change.now) await this.#enter(change, change.now, isStart, attempt);
      for (const { real } of returned) await this.#trees?.teller.returned(real);
    }
  }

  /** Those that lead where they led before, and were elsewhere meanwhile. */
  #returned(changes: readonly RootChange[]): RootTarget[] {
    const here = this.roots.present.filter((one) => !changes.some(({ root }) => root === one));
    return here.map(({ target }) => target).filter(({ link }) => this.#trees?.source.wasAway(link));
  }

  #leave(root: Root, before: RootTarget): void {
    const about = { fileType: before.isDirectory ? 'directory' : 'unknown', size: null, by: null } as const;
    if (this.#told.has(root))
      this.report.entry('delete', this.report.spot(before.real), { ...about, timeMs: Date.now() });
    if (before.isDirectory) this.#trees?.source.release([before.link]);
    else this.#files?.source.release(before.link);
    root.target = undefined;
  }

  async #enter({ root }: RootChange, now: RootTarget, isStart: boolean, attempt: number): Promise<void> {
    try {
      now.real = now.isDirectory ? await this.#enterTree(now) : await (await this.#openFiles()).source.add(now.link);
    } catch (error) {
      const isGone = error instanceof NoSuchPathError || error instanceof NotDirectoryError;
      if (!isGone || attempt === ATTEMPTS - 1) throw error;
      return;
    }
    root.target = now;
    this.#told.add(root);
    const ear = now.isDirectory ? this.#trees : this.#files;
    if (!isStart) await ear?.teller.appeared(now.real);
  }

  async #enterTree({ link }: RootTarget): Promise<ResolvedPath> {
    if (this.#trees) await this.#trees.source.add([link]);
    else this.#trees = this.#hear(await this.#open([link], true), 'trees');
    return this.#trees.source.placeOf(link) ?? new ResolvedPath(link, 'reading');
  }

  async #openFiles(): Promise<Ear<FileSource>> {
    this.#files ??= this.#hear(new FileSource(await this.#open([], false)), 'files');
    return this.#files;
  }

  #open(roots: readonly Buffer[], isTree: boolean): Promise<TreeSource> {
    const { kernel, options } = this.#options;
    const { ignore = [], recursive = true, crossMounts = true, by } = options;
    return openTree(roots, {
      kernel,
      ignore: isTree ? ignore : [],
      recursive: isTree && recursive,
      crossMounts,
      by,
      onStray: () => this.#stray(),
      onMount: (mountPoint) =>
        void this.exclusively(async () => this.#mounted(mountPoint)).catch(this.#options.onFailure),
    });
  }

  #hear<S extends Source>(source: S, kind: 'trees' | 'files'): Ear<S> {
    const { kernel, room } = this.#options;
    const roots = () => this.#targets(kind);
    const isClosed = () => this.#isClosed;
    const rescan = new Rescan({ kernel, source, report: this.report, roots, listing: this.#listing, room, isClosed });
    const teller = new Teller({ kernel, source, report: this.report, rescan });
    if (this.#isClosed) void source.close();
    this.#alive();
    void this.#listen(source, teller).catch(this.#options.onFailure);
    return { source, teller, rescan };
  }

  async #listen(source: Source, teller: Teller): Promise<void> {
    for await (const batch of source.batches()) {
      if (this.#isClosed) return;
      this.#options.onHeard();
      await this.exclusively(() => {
        source.taken();
        return teller.take(batch);
      });
      if (teller.isInDoubt) this.#clearUpLater(teller);
      await this.#options.room();
    }
  }

  /** What was queued then may be of nothing that is watched, so that nothing more is heard. */
  #clearUpLater(teller: Teller): void {
    if (this.#inDoubt.has(teller) || this.#isClosed) return;
    this.#inDoubt.add(teller);
    const clearUp = async () => {
      this.#inDoubt.delete(teller);
      if (this.#isClosed) return;
      await this.exclusively(() => teller.clearUp());
      if (teller.isInDoubt) this.#clearUpLater(teller);
    };
    setTimeout(() => void clearUp().catch(this.#options.onFailure), CLEAR_UP_MS).unref();
  }

  /** A root was moved or deleted. */
  #stray(): void {
    if (this.#isStray) return;
    this.#isStray = true;
    // Behind what is at hand.
    setImmediate(() => {
      this.#isStray = false;
      void this.exclusively(() => this.#lookAtRoots(false))
        .then(() => this.#options.onHeard())
        .catch(this.#options.onFailure);
    });
  }

  async #mounted(mountPoint: Buffer): Promise<void> {
    if (this.#isClosed || !this.#trees) return;
    this.#options.onHeard();
    this.#trees.teller.settle();
    await this.#trees.rescan.mounted(new ResolvedPath(mountPoint, 'reading'), this.#trees.teller.isTrusted);
  }
}
