// Looks for a directory that is not known: by its handle, on the disk, as of the event that is being told.

import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../abi/index.ts';
import { isSame } from '../../decision/mount-paths.ts';
import type { HandleKey } from '../../identity/locator.ts';
import { ERRNO, type Kernel, KernelError } from '../../kernel/index.ts';
import type { KernelQueue } from './kernel-queue.ts';
import type { DirectoryNode, Filesystem } from './model.ts';
import { DEEPEST, type DirectoryTree } from './tree.ts';

const FSID_LENGTH = 8;
const SLASH = 0x2f;
const OPEN_PATH = O_PATH | O_DIRECTORY | O_CLOEXEC;
/** Somebody renames it while it is looked at. */
const MOST_ATTEMPTS = 8;
/** Of what is so deep that its path is longer than PATH_MAX, so many directories beside it are looked at: everybody waits meanwhile. */
const MOST_LISTED = 4096;

/** What says nothing of what is looked for. */
export const WITHOUT_MEANS: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** What is found out by the way. */
export interface FinderNews {
  /** So much has happened that nobody can tell where something was before that. */
  overrun(): void;
  /** Nobody could look where something is that is there. */
  unseen(filesystem: Filesystem): void;
}

/** A name in a directory. */
interface Place {
  readonly above: HandleKey;
  readonly name: string;
}

export class Finder {
  readonly #kernel: Kernel;
  readonly #tree: DirectoryTree;
  readonly #queue: KernelQueue;
  readonly #news: FinderNews;
  #probes = 0;

  constructor(kernel: Kernel, tree: DirectoryTree, queue: KernelQueue, news: FinderNews) {
    this.#kernel = kernel;
    this.#tree = tree;
    this.#queue = queue;
    this.#news = news;
  }

  /** A directory with all that is above it; undefined when it is nowhere any more, or where it cannot be seen. */
  find(key: HandleKey, filesystem: Filesystem): DirectoryNode | undefined {
    const known = this.#tree.find(key);
    const node = known ?? this.#new(key, filesystem);
    if (this.complete(node)) return node;
    // Whoever asks for what is nowhere leaves nothing here.
    if (!known) this.#letGo(node);
    return undefined;
  }

  /** Looks for what is above a directory, as far as that is not known; false when it is where it cannot be seen. */
  complete(node: DirectoryNode): boolean {
    let depth = 0;
    for (let at = node; !at.isTop; depth++) {
      if (depth > DEEPEST) return false;
      if (!at.above) this.#place(at);
      if (!at.above) return false;
      at = at.above;
    }
    return true;
  }

