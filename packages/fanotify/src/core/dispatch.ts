// Who hears an event: the kernel's own rule, over the marks of all groups. Pure, and without allocation where nobody is new to it.

import { ON_CHILD, ONDIR } from './bits.ts';
import type { Channel } from './channel.ts';
import {
  type Attached,
  covers,
  type Filesystem,
  hears,
  type Mark,
  type MarkedObject,
  type MarkOwner,
  type Subtree,
} from './marks.ts';

/** Something that happened, or is about to. */
export interface Happening<Owner extends MarkOwner = MarkOwner> {
  readonly channel: Channel;
  /** Event bits. */
  readonly bits: number;
  readonly isDirectory: boolean;
  readonly filesystem: Filesystem<Owner>;
  readonly ino: bigint;
  readonly bornNs: bigint;
  /**
   * The marked directory that it is in; undefined when that is not marked. `unknown` when that cannot be told for certain: then it is
   * taken to be in each.
   */
  parent(): MarkedObject<Owner> | 'unknown' | undefined;
  /** The marked subtrees that it is in. */
  subtrees(): readonly Subtree<Owner>[];
  /** Those that it may be in, for all that can be told: it is taken to be. By default none. */
  perhapsIn?(): readonly Subtree<Owner>[];
}

/**
 * All groups in turn, and which of them hear what has happened.
 *
 * @example
 * import { FAN_CLOSE_WRITE } from 'fanotify/abi';
 * import { Channel, Dispatcher, Filesystem, MarkedObject } from 'fanotify/core';
 * const [told, asked] = [new Channel('told', 'notification', 0), new Channel('asked', 'content', 0)];
 * const bits = Number(FAN_CLOSE_WRITE);
 * const nothing = { excludedTypes: new Set(), excludedFsids: new Set(), turn: 0, gathered: 0, ignored: 0, by: undefined };
 * const group = { rank: 0, initBits: 0, notification: told, permission: asked, ...nothing };
 * const dispatcher = new Dispatcher();
 * dispatcher.add(group, () => false);
 * const filesystem = new Filesystem(0, 1n);
 * const file = new MarkedObject(filesystem, 12n, 0n, false);
 * filesystem.objects.set(file.ino, file);
 * file.marks.push({ group, of: file, mask: bits, ignored: 0, survives: false, attached: undefined });
 * const happening = { channel: told, bits, isDirectory: false, filesystem, ino: 12n, bornNs: 0n };
 * const where = { parent: () => undefined, subtrees: () => [] };
 * console.log(dispatcher.dispatch({ ...happening, ...where }, () => undefined)); // 1
 * console.log(dispatcher.dispatch({ ...happening, ...where, ino: 13n }, () => undefined)); // 0
 */
export class Dispatcher<Owner extends MarkOwner> {
  readonly #groups: Owner[] = [];
  readonly #subtrees = new Set<Subtree<Owner>>();
  #version = 0;
  #turn = 0;
  /** Those that were touched for one event: used again for the next. */
  readonly #touched: Owner[] = [];

  /** All groups, in turn. */
  get groups(): readonly Owner[] {
    return this.#groups;
  }

  get subtrees(): ReadonlySet<Subtree<Owner>> {
    return this.#subtrees;
  }

  /** Takes a group in after those that come before it. */
  add(group: Owner, isBefore: (one: Owner, other: Owner) => boolean): void {
    const at = this.#groups.findIndex((other) => isBefore(group, other));
    this.#groups.splice(at < 0 ? this.#groups.length : at, 0, group);
    this.changed();
  }

  remove(group: Owner): void {
    const at = this.#groups.indexOf(group);
    if (at >= 0) this.#groups.splice(at, 1);
    this.changed();
  }

  addSubtree(subtree: Subtree<Owner>): void {
    this.#subtrees.add(subtree);
  }

  removeSubtree(subtree: Subtree<Owner>): void {
    this.#subtrees.delete(subtree);
  }

