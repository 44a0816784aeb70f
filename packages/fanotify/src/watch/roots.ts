// The paths of a watch as they are on disk now: a directory, which is heard with all below; something else, which is heard through the
// directory that it is in; or nothing yet, which is waited for.

import { posix } from 'node:path';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { joinPath, parentOf, ResolvedPath } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { isAtOrBelow } from '../scope/places.ts';
import { typeOf } from './disk.ts';
import type { ToldPath } from './telling.ts';

const MOST_LINKS = 40;
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** What a path leads to. */
export type RootIs =
  | { readonly is: 'directory' | 'file'; readonly real: Buffer }
  /** The directories in which what is missing has to come into being. */
  | { readonly is: 'absent'; readonly above: readonly Buffer[] };

/**
 * Looks where a path leads, through symbolic links.
 *
 * @throws KernelError for what is neither there nor missing: EACCES, ELOOP.
 */
export function lookAtRoot(kernel: Kernel, path: Buffer): RootIs {
  let fd: number;
  try {
    fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
  } catch (error) {
    if (!(error instanceof KernelError) || !ABSENT.includes(error.code)) throw error;
    return { is: 'absent', above: missingIn(kernel, path) };
  }
  try {
    const link = `/proc/self/fd/${fd}`;
    const is = typeOf(kernel.statAt(AT_FDCWD, link, 0)) === 'directory' ? 'directory' : 'file';
    return { is, real: kernel.readlink(link) };
  } finally {
    kernel.close(fd);
  }
}

function missingIn(kernel: Kernel, path: Buffer): Buffer[] {
  const directories: Buffer[] = [];
  let missing = path;
  for (let links = 0; links < MOST_LINKS; ) {
    const parent = parentOf(missing);
    const is = whatIs(kernel, parent);
    if (is !== 'directory') {
      missing = parent;
      continue;
    }
    directories.push(parent);
    if (whatIs(kernel, missing, AT_SYMLINK_NOFOLLOW) !== 'symlink') break;
    // It leads to something that is missing in its turn.
    const target = kernel.readlink(missing);
    const absolute = target[0] === SLASH ? target : joinPath(parent, target);
    missing = Buffer.from(posix.normalize(absolute.toString('latin1')), 'latin1');
    links++;
  }
  return directories;
}

const SLASH = 0x2f;

function whatIs(kernel: Kernel, path: Buffer, flags = 0): string | undefined {
  try {
    return typeOf(kernel.statAt(AT_FDCWD, path, flags));
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** By which names real paths are told: those of roots, and below them, by the name that was given of the root. */
export class RootNames {
  readonly #directories = new Map<string, { real: ResolvedPath; given: Buffer }>();
  /** Roots that are no directories: how they are told, and whether they are told to be there. */
  readonly #files = new Map<string, { given: ToldPath; isTold: boolean }>();

  add(given: Buffer, { is, real }: { is: 'directory' | 'file'; real: Buffer }, isTold: boolean): void {
    const key = real.toString('latin1');
    if (is === 'file') this.#files.set(key, { given: new ResolvedPath(given, 'reading'), isTold });
    else if (!given.equals(real) && !this.#directories.has(key)) {
      this.#directories.set(key, { real: new ResolvedPath(real, 'reading'), given });
    }
  }

  /** How a directory is told. */
  readonly ofDirectory = (path: ResolvedPath): ResolvedPath => {
    for (const { real, given } of this.#directories.values()) {
      if (!isAtOrBelow(path, real)) continue;
      const rest = path.raw.subarray(real.raw.length === 1 ? 1 : real.raw.length + 1);
      return new ResolvedPath(rest.length === 0 ? given : joinPath(given, rest), path.asOf);
    }
    return path;
  };

  /** How a path is told; notes what is told of it. */
  tell(path: ToldPath, isThere: boolean): ToldPath {
    const file = this.#files.size === 0 ? undefined : this.#files.get(path.raw.toString('latin1'));
    if (!file) return path;
    file.isTold = isThere;
    return file.given;
  }

  /** Whether something is told to be at a path that is or was a root. */
  isTold(real: Buffer): boolean {
    return this.#files.size > 0 && this.#files.get(real.toString('latin1'))?.isTold === true;
  }
}
