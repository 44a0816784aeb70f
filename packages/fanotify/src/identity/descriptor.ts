// Descriptor → path: what /proc/self/fd says, without a ' (deleted)' that may be part of a name.

import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { ResolvedPath } from './path.ts';

const DELETED = Buffer.from(' (deleted)');

/** The path of an open file as of now, and whether the name is gone. `path` is undefined for what has no path (pipes, memfd). */
export function descriptorPath(kernel: Kernel, fd: number): { path: ResolvedPath | undefined; deleted: boolean } {
  const link = kernel.readlink(`/proc/self/fd/${fd}`);
  if (link[0] !== 0x2f) return { path: undefined, deleted: false };
  const marked = link.length > DELETED.length && link.subarray(-DELETED.length).equals(DELETED);
  const deleted = marked && !isSameFile(kernel, fd, link);
  const raw = deleted ? link.subarray(0, -DELETED.length) : link;
  return { path: new ResolvedPath(raw, 'reading'), deleted };
}

/** A file can have a name that ends in ' (deleted)': then that name leads to it. */
function isSameFile(kernel: Kernel, fd: number, path: Buffer): boolean {
  try {
    const open = kernel.statAt(fd, '', AT_EMPTY_PATH);
    const named = kernel.statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return open.dev === named.dev && open.ino === named.ino;
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
}
