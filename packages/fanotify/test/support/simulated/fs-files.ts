// The part of node:fs that opens, reads and writes files, on the simulated machine: the system calls are those that Node makes.

import { fchmod } from '../../../src/simulated/files/attributes.ts';
import { copyRange, sendfile } from '../../../src/simulated/files/copy.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../../../src/simulated/files/flags.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { read, write } from '../../../src/simulated/files/read-write.ts';
import { stat } from '../../../src/simulated/files/status.ts';
import { ftruncate } from '../../../src/simulated/files/truncate.ts';
import { refuse } from '../../../src/simulated/refusal.ts';
import { close, fileOf } from '../../../src/simulated/tasks/descriptors.ts';
import { machine } from './machine.ts';
import { attempt, machinePath, type PathLike } from './node-error.ts';

const FLAGS: Readonly<Record<string, number>> = {
  r: O_RDONLY,
  'r+': O_RDWR,
  w: O_WRONLY | O_CREAT | O_TRUNC,
  'w+': O_RDWR | O_CREAT | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
  'a+': O_RDWR | O_CREAT | O_APPEND,
};
const CHUNK_BYTES = 65_536;
const FICLONE_FORCE = 4;
const COPYFILE_EXCL = 1;

export type Data = string | NodeJS.ArrayBufferView;
export type Encoding = BufferEncoding | 'buffer' | null | undefined;
export type EncodingOption =
  | Encoding
  | { readonly encoding?: Encoding; readonly flag?: string; readonly mode?: number };

export function encodingOf(options: EncodingOption): Encoding {
  return typeof options === 'object' && options !== null ? options.encoding : options;
}

function flagsOf(flags: string | number): number {
  if (typeof flags === 'number') return flags;
  const isExclusive = flags.includes('x');
  const known = FLAGS[flags.replace('x', '').replace('s', '')];
  if (known === undefined) throw new TypeError(`the flags ${flags} are none that a test has asked for yet`);
  return known | (isExclusive ? O_EXCL : 0);
}

export function openSync(path: PathLike, flags: string | number = 'r', mode = 0o666): number {
  const wanted = flagsOf(flags) | O_CLOEXEC;
  return attempt('open', () => open(machine, AT_FDCWD, machinePath(path), wanted, mode), path);
}

export function closeSync(fd: number): void {
  attempt('close', () => close(machine, fd));
}

interface Part {
  readonly offset?: number;
  readonly length?: number;
  readonly position?: number | bigint | null;
}

function partOf(
  { byteLength }: NodeJS.ArrayBufferView,
  given: number | Part | null | undefined,
  length: number | null | undefined,
  position: number | bigint | null | undefined,
): { readonly start: number; readonly end: number; readonly at: number | undefined } {
  const part = typeof given === 'object' && given !== null ? given : { offset: given, length, position };
  const start = part.offset ?? 0;
  const at = part.position;
  const isAt = at !== null && at !== undefined && Number(at) >= 0;
  return { start, end: start + (part.length ?? byteLength - start), at: isAt ? Number(at) : undefined };
}

function bytesOf(view: NodeJS.ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export function readSync(
  fd: number,
  buffer: NodeJS.ArrayBufferView,
  offset?: number | Part | null,
  length?: number | null,
  position?: number | bigint | null,
): number {
  const { start, end, at } = partOf(buffer, offset, length, position);
  return attempt('read', () => read(machine, fd, bytesOf(buffer).subarray(start, end), at));
}

export function writeSync(
  fd: number,
  data: Data,
  offset?: number | Part | null,
  length?: number | BufferEncoding | null,
  position?: number | bigint | null,
): number {
  if (typeof data === 'string') {
    const at = typeof offset === 'number' ? offset : undefined;
    const encoding = typeof length === 'string' ? length : 'utf8';
    return attempt('write', () => write(machine, fd, Buffer.from(data, encoding), at));
  }
  const { start, end, at } = partOf(data, offset, typeof length === 'number' ? length : undefined, position);
  return attempt('write', () => write(machine, fd, bytesOf(data).subarray(start, end), at));
}

export function readFileSync(path: PathLike | number, options?: EncodingOption): string | Buffer {
  const fd = typeof path === 'number' ? path : openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const count = readSync(fd, chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
    }
    const whole = Buffer.concat(chunks);
    const encoding = encodingOf(options);
    return encoding && encoding !== 'buffer' ? whole.toString(encoding) : whole;
  } finally {
    if (typeof path !== 'number') closeSync(fd);
  }
}

interface WriteOptions {
  readonly encoding?: BufferEncoding | null;
  readonly flag?: string | number;
  readonly mode?: number;
}

export function writeFileSync(
  path: PathLike | number,
  data: Data,
  options: WriteOptions | BufferEncoding | null = {},
): void {
  const { encoding, flag = 'w', mode } = typeof options === 'string' ? { encoding: options } : (options ?? {});
  const bytes = typeof data === 'string' ? Buffer.from(data, encoding ?? 'utf8') : bytesOf(data);
  const fd = typeof path === 'number' ? path : openSync(path, flag, mode);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  } finally {
    if (typeof path !== 'number') closeSync(fd);
  }
}

export function appendFileSync(path: PathLike | number, data: Data, options?: WriteOptions | BufferEncoding): void {
  writeFileSync(path, data, { flag: 'a', ...(typeof options === 'string' ? { encoding: options } : options) });
}

export function ftruncateSync(fd: number, length = 0): void {
  attempt('ftruncate', () => ftruncate(machine, fd, length));
}

/** Node opens the file for it. */
export function truncateSync(path: PathLike | number, length = 0): void {
  if (typeof path === 'number') {
    ftruncateSync(path, length);
    return;
  }
  const fd = openSync(path, 'r+');
  try {
    ftruncateSync(fd, length);
  } finally {
    closeSync(fd);
  }
}

/** Nothing is kept from a disk here. */
export function fsyncSync(fd: number): void {
  attempt('fsync', () => void fileOf(machine, fd));
}

export function fdatasyncSync(fd: number): void {
  attempt('fdatasync', () => void fileOf(machine, fd));
}

/** uv__fs_copyfile. */
export function copyFileSync(path: PathLike, dest: PathLike, mode = 0): void {
  if ((mode & FICLONE_FORCE) !== 0) attempt('copyfile', () => refuse('EOPNOTSUPP'), path, dest);
  const exclusive = (mode & COPYFILE_EXCL) !== 0 ? O_EXCL : 0;
  const told = <T>(operation: Parameters<typeof attempt<T>>[1]) => attempt('copyfile', operation, path, dest);
  const from = told(() => open(machine, AT_FDCWD, machinePath(path), O_RDONLY | O_CLOEXEC));
  try {
    const { mode: bits, inode, sizeBytes } = told(() => stat(machine, '', AT_EMPTY_PATH, from));
    const flags = O_WRONLY | O_CREAT | O_CLOEXEC | exclusive;
    const to = told(() => open(machine, AT_FDCWD, machinePath(dest), flags, bits & 0o7777));
    try {
      const target = told(() => stat(machine, '', AT_EMPTY_PATH, to));
      if (target.inode === inode) return;
      told(() => ftruncate(machine, to, 0));
      told(() => fchmod(machine, to, bits & 0o7777));
      const isOnOne = inode.superblock === target.inode.superblock;
      for (let left = sizeBytes; left > 0; ) {
        const count = left;
        left -= told(() =>
          isOnOne
            ? copyRange(machine, from, undefined, to, undefined, count)
            : sendfile(machine, to, from, undefined, count),
        );
      }
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}