  /** An init mask or an exclusion has changed. */
  changed(): void {
    this.#version++;
    for (const [rank, group] of this.#groups.entries()) group.rank = rank;
  }

  /** Global listeners that hear a file system. */
  listenersOf(filesystem: Filesystem<Owner>): readonly Owner[] {
    if (filesystem.version !== this.#version) {
      filesystem.listeners = this.#groups.filter((group) => covers(group, filesystem.type, filesystem.fsid));
      filesystem.version = this.#version;
    }
    return filesystem.listeners;
  }

  /**
   * Visits the groups that hear something of what happened, in turn: with the bits that each hears.
   *
   * @returns How many there were.
   */
  dispatch(happening: Happening<Owner>, visit: (group: Owner, bits: number) => void): number {
    const touched = this.#touched;
    touched.length = 0;
    this.#turn++;
    const { channel, filesystem, bits, isDirectory } = happening;
    const needed = isDirectory ? ONDIR : 0;
    for (const group of this.listenersOf(filesystem)) {
      if (hears(group, channel) && (group.initBits & needed) === needed) this.#touch(group).gathered |= group.initBits;
    }
    this.#gatherAll(filesystem.marks, happening, needed);
    if (filesystem.objects.size > 0) this.#gatherObjects(happening, needed);
    if (this.#subtrees.size > 0) {
      for (const { marks } of happening.subtrees()) this.#gatherAll(marks, happening, needed);
      for (const { marks } of happening.perhapsIn?.() ?? []) this.#gatherAll(marks, happening, needed, false);
    }
    if (touched.length > 1 && !isInTurn(touched)) touched.sort((one, other) => one.rank - other.rank);
    let visited = 0;
    for (const group of touched) {
      const heard = bits & group.gathered & ~group.ignored;
      if (heard === 0) continue;
      visited++;
      visit(group, heard);
    }
    return visited;
  }

  #gatherObjects(happening: Happening<Owner>, needed: number): void {
    const { filesystem } = happening;
    const object = filesystem.objects.get(happening.ino);
    if (object && object.bornNs === happening.bornNs) this.#gatherAll(object.marks, happening, needed);
    if (filesystem.parents.size === 0) return;
    const parent = happening.parent();
    if (parent === undefined) return;
    if (parent !== 'unknown') this.#gatherChild(parent, happening, needed, true);
    else for (const directory of filesystem.parents) this.#gatherChild(directory, happening, needed, false);
  }

  #gatherAll(
    marks: readonly Mark<Owner>[],
    { channel, bits }: Happening<Owner>,
    needed: number,
    isCertain = true,
  ): void {
    for (const { group, mask, ignored, attached } of marks) {
      if (!hears(group, channel)) continue;
      this.#touch(group).ignored |= isCertain ? ignored : 0;
      if ((mask & needed) !== needed) continue;
      group.gathered |= mask;
      if (attached && (mask & bits) !== 0) heardBy(group, attached, isCertain);
    }
  }

  /** A directory's marks count for its children where they say so. */
  #gatherChild(
    { marks }: MarkedObject<Owner>,
    { channel, bits }: Happening<Owner>,
    needed: number,
    isCertain: boolean,
  ): void {
    for (const { group, mask, ignored, attached } of marks) {
      if (!hears(group, channel)) continue;
      if ((mask & ON_CHILD) !== 0 && (mask & needed) === needed) {
        this.#touch(group).gathered |= mask;
        if (attached && (mask & bits) !== 0) heardBy(group, attached, isCertain);
      }
      if (isCertain && (ignored & ON_CHILD) !== 0) this.#touch(group).ignored |= ignored;
    }
  }

  #touch(group: Owner): Owner {
    if (group.turn === this.#turn) return group;
    group.turn = this.#turn;
    group.gathered = 0;
    group.ignored = 0;
    group.by = undefined;
    this.#touched.push(group);
    return group;
  }
}

function heardBy(group: MarkOwner, attached: Attached, isCertain: boolean): void {
  const by = isCertain ? attached : (attached.perhaps ?? attached);
  if (!group.by || by.weight > group.by.weight) group.by = by;
}

function isInTurn(groups: readonly MarkOwner[]): boolean {
  for (let at = 1; at < groups.length; at++) {
    if ((groups[at - 1]?.rank ?? 0) > (groups[at]?.rank ?? 0)) return false;
  }
  return true;
}
