// Files that root alone can change, and of which root alone can change what they are called.

import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { descriptorPath } from '../identity/descriptor.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { parentOf } from '../identity/path.ts';
import { type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';

const OTHERS_MAY_WRITE = 0o022;

/** Whether nobody but root may write to a file. The group's bits show what an access control list gives at most: acl(5). */
export function isRootsToWrite({ uid, mode }: FileStatus): boolean {
  return uid === 0 && (mode & OTHERS_MAY_WRITE) === 0;
}

/** Whether a file, and each directory on the way to its only name, is root's and nobody else may write to it. */
export function isRootsAlone(kernel: Kernel, mounts: MountTable, fd: number, status: FileStatus): boolean {
  if (!isRootsToWrite(status) || status.nlink !== 1) return false;
  try {
    const { path, deleted, foreign, mountId } = descriptorPath(kernel, fd, mounts, () => undefined);
    const mount = mounts.byId(mountId ?? -1);
    if (!path || deleted || foreign || !mount || mounts.mayHang(mount)) return false;
    for (let directory = parentOf(path.raw); ; directory = parentOf(directory)) {
      if (!isRootsToWrite(kernel.statAt(AT_FDCWD, directory, AT_SYMLINK_NOFOLLOW))) return false;
      if (directory.length === 1) return true;
    }
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
}
