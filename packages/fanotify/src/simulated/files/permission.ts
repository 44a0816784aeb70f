// Who may do what (fs/namei.c: inode_permission, may_delete, may_create and the like), by the ids for files and the capabilities.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Credentials } from '../tasks/task.ts';
import type { Dentry, Inode } from './objects.ts';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** Whether the capability counts here: of the initial user namespace. */
export function capable({ capabilities, userNamespace }: Credentials, capability: string): boolean {
  return userNamespace.parent === undefined && capabilities.has(capability);
}

/** capable_wrt_inode_uidgid: in a user namespace, only for what its ids are mapped of. */
export function capableOf({ capabilities, userNamespace }: Credentials, inode: Inode, capability: string): boolean {
  if (!capabilities.has(capability)) return false;
  const { mappedIds } = userNamespace;
  return mappedIds === undefined || (mappedIds.has(inode.uid) && mappedIds.has(inode.gid));
}

export function isInGroup({ fsgid, groups }: Credentials, gid: number): boolean {
  return fsgid === gid || groups.includes(gid);
}

/** generic_permission: whether `credentials` may do all of `wanted` (MAY_*). */
export function isPermitted(credentials: Credentials, inode: Inode, wanted: number): boolean {
  const { mode } = inode;
  const bits = credentials.fsuid === inode.uid ? mode >> 6 : isInGroup(credentials, inode.gid) ? mode >> 3 : mode;
  if ((wanted & ~bits) === 0) return true;
  if (inode.type === 'directory') {
    if ((wanted & MAY_WRITE) === 0 && capableOf(credentials, inode, 'CAP_DAC_READ_SEARCH')) return true;
    return capableOf(credentials, inode, 'CAP_DAC_OVERRIDE');
  }
  if (wanted === MAY_READ && capableOf(credentials, inode, 'CAP_DAC_READ_SEARCH')) return true;
  // Nobody executes what nobody may execute.
  return ((wanted & MAY_EXEC) === 0 || (mode & 0o111) !== 0) && capableOf(credentials, inode, 'CAP_DAC_OVERRIDE');
}

/** inode_permission. EACCES. */
export function requirePermission(system: System, inode: Inode, wanted: number): void {
  const { credentials } = system.current;
  if ((wanted & MAY_WRITE) !== 0 && inode.superblock.isReadOnly && inode.type !== 'device' && inode.type !== 'fifo') {
    refuse('EROFS');
  }
  if (!isPermitted(credentials, inode, wanted)) refuse('EACCES');
}

export function isOwnerOrCapable(system: System, inode: Inode): boolean {
  const { credentials } = system.current;
  return credentials.fsuid === inode.uid || capableOf(credentials, inode, 'CAP_FOWNER');
}

/** may_create: something in this directory. */
export function requireCreation(system: System, directory: Inode): void {
  if (directory.isDead) refuse('ENOENT');
  requirePermission(system, directory, MAY_WRITE | MAY_EXEC);
}

/** may_delete: this name, as that of a directory or of something else. */
export function requireDeletion(system: System, directory: Inode, victim: Dentry, asDirectory: boolean): void {
  requirePermission(system, directory, MAY_WRITE | MAY_EXEC);
  if (isHeldBySticky(system, directory, victim.inode)) refuse('EPERM');
  if (asDirectory) {
    if (victim.inode.type !== 'directory') refuse('ENOTDIR');
    if (victim.parent === victim) refuse('EBUSY');
  } else if (victim.inode.type === 'directory') refuse('EISDIR');
  if (directory.isDead) refuse('ENOENT');
}

/** check_sticky: in a sticky directory, others' files stay. */
export function isHeldBySticky(system: System, directory: Inode, inode: Inode): boolean {
  if ((directory.mode & 0o1000) === 0) return false;
  const { credentials } = system.current;
  if (credentials.fsuid === inode.uid || credentials.fsuid === directory.uid) return false;
  return !capableOf(credentials, inode, 'CAP_FOWNER');
}
