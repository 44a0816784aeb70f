// open(2) and what is like it (fs/namei.c path_openat): which file is meant, made if asked for, permitted, opened, emptied.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { installDescriptor, reserveDescriptor, unreserveDescriptor } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import { makeEntry, makeUnnamed } from './create.ts';
import {
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TMPFILE_ALONE,
  O_TRUNC,
  RESOLVE_CACHED,
} from './flags.ts';
import type { OpenFile, Path } from './objects.ts';
import { closeFile, openFileOf } from './open-file.ts';
import { isOwnerOrCapable, MAY_EXEC, MAY_READ, MAY_WRITE, requirePermission } from './permission.ts';
import { truncateInode } from './truncate.ts';
import { Walker, walk } from './walk.ts';

const O_PATH_FLAGS = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;

/** openat(2); with `resolve`, openat2(2). Returns a descriptor. `mode` is of a file that it makes, before the umask. */
export function* open(
  system: System,
  dirfd: number,
  path: string,
  flags: number,
  mode = 0,
  resolve?: number,
): Blocking<number> {
  const asked = checkedFlags(flags, resolve);
  if (path === '') refuse('ENOENT');
  const fd = reserveDescriptor(system);
  let file: OpenFile | undefined;
  try {
    file = yield* openFile(system, dirfd, path, asked, mode, resolve ?? 0, false);
    installDescriptor(system, fd, file, (flags & O_CLOEXEC) !== 0);
    return fd;
  } finally {
    // Refused, or ended on the way.
    if (file === undefined) unreserveDescriptor(system, fd);
  }
}

/** build_open_flags. EINVAL for what does not go together. */
function checkedFlags(flags: number, resolve: number | undefined): number {
  if ((flags & O_PATH) !== 0) {
    if (resolve !== undefined && (flags & ~O_PATH_FLAGS) !== 0) refuse('EINVAL');
    return flags & O_PATH_FLAGS;
  }
  if ((flags & (O_DIRECTORY | O_CREAT)) === (O_DIRECTORY | O_CREAT)) refuse('EINVAL');
  if ((flags & O_TMPFILE_ALONE) !== 0) {
    if ((flags & O_TMPFILE) !== O_TMPFILE || (flags & O_ACCMODE) === O_RDONLY) refuse('EINVAL');
  }
  if (
    resolve !== undefined &&
    (resolve & RESOLVE_CACHED) !== 0 &&
    (flags & (O_TRUNC | O_CREAT | O_TMPFILE_ALONE)) !== 0
  ) {
    refuse('EAGAIN');
  }
  return flags;
}

/** do_filp_open: an open file with one reference. `isExec` is that of execve(2). */
export function* openFile(
  system: System,
  dirfd: number,
  path: string,
  flags: number,
  mode: number,
  resolve: number,
  isExec: boolean,
): Blocking<OpenFile> {
  const follows = (flags & O_NOFOLLOW) === 0 && (flags & (O_CREAT | O_EXCL)) !== (O_CREAT | O_EXCL);
  const onlyDirectory = (flags & O_DIRECTORY) !== 0;
  if ((flags & O_TMPFILE_ALONE) !== 0) {
    const directory = walk(system, dirfd, path, { follows: true, onlyDirectory: true, resolve });
    const file = yield* openFileOf(system, makeUnnamed(system, directory, mode), flags, false);
    return file;
  }
  if ((flags & O_CREAT) === 0) {
    const place = walk(system, dirfd, path, { follows, onlyDirectory, resolve });
    return yield* openPlace(system, place, flags, false, isExec);
  }
  const { place, isNew } = locate(system, dirfd, path, mode, resolve, follows);
  return yield* openPlace(system, place, flags, isNew, isExec);
}

/** With O_CREAT: the file, made if there is none. Symlinks at the end are followed to where it may have to be made. */
function locate(
  system: System,
  dirfd: number,
  path: string,
  mode: number,
  resolve: number,
  follows: boolean,
): { readonly place: Path; readonly isNew: boolean } {
  const walker = new Walker(system, dirfd, path, resolve);
  walker.alongParents(path);
  for (;;) {
    if (walker.kind !== 'normal') {
      walker.finish(true);
      return { place: walker.here(), isNew: false };
    }
    if (walker.hasTrailingSlash) refuse('EISDIR');
    const child = walker.lookup();
    if (child === undefined) {
      const dentry = makeEntry(system, walker.here(), walker.last, 'file', { mode });
      return { place: { mount: walker.mount, dentry }, isNew: true };
    }
    if (child.inode.type !== 'symlink' || !follows) {
      walker.enter(child, false);
      return { place: walker.here(), isNew: false };
    }
    walker.alongSymlink(child);
  }
}

/** do_open: what a path or a handle has led to. */
export function* openPlace(
  system: System,
  place: Path,
  flags: number,
  isNew: boolean,
  isExec: boolean,
): Blocking<OpenFile> {
  const { inode } = place.dentry;
  if ((flags & O_PATH) !== 0) return yield* openFileOf(system, place, flags, false);
  if ((flags & O_CREAT) !== 0 && !isNew) {
    if ((flags & O_EXCL) !== 0) refuse('EEXIST');
    if (inode.type === 'directory') refuse('EISDIR');
  }
  const truncates = (flags & O_TRUNC) !== 0 && !isNew && inode.type === 'file';
  if (truncates && (place.mount.isReadOnly || inode.superblock.isReadOnly)) refuse('EROFS');
  if (!isNew) requireOpening(system, place, flags, isExec);
  const file = yield* openFileOf(system, place, flags, isExec);
  if (truncates) {
    try {
      if (inode.executing > 0) refuse('ETXTBSY');
      truncateInode(system, place.dentry, 0);
    } catch (error) {
      closeFile(system, file);
      throw error;
    }
  }
  return file;
}

/** may_open. */
function requireOpening(system: System, { dentry: { inode } }: Path, flags: number, isExec: boolean): void {
  const access = flags & O_ACCMODE;
  let wanted = access === O_RDONLY ? MAY_READ : access === 1 ? MAY_WRITE : MAY_READ | MAY_WRITE;
  if ((flags & O_TRUNC) !== 0) wanted |= MAY_WRITE;
  if (isExec) wanted = MAY_EXEC;
  if (inode.type === 'symlink') refuse('ELOOP');
  if (inode.type === 'directory') {
    if ((wanted & MAY_WRITE) !== 0) refuse('EISDIR');
    if (isExec) refuse('EACCES');
  } else if (inode.type !== 'file' && isExec) refuse('EACCES');
  requirePermission(system, inode, wanted);
  if ((flags & O_NOATIME) !== 0 && !isOwnerOrCapable(system, inode)) refuse('EPERM');
}
