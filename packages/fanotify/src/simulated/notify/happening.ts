// What fsnotify() is told: what happened, to what, and where. Made only once it is clear that some mark may hear it.

import type { Dentry, Inode, Mount, MountNamespace, Path, Superblock } from '../files/objects.ts';
import { ALL_EVENTS, CHILD_EVENTS, FAN_EVENT_ON_CHILD, FAN_ONDIR } from './bits.ts';

export interface Happening {
  /** FAN_*, FAN_ONDIR and FAN_EVENT_ON_CHILD included. */
  readonly mask: number;
  /** The object that it happened to; of changes of entries, what has the name. */
  readonly subject: Inode | undefined;
  /** Where, if it happened through a mount: else groups that report descriptors do not hear it. */
  readonly path: Path | undefined;
  /** Whose marks hear it as marks of the inode: the subject, or the directory whose entries have changed. */
  readonly inode: Inode | undefined;
  readonly superblock: Superblock | undefined;
  /** The directory that `name` is in. */
  readonly directory: Inode | undefined;
  readonly name: string | undefined;
  /** What was renamed, where it is now: of FAN_RENAME. */
  readonly moved: Dentry | undefined;
  readonly range: { readonly offset: number; readonly count: number } | undefined;
  readonly errno: number;
  /** A mount that came or went, and in which namespace. */
  readonly mount: Mount | undefined;
  readonly namespace: MountNamespace | undefined;
}

/** fsnotify_inode: of the object itself, whatever it is called. undefined: nobody hears it. */
export function ofInode(inode: Inode, mask: number): Happening | undefined {
  if ((mask & (maskOf(inode) | maskOf(inode.superblock)) & ALL_EVENTS) === 0) return undefined;
  return {
    mask: inode.type === 'directory' ? mask | FAN_ONDIR : mask,
    subject: inode,
    path: undefined,
    inode,
    superblock: inode.superblock,
    directory: undefined,
    name: undefined,
    moved: undefined,
    range: undefined,
    errno: 0,
    mount: undefined,
    namespace: undefined,
  };
}

/** fsnotify_name: a change of the entries of a directory. */
export function ofEntry(
  directory: Inode,
  name: string,
  subject: Inode,
  mask: number,
  moved: Dentry | undefined,
): Happening | undefined {
  const heard =
    maskOf(directory) | maskOf(directory.superblock) | (moved === undefined ? 0 : maskOf(moved.parent.inode));
  if ((mask & heard & ALL_EVENTS) === 0) return undefined;
  return {
    mask: subject.type === 'directory' ? mask | FAN_ONDIR : mask,
    subject,
    path: undefined,
    inode: directory,
    superblock: directory.superblock,
    directory,
    name,
    moved,
    range: undefined,
    errno: 0,
    mount: undefined,
    namespace: undefined,
  };
}

/**
 * fsnotify_parent: what happens to a dentry, which marks of its directory may hear too; and whoever reports directories and names wants
 * those, though it marks something else.
 */
export function ofDentry(
  dentry: Dentry,
  event: number,
  path: Path | undefined,
  range: Happening['range'],
): Happening | undefined {
  const { inode, parent } = dentry;
  const { superblock } = inode;
  const parentMask = parent === dentry ? 0 : maskOf(parent.inode);
  const parentWatches = (parentMask & FAN_EVENT_ON_CHILD) !== 0;
  const objects = maskOf(inode) | maskOf(superblock) | (path === undefined ? 0 : maskOf(path.mount));
  if (!parentWatches && (event & objects & ALL_EVENTS) === 0) return undefined;

  const isDirectory = inode.type === 'directory';
  // The name of a directory is of no interest but to its parent.
  const isNeeded = !isDirectory && parent !== dentry && (event & parentNeeded(inode, superblock, path)) !== 0;
  const isHeardByParent = parentWatches && (event & parentMask & CHILD_EVENTS) !== 0;
  if (!isHeardByParent && (event & objects & ALL_EVENTS) === 0) return undefined;
  const isNamed = isNeeded || isHeardByParent;
  return {
    mask: event | (isDirectory ? FAN_ONDIR : 0) | (isHeardByParent ? FAN_EVENT_ON_CHILD : 0),
    subject: inode,
    path,
    inode,
    superblock,
    directory: isNamed || parentWatches ? parent.inode : undefined,
    name: isNamed ? dentry.name : undefined,
    moved: undefined,
    range,
    errno: 0,
    mount: undefined,
    namespace: undefined,
  };
}

/** fsnotify_sb_error. */
export function ofFilesystem(
  superblock: Superblock,
  subject: Inode | undefined,
  mask: number,
  errno: number,
): Happening | undefined {
  if ((mask & maskOf(superblock)) === 0) return undefined;
  return {
    mask,
    subject,
    path: undefined,
    inode: undefined,
    superblock,
    directory: undefined,
    name: undefined,
    moved: undefined,
    range: undefined,
    errno,
    mount: undefined,
    namespace: undefined,
  };
}

/** fsnotify_mnt. */
export function ofMount(namespace: MountNamespace, mount: Mount, mask: number): Happening | undefined {
  if ((mask & maskOf(namespace)) === 0) return undefined;
  return {
    mask,
    subject: undefined,
    path: undefined,
    inode: undefined,
    superblock: undefined,
    directory: undefined,
    name: undefined,
    moved: undefined,
    range: undefined,
    errno: 0,
    mount,
    namespace,
  };
}

/** fsnotify_event_needs_parent: events that marks of the object, its mount or file system want with directory and name. */
function parentNeeded(inode: Inode, superblock: Superblock, path: Path | undefined): number {
  return (
    wantedWithParent(maskOf(inode)) |
    wantedWithParent(maskOf(superblock)) |
    (path === undefined ? 0 : wantedWithParent(maskOf(path.mount)))
  );
}

function wantedWithParent(mask: number): number {
  return (mask & FAN_EVENT_ON_CHILD) === 0 ? 0 : mask & CHILD_EVENTS;
}

/** What the marks of an object want to hear, all together. */
export function maskOf({ connector }: { readonly connector: { readonly mask: number } | undefined }): number {
  return connector === undefined ? 0 : connector.mask;
}
