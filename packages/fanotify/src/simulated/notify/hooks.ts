// Where the file system calls fsnotify: include/linux/fsnotify.h, one for one. files/ and tasks/ call these at the places where Linux does
// and in its order; notify/fsnotify.ts answers them. "The task" is whoever runs now (System.current).

import type { Dentry, Inode, Mount, MountNamespace, OpenFile, Path, Superblock } from '../files/objects.ts';
import type { Blocking } from '../wait.ts';

export interface FsnotifyHooks {
  /**
   * fsnotify_open_perm_and_set_mode: FAN_OPEN_PERM, and with `isExec` FAN_OPEN_EXEC_PERM before it. After the file was made and found
   * permitted, before it is truncated. Sets `file.quiet`. undefined: nobody wants to be asked. So it is with the four that follow.
   *
   * @throws Refusal with what the answer says (EPERM).
   */
  openPermission(file: OpenFile, isExec: boolean): Blocking<void> | undefined;
  /** FAN_ACCESS_PERM and FAN_PRE_ACCESS before a read (or readdir: FAN_ACCESS_PERM of a directory), FAN_PRE_ACCESS before a write or truncation. */
  areaPermission(
    file: OpenFile,
    access: 'read' | 'write' | 'readdir',
    offset: number,
    count: number,
  ): Blocking<void> | undefined;
  /** truncate(2) and ftruncate(2), before: FAN_PRE_ACCESS. By path for both: an open file's `quiet` says nothing. */
  truncatePermission(path: Path, length: number): Blocking<void> | undefined;
  /** mmap(2): FAN_PRE_ACCESS of what is mapped (on 6.18: at mmap, not at the fault). */
  mapPermission(file: OpenFile, offset: number, count: number): Blocking<void> | undefined;

  /** FAN_OPEN, and FAN_OPEN_EXEC with it in one event's mask when it is to execute. */
  opened(file: OpenFile, isExec: boolean): void;
  accessed(file: OpenFile): void;
  modified(file: OpenFile): void;
  /** At the last close of the open file description: FAN_CLOSE_WRITE or FAN_CLOSE_NOWRITE. */
  closed(file: OpenFile): void;
  /**
   * notify_change and setxattr(2), one event of the dentry: `mask` is of FAN_ATTRIB, FAN_MODIFY (size, or the time of modification alone) and
   * FAN_ACCESS (the time of access alone).
   */
  changed(dentry: Dentry, mask: number): void;
  /** The number of links changed: FAN_ATTRIB of the inode itself, without name. */
  linkCountChanged(inode: Inode): void;

  /** FAN_CREATE, after it is there. `dentry.parent` is the directory. Also for mkdir, mknod, symlink. */
  created(dentry: Dentry): void;
  /** fsnotify_link: FAN_ATTRIB of the inode itself (its number of links), then FAN_CREATE of the name. */
  linked(dentry: Dentry): void;
  /** FAN_DELETE of a name, after it is gone: unlink, rmdir. */
  deleted(directory: Inode, dentry: Dentry): void;
  /**
   * fsnotify_inoderemove: FAN_DELETE_SELF, and its marks go. When a name of an inode without links ends, which is once for each: a second
   * open name of it tells filesystem marks again.
   */
  inodeDeleted(inode: Inode): void;
  /** An inode leaves memory while its file stays (drop_caches): evictable marks go. Does nothing when one keeps it. */
  inodeEvicted(inode: Inode): void;
  /**
   * fsnotify_move: FAN_RENAME, FAN_MOVED_FROM, FAN_MOVED_TO, and FAN_MOVE_SELF; FAN_ATTRIB (link count) of what was replaced. After it was done:
   * `dentry` has its new parent and name. An exchange is two of these. `replaced` is what had the name before.
   */
  moved(dentry: Dentry, oldDirectory: Dentry, oldName: string, newDirectory: Dentry, replaced: Inode | undefined): void;

  mountAttached(namespace: MountNamespace, mount: Mount): void;
  mountDetached(namespace: MountNamespace, mount: Mount): void;
  /** MS_MOVE: FAN_MNT_ATTACH and FAN_MNT_DETACH in one event. */
  mountMoved(namespace: MountNamespace, mount: Mount): void;
  /** A mount is gone for good: its marks go. */
  mountGone(mount: Mount): void;
  namespaceGone(namespace: MountNamespace): void;
  /** Unmounted for good: marks of it and of its inodes go (FAN_UNMOUNT is inotify's alone). */
  superblockGone(superblock: Superblock): void;
  /** FAN_FS_ERROR. `inode` undefined: of the file system as a whole. */
  filesystemError(superblock: Superblock, inode: Inode | undefined, errno: number): void;
}
