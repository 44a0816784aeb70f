// Handle → path as of now: asks the kernel, through whatever mount of the file system this process can see, and believes only
// a path that leads back to the handle.

import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH } from '../abi/index.ts';
import { type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';
import { fsidText, handleAt } from './handle-at.ts';
import type { MountTable } from './mount-table.ts';
import { isWhole } from './mounts.ts';
import { joinPath, parentOf } from './path.ts';

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

/** An object that a path leads to. */
export interface Identity {
  readonly key: HandleKey;
  readonly fsid: string;
  /** The mount that the path leads to. */
  readonly mountId: number;
  /** The path without symbolic links. */
  readonly absolute: Buffer;
  /** Undefined for the root of a mount. */
  readonly location: Location | undefined;
  /** Whether every rename that the location knows of has been queued as an event, where renames are heard. */
  readonly isSettled: boolean;
}

/** What an open descriptor is. */
export interface OpenIdentity extends Pick<Identity, 'key' | 'fsid' | 'mountId'> {
  /** Whether all that is on this mount has this fsid. */
  readonly isFsidOfMount?: boolean;
}

/** A file system that has been marked or met, and a mount of it. */
interface Filesystem {
  readonly device: string | undefined;
  readonly mountPoint: Buffer;
  /** Of one that is mounted in another mount namespace alone: where that begins (`/proc/pid/root`), and with it all paths. */
  readonly through: Buffer;
}

/** Where a handle is now. */
interface Asked {
  readonly location: Location | undefined;
  readonly absolute: Buffer;
  /** Something is mounted over it, so that the path leads elsewhere. */
  readonly isBeneath?: true;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

const HERE = Buffer.alloc(0);

const FSID_LENGTH = 8;
/** Where each subvolume has an fsid of its own: linux/magic.h. */
const BTRFS_SUPER_MAGIC = 0x9123683e;
const OPEN_DIRECTORY = O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;

/** The file system part of a key. */
export function fsidOf(key: HandleKey): string {
  return key.slice(0, FSID_LENGTH);
}

/** Finds handles on the file systems that were marked. */
export class Locator {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #filesystems = new Map<string, Filesystem>();
  #mayOpenHandles = true;
  #mayScan = true;
  #probes = 0;
  /** By fsid: the mount on which it was last seen, in this round. A mount is of one file system as long as it lives. */
  readonly #mountSeen = new Map<string, number>();

  constructor(kernel: Kernel, mounts: MountTable) {
    this.#kernel = kernel;
    this.#mounts = mounts;
  }

  /** A file system that is nowhere to be found is looked for again once per round. */
  nextRound(): void {
    this.#mayScan = true;
    this.#mountSeen.clear();
  }

  /** Where a file system is mounted no longer counts. */
  forget(fsid: string): void {
    this.#filesystems.delete(fsid);
    this.#mountSeen.delete(fsid);
  }

  /** Whether a file system that was met is still mounted where it was, in this mount namespace. */
  isMounted(fsid: string): boolean {
    const device = this.#filesystems.get(fsid)?.device;
    return device !== undefined && this.#mounts.isMounted(device, fsid);
  }

  /**
   * What is at a path, and from now on where its file system is mounted; undefined where there are no handles. `through` is how one
   * gets into the mount namespace where alone that is: `/proc/pid/root`.
   */
  identify(path: KernelPath, noFollow: boolean, through: Buffer = HERE): Identity | undefined {
    const kernel = this.#kernel;
    let fd = -1;
    try {
      fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC | (noFollow ? O_NOFOLLOW : 0));
      const { handle, mountId } = handleAt(kernel, fd, '', AT_EMPTY_PATH);
      const fsid = this.#fsidAt(fd);
      const link = kernel.readlink(`/proc/self/fd/${fd}`);
      const absolute = through === HERE ? link : Buffer.concat([through, link]);
      if (!this.#filesystems.has(fsid)) this.#learnMount(fsid, mountId, absolute, through);
      const key = fsid + handle.toString('latin1');
      const location = this.#locationIn(absolute, fsid, mountId);
      if (location) this.awaitRenameIn(parentOf(absolute));
      const isSettled = this.isAt(absolute, key) && kernel.readlink(`/proc/self/fd/${fd}`).equals(link);
      return { key, fsid, mountId, absolute, location, isSettled };
    } catch (error) {
      return nothing(error);
    } finally {
      if (fd >= 0) kernel.close(fd);
    }
  }

  /**
   * What an open descriptor is, and the mount that it was opened through; undefined where there are no handles. `above` is the
   * directory that it is in, which is still open.
   */
  identifyOpen(fd: number, above?: OpenIdentity): OpenIdentity | undefined {
    try {
      const { handle, mountId } = handleAt(this.#kernel, fd, '', AT_EMPTY_PATH);
      if (above?.isFsidOfMount && above.mountId === mountId) {
        return { key: flatKey(above.fsid, handle), fsid: above.fsid, mountId, isFsidOfMount: true };
      }
      const { fsid: words, type } = this.#kernel.statfs(fd);
      const fsid = fsidText(words);
      return { key: flatKey(fsid, handle), fsid, mountId, isFsidOfMount: type !== BTRFS_SUPER_MAGIC };
    } catch (error) {
      return nothing(error);
    }
  }

  /**
   * Where a handle is now; undefined when it is nowhere that this process can name. With `settled`, every rename that the
   * answer knows of has been queued as an event when this returns.
   */
  ask(key: HandleKey, settled: boolean): Asked | undefined {
    if (!this.#mayOpenHandles) return undefined;
    const kernel = this.#kernel;
    let mountFd: number | undefined;
    let fd = -1;
    try {
      // Opened for each question: a descriptor that stays open would keep the file system from being unmounted.
      mountFd = this.#openMount(fsidOf(key));
      if (mountFd === undefined) return undefined;
      fd = kernel.openByHandleAt(mountFd, Buffer.from(key.slice(FSID_LENGTH), 'latin1'), O_PATH | O_CLOEXEC);
      return this.#whereIs(fd, key, settled);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'EPERM' && error.syscall === 'open_by_handle_at') {
        this.#mayOpenHandles = false;
      }
      return nothing(error);
    } finally {
      if (fd >= 0) kernel.close(fd);
      if (mountFd !== undefined) kernel.close(mountFd);
    }
  }

  /** Opens a directory wherever it is (O_PATH): its descriptor, or 'gone'; undefined when handles cannot be opened here. */
  open(key: HandleKey): number | 'gone' | undefined {
    return this.#open(key, O_DIRECTORY);
  }

  /** Whether an object still exists; undefined where this process cannot tell. */
  isAlive(key: HandleKey): boolean | undefined {
    const fd = this.#open(key, 0);
    if (typeof fd !== 'number') return fd === 'gone' ? false : undefined;
    this.#kernel.close(fd);
    return true;
  }

  #open(key: HandleKey, flags: number): number | 'gone' | undefined {
    if (!this.#mayOpenHandles) return undefined;
    let mountFd: number | undefined;
    try {
      mountFd = this.#openMount(fsidOf(key));
      if (mountFd === undefined) return undefined;
      const handle = Buffer.from(key.slice(FSID_LENGTH), 'latin1');
      return this.#kernel.openByHandleAt(mountFd, handle, O_PATH | O_CLOEXEC | flags);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ESTALE') return 'gone';
      if (error instanceof KernelError && error.code === 'EPERM') this.#mayOpenHandles = false;
      return nothing(error);
    } finally {
      if (mountFd !== undefined) this.#kernel.close(mountFd);
    }
  }

  /** Whether a path leads to an object now. */
  isAt(path: Buffer, key: HandleKey): boolean {
    try {
      const { handle, mountId } = handleAt(this.#kernel, AT_FDCWD, path, 0);
      if (!key.endsWith(handle.toString('latin1'))) return false;
      const fsid = fsidOf(key);
      if (this.#mountSeen.get(fsid) === mountId) return true;
      const isSame = this.#fsidAt(path) === fsid;
      if (isSame) this.#mountSeen.set(fsid, mountId);
      return isSame;
    } catch (error) {
      return nothing(error) ?? false;
    }
  }

  #whereIs(fd: number, key: HandleKey, settled: boolean): Asked | undefined {
    const kernel = this.#kernel;
    const { mountId } = handleAt(kernel, fd, '', AT_EMPTY_PATH);
    const through = this.#filesystems.get(fsidOf(key))?.through ?? HERE;
    for (let attempt = 0; attempt < 3; attempt++) {
      const link = kernel.readlink(`/proc/self/fd/${fd}`);
      const absolute = through === HERE ? link : Buffer.concat([through, link]);
      try {
        const self = handleAt(kernel, AT_FDCWD, absolute, 0);
        // The link shows names below other mounts and of deleted files too: only a path that leads back is one.
        if (self.mountId !== mountId || !key.endsWith(self.handle.toString('latin1'))) continue;
        const location = this.#locationIn(absolute, fsidOf(key), mountId);
        if (!kernel.readlink(`/proc/self/fd/${fd}`).equals(link)) continue;
        if (location && settled) this.awaitRenameIn(parentOf(absolute));
        return { location, absolute };
      } catch (error) {
        nothing(error);
      }
    }
    return settled ? this.#whereBeneath(fd, key, mountId) : undefined;
  }

  /** A directory that something is mounted over: it is on no path, but has a name in its parent still. */
  #whereBeneath(fd: number, key: HandleKey, mountId: number): Asked | undefined {
    const kernel = this.#kernel;
    const { mode, nlink } = kernel.statAt(fd, '', AT_EMPTY_PATH);
    if ((mode & S_IFMT) !== S_IFDIR || nlink === 0) return undefined;
    const absolute = kernel.readlink(`/proc/self/fd/${fd}`);
    // The root of a mount that has just been unmounted has a name nowhere.
    if (absolute.length === 1 || handleAt(kernel, AT_FDCWD, absolute, 0).mountId === mountId) return undefined;
    const parentFd = kernel.openAt(fd, '..', O_PATH | O_CLOEXEC);
    try {
      const parent = handleAt(kernel, parentFd, '', AT_EMPTY_PATH);
      if (parent.mountId !== mountId || !kernel.readlink(`/proc/self/fd/${fd}`).equals(absolute)) return undefined;
      const name = Buffer.from(absolute.subarray(absolute.lastIndexOf(0x2f) + 1));
      return { location: { parent: fsidOf(key) + parent.handle.toString('latin1'), name }, absolute, isBeneath: true };
    } finally {
      kernel.close(parentFd);
    }
  }

  /** Undefined when the parent is not on the same mount: then the path is that of a mount point. */
  #locationIn(absolute: Buffer, fsid: string, mountId: number): Location | undefined {
    if (absolute.length === 1) return undefined;
    const parent = handleAt(this.#kernel, AT_FDCWD, parentOf(absolute), 0);
    if (parent.mountId !== mountId) return undefined;
    const name = Buffer.from(absolute.subarray(absolute.lastIndexOf(0x2f) + 1));
    return { parent: fsid + parent.handle.toString('latin1'), name };
  }

  /**
   * A rename is seen before its event is queued, and both happen under the lock of the directory (vfs_rename of fs/namei.c).
   * Looking up a name that nobody has looked up before waits for that lock, and raises no event.
   */
  awaitRenameIn(directory: Buffer | number): void {
    const name = Buffer.from(`.fanotify-${process.pid}-${this.#probes++}`);
    const { stackTraceLimit } = Error;
    // That there is no such thing is what is expected, and where it was asked for says nothing.
    Error.stackTraceLimit = 0;
    try {
      if (typeof directory === 'number') this.#kernel.statAt(directory, name, 0);
      else this.#kernel.statAt(AT_FDCWD, joinPath(directory, name), 0);
    } catch (error) {
      nothing(error);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  /** The mount that was marked, or if that shows a part alone, one that shows the whole. */
  #learnMount(fsid: string, mountId: number, absolute: Buffer, through: Buffer): void {
    const mount = this.#mounts.byId(mountId);
    const [first] = mount ? this.#mounts.byDevice(mount.device) : [];
    const best = mount && !isWhole(mount) && first && isWhole(first) ? first : mount;
    this.#filesystems.set(fsid, { device: mount?.device, mountPoint: best?.mountPoint ?? absolute, through });
  }

  /** Opens a mount of the file system: mounts go, and others are mounted over them. */
  #openMount(fsid: string): number | undefined {
    const filesystem = this.#filesystems.get(fsid);
    const known = filesystem && this.#openIfOn(filesystem.mountPoint, fsid);
    if (known !== undefined || !this.#mayScan) return known;
    this.#mayScan = false;
    const mounts = filesystem?.device ? this.#mounts.byDevice(filesystem.device) : this.#mounts.byFsid(fsid);
    for (const { device, mountPoint } of mounts) {
      const fd = this.#openIfOn(mountPoint, fsid);
      if (fd === undefined) continue;
      this.#filesystems.set(fsid, { device, mountPoint, through: HERE });
      return fd;
    }
    return undefined;
  }

  #openIfOn(mountPoint: Buffer, fsid: string): number | undefined {
    let fd = -1;
    try {
      fd = this.#openDirectory(mountPoint);
      if (this.#fsidAt(fd) === fsid) return fd;
    } catch (error) {
      nothing(error);
    }
    if (fd >= 0) this.#kernel.close(fd);
    return undefined;
  }

  /** Whoever may not read it may have a kernel that opens handles all the same: through the daemon. */
  #openDirectory(path: Buffer): number {
    try {
      return this.#kernel.openAt(AT_FDCWD, path, OPEN_DIRECTORY);
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EACCES' || !this.#kernel.marksSubtrees) throw error;
      return this.#kernel.openAt(AT_FDCWD, path, OPEN_DIRECTORY | O_PATH);
    }
  }

  #fsidAt(target: KernelPath | number): string {
    return fsidText(this.#kernel.statfs(target).fsid);
  }
}

const keyBuffer = Buffer.alloc(FSID_LENGTH + 256);

/** A key as one piece: a string that was put together keeps the pieces, and of marked directories there are many. */
function flatKey(fsid: string, handle: Buffer): HandleKey {
  keyBuffer.write(fsid, 'latin1');
  return keyBuffer.toString('latin1', 0, FSID_LENGTH + handle.copy(keyBuffer, FSID_LENGTH));
}

/** What the kernel refuses is not there; anything else is a bug. */
function nothing(error: unknown): undefined {
  if (error instanceof KernelError) return undefined;
  throw error;
}