  /** Forgets a directory that was not found, and what was looked for above it alone. */
  #letGo(node: DirectoryNode): void {
    for (let at: DirectoryNode | undefined = node; at; ) {
      const isNeeded: boolean = at.isTop || at.below > 0 || at.held > 0 || at.marks.length > 0;
      if (isNeeded) return;
      const { above }: DirectoryNode = at;
      this.#tree.remove(at);
      at = above;
    }
  }

  #place(node: DirectoryNode): void {
    const { key, filesystem } = node;
    const place = this.#placeBefore(key) ?? this.#look(key, filesystem);
    if (!place) return;
    this.#tree.place(node, this.#tree.find(place.above) ?? this.#new(place.above, filesystem), place.name);
  }

  #new(key: HandleKey, filesystem: Filesystem): DirectoryNode {
    return this.#tree.add(key, filesystem, key === filesystem.top);
  }

  /** Where it is as far as the events that were read and not told yet know. */
  #placeBefore(key: HandleKey): Place | undefined {
    const before = this.#queue.before(key);
    return before && { above: before.parent, name: before.name.toString('latin1') };
  }

  /** Where it is now, or was before what has happened since the event that is being told. */
  #look(key: HandleKey, filesystem: Filesystem): Place | undefined {
    const kernel = this.#kernel;
    let fd = -1;
    try {
      fd = openExactly(kernel, filesystem, key, OPEN_PATH);
      const place = this.#placeOf(fd, filesystem);
      // Every renaming that this knows of is in the queue by now.
      if (!this.#queue.fillAll()) this.#news.overrun();
      return this.#placeBefore(key) ?? place;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // It is gone: the events that say so say where it was.
      if (!this.#queue.fillAll()) this.#news.overrun();
      const before = this.#placeBefore(key);
      // Or it is there, and this process has no means to look.
      if (!before && WITHOUT_MEANS.has(error.code)) this.#news.unseen(filesystem);
      return before;
    } finally {
      if (fd >= 0) kernel.close(fd);
    }
  }

  #placeOf(fd: number, filesystem: Filesystem): Place | undefined {
    const kernel = this.#kernel;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const link = this.#linkOf(fd);
      const up = kernel.openAt(fd, '..', OPEN_PATH);
      try {
        const { handle, mountId } = kernel.nameToHandleAt(up, '', AT_EMPTY_PATH);
        if (mountId !== filesystem.mountId) return undefined;
        const name = link ? link.subarray(link.lastIndexOf(SLASH) + 1) : this.#listedName(up, fd, filesystem);
        this.#awaitRenameIn(up);
        if (kernel.statAt(fd, '', AT_EMPTY_PATH).nlink === 0) return undefined;
        const isStill = link ? this.#linkOf(fd)?.equals(link) : name && this.#isNamed(up, name, fd);
        if (name && isStill)
          return { above: filesystem.fsid + handle.toString('latin1'), name: name.toString('latin1') };
      } finally {
        kernel.close(up);
      }
    }
    return undefined;
  }

  /** What the kernel calls it; undefined where that is longer than it tells. */
  #linkOf(fd: number): Buffer | undefined {
    try {
      return this.#kernel.readlink(`/proc/self/fd/${fd}`);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ENAMETOOLONG') return undefined;
      throw error;
    }
  }

  /** Its name, looked for among all that are in the directory above; undefined where there are too many, or it was renamed meanwhile. */
  #listedName(up: number, fd: number, filesystem: Filesystem): Buffer | undefined {
    const kernel = this.#kernel;
    const listed = kernel.openAt(up, '.', O_DIRECTORY | O_CLOEXEC);
    try {
      let left = MOST_LISTED;
      for (
        let some = kernel.readEntries(listed, 'directories');
        some;
        some = kernel.readEntries(listed, 'directories')
      ) {
        for (const { name } of some) if (left-- > 0 && this.#isNamed(up, name, fd)) return name;
        if (left > 0) continue;
        this.#news.unseen(filesystem);
        return undefined;
      }
      return undefined;
    } finally {
      kernel.close(listed);
    }
  }

  #isNamed(up: number, name: Buffer, fd: number): boolean {
    try {
      const there = this.#kernel.statAt(up, name, AT_SYMLINK_NOFOLLOW);
      return isSame(there, this.#kernel.statAt(fd, '', AT_EMPTY_PATH));
    } catch (error) {
      if (error instanceof KernelError && !WITHOUT_MEANS.has(error.code)) return false;
      throw error;
    }
  }

  /**
   * A renaming is seen before its event is queued, and both happen under the lock of the directory (vfs_rename of fs/namei.c).
   * Looking up a name that nobody has looked up before waits for that lock, and raises no event.
   */
  #awaitRenameIn(directory: number): void {
    const { stackTraceLimit } = Error;
    // That there is no such thing is what is expected, and where it was asked for says nothing.
    Error.stackTraceLimit = 0;
    try {
      this.#kernel.statAt(directory, `.fanotify-${process.pid}-${this.#probes++}`, 0);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }
}

/**
 * open_by_handle_at(2) of that very handle: some file systems open what has its number, whatever the rest of it is, so that anybody could
 * try all numbers.
 *
 * @throws KernelError ESTALE when there is none.
 */
export function openExactly(kernel: Kernel, filesystem: Filesystem, key: HandleKey, flags: number): number {
  const asked = Buffer.from(key.slice(FSID_LENGTH), 'latin1');
  const fd = kernel.openByHandleAt(filesystem.fd, asked, flags);
  try {
    if (kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH).handle.equals(asked)) return fd;
    throw new KernelError('open_by_handle_at', ERRNO.ESTALE);
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}
