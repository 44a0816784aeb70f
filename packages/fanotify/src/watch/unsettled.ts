// Which of what is gone from one path is what is new at another, and in what order that can be told.

import type { Listed } from './baseline.ts';
import type { Slot } from './entry-store.ts';
import { EntryTree, TOP } from './entry-tree.ts';
import { isModified, isPlausible, isSame } from './known.ts';
import { isAtOrBelow } from './path-order.ts';
import type { Compare, Step } from './step.ts';

/** Of what was told: it is on disk where it is now. */
const SETTLED = 0x10;
/** Of what is on disk: it has been told. */
const DONE = 0x10;
const UNREADABLE = 0x20;
const PART = 512;

/**
 * What was told and is not on disk at its path, and what is on disk and was not told at its path. The former is changed step by step into
 * the latter, from the top down, as somebody who takes the steps would: so every step finds what it is of.
 */
export class Unsettled {
  readonly #told = new EntryTree();
  readonly #disk = new EntryTree();
  /** By inode number: what was told and could be elsewhere, and what is on disk and could come from elsewhere. */
  readonly #sources = new Map<bigint, Slot[]>();
  readonly #wanted = new Map<bigint, Slot[]>();
  readonly #compare: Compare;
  #steps: Step[] = [];

  constructor(compare: Compare) {
    this.#compare = compare;
  }

  addTold({ path, known }: Listed): void {
    this.#told.setKnown(this.#told.make(path), known);
  }

  addDisk({ path, known, unreadable }: Listed): void {
    const slot = this.#disk.make(path);
    this.#disk.setKnown(slot, known);
    if (unreadable) this.#disk.setFlag(slot, UNREADABLE, true);
  }

