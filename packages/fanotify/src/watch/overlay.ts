// Changes of what lies beneath: entries that were set, that are gone, and that show what is beneath at another path.

import type { Known, Listed } from './baseline.ts';
import type { Slot } from './entry-store.ts';
import { EntryTree, TOP } from './entry-tree.ts';
import { comparePaths, isAtOrBelow } from './path-order.ts';
import type { Layer, Look } from './run.ts';

/** What is beneath at this path does not show, nor what is below it. */
const HIDES = 0x10;
/** And what is beneath at another path shows instead. */
const SHOWS = 0x20;
const FLAGS = HIDES | SHOWS;
const SLASH = 0x2f;
const NONE: readonly Listed[] = [];

/** Where something is. */
interface Place {
  /** 0 when nothing was changed at this path. */
  readonly slot: Slot;
  /** The path beneath; undefined when nothing shows. */
  readonly beneath: Buffer | undefined;
}

/** Changes in memory, about 90 bytes each. Moving a directory is one, whatever is below. */
export class Overlay implements Layer {
  /** May be replaced by another one with the same entries. */
  beneath: Layer;
  readonly #tree = new EntryTree();
  /** What is shown instead of what is beneath at the same path. */
  readonly #shown = new Map<Slot, Buffer>();

  /** How many hidden entries are read over before what is after them is looked for. */
  readonly #mostReadOver: number;

  constructor(beneath: Layer, mostReadOver = 64) {
    this.beneath = beneath;
    this.#mostReadOver = mostReadOver;
  }

  /** How many changes. */
  get count(): number {
    return this.#tree.count;
  }

  /** Whether nothing was changed that an entry beneath, at this path, would not show. */
  isPlain(path: Buffer): boolean {
    const { slot, beneath } = this.#find(path);
    return slot === 0 && beneath === path;
  }

