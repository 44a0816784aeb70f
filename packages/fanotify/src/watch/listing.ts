// What is on disk, in the order of a walk. Goes down by descriptors: nothing that is renamed meanwhile leads it astray, and no path
// is too long.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
} from '../abi/index.ts';
import { joinPath } from '../identity/path.ts';
import { type DirectoryEntry, type Kernel, KernelError, type KernelPath } from '../kernel/index.ts';
import { isPseudo } from '../scope/tree.ts';
import type { Known, Listed } from './baseline.ts';
import { knownOf } from './known.ts';

const OPEN_DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
/** About 5 ms. */
const CHUNK = 512;
const GONE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP'];

/** What to list. */
export interface ListingOptions {
  /** Whether to leave out an entry with all below: it is not looked at. Not asked of the root. */
  readonly isExcluded?: ((path: Buffer) => boolean) | undefined;
  /** Whether to enter what is mounted below. Default true. The kernel's own state (proc, sysfs, …) is never entered. */
  readonly crossMounts?: boolean | undefined;
  /** All that is below, or (false) only the root and its entries. Default true. */
  readonly recursive?: boolean | undefined;
}

/** An open directory whose entries are being listed. */
interface Level {
  readonly fd: number;
  readonly path: Buffer;
  readonly device: bigint;
  readonly names: readonly DirectoryEntry[];
  next: number;
}

/**
 * Lists what is at `root` and below, in the order of comparePaths, in parts of about 5 ms of work. `root` may be anything, or
 * nothing; a symbolic link is not followed. What vanishes meanwhile is left out; what cannot be read is marked as unreadable, and of type
 * 'unknown' where not even what it is can be seen.
 */
export function* list(kernel: Kernel, root: Buffer, options: ListingOptions = {}): Generator<readonly Listed[], void> {
  const levels: Level[] = [];
  const walk = new Walk(kernel, options, levels);
  let chunk: Listed[] = [];
  try {
    const first = walk.look(AT_FDCWD, root, root, undefined, 'unknown');
    if (first) chunk.push(first);
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const entry = level.names[level.next++];
      if (!entry) {
        levels.pop();
        kernel.close(level.fd);
        continue;
      }
      const path = joinPath(level.path, entry.name);
      if (options.isExcluded?.(path)) continue;
      const listed = walk.look(level.fd, entry.name, path, level.device, entry.type);
      if (!listed) continue;
      chunk.push(listed);
      if (chunk.length < CHUNK) continue;
      yield chunk;
      chunk = [];
    }
    if (chunk.length > 0) yield chunk;
  } finally {
    for (const { fd } of levels) kernel.close(fd);
  }
}

/** Looks at entries, and opens directories. */
class Walk {
  readonly #kernel: Kernel;
  readonly #options: ListingOptions;
  readonly #levels: Level[];

  constructor(kernel: Kernel, options: ListingOptions, levels: Level[]) {
    this.#kernel = kernel;
    this.#options = options;
    this.#levels = levels;
  }

  /** Undefined when it is gone. A directory that is to be entered is then the last level. */
  look(
    dirfd: number,
    name: KernelPath,
    path: Buffer,
    deviceAbove: bigint | undefined,
    type: DirectoryEntry['type'],
  ): Listed | undefined {
    if (type !== 'directory') {
      const known = this.#stat(dirfd, name, AT_SYMLINK_NOFOLLOW);
      if (known === 'gone') return undefined;
      if (known === 'refused') return { path, known: UNKNOWN, unreadable: true };
      if (known.type !== 'directory') return { path, known };
    }
    // What is entered is what was opened, and what is said of it is of that.
    const fd = this.#open(dirfd, name);
    if (fd === 'gone') return undefined;
    if (fd === 'refused') return unreadable(path, this.#stat(dirfd, name, AT_SYMLINK_NOFOLLOW));
    let keeps = false;
    try {
      // By this name only who may look at the entries finds it.
      const known = this.#stat(fd, '.', 0);
      if (typeof known === 'string') return unreadable(path, this.#stat(fd, '', AT_EMPTY_PATH));
      if (!this.#isToBeEntered(fd, known.device, deviceAbove)) return { path, known };
      const names = this.#list(fd);
      if (names === undefined) return { path, known, unreadable: true };
      keeps = names.length > 0;
      if (keeps) this.#levels.push({ fd, path, device: known.device, names, next: 0 });
      return { path, known };
    } finally {
      if (!keeps) this.#kernel.close(fd);
    }
  }

  #isToBeEntered(fd: number, device: bigint, above: bigint | undefined): boolean {
    if (above === undefined) return true;
    if (this.#options.recursive === false) return false;
    return device === above || (this.#options.crossMounts !== false && !isPseudo(this.#kernel, fd));
  }

  #stat(dirfd: number, name: KernelPath, flags: number): Known | 'gone' | 'refused' {
    try {
      return knownOf(this.#kernel.statAt(dirfd, name, flags));
    } catch (error) {
      return whyNot(error);
    }
  }

  #open(dirfd: number, name: KernelPath): number | 'gone' | 'refused' {
    try {
      return this.#kernel.openAt(dirfd, name, OPEN_DIRECTORY);
    } catch (error) {
      return whyNot(error);
    }
  }

  /** Sorted by bytes; undefined when it cannot be read. */
  #list(fd: number): DirectoryEntry[] | undefined {
    try {
      const entries = this.#kernel.readDirectory(`/proc/self/fd/${fd}`);
      return entries.sort((a, b) => Buffer.compare(a.name, b.name));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code === 'ENOENT' ? [] : undefined;
    }
  }
}

function whyNot(error: unknown): 'gone' | 'refused' {
  if (!(error instanceof KernelError)) throw error;
  return GONE.includes(error.code) ? 'gone' : 'refused';
}

function unreadable(path: Buffer, known: Known | 'gone' | 'refused'): Listed | undefined {
  if (known === 'gone') return undefined;
  return { path, known: known === 'refused' ? UNKNOWN : known, unreadable: true };
}

const UNKNOWN: Known = { type: 'unknown', ino: 0n, device: 0n, born: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };
