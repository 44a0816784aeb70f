// What was heard of entries since the last look at the disk: per entry one slot, however much happened. What counts is whether the
// entry was told before, and whether it is there after.

import type { HandleKey } from '../identity/locator.ts';
import type { ResolvedPath } from '../identity/path.ts';
import type { ProcessInfo } from '../identity/process.ts';
import type { HeardEntry, HeardRename, Place } from './source.ts';

/** A directory with entries that something was heard of. */
export interface SlotDirectory {
  readonly key: HandleKey;
  /** As it is told, and as it is. */
  readonly path: ResolvedPath;
  readonly real: ResolvedPath;
  readonly slots: Map<string, Slot>;
}

/** What an entry is by what was heard: 'other' is all but a directory. */
export type Occupant = 'directory' | 'other' | 'absent';

/** 'unknown': something may have been told to be there, and may have been replaced. */
export type Before = Occupant | 'unknown';

/** A place for an entry. */
export interface Slot {
  readonly directory: SlotDirectory;
  /** latin1. */
  readonly name: string;
  /** As it was told before, as far as events tell. */
  readonly before: Before;
  after: Occupant;
  /** Where what is here now was told to be: itself, another slot, or undefined when it is new. */
  origin: Slot | undefined;
  /** The slot to which what was here before has gone. */
  goesTo: Slot | undefined;
  /** Something changed that is not its coming or going. */
  isChanged: boolean;
  /** What has changed there. */
  changed: HandleKey | undefined;
  /** Nothing was heard but that it changed. */
  isOnlyChanged: boolean;
  /** Whether only a look tells what is here. */
  needsLook: boolean;
  isFound: boolean;
  /** How often something came or went: the kernel merges events, so that more than once is in no certain order. */
  turns: number;
  /** The directory that has come here. */
  came: HandleKey | undefined;
  /** The directory that has gone from here. */
  gone: HandleKey | undefined;
  /** What came and went, in no order: if one still exists it has other names, and may have been here before. */
  passed: readonly HandleKey[];
  by: ProcessInfo | null;
  timeMs: number;
}

/** Slots in the order in which they were heard of. */
export class Slots {
  readonly order: Slot[] = [];
  /** Whether there were others since the queue was empty: with events of theirs the kernel may have merged what came later. */
  isLater = false;
  readonly directories: Map<HandleKey, SlotDirectory> = new Map();
  /** Directories that came. */
  readonly #came = new Set<HandleKey>();
  readonly #remembered: (directory: HandleKey, name: string) => Before | undefined;
  readonly #toldAs: (path: ResolvedPath) => ResolvedPath;

  constructor(
    remembered: (directory: HandleKey, name: string) => Before | undefined,
    toldAs: (path: ResolvedPath) => ResolvedPath,
  ) {
    this.#remembered = remembered;
    this.#toldAs = toldAs;
  }

  get size(): number {
    return this.order.length;
  }

  clear(): void {
    if (this.order.length > 0) this.isLater = true;
    this.order.length = 0;
    this.directories.clear();
    this.#came.clear();
  }

  entry(heard: HeardEntry): void {
    const { at, isDirectory, key, came, went, isFound } = heard;
    const kind = isDirectory ? 'directory' : 'other';
    const isNew = came && !went;
    // Of a directory itself: it has been told to come in this very batch.
    if (at.name.length === 1 && at.name[0] === 0x2e && this.#came.has(at.directory)) return;
    if (isDirectory && isNew && key !== undefined) this.#came.add(key);
    const slot = this.#touch(at, came ? (heard.isMove ? 'unknown' : 'absent') : kind);
    note(slot, heard);
    if (!came && !went) {
      slot.isChanged = true;
      slot.changed = key;
      if (slot.isOnlyChanged && !isDirectory) slot.needsLook = true;
      return;
    }
    slot.turns += came && went ? 2 : 1;
    slot.isOnlyChanged = false;
    slot.origin = undefined;
    slot.isFound = isFound;
    slot.after = isNew ? kind : 'absent';
    if (isDirectory && went) slot.gone = key;
    if (isDirectory && isNew) slot.came = key;
    if (!isDirectory && came && went && key !== undefined) slot.passed = [...slot.passed, key];
    // Events of one object are merged: which came last, only a look tells. A directory that has gone never comes again.
    if (!isDirectory) slot.needsLook ||= came || this.isLater;
  }

  /** Something that is no directory was renamed. */
  rename(from: Place, to: Place, heard: HeardRename, wasTold: boolean): void {
    const left = this.#touch(from, wasTold ? 'other' : 'unknown');
    const right = this.#touch(to, 'unknown');
    if (left === right) return;
    note(left, heard);
    note(right, heard);
    left.turns++;
    right.turns++;
    const { origin } = left;
    right.origin = origin;
    right.isChanged = left.isChanged;
    right.after = 'other';
    right.needsLook = true;
    right.isOnlyChanged = false;
    left.origin = undefined;
    left.after = 'absent';
    left.isChanged = false;
    left.isOnlyChanged = false;
    left.needsLook ||= this.isLater;
    if (origin) origin.goesTo = right;
  }

  #touch({ directory: key, path, name: bytes }: Place, before: Before): Slot {
    let directory = this.directories.get(key);
    if (!directory) {
      directory = { key, path: this.#toldAs(path), real: path, slots: new Map() };
      this.directories.set(key, directory);
    }
    const name = bytes.toString('latin1');
    let slot = directory.slots.get(name);
    if (!slot) {
      slot = newSlot(directory, name, this.#remembered(key, name) ?? before);
      directory.slots.set(name, slot);
      this.order.push(slot);
    }
    return slot;
  }
}

const NONE: readonly HandleKey[] = [];

function newSlot(directory: SlotDirectory, name: string, before: Before): Slot {
  const slot: Slot = {
    directory,
    name,
    before,
    after: before === 'unknown' ? 'absent' : before,
    origin: undefined,
    goesTo: undefined,
    isChanged: false,
    changed: undefined,
    isOnlyChanged: true,
    needsLook: false,
    isFound: false,
    turns: 0,
    came: undefined,
    gone: undefined,
    passed: NONE,
    by: null,
    timeMs: 0,
  };
  if (before === 'directory' || before === 'other') slot.origin = slot;
  return slot;
}

function note(slot: Slot, { by, timeMs }: { readonly by: ProcessInfo | null; readonly timeMs: number }): void {
  slot.by = by;
  slot.timeMs = timeMs;
}
