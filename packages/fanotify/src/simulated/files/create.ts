// mkdir(2), mknod(2), symlink(2), link(2), and what open(2) makes (fs/namei.c): new names. FAN_CREATE is told once they are there.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { attach, attachUnseen } from './dentry.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW } from './flags.ts';
import type { Dentry, FileType, Inode, Path } from './objects.ts';
import {
  capable,
  capableOf,
  isInGroup,
  isOwnerOrCapable,
  isPermitted,
  MAY_READ,
  MAY_WRITE,
  requireCreation,
} from './permission.ts';
import { makeInode, nextSubvolume } from './superblock.ts';
import { touch } from './truncate.ts';
import { type Walker, walk, walkToParent } from './walk.ts';

/** What a new entry is made with. */
export interface EntryDetails {
  /** Before the umask. */
  readonly mode?: number;
  readonly target?: string;
  readonly deviceNumber?: number;
}

/** The directory and name for something new. EEXIST; EROFS; ENOENT for a name with a slash after it that is to be no directory. */
function placeFor(system: System, dirfd: number, path: string, isDirectory: boolean): Walker {
  const walker = walkToParent(system, dirfd, path);
  if (walker.kind !== 'normal') refuse('EEXIST');
  const existing = walker.lookup();
  if (existing !== undefined) refuse('EEXIST');
  if (walker.hasTrailingSlash && !isDirectory) refuse('ENOENT');
  return walker;
}

/** Makes an entry that is not there yet, and tells FAN_CREATE. EROFS, EACCES, ENOENT in a removed directory. */
export function makeEntry(system: System, at: Path, name: string, type: FileType, details: EntryDetails): Dentry {
  const { dentry: parent } = at;
  const directory = parent.inode;
  if (at.mount.isReadOnly || directory.superblock.isReadOnly) refuse('EROFS');
  requireCreation(system, directory);
  if (!directory.superblock.type.isWritable) refuse('EPERM');
  const inode = newInode(system, directory, type, details);
  const dentry = addEntry(system, parent, name, inode);
  system.fsnotify.created(dentry);
  return dentry;
}

function addEntry(system: System, parent: Dentry, name: string, inode: Inode): Dentry {
  const directory = parent.inode;
  if (inode.type === 'directory') {
    inode.links = 2;
    directory.links++;
  } else inode.links++;
  touch(system, directory);
  return attach(parent, name, inode);
}

/** inode_init_owner and vfs_prepare_mode. */
function newInode(system: System, directory: Inode, type: FileType, details: EntryDetails): Inode {
  system.faults.at('memory');
  const { credentials, filesystem } = system.current;
  const inherits = (directory.mode & 0o2000) !== 0;
  const gid = inherits ? directory.gid : credentials.fsgid;
  let mode = type === 'symlink' ? 0o777 : (details.mode ?? 0) & ~filesystem.umask & 0o7777;
  if (type === 'directory') {
    mode &= 0o1777;
    if (inherits) mode |= 0o2000;
  } else if (inherits && (mode & 0o2010) === 0o2010 && !isInGroup(credentials, gid)) {
    if (!capableOf(credentials, directory, 'CAP_FSETID')) mode &= ~0o2000;
  }
  return makeInode(system, directory.superblock, type, {
    mode,
    uid: credentials.fsuid,
    gid,
    subvolume: directory.subvolume,
    ...(details.target !== undefined && { target: details.target }),
    ...(details.deviceNumber !== undefined && { deviceNumber: details.deviceNumber }),
  });
}

/** O_TMPFILE: a file of this directory without a name in it. FAN_CREATE is not told. */
export function makeUnnamed(system: System, at: Path, mode: number): Path {
  const { dentry: parent, mount } = at;
  const directory = parent.inode;
  if (mount.isReadOnly || directory.superblock.isReadOnly) refuse('EROFS');
  requireCreation(system, directory);
  if (!directory.superblock.type.isWritable) refuse('EOPNOTSUPP');
  const inode = newInode(system, directory, 'file', { mode });
  return { mount, dentry: attachUnseen(parent, `#${inode.number}`, inode) };
}

