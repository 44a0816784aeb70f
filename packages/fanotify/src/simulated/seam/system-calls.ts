// The system calls of Linux as a program of the simulated machine makes them: `yield*` each, since it may be held on the way. They are of the
// task that runs.

import type { FileStatus } from '../../kernel/kernel.ts';
import { chmod, chown, fchmod, removexattr, setxattr, utimes } from '../files/attributes.ts';
import { copyRange, sendfile } from '../files/copy.ts';
import { link, mkdir, mknod, symlink } from '../files/create.ts';
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../files/flags.ts';
import { type MappingOptions, map, touchMapping, unmap, writeMapping } from '../files/mapping.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../files/mount.ts';
import { MS_BIND, umount } from '../files/mount-call.ts';
import { open } from '../files/open.ts';
import { pipe } from '../files/pipe-call.ts';
import { lseek, read, write } from '../files/read-write.ts';
import { rmdir, unlink } from '../files/remove.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, rename } from '../files/rename.ts';
import { fallocate, ftruncate, truncate } from '../files/truncate.ts';
import type { System } from '../system.ts';
import { setresuid } from '../tasks/credentials.ts';
import { close, fileOf } from '../tasks/descriptors.ts';
import { execute } from '../tasks/exec.ts';
import type { Mapping } from '../tasks/task.ts';
import { checkContent } from '../testing/arguments.ts';
import { TestOptionsError } from '../testing/errors.ts';
import { type Blocking, Wait } from '../wait.ts';
import { binaryOf, toldBySeam } from './caller.ts';
import { closing, readWholeDirectory, statAt } from './looking.ts';
import type { SeamParts } from './parts.ts';
import { Exit, spawn } from './programs.ts';

/** How a file is to be opened: O_* of open(2), or as `node:fs` has it. */
export type OpenHow = number | 'r' | 'r+' | 'w' | 'wx' | 'w+' | 'a' | 'a+';

const HOW: Readonly<Record<Exclude<OpenHow, number>, number>> = {
  r: O_RDONLY,
  'r+': O_RDWR,
  w: O_WRONLY | O_CREAT | O_TRUNC,
  wx: O_WRONLY | O_CREAT | O_EXCL,
  'w+': O_RDWR | O_CREAT | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
  'a+': O_RDWR | O_CREAT | O_APPEND,
};
const CHUNK_BYTES = 65_536;

/** Whether 'O_CREAT' and the like of {@link OpenHow}, as open(2) has it. */
export function flagsOf(how: OpenHow): number {
  if (typeof how === 'number') return how;
  if (Object.hasOwn(HOW, how)) return HOW[how];
  throw new TestOptionsError(
    `open(): ${JSON.stringify(how)} is none of ${Object.keys(HOW).join(', ')}, nor a number of O_ flags`,
  );
}

/**
 * What a program can do: the system calls of Linux, each to be called with `yield*`, since it may be held on the way. A `TestProcess` has
 * the same as promises.
 *
 * @example
 * import { createTestSystem } from 'fanotify/testing';
 * const system = createTestSystem();
 * await system.process().run(function* (calls) {
 *   yield* calls.mkdir('/srv');
 *   yield* calls.writeFile('/srv/a', 'text');
 * });
 * console.log(system.fs.read('/srv/a')); // text
 */
export class SystemCalls {
  readonly #parts: SeamParts;
  readonly #system: System;

  /** @internal */
  constructor(parts: SeamParts) {
    this.#parts = parts;
    this.#system = parts.machine;
  }

  /** open(2). Returns a descriptor. */
  open(path: string, how: OpenHow = 'r', mode = 0o666): Blocking<number> {
    return this.#blocking('open', open(this.#system, AT_FDCWD, binaryOf(path), flagsOf(how), mode), path);
  }

  /** close(2). */
  close(fd: number): Blocking<void> {
    return this.#at('close', () => close(this.#system, fd));
  }

  /** read(2), or with an offset pread(2): what there is, up to so many bytes. */
  *read(fd: number, bytes: number = CHUNK_BYTES, offset?: number): Blocking<Buffer> {
    const buffer = Buffer.alloc(bytes);
    const count = yield* this.#blocking('read', read(this.#system, fd, buffer, offset));
    return buffer.subarray(0, count);
  }

  /** write(2), or with an offset pwrite(2). Returns how many bytes it took. */
  write(fd: number, data: string | Uint8Array, offset?: number): Blocking<number> {
    return this.#blocking('write', write(this.#system, fd, bytesOf(data), offset));
  }

  /** lseek(2) from the beginning. */
  seek(fd: number, offset: number): Blocking<number> {
    return this.#at('lseek', () => lseek(this.#system, fd, offset));
  }

