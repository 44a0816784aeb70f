// rename(2) and renameat2(2) (fs/namei.c vfs_rename): a name moves, in place of another or in exchange for it.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { endIfUnused, exchange, isBelow, move, vanish } from './dentry.ts';
import { AT_FDCWD } from './flags.ts';
import { detachMountsOn, isLocalMountpoint } from './mount.ts';
import type { Dentry, Inode } from './objects.ts';
import { MAY_WRITE, requireCreation, requireDeletion, requirePermission } from './permission.ts';
import { touch } from './truncate.ts';
import { walkToParent } from './walk.ts';

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/**
 * renameat2(2). Tells FAN_RENAME, FAN_MOVED_FROM, FAN_MOVED_TO and FAN_MOVE_SELF, then FAN_DELETE_SELF of what was replaced; for an
 * exchange, the first four twice. Names of the same file stay as they are, and nothing is told.
 */
export function rename(
  system: System,
  oldPath: string,
  newPath: string,
  flags = 0,
  oldDirfd = AT_FDCWD,
  newDirfd = AT_FDCWD,
): void {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) refuse('EINVAL');
  const isExchange = (flags & RENAME_EXCHANGE) !== 0;
  if (isExchange && (flags & RENAME_NOREPLACE) !== 0) refuse('EINVAL');
  const from = walkToParent(system, oldDirfd, oldPath);
  const to = walkToParent(system, newDirfd, newPath);
  if (from.mount !== to.mount) refuse('EXDEV');
  if (from.kind !== 'normal') refuse('EBUSY');
  if (to.kind !== 'normal') refuse((flags & RENAME_NOREPLACE) !== 0 ? 'EEXIST' : 'EBUSY');
  if (from.mount.isReadOnly || from.mount.superblock.isReadOnly) refuse('EROFS');
  const source = from.lookup();
  if (source === undefined) refuse('ENOENT');
  const target = to.lookup();
  if (target !== undefined && (flags & RENAME_NOREPLACE) !== 0) refuse('EEXIST');
  if (isExchange) {
    if (target === undefined) refuse('ENOENT');
    if (target.inode.type !== 'directory' && to.hasTrailingSlash) refuse('ENOTDIR');
  }
  if (source.inode.type !== 'directory') {
    if (from.hasTrailingSlash || (!isExchange && to.hasTrailingSlash)) refuse('ENOTDIR');
  }
  // The source must not be an ancestor of where it goes, nor what it replaces one of where it is.
  if (isBelow(to.dentry, source)) refuse('EINVAL');
  if (target !== undefined && isBelow(from.dentry, target)) refuse(isExchange ? 'EINVAL' : 'ENOTEMPTY');
  if (target?.inode === source.inode) return;
  requireRename(system, source, target, from.dentry, to.dentry, isExchange);
  const oldDirectory = from.dentry;
  const newDirectory = to.dentry;
  const oldName = source.name;
  if (isExchange && target !== undefined) {
    exchangeLinks(oldDirectory.inode, newDirectory.inode, source.inode, target.inode);
    const newName = target.name;
    exchange(source, target);
    stamp(system, oldDirectory.inode, newDirectory.inode, source.inode, target.inode);
    system.fsnotify.moved(source, oldDirectory, oldName, newDirectory, undefined);
    system.fsnotify.moved(target, newDirectory, newName, oldDirectory, undefined);
    return;
  }
  if (target !== undefined) replace(system, target, newDirectory.inode);
  if (source.inode.type === 'directory' && oldDirectory !== newDirectory) {
    oldDirectory.inode.links--;
    newDirectory.inode.links++;
  }
  move(source, newDirectory, to.last);
  stamp(system, oldDirectory.inode, newDirectory.inode, source.inode, target?.inode);
  system.fsnotify.moved(source, oldDirectory, oldName, newDirectory, target?.inode);
  if (target !== undefined) endIfUnused(system, target);
}

function requireRename(
  system: System,
  source: Dentry,
  target: Dentry | undefined,
  oldDirectory: Dentry,
  newDirectory: Dentry,
  isExchange: boolean,
): void {
  const isDirectory = source.inode.type === 'directory';
  requireDeletion(system, oldDirectory.inode, source, isDirectory);
  if (target === undefined) requireCreation(system, newDirectory.inode);
  else {
    const asDirectory = isExchange ? target.inode.type === 'directory' : isDirectory;
    requireDeletion(system, newDirectory.inode, target, asDirectory);
  }
  if (source.inode.operations !== undefined) refuse('EPERM');
  // A directory that gets another parent has its '..' written.
  if (oldDirectory !== newDirectory) {
    if (isDirectory) requirePermission(system, source.inode, MAY_WRITE);
    if (isExchange && target?.inode.type === 'directory') requirePermission(system, target.inode, MAY_WRITE);
  }
  if (isLocalMountpoint(system, source) || (target !== undefined && isLocalMountpoint(system, target))) refuse('EBUSY');
  if (!isExchange && target?.inode.entries !== undefined && target.inode.entries.size > 0) refuse('ENOTEMPTY');
  // Subvolumes are file systems to link(2) and rename(2).
  if (source.inode.subvolume !== newDirectory.inode.subvolume) refuse('EXDEV');
}

/** What had the new name loses it. */
function replace(system: System, target: Dentry, directory: Inode): void {
  const { inode } = target;
  if (inode.type === 'directory') {
    inode.isDead = true;
    inode.links = 0;
    directory.links--;
  } else inode.links--;
  detachMountsOn(system, target);
  vanish(target);
}

function exchangeLinks(one: Inode, other: Inode, source: Inode, target: Inode): void {
  if (one === other || (source.type === 'directory') === (target.type === 'directory')) return;
  const [gains, loses] = source.type === 'directory' ? [other, one] : [one, other];
  gains.links++;
  loses.links--;
}

function stamp(system: System, one: Inode, other: Inode, source: Inode, target: Inode | undefined): void {
  touch(system, one);
  const now = one.mtimeNs;
  other.mtimeNs = now;
  other.ctimeNs = now;
  source.ctimeNs = now;
  if (target !== undefined) target.ctimeNs = now;
}
