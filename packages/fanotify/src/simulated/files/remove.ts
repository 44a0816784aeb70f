// unlink(2) and rmdir(2) (fs/namei.c): a name goes; what it was of goes with its last name and last use.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { detach } from './dentry.ts';
import { AT_FDCWD } from './flags.ts';
import { detachMountsOn, isLocalMountpoint } from './mount.ts';
import { requireDeletion } from './permission.ts';
import { touch } from './truncate.ts';
import { walkToParent } from './walk.ts';

/** unlinkat(2). Tells FAN_ATTRIB of the file (its links), FAN_DELETE_SELF when that was the last of it, FAN_DELETE. */
export function unlink(system: System, path: string, dirfd = AT_FDCWD): void {
  const at = walkToParent(system, dirfd, path);
  if (at.kind !== 'normal') refuse('EISDIR');
  const { dentry: parent } = at;
  const victim = at.lookup();
  if (victim === undefined) refuse('ENOENT');
  const { inode } = victim;
  if (at.hasTrailingSlash) refuse(inode.type === 'directory' ? 'EISDIR' : 'ENOTDIR');
  if (at.mount.isReadOnly || inode.superblock.isReadOnly) refuse('EROFS');
  requireDeletion(system, parent.inode, victim, false);
  if (inode.operations !== undefined) refuse('EPERM');
  if (isLocalMountpoint(system, victim)) refuse('EBUSY');
  detachMountsOn(system, victim);
  inode.links--;
  touch(system, parent.inode);
  inode.ctimeNs = parent.inode.ctimeNs;
  system.fsnotify.linkCountChanged(inode);
  detach(system, victim);
  system.fsnotify.deleted(parent.inode, victim);
}

/** unlinkat(2) with AT_REMOVEDIR. Tells FAN_DELETE_SELF unless somebody is in it, and FAN_DELETE. */
export function rmdir(system: System, path: string, dirfd = AT_FDCWD): void {
  const at = walkToParent(system, dirfd, path);
  if (at.kind === 'dotdot') refuse('ENOTEMPTY');
  if (at.kind === 'dot') refuse('EINVAL');
  if (at.kind === 'root') refuse('EBUSY');
  const { dentry: parent } = at;
  const victim = at.lookup();
  if (victim === undefined) refuse('ENOENT');
  const { inode } = victim;
  if (at.mount.isReadOnly || inode.superblock.isReadOnly) refuse('EROFS');
  requireDeletion(system, parent.inode, victim, true);
  if (inode.operations !== undefined) refuse('EPERM');
  if (isLocalMountpoint(system, victim)) refuse('EBUSY');
  if ((inode.entries?.size ?? 0) > 0) refuse('ENOTEMPTY');
  detachMountsOn(system, victim);
  inode.isDead = true;
  inode.links = 0;
  parent.inode.links--;
  touch(system, parent.inode);
  detach(system, victim);
  system.fsnotify.deleted(parent.inode, victim);
}
