// The directories that the broker knows, as of the event that is being told: each a name in another, up to the root of its file system.

import type { HandleKey } from '../../identity/locator.ts';
import { DirectoryNode, type Filesystem } from './model.ts';

/** No path that can be named is deeper (PATH_MAX, half of it slashes). */
export const DEEPEST = 2048;

export class DirectoryTree {
  readonly #nodes = new Map<HandleKey, DirectoryNode>();
  /** The same by file system: whoever marks one and takes that back makes nobody look at all others. */
  readonly #byFilesystem = new Map<Filesystem, Set<DirectoryNode>>();
  readonly #most: number;
  /** With more than so many it is looked which of them can be let go of. */
  #sweepAt: number;
  #finds = 0;
  #removals = 0;
  #clock = 1;

  /** @param most How many directories are known at most, but for those that are marked and those above them. */
  constructor(most = 100_000) {
    this.#most = most;
    this.#sweepAt = most;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Counts when directories were let go of, or their places. */
  get removals(): number {
    return this.#removals;
  }

  /** Counts changes. */
  get clock(): number {
    return this.#clock;
  }

  find(key: HandleKey): DirectoryNode | undefined {
    const node = this.#nodes.get(key);
    if (node) node.usedAt = ++this.#finds;
    return node;
  }

  /** Something has changed that is in no directory of it. */
  tick(): void {
    this.#clock++;
  }

  /** A directory that is not known yet. */
  add(key: HandleKey, filesystem: Filesystem, isTop: boolean): DirectoryNode {
    const node = new DirectoryNode(key, filesystem, isTop);
    node.usedAt = ++this.#finds;
    node.changedAt = ++this.#clock;
    this.#nodes.set(key, node);
    let all = this.#byFilesystem.get(filesystem);
    if (!all) {
      all = new Set();
      this.#byFilesystem.set(filesystem, all);
    }
    all.add(node);
    return node;
  }

  #delete(node: DirectoryNode): void {
    this.#nodes.delete(node.key);
    const all = this.#byFilesystem.get(node.filesystem);
    all?.delete(node);
    if (all?.size === 0) this.#byFilesystem.delete(node.filesystem);
  }

  /** Says where a directory is. */
  place(node: DirectoryNode, above: DirectoryNode, name: string): void {
    if (node.isTop || (node.above === above && node.name === name)) return;
    this.touch(node);
    this.#detach(node);
    // Of what is known one part may be older than the other: then it is to be looked for again.
    if (isAtOrBelow(above, node)) {
      this.#removals++;
      return;
    }
    node.above = above;
    node.name = name;
    above.below++;
  }

  /** Nobody knows where a directory is. */
  displace(node: DirectoryNode): void {
    this.#removals++;
    this.touch(node);
    this.#detach(node);
  }

  /** What decides on who reaches a directory has changed. */
  touch(node: DirectoryNode): void {
    node.changedAt = ++this.#clock;
  }

  /** A directory is gone. One that is marked stays until its marks go. */
  remove(node: DirectoryNode): void {
    this.touch(node);
    if (node.marks.length > 0) return;
    this.#removals++;
    this.#detach(node);
    this.#delete(node);
  }

  /** Forgets where directories are: of one file system, or of all. */
  forget(filesystem?: Filesystem): void {
    this.#clock++;
    this.#removals++;
    const nodes = filesystem ? (this.#byFilesystem.get(filesystem) ?? []) : this.#nodes.values();
    for (const node of nodes) {
      node.changedAt = this.#clock;
      node.above = undefined;
      node.below = 0;
      // It may be reached through a mount that shows more.
      node.isTop = node.key === node.filesystem.top;
      if (node.marks.length === 0) this.#delete(node);
    }
  }

  /** Keeps to the limit. Never while an event is being told: it may be of what is let go of. */
  tidy(): void {
    if (this.#nodes.size <= this.#sweepAt) return;
    this.#sweep();
    // What is left may be needed by marks: looking at it again at every event would find nothing to let go of, either.
    this.#sweepAt = Math.max(this.#most, this.#nodes.size * 2);
  }

  #detach(node: DirectoryNode): void {
    if (node.above) node.above.below--;
    node.above = undefined;
  }

  /** Lets go of leaves that were not needed lately; if that frees little, of all leaves. */
  #sweep(): void {
    const enough = this.#most >> 1;
    this.#removals++;
    for (const since of [this.#finds - enough, Number.POSITIVE_INFINITY]) {
      // What was above leaves may be one then.
      for (let before = -1; before !== this.#nodes.size && this.#nodes.size > enough; ) {
        before = this.#nodes.size;
        for (const node of this.#nodes.values()) {
          const isNeeded = node.below > 0 || node.held > 0 || node.marks.length > 0 || node.isTop;
          if (isNeeded || node.usedAt > since) continue;
          this.#detach(node);
          this.#delete(node);
          if (this.#nodes.size <= enough) return;
        }
      }
    }
  }
}

/** Whether a directory is another one, or below it. */
export function isAtOrBelow(node: DirectoryNode, other: DirectoryNode): boolean {
  let depth = 0;
  for (let at: DirectoryNode | undefined = node; at && depth < DEEPEST; at = at.above, depth++) {
    if (at === other) return true;
  }
  return false;
}

/** Where a directory is below another: '' for that itself, undefined when it is not below. */
export function pathBelow(node: DirectoryNode, other: DirectoryNode): string | undefined {
  let path = '';
  let depth = 0;
  for (let at: DirectoryNode | undefined = node; at && depth < DEEPEST; at = at.above, depth++) {
    if (at === other) return path;
    path = path === '' ? at.name : `${at.name}/${path}`;
  }
  return undefined;
}
