// Turns what is heard into changes. Of entries that are no directories what is on disk is told, when it is looked at; directories
// are followed event by event, since what is below moves along with them.

import { AT_EMPTY_PATH } from '../abi/index.ts';
import type { HandleKey } from '../identity/locator.ts';
import { joinPath, ResolvedPath } from '../identity/path.ts';
import type { FileStatus, Kernel } from '../kernel/index.ts';
import type { Known } from './baseline.ts';
import { Doubts, isBelowAny, outermost } from './doubts.ts';
import { knownOf } from './known.ts';
import { MemoryOfLooks } from './memory-of-looks.ts';
import { Names } from './names.ts';
import { isAtOrBelow } from './path-order.ts';
import { type Report, realPath, type Spot } from './report.ts';
import type { Rescan } from './rescan.ts';
import { isAnother, settle } from './settling.ts';
import { type SlotDirectory, Slots } from './slots.ts';
import type { Heard, HeardEntry, HeardRename, Place, Source } from './source.ts';
import type { Particulars } from './telling.ts';

/** What a teller needs. */
export interface TellerOptions {
  readonly kernel: Kernel;
  readonly source: Source;
  readonly report: Report;
  readonly rescan: Rescan;
}

/** Makes changes of what one source tells. */
export class Teller {
  readonly #options: TellerOptions;
  readonly #report: Report;
  readonly #memory = new MemoryOfLooks();
  readonly #doubts = new Doubts();
  readonly #slots: Slots;
  readonly #gone = new Map<HandleKey, SlotDirectory>();
  /** The places that directories have left since the queue was empty, with their paths, and where each was told to be last. */
  readonly #left = new Map<HandleKey, { readonly left: Map<string, Buffer>; readonly last: string }>();
  /** What was heard to have come to places, since the queue was empty: directories, and others that were renamed. */
  readonly #occupants = new Map<string, HandleKey>();
  /** Where others than directories came by renames since then: by an equal one, which the kernel does not tell, they come again. */
  readonly #visited = new Set<string>();
  /** Where others came or went, but by renames. */
  readonly #names = new Names();
  #round = 0;
  /** Up to this round events may be of what happened before the tree was listed: what they tell is new all the same. */
  #knownUpTo = -1;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#report = options.report;
    const { toldAs } = options.report;
    this.#slots = new Slots(
      (directory, name) => (this.#isTrusted ? undefined : this.#memory.get(directory, name)),
      toldAs,
    );
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
          await this.lost();
          break;
        case 'unplaced':
          this.#doubts.add(heard.path?.raw ?? UNKNOWN, heard.directory, 'wrong');
          break;
      }
    }
    await this.clearUp();
  }

  /** Whether something is to be looked at again, when nothing is queued. */
  get isInDoubt(): boolean {
    return !this.#doubts.isEmpty;
  }

  /** Looks at what is in doubt, unless something is queued. */
  async clearUp(): Promise<void> {
    if (this.isInDoubt && this.#options.source.isIdle()) await this.#clearUp();
  }

  /** Whether what is known is what was told, as far as has been heard by now. */
  get isTrusted(): boolean {
    if (this.#isTrusted) return true;
    const { source, report } = this.#options;
    return report.knowledge.isComplete && source.round > this.#knownUpTo && source.isIdle();
  }

  /** What is known is what was told before what is heard now. */
  get #isTrusted(): boolean {
    return this.#report.knowledge.isComplete && this.#round > this.#knownUpTo;
  }

  /** Of what happens from now on it is known what was told before. */
  trust(): void {
    const { source } = this.#options;
    const isRead = source.isIdle();
    this.#knownUpTo = isRead ? source.round - 1 : source.round;
  }

  #startRound(round: number): void {
    if (round === this.#round) return;
    // What was heard before was heard with less knowledge.
    if (this.#report.knowledge.isComplete && !this.#isTrusted && round > this.#knownUpTo) this.settle();
    this.#round = round;
    this.#memory.forgetBefore(round);
    this.#doubts.forgetBefore(round);
    this.#gone.clear();
    this.#left.clear();
    this.#occupants.clear();
    this.#visited.clear();
    this.#names.startRound(this.#slots.size === 0);
    this.#slots.isLater = false;
  }

  /** Looks at the disk, and tells what has changed since. */
  settle(): void {
    const { kernel, source, report } = this.#options;
    const doubtful = settle(this.#slots, {
      kernel,
      source,
      report,
      memory: this.#memory,
      gone: this.#gone,
      names: this.#names,
      isLater: this.#slots.isLater,
      isTrusted: this.#isTrusted,
    });
    for (const { key, real } of doubtful) this.#doubts.add(real.raw, key, 'wrong');
    this.#slots.clear();
    this.#names.settled();
  }

  /** A root is there that was not there before. */
  async appeared(root: ResolvedPath): Promise<void> {
    this.settle();
    await this.#options.rescan.appeared(root, this.isTrusted, this.#memory);
  }

  /** A root is back that was elsewhere while something happened in it. */
  async returned(root: ResolvedPath): Promise<void> {
    this.settle();
    await this.#options.rescan.at(root, this.isTrusted, this.#memory);
  }

  /** Events were lost: looks at everything again. */
  async lost(): Promise<void> {
    this.settle();
    this.#memory.clear();
    this.#doubts.clear();
    await this.#lookAtAll();
  }

  async #lookAtAll(): Promise<void> {
    const isTrusted = this.#isTrusted;
    await this.#options.rescan.everything('overflow', isTrusted);
    // All that is known is as of now.
    if (!isTrusted) this.trust();
  }

  async #entry(heard: HeardEntry): Promise<void> {
    const { at, isDirectory, key, came, went, isFound } = heard;
    // Nothing tells which directory it is: what is there now is all that can be told.
    if (isDirectory && key === undefined && !isFound && (went || (came && heard.isMove))) {
      this.settle();
      return await this.#options.rescan.at(at.path.child(at.name), this.#isTrusted);
    }
    if (at.path.asOf === 'reading' && key !== undefined) this.#doubts.add(at.path.raw, at.directory, 'wrong');
    // What is in it was told before, where another directory was by then.
    if (came && isDirectory && !isFound && key !== undefined && this.#memory.isListed(key) && !this.#isRemembered(at)) {
      this.#doubts.add(joinPath(at.path.raw, at.name), key, 'wrong');
    }
    // Then what comes there next takes nobody's place; or something has come that was there before.
    if (isDirectory && went && (this.#isElsewhere(key, at) || this.#visited.has(placeId(at)))) {
      this.#doubts.add(joinPath(at.path.raw, at.name), undefined, 'wrong');
    }
    if (isDirectory && came) this.#mayBeReplaced(at, key);
    if (isFound) this.#memory.list(at.directory, this.#options.source.round);
    if (isDirectory && key !== undefined && (came || went)) this.#occupy(at, heard, !went);
    if (!isDirectory && key !== undefined && !this.#isTrusted) {
      const isNamed = (came || went) && !heard.isMove;
      this.#unsaid(isNamed ? this.#names.add(key, at, came && went) : this.#names.isThere(key));
    }
    this.#slots.entry(heard);
  }

  /** A name of which nothing was told may have been told before. */
  #unsaid(path: Buffer | undefined): void {
    if (path) this.#doubts.add(path, undefined, 'wrong');
  }

  /** Whether a directory was told at this very place when it was listed. */
  #isRemembered({ directory, name }: Place): boolean {
    return this.#memory.get(directory, name.toString('latin1')) === 'directory';
  }

  #rename(heard: HeardRename): void {
    const { from, to } = heard;
    for (const place of [from, to]) {
      if (place?.path.asOf === 'reading') this.#doubts.add(place.path.raw, place.directory, 'wrong');
    }
    if (!heard.isDirectory) this.#renameOther(heard);
    else if (!from || !to || !isNested(from, to)) this.#renameDirectory(heard);
    // Nothing is renamed into itself: what is as of reading has gone there since, and was another place.
    else this.#renameDirectory({ ...heard, from: ifOfEvent(from), to: ifOfEvent(to), isFromUnknown: true });
  }

  #renameOther(heard: HeardRename): void {
    const { key, to } = heard;
    let { from } = heard;
    if (key !== undefined) this.#unsaid(this.#names.isThere(key));
    // It changes places with a directory, which was told already to be where it was: RENAME_EXCHANGE, renameat2(2).
    if (from && this.#occupant(from, key)) {
      this.#doubts.add(realPath(this.#spot(from)), undefined, 'wrong');
      from = undefined;
    }
    if (from && to) this.#slots.rename(from, to, heard, !this.#doubts.covers(from.path.raw));
    else if (from ?? to) this.#slots.entry(halfOf(heard, from, to));
    if (key === undefined) return;
    if (from) this.#occupy(from, heard, false);
    if (to) this.#occupy(to, heard, true);
  }

  #renameDirectory(heard: HeardRename): void {
    const { from, key } = heard;
    let { to } = heard;
    this.settle();
    // The kernel has merged its end into an event that came before. What was where it came is gone too.
    if (key !== undefined && this.#gone.has(key)) {
      if (to) this.#doubts.add(realPath(this.#spot(to)), undefined, 'wrong');
      return;
    }
    // Into a directory whose end was told ahead of this, for the same reason: it comes out again.
    if (to && this.#gone.has(to.directory)) {
      this.#doubts.add(to.path.raw, undefined, 'wrong');
      to = undefined;
    }
    const about: Particulars = { fileType: 'directory', size: null, by: heard.by, timeMs: heard.timeMs };
    const [left, right] = [from && this.#spot(from), to && this.#spot(to)];
    const status = to && key !== undefined ? this.#statusOf(key, to) : undefined;
    // While a tree was looked at it may have gone from one place to another, and have been seen in both.
    const isTold = right !== undefined && this.#isTold(right, status);
    if (left && right && !isTold && this.#wasTold(heard, left, status)) {
      this.#report.rename(left, right, about, status, this.#isTrusted);
      this.#doubts.move(realPath(left), realPath(right));
    } else if (right && !isTold) {
      if (left) this.#leave(heard, left, status, about);
      // With what is in it: what is replaced otherwise is empty.
      if (this.#isTaken(right)) this.#report.entry('delete', right, about);
      this.#report.entry('create', right, about, status);
      if (from || heard.isFromUnknown || !this.#options.source.findsBelow)
        this.#doubts.add(realPath(right), key, 'below');
    } else if (left) {
      this.#leave(heard, left, status, about);
    }
    // What was heard in it before may be told after that which took its place, as in that.
    if (left && from && this.#visited.has(placeId(from))) {
      this.#doubts.add(realPath(left), undefined, 'wrong');
    }
    if (to) this.#mayBeReplaced(to, key);
    if (from) this.#memory.correct(from.directory, from.name.toString('latin1'), 'absent');
    if (to) this.#memory.correct(to.directory, to.name.toString('latin1'), 'directory');
    if (key === undefined) return;
    if (from) this.#occupy(from, heard, false);
    if (to) this.#occupy(to, heard, true);
    if (heard.isToUnknown) this.#doubts.add(UNKNOWN, key, 'wrong');
    if (this.#hasLeft(key, from, to)) {
      const last = right ? realPath(right) : UNKNOWN;
      this.#doubts.add(last, key, 'moved');
      for (const place of this.#left.get(key)?.left.values() ?? []) {
        if (place.length > 0 && !place.equals(last)) this.#doubts.add(place, key, 'perhaps');
      }
    }
    // It was listed where it has gone since: told twice, or with what is below in another place.
    const isAhead = [key, from?.directory, to?.directory].some((each) => each && this.#memory.isListed(each));
    if (isAhead) for (const spot of [left, right]) if (spot) this.#doubts.add(realPath(spot), key, 'wrong');
  }

  /** A directory has left a place, and is not told to be where it went. */
  #leave(heard: HeardRename, left: Spot, status: FileStatus | undefined, about: Particulars): void {
    if (!this.#isReplaced(heard, left, status)) this.#report.entry('delete', left, about);
    // It has changed places with what is told to be there: what was in it may be told to be in that.
    else this.#doubts.add(realPath(left), undefined, 'wrong');
  }

  #spot({ path, name }: Place): Spot {
    return this.#report.spot(path, name.toString('latin1'));
  }

  /** What a directory is, wherever it is now; looked at only for what is kept of it. */
  #statusOf(key: HandleKey, to: Place): FileStatus | undefined {
    const { kernel, source } = this.#options;
    if (!this.#report.knowledge.isKept) return undefined;
    const fd = source.open(key, to.path.child(to.name));
    if (typeof fd !== 'number') return undefined;
    try {
      return kernel.statAt(fd, '', AT_EMPTY_PATH);
    } finally {
      kernel.close(fd);
    }
  }

  /** Whether a renamed directory was told to be where it came from. */
  #wasTold({ from, key }: HeardRename, left: Spot, status: FileStatus | undefined): boolean {
    if (!from || this.#gone.has(from.directory)) return false;
    if (this.#occupant(from, key) !== undefined) return false;
    if (!this.#isTrusted) return !this.#isElsewhere(key, from) && !this.#doubts.covers(from.path.raw);
    const known = this.#report.knowledge.get(realPath(left));
    return known !== undefined && isDirectory(known, status);
  }

  /** Where one has come, another may have come again, by a rename that the kernel does not tell: one that was empty is no more then. */
  #mayBeReplaced(place: Place, key: HandleKey | undefined): void {
    if (this.#doubts.isEmpty) return;
    const path = realPath(this.#spot(place));
    if (this.#doubts.isPerhaps(path, key)) this.#doubts.add(path, undefined, 'wrong');
  }

  /** Something was heard to have come to a place, or to have left it. */
  #occupy(place: Place, { key, isDirectory }: HeardEntry | HeardRename, isThere: boolean): void {
    if (key === undefined) return;
    const id = placeId(place);
    if (isThere && !isDirectory) this.#visited.add(id);
    if (isThere) this.#occupants.set(id, key);
    else if (this.#occupants.get(id) === key) this.#occupants.delete(id);
  }

  /** What else was told to have come to a place, since the queue was empty. */
  #occupant(place: Place, key: HandleKey | undefined): HandleKey | undefined {
    const occupant = this.#occupants.get(placeId(place));
    return occupant === key ? undefined : occupant;
  }

  /** Whether another was told to be where a directory comes from: two that change places do so one after the other. */
  #isReplaced({ from, key }: HeardRename, left: Spot, status: FileStatus | undefined): boolean {
    if (from && this.#occupant(from, key) !== undefined) return true;
    if (!this.#isTrusted) return false;
    const known = this.#report.knowledge.get(realPath(left));
    if (known === undefined || !isDirectory(known, status)) return known !== undefined;
    return status === undefined && from !== undefined && key !== undefined && this.#isAnother(from, key, known);
  }

  /** Whether another directory than this is told to be at a place, since it was looked at when that was there already. */
  #isAnother({ directory, path, name }: Place, key: HandleKey, known: Known): boolean {
    const { kernel, source } = this.#options;
    const fd = source.open(directory, path);
    if (typeof fd !== 'number') return false;
    try {
      return isAnother(known, { kernel, source, directory: fd, name, key });
    } finally {
      kernel.close(fd);
    }
  }

  /** Whether another directory is told to be where one has come. */
  #isTaken(right: Spot): boolean {
    return this.#isTrusted && this.#report.knowledge.get(realPath(right))?.type === 'directory';
  }

  /** Whether it was told already to be where it has come. */
  #isTold(right: Spot, status: FileStatus | undefined): boolean {
    if (!this.#isTrusted || !status) return false;
    const known = this.#report.knowledge.get(realPath(right));
    return known !== undefined && known.ino !== 0n && isDirectory(known, status);
  }

  /**
   * Whether a directory has left a place before to which it has come, since the queue was empty: the kernel does not tell a rename
   * that is equal to one which waits in the queue, so that it may have left it again. All that is not watched is one place.
   */
  #hasLeft(key: HandleKey, from: Place | undefined, to: Place | undefined): boolean {
    const left = this.#left.get(key)?.left ?? new Map<string, Buffer>();
    if (from) left.set(placeId(from), realPath(this.#spot(from)));
    else left.set(OUT_OF_SIGHT, UNKNOWN);
    const last = to ? placeId(to) : OUT_OF_SIGHT;
    this.#left.set(key, { left, last });
    return left.has(last);
  }

  /** Whether a directory is, or may be, told to be elsewhere than where an event says that it was. */
  #isElsewhere(key: HandleKey | undefined, from: Place): boolean {
    const last = key === undefined ? undefined : this.#left.get(key)?.last;
    if (last !== undefined) return last !== placeId(from);
    return this.#doubts.isPerhaps(realPath(this.#spot(from)));
  }

  /** Nothing is queued: looks whether what is in doubt is as it was told, and tells it anew where it is not. */
  async #clearUp(): Promise<void> {
    const { source, rescan } = this.#options;
    this.settle();
    const isTrusted = this.#isTrusted;
    if (this.#doubts.isEverything) {
      this.#doubts.clear();
      return await this.#lookAtAll();
    }
    const doubts = this.#doubts.take();
    const wrong = new Set<string>();
    const lost = new Set<HandleKey>();
    for (const { told, key, why } of doubts) {
      if (why === 'perhaps') continue;
      const now = key === undefined ? undefined : source.pathOf(key)?.raw.toString('latin1');
      if (why !== 'wrong' && now === told && key !== undefined && source.leadsTo(Buffer.from(told, 'latin1'), key))
        continue;
      if (told !== '') wrong.add(told);
      if (now !== undefined) wrong.add(now);
      else if (told === '' && key !== undefined && source.isInside(key)) lost.add(key);
    }
    for (const { told, key, why } of doubts) {
      if (why !== 'below' || wrong.has(told) || isBelowAny(told, wrong) || key === undefined) continue;
      await rescan.below(key, new ResolvedPath(Buffer.from(told, 'latin1'), 'reading'), isTrusted, this.#memory);
    }
    if (lost.size > 0 && source.isIdle()) return await this.#lookAtAll();
    // What has been renamed just now is found when that is told.
    for (const key of lost) this.#doubts.add(UNKNOWN, key, 'wrong');
    const looked = outermost(wrong);
    for (const path of looked) {
      await rescan.at(new ResolvedPath(Buffer.from(path, 'latin1'), 'reading'), isTrusted, this.#memory);
    }
    // Then nothing that happened before the looks is still to come.
    if (source.isIdle()) this.#memory.clear();
    else
      this.#doubts.looked(
        [...looked, ...doubts.filter(({ why }) => why === 'below').map(({ told }) => told)],
        source.round,
      );
  }
}

const UNKNOWN = Buffer.alloc(0);

/** Where nothing is heard. */
const OUT_OF_SIGHT = '';

const placeId = ({ directory, name }: Place): string => `${directory}/${name.toString('latin1')}`;

const ifOfEvent = (place: Place): Place | undefined => (place.path.asOf === 'event' ? place : undefined);

/** Whether one of two entries is at the other, or below. */
function isNested(one: Place, other: Place): boolean {
  const [a, b] = [joinPath(one.path.raw, one.name), joinPath(other.path.raw, other.name)];
  return isAtOrBelow(a, b) || isAtOrBelow(b, a);
}

/** Whether what is known is of this directory; of one that nobody looked at it may be. */
function isDirectory(known: Known, status: FileStatus | undefined): boolean {
  if (known.type !== 'directory') return false;
  if (!status || known.ino === 0n) return true;
  const seen = knownOf(status);
  return seen.ino === known.ino && seen.device === known.device && seen.born === known.born;
}

function halfOf(heard: HeardRename, from: Place | undefined, to: Place | undefined) {
  const { isDirectory, key, by, timeMs, round } = heard;
  const at = (to ?? from) as Place;
  const way = { came: !!to, went: !to, isMove: true, isFound: false };
  return { kind: 'entry', at, isDirectory, key, by, timeMs, round, ...way } as const;
}
