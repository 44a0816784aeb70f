// What the seam tells of files, in its terms: statuses, handles, whole files and directories.

import { AT_HANDLE_MNT_ID_UNIQUE } from '../../abi/fcntl.ts';
import { handleFromStruct, handleToStruct } from '../../abi/handle.ts';
import type { DirectoryEntry, FileStatus, NamedHandle } from '../../kernel/kernel.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../files/flags.ts';
import { nameToHandle, openByHandle } from '../files/handle.ts';
import type { FileType, ListedEntry } from '../files/objects.ts';
import { open } from '../files/open.ts';
import { read } from '../files/read-write.ts';
import { readdir } from '../files/readdir.ts';
import { type Status, stat } from '../files/status.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { close } from '../tasks/descriptors.ts';
import type { Blocking } from '../wait.ts';

/** As much as the seam over Linux asks for. */
const CHUNK_BYTES = 16_384;
const TYPES: Readonly<Record<FileType, DirectoryEntry['type']>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  fifo: 'other',
  socket: 'other',
  device: 'other',
  anonymous: 'unknown',
};

export function statAt(system: System, dirfd: number, path: string, flags: number): FileStatus {
  return statusOf(stat(system, path, flags, dirfd));
}

function statusOf({ device, inode, mode, links, sizeBytes }: Status): FileStatus {
  const { number, uid, gid, mtimeNs, ctimeNs, btimeNs, superblock } = inode;
  return {
    dev: BigInt(device),
    ino: BigInt(number),
    mode,
    nlink: links,
    uid,
    gid,
    sizeBytes: BigInt(sizeBytes),
    mtimeNs,
    ctimeNs,
    // proc and the like do not tell.
    btimeNs: superblock.type.isWritable ? btimeNs : 0n,
  };
}

export function nameToHandleAt(system: System, dirfd: number, path: string, flags: number): NamedHandle {
  const { handle, mount } = nameToHandle(system, dirfd, path, flags);
  const bytes = Buffer.from(handle.bytes);
  return {
    handle: handleToStruct({ type: handle.type, bytes }),
    mountId: (flags & AT_HANDLE_MNT_ID_UNIQUE) !== 0 ? mount.uniqueId : mount.id,
  };
}

export function openByHandleAt(system: System, mountFd: number, handle: Uint8Array, flags: number): Blocking<number> {
  // handle_bytes says how much of what follows counts.
  const view = new DataView(handle.buffer, handle.byteOffset, handle.byteLength);
  if (handle.byteLength < 8 || view.getUint32(0, true) > handle.byteLength - 8) refuse('EINVAL');
  return openByHandle(system, mountFd, handleFromStruct(Buffer.from(handle)), flags);
}

/** All that is left of an open file. */
export function* readToEnd(system: System, fd: number): Blocking<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const bytes = yield* read(system, fd, chunk);
    if (bytes === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, bytes));
  }
}

/** Everything in a directory, in its order. */
export function* readWholeDirectory(system: System, path: string): Blocking<DirectoryEntry[]> {
  const fd = yield* open(system, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return yield* closing(system, fd, wholeDirectory(system, fd));
}

function* wholeDirectory(system: System, fd: number): Blocking<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const next = yield* readEntries(system, fd);
    if (next === undefined) return entries;
    entries.push(...next);
  }
}

/** Closes a descriptor after what was to be done, or what it failed with; but not of whoever is killed meanwhile: its end closes it, in its turn. */
export function* closing<T>(system: System, fd: number, call: Blocking<T>): Blocking<T> {
  let result: T;
  try {
    result = yield* call;
  } catch (error) {
    close(system, fd);
    throw error;
  }
  close(system, fd);
  return result;
}

/** What getdents(2) gives next; undefined at the end. */
export function* readEntries(system: System, fd: number, only?: 'directories'): Blocking<DirectoryEntry[] | undefined> {
  const listed = yield* readdir(system, fd);
  if (listed.length === 0) return undefined;
  return listed.filter((entry) => isWanted(entry, only)).map(toldOf);
}

function isWanted({ name, type }: ListedEntry, only: 'directories' | undefined): boolean {
  if (name === '.' || name === '..') return false;
  return only === undefined || type === 'directory' || type === 'anonymous';
}

function toldOf({ name, type }: ListedEntry): DirectoryEntry {
  return { name: Buffer.from(name, 'latin1'), type: TYPES[type] };
}
