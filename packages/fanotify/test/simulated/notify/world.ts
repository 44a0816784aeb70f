// A simulated machine with an ext4 at /m, groups in it, and whatever is done to it, call by call: for the tests of notify/.

import { AT_FDCWD, type DecodedEvent, decodeEvents, O_CREAT, O_WRONLY } from '../../../src/abi/index.ts';
import { errnoName } from '../../../src/kernel/error.ts';
import { boot, type Machine } from '../../../src/simulated/boot.ts';
import { mkdir } from '../../../src/simulated/files/create.ts';
import type { FilesystemType } from '../../../src/simulated/files/filesystem-type.ts';
import { attachMount, newMount } from '../../../src/simulated/files/mount.ts';
import type { Dentry, Mount, OpenFile, Path, Superblock } from '../../../src/simulated/files/objects.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { closeFile } from '../../../src/simulated/files/open-file.ts';
import { makeSuperblock } from '../../../src/simulated/files/superblock.ts';
import { ext4 } from '../../../src/simulated/files/types.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import type { EventDescriptors } from '../../../src/simulated/notify/event-descriptors.ts';
import { Fsnotify } from '../../../src/simulated/notify/fsnotify.ts';
import type { Group } from '../../../src/simulated/notify/group.ts';
import { groupOf } from '../../../src/simulated/notify/group-file.ts';
import { fanotifyInit } from '../../../src/simulated/notify/init.ts';
import { fanotifyMark } from '../../../src/simulated/notify/mark-call.ts';
import { Refusal } from '../../../src/simulated/refusal.ts';
import { credentialsOf } from '../../../src/simulated/tasks/credentials.ts';
import { close } from '../../../src/simulated/tasks/descriptors.ts';
import { fork } from '../../../src/simulated/tasks/process.ts';
import type { Process, Task } from '../../../src/simulated/tasks/task.ts';
import type { Blocking, Wait } from '../../../src/simulated/wait.ts';

/** The name of the errno that it refuses with; else what it returns, or 'ok'. */
export function outcome(action: () => unknown): unknown {
  try {
    return action() ?? 'ok';
  } catch (error) {
    if (error instanceof Refusal) return errnoName(error.errno);
    throw error;
  }
}

/** A system call that may be held, under way. */
export class Call<T> {
  /** What holds it; undefined once it has ended. */
  heldBy: Wait | undefined;
  /** 'unasked' where nobody wanted to hold it. */
  result: unknown;
  readonly #blocking: Blocking<T> | undefined;

  constructor(blocking: Blocking<T> | undefined) {
    this.#blocking = blocking;
    this.resume();
  }

  resume(): void {
    this.heldBy = undefined;
    this.result = outcome(() => {
      const step = this.#blocking?.next();
      if (step === undefined) return 'unasked';
      if (step.done) return step.value;
      if (step.value.isOver) throw new Error('held by what is over');
      this.heldBy = step.value;
      return 'held';
    });
  }

  kill(): void {
    this.#blocking?.return(undefined as T);
  }
}

export class World {
  readonly machine: Machine;
  readonly fsnotify: Fsnotify;
  readonly mount: Mount;
  readonly root: Dentry;
  /** How many more descriptors a reader may have. */
  spareDescriptors = 100;
  /** What opening the file of an event fails with. */
  openErrno = 0;
  /** What descriptors were made of. */
  readonly opened = new Map<number, Path | Process>();
  readiness = 0;
  #nextFd = 500;

  constructor(type: FilesystemType = ext4) {
    let fsnotify: Fsnotify | undefined;
    this.machine = boot({
      fsnotify: (system) => {
        fsnotify = new Fsnotify(system);
        return fsnotify;
      },
      onReadiness: () => {
        this.readiness++;
      },
    });
    if (fsnotify === undefined) throw new Error('not asked for');
    this.fsnotify = fsnotify;
    this.mount = this.mounted('m', makeSuperblock(this.machine, type));
    this.root = this.mount.root;
  }

