// The files of a test system: made, read and listed in a line each, by a process of root's that does nothing else.

import type { FileStatus } from '../../kernel/kernel.ts';
import type { SimulatedKernel } from '../seam/kernel.ts';
import type { SystemCalls } from '../seam/system-calls.ts';
import { programImage } from '../tasks/elf.ts';
import type { Blocking } from '../wait.ts';
import { checkContent, checkId, checkMode, checkNames, checkPath } from './arguments.ts';

const DETAILS = ['mode', 'uid', 'gid'];

/** What a file or directory is to have beside its content. */
export interface FileDetails {
  /** Permission bits. Default 0o644, of directories and programs 0o755. */
  readonly mode?: number | undefined;
  /** Its owner and group. Default root. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/**
 * Makes, reads and lists files: each call is done when it returns. Whoever listens hears it, as the doing of {@link TestFiles.pid}.
 *
 * A call that a permission event holds runs the rest of the machine until it is answered. When that is for the caller's own program to do,
 * nothing is left that could: a DeadlockError says so, and a process of its own (`system.process()`) is the way. So it is with a guard, whose
 * deadline passes at once: the call gets what its `onTimeout` says, whatever its `decide` would.
 *
 * @example
 * import { createTestSystem } from 'fanotify/testing';
 * const { fs } = createTestSystem();
 * fs.dir('/srv').file('/srv/a', 'text').symlink('/srv/link', 'a');
 * console.log(fs.list('/srv'), fs.read('/srv/link')); // [ 'a', 'link' ] text
 */
export class TestFiles {
  readonly #kernel: SimulatedKernel;
  readonly #calls: SystemCalls;

  /** @internal */
  constructor(kernel: SimulatedKernel, calls: SystemCalls) {
    this.#kernel = kernel;
    this.#calls = calls;
  }

  /** The process that does it. */
  get pid(): number {
    return this.#kernel.pid;
  }

  /** Makes a directory, with those above it. One that is there gets the details. */
  dir(path: string, details: FileDetails = {}): this {
    checkDetails('dir()', details);
    this.#makeDirectories(path);
    return this.#give(path, details, 0o755);
  }

  /** Makes a file, with the directories above it, or writes one anew. */
  file(path: string, content: string | Uint8Array = '', details: FileDetails = {}): this {
    checkPath(path);
    checkContent(content);
    checkDetails('file()', details);
    this.#makeDirectories(parentOf(path));
    this.#make(this.#calls.writeFile(path, content));
    return this.#give(path, details, 0o644);
  }

  /** Makes a file that can be executed. What a process then does is its own program, whatever it has executed. */
  program(path: string, details: FileDetails = {}): this {
    checkDetails('program()', details);
    return this.file(path, programImage(), { ...details, mode: details.mode ?? 0o755 });
  }

  /** Writes to the end of a file. */
  append(path: string, content: string | Uint8Array): this {
    checkContent(content);
    return this.#make(this.#calls.writeFile(path, content, 'a'));
  }

  /** Makes a hard link: `path` is another name of `of`. */
  link(path: string, of: string): this {
    return this.#make(this.#calls.link(of, path));
  }

  /** Makes a symlink at `path`. */
  symlink(path: string, target: string): this {
    return this.#make(this.#calls.symlink(target, path));
  }

  /** rename(2). */
  rename(path: string, to: string): this {
    return this.#make(this.#calls.rename(path, to));
  }

  /** Removes a file, or a directory with all that is in it. */
  remove(path: string): this {
    return this.#make(removeAll(this.#calls, path));
  }

  /** chmod(2). */
  chmod(path: string, mode: number): this {
    return this.#make(this.#calls.chmod(path, mode));
  }

  /** chown(2). */
  chown(path: string, uid: number, gid: number): this {
    return this.#make(this.#calls.chown(path, uid, gid));
  }

  /** Mounts an empty file system of its own at a directory, which is made: 'tmpfs', 'ext4', 'ext2', 'xfs', 'btrfs'. */
  mount(path: string, type = 'tmpfs'): this {
    this.#makeDirectories(path);
    return this.#make(this.#calls.mount(path, type, type === 'tmpfs' ? 'tmpfs' : `/dev/${type}`));
  }

  /** Mounts what is at `path` at `to` too, which is made. */
  bind(path: string, to: string): this {
    this.#makeDirectories(to);
    return this.#make(this.#calls.bind(path, to));
  }

  /** umount2(2); `lazily` also what is in use. */
  unmount(path: string, how: { readonly lazily?: boolean } = {}): this {
    return this.#make(this.#calls.unmount(path, how));
  }

  /** The content of a file, as UTF-8. */
  read(path: string): string {
    return this.readBytes(path).toString();
  }

  /** The content of a file. */
  readBytes(path: string): Buffer {
    return this.#kernel.make(this.#calls.readFile(path));
  }

  /** What is in a directory, by name. */
  list(path: string): string[] {
    return this.#kernel.make(this.#calls.list(path)).sort();
  }

  /** stat(2). */
  stat(path: string): FileStatus {
    return this.#kernel.make(this.#calls.stat(path));
  }

  /** Whether there is something at a path. */
  exists(path: string): boolean {
    try {
      this.stat(path);
      return true;
    } catch (error) {
      if (isOf(error, 'ENOENT') || isOf(error, 'ENOTDIR')) return false;
      throw error;
    }
  }

  #give(path: string, details: FileDetails, usualMode: number): this {
    const { mode = usualMode, uid = 0, gid = 0 } = details;
    const { mode: before, uid: owner, gid: group } = this.stat(path);
    if (owner !== uid || group !== gid) this.#make(this.#calls.chown(path, uid, gid));
    // What a chown takes away is given again.
    if ((before & 0o7777) !== mode || owner !== uid || group !== gid) this.#make(this.#calls.chmod(path, mode));
    return this;
  }

  #makeDirectories(path: string): void {
    checkPath(path);
    const names = path.split('/').filter(Boolean);
    for (let depth = 1; depth <= names.length; depth++) {
      const directory = `/${names.slice(0, depth).join('/')}`;
      if (!this.exists(directory)) this.#make(this.#calls.mkdir(directory, 0o755));
    }
  }

  #make(call: Blocking<unknown>): this {
    this.#kernel.make(call);
    return this;
  }
}

function checkDetails(call: string, details: FileDetails): void {
  checkNames(call, details, DETAILS);
  if (details.mode !== undefined) checkMode(details.mode);
  for (const name of ['uid', 'gid'] as const) if (details[name] !== undefined) checkId(name, details[name]);
}

function* removeAll(calls: SystemCalls, path: string): Blocking<void> {
  try {
    yield* calls.unlink(path);
    return;
  } catch (error) {
    if (!isOf(error, 'EISDIR')) throw error;
  }
  for (const name of yield* calls.list(path)) yield* removeAll(calls, `${path}/${name}`);
  yield* calls.rmdir(path);
}

function isOf(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
