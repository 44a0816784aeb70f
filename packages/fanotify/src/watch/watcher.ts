// A watch and its life: starts hearing, gathers, hands on, ends.

import { posix } from 'node:path';
import { linuxKernel } from '../kernel/index.ts';
import type { Change } from './change.ts';
import { Hearing } from './hearing.ts';
import type { WatchOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { RootNames } from './root-names.ts';
import { Teller } from './teller.ts';
import { Telling } from './telling.ts';

/** What became of a watch so far. */
export interface WatchCounters {
  /** Changes told: the last sequence number. */
  readonly told: number;
  /** How often the tree was looked at again, since events were lost. */
  readonly rescans: number;
}

/** How a watch hears. */
export type WatchMethod = 'filesystem' | 'inodes' | 'fallback';

/**
 * A watch that {@link watch} started: iterate it, or its {@link Watcher.batches}.
 */
export interface Watcher extends AsyncIterable<Change>, AsyncDisposable {
  /** Resolves when everything is heard: what happens from then on is told. Rejects when that cannot be. */
  readonly ready: Promise<void>;
  readonly how: WatchMethod | undefined;
  readonly counters: WatchCounters;
  batches(): AsyncIterableIterator<readonly Change[]>;
  close(): Promise<void>;
}

/** {@link Watcher} in this process. */
export class LocalWatcher implements Watcher {
  readonly ready: Promise<void>;
  readonly #options: WatchOptions;
  readonly #outbox: Outbox;
  readonly #telling: Telling;
  readonly #names = new RootNames();
  #hearing: Hearing | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isWanted = false;

  constructor(paths: readonly Buffer[], options: WatchOptions) {
    this.#options = options;
    this.#outbox = new Outbox(
      () => this.#hearing?.settle(),
      () => this.#hearing?.waiting ?? 0,
      (isTaking) => this.#want(isTaking),
    );
    this.#telling = new Telling((change) => this.#outbox.put(change), this.#names);
    options.signal?.addEventListener('abort', this.#abort, { once: true });
    this.ready = this.#start(paths);
    // Whoever iterates is told as well.
    this.ready.catch((error: unknown) => this.#fail(error));
    if (options.onChanges) void this.#callBack(options.onChanges);
  }

  get how(): WatchMethod | undefined {
    const all = this.#hearing?.sources.map(({ how }) => how);
    return all && (all.includes('inodes') ? 'inodes' : 'filesystem');
  }

  get counters(): WatchCounters {
    return { told: this.#telling.told, rescans: this.#hearing?.rescans ?? 0 };
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
    await this.#hearing?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => this.#fail(this.#options.signal?.reason);

  readonly #fail = (error: unknown): void => {
    clearTimeout(this.#timer);
    this.#outbox.fail(error);
    void this.#hearing?.close();
  };

  async #start(paths: readonly Buffer[]): Promise<void> {
    const { signal, ignore = [], recursive = true, by } = this.#options;
    signal?.throwIfAborted();
    const kernel = this.#options.kernel ?? linuxKernel();
    const names = this.#names;
    const hearing = new Hearing({
      kernel,
      tree: { kernel, ignore, recursive, by },
      names,
      tellerOf: (source) => {
        return new Teller({
          kernel,
          source,
          toldAs: names.ofDirectory,
          telling: this.#telling,
          room: () => this.#outbox.room(),
        });
      },
      heard: () => {
        this.#timer ??= this.#wait();
      },
      room: () => this.#outbox.room(),
      fail: this.#fail,
    });
    this.#hearing = hearing;
    hearing.ref(this.#outbox.isWanted);
    try {
      await hearing.open(paths);
    } catch (error) {
      await hearing.close();
      throw error;
    }
    if (!this.#outbox.isOpen) await hearing.close();
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
    this.#hearing?.ref(isWanted);
    if (isWanted) this.#timer?.ref();
    else this.#timer?.unref();
  }

  async #callBack(onChanges: (changes: readonly Change[]) => void | Promise<void>): Promise<void> {
    for await (const changes of this.batches()) await onChanges(changes);
  }
}

/** An absolute path without a slash at its end. */
export function absolutePath(path: string | Uint8Array): Buffer {
  const latin1 = Buffer.from(path).toString('latin1');
  const resolved = posix.resolve(Buffer.from(process.cwd()).toString('latin1'), latin1);
  return Buffer.from(resolved, 'latin1');
}