  /** Mounts a file system at /`name`. */
  mounted(name: string, superblock: Superblock): Mount {
    mkdir(this.machine, `/${name}`);
    const mount = newMount(this.machine, superblock, superblock.root, name);
    attachMount(this.machine, mount, this.at(`/${name}`));
    return mount;
  }

  at(path: string): Path {
    return walk(this.machine, AT_FDCWD, path);
  }

  /** Makes a file. Without groups, nobody hears it. */
  file(path: string): Path {
    close(this.machine, this.open(path, O_CREAT | O_WRONLY));
    return this.at(path);
  }

  directory(path: string): Path {
    mkdir(this.machine, path);
    return this.at(path);
  }

  /** open(2) that nobody may hold. Returns a descriptor. */
  open(path: string, flags = 0): number {
    const call = new Call(open(this.machine, AT_FDCWD, path, flags, 0o644));
    if (typeof call.result !== 'number') throw new Error(String(call.result));
    return call.result;
  }

  /** open(2) that somebody may hold. */
  opening(path: string, flags = 0): Call<number> {
    return new Call(open(this.machine, AT_FDCWD, path, flags, 0o644));
  }

  close(fd: number): void {
    close(this.machine, fd);
  }

  touch(path: string): void {
    this.close(this.open(path));
  }

  child(): Task {
    return fork(this.machine);
  }

  as<T>(task: Task, action: () => T): T {
    const before = this.machine.current;
    this.machine.current = task;
    try {
      return action();
    } finally {
      this.machine.current = before;
    }
  }

  become(uid: number): void {
    this.machine.current.credentials = credentialsOf(uid, uid, this.machine.tasks.initialUserNamespace);
  }

  group(flags: number, eventFlags = 0): OpenFile {
    return fanotifyInit(this.fsnotify, flags, eventFlags, this.descriptors);
  }

  mark(group: OpenFile, flags: number, mask: bigint, path: Path | string): void {
    fanotifyMark(this.machine, group, flags, mask, () => (typeof path === 'string' ? this.at(path) : path));
  }

  closeGroup(group: OpenFile): void {
    closeFile(this.machine, group);
  }

  marksOf(file: OpenFile): Group['marks'] {
    const group = groupOf(file);
    if (group === undefined) throw new Error('no group');
    return group.marks;
  }

  /** read(2) into a buffer that is full of ones; only what was read. */
  read(group: OpenFile, bytes = 4096): Buffer {
    const buffer = Buffer.alloc(bytes, 0xff);
    const step = group.operations?.read?.(buffer, false).next();
    if (step?.done !== true) throw new Error('held');
    return buffer.subarray(0, step.value);
  }

  events(group: OpenFile): DecodedEvent[] {
    const events: DecodedEvent[] = [];
    while (group.operations?.poll() === 1) events.push(...decodeEvents(this.read(group)));
    return events;
  }

  write(group: OpenFile, bytes: Uint8Array): number {
    const step = group.operations?.write?.(bytes, false).next();
    if (step?.done !== true) throw new Error('held');
    return step.value;
  }

  readonly descriptors: EventDescriptors = {
    openQuietly: (path) => this.#takeInTurn(path),
    openPidfd: (process) => this.#take(process),
    close: (fd) => {
      this.opened.delete(fd);
      this.spareDescriptors++;
    },
  };

  // biome-ignore lint/correctness/useYield: here it never waits.
  *#takeInTurn(path: Path): Blocking<number> {
    return this.#take(path);
  }

  #take(what: Path | Process): number {
    if (this.spareDescriptors === 0) throw new Refusal(24);
    if (this.openErrno !== 0) throw new Refusal(this.openErrno);
    this.spareDescriptors--;
    this.opened.set(this.#nextFd, what);
    return this.#nextFd++;
  }
}
