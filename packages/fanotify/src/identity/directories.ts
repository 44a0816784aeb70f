// Handle → path for directories: a bounded cache that follows renames where the group hears them, in the queue's order, and
// that checks every path once per read where it does not.

import type { Kernel, KernelPath } from '../kernel/index.ts';
import { type Directory, DirectoryCache, NO_HINTS, newDirectory } from './directory-cache.ts';
import { fsidOf, type HandleKey, type Identity, type Location, Locator, type OpenIdentity } from './locator.ts';
import type { MountTable } from './mount-table.ts';
import { joinPath, ResolvedPath } from './path.ts';

export type { HandleKey } from './locator.ts';

/** What the reader of the group's queue knows of the events around the one that is being delivered. */
export interface Lookahead {
  /** Reads what is queued now; false when that is more than it may read ahead, or some of it was lost. */
  drain(): boolean;
  /**
   * Where the directory was before the first change of its place that is read and not yet delivered: 'elsewhere' when the
   * event does not say; undefined when there is no such change.
   */
  before(key: HandleKey): Location | 'elsewhere' | undefined;
  /** Where it may be, when a rename of it may be hidden in an event that was merged; undefined when none can be. */
  suspects(key: HandleKey): readonly Location[] | undefined;
}

/** Where a directory was found; only what is certain is kept. */
interface Found {
  readonly location: Location | undefined;
  readonly absolute: Buffer | undefined;
  readonly isMountRoot: boolean;
  readonly isCertain: boolean;
  readonly hints?: readonly Location[];
}

/** Of those that are in doubt: more places are not looked at. */
const MOST_HINTS = 64;
const DEEPEST = 4096;

/** Handle → path, for the marks of one group. */
export class DirectoryPaths {
  readonly #locator: Locator;
  readonly #cache: DirectoryCache;
  /** Fsids of file systems whose renames the group hears. */
  #followed = new Set<string>();
  /** By fsid: roots whose paths are kept. */
  readonly #roots = new Map<string, { readonly key: HandleKey; readonly absolute: Buffer }>();
  /** Directories that are being looked for at their hints. */
  readonly #sought = new Set<HandleKey>();
  /** Keys of marked directories whose renames are heard, and whether those are the next to come: there may be events from before. */
  readonly #heard = new Map<HandleKey, boolean>();
  /** Keys of directories all below which renames are heard. Their own are not, so that their paths are as of reading. */
  readonly #subtrees = new Set<HandleKey>();
  /** Paths as of reading that were asked for in this round: asking costs more than the event. */
  readonly #pathsNow = new Map<HandleKey, ResolvedPath>();
  #round = 1;
  #generation = 1;

  constructor(kernel: Kernel, mounts: MountTable, maxDirectories = 65_536) {
    this.#locator = new Locator(kernel, mounts);
    this.#cache = new DirectoryCache(maxDirectories);
  }

  /** How many directories are held now. */
  get size(): number {
    return this.#cache.size;
  }

  /** Starts a new read: paths of places whose renames are not heard are checked again from here on. */
  nextRound(): void {
    this.#round++;
    this.#pathsNow.clear();
    this.#locator.nextRound();
  }

  /**
   * Makes a marked object known. Tells its key, which is what `followed` takes for inode marks, and its fsid.
   *
   * @returns undefined where the file system has no handles.
   */
  add(
    path: KernelPath,
    options: { keep: boolean; noFollow?: boolean; lookahead?: Lookahead; through?: Buffer },
  ): Identity | undefined {
    const identity = this.#locator.identify(path, options.noFollow === true, options.through);
    if (identity && options.keep) this.#addMarked(identity, options.lookahead);
    return identity;
  }

  /** As {@link Locator.identifyOpen}. */
  identifyOpen(fd: number, above?: OpenIdentity): OpenIdentity | undefined {
    return this.#locator.identifyOpen(fd, above);
  }

  /** As {@link Locator.awaitRenameIn}. */
  awaitRenameIn(directory: number): void {
    this.#locator.awaitRenameIn(directory);
  }

  /** Whether renames in a marked directory are heard. */
  isHeard(key: HandleKey): boolean {
    return this.#heard.has(key);
  }

  /** Whether renames everywhere below a directory are heard. */
  isSubtreeHeard(key: HandleKey): boolean {
    return this.#subtrees.has(key);
  }

