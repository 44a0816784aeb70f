// Compares what was told of entries with what is on disk, and tells the difference. The kernel merges events, so that what they
// say is no more than where to look; every change after the look raises another event.

import type { HandleKey } from '../identity/locator.ts';
import { ResolvedPath } from '../identity/path.ts';
import type { FileStatus, Kernel } from '../kernel/index.ts';
import type { Known } from './baseline.ts';
import { lookAt, sizeOf, typeOf } from './disk.ts';
import { isModified, isSame, knownOf } from './known.ts';
import type { MemoryOfLooks } from './memory-of-looks.ts';
import type { Names } from './names.ts';
import { type Report, realPath } from './report.ts';
import type { Before, Occupant, Slot, SlotDirectory, Slots } from './slots.ts';
import type { Source } from './source.ts';
import type { Particulars } from './telling.ts';

/** What settling needs. */
export interface Settling {
  readonly kernel: Kernel;
  readonly source: Source;
  readonly report: Report;
  readonly memory: MemoryOfLooks;
  /** Directories that were told to have gone with all that was in them, and what they were in. */
  readonly gone: Map<HandleKey, SlotDirectory>;
  readonly names: Names;
  /** Whether there were others since the queue was empty. */
  readonly isLater: boolean;
  /** Whether all that was told before is known. */
  readonly isTrusted: boolean;
}

/** Tells what became of all slots. Gives back the directories in which something may have been told wrong. */
export function settle(slots: Slots, settling: Settling): Iterable<Pick<SlotDirectory, 'key' | 'real'>> {
  if (slots.size === 0) return [];
  const settlement = new Settlement(settling, slots.directories);
  for (const directory of slots.directories.values()) settlement.look(directory);
  for (const slot of slots.order) settlement.settle(slot);
  return settlement.doubtful;
}

/** Made when it is asked for. */
interface Index {
  /** In the order in which they were heard of. */
  readonly byPath: ReadonlyMap<string, readonly SlotDirectory[]>;
  /** By the directory that has come. */
  readonly came: ReadonlyMap<HandleKey, Slot>;
}

class Settlement {
  readonly doubtful = new Set<Pick<SlotDirectory, 'key' | 'real'>>();
  readonly #with: Settling;
  readonly #seen = new Map<Slot, FileStatus>();
  readonly #begun = new Set<Slot>();
  readonly #done = new Set<Slot>();
  /** Slots whose entry was told to have gone to another. */
  readonly #taken = new Set<Slot>();

  readonly #directories: Slots['directories'];
  #indexed: Index | undefined;

  constructor(settling: Settling, directories: Slots['directories']) {
    this.#with = settling;
    this.#directories = directories;
  }

  look(directory: SlotDirectory): void {
    const { kernel, source } = this.#with;
    const { stackTraceLimit } = Error;
    // What is not there is an error of the kernel's, and where it was asked for says nothing.
    Error.stackTraceLimit = 0;
    const looksAtAll = this.#with.report.knowledge.isKept;
    let opened: number | 'gone' | 'elsewhere' | undefined;
    for (const slot of directory.slots.values()) {
      const isLooked = slot.needsLook || (looksAtAll && slot.after === 'directory');
      const hasLeft = this.#with.isTrusted && slot.after === 'absent' && slot.gone !== undefined;
      if (!isLooked && !hasLeft) continue;
      opened ??= source.open(directory.key, directory.real);
      if (!isLooked) this.#seeReplaced(slot, opened);
      else if (slot.after === 'directory' && !slot.needsLook) this.#seeDirectory(slot, opened);
      else if (typeof opened === 'number') this.#seeAny(slot, opened);
      else if (opened === 'gone') this.#see(slot, undefined);
    }
    Error.stackTraceLimit = stackTraceLimit;
    if (typeof opened === 'number') kernel.close(opened);
    else if (opened === 'elsewhere') this.doubtful.add(directory);
  }

