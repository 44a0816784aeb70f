// mount(2) and umount2(2) (fs/namespace.c do_mount): file systems and parts of them, put at a place and taken away.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { AT_FDCWD } from './flags.ts';
import { attachMount, copyTree, moveMount, newMount, UMOUNT_NOFOLLOW, unmount } from './mount.ts';
import type { Superblock } from './objects.ts';
import { capable } from './permission.ts';
import { makeSuperblock } from './superblock.ts';
import { MOUNTABLE } from './types.ts';
import { walk } from './walk.ts';

export const MS_RDONLY = 1;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16_384;
export const MS_PRIVATE = 1 << 18;
/** MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED: nothing propagates here, so that all of them say what is so already. */
const PROPAGATION = (1 << 17) | MS_PRIVATE | (1 << 19) | (1 << 20);
/** Of block devices: loop. */
const LOOP_MAJOR = 7;

/** mount(2). `source` is a device, or a path for MS_BIND and MS_MOVE. EPERM, ENODEV for a type that there is not, EINVAL. */
export function mount(system: System, source: string, target: string, type: string | undefined, flags = 0): void {
  const at = walk(system, AT_FDCWD, target);
  if (!capable(system.current.credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  if ((flags & MS_REMOUNT) !== 0) {
    if (at.dentry !== at.mount.root) refuse('EINVAL');
    const isReadOnly = (flags & MS_RDONLY) !== 0;
    if ((flags & MS_BIND) !== 0) at.mount.isReadOnly = isReadOnly;
    else at.mount.superblock.isReadOnly = isReadOnly;
    return;
  }
  if ((flags & MS_BIND) !== 0) {
    const from = walk(system, AT_FDCWD, source);
    attachMount(system, copyTree(system, from.mount, from.dentry, (flags & MS_REC) !== 0), at);
    return;
  }
  if ((flags & PROPAGATION) !== 0) {
    if (at.dentry !== at.mount.root) refuse('EINVAL');
    return;
  }
  if ((flags & MS_MOVE) !== 0) {
    const from = walk(system, AT_FDCWD, source);
    if (from.dentry !== from.mount.root) refuse('EINVAL');
    moveMount(system, from.mount, at);
    return;
  }
  const known = type === undefined ? refuse('EINVAL') : MOUNTABLE.get(type);
  if (known === undefined) refuse('ENODEV');
  const superblock = makeSuperblock(system, known, {
    isReadOnly: (flags & MS_RDONLY) !== 0,
    ...(known.isOnDisk && { device: (LOOP_MAJOR << 8) | freeLoop(system) }),
  });
  mountSuperblock(system, superblock, source, target);
}

/** Puts a file system that is made already at a place. */
export function mountSuperblock(system: System, superblock: Superblock, source: string, target: string): void {
  const at = walk(system, AT_FDCWD, target);
  attachMount(system, newMount(system, superblock, superblock.root, source), at);
}

function freeLoop(system: System): number {
  let minor = 0;
  const isTaken = (number: number) =>
    [...system.files.superblocks].some(({ device }) => device === ((LOOP_MAJOR << 8) | number));
  while (isTaken(minor)) minor++;
  return minor;
}

/** umount2(2). */
export function umount(system: System, target: string, flags = 0): void {
  unmount(system, walk(system, AT_FDCWD, target, { follows: (flags & UMOUNT_NOFOLLOW) === 0 }), flags);
}
