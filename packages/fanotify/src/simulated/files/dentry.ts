// Names in directories, and when they and their inodes end (fs/dcache.c). A name that is used by an open file outlives its removal.

import type { System } from '../system.ts';
import type { Dentry, Inode } from './objects.ts';
import { inodeKey } from './superblock.ts';

/** A name of `inode` below `parent`, found from now on. The number of links is the caller's business. */
export function attach(parent: Dentry, name: string, inode: Inode): Dentry {
  const dentry: Dentry = { parent, name, inode, isGone: false, references: 0, mountpoints: 0 };
  parent.inode.entries?.set(name, dentry);
  inode.aliases.push(dentry);
  return dentry;
}

/** A name that is not in its directory, but counts as below it: O_TMPFILE. */
export function attachUnseen(parent: Dentry, name: string, inode: Inode): Dentry {
  const dentry: Dentry = { parent, name, inode, isGone: true, references: 0, mountpoints: 0 };
  inode.aliases.push(dentry);
  parent.references++;
  return dentry;
}

/**
 * d_delete: nobody finds it any more. What uses it goes on with it; else it ends here, and with the last link FAN_DELETE_SELF is told now,
 * before the caller tells FAN_DELETE.
 */
export function detach(system: System, dentry: Dentry): void {
  vanish(dentry);
  if (dentry.references === 0) end(system, dentry);
}

/** Takes a name out of its directory without ending it: the caller holds it for a while yet, and calls {@link endIfUnused}. */
export function vanish(dentry: Dentry): void {
  dentry.parent.inode.entries?.delete(dentry.name);
  dentry.isGone = true;
  // While it is used it keeps its directory, gone or not.
  dentry.parent.references++;
}

/** The end of a name that {@link vanish} took away. */
export function endIfUnused(system: System, dentry: Dentry): void {
  if (dentry.references === 0) end(system, dentry);
}

/** d_move: the same name elsewhere. */
export function move(dentry: Dentry, parent: Dentry, name: string): void {
  dentry.parent.inode.entries?.delete(dentry.name);
  dentry.parent = parent;
  dentry.name = name;
  parent.inode.entries?.set(name, dentry);
}

/** d_exchange. Each keeps its place in the order of its new directory. */
export function exchange(one: Dentry, other: Dentry): void {
  const { parent, name } = one;
  one.parent = other.parent;
  one.name = other.name;
  other.parent = parent;
  other.name = name;
  one.parent.inode.entries?.set(one.name, one);
  other.parent.inode.entries?.set(other.name, other);
}

/** dput. */
export function release(system: System, dentry: Dentry): void {
  if (--dentry.references === 0 && dentry.isGone) end(system, dentry);
}

/** dentry_unlink_inode, of a name that nobody finds nor uses. */
function end(system: System, dentry: Dentry): void {
  const { inode, parent } = dentry;
  const { aliases } = inode;
  aliases.splice(aliases.indexOf(dentry), 1);
  if (inode.links === 0) system.fsnotify.inodeDeleted(inode);
  if (aliases.length === 0) {
    // A pipe's inode has a link, but no name that keeps it.
    if (inode.links > 0) system.fsnotify.inodeEvicted(inode);
    inode.superblock.inodes.delete(inodeKey(inode.subvolume, inode.number));
  }
  if (parent !== dentry) release(system, parent);
}

/** Whether `dentry` is `ancestor` or below it. */
export function isBelow(dentry: Dentry, ancestor: Dentry): boolean {
  let at = dentry;
  while (at !== ancestor) {
    if (at.parent === at) return false;
    at = at.parent;
  }
  return true;
}
