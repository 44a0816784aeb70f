// Inode marks down a tree, for whoever may not mark a file system. A directory is marked first and listed then: what came into
// being before the mark is in the list, what comes after is heard.

import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../abi/index.ts';
import { LimitError, NotPermittedError, UnsupportedFilesystemError } from '../group/errors.ts';
import { type Group, internalsOf } from '../group/group.ts';
import type { FileEventName } from '../group/names.ts';
import type { HandleKey } from '../identity/directories.ts';
import { joinPath } from '../identity/path.ts';
import { type DirectoryEntry, KernelError } from '../kernel/index.ts';
import type { Finding } from './found.ts';

const OPEN_DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC;

/** How to walk. */
export interface Walk {
  /** Whether to leave out a directory, and all below it. */
  readonly isExcluded: (path: Buffer) => boolean;
  /** Told of each entry that came into being before its directory was marked. */
  readonly found?: (finding: Finding) => void;
}

/** The marked directories below some roots. */
export class MarkedTree {
  /** Directories that this user may not read: nothing is heard of what happens in them. */
  readonly unreadable: Set<string> = new Set();
  readonly #group: Group<'handle'>;
  readonly #events: readonly FileEventName[];
  readonly #marked = new Set<HandleKey>();
  /** Directories without a mark, counted on after the limit was hit to say how many marks are needed. */
  #beyondLimit = 0;
  #limit: LimitError | undefined;
  #walked = 0;
  /** A directory was not where its event said: it may be found when one above it has been renamed. */
  #lostSome = false;

  constructor(group: Group<'handle'>, events: readonly FileEventName[]) {
    this.#group = group;
    this.#events = events;
  }

  /** How many directories are marked. */
  get size(): number {
    return this.#marked.size;
  }

  get lostSome(): boolean {
    return this.#lostSome;
  }

  has(key: HandleKey): boolean {
    return this.#marked.has(key);
  }

  /** A directory is gone, and its mark with it. */
  forget(key: HandleKey): void {
    if (this.#marked.delete(key)) internalsOf(this.#group as Group).paths.remove(key);
  }

  /**
   * Marks a directory and what is below, where it is not marked yet.
   *
   * @throws LimitError when the marks do not suffice; it says how many directories there are.
   */
  async mark(path: Buffer, walk: Walk): Promise<void> {
    this.#lostSome = false;
    await this.#markBelow(path, O_NOFOLLOW, walk);
    this.#throwIfLimited();
  }

  /** {@link mark} for a root, which may be named through a symbolic link. */
  async markRoot(path: Buffer, walk: Walk): Promise<void> {
    await this.#markBelow(path, 0, walk);
    this.#throwIfLimited();
  }

  /** Takes the marks away again, of a directory that has left the tree and of what is below. */
  async unmark(path: Buffer): Promise<void> {
    const { kernel, paths } = internalsOf(this.#group as Group);
    const fd = this.#open(path, O_NOFOLLOW);
    if (fd === undefined) return;
    try {
      const link = linkTo(fd);
      const key = paths.add(link, { keep: false })?.key;
      if (key === undefined || !this.#marked.delete(key)) return;
      await this.#group.unmark(link).catch(() => undefined);
      for (const { name, type } of this.#list(fd, path)) {
        if (type === 'directory' || type === 'unknown') await this.unmark(joinPath(path, name));
      }
    } finally {
      kernel.close(fd);
    }
  }

  async #markBelow(path: Buffer, flags: number, walk: Walk, fsidAbove?: string): Promise<void> {
    const { kernel, paths } = internalsOf(this.#group as Group);
    const fd = this.#open(path, flags);
    if (fd === undefined) return;
    // Marking takes no waiting, so that without this neither a signal nor a timer would be heard until a large tree is done.
    if (++this.#walked % 256 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    try {
      const link = linkTo(fd);
      const place = paths.add(link, { keep: false });
      if (fsidAbove !== undefined && place?.fsid !== fsidAbove && PSEUDO.has(kernel.statfs(fd).type)) return;
      const isNew = place === undefined || !this.#marked.has(place.key);
      if (!(await this.#markOne(link, path)) || !place) return;
      if (this.#limit) this.#beyondLimit++;
      else this.#marked.add(place.key);
      for (const { name, type } of this.#list(fd, path)) {
        const rawPath = joinPath(path, name);
        if (isNew) walk.found?.({ parent: place.key, name, rawPath, directory: type === 'directory' });
        if ((type === 'directory' || type === 'unknown') && !walk.isExcluded(rawPath)) {
          await this.#markBelow(rawPath, O_NOFOLLOW, walk, place.fsid);
        }
      }
    } finally {
      kernel.close(fd);
    }
  }

  /** False when the directory cannot be marked, which is noted. */
  async #markOne(link: string, path: Buffer): Promise<boolean> {
    if (this.#limit) return true;
    try {
      await this.#group.mark(link, { events: this.#events });
      return true;
    } catch (error) {
      if (error instanceof LimitError) {
        this.#limit = error;
        return true;
      }
      if (!(error instanceof NotPermittedError) && !(error instanceof UnsupportedFilesystemError)) throw error;
      this.unreadable.add(path.toString());
      return false;
    }
  }

  #open(path: Buffer, flags: number): number | undefined {
    try {
      return internalsOf(this.#group as Group).kernel.openAt(AT_FDCWD, path, OPEN_DIRECTORY | flags);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'ENOENT') this.#lostSome = true;
      else if (error.code === 'EACCES') this.unreadable.add(path.toString());
      else if (error.code !== 'ENOTDIR' && error.code !== 'ELOOP') throw error;
      return undefined;
    }
  }

  #list(fd: number, path: Buffer): DirectoryEntry[] {
    try {
      return internalsOf(this.#group as Group).kernel.readDirectory(linkTo(fd));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'ENOENT') this.unreadable.add(path.toString());
      return [];
    }
  }

  #throwIfLimited(): void {
    const limit = this.#limit;
    if (!limit) return;
    const needed = this.#marked.size + this.#beyondLimit;
    throw new LimitError(
      `without root each of the ${needed} directories needs a mark of its own, and this user has no more (${limit.setting} = ${limit.current ?? 'unknown'}): raise it (sysctl -w ${limit.setting}=${Math.max(needed, limit.current ?? 0) * 2}), leave directories out, or run it as root, where one mark suffices`,
      limit.setting,
      limit.current,
      { cause: limit },
    );
  }
}

/** A path that leads to the open directory itself, wherever it is now: renames cannot lead it astray. */
function linkTo(fd: number): string {
  return `/proc/self/fd/${fd}`;
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
