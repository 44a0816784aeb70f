// The directories that a group knows: bounded, but for those that are marked.

import type { HandleKey, Location } from './locator.ts';
import type { ResolvedPath } from './path.ts';

/** A directory that the cache holds: either a name in another directory, or an absolute path that is checked per read. */
export interface Directory {
  readonly key: HandleKey;
  location: Location | undefined;
  absolute: Buffer | undefined;
  /** The root of a mount: its path is not made of names in its file system. */
  isMountRoot: boolean;
  /** Renames may have gone unheard: it is somewhere, perhaps still at one of `hints`. */
  isDoubtful: boolean;
  hints: readonly Location[];
  /** The round in which `absolute` was last checked. */
  checkedIn: number;
  /** The path as composed in `generation`, below `base`. */
  path: ResolvedPath | undefined;
  generation: number;
  base: Directory | undefined;
}

/** Of most directories: one for all. */
export const NO_HINTS: readonly Location[] = [];

export function newDirectory(key: HandleKey): Directory {
  return {
    key,
    location: undefined,
    absolute: undefined,
    isMountRoot: false,
    isDoubtful: false,
    hints: NO_HINTS,
    checkedIn: 0,
    path: undefined,
    generation: 0,
    base: undefined,
  };
}

/** Directories by handle. */
export class DirectoryCache {
  readonly #generationSize: number;
  /** Two generations: what is used moves to the young one, and the old one is dropped when the young one is full. */
  #young = new Map<HandleKey, Directory>();
  #old = new Map<HandleKey, Directory>();
  /** Marked directories are never dropped: without privilege nothing could find them again. */
  readonly #marked = new Map<HandleKey, Directory>();

  constructor(maxDirectories: number) {
    this.#generationSize = Math.max(1, maxDirectories >> 1);
  }

  get size(): number {
    return this.#young.size + this.#old.size + this.#marked.size;
  }

  find(key: HandleKey): Directory | undefined {
    const young = this.#young.get(key);
    if (young) return young;
    const old = this.#old.get(key);
    if (old) return this.insert(old);
    return this.#marked.get(key);
  }

  /** Holds a directory that is not marked, for as long as it is used. */
  insert(directory: Directory): Directory {
    if (this.#young.size >= this.#generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(directory.key);
    this.#young.set(directory.key, directory);
    return directory;
  }

  marked(key: HandleKey): Directory | undefined {
    return this.#marked.get(key);
  }

  markedKeys(): IterableIterator<HandleKey> {
    return this.#marked.keys();
  }

  /** Holds a directory until {@link unmark}. */
  mark(key: HandleKey): Directory {
    const directory = this.find(key) ?? newDirectory(key);
    this.#young.delete(key);
    this.#old.delete(key);
    this.#marked.set(key, directory);
    return directory;
  }

  unmark(key: HandleKey): void {
    this.#marked.delete(key);
  }

  /** Drops the directories that `keeps` says false of; never marked ones. */
  sweep(keeps: (directory: Directory) => boolean): void {
    for (const directories of [this.#young, this.#old]) {
      for (const directory of directories.values()) if (!keeps(directory)) directories.delete(directory.key);
    }
    for (const directory of this.#marked.values()) keeps(directory);
  }
}