  look(path: Buffer): Look {
    const { slot, beneath } = this.#find(path);
    const below = beneath && this.beneath.look(beneath);
    const known = (slot !== 0 ? this.#tree.known(slot) : undefined) ?? below?.known;
    return { known, mayHaveBelow: below?.mayHaveBelow === true || (slot !== 0 && this.#tree.hasChildren(slot)) };
  }

  get(path: Buffer): Known | undefined {
    const { slot, beneath } = this.#find(path);
    return (slot !== 0 ? this.#tree.known(slot) : undefined) ?? (beneath && this.beneath.look(beneath).known);
  }

  set(path: Buffer, known: Known): void {
    this.#tree.setKnown(this.#tree.make(path), known);
  }

  delete(path: Buffer): void {
    const slot = this.#tree.find(path);
    const above = slot === TOP ? 0 : this.#tree.parent(slot);
    if (slot !== 0) this.#remove(slot);
    if (this.#isBeneath(path)) this.#hide(this.#tree.make(path));
    else if (slot !== 0) this.#tree.prune(above, FLAGS);
  }

  move(from: Buffer, to: Buffer): void {
    const { slot, beneath } = this.#find(from);
    const below = beneath && this.beneath.look(beneath);
    const known = (slot !== 0 ? this.#tree.known(slot) : undefined) ?? below?.known;
    if (!known) return;
    this.delete(to);
    const moving = slot || this.#tree.make(from);
    const above = this.#tree.parent(moving);
    this.#tree.setKnown(moving, known);
    const isBeneathTo = this.#isBeneath(to);
    const there = this.#tree.find(to);
    if (there !== 0) this.#remove(there);
    this.#tree.move(moving, to);
    this.#unhide(moving);
    if (below?.mayHaveBelow) this.#show(moving, beneath as Buffer);
    else if (isBeneathTo) this.#hide(moving);
    if (this.#isBeneath(from)) this.#hide(this.#tree.make(from));
    else this.#tree.prune(above, FLAGS);
  }

  *scan(root: Buffer, past?: Buffer): Generator<Listed, void> {
    const { slot, beneath } = this.#find(root);
    if (slot !== 0) yield* this.#scan(slot, root, beneath, past);
    else if (beneath) yield* this.#scanBeneath(root, beneath, past);
  }

  /** What is beneath, with paths as they are here. */
  *#scanBeneath(root: Buffer, beneath: Buffer, past: Buffer | undefined): Generator<Listed, void> {
    if (beneath.equals(root)) {
      yield* this.beneath.scan(beneath, past);
      return;
    }
    const pastBeneath = past && Buffer.concat([beneath, past.subarray(root.length)]);
    for (const { path, known } of this.beneath.scan(beneath, pastBeneath)) {
      yield { path: Buffer.concat([root, path.subarray(beneath.length)]), known };
    }
  }

  /** `beneath` is what shows at the entry and below, where nothing was changed. */
  *#scan(root: Slot, path: Buffer, beneath: Buffer | undefined, past?: Buffer): Generator<Listed, void> {
    const tree = this.#tree;
    const open = (past: Buffer | undefined) =>
      (beneath ? this.#scanBeneath(path, beneath, past) : NONE)[Symbol.iterator]();
    let lower = open(past);
    let old: Listed | undefined = next(lower);
    for (let slot: Slot = root; slot !== 0; ) {
      const here = tree.path(slot);
      const hasOwn = slot !== root && tree.hasFlag(slot, FLAGS) && (beneath !== undefined || tree.hasFlag(slot, SHOWS));
      const isAbovePast = past !== undefined && here.length < past.length && isAtOrBelow(past, here);
      if (past && !isAbovePast && (comparePaths(here, past) < 0 || isAtOrBelow(here, past))) {
        slot = tree.after(slot, root, true);
        continue;
      }
      while (old && comparePaths(old.path, here) < 0) {
        yield old;
        old = next(lower);
      }
      if (hasOwn) {
        for (let hidden = 0; old && isAtOrBelow(old.path, here); hidden++) {
          // A whole directory that is gone from here.
          if (hidden === this.#mostReadOver) lower = open(here);
          old = next(lower);
        }
        yield* this.#scan(slot, here, this.#shown.get(slot), isAbovePast ? past : undefined);
        slot = tree.after(slot, root, true);
        continue;
      }
      const before: Listed | undefined = old?.path.equals(here) ? old : undefined;
      if (before) old = next(lower);
      const known = isAbovePast ? undefined : (tree.known(slot) ?? before?.known);
      if (known) yield { path: here, known };
      slot = tree.after(slot, root);
    }
    for (; old; old = next(lower)) yield old;
  }

  #find(path: Buffer): Place {
    const tree = this.#tree;
    let slot: Slot = TOP;
    let beneath: Buffer | undefined = path;
    for (let start = 1; ; ) {
      if (tree.hasFlag(slot, FLAGS)) {
        const shown = this.#shown.get(slot);
        const rest = path.subarray(slot === TOP ? 0 : start - 1);
        beneath = shown && (rest.length === 0 ? shown : Buffer.concat([shown, rest]));
      }
      if (start >= path.length) return { slot, beneath };
      let end = start;
      while (end < path.length && path[end] !== SLASH) end++;
      slot = tree.child(slot, path, start, end);
      if (slot === 0) return { slot, beneath };
      start = end + 1;
    }
  }

  /** Whether something beneath may show at a path, or below it, if nothing was changed there itself. */
  #isBeneath(path: Buffer): boolean {
    const nameAt = path.lastIndexOf(SLASH);
    let beneath: Buffer = path;
    if (path.length > 1) {
      const above = this.#find(nameAt === 0 ? path.subarray(0, 1) : path.subarray(0, nameAt)).beneath;
      if (above === undefined) return false;
      beneath = above.length === 1 ? path.subarray(nameAt) : Buffer.concat([above, path.subarray(nameAt)]);
    }
    const { known, mayHaveBelow } = this.beneath.look(beneath);
    return known !== undefined || mayHaveBelow;
  }

  #hide(slot: Slot): void {
    this.#tree.setFlag(slot, HIDES, true);
  }

  #show(slot: Slot, beneath: Buffer): void {
    this.#tree.setFlag(slot, SHOWS, true);
    this.#shown.set(slot, Buffer.from(beneath));
  }

  #unhide(slot: Slot): void {
    this.#tree.setFlag(slot, FLAGS, false);
    this.#shown.delete(slot);
  }

  #remove(slot: Slot): void {
    this.#tree.remove(slot, (leaving) => this.#unhide(leaving));
  }
}

function next(entries: Iterator<Listed>): Listed | undefined {
  const { value, done } = entries.next();
  return done ? undefined : value;
}
