// Turns what is heard into changes. Of entries that are no directories what is on disk is told, when it is looked at; directories
// are followed event by event, since what is below moves along with them.

import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../abi/index.ts';
import { fsidText } from '../identity/handle-at.ts';
import type { HandleKey } from '../identity/locator.ts';
import { joinPath, ResolvedPath } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { arrivalsBelow } from './arrivals.ts';
import type { EntryChange } from './change.ts';
import { lookAt, sizeOf, typeOf } from './disk.ts';
import { Doubts, isBelowAny, outermost } from './doubts.ts';
import { MemoryOfLooks } from './memory-of-looks.ts';
import type { ToldPath } from './root-names.ts';
import { settle } from './settling.ts';
import { type SlotDirectory, Slots } from './slots.ts';
import type { Heard, HeardEntry, HeardRename, HeardRoot, Place, Source } from './source.ts';
import { entryPath, type Particulars, type Telling } from './telling.ts';

/** What a teller needs. */
export interface TellerOptions {
  readonly kernel: Kernel;
  readonly source: Source;
  readonly toldAs: (path: ResolvedPath) => ResolvedPath;
  readonly telling: Telling;
  /** Waited for now and then while much is told at once. */
  readonly room: () => Promise<void>;
}

const LISTED_AT_ONCE = 512;
const OPEN = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** Makes changes of what one source tells. */
export class Teller {
  readonly #options: TellerOptions;
  readonly #telling: Telling;
  readonly #memory = new MemoryOfLooks();
  readonly #doubts = new Doubts();
  readonly #slots: Slots;
  readonly #gone = new Map<HandleKey, SlotDirectory>();
  /** The places that directories have left since the queue was empty. */
  readonly #left = new Map<HandleKey, Set<string>>();
  #round = 0;
  #rescans = 0;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#telling = options.telling;
    this.#slots = new Slots((directory, name) => this.#memory.get(directory, name), options.toldAs);
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
    for (const heard of batch) {
      switch (heard.kind) {
        case 'entry':
          await this.#entry(heard);
          break;
        case 'rename':
          this.#rename(heard);
          break;
        case 'loss':
          this.#rescan();
          break;
        case 'unplaced':
          this.#doubts.add(heard.path?.raw ?? UNKNOWN, heard.directory, 'wrong');
          break;
        case 'root':
          await this.#root(heard);
          break;
      }
    }
    if (!this.#doubts.isEmpty && this.#options.source.isIdle()) await this.#clearUp();
  }

  #startRound(round: number): void {
    if (round === this.#round) return;
    this.#round = round;
    this.#memory.forgetBefore(round);
    this.#gone.clear();
    this.#left.clear();
    this.#slots.isLater = false;
  }

