// Descriptor → path: what /proc/self/fd says, without a ' (deleted)' that may be part of a name, and never a path of somebody
// else's mount namespace.

import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { fsidText, handleAt, mountIdOf } from './handle-at.ts';
import type { HandleKey } from './locator.ts';
import type { MountTable } from './mount-table.ts';
import { ResolvedPath } from './path.ts';

const DELETED = Buffer.from(' (deleted)');

/** Where an open file is. */
export interface DescriptorPlace {
  /** As of now; undefined for what has no path here: pipes, memfd, what is mounted only elsewhere. */
  readonly path: ResolvedPath | undefined;
  /** Whether the name is gone. */
  readonly deleted: boolean;
  /** Whether it was opened through a mount that is not in our mount table: then the path is that of the same file here. */
  readonly foreign: boolean;
  /** Of the mount that it was opened through, where that is known. */
  readonly mountId?: number | undefined;
}

const NOWHERE: DescriptorPlace = { path: undefined, deleted: false, foreign: false };

/** The path of an open file as of now. `resolve` finds the path here of what was opened elsewhere. */
export function descriptorPath(
  kernel: Kernel,
  fd: number,
  mounts: MountTable,
  resolve: (key: HandleKey) => ResolvedPath | undefined,
): DescriptorPlace {
  const link = kernel.readlink(`/proc/self/fd/${fd}`);
  if (link[0] !== 0x2f) return NOWHERE;
  const mountId = mountIdOf(kernel, fd);
  // The link shows names below any mount as if it were ours; whoever has a user namespace can make one to his liking. An empty
  // table is one that could not be read: then nothing can be told apart.
  if (mountId !== undefined && !mounts.byId(mountId) && mounts.mounts.length > 0) {
    return foreignPlace(kernel, fd, link, resolve);
  }
  const marked = isMarkedDeleted(link);
  const deleted = marked && !isSameFile(kernel, fd, link);
  const raw = deleted ? link.subarray(0, -DELETED.length) : link;
  return { path: new ResolvedPath(raw, 'reading'), deleted, foreign: false, mountId };
}

function foreignPlace(
  kernel: Kernel,
  fd: number,
  link: Buffer,
  resolve: (key: HandleKey) => ResolvedPath | undefined,
): DescriptorPlace {
  let path: ResolvedPath | undefined;
  try {
    const key = fsidText(kernel.statfs(fd).fsid) + handleAt(kernel, fd, '', AT_EMPTY_PATH).handle.toString('latin1');
    path = resolve(key);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
  return { path, deleted: path === undefined && isMarkedDeleted(link), foreign: true };
}

function isMarkedDeleted(link: Buffer): boolean {
  return link.length > DELETED.length && link.subarray(-DELETED.length).equals(DELETED);
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