/** mkdirat(2). */
export function mkdir(system: System, path: string, mode = 0o777, dirfd = AT_FDCWD): void {
  const at = placeFor(system, dirfd, path, true);
  makeEntry(system, at.here(), at.last, 'directory', { mode });
}

/** mknodat(2). EPERM for a device without CAP_MKNOD. */
export function mknod(
  system: System,
  path: string,
  type: 'file' | 'fifo' | 'socket' | 'device',
  mode = 0o666,
  deviceNumber = 0,
  dirfd = AT_FDCWD,
): Dentry {
  const at = placeFor(system, dirfd, path, false);
  if (type === 'device' && !capable(system.current.credentials, 'CAP_MKNOD')) refuse('EPERM');
  return makeEntry(system, at.here(), at.last, type, { mode, deviceNumber });
}

/** symlinkat(2). */
export function symlink(system: System, target: string, path: string, dirfd = AT_FDCWD): void {
  if (target === '') refuse('ENOENT');
  if (target.length >= 4096) refuse('ENAMETOOLONG');
  const at = placeFor(system, dirfd, path, false);
  makeEntry(system, at.here(), at.last, 'symlink', { target });
}

/** What BTRFS_IOC_SUBVOL_CREATE does: a directory with an fsid of its own. EOPNOTSUPP elsewhere. */
export function createSubvolume(system: System, path: string): void {
  const at = placeFor(system, AT_FDCWD, path, true);
  const { superblock } = at.dentry.inode;
  if (!superblock.type.fsidVaries) refuse('EOPNOTSUPP');
  requireCreation(system, at.dentry.inode);
  const inode = makeInode(system, superblock, 'directory', {
    mode: 0o755,
    number: 256,
    subvolume: nextSubvolume(superblock),
  });
  const dentry = addEntry(system, at.dentry, at.last, inode);
  system.fsnotify.created(dentry);
}

/** linkat(2): tells FAN_ATTRIB of the file and FAN_CREATE. EXDEV, EPERM for a directory. */
export function link(
  system: System,
  path: string,
  newPath: string,
  flags = 0,
  fromDirfd = AT_FDCWD,
  toDirfd = AT_FDCWD,
): void {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) refuse('EINVAL');
  const from = walk(system, fromDirfd, path, {
    follows: (flags & AT_SYMLINK_FOLLOW) !== 0,
    allowsEmpty: (flags & AT_EMPTY_PATH) !== 0,
  });
  const at = placeFor(system, toDirfd, newPath, false);
  // filename_create looks the name up, which a removed directory has none of.
  if (at.dentry.inode.isDead) refuse('ENOENT');
  if (from.mount !== at.mount) refuse('EXDEV');
  const { inode } = from.dentry;
  requireLinkable(system, inode);
  const directory = at.dentry.inode;
  if (at.mount.isReadOnly || directory.superblock.isReadOnly) refuse('EROFS');
  requireCreation(system, directory);
  if (inode.subvolume !== directory.subvolume) refuse('EXDEV');
  if (inode.type === 'directory') refuse('EPERM');
  // Of what was unlinked only an O_TMPFILE can come back.
  const isUnnamed = from.dentry.isGone && from.dentry.name === `#${inode.number}`;
  if (inode.links === 0 && !isUnnamed) refuse('ENOENT');
  const dentry = addEntry(system, at.dentry, at.last, inode);
  inode.ctimeNs = directory.ctimeNs;
  system.fsnotify.linked(dentry);
}

/** may_linkat, as fs.protected_hardlinks = 1 has it: others' files only if they could be read and written. */
function requireLinkable(system: System, inode: Inode): void {
  if (isOwnerOrCapable(system, inode)) return;
  const isSafe = inode.type === 'file' && (inode.mode & 0o4000) === 0 && (inode.mode & 0o2010) !== 0o2010;
  if (!isSafe || !isPermitted(system.current.credentials, inode, MAY_READ | MAY_WRITE)) refuse('EPERM');
}
