// Watches through fanotify, or where that is refused through @parcel/watcher.

import { callBack } from '../callback.ts';
import type { Change } from '../change.ts';
import type { WatchOptions } from '../options.ts';
import { type Hearing, LocalWatcher, type WatchCounters, type Watcher, type WhyInodes } from '../watcher.ts';
import { FallbackWatcher } from './fallback-watcher.ts';
import { loadOriginal } from './original.ts';
import { isRefusal } from './refusal.ts';

/** A {@link Watcher} that hears whichever way it can. */
export class ChoosingWatcher implements Watcher {
  readonly ready: Promise<void>;
  readonly #options: WatchOptions;
  readonly #local: LocalWatcher;
  #fallback: FallbackWatcher | undefined;
  #isRefused = false;
  #isClosed = false;

  constructor(paths: readonly Buffer[], options: WatchOptions) {
    this.#options = options;
    this.#local = new LocalWatcher(paths, { ...options, onChanges: undefined, onError: undefined });
    this.ready = this.#start(paths);
    // Whoever iterates is told as well.
    this.ready.catch(() => undefined);
    if (options.onChanges) void callBack(this, options);
  }

  async #start(paths: readonly Buffer[]): Promise<void> {
    try {
      return await this.#local.ready;
    } catch (refusal) {
      // Who did it can only be told by the kernel.
      if (!isRefusal(refusal) || this.#options.by) throw refusal;
      this.#isRefused = true;
      await this.#local.close();
      const original = await loadOriginal(refusal);
      if (this.#isClosed) return;
      this.#fallback = new FallbackWatcher(original, this.#options);
      this.#options.signal?.addEventListener('abort', this.#abort, { once: true });
      await this.#fallback.start(paths);
    }
  }

  get how(): Hearing | undefined {
    return this.#fallback ? 'fallback' : this.#local.how;
  }

  get because(): WhyInodes | undefined {
    return this.#fallback ? undefined : this.#local.because;
  }

  get counters(): WatchCounters {
    if (!this.#fallback) return this.#local.counters;
    return { told: this.#fallback.told, rescans: 0, markedDirectories: 0, baseline: 'none' };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Change, void, void> {
    for await (const batch of this.batches()) yield* batch;
  }

  async *batches(): AsyncGenerator<readonly Change[], void, void> {
    try {
      // Its first changes may come before it is ready.
      yield* this.#local.batches();
    } catch (error) {
      await this.ready;
      if (!this.#isRefused) throw error;
    }
    for (;;) {
      const changes = await this.#fallback?.take();
      if (!changes) return;
      yield changes;
    }
  }

  async snapshot(path: string): Promise<void> {
    await this.ready;
    await (this.#fallback ?? this.#local).snapshot(path);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    await this.#local.close();
    await this.#fallback?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => this.#fallback?.fail(this.#options.signal?.reason);
}
