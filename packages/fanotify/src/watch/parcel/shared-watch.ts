// One watch for all who subscribe to the same: hears through watch(), or where fanotify is refused through @parcel/watcher.

import { statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { NoSuchPathError, NotDirectoryError } from '../../group/errors.ts';
import type { Change } from '../change.ts';
import { loadOriginal } from '../fallback/original.ts';
import { isRefusal } from '../fallback/refusal.ts';
import { watch } from '../watch.ts';
import type { Watcher } from '../watcher.ts';
import { EventsLostError } from './errors.ts';
import { Gathering } from './gathering.ts';
import type { Ignoring } from './ignoring.ts';
import type { AsyncSubscription, Event, Options, SubscribeCallback } from './types.ts';

/** What a subscription is to. */
export interface Subject {
  /** Absolute. */
  readonly directory: string;
  readonly ignoring: Ignoring;
  readonly options: Options;
}

/** Short, since what is told has been gathered before. */
const DELAY_MS = 10;

/** The longest that a subscription waits to know what is there, in milliseconds. */
const LEARN_MS = 1000;

/** A watch of a directory, and who is told. */
export class SharedWatch {
  readonly callbacks: Set<SubscribeCallback> = new Set();
  /** Resolves when everything is heard. */
  readonly ready: Promise<void>;
  readonly #subject: Subject;
  readonly #gathering = new Gathering((events) => this.#tell(null, events));
  readonly #failed: () => void;
  #watcher: Watcher | undefined;
  #original: AsyncSubscription | undefined;
  #isEnded = false;

  /** `failed` is called when it has ended by itself, before who subscribed is told. */
  constructor(subject: Subject, failed: () => void) {
    this.#subject = subject;
    this.#failed = failed;
    this.ready = this.#start();
  }

  async #start(): Promise<void> {
    const { directory, ignoring, options } = this.#subject;
    assertDirectory(directory);
    if (ignoring.isAll) return;
    const ignore = ignoring.isIgnored ? [ignoring.isIgnored] : [];
    this.#watcher = watch(directory, { ignore, by: false, delayMs: DELAY_MS, fallback: false });
    try {
      await this.#watcher.ready;
    } catch (error) {
      await this.#watcher.close();
      this.#watcher = undefined;
      if (options.fallback === false || !isRefusal(error)) throw error;
      const original = await loadOriginal(error);
      this.#original = await original.subscribe(directory, (error, events) => this.#tell(error, events), options);
      if (this.#isEnded) await this.#original.unsubscribe();
      return;
    }
    await this.#learn(this.#watcher);
    if (!this.#isEnded) void this.#hear(this.#watcher).catch((error: unknown) => this.#fail(error));
  }

  /** What is there already is known from the first change on; for that of a large tree nobody waits. */
  async #learn(watcher: Watcher): Promise<void> {
    const until = Date.now() + LEARN_MS;
    while (!this.#isEnded && watcher.counters.baseline === 'listing' && Date.now() < until) await setTimeout(5);
  }

  async #hear(watcher: Watcher): Promise<void> {
    for await (const changes of watcher.batches()) {
      this.#gathering.add(changes);
      if (changes.some(isLoss)) {
        this.#gathering.flush();
        this.#tell(new EventsLostError(this.#subject.directory), []);
      }
      // What comes to its place is another directory, and not watched.
      if (changes.some((change) => this.#isEnd(change))) return await watcher.close();
    }
  }

  #isEnd(change: Change): boolean {
    const path = change.type === 'rename' ? change.from : change.type === 'delete' ? change.path : undefined;
    return path === this.#subject.directory;
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#gathering.flush();
    this.#failed();
    this.#tell(error instanceof Error ? error : new Error(String(error)), []);
    this.callbacks.clear();
  }

  #tell(error: Error | null, events: Event[]): void {
    if (this.#isEnded) return;
    for (const callback of [...this.callbacks]) {
      try {
        // Each has events of its own, to do with as it likes.
        callback(
          error,
          events.map((event) => ({ ...event })),
        );
      } catch (thrown) {
        // The caller's own mistake: it is not to end the watch, nor to be lost.
        process.nextTick(() => {
          throw thrown;
        });
      }
    }
  }

  /** Resolves when nothing is told any more. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#gathering.end();
    await this.ready.catch(() => undefined);
    await this.#watcher?.close();
    await this.#original?.unsubscribe();
  }
}

const isLoss = (change: Change) => change.type === 'rescan' && !change.complete;

/** @throws NoSuchPathError, NotDirectoryError */
export function assertDirectory(directory: string): void {
  const shown = JSON.stringify(directory);
  const status = statSync(directory, { throwIfNoEntry: false });
  if (!status) throw new NoSuchPathError(`${shown} does not exist`, { path: directory });
  if (!status.isDirectory()) throw new NotDirectoryError(`${shown} is not a directory`, { path: directory });
}
