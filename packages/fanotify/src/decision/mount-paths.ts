// Paths within file systems, and the mounts that show them.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../abi/index.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { Mount } from '../identity/mounts.ts';
import { type FileStatus, type Kernel, KernelError } from '../kernel/index.ts';

const SLASH = 0x2f;
/** Whatever a path says, it leads to no other file system, which could make it wait. */
const BENEATH = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;

/** The path within the file system of what is called `link` through a mount; undefined when it is not below the mount point. */
export function within({ root }: Pick<Mount, 'root'>, mountPoint: Buffer, link: Buffer): Buffer | undefined {
  if (mountPoint.length === 1) return root.length === 1 ? link : link.length === 1 ? root : Buffer.concat([root, link]);
  if (!isAtOrBelow(link, mountPoint)) return undefined;
  const rest = link.subarray(mountPoint.length);
  if (rest.length === 0) return root;
  return root.length === 1 ? rest : Buffer.concat([root, rest]);
}

export function isAtOrBelow(path: Buffer, directory: Buffer): boolean {
  if (directory.length === 1) return true;
  const { length } = directory;
  if (path.length < length || path.compare(directory, 0, length, 0, length) !== 0) return false;
  return path.length === length || path[length] === SLASH;
}

/** The root of the mount that a directory is on, by going up: it may be hidden beneath another mount. */
export function mountRootOf(kernel: Kernel, fd: number, mountId: number): number {
  let at = kernel.openAt(fd, '.', O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (;;) {
    const up = kernel.openAt(at, '..', O_PATH | O_DIRECTORY | O_CLOEXEC);
    const here = kernel.statAt(at, '', AT_EMPTY_PATH);
    const above = kernel.statAt(up, '', AT_EMPTY_PATH);
    const isTop = mountIdOf(kernel, up) !== mountId || (here.ino === above.ino && here.dev === above.dev);
    if (isTop) {
      kernel.close(up);
      return at;
    }
    kernel.close(at);
    at = up;
  }
}

/** Opens a mount by its place, if no other is on top of it. */
export function openMount(kernel: Kernel, mount: Mount): number | undefined {
  let fd: number;
  try {
    fd = kernel.openAt(AT_FDCWD, mount.mountPoint, O_PATH | O_CLOEXEC);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
  if (mountIdOf(kernel, fd) === mount.mountId) return fd;
  kernel.close(fd);
  return undefined;
}

/** Opens a directory by its path within the file system, below the root of a mount; undefined when it is not there. */
export function openBelow(kernel: Kernel, mountFd: number, path: Buffer, mountRoot: Buffer): number | undefined {
  const rest = path.subarray(mountRoot.length === 1 ? 1 : mountRoot.length + 1);
  try {
    return kernel.openAt2(mountFd, rest.length === 0 ? '.' : rest, O_PATH | O_DIRECTORY | O_CLOEXEC, BENEATH);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** What a file is, as far as the file system says. */
export type Identity = Pick<FileStatus, 'dev' | 'ino'>;

export function isSame(one: Identity, other: Identity): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

const DELETED = Buffer.from(' (deleted)');

/** Whether the kernel says of what it calls so that its name is gone. It may be called so. */
export function isMarkedDeleted(link: Buffer): boolean {
  return link.length > DELETED.length && link.subarray(-DELETED.length).equals(DELETED);
}
