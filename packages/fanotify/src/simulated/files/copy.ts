// copy_file_range(2) and sendfile(2) (fs/read_write.c): bytes from one open file to another, without a buffer of the caller's.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import { readContent, writeContent } from './content.ts';
import { O_APPEND } from './flags.ts';
import type { OpenFile } from './objects.ts';
import { isReadable, isWritable } from './open-file.ts';
import { writePipe } from './pipe.ts';
import { removePrivileges, touch } from './truncate.ts';

/** splice_direct_to_actor: a pipe's worth at a time. */
const PIPE_BYTES = 65_536;

/**
 * copy_file_range(2); without an offset, from or to where the file is. Asks FAN_ACCESS_PERM and FAN_PRE_ACCESS of the first file, then
 * FAN_PRE_ACCESS of the second; tells FAN_ACCESS and FAN_MODIFY when there was something to copy. Returns the number of bytes.
 */
export function* copyRange(
  system: System,
  from: number,
  fromOffset: number | undefined,
  to: number,
  toOffset: number | undefined,
  count: number,
): Blocking<number> {
  const [source, target] = [fileOf(system, from), fileOf(system, to)];
  const [sourceInode, targetInode] = [source.path.dentry.inode, target.path.dentry.inode];
  if (sourceInode.type === 'directory' || targetInode.type === 'directory') refuse('EISDIR');
  if (!isRegular(source) || !isRegular(target)) refuse('EINVAL');
  if (!isReadable(source) || !isWritable(target) || (target.flags & O_APPEND) !== 0) refuse('EBADF');
  // generic_copy_file_checks: within one file system alone.
  if (sourceInode.superblock !== targetInode.superblock) refuse('EXDEV');
  const [start, into] = [fromOffset ?? source.offset, toOffset ?? target.offset];
  if (start < 0 || into < 0) refuse('EINVAL');
  const most = Math.max(0, Math.min(count, sourceInode.size - start));
  if (sourceInode === targetInode && into < start + most && start < into + most) refuse('EINVAL');
  yield* ask(system, source, 'read', start, most);
  yield* ask(system, target, 'write', into, most);
  const copied = transfer(system, source, start, target, into, most);
  if (copied > 0) tell(system, source, target);
  if (fromOffset === undefined) source.offset = start + copied;
  if (toOffset === undefined) target.offset = into + copied;
  return copied;
}

/** sendfile(2) to a file or pipe; without an offset, from where the file is. As {@link copyRange}, but for an append. */
export function* sendfile(
  system: System,
  to: number,
  from: number,
  fromOffset: number | undefined,
  count: number,
): Blocking<number> {
  const source = fileOf(system, from);
  if (!isReadable(source)) refuse('EBADF');
  const sourceInode = source.path.dentry.inode;
  const isPipe = sourceInode.pipe !== undefined || source.operations !== undefined;
  if (isPipe && fromOffset !== undefined) refuse('ESPIPE');
  const start = fromOffset ?? source.offset;
  if (start < 0) refuse('EINVAL');
  yield* ask(system, source, 'read', start, count);
  const target = fileOf(system, to);
  if (!isWritable(target)) refuse('EBADF');
  const { pipe } = target.path.dentry.inode;
  let sent = 0;
  if (pipe !== undefined) {
    if (count > 0 && !isRegular(source)) refuse('EINVAL');
    const bytes = new Uint8Array(Math.max(0, Math.min(count, sourceInode.size - start)));
    const found = readContent(sourceInode, bytes, start);
    if (found > 0) sent = yield* writePipe(system, pipe, bytes.subarray(0, found), true);
    if (sent > 0) tell(system, source, target);
  } else {
    yield* ask(system, target, 'write', target.offset, count);
    if ((target.flags & O_APPEND) !== 0 || isPipe) refuse('EINVAL');
    if (count > 0 && !(isRegular(source) && isRegular(target))) refuse('EINVAL');
    // Of itself a file gives what it has got meanwhile, too.
    for (let moved = -1; sent < count && moved !== 0; sent += moved) {
      moved = transfer(system, source, start + sent, target, target.offset, Math.min(count - sent, PIPE_BYTES));
      target.offset += moved;
    }
    if (sent > 0) tell(system, source, target);
  }
  if (fromOffset === undefined) source.offset = start + sent;
  return sent;
}

function isRegular(file: OpenFile): boolean {
  return file.operations === undefined && file.path.dentry.inode.type === 'file';
}

function* ask(system: System, file: OpenFile, access: 'read' | 'write', offset: number, count: number): Blocking<void> {
  if (file.quiet === 'all') return;
  const held = system.fsnotify.areaPermission(file, access, offset, count);
  if (held !== undefined) yield* held;
}

function transfer(system: System, source: OpenFile, from: number, target: OpenFile, to: number, count: number): number {
  const bytes = new Uint8Array(Math.max(0, Math.min(count, source.path.dentry.inode.size - from)));
  const found = readContent(source.path.dentry.inode, bytes, from);
  if (found === 0) return 0;
  const { dentry } = target.path;
  removePrivileges(system, dentry);
  writeContent(dentry.inode, bytes.subarray(0, found), to);
  touch(system, dentry.inode);
  return found;
}

function tell(system: System, source: OpenFile, target: OpenFile): void {
  if (source.quiet !== 'all') system.fsnotify.accessed(source);
  if (target.quiet !== 'all') system.fsnotify.modified(target);
}
