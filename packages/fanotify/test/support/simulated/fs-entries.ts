// The part of node:fs that makes, removes, names and lists entries of directories, on the simulated machine.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { chmod, chown, fchmod, fchown, futimes, utimes } from '../../../src/simulated/files/attributes.ts';
import { link, mkdir, symlink } from '../../../src/simulated/files/create.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../../src/simulated/files/flags.ts';
import type { ListedEntry } from '../../../src/simulated/files/objects.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { readdir } from '../../../src/simulated/files/readdir.ts';
import { rmdir, unlink } from '../../../src/simulated/files/remove.ts';
import { rename } from '../../../src/simulated/files/rename.ts';
import { stat } from '../../../src/simulated/files/status.ts';
import { closing } from '../../../src/simulated/seam/looking.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';
import { type EncodingOption, encodingOf } from './fs-files.ts';
import { machine } from './machine.ts';
import { attempt, machinePath, type PathLike } from './node-error.ts';
import { Entry } from './stats.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const NS_PER_S = 1e9;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

interface MakeOptions {
  readonly recursive?: boolean;
  readonly mode?: number;
}

/** @returns With `recursive`, the first directory that it has made. */
export function mkdirSync(path: PathLike, options: MakeOptions | number = {}): string | undefined {
  const { recursive = false, mode = 0o777 } = typeof options === 'number' ? { mode: options } : options;
  if (recursive) return makeAll(textOf(path).replace(/(.)\/+$/, '$1'), mode, path);
  attempt('mkdir', () => mkdir(machine, machinePath(path), mode), path);
  return undefined;
}

/** MKDirpSync of node_file.cc: from the end upwards until something is there. */
function makeAll(path: string, mode: number, asked: PathLike): string | undefined {
  try {
    attempt('mkdir', () => mkdir(machine, machinePath(path), mode), asked);
    return path;
  } catch (error) {
    const code = codeOf(error);
    const parent = join(path, '..');
    if (code === 'ENOENT' && parent !== path) {
      const first = makeAll(parent, mode, asked);
      return makeAll(path, mode, asked) === undefined ? first : (first ?? path);
    }
    if (code === 'EEXIST' && isDirectory(path)) return undefined;
    throw error;
  }
}

function isDirectory(path: PathLike, flags = 0): boolean {
  return (attempt('stat', () => stat(machine, machinePath(path), flags), path).mode & S_IFMT) === S_IFDIR;
}

