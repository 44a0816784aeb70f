// The constants of <fcntl.h> that go with fanotify: AT_* for paths, O_* for event descriptors. node:fs knows those of the
// machine it runs on only; this room runs anywhere.

/** In place of a directory's descriptor: the working directory. */
export const AT_FDCWD = -100;
/** statx(2) and the like: a symbolic link rather than what it leads to. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** name_to_handle_at(2): what a symbolic link leads to. */
export const AT_SYMLINK_FOLLOW = 0x400;
/** With an empty path: the object that the descriptor refers to. */
export const AT_EMPTY_PATH = 0x1000;
/** name_to_handle_at(2): a handle that only has to identify, as fanotify reports it. Since Linux 6.5. */
export const AT_HANDLE_FID = 0x200;
/** name_to_handle_at(2): the unique 64-bit mount id, as in MNT records. Since Linux 6.12. */
export const AT_HANDLE_MNT_ID_UNIQUE = 0x001;

// The same on every architecture that Node runs on.
/** Reading. Open flags are those of open(2). */
export const O_RDONLY = 0;
/** Writing. */
export const O_WRONLY = 1;
/** Reading and writing. */
export const O_RDWR = 2;
/** Make the file if there is none. */
export const O_CREAT = 0o100;
/** With O_CREAT: fail if there is one. */
export const O_EXCL = 0o200;
/** Empty the file. */
export const O_TRUNC = 0o1000;
/** Write at the end. */
export const O_APPEND = 0o2000;
/** Never wait. */
export const O_NONBLOCK = 0o4000;
/** A write ends when the data is on the device. */
export const O_DSYNC = 0o1_0000;
/** Reading leaves the access time as it is. */
export const O_NOATIME = 0o100_0000;
/** Closed by execve(2). */
export const O_CLOEXEC = 0o200_0000;
/** A write ends when data and metadata are on the device. */
export const O_SYNC = 0o401_0000;
/** A descriptor that only says where: nothing is opened. */
export const O_PATH = 0o1000_0000;

/** The O_* flags whose numbers depend on the architecture. */
export interface ArchitectureOpenFlags {
  readonly O_DIRECTORY: number;
  readonly O_NOFOLLOW: number;
  readonly O_DIRECT: number;
  readonly O_LARGEFILE: number;
}

const GENERIC: ArchitectureOpenFlags = {
  O_DIRECT: 0o4_0000,
  O_LARGEFILE: 0o10_0000,
  O_DIRECTORY: 0o20_0000,
  O_NOFOLLOW: 0o40_0000,
};

const ARM: ArchitectureOpenFlags = {
  O_DIRECTORY: 0o4_0000,
  O_NOFOLLOW: 0o10_0000,
  O_DIRECT: 0o20_0000,
  O_LARGEFILE: 0o40_0000,
};

const POWER: ArchitectureOpenFlags = {
  O_DIRECTORY: 0o4_0000,
  O_NOFOLLOW: 0o10_0000,
  O_LARGEFILE: 0o20_0000,
  O_DIRECT: 0o40_0000,
};

/**
 * The O_* flags whose numbers depend on the architecture.
 *
 * @param arch As in `process.arch`: 'x64', 'arm64', … One that is not known here has the kernel's generic numbers.
 * @example
 * import { openFlags } from 'fanotify/abi';
 * console.log(openFlags('x64').O_DIRECTORY, openFlags('arm64').O_DIRECTORY); // 65536 16384
 */
export function openFlags(arch: string): ArchitectureOpenFlags {
  if (arch === 'arm64' || arch === 'arm') return ARM;
  if (arch === 'ppc64') return POWER;
  return GENERIC;
}

/** The numbers of this machine; the generic ones where there is no `process`. */
export const { O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE } = openFlags(globalThis.process?.arch ?? '');

// linux/openat2.h, "how->resolve": which ways a path may take.
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_CACHED = 0x20;
