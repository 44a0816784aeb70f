// Mounts (fs/namespace.c): a file system's tree, or a part of it, at a place. Busy while used; once detached, gone with its last use.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { isBelow, release } from './dentry.ts';
import type { Dentry, Mount, MountNamespace, Path, Superblock } from './objects.ts';
import { capable } from './permission.ts';

export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const MNT_EXPIRE = 4;
export const UMOUNT_NOFOLLOW = 8;

/** A mount that is nowhere yet. */
export function newMount(system: System, superblock: Superblock, root: Dentry, source: string): Mount {
  let id = 1;
  while (system.files.mounts.has(id)) id++;
  const mount: Mount = {
    id,
    uniqueId: system.files.nextMountUniqueId++,
    superblock,
    root,
    namespace: undefined,
    parent: undefined,
    mountpoint: undefined,
    children: new Set(),
    isReadOnly: false,
    references: 0,
    source,
    isGone: false,
    connector: undefined,
  };
  root.references++;
  superblock.mounts++;
  system.files.mounts.set(id, mount);
  return mount;
}

/** The mount that is on this place, if any. */
export function mountOn(mount: Mount, dentry: Dentry): Mount | undefined {
  if (dentry.mountpoints === 0) return undefined;
  for (const child of mount.children) if (child.mountpoint === dentry) return child;
  return undefined;
}

/** Whether the namespace of the one who asks has a mount there: is_local_mountpoint. */
export function isLocalMountpoint(system: System, dentry: Dentry): boolean {
  if (dentry.mountpoints === 0) return false;
  const { mountNamespace } = system.current;
  for (const mount of system.files.mounts.values()) {
    if (mount.mountpoint === dentry && mount.namespace === mountNamespace) return true;
  }
  return false;
}

function place(mount: Mount, { mount: parent, dentry }: Path): void {
  mount.parent = parent;
  mount.mountpoint = dentry;
  parent.children.add(mount);
  dentry.mountpoints++;
  dentry.references++;
}

function unplace(system: System, mount: Mount): void {
  const { parent, mountpoint } = mount;
  mount.parent = undefined;
  mount.mountpoint = undefined;
  parent?.children.delete(mount);
  if (mountpoint === undefined) return;
  mountpoint.mountpoints--;
  release(system, mountpoint);
}

/** All of a tree of mounts, parents first. */
function treeOf(mount: Mount): Mount[] {
  return [mount, ...[...mount.children].flatMap(treeOf)];
}

/**
 * Puts a tree of mounts at a place, which a walk has gone to the top of; tells FAN_MNT_ATTACH of each. Where it cannot be put nothing is left
 * of it.
 */
export function attachMount(system: System, mount: Mount, at: Path): void {
  let namespace: MountNamespace;
  try {
    namespace = namespaceFor(mount, at);
  } catch (error) {
    detachTree(system, mount);
    throw error;
  }
  place(mount, at);
  const tree = treeOf(mount);
  for (const each of tree) each.namespace = namespace;
  namespace.changes++;
  for (const each of tree) system.fsnotify.mountAttached(namespace, each);
  system.readiness.changed();
}

function namespaceFor(mount: Mount, { mount: below, dentry }: Path): MountNamespace {
  if (below.namespace === undefined) refuse('EINVAL');
  if ((dentry.inode.type === 'directory') !== (mount.root.inode.type === 'directory')) refuse('ENOTDIR');
  if (dentry.inode.isDead || dentry.isGone) refuse('ENOENT');
  return below.namespace;
}

/** A copy of a mount, from `root` on, with those below it if `isRecursive`: nowhere yet (copy_tree). */
export function copyTree(system: System, mount: Mount, root: Dentry, isRecursive: boolean): Mount {
  const copy = newMount(system, mount.superblock, root, mount.source);
  copy.isReadOnly = mount.isReadOnly;
  if (!isRecursive) return copy;
  for (const child of mount.children) {
    const { mountpoint } = child;
    if (mountpoint === undefined || !isBelow(mountpoint, root)) continue;
    place(copyTree(system, child, child.root, true), { mount: copy, dentry: mountpoint });
  }
  return copy;
}

/** MS_MOVE. */
export function moveMount(system: System, mount: Mount, to: Path): void {
  const { namespace } = mount;
  if (namespace === undefined || mount.parent === undefined || to.mount.namespace !== namespace) refuse('EINVAL');
  for (let at: Mount | undefined = to.mount; at !== undefined; at = at.parent) if (at === mount) refuse('ELOOP');
  if ((to.dentry.inode.type === 'directory') !== (mount.root.inode.type === 'directory')) refuse('ENOTDIR');
  unplace(system, mount);
  place(mount, to);
  namespace.changes++;
  system.fsnotify.mountMoved(namespace, mount);
  system.readiness.changed();
}

/** umount2(2) of what a walk has led to. EINVAL unless it is the root of a mount; EBUSY while it is used. */
export function unmount(system: System, at: Path, flags: number): void {
  const { mount } = at;
  const { mountNamespace, credentials } = system.current;
  if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) refuse('EINVAL');
  if (!capable(credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
  if (at.dentry !== mount.root || mount.namespace !== mountNamespace) refuse('EINVAL');
  if (mount.parent === undefined) refuse((flags & MNT_DETACH) !== 0 ? 'EINVAL' : 'EBUSY');
  if ((flags & MNT_DETACH) === 0 && (mount.references > 0 || mount.children.size > 0)) refuse('EBUSY');
  detachTree(system, mount);
}

/** umount_tree: takes mounts away from their namespace; each goes for good with its last use. */
export function detachTree(system: System, mount: Mount): void {
  const { namespace } = mount;
  const tree = treeOf(mount);
  for (const each of tree) each.namespace = undefined;
  // Those that are used stay connected, as a lazily unmounted tree does for whoever is inside.
  unplace(system, mount);
  if (namespace !== undefined) {
    namespace.changes++;
    for (const each of tree) system.fsnotify.mountDetached(namespace, each);
  }
  for (const each of tree) {
    if (each.parent !== undefined) unplace(system, each);
    if (each.references === 0) endMount(system, each);
  }
  system.readiness.changed();
}

export function releaseMount(system: System, mount: Mount): void {
  if (--mount.references === 0 && mount.namespace === undefined && !mount.isGone) endMount(system, mount);
}

/** cleanup_mnt: for good. With the last mount the file system goes as well. */
function endMount(system: System, mount: Mount): void {
  mount.isGone = true;
  system.fsnotify.mountGone(mount);
  system.files.mounts.delete(mount.id);
  const { superblock } = mount;
  release(system, mount.root);
  if (--superblock.mounts > 0) return;
  superblock.isGone = true;
  system.fsnotify.superblockGone(superblock);
  system.files.superblocks.delete(superblock);
}

/** detach_mounts: what other namespaces have on a name that is removed. */
export function detachMountsOn(system: System, dentry: Dentry): void {
  if (dentry.mountpoints === 0) return;
  for (const mount of [...system.files.mounts.values()]) if (mount.mountpoint === dentry) detachTree(system, mount);
}

/** All mounts of a namespace, parents first, as mountinfo lists them. */
export function mountsOf(namespace: MountNamespace): Mount[] {
  return treeOf(namespace.root);
}