export function mkdtempSync(prefix: string): string {
  for (;;) {
    const path = prefix + [...randomBytes(6)].map((byte) => LETTERS[byte % LETTERS.length]).join('');
    try {
      attempt('mkdtemp', () => mkdir(machine, machinePath(path), 0o700), `${prefix}XXXXXX`);
      return path;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  }
}

interface ListOptions {
  readonly encoding?: BufferEncoding | 'buffer' | null;
  readonly withFileTypes?: boolean;
  readonly recursive?: boolean;
}

/** scandir(3) puts them in order. */
export function readdirSync(path: PathLike, options?: ListOptions | EncodingOption): (string | Buffer | Entry)[] {
  const { withFileTypes = false, recursive = false } =
    typeof options === 'object' ? ((options ?? {}) as ListOptions) : {};
  const asBytes = encodingOf(options as EncodingOption) === 'buffer';
  const listed = attempt('scandir', () => listing(machinePath(path)), path);
  const told: (string | Buffer | Entry)[] = [];
  for (const { name, type } of listed) {
    const bytes = Buffer.from(name, 'latin1');
    const shown = asBytes ? bytes : bytes.toString();
    told.push(withFileTypes ? new Entry(shown, textOf(path), type) : shown);
    if (!recursive || type !== 'directory') continue;
    for (const below of readdirSync(join(textOf(path), bytes.toString()), options)) {
      told.push(below instanceof Entry ? below : join(bytes.toString(), String(below)));
    }
  }
  return told;
}

function* listing(path: string): Blocking<ListedEntry[]> {
  const fd = yield* open(machine, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const entries = yield* closing(machine, fd, whole(fd));
  return entries.filter(({ name }) => name !== '.' && name !== '..').sort((a, b) => (a.name < b.name ? -1 : 1));
}

function* whole(fd: number): Blocking<ListedEntry[]> {
  const entries: ListedEntry[] = [];
  for (;;) {
    const next = yield* readdir(machine, fd);
    if (next.length === 0) return entries;
    entries.push(...next);
  }
}

export function rmdirSync(path: PathLike): void {
  attempt('rmdir', () => rmdir(machine, machinePath(path)), path);
}

export function unlinkSync(path: PathLike): void {
  attempt('unlink', () => unlink(machine, machinePath(path)), path);
}

interface RemoveOptions {
  readonly recursive?: boolean;
  readonly force?: boolean;
}

export function rmSync(path: PathLike, { recursive = false, force = false }: RemoveOptions = {}): void {
  let isOne: boolean;
  try {
    const { mode } = attempt('lstat', () => stat(machine, machinePath(path), AT_SYMLINK_NOFOLLOW), path);
    isOne = (mode & S_IFMT) !== S_IFDIR;
  } catch (error) {
    if (force && codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if (isOne) unlinkSync(path);
  else if (recursive) removeTree(Buffer.from(machinePath(path), 'latin1'));
  else
    throw Object.assign(new Error(`Path is a directory: rm returned EISDIR ${textOf(path)}`), {
      code: 'ERR_FS_EISDIR',
    });
}

/** rimraf of lib/internal/fs/rimraf.js: rmdir first, and what is in it when that fails. */
function removeTree(path: Buffer): void {
  if (!isDirectory(path, AT_SYMLINK_NOFOLLOW)) {
    unlinkSync(path);
    return;
  }
  try {
    rmdirSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOTEMPTY') throw error;
    for (const name of readdirSync(path, 'buffer')) removeTree(Buffer.concat([path, Buffer.from('/'), name as Buffer]));
    rmdirSync(path);
  }
}

export function renameSync(path: PathLike, to: PathLike): void {
  attempt('rename', () => rename(machine, machinePath(path), machinePath(to)), path, to);
}

export function linkSync(path: PathLike, to: PathLike): void {
  attempt('link', () => link(machine, machinePath(path), machinePath(to)), path, to);
}

export function symlinkSync(target: PathLike, path: PathLike): void {
  attempt('symlink', () => symlink(machine, machinePath(target), machinePath(path)), target, path);
}

export function chmodSync(path: PathLike, mode: number): void {
  attempt('chmod', () => chmod(machine, machinePath(path), mode), path);
}

export function fchmodSync(fd: number, mode: number): void {
  attempt('fchmod', () => fchmod(machine, fd, mode));
}

export function chownSync(path: PathLike, uid: number, gid: number): void {
  attempt('chown', () => chown(machine, machinePath(path), uid, gid), path);
}

export function lchownSync(path: PathLike, uid: number, gid: number): void {
  attempt('lchown', () => chown(machine, machinePath(path), uid, gid, AT_SYMLINK_NOFOLLOW), path);
}

export function fchownSync(fd: number, uid: number, gid: number): void {
  attempt('fchown', () => fchown(machine, fd, uid, gid));
}

type Time = number | string | Date;

export function utimesSync(path: PathLike, access: Time, modification: Time): void {
  attempt('utime', () => utimes(machine, machinePath(path), timeOf(access), timeOf(modification)), path);
}

export function lutimesSync(path: PathLike, access: Time, modification: Time): void {
  const times = [timeOf(access), timeOf(modification)] as const;
  attempt('lutime', () => utimes(machine, machinePath(path), ...times, AT_SYMLINK_NOFOLLOW), path);
}

export function futimesSync(fd: number, access: Time, modification: Time): void {
  attempt('futime', () => futimes(machine, fd, timeOf(access), timeOf(modification)));
}

/** Node's are in seconds since 1970, of which it keeps microseconds. */
function timeOf(time: Time): bigint {
  const seconds = time instanceof Date ? time.getTime() / 1000 : Number(time);
  return BigInt(Math.round(seconds * 1e6)) * BigInt(NS_PER_S / 1e6);
}

function textOf(path: PathLike): string {
  return Buffer.from(machinePath(path), 'latin1').toString();
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
