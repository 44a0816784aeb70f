// /proc/sys/vm/drop_caches: inodes leave memory while their files stay.

import type { System } from '../system.ts';
import type { Inode } from './objects.ts';

/** Writing 2 or 3 to drop_caches: inodes that nobody uses leave memory, where they are on a disk. Evictable marks go with them. */
export function dropCaches(system: System): void {
  for (const superblock of system.files.superblocks) {
    if (!superblock.type.isOnDisk) continue;
    for (const inode of superblock.inodes.values()) {
      if (inode.connector !== undefined && !isUsed(inode)) system.fsnotify.inodeEvicted(inode);
    }
  }
}

/** Whether an open file, a mount or the like keeps it in memory, or something below it. */
function isUsed(inode: Inode): boolean {
  for (const dentry of inode.aliases) {
    if (dentry.references > 0 || dentry.parent === dentry) return true;
  }
  for (const child of inode.entries?.values() ?? []) if (isUsed(child.inode)) return true;
  return false;
}
