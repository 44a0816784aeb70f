// Inode marks down a tree, for whoever may not mark a file system. A directory is marked first and listed then: what came into
// being before the mark is in the list, what comes after is heard.

import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../abi/index.ts';
import { LimitError, UnsupportedError } from '../group/errors.ts';
import { type Group, type GroupInternals, type HeardEntry, internalsOf } from '../group/group.ts';
import type { FileEventName } from '../group/names.ts';
import type { HandleKey, Identity, OpenIdentity } from '../identity/locator.ts';
import { awaitedMounts, type Mount } from '../identity/mounts.ts';
import { joinPath } from '../identity/path.ts';
import { type DirectoryEntry, type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';
import { Branches, type Entry, entryId } from './branches.ts';
import type { Finding } from './found.ts';

const OPEN_TO_READ = O_DIRECTORY | O_CLOEXEC;
const OPEN_PATH = OPEN_TO_READ | O_PATH;
/** What this process does to a directory when it looks what is in it. */
const OF_LOOKING: ReadonlySet<FileEventName> = new Set(['open', 'access', 'closeNowrite']);
/** What is longer no kernel tells. */
const PATH_MAX = 4096;
/** For entries that could not be reached: more are not kept in mind. */
const MOST_UNREACHED = 10_000;

/** How to walk. */
export interface Walk {
  /** Whether to leave out a directory, and all below it; undefined when nothing is left out. */
  readonly isExcluded: ((path: Buffer) => boolean) | undefined;
  /** Whether to go on into what is mounted below. */
  readonly crossMounts: boolean;
  /** Told of each entry that came into being before its directory was marked. */
  readonly found?: (finding: Finding) => void;
  /** Told now and then of how many directories are marked. */
  readonly progress?: (directories: number) => void;
}

/** A directory that has come. */
interface New {
  readonly entry: Entry;
  /** Which it is; undefined where the kernel does not tell. */
  readonly key: HandleKey | undefined;
}

/** A directory to go down from: a name in an open directory, or a path. */
interface Start {
  readonly dirfd: number;
  /** What is gone through there. */
  readonly level?: Level;
  readonly name: KernelPath;
  readonly flags: number;
  readonly way: Way;
  /** Undefined for a root. */
  readonly entry: Entry | undefined;
  /** What the directory above is; undefined for a root. */
  readonly above?: OpenIdentity | undefined;
  /** Tell of what is below also where it was marked already. */
  readonly tellAll: boolean;
  /** Which directory it should be, if that is known. */
  readonly expected?: HandleKey | undefined;
  /** Whom to tell that it was found. */
  readonly found?: Walk['found'];
}

/** A directory that is being gone through. */
interface Level {
  readonly fd: number;
  readonly place: OpenIdentity;
  readonly way: Way;
  /** Whom to tell of what is there already. */
  readonly found: Walk['found'];
  readonly tellAll: boolean;
  /** What is left to do of what was read, the last first. */
  entries: DirectoryEntry[];
  isRead: boolean;
}

/** What a directory is called. Put together when somebody asks: paths would be most of what is made for a large tree. */
class Way {
  readonly length: number;
  readonly #above: Way | undefined;
  readonly #name: Buffer;
  #path: Buffer | undefined;

  /** `name` in a directory, or a path. */
  constructor(name: Buffer, above?: Way) {
    this.#name = name;
    this.#above = above;
    this.length = above ? above.length + 1 + name.length : name.length;
  }

  get path(): Buffer {
    this.#path ??= this.#above ? joinPath(this.#above.path, this.#name) : this.#name;
    return this.#path;
  }
}

/** The marked directories below some roots. */
export class MarkedTree {
  /** Directories that this user may not read, or that cannot be reached: nothing is heard of what happens in them. */
  readonly unreadable: Set<string> = new Set();
  readonly branches: Branches = new Branches();
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #events: readonly FileEventName[];
  /** Looking at directories raises events that are asked for. */
  readonly #hearsItself: boolean;
  /** Before an overflow; undefined but while it is made good. */
  #before: ReadonlySet<HandleKey> | undefined;
  /** New directories whose parent was not where it had been. */
  #unreached = new Map<string, New>();
  /** Directories without a mark, counted on after the limit was hit to say how many marks are needed. */
  #beyondLimit = 0;
  #limit: LimitError | undefined;
  #walked = 0;
  /** Where an automounter waits: whoever opens that has something mounted, which may never answer. */
  #automounts: readonly Mount[] = [];

  constructor(group: Group<'handle'>, events: readonly FileEventName[]) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#events = events;
    this.#hearsItself = events.some((event) => OF_LOOKING.has(event));
  }

  /** How many directories are marked. */
  get size(): number {
    return this.branches.size;
  }

  /** A directory is gone, and its mark with it. */
  forget(key: HandleKey): void {
    if (this.branches.delete(key)) this.#inside.paths.remove(key);
  }

  /** What was mounted at a directory is no longer there. With `fsid`, its file system is gone as a whole, and all marks with it. */
  forgetBelow(key: HandleKey, fsid: string | undefined): void {
    for (const below of this.branches.below(key, fsid)) this.forget(below);
  }

  /**
   * Marks a root and what is below, where it is not marked yet. It may be named through a symbolic link.
   *
   * @throws LimitError when the marks do not suffice; it says how many directories there are.
   */
  async markRoot(key: HandleKey, path: Buffer, walk: Walk): Promise<void> {
    this.branches.addRoot(key);
    const way = new Way(path);
    await this.#markBelow({ dirfd: AT_FDCWD, name: path, flags: 0, way, entry: undefined, tellAll: false }, walk);
    this.#throwIfLimited();
  }

  /** Does all anew: events were lost, and nobody knows which. */
  async markAgain(roots: Iterable<{ key: HandleKey; path: Buffer }>, walk: Walk): Promise<void> {
    this.#before = this.branches.startOver();
    this.#unreached.clear();
    for (const { key, path } of roots) if (this.#isAt(path, key)) await this.markRoot(key, path, walk);
    this.#before = undefined;
  }

  /**
   * Marks an entry of a marked directory and what is below, where it is not marked yet. `above` is where that directory was last;
   * where it has gone on from there {@link takeUnreached} has the entry. Another that has its name by now is left until it is told to
   * have come.
   *
   * @throws LimitError when the marks do not suffice; it says how many directories there are.
   */
  async mark(fresh: New, above: Buffer | undefined, walk: Walk, tellAll = false): Promise<void> {
    const { kernel } = this.#inside;
    const { entry, key: expected } = fresh;
    const fd = above === undefined ? 'gone' : this.#open(AT_FDCWD, above, OPEN_PATH);
    if (above === undefined || fd === 'gone') return this.#missed(fresh);
    if (fd === 'refused') return void this.unreadable.add(above.toString());
    try {
      // Another directory may stand there by now. In the right one a name that is missing has left, which is or will be told.
      const place = this.#identify(linkTo(fd));
      if (place?.key !== entry.parent) return this.#missed(fresh);
      const way = new Way(entry.name, new Way(above));
      await this.#markBelow(
        { dirfd: fd, name: entry.name, flags: O_NOFOLLOW, way, entry, above: place, tellAll, expected },
        walk,
      );
    } finally {
      kernel.close(fd);
    }
    this.#throwIfLimited();
  }

  /** Entries to be marked that were not found, since what is above them was renamed. */
  takeUnreached(): Iterable<New> {
    if (this.#unreached.size === 0) return [];
    const unreached = [...this.#unreached.values()];
    this.#unreached.clear();
    return unreached.filter(({ entry }) => this.branches.isInside(entry.parent));
  }

  /** Takes the marks away again, of a directory that has left the tree and of what is below. */
  async unmark(path: Buffer): Promise<void> {
    await this.#unmarkBelow(AT_FDCWD, path, path);
  }

  async #unmarkBelow(dirfd: number, name: KernelPath, path: Buffer): Promise<void> {
    const fd = this.#open(dirfd, name, OPEN_PATH | O_NOFOLLOW);
    if (typeof fd !== 'number') return;
    try {
      const link = linkTo(fd);
      const key = this.#identify(link)?.key;
      // A root is one wherever it is.
      if (key === undefined || this.branches.isRoot(key) || !this.branches.delete(key)) return;
      await this.#group.unmark(link).catch(() => undefined);
      for (const { name, type } of this.#list(link, path)) {
        if (type === 'directory' || type === 'unknown') await this.#unmarkBelow(fd, name, joinPath(path, name));
      }
    } finally {
      this.#inside.kernel.close(fd);
    }
  }

  #missed(fresh: New): void {
    const { entry } = fresh;
    if (this.#unreached.size < MOST_UNREACHED) this.#unreached.set(entryId(entry), fresh);
    else this.unreadable.add(entry.name.toString());
  }

  async #markBelow(start: Start, walk: Walk): Promise<void> {
    const levels: Level[] = [];
    this.#automounts = awaitedMounts(this.#inside.mounts.mounts);
    try {
      for (let next: Start | undefined = start; next; next = this.#next(levels, walk)) {
        // Marking takes no waiting, so that without this neither a signal nor a timer would be heard until a large tree is done.
        if (++this.#walked % 256 === 0) {
          walk.progress?.(this.size);
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
        // Else a large tree fills the queue, whose overflow is made good by going through the tree.
        if (this.#hearsItself) this.#inside.queue.drain();
        const level = this.#enter(next, walk);
        if (level) levels.push(level);
      }
    } finally {
      for (const { fd } of levels) this.#inside.kernel.close(fd);
    }
  }

  /** The next directory to go down into; undefined when all is done. */
  #next(levels: Level[], walk: Walk): Start | undefined {
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const { fd, place, found, tellAll } = level;
      const parent = place.key;
      for (let next = this.#nextEntry(level); next; next = this.#nextEntry(level)) {
        const { name, type } = next;
        const isDirectory = type === 'directory';
        const way = new Way(name, level.way);
        const goesDown = (isDirectory || type === 'unknown') && walk.isExcluded?.(way.path) !== true;
        // A directory is told when it is known which.
        const isFound = isDirectory && goesDown;
        if (found && !isFound) found({ parent, name, rawPath: way.path, directory: isDirectory, key: undefined });
        if (!goesDown) continue;
        // By name in the open directory: whatever is renamed above meanwhile, and however long the path is.
        const entry = { parent, name };
        const above = place;
        const flags = O_NOFOLLOW;
        const told = isFound ? found : undefined;
        return { dirfd: fd, level, name, flags, way, entry, above, tellAll, found: told };
      }
      levels.pop();
      this.#inside.kernel.close(fd);
    }
    return undefined;
  }

  /** Marks a directory and lists it; undefined where there is none, or no way in. */
  #enter(start: Start, walk: Walk): Level | undefined {
    const { dirfd, name, flags, way } = start;
    const isAwaited = this.#automounts.some(({ mountPoint }) => isSamePath(mountPoint, way));
    const readable = isAwaited ? 'refused' : this.#open(dirfd, name, OPEN_TO_READ | flags);
    // Which it is can be told also of what may not be read.
    const fd = readable === 'refused' && !isAwaited ? this.#open(dirfd, name, OPEN_PATH | flags) : readable;
    if (fd === 'gone') return undefined;
    if (fd === 'refused') {
      tellFound(start, undefined);
      this.#noteUnreadable(start.way);
      return undefined;
    }
    let level: Level | undefined;
    try {
      level = this.#markOpen(fd, readable === fd, start, walk);
    } finally {
      if (!level) this.#inside.kernel.close(fd);
    }
    return level;
  }

  #markOpen(fd: number, isReadable: boolean, start: Start, walk: Walk): Level | undefined {
    const { way, above, entry } = start;
    const { kernel, paths } = this.#inside;
    const place = paths.identifyOpen(fd, above);
    const isOther = start.expected !== undefined && place?.mountId === above?.mountId && place?.key !== start.expected;
    if (isOther) return undefined;
    tellFound(start, place?.key);
    if (above?.fsid !== undefined && place?.fsid !== above.fsid && isPseudo(kernel, fd)) return undefined;
    if (place && !walk.crossMounts && above && above.mountId !== place.mountId) return undefined;
    if (!place || !isReadable) return this.#noteUnreadable(way);
    const { key, fsid } = place;
    // What has left the tree was told to have gone, and so was what is below. It may be seen here ahead of the event that brings it back.
    const tellAll = start.tellAll || this.branches.isAway(key);
    const isNew = tellAll || !(this.#before ?? this.branches).has(key);
    const found = isNew ? walk.found : undefined;
    const isEntry = entry !== undefined && above?.mountId === place.mountId && way.length < PATH_MAX;
    const awaitRename = () => (start.level ? this.#readOn(start.level) : paths.awaitRenameIn(start.dirfd));
    const known = isEntry ? { fd, key, fsid, location: entry, awaitRename } : undefined;
    if (!this.#markOne(fd, way, known)) return undefined;
    // A path too long for the kernel to tell, for one.
    if (!this.#limit && !paths.isMarked(key)) {
      this.#group.unmark(linkTo(fd)).catch(() => undefined);
      return this.#noteUnreadable(way);
    }
    if (this.#limit && !this.branches.has(key)) this.#beyondLimit++;
    else if (entry) this.branches.set(key, entry);
    return { fd, place, way, found, tellAll, entries: [], isRead: false };
  }

  #nextEntry(level: Level): DirectoryEntry | undefined {
    while (level.entries.length === 0 && !level.isRead) this.#readOn(level);
    return level.entries.pop();
  }

  /** Reads on in a directory, for which it waits until nobody changes that, at its end too. */
  #readOn(level: Level): void {
    const { kernel } = this.#inside;
    const { fd, way, found } = level;
    try {
      const read = kernel.readEntries(fd, found ? undefined : 'directories');
      if (!read) level.isRead = true;
      else level.entries = level.entries.length === 0 ? read.reverse() : [...read.reverse(), ...level.entries];
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'ENOENT') this.#noteUnreadable(way);
      level.isRead = true;
    }
  }

  #noteUnreadable({ path }: Way): undefined {
    this.unreadable.add(path.toString());
  }

  /** False when the directory cannot be marked, which is noted. */
  #markOne(fd: number, way: Way, known: HeardEntry | undefined): boolean {
    if (this.#limit) return true;
    try {
      if (known) this.#inside.markEntry(known, this.#events);
      else this.#inside.mark(linkTo(fd), { events: this.#events });
      return true;
    } catch (error) {
      if (error instanceof LimitError) {
        this.#limit = error;
        return true;
      }
      // Whatever the kernel has against a directory: one that somebody else has made must not end the watch.
      if (error instanceof UnsupportedError || !isOfKernel(error)) throw error;
      this.#noteUnreadable(way);
      return false;
    }
  }

  /** 'gone' when there is no such directory. */
  #open(dirfd: number, name: KernelPath, flags: number): number | 'gone' | 'refused' {
    try {
      return this.#inside.kernel.openAt(dirfd, name, flags);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // No directory any more, or a symbolic link.
      return error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ELOOP' ? 'gone' : 'refused';
    }
  }

  #list(link: string, path: Buffer): DirectoryEntry[] {
    try {
      return this.#inside.kernel.readDirectory(link);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'ENOENT') this.unreadable.add(path.toString());
      return [];
    }
  }

  #identify(path: KernelPath): Identity | undefined {
    return this.#inside.paths.add(path, { keep: false });
  }

  #isAt(path: Buffer, key: HandleKey): boolean {
    return this.#identify(path)?.key === key;
  }

  #throwIfLimited(): void {
    const limit = this.#limit;
    if (!limit) return;
    // Not a sysctl: the daemon has said what to do.
    if (limit.setting.endsWith(' of fanotifyd')) throw limit;
    const needed = this.size + this.#beyondLimit;
    throw new LimitError(
      `without root each of the ${needed} directories needs a mark of its own, and this user has no more (${limit.setting} = ${limit.current ?? 'unknown'}): raise it (sysctl -w ${limit.setting}=${Math.max(needed, limit.current ?? 0) * 2}), leave directories out, or run it as root, where one mark suffices`,
      limit.setting,
      limit.current,
      { cause: limit },
    );
  }
}

function isSamePath(mountPoint: Buffer, way: Way): boolean {
  return mountPoint.length === way.length && mountPoint.equals(way.path);
}

function tellFound({ way, entry, found }: Start, key: HandleKey | undefined): void {
  if (entry && found) found({ parent: entry.parent, name: entry.name, rawPath: way.path, directory: true, key });
}

/** A path that leads to the open directory itself, wherever it is now: renames cannot lead it astray. */
function linkTo(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function isOfKernel(error: unknown): boolean {
  return error instanceof KernelError || (error instanceof Error && error.cause instanceof KernelError);
}

/** Whether it is the kernel's own state, as files. */
export function isPseudo(kernel: Kernel, fd: number): boolean {
  try {
    return PSEUDO.has(kernel.statfs(fd).type);
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
}

// statfs(2), "f_type": what is mounted below a tree and holds no files, only the kernel's own state.
const PSEUDO: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x63677270, // cgroup2
  0x27e0eb, // cgroup
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0xcafe4a11, // bpf
  0x1cd1, // devpts
  0x6e736673, // nsfs
]);