  /** A directory has been marked that is known to be in another whose renames are heard. */
  addEntry(key: HandleKey, location: Location): void {
    const directory = this.#cache.mark(key);
    if (directory.location && !directory.isDoubtful) return;
    directory.location = location;
    directory.absolute = undefined;
    directory.hints = NO_HINTS;
    directory.isDoubtful = false;
    this.#generation++;
  }

  /** Whether an object is known to be marked. */
  isMarked(key: HandleKey): boolean {
    return this.#cache.marked(key) !== undefined;
  }

  /** A marked directory is where it was found: also one that was marked before, for it may have moved unheard. */
  #addMarked(identity: Identity, lookahead: Lookahead | undefined): void {
    const { key, absolute, location } = identity;
    const heard = this.#cache.marked(key) ? undefined : this.#placeHeard(identity, lookahead);
    const directory = this.#cache.mark(key);
    // What follows the queue may be behind what the path says now, and is right for the events that are still to come.
    if (directory.location && !directory.isDoubtful) return;
    if (heard) {
      directory.location = heard;
      directory.absolute = undefined;
      directory.hints = NO_HINTS;
      directory.isDoubtful = false;
      this.#generation++;
      return;
    }
    if (directory.absolute?.equals(absolute) !== true) this.#generation++;
    directory.location = undefined;
    directory.absolute = absolute;
    directory.isMountRoot = location === undefined;
    directory.hints = location ? [location] : [];
    directory.isDoubtful = false;
  }

  /**
   * Where a directory that has just been marked is as of the next event to be delivered, if renames of it have been heard since
   * before it could be heard itself. Nobody needs to look there later, when it may have moved on.
   */
  #placeHeard({ key, location, isSettled }: Identity, lookahead: Lookahead | undefined): Location | undefined {
    if (!location || !isSettled || !this.#heard.has(location.parent)) return undefined;
    if (!lookahead?.drain() || lookahead.suspects(key)) return undefined;
    const before = lookahead.before(key);
    return before === 'elsewhere' ? undefined : (before ?? location);
  }

  /** From now on events tell of renames in a marked directory; {@link followAlso} says when they are the next to come. */
  hear(marked: HandleKey): void {
    if (!this.#heard.has(marked)) this.#heard.set(marked, false);
  }

  /** From now on events tell of renames in a directory and everywhere below; {@link followAlso} says when they are the next to come. */
  hearSubtree(marked: HandleKey): void {
    this.hear(marked);
    this.#subtrees.add(marked);
  }

  /** Takes a marked object to be where it was last, until the next round. */
  assume(key: HandleKey, absolute: Buffer): void {
    const directory = this.#cache.marked(key);
    if (!directory) return;
    directory.location = undefined;
    directory.absolute = absolute;
    directory.hints = NO_HINTS;
    directory.isDoubtful = false;
    directory.checkedIn = this.#round;
    this.#generation++;
  }

  /** Lets go of an object that is no longer marked. */
  remove(key: HandleKey): void {
    const directory = this.#cache.marked(key);
    if (!directory) return;
    this.#cache.unmark(key);
    if (directory.location && !directory.isDoubtful) this.#cache.insert(directory);
    else this.#generation++;
  }

  /** Lets go of all marked objects. */
  removeAll(): void {
    for (const key of this.#cache.markedKeys()) this.remove(key);
  }

  /**
   * Says whose renames are heard from now on: fsids of file systems, and whether those of marked directories are. Whatever was
   * learned of places that are no longer followed is forgotten.
   */
  follow(filesystems: Set<string>, inodesToo: boolean): void {
    this.#followed = filesystems;
    if (!inodesToo) this.#subtrees.clear();
    if (inodesToo) for (const key of this.#heard.keys()) this.#heard.set(key, true);
    else this.#heard.clear();
    this.forget();
  }

  /** One more file system or directory with an inode mark whose renames are heard. */
  followAlso(followed: string): void {
    if (this.#heard.has(followed)) this.#heard.set(followed, true);
    else this.#followed.add(followed);
    this.#generation++;
  }

  /**
   * Keeps the path of a file system's root, so that what happened there has a path also if it is unmounted before it is told. Until
   * {@link forgetFilesystems}.
   */
  keepRoot({ key, fsid, absolute, location }: Identity): void {
    if (location) return;
    this.#roots.set(fsid, { key, absolute });
  }

  /** The path at which a file system was mounted whose root is kept, if it is mounted nowhere any more. */
  unmounted(key: HandleKey): Buffer | undefined {
    const root = this.#roots.get(fsidOf(key));
    return root && !this.#locator.isMounted(fsidOf(key)) ? root.absolute : undefined;
  }

  /** File systems are gone: should one come back, its directories may have been renamed meanwhile. */
  forgetFilesystems(fsids: ReadonlySet<string>): void {
    for (const fsid of fsids) {
      this.#followed.delete(fsid);
      this.#roots.delete(fsid);
      this.#locator.forget(fsid);
    }
    this.#cache.sweep((directory) => {
      if (!fsids.has(fsidOf(directory.key))) return true;
      this.#doubt(directory, []);
      return false;
    });
    this.#generation++;
  }

  /** One less. */
  unfollow(marked: HandleKey): void {
    const isFollowed = this.#heard.get(marked);
    this.#heard.delete(marked);
    this.#subtrees.delete(marked);
    if (isFollowed) this.forget();
  }

  /** Doubts everything learned: after an overflow, renames may have been lost. */
  forget(): void {
    this.#cache.sweep((directory) => {
      if (directory.location) this.#doubt(directory, [directory.location]);
      // What was found where no rename was heard is found again as part of what is followed now.
      return directory.location !== undefined || directory.isMountRoot;
    });
    this.#generation++;
  }

  /** A directory has come into being, or has been renamed, as a delivered event tells; undefined when it does not say where. */
  moved(key: HandleKey, location: Location | undefined, isRename: boolean): void {
    let directory = this.#cache.find(key);
    // The path of a mount does not change when its root gets another name.
    if (directory?.isMountRoot) return;
    // What lies below it may have a path composed with it, even if it is itself no longer held.
    if (isRename || directory) this.#generation++;
    const isHeard = location !== undefined && directory?.location !== undefined && this.#heard.has(location.parent);
    if (!location || (!isHeard && !this.#isFollowed(key, location.parent))) {
      if (directory) this.#doubt(directory, []);
      return;
    }
    directory ??= this.#cache.insert(newDirectory(key));
    directory.location = location;
    directory.absolute = undefined;
    directory.isDoubtful = false;
    directory.hints = NO_HINTS;
  }

  /** The place of a directory is no longer certain: it is asked for again, or looked for at `hints`, when next needed. */
  uncertain(key: HandleKey, hints: readonly Location[]): void {
    const directory = this.#cache.find(key);
    if (!directory || directory.isMountRoot) return;
    this.#doubt(directory, hints);
    this.#generation++;
  }

  #doubt(directory: Directory, hints: readonly Location[]): void {
    // Where it was marked, say, ahead of the events that say where it was before that.
    const before = possiblePlaces(directory).filter((place) => !hints.some((hint) => isSamePlace(hint, place)));
    directory.hints = [...hints, ...before].slice(0, MOST_HINTS);
    directory.isDoubtful = true;
  }

  /** The path as of reading of any object with a handle, a file too. Nothing of it is kept. */
  resolveNow(key: HandleKey): ResolvedPath | undefined {
    const now = this.#locator.ask(key, false);
    if (now) return new ResolvedPath(now.absolute, 'reading');
    const marked = this.#cache.marked(key);
    if (!marked?.absolute || !this.#isStillThere(marked)) return undefined;
    return new ResolvedPath(marked.absolute, 'reading');
  }

  /** Opens a directory wherever it is now (O_PATH): its descriptor, or 'gone'; undefined when handles cannot be opened here. */
  open(key: HandleKey): number | 'gone' | undefined {
    return this.#locator.open(key);
  }

  /** Whether an object of any kind still exists, as far as this process can tell. */
  isAlive(key: HandleKey): boolean | undefined {
    return this.#locator.isAlive(key);
  }

  /** Whether a path leads to an object now. */
  isAt(path: Buffer, key: HandleKey): boolean {
    return this.#locator.isAt(path, key);
  }

  /** The path of a directory; undefined when it has none that this process could use. */
  resolve(key: HandleKey, lookahead: Lookahead): ResolvedPath | undefined {
    const directory = this.#cache.find(key);
    if (directory?.path && directory.generation === this.#generation && directory.base?.checkedIn === this.#round) {
      return directory.path;
    }
    return this.#pathsNow.get(key) ?? this.#compose(key, lookahead);
  }

  #isFollowed(key: HandleKey, parent: HandleKey | undefined): boolean {
    if (this.#followed.has(fsidOf(key))) return true;
    if (parent === undefined) return false;
    return this.#heard.get(parent) === true || (this.#subtrees.size > 0 && this.#isInSubtree(parent));
  }

  /** Whether the way up from a directory, as far as it is known, leads to one all below which renames are followed. */
  #isInSubtree(key: HandleKey): boolean {
    let next: HandleKey | undefined = key;
    for (let depth = 0; next !== undefined && depth < DEEPEST; depth++) {
      if (this.#subtrees.has(next)) return this.#heard.get(next) === true;
      const directory = this.#cache.find(next);
      next = directory?.isDoubtful === false ? directory.location?.parent : undefined;
    }
    return false;
  }

  /** Whether a directory is another of its file system, or below it; undefined where the way up is not known so far. */
  isBelow(key: HandleKey, top: HandleKey): boolean | undefined {
    if (fsidOf(key) !== fsidOf(top)) return undefined;
    let next = key;
    for (let depth = 0; depth < DEEPEST; depth++) {
      if (next === top) return true;
      const directory = this.#cache.find(next);
      if (!directory || directory.isDoubtful) return undefined;
      if (!directory.location) return directory.isMountRoot ? false : undefined;
      next = directory.location.parent;
    }
    return undefined;
  }

  /** Walks up to an absolute path, finding on the way what is not known, and puts the path together. */
  #compose(key: HandleKey, lookahead: Lookahead): ResolvedPath | undefined {
    const chain: Directory[] = [];
    let isCertain = true;
    for (let next: HandleKey = key; chain.length < DEEPEST; ) {
      let directory = this.#cache.find(next);
      const suspects = directory?.isMountRoot ? undefined : lookahead.suspects(next);
      if (suspects || !directory || !this.#isUsable(directory)) {
        const found = suspects
          ? this.#seek(next, directory, suspects, lookahead)
          : this.#locate(next, directory, lookahead);
        if (!found) return this.#rememberNow(key, this.#pathNow(key, []));
        if (!found.isCertain) isCertain = false;
        directory = this.#keep(next, directory, found);
      }
      chain.push(directory);
      if (!directory.location) break;
      next = directory.location.parent;
    }
    return isCertain ? this.#join(chain) : this.#rememberNow(key, this.#pathNow(key, chain));
  }

  #rememberNow(key: HandleKey, path: ResolvedPath | undefined): ResolvedPath | undefined {
    if (path) this.#pathsNow.set(key, path);
    return path;
  }

  /** Where one link is as of reading, the whole path is: names from different moments make a path that never was. */
  #pathNow(key: HandleKey, chain: readonly Directory[]): ResolvedPath | undefined {
    const now = this.#locator.ask(key, false);
    if (now) return new ResolvedPath(now.absolute, 'reading');
    let absolute = chain.at(-1)?.absolute;
    for (const { location } of chain.toReversed()) {
      if (absolute && location) absolute = joinPath(absolute, location.name);
    }
    return absolute && this.#locator.isAt(absolute, key) ? new ResolvedPath(absolute, 'reading') : undefined;
  }

  #isUsable(directory: Directory): boolean {
    if (directory.isDoubtful) return false;
    if (directory.location) return true;
    // Its renames have come to be heard since it was found.
    if (directory.hints.some(({ parent }) => this.#isFollowed(directory.key, parent))) return false;
    return this.#isStillThere(directory);
  }

  #keep(key: HandleKey, known: Directory | undefined, found: Found): Directory {
    const directory = found.isCertain ? (known ?? this.#cache.insert(newDirectory(key))) : newDirectory(key);
    if (directory === known) this.#generation++;
    directory.location = found.location;
    directory.absolute = found.absolute;
    directory.isMountRoot = found.isMountRoot;
    directory.isDoubtful = false;
    directory.hints = found.hints ?? [];
    directory.checkedIn = this.#round;
    return directory;
  }

  /** Composes the paths of a chain that goes from a directory up to its base, and remembers each. */
  #join(chain: Directory[]): ResolvedPath | undefined {
    const base = chain.at(-1);
    if (!base?.absolute || base.location) return undefined;
    let path: ResolvedPath | undefined;
    for (const directory of chain.reverse()) {
      const bytes = directory.location && path ? joinPath(path.raw, directory.location.name) : base.absolute;
      const isFollowed = this.#isFollowed(directory.key, directory.location?.parent ?? directory.key);
      path = new ResolvedPath(bytes, isFollowed ? 'event' : 'reading');
      directory.path = path;
      directory.generation = this.#generation;
      directory.base = base;
    }
    return path;
  }

  /** An absolute path is true only for now: it is checked once per round. */
  #isStillThere(directory: Directory): boolean {
    if (directory.checkedIn === this.#round) return true;
    if (!directory.absolute) return false;
    if (!this.#locator.isAt(directory.absolute, directory.key) && !this.#unmountedRoot(directory.key)) return false;
    directory.checkedIn = this.#round;
    return true;
  }

  /** The path that the root of a file system had, if that is mounted nowhere any more. */
  #unmountedRoot(key: HandleKey): Buffer | undefined {
    const fsid = fsidOf(key);
    const root = this.#roots.get(fsid);
    return root?.key === key && !this.#locator.isMounted(fsid) ? root.absolute : undefined;
  }

  /**
   * Where a directory was as of the event that is being delivered. What the kernel says is as of now; the renames that lie
   * between are in the queue, and the first of them tells where it was before. So: ask, read what is queued, look there.
   */
  #locate(key: HandleKey, known: Directory | undefined, lookahead: Lookahead): Found | undefined {
    const read = this.#earlier(key, lookahead);
    if (read) return read;
    const now = this.#locator.ask(key, true) ?? this.#seekHints(known, lookahead);
    // Whether it is below one is known once its parent is found.
    if (now?.location && this.#subtrees.size > 0 && !this.#subtrees.has(key))
      this.resolve(now.location.parent, lookahead);
    if (now?.location && this.#isFollowed(key, now.location.parent)) {
      const isAllRead = lookahead.drain();
      const earlier = this.#earlier(key, lookahead);
      if (earlier) return earlier;
      const isCertain = isAllRead && lookahead.before(key) === undefined;
      if (isCertain) return { location: now.location, absolute: undefined, isMountRoot: false, isCertain };
      if ('isBeneath' in now) return undefined;
      return { location: undefined, absolute: now.absolute, isMountRoot: false, isCertain };
    }
    if (now && !('isBeneath' in now)) {
      const { location, absolute } = now;
      const hints = location ? [location] : [];
      return { location: undefined, absolute, isMountRoot: !location, isCertain: true, hints };
    }
    const absolute = this.#unmountedRoot(key);
    if (absolute) return { location: undefined, absolute, isMountRoot: true, isCertain: true };
    // It is gone, or was while it was asked for: what is queued still tells where it was.
    lookahead.drain();
    return this.#earlier(key, lookahead);
  }

  #earlier(key: HandleKey, lookahead: Lookahead): Found | undefined {
    const location = lookahead.before(key);
    if (location === undefined || location === 'elsewhere' || !this.#isFollowed(key, location.parent)) return undefined;
    return { location, absolute: undefined, isMountRoot: false, isCertain: true };
  }

  /** Where a directory is now, whose renames cannot all be told apart. */
  #seek(
    key: HandleKey,
    known: Directory | undefined,
    suspects: readonly Location[],
    lookahead: Lookahead,
  ): Found | undefined {
    const places = known ? [...suspects, ...possiblePlaces(known)] : suspects;
    const now = this.#locator.ask(key, false) ?? this.#seekAt(key, places, lookahead);
    return now && { location: undefined, absolute: now.absolute, isMountRoot: false, isCertain: false };
  }

  #seekHints(known: Directory | undefined, lookahead: Lookahead) {
    return known && this.#seekAt(known.key, known.hints, lookahead);
  }

  /** Without privilege a handle cannot be opened: then all that can be done is to look where it may be. */
  #seekAt(key: HandleKey, places: readonly Location[], lookahead: Lookahead) {
    // Places that nobody could check may lead in a circle.
    if (this.#sought.has(key)) return undefined;
    this.#sought.add(key);
    try {
      for (const location of places) {
        const parent = this.resolve(location.parent, lookahead);
        if (!parent) continue;
        const absolute = joinPath(parent.raw, location.name);
        // The parent's path is as of the event: another directory may be there now, and this one in it.
        if (this.#locator.isAt(absolute, key) && this.#locator.isAt(parent.raw, location.parent)) {
          return { location, absolute };
        }
      }
      return undefined;
    } finally {
      this.#sought.delete(key);
    }
  }
}

/** Where a directory may be, as far as is known. */
function possiblePlaces({ location, hints }: Directory): readonly Location[] {
  return location ? [location, ...hints] : hints;
}

function isSamePlace(a: Location, b: Location): boolean {
  return a.parent === b.parent && a.name.equals(b.name);
}
