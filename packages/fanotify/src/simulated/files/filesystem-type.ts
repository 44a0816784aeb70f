// The types of file system there are, by what fanotify makes of them.

import type { Inode } from './objects.ts';

/** What name_to_handle_at and fanotify make of an inode: `type` and the opaque bytes of struct file_handle. */
export interface Handle {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface FilesystemType {
  /** As in mountinfo: 'tmpfs', 'ext4'. */
  readonly name: string;
  /** f_type: linux/magic.h. */
  readonly magic: number;
  /** Whether its handles can be opened again (export operations), only be made (AT_HANDLE_FID), or not even that. */
  readonly handles: 'decodable' | 'encodable' | 'none';
  /** FS_ALLOW_HSM: pre-content events. */
  readonly hasPreContent: boolean;
  /** FS_DISALLOW_NOTIFY_PERM: EINVAL for permission events (proc, sysfs). */
  readonly refusesPermission: boolean;
  /** statfs tells a different f_fsid by where one asks (subvolumes of btrfs): EXDEV for marks of it. */
  readonly fsidVaries: boolean;
  encode(inode: Inode): Handle;
  /** f_fsid as statfs(2) tells it for this inode: that of the superblock, unless `fsidVaries`. */
  fsidOf(inode: Inode): readonly [number, number];
  /** Whether inodes are on a disk, and leave memory when nobody uses them. Those of tmpfs stay. */
  readonly isOnDisk: boolean;
  /** Whether files can be made in it at all. */
  readonly isWritable: boolean;
}