  /** Tells all of it, in parts. */
  *settle(): Generator<readonly Step[], void> {
    yield* this.#index();
    for (let slot: Slot = TOP; slot !== 0; slot = this.#disk.after(slot, TOP)) {
      const entry = this.#disk.hasFlag(slot, DONE) ? undefined : this.#entry(slot);
      if (entry) {
        this.#place(entry);
        this.#disk.setFlag(slot, DONE, true);
      }
      if (this.#steps.length >= PART) yield this.#takeSteps();
    }
    // What is not on disk goes last: something of it may have been moved to where it is.
    for (let slot: Slot = TOP; slot !== 0; ) {
      const known = this.#told.hasFlag(slot, SETTLED) ? undefined : this.#told.known(slot);
      if (known) this.#steps.push({ type: 'delete', path: this.#told.path(slot), known });
      slot = this.#told.after(slot, TOP, known !== undefined);
      if (this.#steps.length >= PART) yield this.#takeSteps();
    }
    yield this.#takeSteps();
  }

  #takeSteps(): readonly Step[] {
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }

  *#index(): Generator<readonly Step[], void> {
    yield* enter(this.#told, this.#sources, () => true);
    if (this.#sources.size === 0) return;
    yield* enter(this.#disk, this.#wanted, (ino) => this.#sources.has(ino));
  }

  /** Makes it so that what is at a path is what is on disk there. What is above is so already. */
  #place(entry: Listed): void {
    const { path, known } = entry;
    const there = this.#told.find(path);
    const before = there === 0 ? undefined : this.#told.known(there);
    if (before && isSame(before, known)) {
      this.#settle(there, entry);
      const step = this.#compare(before, entry);
      if (step) this.#steps.push(step);
      return;
    }
    const isOccupied = before !== undefined && !this.#giveWay(there, new Set());
    // Where only something below was told, nothing can be moved to.
    const source = before || there === 0 ? this.#sourceOf(entry) : 0;
    if (source !== 0 && !(isOccupied && isAtOrBelow(this.#told.path(source), path))) {
      if (isOccupied) this.#remove(there);
      this.#rename(source, entry);
    } else if (!isOccupied) {
      this.#steps.push({ type: 'create', path, known });
    } else if (before.type === known.type && !entry.unreadable) {
      // Another one of the same type took the place: what is below is compared by path.
      this.#forgetSource(there);
      this.#told.setKnown(there, known);
      this.#settle(there, entry);
      this.#steps.push({ type: known.type === 'directory' ? 'refresh' : 'update', path, known });
    } else {
      this.#steps.push({ type: 'delete', path, known: before });
      this.#remove(there);
      this.#steps.push({ type: 'create', path, known });
    }
  }

  #entry(slot: Slot): Listed | undefined {
    const known = this.#disk.known(slot);
    return known && { path: this.#disk.path(slot), known, unreadable: this.#disk.hasFlag(slot, UNREADABLE) };
  }

  #settle(slot: Slot, { unreadable }: Listed): void {
    this.#told.setFlag(slot, SETTLED, true);
    if (!unreadable) return;
    // Nobody knows otherwise.
    for (let below = slot; below !== 0; below = this.#told.after(below, slot)) this.#told.setFlag(below, SETTLED, true);
  }

  #rename(slot: Slot, entry: Listed): void {
    const { path, known } = entry;
    const before = this.#told.known(slot);
    const above = this.#told.parent(slot);
    this.#steps.push({ type: 'rename', from: this.#told.path(slot), path, known });
    this.#told.move(slot, path);
    this.#told.prune(above);
    this.#settle(slot, entry);
    // A rename itself changes the status.
    if (before && known.type !== 'directory' && isModified(before, known)) {
      this.#steps.push({ type: 'update', path, known });
    }
  }

  /** What was told elsewhere, and is not there any more, and is this; 0 when there is none. */
  #sourceOf({ known }: Listed): Slot {
    for (const slot of this.#sources.get(known.ino) ?? []) {
      if (this.#told.hasFlag(slot, SETTLED)) continue;
      const before = this.#told.known(slot);
      if (!before || !isSame(before, known) || !isPlausible(before, known)) continue;
      const stays = this.#disk.known(this.#disk.find(this.#told.path(slot)));
      if (!stays || !isSame(stays, known)) return slot;
    }
    return 0;
  }

  /** Moves what is in the way to where it is on disk, if that can be done now. */
  #giveWay(slot: Slot, waiting: Set<Slot>): boolean {
    const before = this.#told.known(slot);
    if (!before || this.#told.hasFlag(slot, SETTLED)) return false;
    waiting.add(slot);
    for (const wanted of this.#wanted.get(before.ino) ?? []) {
      if (this.#disk.hasFlag(wanted, DONE) || !this.#isReady(this.#disk.parent(wanted))) continue;
      const entry = this.#entry(wanted);
      if (!entry || !isSame(before, entry.known) || !isPlausible(before, entry.known)) continue;
      if (isAtOrBelow(entry.path, this.#told.path(slot))) continue;
      const there = this.#told.find(entry.path);
      if (there !== 0) {
        if (waiting.has(there) || this.#told.hasFlag(there, SETTLED)) continue;
        if (!this.#giveWay(there, waiting)) this.#remove(there);
      }
      this.#disk.setFlag(wanted, DONE, true);
      this.#rename(slot, entry);
      return true;
    }
    return false;
  }

  /** Whether a directory that is on disk is there for whoever has taken the steps so far. */
  #isReady(directory: Slot): boolean {
    return !this.#disk.isKnown(directory) || this.#disk.hasFlag(directory, DONE);
  }

  #remove(slot: Slot): void {
    this.#told.remove(slot, (leaving) => this.#forgetSource(leaving));
  }

  #forgetSource(slot: Slot): void {
    const ino = this.#told.known(slot)?.ino;
    const slots = ino === undefined ? undefined : this.#sources.get(ino);
    const index = slots?.indexOf(slot) ?? -1;
    if (index >= 0) slots?.splice(index, 1);
  }
}

function* enter(
  tree: EntryTree,
  index: Map<bigint, Slot[]>,
  isCandidate: (ino: bigint) => boolean,
): Generator<readonly Step[], void> {
  let count = 0;
  for (let slot: Slot = TOP; slot !== 0; slot = tree.after(slot, TOP)) {
    const ino = tree.known(slot)?.ino;
    if (++count % 4096 === 0) yield [];
    if (ino === undefined || !isCandidate(ino)) continue;
    const slots = index.get(ino);
    if (slots) slots.push(slot);
    else index.set(ino, [slot]);
  }
}
