// Handle → path for directories: a bounded cache that follows renames where the group hears them, in the queue's order, and
// that checks every path once per read where it does not.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_HANDLE_FID,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
} from '../abi/index.ts';
import { type Kernel, KernelError, type KernelPath, type NamedHandle } from '../kernel/index.ts';
import { readMounts } from './mounts.ts';
import { joinPath, ResolvedPath } from './path.ts';

/**
 * An object's fsid and `struct file_handle`, the bytes of a record from its fsid on, as a latin1 string: equal strings are
 * the same object, and the string is a key of a Map.
 */
export type HandleKey = string;

/** Where a directory is: a name in another directory. */
export interface Location {
  readonly parent: HandleKey;
  readonly name: Buffer;
}

/** What the reader of the group's queue knows of the events behind the one that is being delivered. */
export interface Lookahead {
  /** Reads what is queued now; false when that is more than it may read ahead. */
  drain(): boolean;
  /** Where the directory was before the first change of its place that is read and not yet delivered. */
  before(key: HandleKey): Location | undefined;
}

/** A directory that the cache holds: either a name in another directory, or an absolute path that is checked per read. */
interface Directory {
  readonly key: HandleKey;
  location: Location | undefined;
  absolute: Buffer | undefined;
  /** The round in which `absolute` was last checked. */
  checkedIn: number;
  /** Marked ones: how often everything was forgotten before `location` was learned. */
  learnedIn: number;
  /** The path as composed in `generation`, below `base`. */
  path: ResolvedPath | undefined;
  generation: number;
  base: Directory | undefined;
}

const FSID_LENGTH = 8;
const DEEPEST = 4096;
const OPEN_DIRECTORY = O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;

const keyBytes = (key: HandleKey): Buffer => Buffer.from(key, 'latin1');

/** Handle → path, for the marks of one group. */
export class DirectoryPaths {
  readonly #kernel: Kernel;
  readonly #generationSize: number;
  /** Two generations: what is used moves to the young one, and the old one is dropped when the young one is full. */
  #young = new Map<HandleKey, Directory>();
  #old = new Map<HandleKey, Directory>();
  /** Marked directories are never dropped: without privilege nothing could find them again. */
  readonly #marked = new Map<HandleKey, Directory>();
  /** By fsid: where the file system is mounted. */
  readonly #mountPoints = new Map<string, Buffer>();
  /** Fsids, and handle keys of marked directories, whose renames the group hears. */
  #followed = new Set<string>();
  #mayOpenHandles = true;
  #forgotten = 0;
  #round = 1;
  #generation = 1;

  constructor(kernel: Kernel, maxDirectories = 65_536) {
    this.#kernel = kernel;
    this.#generationSize = Math.max(1, maxDirectories >> 1);
  }

  /** How many directories are held now. */
  get size(): number {
    return this.#young.size + this.#old.size + this.#marked.size;
  }

  /** Starts a new read: paths of places whose renames are not heard are checked again from here on. */
  nextRound(): void {
    this.#round++;
  }

