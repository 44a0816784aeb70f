// read(2), write(2), pread(2), pwrite(2), lseek(2) (fs/read_write.c): bytes of an open file.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { fileOf } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';
import { readContent, writeContent } from './content.ts';
import { O_APPEND, O_NONBLOCK } from './flags.ts';
import type { OpenFile } from './objects.ts';
import { isReadable, isWritable } from './open-file.ts';
import { readPipe, writePipe } from './pipe.ts';
import { removePrivileges, touch } from './truncate.ts';

/** read(2), or with `offset` pread(2). Returns the number of bytes. */
export function* read(system: System, fd: number, buffer: Uint8Array, offset?: number): Blocking<number> {
  if (offset !== undefined && offset < 0) refuse('EINVAL');
  const file = fileOf(system, fd);
  if (offset !== undefined) requireSeekable(file);
  return yield* readFile(system, file, buffer, offset);
}

/** vfs_read. Asks FAN_ACCESS_PERM and FAN_PRE_ACCESS, and tells FAN_ACCESS when there was something to read. */
export function* readFile(system: System, file: OpenFile, buffer: Uint8Array, offset?: number): Blocking<number> {
  if (!isReadable(file)) refuse('EBADF');
  const { operations, quiet } = file;
  if (operations !== undefined && operations.read === undefined) refuse('EINVAL');
  if (quiet !== 'all') {
    const held = system.fsnotify.areaPermission(file, 'read', offset ?? file.offset, buffer.length);
    if (held !== undefined) yield* held;
  }
  // Of what has records, as a group, no kernel gives a part.
  const wanted = operations === undefined ? system.faults.shortened(buffer.length) : buffer.length;
  const into = wanted === buffer.length ? buffer : buffer.subarray(0, wanted);
  let count: number;
  const { inode } = file.path.dentry;
  if (operations?.read !== undefined) count = yield* operations.read(into, isBlocking(file));
  else if (inode.type === 'file' && inode.operations === undefined) {
    const at = offset ?? file.offset;
    count = readContent(inode, into, at);
    if (offset === undefined) file.offset = at + count;
  } else if (inode.pipe !== undefined) count = yield* readPipe(system, inode.pipe, into, isBlocking(file));
  else count = readGenerated(system, file, into, offset);
  if (count > 0 && quiet !== 'all') system.fsnotify.accessed(file);
  return count;
}

function isBlocking({ flags }: OpenFile): boolean {
  return (flags & O_NONBLOCK) === 0;
}

function readGenerated(system: System, file: OpenFile, into: Uint8Array, offset: number | undefined): number {
  const { inode } = file.path.dentry;
  if (inode.type === 'directory') refuse('EISDIR');
  const generate = inode.operations?.read;
  if (generate === undefined) refuse('EINVAL');
  const at = offset ?? file.offset;
  if (at === 0 || file.generated === undefined) file.generated = generate(system);
  const part = file.generated.subarray(at, at + into.length);
  into.set(part);
  if (offset === undefined) file.offset = at + part.length;
  return part.length;
}

function requireSeekable(file: OpenFile): void {
  if (file.operations !== undefined || file.path.dentry.inode.pipe !== undefined) refuse('ESPIPE');
}

/** write(2), or with `offset` pwrite(2). Returns the number of bytes. */
export function* write(system: System, fd: number, bytes: Uint8Array, offset?: number): Blocking<number> {
  if (offset !== undefined && offset < 0) refuse('EINVAL');
  const file = fileOf(system, fd);
  if (offset !== undefined) requireSeekable(file);
  return yield* writeFile(system, file, bytes, offset);
}

/** vfs_write. Asks FAN_PRE_ACCESS, and tells FAN_MODIFY unless nothing was to be written. */
export function* writeFile(system: System, file: OpenFile, bytes: Uint8Array, offset?: number): Blocking<number> {
  if (!isWritable(file)) refuse('EBADF');
  const { operations, quiet } = file;
  if (operations !== undefined && operations.write === undefined) refuse('EINVAL');
  if (quiet !== 'all') {
    const held = system.fsnotify.areaPermission(file, 'write', offset ?? file.offset, bytes.length);
    if (held !== undefined) yield* held;
  }
  const wanted = operations === undefined ? system.faults.shortened(bytes.length) : bytes.length;
  const from = wanted === bytes.length ? bytes : bytes.subarray(0, wanted);
  let count: number;
  const { inode } = file.path.dentry;
  if (operations?.write !== undefined) count = yield* operations.write(from, isBlocking(file));
  else if (inode.pipe !== undefined) count = yield* writePipe(system, inode.pipe, from, isBlocking(file));
  else if (inode.operations !== undefined) {
    if (inode.operations.write === undefined) refuse('EINVAL');
    inode.operations.write(system, from);
    count = from.length;
  } else count = writeRegular(system, file, from, offset);
  if (count > 0 && quiet !== 'all') system.fsnotify.modified(file);
  return count;
}

function writeRegular(system: System, file: OpenFile, bytes: Uint8Array, offset: number | undefined): number {
  const { dentry } = file.path;
  const { inode } = dentry;
  if (inode.type === 'directory') refuse('EINVAL');
  // generic_write_checks: not even O_APPEND counts then.
  if (bytes.length === 0) return 0;
  const at = (file.flags & O_APPEND) !== 0 ? inode.size : (offset ?? file.offset);
  removePrivileges(system, dentry);
  writeContent(inode, bytes, at);
  touch(system, inode);
  if (offset === undefined) file.offset = at + bytes.length;
  return bytes.length;
}

const SEEK_SET = 0;
const SEEK_CUR = 1;
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** lseek(2). Returns the new offset. ESPIPE for a pipe or socket. */
export function lseek(system: System, fd: number, offset: number, whence: number = SEEK_SET): number {
  const file = fileOf(system, fd);
  const { inode } = file.path.dentry;
  if (file.operations !== undefined) return file.operations.label.startsWith('anon_inode') ? 0 : refuse('ESPIPE');
  if (inode.pipe !== undefined) refuse('ESPIPE');
  // Positions in a directory mean nothing to anybody but its file system.
  if (inode.type === 'directory' && whence > SEEK_CUR) refuse('EINVAL');
  const to = target(file, offset, whence, inode.size);
  if (to < 0) refuse('EINVAL');
  file.offset = to;
  return to;
}

function target(file: OpenFile, offset: number, whence: number, size: number): number {
  switch (whence) {
    case SEEK_SET:
      return offset;
    case SEEK_CUR:
      return file.offset + offset;
    case SEEK_END:
      return size + offset;
    case SEEK_DATA:
    case SEEK_HOLE:
      if (offset < 0 || offset >= size) refuse('ENXIO');
      return whence === SEEK_DATA ? offset : size;
    default:
      return refuse('EINVAL');
  }
}
