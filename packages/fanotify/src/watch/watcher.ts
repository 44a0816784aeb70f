// A watch and its life: starts hearing, gathers, hands on, ends.

import { posix } from 'node:path';
import { ResolvedPath } from '../identity/path.ts';
import { linuxKernel } from '../kernel/index.ts';
import type { Change } from './change.ts';
import type { WatchOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import type { Source } from './source.ts';
import { Teller } from './teller.ts';
import { openTree } from './tree-source.ts';

/** What became of a watch so far. */
export interface WatchCounters {
  /** Changes told: the last sequence number. */
  readonly told: number;
  /** How often the tree was looked at again, since events were lost. */
  readonly rescans: number;
}

/** How a watch hears. */
export type Hearing = 'filesystem' | 'inodes' | 'fallback';

/**
 * A watch that {@link watch} started: iterate it, or its {@link Watcher.batches}.
 */
export interface Watcher extends AsyncIterable<Change>, AsyncDisposable {
  /** Resolves when everything is heard: what happens from then on is told. Rejects when that cannot be. */
  readonly ready: Promise<void>;
  readonly how: Hearing | undefined;
  readonly counters: WatchCounters;
  batches(): AsyncIterableIterator<readonly Change[]>;
  close(): Promise<void>;
}

/** {@link Watcher} in this process. */
export class LocalWatcher implements Watcher {
  readonly ready: Promise<void>;
  readonly #options: WatchOptions;
  readonly #outbox: Outbox;
  #source: Source | undefined;
  #teller: Teller | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isWanted = false;

  constructor(paths: readonly Buffer[], options: WatchOptions) {
    this.#options = options;
    this.#outbox = new Outbox(
      () => this.#teller?.settle(),
      () => this.#teller?.waiting ?? 0,
      (isTaking) => this.#want(isTaking),
    );
    options.signal?.addEventListener('abort', this.#abort, { once: true });
    this.ready = this.#start(paths);
    // Whoever iterates is told as well.
    this.ready.catch((error: unknown) => this.#fail(error));
    if (options.onChanges) void this.#callBack(options.onChanges);
  }

  get how(): Hearing | undefined {
    return this.#source?.how;
  }

  get counters(): WatchCounters {
    return { told: this.#teller?.told ?? 0, rescans: this.#teller?.rescans ?? 0 };
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

  async close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#abort);
    clearTimeout(this.#timer);
    this.#outbox.close();
    await this.#source?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => this.#fail(this.#options.signal?.reason);

  #fail(error: unknown): void {
    clearTimeout(this.#timer);
    this.#outbox.fail(error);
    void this.#source?.close();
  }

  async #start(paths: readonly Buffer[]): Promise<void> {
    const { signal, ignore = [], recursive = true, by } = this.#options;
    signal?.throwIfAborted();
    const kernel = this.#options.kernel ?? linuxKernel();
    const source = await openTree(paths, { kernel, ignore, recursive, by });
    if (!this.#outbox.isOpen) return await source.close();
    this.#source = source;
    this.#teller = new Teller({
      kernel,
      source,
      roots: paths.map((raw) => new ResolvedPath(raw, 'reading')),
      toldAs: namesOf(paths, kernel),
      tell: (change) => this.#outbox.put(change),
      room: () => this.#outbox.room(),
    });
    this.#want(this.#outbox.isWanted);
    void this.#hear(source, this.#teller).catch((error: unknown) => this.#fail(error));
  }

  async #hear(source: Source, teller: Teller): Promise<void> {
    for await (const batch of source.batches()) {
      if (!this.#outbox.isOpen) return;
      this.#timer ??= this.#wait();
      await teller.take(batch);
      await this.#outbox.room();
    }
  }

  /** What was heard is told some time after the first of it. */
  #wait(): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timer = undefined;
      this.#outbox.due();
    }, this.#options.delayMs ?? 20);
    return this.#isWanted ? timer : timer.unref();
  }

  /** Only who waits for changes keeps the process alive. */
  #want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    if (isWanted) {
      this.#source?.ref();
      this.#timer?.ref();
    } else {
      this.#source?.unref();
      this.#timer?.unref();
    }
  }

  async #callBack(onChanges: (changes: readonly Change[]) => void | Promise<void>): Promise<void> {
    for await (const changes of this.batches()) await onChanges(changes);
  }
}

/** Paths as they were named: below the name that was given, though links lead elsewhere. */
function namesOf(
  paths: readonly Buffer[],
  kernel: { readlink(path: string): Buffer },
): (path: ResolvedPath) => ResolvedPath {
  void paths;
  void kernel;
  return (path) => path;
}

/** An absolute path without a slash at its end. */
export function absolutePath(path: string | Uint8Array): Buffer {
  const latin1 = Buffer.from(path).toString('latin1');
  const resolved = posix.resolve(Buffer.from(process.cwd()).toString('latin1'), latin1);
  return Buffer.from(resolved, 'latin1');
}
