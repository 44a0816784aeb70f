// stat(2), statfs(2), readlink(2), faccessat2(2) (fs/stat.c, fs/statfs.c): what is told of a file to whoever asks.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOrPathOf } from '../tasks/descriptors.ts';
import type { Credentials } from '../tasks/task.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from './flags.ts';
import type { FileType, Inode, Path } from './objects.ts';
import { isPermitted, MAY_WRITE } from './permission.ts';
import { walk } from './walk.ts';

/** faccessat2(2): as the effective user, which is the one for files here. */
export const AT_EACCESS = 0x200;

const TYPE_BITS: Readonly<Record<FileType, number>> = {
  file: 0o10_0000,
  directory: 0o4_0000,
  symlink: 0o12_0000,
  fifo: 0o1_0000,
  socket: 0o14_0000,
  device: 0o2_0000,
  anonymous: 0,
};

export interface Status {
  readonly device: number;
  readonly inode: Inode;
  /** st_mode: type and permission bits. */
  readonly mode: number;
  readonly links: number;
  readonly sizeBytes: number;
}

/** newfstatat(2) and statx(2). */
export function stat(system: System, path: string, flags = 0, dirfd = AT_FDCWD): Status {
  return statusOf(placeFor(system, dirfd, path, flags));
}

/** Where a path leads, as stat(2) and its like take it. */
export function placeFor(system: System, dirfd: number, path: string, flags: number): Path {
  return walk(system, dirfd, path, {
    follows: (flags & AT_SYMLINK_NOFOLLOW) === 0,
    allowsEmpty: (flags & AT_EMPTY_PATH) !== 0,
  });
}

function statusOf({ dentry: { inode } }: Path): Status {
  return {
    device: deviceOf(inode),
    inode,
    mode: TYPE_BITS[inode.type] | inode.mode,
    links: linksOf(inode),
    sizeBytes: sizeOf(inode),
  };
}

/** st_dev: each subvolume of btrfs has one of its own. */
function deviceOf({ superblock, subvolume }: Inode): number {
  if (!superblock.type.fsidVaries) return superblock.device;
  return superblock.device + [...superblock.nextInode.keys()].indexOf(subvolume);
}

/** btrfs counts no links of directories. */
function linksOf({ type, superblock, links }: Inode): number {
  return type === 'directory' && superblock.type.fsidVaries && links > 0 ? 1 : links;
}

function sizeOf({ type, superblock, entries, size }: Inode): number {
  if (type !== 'directory') return size;
  if (superblock.type.isOnDisk) return 4096;
  // tmpfs: BOGO_DIRENT_SIZE for each entry, "." and ".." too.
  return superblock.type.name === 'tmpfs' ? ((entries?.size ?? 0) + 2) * 20 : 0;
}

export interface FilesystemStatus {
  /** f_type. */
  readonly type: number;
  /** f_fsid. */
  readonly fsid: readonly [number, number];
}

/** statfs(2). */
export function statfs(system: System, path: string): FilesystemStatus {
  return filesystemOf(walk(system, AT_FDCWD, path));
}

/** fstatfs(2): of a descriptor of O_PATH too. */
export function fstatfs(system: System, fd: number): FilesystemStatus {
  return filesystemOf(fileOrPathOf(system, fd).path);
}

function filesystemOf({ dentry: { inode } }: Path): FilesystemStatus {
  const { type } = inode.superblock;
  return { type: type.magic, fsid: type.fsidOf(inode) };
}

/** readlinkat(2): a binary string. EINVAL for what is no symlink; an empty path means the descriptor, which is one of O_PATH. */
export function readlink(system: System, path: string, dirfd = AT_FDCWD): string {
  const { inode } = walk(system, dirfd, path, { follows: false, allowsEmpty: dirfd !== AT_FDCWD }).dentry;
  if (inode.type !== 'symlink') refuse(path === '' ? 'ENOENT' : 'EINVAL');
  return inode.target ?? inode.operations?.readlink?.(system) ?? refuse('EINVAL');
}

/** faccessat2(2): `mode` of R_OK 4, W_OK 2, X_OK 1, or 0 for whether it is there. By the real ids, unless AT_EACCESS. EACCES; EROFS. */
export function access(system: System, path: string, mode: number, flags = 0, dirfd = AT_FDCWD): void {
  if ((mode & ~7) !== 0 || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) refuse('EINVAL');
  const { current } = system;
  const own = current.credentials;
  const asReal = (flags & AT_EACCESS) === 0;
  if (asReal) current.credentials = realCredentials(own);
  try {
    const place = placeFor(system, dirfd, path, flags);
    const { inode } = place.dentry;
    if (!isPermitted(current.credentials, inode, mode)) refuse('EACCES');
    const isReadOnly = place.mount.isReadOnly || inode.superblock.isReadOnly;
    if ((mode & MAY_WRITE) !== 0 && isReadOnly && (inode.type === 'file' || inode.type === 'directory'))
      refuse('EROFS');
  } finally {
    current.credentials = own;
  }
}

/** access_override_creds: the real ids, with capabilities for uid 0 alone. */
function realCredentials(own: Credentials): Credentials {
  const capabilities = own.uid === 0 ? own.permitted : new Set<string>();
  return { ...own, fsuid: own.uid, fsgid: own.gid, capabilities };
}
