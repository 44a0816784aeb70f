// getdents(2) (fs/readdir.c): what is in a directory, a buffer at a time.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import type { Dentry, ListedEntry } from './objects.ts';
import { isReadable } from './open-file.ts';

/** What glibc and Node ask with. */
const BUFFER_BYTES = 32_768;
/** struct linux_dirent64 before the name, and what each is a multiple of. */
const HEADER_BYTES = 19;
const ALIGNMENT_BYTES = 8;

/**
 * getdents64(2): "." and ".." first; empty at the end. Asks FAN_ACCESS_PERM and FAN_PRE_ACCESS, and tells FAN_ACCESS, each time, at the end
 * too. What is made after the first of these calls is not among them; what is gone by then is left out.
 */
export function* readdir(system: System, fd: number, bufferBytes = BUFFER_BYTES): Blocking<ListedEntry[]> {
  const file = fileOf(system, fd);
  const { dentry } = file.path;
  if (dentry.inode.type !== 'directory' || file.operations !== undefined) refuse('ENOTDIR');
  if (!isReadable(file)) refuse('EBADF');
  if (file.quiet !== 'all') {
    const held = system.fsnotify.areaPermission(file, 'readdir', 0, 0);
    if (held !== undefined) yield* held;
  }
  if (dentry.inode.isDead) refuse('ENOENT');
  if (file.offset === 0 || file.listing === undefined) file.listing = listingOf(system, dentry);
  const { listing } = file;
  const entries: ListedEntry[] = [];
  let left = bufferBytes;
  for (; file.offset < listing.length; file.offset++) {
    const entry = listing[file.offset];
    if (entry === undefined) break;
    if (entry.dentry !== undefined && (entry.dentry.isGone || entry.dentry.parent !== dentry)) continue;
    left -= Math.ceil((HEADER_BYTES + entry.name.length + 1) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    if (left < 0) {
      if (entries.length === 0) refuse('EINVAL');
      break;
    }
    entries.push(entry);
  }
  if (file.quiet !== 'all') system.fsnotify.accessed(file);
  return entries;
}

function listingOf(system: System, directory: Dentry): ListedEntry[] {
  const { operations, entries } = directory.inode;
  const listing: ListedEntry[] = [
    { name: '.', type: 'directory', dentry: undefined },
    { name: '..', type: 'directory', dentry: undefined },
  ];
  if (operations?.list !== undefined) {
    for (const { name, type } of operations.list(system, directory)) listing.push({ name, type, dentry: undefined });
    return listing;
  }
  for (const dentry of entries?.values() ?? []) listing.push({ name: dentry.name, type: dentry.inode.type, dentry });
  return listing;
}