  /** Looks at the disk, and tells what has changed since. */
  settle(): void {
    const { kernel, source } = this.#options;
    const doubtful = settle(this.#slots, {
      kernel,
      source,
      telling: this.#telling,
      memory: this.#memory,
      gone: this.#gone,
      isLater: this.#slots.isLater,
    });
    for (const { key, real } of doubtful) this.#doubts.add(real.raw, key, 'wrong');
    this.#slots.clear();
  }

  async #entry(heard: HeardEntry): Promise<void> {
    const { at, isDirectory, key, came, went, isFound } = heard;
    // Nothing tells which directory it is: what is there now is all that can be told.
    if (isDirectory && key === undefined && !isFound && (went || (came && heard.isMove))) {
      this.settle();
      return await this.#reset(at.path.child(at.name));
    }
    if (at.path.asOf === 'reading' && key !== undefined) this.#doubts.add(at.path.raw, at.directory, 'wrong');
    if (isFound) this.#memory.list(at.directory, this.#options.source.round);
    this.#slots.entry(heard);
  }

  #rename(heard: HeardRename): void {
    const { from, key } = heard;
    let { to } = heard;
    for (const place of [from, to]) {
      if (place?.path.asOf === 'reading') this.#doubts.add(place.path.raw, place.directory, 'wrong');
    }
    if (!heard.isDirectory) {
      if (from && to) this.#slots.rename(from, to, heard, !this.#doubts.covers(from.path.raw));
      else if (from ?? to) this.#slots.entry(halfOf(heard, from, to));
      return;
    }
    this.settle();
    // The kernel has merged its end into an event that came before.
    if (key !== undefined && this.#gone.has(key)) return;
    // Into a directory whose end was told ahead of this, for the same reason: it comes out again.
    if (to && this.#gone.has(to.directory)) {
      this.#doubts.add(to.path.raw, undefined, 'wrong');
      to = undefined;
    }
    const wasTold = from && !this.#gone.has(from.directory) && !this.#doubts.covers(from.path.raw);
    const about: Particulars = { fileType: 'directory', size: null, by: heard.by, timeMs: heard.timeMs };
    const [left, right] = [from && pathIn(from), to && pathIn(to)];
    if (from && to && left && right && wasTold) {
      this.#telling.rename(this.#pathOf(from), this.#pathOf(to), about);
      this.#doubts.move(left, right);
    } else if (to && right) {
      if (from) this.#telling.entry('delete', this.#pathOf(from), about);
      this.#telling.entry('create', this.#pathOf(to), about);
      if (from || !this.#options.source.findsBelow) this.#doubts.add(right, key, 'below');
    } else if (from) {
      this.#telling.entry('delete', this.#pathOf(from), about);
    }
    if (key === undefined) return;
    if (to && right && this.#hasLeft(key, from, to)) this.#doubts.add(right, key, 'moved');
    // It was listed where it has gone since: told twice, or with what is below in another place.
    const isAhead = [key, from?.directory, to?.directory].some(
      (each) => each !== undefined && this.#memory.isListed(each),
    );
    if (isAhead) for (const path of [left, right]) if (path) this.#doubts.add(path, key, 'wrong');
  }

  /** A root is gone, with all that is below; or has come, with all that is below. */
  async #root({ root, came }: HeardRoot): Promise<void> {
    const { kernel, toldAs } = this.#options;
    this.settle();
    const told = toldAs(root);
    const about = { size: null, by: null, timeMs: Date.now() };
    if (!came) return this.#telling.entry('delete', told, { ...about, fileType: 'unknown' });
    const status = lookAt(kernel, AT_FDCWD, root.raw);
    if (!status) return;
    const fileType = typeOf(status);
    this.#telling.entry('create', told, { ...about, fileType, size: sizeOf(status) });
    const fd = fileType === 'directory' ? open(kernel, root.raw) : undefined;
    if (fd !== undefined) await this.#tellBelow(fd, root, 'newDirectory');
  }

  /**
   * Whether a directory has left a place before to which it has come, since the queue was empty: the kernel does not tell a rename
   * that is equal to one which waits in the queue, so that it may have left it again.
   */
  #hasLeft(key: HandleKey, from: Place | undefined, to: Place): boolean {
    let left = this.#left.get(key);
    if (!left) {
      left = new Set();
      this.#left.set(key, left);
    }
    left.add(from ? placeId(from) : '');
    return left.has(placeId(to));
  }

  #pathOf({ path, name }: Place): ToldPath {
    return entryPath(this.#options.toldAs(path), name.toString('latin1'));
  }

  /** Tells all that is below an open directory, which is closed then. */
  async #tellBelow(fd: number, path: ResolvedPath, found: EntryChange['found']): Promise<void> {
    const { kernel, source, toldAs, room } = this.#options;
    try {
      let count = 0;
      let listed: HandleKey | undefined;
      const excludes = (path: Buffer) => source.excludes(path);
      const fsid = fsidText(kernel.statfs(fd).fsid);
      for (const arrival of arrivalsBelow(fd, path, fsid, { kernel, excludes })) {
        const { directory, status } = arrival;
        if (directory.key !== listed) this.#memory.list(directory.key, source.round);
        listed = directory.key;
        const fileType = typeOf(status);
        const about = { fileType, size: sizeOf(status), by: null, timeMs: Date.now() };
        const entry = arrival.name.toString('latin1');
        this.#telling.entry('create', entryPath(toldAs(directory.path), entry), about, found);
        this.#memory.set(directory.key, entry, fileType === 'directory' ? 'directory' : 'other', source.round);
        if (++count % LISTED_AT_ONCE === 0) await room();
      }
    } finally {
      kernel.close(fd);
    }
  }

  /** Nothing is queued: looks whether what is in doubt is as it was told, and tells it anew where it is not. */
  async #clearUp(): Promise<void> {
    const { source } = this.#options;
    this.settle();
    const isEverything = this.#doubts.isEverything;
    const doubts = this.#doubts.take();
    const wrong = new Set<string>();
    for (const { told, key, why } of doubts) {
      const now = key === undefined ? undefined : source.pathOf(key)?.raw.toString('latin1');
      if (why !== 'wrong' && now === told) continue;
      if (told !== '') wrong.add(told);
      if (now !== undefined) wrong.add(now);
    }
    if (isEverything) for (const { raw } of source.roots) wrong.add(raw.toString('latin1'));
    for (const { told, key, why } of doubts) {
      const path = new ResolvedPath(Buffer.from(told, 'latin1'), 'reading');
      if (why !== 'below' || wrong.has(told) || isBelowAny(told, wrong) || key === undefined) continue;
      const fd = source.open(key, path);
      if (typeof fd === 'number') await this.#tellBelow(fd, path, 'newDirectory');
    }
    const paths = outermost(wrong).map((path) => Buffer.from(path, 'latin1'));
    for (const path of paths) await this.#reset(new ResolvedPath(path, 'reading'));
  }

  /** Tells what is on disk at and below a path, whatever was told before. */
  async #reset(path: ResolvedPath): Promise<void> {
    const { kernel, source, toldAs } = this.#options;
    const told = toldAs(path);
    const status = lookAt(kernel, AT_FDCWD, path.raw);
    const about = { size: null, by: null, timeMs: Date.now() };
    this.#telling.entry('delete', told, { ...about, fileType: 'unknown' }, 'rescan');
    if (!status || source.excludes(path.raw)) return;
    const fileType = typeOf(status);
    this.#telling.entry('create', told, { ...about, fileType, size: sizeOf(status) }, 'rescan');
    if (fileType !== 'directory') return;
    const fd = open(kernel, path.raw);
    if (fd !== undefined) await this.#tellBelow(fd, path, 'rescan');
  }

  #rescan(): void {
    this.settle();
    this.#memory.clear();
    this.#doubts.clear();
    this.#rescans++;
    for (const root of this.#options.source.roots) this.#telling.rescan(this.#options.toldAs(root), false, 'overflow');
  }
}

const placeId = ({ directory, name }: Place): string => `${directory}/${name.toString('latin1')}`;

function pathIn({ path, name }: Place): Buffer {
  return joinPath(path.raw, name);
}

const UNKNOWN = Buffer.alloc(0);

function open(kernel: Kernel, path: Buffer): number | undefined {
  try {
    return kernel.openAt(AT_FDCWD, path, OPEN);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function halfOf(heard: HeardRename, from: Place | undefined, to: Place | undefined) {
  const { isDirectory, key, by, timeMs, round } = heard;
  const at = (to ?? from) as Place;
  const way = { came: !!to, went: !to, isMove: true, isFound: false };
  return { kind: 'entry', at, isDirectory, key, by, timeMs, round, ...way } as const;
}
