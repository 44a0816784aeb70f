// The roots of subtrees: where each is as of the event at hand, and which events are inside of one.

import { AT_FDCWD, FAN_DELETE, FAN_DELETE_SELF, FAN_MOVE_SELF } from '../abi/index.ts';
import type { GroupInternals } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { fsidOf, type HandleKey, type Identity } from '../identity/locator.ts';
import { joinPath, parentOf, ResolvedPath } from '../identity/path.ts';
import { KernelError } from '../kernel/index.ts';
import {
  compileExclusion,
  type Exclusion,
  isAtOrBelow,
  isEntry,
  nameGlobs,
  relativeBytes,
  relativePath,
} from './places.ts';

/** A root, as it was found and what became of it. */
export interface Root {
  readonly key: HandleKey;
  /** The path by which it was added. */
  readonly given: Buffer;
  readonly how: 'filesystem' | 'inodes';
  readonly because: 'privilege' | 'filesystem' | undefined;
  readonly directory: boolean;
  readonly isExcluded: ((relative: string) => boolean) | undefined;
  /** All that is below belongs to it. */
  readonly isRecursive: boolean;
  /** How it is renamed is heard, as of everything on its file system. */
  readonly isFollowed: boolean;
  /** The mount that it is on; undefined where nothing tells. */
  readonly mountId: number | undefined;
  /** Where it was named, if {@link path} is another since its file system is mounted twice. */
  readonly at: ResolvedPath | undefined;
  path: ResolvedPath;
  /** Where it was when it was added: by what was queued then it may have been elsewhere. */
  readonly home: ResolvedPath;
  /** Something has happened in it while it was not there. */
  wasAway: boolean;
  gone: 'deleted' | 'moved' | 'unmounted' | undefined;
  /** An event that was read says that it was removed, or that another has its path: what is below that need not be in it. */
  isReplaced: boolean;
  /** Its mount is gone; what was heard there may still be to be told. */
  isUnmounted: boolean;
  /** Whether it was found when the events at hand were read, and whether one of them says that it moved. */
  isFound: boolean;
  /** When it was last asked for where it is, and was nowhere. */
  lostMs: number | undefined;
  /** When the directory that it was in had last changed as it was looked for there in vain. */
  soughtNs: bigint | undefined;
  /** It was renamed, and what is below has not been looked at since. */
  isElsewhere: boolean;
  hasMoved: boolean;
}

/** A directory that is mounted below a root, and whose own path is elsewhere. */
export interface Annex {
  readonly root: Root;
  readonly key: HandleKey;
  /** The way from the root to where it is mounted. */
  readonly way: Buffer;
  /** By directory in it: its path below the root. */
  readonly shown: WeakMap<ResolvedPath, ResolvedPath>;
  /** As of a root. */
  lostMs: number | undefined;
  /** Where it was, and its root, when those were put together. */
  base: ResolvedPath | undefined;
  below: ResolvedPath | undefined;
}

/** A rename into the subtrees, or out of them. */
export type Crossing = 'in' | 'out';

const DELETE_SELF = Number(FAN_DELETE_SELF);
/** A directory has one name. */
const REMOVED = Number(FAN_DELETE | FAN_DELETE_SELF);
/** How long it takes at least until what was nowhere is asked for again. */
const ASK_AGAIN_MS = 1_000;
/** Events of an object itself, rather than of its entries. */
const SELF = Number(FAN_DELETE_SELF | FAN_MOVE_SELF);

/** Some roots, less what globs leave out. */
export class Roots {
  readonly all: Root[] = [];
  readonly #inside: GroupInternals;
  readonly #exclusions: readonly Exclusion[];
  readonly #crossesMounts: boolean;
  readonly #annexes = new Set<Annex>();
  readonly #isNameExcluded: ((name: string) => boolean) | undefined;
  /** Beside the events, since few cross. */
  readonly #crossings = new WeakMap<KernelEvent, Crossing>();

  constructor(inside: GroupInternals, exclusions: readonly Exclusion[], crossesMounts = true) {
    this.#inside = inside;
    this.#crossesMounts = crossesMounts;
    this.#exclusions = exclusions;
    this.#isNameExcluded = compileExclusion(nameGlobs(exclusions));
  }

  /** Whether there is a root already at a path without symbolic links. */
  has(key: HandleKey, absolute: Buffer): boolean {
    return this.all.some((root) => root.key === key && root.path.raw.equals(absolute));
  }

