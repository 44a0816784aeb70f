// The paths of a watch as they are on disk now: a directory, which is heard with all below; something else, which is heard through the
// directory that it is in; or nothing yet, which is waited for.

import { posix } from 'node:path';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { joinPath, parentOf } from '../identity/path.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { typeOf } from './disk.ts';

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
