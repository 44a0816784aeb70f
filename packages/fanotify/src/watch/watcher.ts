// A watch and its life: starts hearing, gathers, hands on, ends.

import { posix } from 'node:path';
import { linuxKernel } from '../kernel/index.ts';
import type { Baseline } from './baseline.ts';
import { callBack } from './callback.ts';
import type { Change } from './change.ts';
import { Engine } from './engine.ts';
import { Knowledge, type KnowledgeState } from './knowledge.ts';
import type { BaselineKind, WatchOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { Telling } from './telling.ts';

/** What became of a watch so far. */
export interface WatchCounters {
  /** Changes told: the last sequence number. */
  readonly told: number;
  /** How often something was looked at again: events were lost, or something was mounted. */
  readonly rescans: number;
  /** Directories with a mark of their own. */
  readonly markedDirectories: number;
  /** What is known of the tree: after a loss of events only `complete` helps. */
  readonly baseline: KnowledgeState;
}

/** Why each directory has a mark of its own: no privilege for one on the file system, or a file system that takes none. */
export type WhyInodes = 'privilege' | 'filesystem';

/** How a watch hears. */
export type Hearing = 'filesystem' | 'daemon' | 'inodes' | 'fallback';

/**
 * A watch that {@link watch} started: iterate it, or its {@link Watcher.batches}.
 */
export interface Watcher extends AsyncIterable<Change>, AsyncDisposable {
  /** Resolves when everything is heard: what happens from then on is told. Rejects when that cannot be. */
  readonly ready: Promise<void>;
  /** How it hears; undefined before it is ready. */
  readonly how: Hearing | undefined;
  /** Why it is `inodes`. */
  readonly because: WhyInodes | undefined;
  readonly counters: WatchCounters;
  batches(): AsyncIterableIterator<readonly Change[]>;
  /** Writes what has been told so far to a file, for {@link WatchOptions.since}. */
  snapshot(file: string): Promise<void>;
  close(): Promise<void>;
}

/** {@link Watcher} in this process. */
export class LocalWatcher implements Watcher {
  readonly ready: Promise<void>;
  readonly #options: WatchOptions;
  readonly #outbox: Outbox;
  readonly #telling: Telling;
  #engine: Engine | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isWanted = false;

  constructor(paths: readonly Buffer[], options: WatchOptions) {
    this.#options = options;
    this.#outbox = new Outbox(
      () => this.#engine?.settle(),
      () => this.#engine?.waiting ?? 0,
      (isTaking) => this.#want(isTaking),
    );
    this.#telling = new Telling((change) => this.#outbox.put(change));
    options.signal?.addEventListener('abort', this.#abort, { once: true });
    this.ready = this.#start(paths).catch((error: unknown) => {
      // What was closed while it began has no more to say.
      if (this.#outbox.isOpen || options.signal?.aborted) throw error;
    });
    // Whoever iterates is told as well.
    this.ready.catch((error: unknown) => this.#fail(error));
    if (options.onChanges) void callBack(this, options);
  }

  get how(): Hearing | undefined {
    return this.#options.kernel?.marksSubtrees && this.#engine?.how ? 'daemon' : this.#engine?.how;
  }

  get because(): WhyInodes | undefined {
    return this.how === 'daemon' ? undefined : this.#engine?.because;
  }

  get counters(): WatchCounters {
    return {
      told: this.#telling.told,
      rescans: this.#engine?.rescans ?? 0,
      markedDirectories: this.#engine?.markedDirectories ?? 0,
      baseline: this.#engine?.report.knowledge.state ?? 'none',
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Change, void, void> {
    for await (const batch of this.batches()) yield* batch;
  }

  async *batches(): AsyncGenerator<readonly Change[], void, void> {
    for (;;) {
      const changes = await this.#outbox.take();
      if (!changes) return;
      yield changes;
    }
  }

  async snapshot(file: string): Promise<void> {
    await this.ready;
    const { ignore = [], recursive = true, crossMounts = true } = this.#options;
    this.#engine?.settle();
    await this.#engine?.learning.writeSnapshot(file, {
      ignore: ignore.filter((each) => typeof each === 'string'),
      recursive,
      crossMounts,
    });
  }

  async close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#abort);
    clearTimeout(this.#timer);
    this.#outbox.close();
    await this.#engine?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => this.#fail(this.#options.signal?.reason);

  #fail(error: unknown): void {
    if (!this.#outbox.isOpen) return;
    clearTimeout(this.#timer);
    this.#engine?.settle();
    this.#outbox.fail(error);
    void this.#engine?.close();
  }

  async #start(paths: readonly Buffer[]): Promise<void> {
    const { signal, baseline = 'file', initial = false, since } = this.#options;
    signal?.throwIfAborted();
    const knowledge = new Knowledge(await openBaseline(baseline));
    const engine = new Engine(paths, knowledge, {
      kernel: this.#options.kernel ?? linuxKernel(),
      options: this.#options,
      telling: this.#telling,
      room: () => this.#outbox.room(),
      onHeard: () => this.#heard(),
      onFailure: (error) => this.#fail(error),
    });
    this.#engine = engine;
    this.#want(this.#outbox.isWanted);
    await engine.start();
    if (!this.#outbox.isOpen) return await this.close();
    const { learning } = engine;
    if (initial || since !== undefined) {
      const telling = engine.exclusively(() => (since === undefined ? learning.tellAll() : learning.tellSince(since)));
      this.#outbox.due();
      // Whoever takes only when it is ready would wait for ever.
      await Promise.race([telling, this.#outbox.isFull]);
      this.#outbox.due();
    } else {
      learning.inBackground(() => engine.trust());
    }
  }

  /** What was heard is told some time after the first of it. */
  #heard(): void {
    if (this.#timer !== undefined || !this.#outbox.isOpen) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#outbox.due();
    }, this.#options.delayMs ?? DEFAULT_DELAY_MS);
    if (!this.#isWanted) this.#timer.unref();
  }

  /** Only who waits for changes keeps the process alive. */
  #want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    if (isWanted) {
      this.#engine?.ref();
      this.#timer?.ref();
    } else {
      this.#engine?.unref();
      this.#timer?.unref();
    }
  }
}

const DEFAULT_DELAY_MS = 20;

/** Loaded only where they are wanted. */
async function openBaseline(kind: BaselineKind): Promise<Baseline | undefined> {
  if (kind === 'memory') return new (await import('./memory-baseline.ts')).MemoryBaseline();
  if (kind === 'file') return new (await import('./file-baseline.ts')).FileBaseline();
  return undefined;
}

/** An absolute path without a slash at its end. */
export function absolutePath(path: string | Uint8Array): Buffer {
  const latin1 = Buffer.from(path).toString('latin1');
  const resolved = posix.resolve(Buffer.from(process.cwd()).toString('latin1'), latin1);
  return Buffer.from(resolved, 'latin1');
}