  /**
   * Makes a marked object known. Tells its key, which is what `followed` takes for inode marks, and its fsid.
   *
   * @returns undefined where the file system has no handles.
   */
  add(path: KernelPath, options: { keep: boolean; noFollow?: boolean }): { key: HandleKey; fsid: string } | undefined {
    const kernel = this.#kernel;
    let fd: number;
    try {
      fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC | (options.noFollow ? O_NOFOLLOW : 0));
    } catch {
      return undefined;
    }
    try {
      const { handle, mountId } = handleAt(kernel, fd, '', AT_EMPTY_PATH);
      const fsid = fsidKey(kernel, fd);
      const key = fsid + handle.toString('latin1');
      const absolute = kernel.readlink(`/proc/self/fd/${fd}`);
      if (!this.#mountPoints.has(fsid)) {
        const mounts = readMounts(kernel);
        const mount = mounts.find((candidate) => candidate.mountId === mountId);
        const whole = mounts.find(({ device, root }) => device === mount?.device && root.equals(SLASH));
        this.#mountPoints.set(fsid, (whole ?? mount)?.mountPoint ?? absolute);
      }
      if (options.keep) this.#learnMarked(key, fsid, absolute);
      return { key, fsid };
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    } finally {
      kernel.close(fd);
    }
  }

  /** A marked directory is where it was found: also one that was marked before, for it may have moved unheard. */
  #learnMarked(key: HandleKey, fsid: string, absolute: Buffer): void {
    let directory = this.#marked.get(key);
    const known = directory?.location ? directory.learnedIn === this.#forgotten : directory?.absolute?.equals(absolute);
    if (known) return;
    if (directory) this.#generation++;
    directory ??= newDirectory(key);
    directory.location = undefined;
    directory.absolute = undefined;
    directory.learnedIn = this.#forgotten;
    this.#marked.set(key, directory);
    const slash = absolute.lastIndexOf(0x2f);
    const parent = this.#keyOf(absolute.subarray(0, Math.max(1, slash)), fsid);
    if (parent !== undefined && this.#followed.has(parent)) {
      directory.location = { parent, name: Buffer.from(absolute.subarray(slash + 1)) };
    } else {
      directory.absolute = absolute;
    }
  }

  /** Takes a marked object to be where it was last, until the next round. */
  assume(key: HandleKey, absolute: Buffer): void {
    const directory = this.#marked.get(key);
    if (!directory) return;
    directory.location = undefined;
    directory.absolute = absolute;
    directory.checkedIn = this.#round;
    this.#generation++;
  }

  /** Lets go of an object that is no longer marked. */
  remove(key: HandleKey): void {
    this.#marked.delete(key);
    this.#generation++;
  }

  /**
   * Says whose renames are heard from now on: fsids of file systems, keys of directories with an inode mark. Whatever was
   * learned of places that are no longer followed is forgotten.
   */
  follow(followed: Set<string>): void {
    const lost = [...this.#followed].some((place) => !followed.has(place));
    const gained = [...followed].some((place) => place.length === FSID_LENGTH && !this.#followed.has(place));
    this.#followed = followed;
    if (lost || gained) this.forget();
  }

  /** One more directory with an inode mark whose renames are heard. */
  followAlso(marked: HandleKey): void {
    this.#followed.add(marked);
  }

  /** One less. */
  unfollow(marked: HandleKey): void {
    if (this.#followed.delete(marked)) this.forget();
  }

  /** Forgets everything learned: after an overflow, renames may have been lost. */
  forget(): void {
    this.#young.clear();
    this.#old.clear();
    this.#forgotten++;
    this.#generation++;
  }

  /** A directory has come into being or has moved, as a delivered event tells. */
  moved(key: HandleKey, location: Location): void {
    if (!this.#isFollowed(key, location.parent)) return;
    const directory = this.#find(key) ?? this.#insert(newDirectory(key));
    directory.learnedIn = this.#forgotten;
    const isMove = directory.location !== undefined || directory.absolute !== undefined;
    directory.location = location;
    directory.absolute = undefined;
    directory.path = undefined;
    // Only what lies below a directory that was elsewhere before can have a path composed with it.
    if (isMove) this.#generation++;
  }

  /** The place of a directory is no longer certain: it is asked for again when it is next needed. */
  uncertain(key: HandleKey): void {
    const directory = this.#find(key);
    if (!directory) return;
    directory.location = undefined;
    directory.absolute = undefined;
    this.#generation++;
  }

  /** The path as of reading of any object with a handle, a file too. Nothing of it is kept. */
  resolveNow(key: HandleKey): ResolvedPath | undefined {
    const now = this.#ask(key);
    if (now) return new ResolvedPath(now.absolute, 'reading');
    const marked = this.#marked.get(key);
    if (!marked?.absolute || !this.#isStillThere(marked)) return undefined;
    return new ResolvedPath(marked.absolute, 'reading');
  }

  /** The path of a directory; undefined when it has none that this process could use. */
  resolve(key: HandleKey, lookahead: Lookahead): ResolvedPath | undefined {
    const directory = this.#find(key);
    if (directory?.path && directory.generation === this.#generation && directory.base?.checkedIn === this.#round) {
      return directory.path;
    }
    return this.#compose(key, lookahead);
  }

  #find(key: HandleKey): Directory | undefined {
    const young = this.#young.get(key);
    if (young) return young;
    const old = this.#old.get(key);
    if (old) return this.#insert(old);
    return this.#marked.get(key);
  }

  #insert(directory: Directory): Directory {
    if (this.#young.size >= this.#generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(directory.key, directory);
    return directory;
  }

  #isFollowed(key: HandleKey, parent: HandleKey | undefined): boolean {
    return this.#followed.has(key.slice(0, FSID_LENGTH)) || (parent !== undefined && this.#followed.has(parent));
  }

  /** Walks up to an absolute path, finding on the way what is not known, and puts the path together. */
  #compose(key: HandleKey, lookahead: Lookahead): ResolvedPath | undefined {
    const chain: Directory[] = [];
    let certain = true;
    for (let next: HandleKey = key; chain.length < DEEPEST; ) {
      let directory = this.#find(next);
      if (directory?.absolute && !this.#isStillThere(directory)) {
        directory.absolute = undefined;
        this.#generation++;
      }
      if (!directory || (!directory.location && !directory.absolute)) {
        const found = this.#locate(next, lookahead);
        if (!found) return undefined;
        if (found.ahead) {
          directory = this.#marked.has(next) ? directory : this.#insert(directory ?? newDirectory(next));
        } else {
          certain = false;
          directory = undefined;
        }
        directory ??= newDirectory(next);
        directory.location = found.location;
        directory.absolute = found.absolute;
        directory.checkedIn = this.#round;
      }
      chain.push(directory);
      if (!directory.location) break;
      next = directory.location.parent;
    }
    return this.#join(chain, certain);
  }

  /** Composes the paths of a chain that goes from a directory up to its base, and remembers each. */
  #join(chain: Directory[], certain: boolean): ResolvedPath | undefined {
    const base = chain.at(-1);
    if (!base?.absolute) return undefined;
    let path: ResolvedPath | undefined;
    for (const directory of chain.reverse()) {
      const bytes = directory.location && path ? joinPath(path.raw, directory.location.name) : base.absolute;
      const asOf =
        certain && this.#isFollowed(directory.key, directory.location?.parent ?? directory.key) ? 'event' : 'reading';
      path = new ResolvedPath(bytes, asOf);
      directory.path = path;
      directory.generation = certain ? this.#generation : 0;
      directory.base = base;
    }
    return path;
  }

  /** An absolute path is true only for now: it is checked once per round. */
  #isStillThere(directory: Directory): boolean {
    if (directory.checkedIn === this.#round) return true;
    const fsid = directory.key.slice(0, FSID_LENGTH);
    if (!directory.absolute || this.#keyOf(directory.absolute, fsid) !== directory.key) return false;
    directory.checkedIn = this.#round;
    return true;
  }

  /**
   * Where a directory was as of the event that is being delivered. What the kernel says is as of now; the renames that lie
   * between are in the queue, and the first of them tells where it was before. So: ask, read what is queued, look there.
   */
  #locate(
    key: HandleKey,
    lookahead: Lookahead,
  ): { location: Location | undefined; absolute: Buffer | undefined; ahead: boolean } | undefined {
    const fsid = key.slice(0, FSID_LENGTH);
    const known = lookahead.before(key);
    if (known && this.#isFollowed(key, known.parent)) return { location: known, absolute: undefined, ahead: true };
    const now = this.#ask(key);
    if (this.#followed.has(fsid)) {
      const ahead = lookahead.drain();
      const before = lookahead.before(key);
      if (before) return { location: before, absolute: undefined, ahead };
      if (now?.location) return { location: now.location, absolute: undefined, ahead };
    }
    return now && { location: undefined, absolute: now.absolute, ahead: true };
  }

  /** Asks the kernel where a handle is now; undefined when it is nowhere that this process can name. */
  #ask(key: HandleKey): { location: Location | undefined; absolute: Buffer } | undefined {
    const mountPoint = this.#mountPoints.get(key.slice(0, FSID_LENGTH));
    if (!mountPoint || !this.#mayOpenHandles) return undefined;
    const kernel = this.#kernel;
    let mountFd = -1;
    let fd = -1;
    try {
      // Opened for each question: a descriptor that stays open would keep the file system from being unmounted.
      mountFd = kernel.openAt(AT_FDCWD, mountPoint, OPEN_DIRECTORY);
      fd = kernel.openByHandleAt(mountFd, keyBytes(key).subarray(FSID_LENGTH), O_PATH | O_CLOEXEC);
      return this.#whereIs(fd, key);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EPERM' && error.syscall === 'open_by_handle_at') this.#mayOpenHandles = false;
      return undefined;
    } finally {
      if (fd >= 0) kernel.close(fd);
      if (mountFd >= 0) kernel.close(mountFd);
    }
  }

  #whereIs(fd: number, key: HandleKey): { location: Location | undefined; absolute: Buffer } | undefined {
    const kernel = this.#kernel;
    const fsid = key.slice(0, FSID_LENGTH);
    for (let attempt = 0; attempt < 3; attempt++) {
      const absolute = kernel.readlink(`/proc/self/fd/${fd}`);
      try {
        const self = handleAt(kernel, AT_FDCWD, absolute, 0);
        // The link shows names of other mounts and of deleted directories too: only a path that leads back is one.
        if (fsid + self.handle.toString('latin1') !== key || fsidKey(kernel, absolute) !== fsid) continue;
        const slash = absolute.lastIndexOf(0x2f);
        if (absolute.length === 1) return { location: undefined, absolute };
        const parent = handleAt(kernel, AT_FDCWD, absolute.subarray(0, Math.max(1, slash)), 0);
        if (!kernel.readlink(`/proc/self/fd/${fd}`).equals(absolute)) continue;
        if (parent.mountId !== self.mountId) return { location: undefined, absolute };
        const location = {
          parent: fsid + parent.handle.toString('latin1'),
          name: Buffer.from(absolute.subarray(slash + 1)),
        };
        return { location, absolute };
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    }
    return undefined;
  }

  /** The key of what is at a path now, if it is on that file system. */
  #keyOf(path: Buffer, fsid: string): HandleKey | undefined {
    try {
      const { handle } = handleAt(this.#kernel, AT_FDCWD, path, 0);
      return fsidKey(this.#kernel, path) === fsid ? fsid + handle.toString('latin1') : undefined;
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }
}

const SLASH = Buffer.from('/');

function newDirectory(key: HandleKey): Directory {
  return {
    key,
    location: undefined,
    absolute: undefined,
    checkedIn: 0,
    learnedIn: 0,
    path: undefined,
    generation: 0,
    base: undefined,
  };
}

/**
 * The handle that events have for a path. Some file systems, overlayfs in containers among them, have handles that only identify
 * (AT_HANDLE_FID, Linux 6.5): the same that fanotify reports.
 */
function handleAt(kernel: Kernel, dirfd: number, path: KernelPath, flags: number): NamedHandle {
  try {
    return kernel.nameToHandleAt(dirfd, path, flags);
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'EOPNOTSUPP') throw error;
    return kernel.nameToHandleAt(dirfd, path, flags | AT_HANDLE_FID);
  }
}

/** An fsid as the eight bytes that start a {@link HandleKey}. */
function fsidKey(kernel: Kernel, target: KernelPath | number): string {
  const { fsid } = kernel.statfs(target);
  return Buffer.from(new Int32Array([fsid[0], fsid[1]]).buffer).toString('latin1');
}