  #lookAt(slot: Slot, directory: number): FileStatus | undefined {
    return lookAt(this.#with.kernel, directory, Buffer.from(slot.name, 'latin1'));
  }

  /** Where directories are is told by events; what is seen is only kept, if it is the directory of the event. */
  #seeDirectory(slot: Slot, opened: number | 'gone' | 'elsewhere'): void {
    if (typeof opened !== 'number') return;
    const status = this.#lookAt(slot, opened);
    if (!status || typeOf(status) !== 'directory') return;
    const isSelf = slot.name === '.' || slot.came === undefined;
    if (isSelf || this.#with.source.isAt(opened, Buffer.from(slot.name, 'latin1'), slot.came ?? '')) {
      this.#seen.set(slot, status);
    }
  }

  /** A look was ahead of the end of a directory, and has told another that had its place by then: that stays. */
  #seeReplaced(slot: Slot, opened: number | 'gone' | 'elsewhere'): void {
    const { kernel, source, report } = this.#with;
    const known = report.knowledge.get(realPath(slot));
    if (typeof opened !== 'number' || known?.type !== 'directory') return;
    const name = Buffer.from(slot.name, 'latin1');
    if (isAnother(known, { kernel, source, directory: opened, name, key: slot.gone ?? '' })) slot.after = 'directory';
  }

  #seeAny(slot: Slot, opened: number): void {
    const { source, memory } = this.#with;
    const status = this.#lookAt(slot, opened);
    const isDirectory = slot.after === 'directory' && status !== undefined && typeOf(status) === 'directory';
    // A directory that has come in place of something else, and was told to.
    if (isDirectory && slot.came !== undefined && source.isAt(opened, Buffer.from(slot.name, 'latin1'), slot.came)) {
      this.#seen.set(slot, status);
      memory.set(slot.directory.key, slot.name, 'directory', source.round);
    } else {
      this.#see(slot, status);
    }
  }

  #see(slot: Slot, status: FileStatus | undefined): void {
    const { source, memory } = this.#with;
    // What tells of a directory that has come meanwhile is still to come.
    const found: Occupant = !status || typeOf(status) === 'directory' ? 'absent' : 'other';
    if (status && found === 'other') this.#seen.set(slot, status);
    // It has gone, which was told or will be.
    if (slot.isOnlyChanged && found === 'absent') {
      if (this.#isTold(slot)) slot.isChanged = false;
      else this.#begun.add(slot);
      return;
    }
    // Then it is not certain which of the events told it, and which are still to come.
    if (slot.turns > 1 || this.#with.isLater) memory.set(slot.directory.key, slot.name, found, source.round);
    if (found === slot.after) return;
    slot.after = found;
    if (found === 'absent') slot.origin = undefined;
    memory.set(slot.directory.key, slot.name, found, source.round);
  }

  /** Whether an entry that has gone is still told to be there: a change of what was deleted while it was open is heard late. */
  #isTold(slot: Slot): boolean {
    if (this.#with.isTrusted) return occupantOf(this.#with.report.knowledge.get(realPath(slot))) === 'other';
    return slot.changed !== undefined && this.#with.source.isAlive(slot.changed) === true;
  }

  /** Tells what became of a slot, and before that of what is in the way. */
  settle(slot: Slot): void {
    if (this.#begun.has(slot)) return;
    this.#begun.add(slot);
    // It came and went as a whole, or was told to have gone: what was in it is not told any more.
    if (this.#with.gone.has(slot.directory.key)) {
      // Something in it lives on, and may have been told to be there.
      if (slot.after === 'directory') this.doubtful.add(outermostGone(slot.directory, this.#with.gone));
      slot.after = 'absent';
      slot.origin = undefined;
      if (slot.gone !== undefined) this.#with.gone.set(slot.gone, slot.directory);
      return;
    }
    // A look was ahead, and has told it with all that is in it where it has gone since.
    if (!this.#isPlaced(slot.directory)) {
      this.doubtful.add(slot.directory);
      return;
    }
    const { goesTo } = slot;
    if (goesTo?.origin === slot && goesTo.after === 'other') {
      this.#settleAbove(goesTo);
      this.settle(goesTo);
    }
    this.#tell(slot, this.#taken.has(slot) ? 'absent' : this.#beforeOf(slot));
    this.#with.memory.correct(slot.directory.key, slot.name, slot.after);
    if (slot.gone !== undefined) this.#with.gone.set(slot.gone, slot.directory);
    this.#done.add(slot);
  }

  /** Whether a directory is told to be there, or need not be. */
  #isPlaced({ real }: SlotDirectory): boolean {
    const { isTrusted, report, source } = this.#with;
    if (!isTrusted || !source.tellsDirectories) return true;
    const known = report.knowledge.get(real.raw);
    return known?.type === 'directory' || known?.type === 'unknown';
  }

  /** Tells what is to be told before a slot that comes ahead of its turn: that its directory has come, and what was there before that. */
  #settleAbove({ directory, name }: Slot): void {
    const { came, byPath } = this.#index();
    const above = came.get(directory.key);
    if (above && !this.#begun.has(above)) {
      this.#settleAbove(above);
      if (above.gone !== undefined) this.#settleIn(above.gone);
      this.settle(above);
    }
    for (const other of byPath.get(directory.real.raw.toString('latin1')) ?? []) {
      if (other === directory) return;
      const slot = other.slots.get(name);
      if (slot) this.settle(slot);
    }
  }

  /** What was in a directory went before that did. */
  #settleIn(directory: HandleKey): void {
    for (const slot of this.#directories.get(directory)?.slots.values() ?? []) {
      if (this.#begun.has(slot)) continue;
      if (slot.gone !== undefined) this.#settleIn(slot.gone);
      this.settle(slot);
    }
  }

  #index(): Index {
    if (this.#indexed) return this.#indexed;
    const byPath = new Map<string, SlotDirectory[]>();
    const came = new Map<HandleKey, Slot>();
    for (const directory of this.#directories.values()) {
      const path = directory.real.raw.toString('latin1');
      const same = byPath.get(path);
      if (same) same.push(directory);
      else byPath.set(path, [directory]);
      for (const slot of directory.slots.values()) if (slot.came !== undefined) came.set(slot.came, slot);
    }
    this.#indexed = { byPath, came };
    return this.#indexed;
  }

  #beforeOf(slot: Slot): Before {
    if (this.#with.isTrusted) return occupantOf(this.#with.report.knowledge.get(realPath(slot)));
    const { before, after, passed } = slot;
    if (before !== 'absent' || after !== 'absent') return before;
    const { source, names } = this.#with;
    const mayBe = passed.some((key) => source.isAlive(key) === true || names.hasOthers(key, realPath(slot)));
    return mayBe ? 'unknown' : before;
  }

  #tell(slot: Slot, before: Before): void {
    const { report } = this.#with;
    const { after, origin } = slot;
    if (before === 'absent' && after === 'absent') return;
    const about = this.#about(slot, after);
    const status = this.#seen.get(slot);
    if (after === 'absent') {
      this.#tellGone(slot, before);
    } else if (origin && origin !== slot && this.#isStillAt(origin)) {
      this.#taken.add(origin);
      report.rename(origin, slot, about, status, this.#with.isTrusted);
      if (slot.isChanged) report.entry('update', slot, about, status);
    } else if (before === 'absent' || before === 'unknown') {
      report.entry('create', slot, about, status, slot.isFound ? 'newDirectory' : undefined);
    } else if (before !== after || this.#isOfOtherType(slot, status)) {
      this.#tellGone(slot, before);
      report.entry('create', slot, about, status);
    } else if ((after === 'other' || slot.isChanged) && !this.#isUnchanged(slot, status)) {
      report.entry('update', slot, status ? about : this.#asBefore(slot, about), status);
    } else if (this.#isFull(slot, status)) {
      this.#tellGone(slot, before);
      report.entry('create', slot, about, status);
    } else if (after === 'directory' && slot.came !== undefined) {
      // Another one took the place of an empty one: nothing to tell, but it is this one that may be renamed.
      report.replaced(slot, status);
      // Or a look was ahead, and what was seen in it left before that could be heard.
      const { isTrusted, source } = this.#with;
      if (isTrusted && source.findsBelow) {
        this.doubtful.add({ key: slot.came, real: new ResolvedPath(realPath(slot), 'reading') });
      }
    }
  }

  /** It has gone from there since, which is still to be told: an update leaves it what it was. */
  #asBefore(slot: Slot, about: Particulars): Particulars {
    const known = this.#with.isTrusted ? this.#with.report.knowledge.get(realPath(slot)) : undefined;
    return known ? { ...about, fileType: known.type } : about;
  }

  #isOfOtherType(slot: Slot, status: FileStatus | undefined): boolean {
    if (!status || !this.#with.isTrusted) return false;
    const known = this.#with.report.knowledge.get(realPath(slot));
    return known !== undefined && known.type !== 'unknown' && known.type !== typeOf(status);
  }

  /** Whether another directory is told to be there, and something in it: nobody heard how it left. */
  #isFull(slot: Slot, status: FileStatus | undefined): boolean {
    if (!status || slot.after !== 'directory' || slot.came === undefined || !this.#with.isTrusted) return false;
    const { knowledge } = this.#with.report;
    const known = knowledge.get(realPath(slot));
    if (!known || known.ino === 0n || isSame(known, knownOf(status))) return false;
    const [, below] = knowledge.entries(realPath(slot));
    return below !== undefined;
  }

  /** Whether it was told just as it is: what was heard happened before that. */
  #isUnchanged(slot: Slot, status: FileStatus | undefined): boolean {
    if (!status || !this.#with.isTrusted) return false;
    const known = this.#with.report.knowledge.get(realPath(slot));
    const seen = knownOf(status);
    return known !== undefined && isSame(known, seen) && !isModified(known, seen) && known.ctimeNs === seen.ctimeNs;
  }

  /** Whether what was told to be there is still told to be there. */
  #isStillAt(origin: Slot): boolean {
    return (
      this.#beforeOf(origin) === 'other' &&
      !this.#taken.has(origin) &&
      !this.#done.has(origin) &&
      !this.#with.gone.has(origin.directory.key)
    );
  }

  #tellGone(slot: Slot, before: Before): void {
    this.#with.report.entry('delete', slot, this.#about(slot, before));
  }

  #about(slot: Slot, occupant: Before): Particulars {
    const { by, timeMs } = slot;
    if (occupant === 'directory') return { fileType: 'directory', size: null, by, timeMs };
    const status = slot.after === occupant ? this.#seen.get(slot) : undefined;
    return { fileType: status ? typeOf(status) : 'unknown', size: status ? sizeOf(status) : null, by, timeMs };
  }
}

/** Where to look for a directory: a name in an open one. */
interface Where {
  readonly kernel: Kernel;
  readonly source: Source;
  readonly directory: number;
  readonly name: Buffer;
  readonly key: HandleKey;
}

/** Whether what is known is the directory that is there now, and another than `key`. */
export function isAnother(known: Known, { kernel, source, directory, name, key }: Where): boolean {
  const status = lookAt(kernel, directory, name);
  return status !== undefined && isSame(known, knownOf(status)) && !source.isAt(directory, name, key);
}

function occupantOf(known: Known | undefined): Before {
  if (!known) return 'absent';
  return known.type === 'directory' ? 'directory' : 'other';
}

/** The directory that took all others with it. */
function outermostGone(directory: SlotDirectory, gone: ReadonlyMap<HandleKey, SlotDirectory>): SlotDirectory {
  const above = gone.get(directory.key);
  return above && above !== directory && gone.has(above.key) ? outermostGone(above, gone) : directory;
}
