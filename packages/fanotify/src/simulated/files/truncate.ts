// truncate(2), ftruncate(2) and fallocate(2) (fs/open.c): the size of a file, without a write.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import { resizeContent, zeroContent } from './content.ts';
import { AT_FDCWD, O_WRONLY } from './flags.ts';
import { breakLease } from './lease.ts';
import { FAN_ATTRIB, FAN_MODIFY } from './masks.ts';
import type { Dentry, Inode, Path } from './objects.ts';
import { isWritable } from './open-file.ts';
import { capableOf, isInGroup, MAY_WRITE, requirePermission } from './permission.ts';
import { walk } from './walk.ts';

const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;
const FALLOC_FL_COLLAPSE_RANGE = 0x08;
const FALLOC_FL_ZERO_RANGE = 0x10;
const FALLOC_FL_INSERT_RANGE = 0x20;
const FALLOC_FL_UNSHARE_RANGE = 0x40;

/** mnt_want_write. */
export function requireWritable({ mount, dentry }: Path): void {
  if (mount.isReadOnly || dentry.inode.superblock.isReadOnly) refuse('EROFS');
}

/** truncate(2). Tells FAN_MODIFY, whatever the size was. */
export function* truncate(system: System, path: string, length: number, dirfd = AT_FDCWD): Blocking<void> {
  if (length < 0) refuse('EINVAL');
  const place = walk(system, dirfd, path);
  const { inode } = place.dentry;
  if (inode.type === 'directory') refuse('EISDIR');
  if (inode.type !== 'file') refuse('EINVAL');
  requirePermission(system, inode, MAY_WRITE);
  const held = system.fsnotify.truncatePermission(place, length);
  if (held !== undefined) yield* held;
  requireWritable(place);
  if (inode.executing > 0) refuse('ETXTBSY');
  if (inode.leases !== undefined) yield* breakLease(system, inode, O_WRONLY);
  truncateInode(system, place.dentry, length);
}

/** ftruncate(2). EINVAL for a descriptor that is not open for writing. */
export function* ftruncate(system: System, fd: number, length: number): Blocking<void> {
  if (length < 0) refuse('EINVAL');
  const file = fileOf(system, fd);
  const { inode } = file.path.dentry;
  if (file.operations !== undefined || inode.type !== 'file' || !isWritable(file)) refuse('EINVAL');
  const held = system.fsnotify.truncatePermission(file.path, length);
  if (held !== undefined) yield* held;
  truncateInode(system, file.path.dentry, length);
}

/** do_truncate: set-user-id and the like go with it. */
export function truncateInode(system: System, dentry: Dentry, length: number): void {
  const { inode } = dentry;
  if (inode.operations !== undefined) return;
  const lost = privilegeBits(system, inode);
  resizeContent(inode, length);
  touch(system, inode);
  inode.mode &= ~lost;
  system.fsnotify.changed(dentry, lost === 0 ? FAN_MODIFY : FAN_MODIFY | FAN_ATTRIB);
}

/** Content changed now. */
export function touch(system: System, inode: Inode): void {
  const now = system.clock.realtimeNs();
  inode.mtimeNs = now;
  inode.ctimeNs = now;
}

/** setattr_should_drop_suidgid: which mode bits a change of the content by this task takes away. */
export function privilegeBits(system: System, inode: Inode): number {
  const { mode } = inode;
  if ((mode & 0o6000) === 0) return 0;
  const { credentials } = system.current;
  let bits = mode & 0o4000;
  if ((mode & 0o2000) !== 0) {
    const mayKeep = isInGroup(credentials, inode.gid) || capableOf(credentials, inode, 'CAP_FSETID');
    if ((mode & 0o010) !== 0 || !mayKeep) bits |= 0o2000;
  }
  return bits === 0 || capableOf(credentials, inode, 'CAP_FSETID') ? 0 : bits;
}

/** file_remove_privs, before a write: tells FAN_ATTRIB when there was something to take away. */
export function removePrivileges(system: System, dentry: Dentry): void {
  const { inode } = dentry;
  if ((inode.mode & 0o6000) === 0) return;
  const lost = privilegeBits(system, inode);
  if (lost === 0) return;
  inode.mode &= ~lost;
  system.fsnotify.changed(dentry, FAN_ATTRIB);
}

/** fallocate(2). Tells FAN_MODIFY, also where nothing had to be done. */
export function* fallocate(system: System, fd: number, mode: number, offset: number, count: number): Blocking<void> {
  const file = fileOf(system, fd);
  if (offset < 0 || count <= 0) refuse('EINVAL');
  const kind = mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_UNSHARE_RANGE);
  if (
    ![0, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE].includes(kind)
  ) {
    refuse('EOPNOTSUPP');
  }
  const keepsSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  if (kind === FALLOC_FL_PUNCH_HOLE && !keepsSize) refuse('EOPNOTSUPP');
  if ((kind === FALLOC_FL_COLLAPSE_RANGE || kind === FALLOC_FL_INSERT_RANGE) && keepsSize) refuse('EINVAL');
  if (!isWritable(file)) refuse('EBADF');
  const { dentry } = file.path;
  const { inode } = dentry;
  if (inode.type === 'fifo') refuse('ESPIPE');
  if (inode.type === 'directory') refuse('EISDIR');
  if (inode.type !== 'file' || file.operations !== undefined) refuse('ENODEV');
  const held = system.fsnotify.areaPermission(file, 'write', offset, count);
  if (held !== undefined) yield* held;
  // Ranges are shifted in whole blocks, which a file held in memory has none of.
  if (kind === FALLOC_FL_COLLAPSE_RANGE || kind === FALLOC_FL_INSERT_RANGE || !canAllocate(inode, kind, mode))
    refuse('EOPNOTSUPP');
  removePrivileges(system, dentry);
  if (kind !== 0) zeroContent(inode, offset, count);
  if (!keepsSize && offset + count > inode.size) resizeContent(inode, offset + count);
  touch(system, inode);
  system.fsnotify.modified(file);
}

/** tmpfs can only reserve and punch holes; ext2 and proc cannot do any of it; xfs alone has shared blocks to part. */
function canAllocate({ superblock: { type } }: Inode, kind: number, mode: number): boolean {
  if ((mode & FALLOC_FL_UNSHARE_RANGE) !== 0 && type.name !== 'xfs') return false;
  switch (type.name) {
    case 'tmpfs':
      return kind === 0 || kind === FALLOC_FL_PUNCH_HOLE;
    case 'ext4':
    case 'xfs':
    case 'btrfs':
      return true;
    default:
      return false;
  }
}
