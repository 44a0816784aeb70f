// Hears through @parcel/watcher, and tells as watch() does, as far as what is heard goes.

import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { type Kernel, linuxKernel } from '../../kernel/index.ts';
import type { Change, EntryType } from '../change.ts';
import type { WatchOptions } from '../options.ts';
import { Outbox } from '../outbox.ts';
import { EventList } from '../parcel/gathering.ts';
import type { AsyncSubscription, Event } from '../parcel/types.ts';
import { Telling } from '../telling.ts';
import { type HeardPlace, placeOf } from './heard-place.ts';
import { tellSince, writePlaces } from './kept.ts';
import type { Original } from './original.ts';

const DEFAULT_DELAY_MS = 20;
const LISTED_AT_ONCE = 512;
/** Named, since by default it would start the daemon of Watchman where that is installed. */
const BACKEND = process.platform === 'linux' ? { backend: 'inotify' as const } : {};

/** A watch that @parcel/watcher hears for. It keeps the process alive until it is closed. */
export class FallbackWatcher {
  readonly #original: Original;
  readonly #options: WatchOptions;
  readonly #events = new EventList();
  readonly #outbox: Outbox;
  readonly #telling: Telling;
  #subscriptions: AsyncSubscription[] = [];
  #places: readonly HeardPlace[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(original: Original, options: WatchOptions) {
    this.#original = original;
    this.#options = options;
    this.#outbox = new Outbox(
      () => this.#settle(),
      () => 0,
      () => undefined,
    );
    this.#telling = new Telling((change) => this.#outbox.put(change));
  }

  /** How many changes were told. */
  get told(): number {
    return this.#telling.told;
  }

  /** Resolves when it hears, and what was there before is told if that was asked for. */
  async start(paths: readonly Buffer[]): Promise<void> {
    const { ignore = [], recursive = true, initial = false, since } = this.#options;
    this.#places = paths.map((path) => placeOf(path, { ignore, recursive }));
    try {
      for (const place of this.#places) await this.#subscribe(place);
      if (since !== undefined) for (const place of this.#places) await this.#tellSince(place, since);
      if (initial) for (const place of this.#places) await this.#tellAll(place);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #subscribe(place: HeardPlace): Promise<void> {
    const subscription = await this.#original.subscribe(
      place.directory,
      (error, events) => (error ? this.fail(error) : this.#hear(place, events)),
      { ...BACKEND, ignore: [...place.ignore] },
    );
    if (this.#outbox.isOpen) this.#subscriptions.push(subscription);
    else await subscription.unsubscribe();
  }

  #hear(place: HeardPlace, events: readonly Event[]): void {
    for (const { type, path } of events) {
      const told = place.toldAs(path);
      if (told !== undefined) this.#events[type](told);
    }
    if (this.#events.isEmpty || !this.#outbox.isOpen) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#outbox.due();
    }, this.#options.delayMs ?? DEFAULT_DELAY_MS);
  }

  #settle(): void {
    const timeMs = Date.now();
    for (const { type, path } of this.#events.take()) {
      const status = type === 'delete' ? undefined : look(path);
      this.#telling.entry(type, pathOf(path), { ...particulars(status), timeMs });
    }
  }

  async #tellAll({ path: root, toldAs }: HeardPlace): Promise<void> {
    const left = [root];
    for (let path = left.pop(), count = 0; path !== undefined; path = left.pop()) {
      const told = toldAs(path);
      const status = told === undefined ? undefined : look(path);
      if (told === undefined || !status) continue;
      this.#telling.entry('create', pathOf(told), { ...particulars(status), timeMs: Date.now() }, 'initial');
      if (status.isDirectory()) left.push(...entriesOf(path));
      if (++count % LISTED_AT_ONCE === 0) await this.#outbox.room();
    }
    this.#outbox.due();
  }

  async #tellSince(place: HeardPlace, snapshot: string): Promise<void> {
    const tell = (type: Event['type']) => (path: Buffer) => {
      const told = place.toldAs(path.toString());
      const status = type === 'delete' ? undefined : look(path.toString());
      if (told === undefined) return;
      this.#telling.entry(type, pathOf(told), { ...particulars(status), timeMs: Date.now() }, 'snapshot');
    };
    await tellSince(this.#kernel, snapshot, place, {
      create: tell('create'),
      update: tell('update'),
      delete: tell('delete'),
    });
    this.#outbox.due();
  }

  /**
   * Writes down what is there now.
   *
   * @throws KernelUnavailableError where there is no Linux to ask.
   */
  async snapshot(path: string): Promise<void> {
    this.#outbox.due();
    await writePlaces(this.#kernel, path, this.#places);
  }

  get #kernel(): Kernel {
    return this.#options.kernel ?? linuxKernel();
  }

  take(): Promise<readonly Change[] | undefined> {
    return this.#outbox.take();
  }

  fail(error: unknown): void {
    this.#outbox.fail(error);
    void this.#unsubscribe();
  }

  async close(): Promise<void> {
    this.#outbox.close();
    await this.#unsubscribe();
  }

  async #unsubscribe(): Promise<void> {
    clearTimeout(this.#timer);
    const subscriptions = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
  }
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // Not to be seen by this user, or below what is no directory any more.
    return undefined;
  }
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path)
      .toSorted()
      .reverse()
      .map((name) => join(path, name));
  } catch {
    return [];
  }
}

const pathOf = (path: string) => ({ text: path, raw: Buffer.from(path) });

function particulars(status: Stats | undefined): { fileType: EntryType; size: number | null; by: null } {
  if (!status) return { fileType: 'unknown', size: null, by: null };
  if (status.isFile()) return { fileType: 'file', size: status.size, by: null };
  const fileType = status.isDirectory() ? 'directory' : status.isSymbolicLink() ? 'symlink' : 'other';
  return { fileType, size: null, by: null };
}