  /** Adds what is marked at a path; `names` are all absolute paths by which it is known. */
  add(
    key: HandleKey,
    path: Buffer,
    root: Pick<Root, 'how' | 'because' | 'directory' | 'isRecursive' | 'isFollowed' | 'mountId'> & {
      names: readonly string[];
    },
  ): Root {
    const { paths, queue } = this.#inside;
    const found = paths.resolveNow(key);
    const now = paths.resolve(key, queue) ?? found ?? new ResolvedPath(path, 'reading');
    const { names, ...rest } = root;
    const isExcluded = compileExclusion(this.#exclusions, names);
    const [named] = names;
    const at = named === undefined || named === now.text ? undefined : new ResolvedPath(Buffer.from(named), 'reading');
    const state = {
      gone: undefined,
      isReplaced: false,
      isUnmounted: false,
      isFound: true,
      lostMs: undefined,
      soughtNs: undefined,
      isElsewhere: false,
      hasMoved: false,
      wasAway: false,
    };
    const added: Root = { key, given: path, ...rest, isExcluded, at, path: now, home: found ?? now, ...state };
    this.all.push(added);
    return added;
  }

  /** Adds what is mounted below a root, if its own path is elsewhere; else its path says that it is below. */
  annex(root: Root, { key, absolute }: Identity): Annex | undefined {
    const { paths, queue } = this.#inside;
    const own = paths.resolve(key, queue);
    const way = relativeBytes(absolute, root.path.raw);
    if (!own || way === undefined || own.raw.equals(absolute)) return undefined;
    const annex = { root, key, way, shown: new WeakMap(), lostMs: undefined, base: undefined, below: undefined };
    this.#annexes.add(annex);
    return annex;
  }

  removeAnnex(annex: Annex): void {
    this.#annexes.delete(annex);
  }

  /**
   * A root with a mark of its own that is renamed says so, but not where it is. Whoever may not open handles looks for it where it
   * was. No descriptor is kept for this: it would keep the kernel from telling that the root is deleted.
   */
  findAll(): void {
    const { paths, queue } = this.#inside;
    for (const root of this.all) {
      if (root.isFollowed || root.gone) continue;
      const beside = paths.resolve(root.key, queue) ? undefined : this.#findBeside(root);
      if (beside) root.isElsewhere = true;
      const found = beside ?? paths.resolve(root.key, queue);
      root.isFound = found !== undefined;
      if (found) root.path = found;
      // Deleted, most likely: what is queued still happened there.
      else paths.assume(root.key, root.path.raw);
    }
  }

  /** Where a root is after what was told; undefined where nobody can tell. */
  find(root: Root): ResolvedPath | undefined {
    const { paths, queue } = this.#inside;
    return paths.resolve(root.key, queue) ?? this.#findBeside(root);
  }

  /** Whether a root is seen now where it was last, or in the beginning. */
  isSeen({ key, path, home, given }: Root): boolean {
    const { paths } = this.#inside;
    return [path.raw, home.raw, given].some((place) => paths.add(place, { keep: false })?.key === key);
  }

  /** Where it was in the beginning, or by another name in the directory that it was in last. */
  #findBeside(root: Root): ResolvedPath | undefined {
    const { kernel } = this.#inside;
    const { path, home, given, soughtNs } = root;
    const atHome = this.#findAt(root, home.raw) ?? this.#findAt(root, given);
    if (atHome) return atHome;
    const directory = parentOf(path.raw);
    try {
      root.soughtNs = kernel.statAt(AT_FDCWD, directory, 0).ctimeNs;
      // To look is heard too, where the opening of directories is: it would be looked for ever after.
      if (root.soughtNs === soughtNs) return undefined;
      for (const { name } of kernel.readDirectory(directory)) {
        const found = this.#findAt(root, joinPath(directory, name));
        if (found) return found;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    return undefined;
  }

  #findAt(root: Root, candidate: Buffer): ResolvedPath | undefined {
    const { paths, queue } = this.#inside;
    const place = paths.add(candidate, { keep: false });
    if (place?.key !== root.key) return undefined;
    root.soughtNs = undefined;
    paths.add(place.absolute, { keep: true, noFollow: true });
    return paths.resolve(root.key, queue) ?? new ResolvedPath(place.absolute, 'reading');
  }

  /** Whether an event is inside of a root, or of a root itself. Gives it the place that only the root knows. */
  accept(event: KernelEvent): boolean {
    if (this.#annexes.size > 0) this.#placeBelow(event);
    for (const root of this.all) {
      if (root.gone) continue;
      if (root.directory) root.path = this.#whereIs(root) ?? root.path;
      // Before Linux 5.17 paths are as of reading, when a deleted directory has none.
      if (!event.place && directoryKey(event) === root.key) event.placeIn(root.path, event.dfidRecord);
      if (this.#isOfRoot(event, root) || this.#hasPartIn(event, root)) {
        root.isReplaced ||= root.directory && (event.maskLow & REMOVED) !== 0 && isOf(event, root.key);
        if (!root.path.raw.equals(root.home.raw)) root.wasAway = true;
        if (event.kind === 'rename') this.#noteCrossing(event);
        // It may be gone by now: then only the event tells.
        if (event.kind === 'rename' && event.rawPath && isOf(event, root.key)) {
          root.path = new ResolvedPath(event.rawPath, 'event');
          root.lostMs = undefined;
        }
        return true;
      }
    }
    return false;
  }

  /**
   * Where a directory is as of the event at hand. One that is nowhere is not asked for with each event: to ask opens the mount point, and
   * where that is heard it would be asked for ever.
   */
  #whereIs(of: Pick<Root, 'key' | 'lostMs'>): ResolvedPath | undefined {
    const { paths, queue } = this.#inside;
    if (of.lostMs !== undefined && performance.now() - of.lostMs < ASK_AGAIN_MS) return undefined;
    const path = paths.resolve(of.key, queue);
    of.lostMs = path ? undefined : performance.now();
    return path;
  }

  /** Gives what happens in directories that are mounted below a root their paths there, unless their own are in one. */
  #placeBelow(event: KernelEvent): void {
    const { place, placeBefore } = event;
    const shown = place && this.#shownBelow(place);
    if (shown && event.isWhole) event.placeAt(shown, event.deleted);
    else if (shown) event.placeIn(shown, event.dfidRecord);
    const before = placeBefore && this.#shownBelow(placeBefore);
    if (before) event.placedBeforeIn(before, event.oldDfidRecord);
  }

