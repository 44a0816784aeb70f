// The flags of open(2) and of paths: asm-generic numbers where Node's architectures differ, as this machine has them.

export {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../abi/fcntl.ts';

import { O_DIRECTORY } from '../../abi/fcntl.ts';

export const O_ACCMODE = 3;
/** A file without a name; with O_DIRECTORY, so that kernels that do not know it refuse. */
export const O_TMPFILE = 0o2000_0000 | O_DIRECTORY;
export const O_TMPFILE_ALONE = 0o2000_0000;
/** openat2(2): the directory descriptor is the root meanwhile. */
export const RESOLVE_IN_ROOT = 0x10;
