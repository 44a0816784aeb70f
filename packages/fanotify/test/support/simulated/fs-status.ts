// The part of node:fs that looks at what is there, on the simulated machine.

import { posix } from 'node:path';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../../src/simulated/files/flags.ts';
import { access, readlink, type Status, stat, statfs } from '../../../src/simulated/files/status.ts';
import { type EncodingOption, encodingOf } from './fs-files.ts';
import { machine } from './machine.ts';
import { attempt, machinePath, type PathLike } from './node-error.ts';
import { statsOf } from './stats.ts';

interface StatOptions {
  readonly bigint?: boolean;
  readonly throwIfNoEntry?: boolean;
}

const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;
/** Symlinks on the way of one path: ELOOP beyond. */
const MOST_LINKS = 40;

function look(syscall: string, path: PathLike, flags: number, { bigint = false, throwIfNoEntry = true }: StatOptions) {
  try {
    return statsOf(
      attempt(syscall, () => stat(machine, machinePath(path), flags), path),
      bigint,
    );
  } catch (error) {
    if (!throwIfNoEntry && (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR')) return undefined;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

export function statSync(path: PathLike, options: StatOptions = {}): object | undefined {
  return look('stat', path, 0, options);
}

export function lstatSync(path: PathLike, options: StatOptions = {}): object | undefined {
  return look('lstat', path, AT_SYMLINK_NOFOLLOW, options);
}

export function fstatSync(fd: number, { bigint = false }: StatOptions = {}): object {
  return statsOf(
    attempt('fstat', () => stat(machine, '', AT_EMPTY_PATH, fd)),
    bigint,
  );
}

export function statfsSync(path: PathLike, { bigint = false }: StatOptions = {}): object {
  const { type } = attempt('statfs', () => statfs(machine, machinePath(path)), path);
  return { type: bigint ? BigInt(type) : type };
}

export function accessSync(path: PathLike, mode = 0): void {
  attempt('access', () => access(machine, machinePath(path), mode), path);
}

export function existsSync(path: PathLike): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

export function readlinkSync(path: PathLike, options?: EncodingOption): string | Buffer {
  const target = attempt('readlink', () => readlink(machine, machinePath(path)), path);
  return textOr(target, options);
}

export function realpathSync(path: PathLike, options?: EncodingOption): string | Buffer {
  return textOr(realPath(path), options);
}

realpathSync.native = realpathSync;

function textOr(binary: string, options: EncodingOption): string | Buffer {
  const bytes = Buffer.from(binary, 'latin1');
  return encodingOf(options) === 'buffer' ? bytes : bytes.toString();
}

/** fs.realpathSync: each part is looked at in turn. */
function realPath(path: PathLike): string {
  const working = attempt('readlink', () => readlink(machine, '/proc/self/cwd'));
  const left = posix.resolve(working, machinePath(path)).split('/').filter(Boolean);
  let links = 0;
  let real = '';
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const at = `${real}/${name}`;
    const { mode }: Status = attempt('lstat', () => stat(machine, at, AT_SYMLINK_NOFOLLOW, AT_FDCWD), path);
    if ((mode & S_IFMT) !== S_IFLNK) {
      real = at;
      continue;
    }
    if (++links > MOST_LINKS) attempt('stat', () => stat(machine, at), path);
    const target = posix.resolve(
      real === '' ? '/' : real,
      attempt('readlink', () => readlink(machine, at), path),
    );
    left.unshift(...target.split('/').filter(Boolean));
    real = '';
  }
  return real === '' ? '/' : real;
}
