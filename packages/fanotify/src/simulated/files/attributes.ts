// chmod(2), chown(2), utimensat(2), setxattr(2) (fs/attr.c notify_change, fs/xattr.c): what is told of a file beside its content.

import { Refusal, refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from './flags.ts';
import { FAN_ACCESS, FAN_ATTRIB, FAN_MODIFY } from './masks.ts';
import type { Inode, Path } from './objects.ts';
import { capableOf, isInGroup, isOwnerOrCapable, isPermitted, MAY_READ, MAY_WRITE } from './permission.ts';
import { requireWritable } from './truncate.ts';
import { walk } from './walk.ts';

const ENODATA = 61;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

function placeOf(system: System, dirfd: number, path: string, flags: number): Path {
  return walk(system, dirfd, path, {
    follows: (flags & AT_SYMLINK_NOFOLLOW) === 0,
    allowsEmpty: (flags & AT_EMPTY_PATH) !== 0,
  });
}

/** fchmodat(2). Tells FAN_ATTRIB, also when the mode was that already. EPERM for others' files. */
export function chmod(system: System, path: string, mode: number, dirfd = AT_FDCWD): void {
  chmodPlace(system, placeOf(system, dirfd, path, 0), mode);
}

/** fchmod(2). */
export function fchmod(system: System, fd: number, mode: number): void {
  chmodPlace(system, fileOf(system, fd).path, mode);
}

function chmodPlace(system: System, place: Path, mode: number): void {
  requireWritable(place);
  const { inode } = place.dentry;
  if (!isOwnerOrCapable(system, inode)) refuse('EPERM');
  const { credentials } = system.current;
  let bits = mode & 0o7777;
  if (!isInGroup(credentials, inode.gid) && !capableOf(credentials, inode, 'CAP_FSETID')) bits &= ~0o2000;
  inode.mode = bits;
  inode.ctimeNs = system.clock.realtimeNs();
  system.fsnotify.changed(place.dentry, FAN_ATTRIB);
}

/** fchownat(2); -1 leaves one as it is. Tells FAN_ATTRIB unless nothing was asked for; set-user-id goes. EPERM. */
export function chown(system: System, path: string, uid: number, gid: number, flags = 0, dirfd = AT_FDCWD): void {
  chownPlace(system, placeOf(system, dirfd, path, flags), uid, gid);
}

/** fchown(2). */
export function fchown(system: System, fd: number, uid: number, gid: number): void {
  chownPlace(system, fileOf(system, fd).path, uid, gid);
}

function chownPlace(system: System, place: Path, uid: number, gid: number): void {
  requireWritable(place);
  const { inode } = place.dentry;
  const { credentials } = system.current;
  const isOwner = credentials.fsuid === inode.uid;
  const mayChown = capableOf(credentials, inode, 'CAP_CHOWN');
  if (uid !== -1 && !mayChown && !(isOwner && uid === inode.uid)) refuse('EPERM');
  if (gid !== -1 && !mayChown && !(isOwner && (gid === inode.gid || isInGroup(credentials, gid)))) refuse('EPERM');
  const lost =
    inode.type === 'directory' ? 0 : (inode.mode & 0o4000) | ((inode.mode & 0o010) !== 0 ? inode.mode & 0o2000 : 0);
  if (lost !== 0 && !isOwnerOrCapable(system, inode)) refuse('EPERM');
  if (uid !== -1) inode.uid = uid;
  if (gid !== -1) inode.gid = gid;
  inode.mode &= ~lost;
  inode.ctimeNs = system.clock.realtimeNs();
  if (uid !== -1 || gid !== -1 || lost !== 0) system.fsnotify.changed(place.dentry, FAN_ATTRIB);
}

/** A time for utimensat(2): in nanoseconds since 1970, now (UTIME_NOW), or as it is (UTIME_OMIT). */
export type NewTime = bigint | 'now' | 'omit';

/** utimensat(2). Both times tell FAN_ATTRIB, that of access alone FAN_ACCESS, that of modification alone FAN_MODIFY. */
export function utimes(
  system: System,
  path: string,
  access: NewTime,
  modification: NewTime,
  flags = 0,
  dirfd = AT_FDCWD,
): void {
  // Before the path is looked at.
  if (access === 'omit' && modification === 'omit') return;
  utimesOf(system, placeOf(system, dirfd, path, flags), access, modification);
}

/** futimens(3). */
export function futimes(system: System, fd: number, access: NewTime, modification: NewTime): void {
  utimesOf(system, fileOf(system, fd).path, access, modification);
}

function utimesOf(system: System, place: Path, access: NewTime, modification: NewTime): void {
  if (access === 'omit' && modification === 'omit') return;
  requireWritable(place);
  const { dentry } = place;
  const { inode } = dentry;
  if (!isOwnerOrCapable(system, inode)) {
    if (access !== 'now' || modification !== 'now') refuse('EPERM');
    if (!isPermitted(system.current.credentials, inode, MAY_WRITE)) refuse('EACCES');
  }
  const now = system.clock.realtimeNs();
  if (access !== 'omit') inode.atimeNs = access === 'now' ? now : access;
  if (modification !== 'omit') inode.mtimeNs = modification === 'now' ? now : modification;
  inode.ctimeNs = now;
  const mask = access === 'omit' ? FAN_MODIFY : modification === 'omit' ? FAN_ACCESS : FAN_ATTRIB;
  system.fsnotify.changed(dentry, mask);
}

/** Whether this task may set or, unless `isWriting`, read an attribute of that name. */
function requireAttribute(system: System, inode: Inode, name: string, isWriting: boolean): void {
  const { credentials } = system.current;
  const [space] = name.split('.', 1);
  if (space === 'trusted') {
    if (!capableOf(credentials, inode, 'CAP_SYS_ADMIN')) refuse(isWriting ? 'EPERM' : 'EOPNOTSUPP');
    return;
  }
  if (space === 'security') {
    if (isWriting && !capableOf(credentials, inode, 'CAP_SYS_ADMIN')) refuse('EPERM');
    return;
  }
  if (space !== 'user' || !name.includes('.')) refuse('EOPNOTSUPP');
  if (inode.type !== 'file' && inode.type !== 'directory') refuse('EPERM');
  // In a sticky directory everybody may write, but only its owner may describe it.
  const isSticky = inode.type === 'directory' && (inode.mode & 0o1000) !== 0;
  if (isWriting && isSticky && !isOwnerOrCapable(system, inode)) refuse('EPERM');
  if (!isPermitted(credentials, inode, isWriting ? MAY_WRITE : MAY_READ)) refuse('EACCES');
}

/** setxattr(2). Tells FAN_ATTRIB. EEXIST and ENODATA by `flags` (XATTR_CREATE, XATTR_REPLACE). */
export function setxattr(
  system: System,
  path: string,
  name: string,
  value: Uint8Array,
  flags = 0,
  follows = true,
): void {
  const place = walk(system, AT_FDCWD, path, { follows });
  requireWritable(place);
  const { inode } = place.dentry;
  requireAttribute(system, inode, name, true);
  if (!inode.superblock.type.isWritable) refuse('EOPNOTSUPP');
  const isThere = inode.attributes?.has(name) === true;
  if (isThere && (flags & XATTR_CREATE) !== 0) refuse('EEXIST');
  if (!isThere && (flags & XATTR_REPLACE) !== 0) throw new Refusal(ENODATA);
  inode.attributes ??= new Map();
  inode.attributes.set(name, Uint8Array.from(value));
  inode.ctimeNs = system.clock.realtimeNs();
  system.fsnotify.changed(place.dentry, FAN_ATTRIB);
}

/** removexattr(2). Tells FAN_ATTRIB. ENODATA. */
export function removexattr(system: System, path: string, name: string): void {
  const place = walk(system, AT_FDCWD, path);
  requireWritable(place);
  const { inode } = place.dentry;
  requireAttribute(system, inode, name, true);
  if (inode.attributes?.delete(name) !== true) throw new Refusal(ENODATA);
  inode.ctimeNs = system.clock.realtimeNs();
  system.fsnotify.changed(place.dentry, FAN_ATTRIB);
}

/** getxattr(2). ENODATA. */
export function getxattr(system: System, path: string, name: string): Uint8Array {
  const { inode } = walk(system, AT_FDCWD, path).dentry;
  requireAttribute(system, inode, name, false);
  const value = inode.attributes?.get(name);
  if (value === undefined) throw new Refusal(ENODATA);
  return value;
}
