// /proc/sys/vm/drop_caches: inodes leave memory while their files stay.

import type { System } from '../system.ts';
import type { Dentry, Inode } from './objects.ts';

/** Writing 2 or 3 to drop_caches: inodes that nobody uses leave memory, where they are on a disk. Evictable marks go with them. */
export function dropCaches(system: System): void {
  for (const superblock of system.files.superblocks) {
    if (!superblock.type.isOnDisk) continue;
    for (const inode of superblock.inodes.values()) {
      if (inode.connector !== undefined && !isUsed(inode)) system.fsnotify.inodeEvicted(inode);
    }
  }
}

/** Whether an open file, a mount or the like keeps it in memory, by one of its names. */
function isUsed({ aliases }: Inode): boolean {
  return aliases.some(isNameUsed);
}

/** A name keeps those above it, and not other names of its file. */
function isNameUsed(name: Dentry): boolean {
  if (name.references > 0 || name.parent === name) return true;
  for (const below of name.inode.entries?.values() ?? []) if (isNameUsed(below)) return true;
  return false;
}