  /** Opens a file, reads all of it, and closes it. */
  *readFile(path: string): Blocking<Buffer> {
    const fd = yield* this.open(path, 'r');
    return yield* closing(this.#system, fd, this.#readToEnd(fd));
  }

  /** Opens a file to write, writes all of it, and closes it; it is made, or emptied, first. */
  *writeFile(path: string, data: string | Uint8Array, how: OpenHow = 'w'): Blocking<void> {
    const fd = yield* this.open(path, how);
    yield* closing(this.#system, fd, this.#writeAll(fd, bytesOf(data)));
  }

  /** truncate(2). */
  truncate(path: string, size = 0): Blocking<void> {
    return this.#blocking('truncate', truncate(this.#system, binaryOf(path), size), path);
  }

  /** ftruncate(2). */
  ftruncate(fd: number, size = 0): Blocking<void> {
    return this.#blocking('ftruncate', ftruncate(this.#system, fd, size));
  }

  /** fallocate(2). */
  fallocate(fd: number, mode: number, offset: number, count: number): Blocking<void> {
    return this.#blocking('fallocate', fallocate(this.#system, fd, mode, offset, count));
  }

  /** mmap(2) of a file. */
  map(fd: number, offset: number, count: number, options?: MappingOptions): Blocking<Mapping> {
    return this.#blocking('mmap', map(this.#system, fd, offset, count, options));
  }

  /** A byte of a mapping. */
  touch(mapping: Mapping, at = 0): Blocking<number> {
    return this.#at('mmap', () => touchMapping(mapping, at));
  }

  /** Writes through a mapping: nobody is told. */
  writeMapped(mapping: Mapping, at: number, data: string | Uint8Array): Blocking<void> {
    return this.#at('mmap', () => writeMapping(this.#system, mapping, at, bytesOf(data)));
  }

  /** munmap(2). */
  unmap(mapping: Mapping): Blocking<void> {
    return this.#at('munmap', () => unmap(this.#system, mapping));
  }

  /** copy_file_range(2), from and to where the files are. */
  copyRange(from: number, to: number, count: number): Blocking<number> {
    return this.#blocking('copy_file_range', copyRange(this.#system, from, undefined, to, undefined, count));
  }

  /** sendfile(2), from where the file is. */
  sendfile(to: number, from: number, count: number): Blocking<number> {
    return this.#blocking('sendfile', sendfile(this.#system, to, from, undefined, count));
  }

  /** mkdir(2). */
  mkdir(path: string, mode = 0o777): Blocking<void> {
    return this.#at('mkdir', () => mkdir(this.#system, binaryOf(path), mode), path);
  }

  /** rmdir(2). */
  rmdir(path: string): Blocking<void> {
    return this.#at('rmdir', () => rmdir(this.#system, binaryOf(path)), path);
  }

  /** unlink(2). */
  unlink(path: string): Blocking<void> {
    return this.#at('unlink', () => unlink(this.#system, binaryOf(path)), path);
  }

  /** rename(2). */
  rename(path: string, to: string): Blocking<void> {
    return this.#at('rename', () => rename(this.#system, binaryOf(path), binaryOf(to)), path);
  }

  /** renameat2(2) with RENAME_EXCHANGE. */
  exchange(path: string, to: string): Blocking<void> {
    return this.#at('renameat2', () => rename(this.#system, binaryOf(path), binaryOf(to), RENAME_EXCHANGE), path);
  }

  /** renameat2(2) with RENAME_NOREPLACE. */
  renameNew(path: string, to: string): Blocking<void> {
    return this.#at('renameat2', () => rename(this.#system, binaryOf(path), binaryOf(to), RENAME_NOREPLACE), path);
  }

  /** link(2). */
  link(path: string, to: string): Blocking<void> {
    return this.#at('link', () => link(this.#system, binaryOf(path), binaryOf(to)), path);
  }

  /** symlink(2): a symlink at `path` that leads to `target`. */
  symlink(target: string, path: string): Blocking<void> {
    return this.#at('symlink', () => symlink(this.#system, binaryOf(target), binaryOf(path)), path);
  }

  /** mknod(2). */
  mknod(path: string, type: 'file' | 'fifo' | 'socket' = 'file', mode = 0o666): Blocking<void> {
    return this.#at('mknod', () => void mknod(this.#system, binaryOf(path), type, mode), path);
  }

  /** chmod(2). */
  chmod(path: string, mode: number): Blocking<void> {
    return this.#at('chmod', () => chmod(this.#system, binaryOf(path), mode), path);
  }

  /** fchmod(2). */
  fchmod(fd: number, mode: number): Blocking<void> {
    return this.#at('fchmod', () => fchmod(this.#system, fd, mode));
  }

  /** removexattr(2). */
  removexattr(path: string, name: string): Blocking<void> {
    return this.#at('removexattr', () => removexattr(this.#system, binaryOf(path), name), path);
  }

  /** chown(2). */
  chown(path: string, uid: number, gid: number): Blocking<void> {
    return this.#at('chown', () => chown(this.#system, binaryOf(path), uid, gid), path);
  }

  /** utimensat(2), in milliseconds since 1970. */
  utimes(path: string, accessMs: number, modificationMs: number): Blocking<void> {
    const times = [accessMs, modificationMs].map((ms) => BigInt(Math.round(ms * 1e6))) as [bigint, bigint];
    return this.#at('utimensat', () => utimes(this.#system, binaryOf(path), ...times), path);
  }

  /** setxattr(2). */
  setxattr(path: string, name: string, value: string | Uint8Array): Blocking<void> {
    return this.#at('setxattr', () => setxattr(this.#system, binaryOf(path), name, bytesOf(value)), path);
  }

  /** Opens a directory, lists it, and closes it: names, in its order. */
  *list(path: string): Blocking<string[]> {
    const entries = yield* this.#blocking('open', readWholeDirectory(this.#system, binaryOf(path)), path);
    return entries.map(({ name }) => name.toString());
  }

  /** stat(2). */
  stat(path: string): Blocking<FileStatus> {
    return this.#at('stat', () => statAt(this.#system, AT_FDCWD, binaryOf(path), 0), path);
  }

  /** fsync(2) of one that is open: nothing is kept from a disk here. */
  fsync(fd: number): Blocking<void> {
    return this.#at('fsync', () => void fileOf(this.#system, fd));
  }

  /** pipe2(2), close-on-exec: the end to read from, and the one to write to. */
  pipe(): Blocking<readonly [number, number]> {
    return this.#at('pipe2', () => pipe(this.#system, O_CLOEXEC));
  }

  /** mount(2) of a file system of its own. */
  mount(path: string, type = 'tmpfs', source = type): Blocking<void> {
    return this.#at('mount', () => this.#parts.mount(binaryOf(source), binaryOf(path), type, 0), path);
  }

  /** mount(2) with MS_BIND: `path` at `to`. */
  bind(path: string, to: string): Blocking<void> {
    return this.#at('mount', () => this.#parts.mount(binaryOf(path), binaryOf(to), null, MS_BIND), to);
  }

  /** umount2(2). */
  unmount(path: string, how: { readonly lazily?: boolean; readonly follows?: boolean } = {}): Blocking<void> {
    const flags = (how.lazily ? MNT_DETACH : 0) | (how.follows === false ? UMOUNT_NOFOLLOW : 0);
    return this.#at('umount2', () => umount(this.#system, binaryOf(path), flags), path);
  }

  /** setresuid(2) of the effective user id alone. */
  setEffectiveUid(uid: number): Blocking<void> {
    return this.#at('setresuid', () => setresuid(this.#system, -1, uid, -1));
  }

  /** fanotify_init(2). */
  fanotifyInit(flags: number, eventFlags = 0): Blocking<number> {
    return this.#at('fanotify_init', () => this.#parts.fanotify.init(flags, eventFlags));
  }

  /** fanotify_mark(2). */
  fanotifyMark(fd: number, flags: number, mask: bigint, path: string | null): Blocking<void> {
    const operation = () => this.#parts.fanotify.mark(fd, flags, mask, AT_FDCWD, path === null ? null : binaryOf(path));
    return this.#at('fanotify_mark', operation, path);
  }

  /** execve(2): from then on this process is that program, and what follows is what that program does. */
  exec(path: string, argv: readonly string[] = [path]): Blocking<void> {
    return this.#blocking('execve', execute(this.#system, binaryOf(path), argv), path);
  }

  /** fork(2), execve(2) in the child, which ends at once, and waitid(2) for it. ECANCELED when it was killed instead. */
  spawn(path: string, argv: readonly string[] = [path]): Blocking<void> {
    return this.#blocking('execve', spawn(this.#parts, binaryOf(path), argv), path);
  }

  /** nanosleep(2), by the machine's clock. */
  *sleep(ms: number): Blocking<void> {
    const wait = new Wait(`a sleep of ${ms} ms`);
    this.#system.clock.after(ms, () => wait.end());
    yield wait;
  }

  /** _exit(2): nothing of what follows is done. */
  // biome-ignore lint/correctness/useYield: as all that a program calls.
  *exit(status = 0): Blocking<never> {
    throw new Exit(status);
  }

  *#readToEnd(fd: number): Blocking<Buffer> {
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = yield* this.read(fd);
      if (chunk.length === 0) return Buffer.concat(chunks);
      chunks.push(chunk);
    }
  }

  *#writeAll(fd: number, bytes: Uint8Array): Blocking<void> {
    for (let at = 0; at < bytes.length; ) at += yield* this.write(fd, bytes.subarray(at));
  }

  // biome-ignore lint/correctness/useYield: what never waits is called as what may.
  *#at<T>(syscall: string, operation: () => T, path?: string | null): Blocking<T> {
    try {
      return operation();
    } catch (error) {
      throw toldBySeam(error, syscall, path);
    }
  }

  *#blocking<T>(syscall: string, call: Blocking<T>, path?: string | null): Blocking<T> {
    try {
      return yield* call;
    } catch (error) {
      throw toldBySeam(error, syscall, path);
    }
  }
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  checkContent(data);
  return typeof data === 'string' ? Buffer.from(data) : data;
}
