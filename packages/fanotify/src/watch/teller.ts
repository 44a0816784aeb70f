// Turns what is heard into changes. Of entries that are no directories what is on disk is told, when it is looked at; directories
// are followed event by event, since what is below moves along with them.

import { fsidOf, type HandleKey } from '../identity/locator.ts';
import type { ResolvedPath } from '../identity/path.ts';
import type { Kernel } from '../kernel/index.ts';
import { arrivalsBelow } from './arrivals.ts';
import type { Change } from './change.ts';
import { sizeOf, typeOf } from './disk.ts';
import { MemoryOfLooks } from './memory-of-looks.ts';
import { settle } from './settling.ts';
import { Slots } from './slots.ts';
import type { Heard, HeardRename, Place, Source } from './source.ts';
import { entryPath, type Particulars, Telling, type ToldPath } from './telling.ts';

/** What a teller needs. */
export interface TellerOptions {
  readonly kernel: Kernel;
  readonly source: Source;
  /** The roots, as they are told. */
  readonly roots: readonly ToldPath[];
  readonly toldAs: (path: ResolvedPath) => ResolvedPath;
  readonly tell: (change: Change) => void;
  /** Waited for now and then while much is told at once. */
  readonly room: () => Promise<void>;
}

const LISTED_AT_ONCE = 512;

/** Makes changes of what one source tells. */
export class Teller {
  readonly #options: TellerOptions;
  readonly #telling: Telling;
  readonly #memory = new MemoryOfLooks();
  readonly #slots: Slots;
  readonly #gone = new Set<HandleKey>();
  #round = 0;
  #rescans = 0;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#telling = new Telling(options.tell);
    this.#slots = new Slots((directory, name) => this.#memory.get(directory, name), options.toldAs);
  }

  get told(): number {
    return this.#telling.told;
  }

  get rescans(): number {
    return this.#rescans;
  }

  /** How many entries wait to be looked at. */
  get waiting(): number {
    return this.#slots.size;
  }

  /** Takes what was heard. Most of it is told by the next {@link settle}. */
  async take(batch: readonly Heard[]): Promise<void> {
    const [first] = batch;
    if (first) this.#startRound(first.round);
    const corrections = this.#corrections(batch);
    for (const heard of batch) {
      switch (heard.kind) {
        case 'entry':
          this.#slots.entry(heard);
          break;
        case 'rename':
          await this.#rename(heard, corrections.get(heard));
          break;
        case 'loss':
          this.#rescan();
          break;
        case 'root':
          break;
      }
    }
  }

  #startRound(round: number): void {
    if (round === this.#round) return;
    this.#round = round;
    this.#memory.forgetBefore(round);
    this.#gone.clear();
  }

  /** Looks at the disk, and tells what has changed since. */
  settle(): void {
    const { kernel, source } = this.#options;
    settle(this.#slots, { kernel, source, telling: this.#telling, memory: this.#memory, gone: this.#gone });
    this.#slots.clear();
  }

  /** Of the directories that were renamed more than once, where those are that are not where they were told to go. */
  #corrections(batch: readonly Heard[]): Map<HeardRename, Place | 'gone'> {
    const last = new Map<string, HeardRename>();
    for (const heard of batch) {
      if (heard.kind === 'rename' && heard.isDirectory && heard.key !== undefined) last.set(heard.key, heard);
    }
    const corrections = new Map<HeardRename, Place | 'gone'>();
    for (const [key, heard] of last) {
      const correction = heard.to && this.#options.source.correction(key, heard.to);
      if (correction) corrections.set(heard, correction);
    }
    return corrections;
  }

  async #rename(heard: HeardRename, correction: Place | 'gone' | undefined): Promise<void> {
    const { from } = heard;
    const to = correction === 'gone' ? undefined : (correction ?? heard.to);
    if (!heard.isDirectory) {
      if (from && to) this.#slots.rename(from, to, heard);
      else if (from ?? to) this.#slots.entry(halfOf(heard, from, to));
      return;
    }
    this.settle();
    // The kernel has merged its end into an event that came before.
    if (heard.key !== undefined && this.#gone.has(heard.key)) return;
    const isFromGone = from !== undefined && this.#gone.has(from.directory);
    const about: Particulars = { fileType: 'directory', size: null, by: heard.by, timeMs: heard.timeMs };
    if (from && to && !isFromGone) {
      const [left, right] = [this.#pathOf(from), this.#pathOf(to)];
      if (!left.raw.equals(right.raw)) this.#telling.rename(left, right, about);
    } else if (to) {
      this.#telling.entry('create', this.#pathOf(to), about);
      if (heard.key !== undefined) await this.#tellBelow(heard.key, to);
    } else if (from) {
      this.#telling.entry('delete', this.#pathOf(from), about);
    }
  }

  #pathOf({ path, name }: Place): ToldPath {
    return entryPath(this.#options.toldAs(path), name.toString('latin1'));
  }

  /** A directory came with all that is below. */
  async #tellBelow(key: string, { path, name }: Place): Promise<void> {
    const { kernel, source, toldAs, room } = this.#options;
    const below = path.child(name);
    const fd = source.open(key, below);
    if (typeof fd !== 'number') return;
    try {
      let count = 0;
      const excludes = (path: Buffer) => source.excludes(path);
      for (const arrival of arrivalsBelow(fd, below, fsidOf(key), { kernel, excludes })) {
        const { directory, status } = arrival;
        const fileType = typeOf(status);
        const about = { fileType, size: sizeOf(status), by: null, timeMs: Date.now() };
        const entry = arrival.name.toString('latin1');
        this.#telling.entry('create', entryPath(toldAs(directory.path), entry), about, 'newDirectory');
        this.#memory.set(directory.key, entry, fileType === 'directory' ? 'directory' : 'other', source.round);
        if (++count % LISTED_AT_ONCE === 0) await room();
      }
    } finally {
      kernel.close(fd);
    }
  }

  #rescan(): void {
    this.settle();
    this.#memory.clear();
    this.#rescans++;
    for (const root of this.#options.roots) this.#telling.rescan(root, false, 'overflow');
  }
}

function halfOf(heard: HeardRename, from: Place | undefined, to: Place | undefined) {
  const { isDirectory, key, by, timeMs, round } = heard;
  const at = (to ?? from) as Place;
  return { kind: 'entry', at, isDirectory, key, by, timeMs, round, came: !!to, went: !to, isFound: false } as const;
}