  #shownBelow(place: ResolvedPath): ResolvedPath | undefined {
    if (this.all.some((root) => !root.gone && isAtOrBelow(place, root.path))) return undefined;
    for (const annex of this.#annexes) {
      const base = this.#whereIs(annex);
      if (!base || !isAtOrBelow(place, base)) continue;
      const known = annex.base === base && annex.below === annex.root.path ? annex.shown.get(place) : undefined;
      if (known) return known;
      const rest = relativeBytes(place.raw, base.raw) ?? Buffer.alloc(0);
      const shown = [annex.way, rest].filter(({ length }) => length > 0).reduce(joinPath, annex.root.path.raw);
      const path = new ResolvedPath(shown, place.asOf);
      annex.base = base;
      annex.below = annex.root.path;
      annex.shown.set(place, path);
      return path;
    }
    return undefined;
  }

  /** Which way an accepted rename went; undefined when both of its places are inside, or one is not known. */
  crossing(event: KernelEvent): Crossing | undefined {
    return this.#crossings.get(event);
  }

  /** Only now are the roots where they were when it happened. */
  #noteCrossing(event: KernelEvent): void {
    if (!event.place || !event.placeBefore) return;
    let was = false;
    let is = false;
    for (const root of this.all) {
      if (root.gone) continue;
      // A root that is renamed stays the root.
      if (isOf(event, root.key)) return;
      if (root.directory) root.path = this.#whereIs(root) ?? root.path;
      was ||= this.#isEntryInside(event, root, true);
      is ||= this.#isEntryInside(event, root, false);
    }
    if (was !== is) this.#crossings.set(event, is ? 'in' : 'out');
  }

  /** Whether an entry was or is in a root that still exists. */
  hasPartIn(event: KernelEvent): boolean {
    return this.all.some((root) => !root.gone && this.#hasPartIn(event, root));
  }

  /** Whether a directory that may be gone by now was below a root by what was heard of it, wherever that was. */
  isBelowOne(key: HandleKey): boolean {
    return this.all.some((root) => {
      return root.how === 'filesystem' && !root.gone && this.#inside.paths.isBelow(key, root.key) === true;
    });
  }

  /** Whether a path is at or below a root that still exists. */
  hasPlace(path: Buffer): boolean {
    return (
      this.all.some((root) => !root.gone && relativeBytes(path, root.path.raw) !== undefined) && !this.excludes(path)
    );
  }

  /** Whether what an event names is now in a root with marks down its tree. */
  isInMarkedTree(event: KernelEvent): boolean {
    return this.all.some((root) => root.how === 'inodes' && this.#isEntryInside(event, root, false));
  }

  /** The root that an event of an object itself is of. */
  ofSelf(event: KernelEvent): Root | undefined {
    return (event.maskLow & SELF) === 0 ? undefined : this.all.find(({ key }) => isOf(event, key));
  }

  /** Whether globs leave out a path, from whichever root it is seen. */
  readonly excludes = (path: Buffer): boolean => {
    if (this.#exclusions.length === 0) return false;
    let excluded = false;
    for (const root of this.all) {
      const relative = relativePath(path, root.path);
      if (relative === undefined) continue;
      if (relative === '' || !root.isExcluded?.(relative)) return false;
      excluded = true;
    }
    return excluded;
  };

  /** {@link excludes}; undefined where nothing is left out. */
  get exclusion(): ((path: Buffer) => boolean) | undefined {
    return this.#exclusions.length === 0 ? undefined : this.excludes;
  }

  /** Whether globs leave out an entry with this name, wherever it is. */
  excludesName(name: Buffer): boolean {
    return this.#isNameExcluded?.(name.toString()) === true;
  }

  /** Events of a root itself, which may be gone or a file: then there is no path but the one we remember. */
  #isOfRoot(event: KernelEvent, root: Root): boolean {
    if (root.how === 'filesystem' && (event.maskLow & SELF) === 0) return false;
    if (!isOf(event, root.key)) return false;
    // In the same moment as it was looked for, perhaps.
    if ((event.maskLow & SELF) !== 0) root.soughtNs = undefined;
    if (!event.place) event.placeAt(root.path, (event.maskLow & DELETE_SELF) !== 0);
    else if (event.isWhole) root.path = event.place;
    return true;
  }

  #hasPartIn(event: KernelEvent, root: Root): boolean {
    return (
      this.#isEntryInside(event, root, false) ||
      (event.placeBefore !== undefined && this.#isEntryInside(event, root, true))
    );
  }

  #isEntryInside(event: KernelEvent, root: Root, before: boolean): boolean {
    const place = before ? event.placeBefore : event.place;
    if (!place) return false;
    if (!this.#crossesMounts && !isOnSameFilesystem(event, root, before)) return false;
    const record = before ? event.oldDfidRecord : event.dfidRecord;
    if (!isAtOrBelow(place, root.path)) {
      const isItsPath = (before || !event.isWhole) && isEntry(place, event.nameIn(record), root.path);
      const isIt = isItsPath && mayBeOf(event, root.key);
      root.isReplaced ||= isItsPath && !isIt;
      return isIt;
    }
    if (root.isReplaced && record !== 0 && this.#inside.paths.isBelow(event.keyOf(record), root.key) === false)
      return false;
    if (!root.isExcluded) return true;
    const raw = before ? event.rawFrom : event.rawPath;
    const relative = raw && relativePath(raw, root.path);
    return typeof relative !== 'string' || relative === '' || !root.isExcluded(relative);
  }
}

function isOnSameFilesystem(event: KernelEvent, { key }: Root, before: boolean): boolean {
  const record = before ? event.oldDfidRecord : event.dfidRecord || event.fidRecord;
  return record !== 0 && fsidOf(event.keyOf(record)) === fsidOf(key);
}

/** The key of the directory that an event names an entry of; '' when it names none. */
export function directoryKey(event: KernelEvent): HandleKey {
  return event.dfidRecord === 0 ? '' : event.keyOf(event.dfidRecord);
}

/** Whether an event of an entry can be of this object: another may have its name by now. Before Linux 5.17 nothing tells. */
function mayBeOf(event: KernelEvent, key: HandleKey): boolean {
  return event.fidRecord === 0 || event.keyOf(event.fidRecord) === key;
}

/** Whether an event is of the object with this key itself: named by its handle, or '.' in itself. */
function isOf(event: KernelEvent, key: HandleKey): boolean {
  if (event.fidRecord !== 0 && event.keyOf(event.fidRecord) === key) return true;
  if (event.dfidRecord === 0 || event.keyOf(event.dfidRecord) !== key) return false;
  const name = event.rawName;
  return name === null || (name.length === 1 && name[0] === 0x2e);
}
