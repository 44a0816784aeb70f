// struct file: how an open file description begins, is shared and ends (fs/open.c do_dentry_open, fs/file_table.c __fput).

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Blocking } from '../wait.ts';
import { release } from './dentry.ts';
import { O_ACCMODE, O_PATH, O_RDONLY } from './flags.ts';
import { breakLease, removeLeases } from './lease.ts';
import { releaseMount } from './mount.ts';
import type { Inode, OpenFile, Path, SpecialOperations } from './objects.ts';
import { openFifo, releaseFifo } from './pipe.ts';

export function isReadable({ flags }: OpenFile): boolean {
  return (flags & O_ACCMODE) !== 1 && (flags & O_PATH) === 0;
}

export function isWritable({ flags }: OpenFile): boolean {
  return (flags & O_ACCMODE) !== O_RDONLY && (flags & O_PATH) === 0;
}

/** An open file of a place, with one reference and not told to anybody yet. Keeps what it is of. */
function makeFile(path: Path, flags: number, operations: SpecialOperations | undefined): OpenFile {
  path.dentry.references++;
  path.mount.references++;
  if ((flags & O_PATH) === 0) path.dentry.inode.opens++;
  return {
    path,
    flags,
    offset: 0,
    quiet: 'none',
    references: 1,
    operations,
    generated: undefined,
    listing: undefined,
  };
}

/** What has no place in a file system: a group, a pidfd, a socket. It tells nothing to listeners (alloc_file_pseudo). */
export function makeSpecialFile(system: System, flags: number, operations: SpecialOperations, path?: Path): OpenFile {
  const { anonymous } = system.files;
  const file = makeFile(path ?? { mount: anonymous, dentry: anonymous.root }, flags, operations);
  file.quiet = 'all';
  return file;
}

/** vfs_open of a file that may be held by whoever decides: tells FAN_OPEN. ETXTBSY; EROFS; what a lease or the answer says. */
export function* openFileOf(system: System, path: Path, flags: number, isExec: boolean): Blocking<OpenFile> {
  const { inode } = path.dentry;
  if ((flags & O_PATH) !== 0) return openPlace(path, flags);
  if ((flags & O_ACCMODE) !== O_RDONLY) takeWriteAccess(inode, path);
  const file = makeFile(path, flags, undefined);
  let isOpen = false;
  try {
    const held = system.fsnotify.openPermission(file, isExec);
    if (held !== undefined) yield* held;
    if (inode.leases !== undefined) yield* breakLease(system, inode, flags);
    if (inode.type !== 'file' && inode.type !== 'directory') yield* openOther(system, file);
    isOpen = true;
  } finally {
    // Refused, or ended while it was held: nobody is told of a close.
    if (!isOpen) dropFile(system, file);
  }
  path.dentry.inode.operations?.open?.(system, file);
  system.fsnotify.opened(file, isExec);
  return file;
}

function openPlace(path: Path, flags: number): OpenFile {
  const file = makeFile(path, flags, undefined);
  file.quiet = 'all';
  return file;
}

/**
 * dentry_open with FMODE_NONOTIFY, as fanotify does for the descriptors of its events: nobody is asked or told. ETXTBSY and EROFS for
 * writing.
 */
export function openQuietly(path: Path, flags: number): OpenFile {
  if ((flags & O_ACCMODE) !== O_RDONLY && (flags & O_PATH) === 0) takeWriteAccess(path.dentry.inode, path);
  return openPlace(path, flags);
}

function takeWriteAccess(inode: Inode, path: Path): void {
  if (inode.type === 'fifo' || inode.type === 'socket' || inode.type === 'device') return;
  if (inode.executing > 0) refuse('ETXTBSY');
  if (path.mount.isReadOnly || inode.superblock.isReadOnly) refuse('EROFS');
  inode.writers++;
}

function* openOther(system: System, file: OpenFile): Blocking<void> {
  const { inode } = file.path.dentry;
  if (inode.type === 'fifo') yield* openFifo(system, inode, file);
  else if (inode.type === 'socket' || (inode.type === 'device' && inode.operations === undefined)) refuse('ENXIO');
}

/** One descriptor or mapping less; with the last, FAN_CLOSE_WRITE or FAN_CLOSE_NOWRITE, and what it kept goes. */
export function closeFile(system: System, file: OpenFile): void {
  if (--file.references > 0) return;
  if (file.quiet !== 'all') system.fsnotify.closed(file);
  file.operations?.release();
  dropFile(system, file);
}

/**
 * Several references given up in one system call, as an exit or exec does: what closes by that closes on its way out, the last first
 * (task_work_run).
 */
export function closeTogether(system: System, files: readonly OpenFile[]): void {
  const closing = files.filter((file) => {
    if (file.references === 1) return true;
    file.references--;
    return false;
  });
  for (const file of closing.reverse()) closeFile(system, file);
}

/** What an open file keeps, given back. */
function dropFile(system: System, file: OpenFile): void {
  const { path, flags } = file;
  const { inode } = path.dentry;
  if (inode.leases !== undefined) removeLeases(system, inode, file);
  if (inode.pipe !== undefined && file.operations === undefined) releaseFifo(system, inode, file);
  if ((flags & O_PATH) === 0) inode.opens--;
  if ((flags & O_ACCMODE) !== O_RDONLY && (flags & O_PATH) === 0 && file.operations === undefined) {
    if (inode.type === 'file' || inode.type === 'directory') inode.writers--;
  }
  file.references = 0;
  release(system, path.dentry);
  releaseMount(system, path.mount);
}
