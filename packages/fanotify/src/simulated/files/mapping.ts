// mmap(2) (mm/mmap.c): bytes of a file as memory. It keeps the file open; what is read and written through it raises no events.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import type { Mapping } from '../tasks/task.ts';
import type { Blocking } from '../wait.ts';
import { readContent } from './content.ts';
import { O_ACCMODE, O_RDWR } from './flags.ts';
import { closeFile, isReadable } from './open-file.ts';
import { touch } from './truncate.ts';

export const PAGE_BYTES = 4096;

export interface MappingOptions {
  readonly isWritable?: boolean;
  /** MAP_SHARED: what is written goes to the file. */
  readonly isShared?: boolean;
}

/** mmap(2) of a file. Asks FAN_PRE_ACCESS of the whole range. EACCES, EINVAL, ENODEV. */
export function* map(
  system: System,
  fd: number,
  offset: number,
  count: number,
  { isWritable = false, isShared = false }: MappingOptions = {},
): Blocking<Mapping> {
  const file = fileOf(system, fd);
  if (count <= 0 || offset % PAGE_BYTES !== 0) refuse('EINVAL');
  // fsnotify_mmap_perm comes before the modes are looked at (vm_mmap_pgoff).
  if (file.quiet !== 'all') {
    const held = system.fsnotify.mapPermission(file, offset, count);
    if (held !== undefined) yield* held;
  }
  if (!isReadable(file)) refuse('EACCES');
  if (isShared && isWritable && (file.flags & O_ACCMODE) !== O_RDWR) refuse('EACCES');
  if (file.operations !== undefined || file.path.dentry.inode.type !== 'file') refuse('ENODEV');
  system.faults.at('memory');
  const mapping: Mapping = { file, offset, count, isWritable, isShared };
  file.references++;
  system.current.process.mappings.push(mapping);
  return mapping;
}

/** Looks at a byte of it. SIGBUS beyond the file's last page, which is told as EFAULT. */
export function touchMapping(mapping: Mapping, at: number): number {
  const byte = new Uint8Array(1);
  requireInside(mapping, at);
  readContent(mapping.file.path.dentry.inode, byte, mapping.offset + at);
  return byte[0] ?? 0;
}

/** Writes through it: no FAN_MODIFY, only the times change. What is beyond the end of the file is lost. */
export function writeMapping(system: System, mapping: Mapping, at: number, bytes: Uint8Array): void {
  requireInside(mapping, at);
  if (!mapping.isWritable) refuse('EFAULT');
  if (!mapping.isShared) return;
  const { inode } = mapping.file.path.dentry;
  const start = mapping.offset + at;
  const kept = bytes.subarray(0, Math.max(0, inode.size - start));
  if (inode.content.length < start + kept.length) {
    const grown = new Uint8Array(inode.size);
    grown.set(inode.content);
    inode.content = grown;
  }
  inode.content.set(kept, start);
  touch(system, inode);
}

function requireInside({ file, offset, count }: Mapping, at: number): void {
  const pages = Math.ceil(file.path.dentry.inode.size / PAGE_BYTES) * PAGE_BYTES;
  if (at < 0 || at >= count || offset + at >= pages) refuse('EFAULT');
}

/** munmap(2) of a whole mapping: with the last of the file's uses it is closed. */
export function unmap(system: System, mapping: Mapping): void {
  const { mappings } = system.current.process;
  const at = mappings.indexOf(mapping);
  if (at < 0) refuse('EINVAL');
  mappings.splice(at, 1);
  closeFile(system, mapping.file);
}
