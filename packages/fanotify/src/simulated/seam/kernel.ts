// The seam over a simulated machine, as one of its processes has it: interface Kernel, operation by operation. A call that is held lets the
// rest of the machine run until it is over.

import { ERRNO, KernelError } from '../../kernel/error.ts';
import type {
  ChildChange,
  DirectoryEntry,
  FileStatus,
  FilesystemStatus,
  Identity,
  Kernel,
  KernelPath,
  NamedHandle,
  PeekedMessage,
  Peer,
  PollEntry,
  Readiness,
  ReceivedMessage,
  Simulation,
} from '../../kernel/kernel.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR } from '../files/flags.ts';
import type { OpenFile, SpecialOperations } from '../files/objects.ts';
import { open } from '../files/open.ts';
import { closeFile, makeSpecialFile } from '../files/open-file.ts';
import { capable } from '../files/permission.ts';
import { read, write } from '../files/read-write.ts';
import { access, fstatfs, readlink, statfs } from '../files/status.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { addDescriptor, close, fileOf } from '../tasks/descriptors.ts';
import { pidfdGetfd, pidfdOpen, pidfdSendSignal } from '../tasks/pidfd.ts';
import { CLD_EXITED, endProcess, waitChild } from '../tasks/process.ts';
import type { Task } from '../tasks/task.ts';
import type { Blocking } from '../wait.ts';
import { binaryOf, Caller, pathOf } from './caller.ts';
import { Epoll } from './epoll.ts';
import { EventFd } from './event-fd.ts';
import { fcntl } from './fcntl.ts';
import { ActingIdentity } from './identity.ts';
import { nameToHandleAt, openByHandleAt, readEntries, readToEnd, statAt } from './looking.ts';
import { setNamespace, unshare } from './namespaces.ts';
import type { SeamParts } from './parts.ts';
import { POLL } from './poll-bits.ts';
import { canBeWaitedFor, poll, pollFile } from './polling.ts';

export class SimulatedKernel implements Kernel {
  readonly name = 'simulated';
  /** The Linux that it behaves as. */
  readonly release = '6.18.0';
  readonly pid: number;
  readonly simulation: Simulation;
  readonly task: Task;
  readonly #system: System;
  readonly #parts: SeamParts;
  readonly #caller: Caller;
  /** One watcher a descriptor. */
  readonly #watched = new Set<number>();
  readonly #identity: ActingIdentity;

  constructor(parts: SeamParts, task: Task) {
    const { machine, others } = parts;
    this.#parts = parts;
    this.#system = machine;
    this.task = task;
    this.pid = task.process.pid;
    this.#caller = new Caller(machine, task, others);
    this.#identity = new ActingIdentity(machine);
    this.simulation = parts.simulationOf(task);
  }

  fanotifyInit(flags: number, eventFlags: number): number {
    return this.#caller.call('fanotify_init', () => this.#parts.fanotify.init(flags, eventFlags));
  }

  fanotifyMark(fd: number, flags: number, mask: bigint, dirfd: number, path: KernelPath | null): void {
    const operation = () => this.#parts.fanotify.mark(fd, flags, mask, dirfd, path === null ? null : pathOf(path));
    this.#caller.call('fanotify_mark', operation, path);
  }

  read(fd: number, buffer: Uint8Array): number {
    return this.#caller.wait('read', () => read(this.#system, fd, buffer));
  }

  readAt(fd: number, buffer: Uint8Array, offset: number): number {
    return this.#caller.wait('pread', () => read(this.#system, fd, buffer, offset));
  }

  write(fd: number, bytes: Uint8Array): number {
    return this.#caller.wait('write', () => write(this.#system, fd, bytes));
  }

  waitingBytes(fd: number): number {
    return this.#caller.call('ioctl', () => fileOf(this.#system, fd).operations?.waitingBytes?.() ?? refuse('ENOTTY'));
  }

  poll(entries: PollEntry[], timeoutMs: number): number {
    return this.#caller.wait('poll', () => poll(this.#system, this.#parts.wakeups, entries, timeoutMs));
  }

  epollCreate(): number {
    return this.#caller.call('epoll_create1', () => this.#addSpecial(new Epoll(this.#system), O_RDWR));
  }

  epollControl(epoll: number, fd: number, events: number | undefined, isKnown: boolean): void {
    this.#caller.call('epoll_ctl', () => {
      const file = fileOf(this.#system, fd);
      this.#epollOf(epoll).control(fd, file, events, isKnown);
    });
  }

  epollReady(epoll: number, most: number, visit: (fd: number, revents: number) => void): void {
    const ready: [number, number][] = [];
    this.#caller.call('epoll_wait', () => {
      this.#epollOf(epoll).ready(most, (fd, revents) => ready.push([fd, revents]));
    });
    for (const [fd, revents] of ready) visit(fd, revents);
  }

  async closeElsewhere(fd: number): Promise<void> {
    this.close(fd);
  }

  close(fd: number): void {
    this.#caller.call('close', () => close(this.#system, fd));
  }

  onReadable(fd: number, listener: () => void): Readiness {
    if (this.#watched.has(fd)) throw new KernelError('epoll_ctl', ERRNO.EEXIST);
    const file = this.#toWatch(fd);
    // uv_poll_init.
    file.flags |= O_NONBLOCK;
    const readiness = this.#watch(file, POLL.in | POLL.err | POLL.hup, false, listener);
    this.#watched.add(fd);
    return {
      ...readiness,
      close: () => {
        this.#watched.delete(fd);
        readiness.close();
      },
    };
  }

  onPriority(fd: number, listener: () => void): Readiness {
    return this.#watch(this.#toWatch(fd), POLL.pri, true, listener);
  }

  openAt(dirfd: number, path: KernelPath, flags: number, mode = 0): number {
    return this.#caller.wait('openat', () => open(this.#system, dirfd, pathOf(path), flags, mode), path);
  }

  openAt2(dirfd: number, path: KernelPath, flags: number, resolve: number): number {
    return this.#caller.wait('openat2', () => open(this.#system, dirfd, pathOf(path), flags, 0, resolve), path);
  }

  openByHandleAt(mountFd: number, handle: Uint8Array, flags: number): number {
    return this.#caller.wait('open_by_handle_at', () => openByHandleAt(this.#system, mountFd, handle, flags));
  }

  nameToHandleAt(dirfd: number, path: KernelPath, flags: number): NamedHandle {
    return this.#caller.call('name_to_handle_at', () => nameToHandleAt(this.#system, dirfd, pathOf(path), flags), path);
  }

  readlink(path: KernelPath): Buffer {
    const target = this.#caller.call('readlink', () => readlink(this.#system, pathOf(path)), path);
    return Buffer.from(target, 'latin1');
  }

  statAt(dirfd: number, path: KernelPath, flags: number): FileStatus {
    return this.#caller.call('statx', () => statAt(this.#system, dirfd, pathOf(path), flags), path);
  }

  accessAt(dirfd: number, path: KernelPath, mode: number, flags: number): void {
    this.#caller.call('faccessat2', () => access(this.#system, pathOf(path), mode, flags, dirfd), path);
  }

  statfs(target: KernelPath | number): FilesystemStatus {
    if (typeof target === 'number') return this.#caller.call('fstatfs', () => fstatfs(this.#system, target));
    return this.#caller.call('statfs', () => statfs(this.#system, pathOf(target)), target);
  }

  bootTimeMs(): number {
    return this.#system.clock.bootTimeMs();
  }

  eventFd(): number {
    return this.#caller.call('eventfd', () => this.#addSpecial(new EventFd(this.#parts.wakeups), O_RDWR | O_NONBLOCK));
  }

  socketPair(): readonly [number, number] {
    return this.#caller.call('socketpair', () => this.#parts.unix.pair());
  }

  connectUnix(path: KernelPath, type: 'stream' | 'seqpacket' = 'stream'): number {
    return this.#caller.call('connect', () => this.#parts.unix.connect(pathOf(path), type), path);
  }

  listenUnix(path: KernelPath, mode: number): number {
    return this.#caller.call('bind', () => this.#parts.unix.listen(pathOf(path), mode), path);
  }

  acceptUnix(fd: number): number {
    return this.#caller.call('accept4', () => this.#parts.unix.accept(fd));
  }

  sendDatagram(path: KernelPath, _bytes: Uint8Array): void {
    this.#caller.call('sendto', () => this.#parts.unix.sendDatagram(bytesOfPath(path)), path);
  }

  peerOf(fd: number): Peer {
    return this.#caller.call('getsockopt', () => this.#parts.unix.peerOf(fd));
  }

  sendMessage(fd: number, bytes: Uint8Array, descriptors: readonly number[] = []): number {
    return this.#caller.call('sendmsg', () => this.#parts.unix.send(fd, bytes, descriptors));
  }

  receiveMessage(fd: number, buffer: Uint8Array, closeOnExec: boolean): ReceivedMessage {
    return this.#caller.call('recvmsg', () => this.#parts.unix.receive(fd, buffer, closeOnExec));
  }

  receiveBytes(fd: number, buffer: Uint8Array, peek: boolean): number {
    return this.#caller.call('recv', () => this.#parts.unix.receiveBytes(fd, buffer, peek));
  }

  peekMessage(fd: number, buffer: Uint8Array): PeekedMessage {
    return this.#caller.call('recvmsg', () => this.#parts.unix.peek(fd, buffer));
  }

  unsentBytes(fd: number): number {
    return this.#caller.call('ioctl', () => this.#parts.unix.unsentBytes(fd));
  }

  fcntl(fd: number, command: number, argument: number): number {
    return this.#caller.call('fcntl', () => fcntl(this.#system, fd, command, argument));
  }

  pidfdOpen(pid: number): number {
    return this.#caller.call('pidfd_open', () => pidfdOpen(this.#system, pid));
  }

  pidfdGetfd(pidfd: number, targetFd: number): number {
    return this.#caller.call('pidfd_getfd', () => pidfdGetfd(this.#system, pidfd, targetFd));
  }

  pidfdSendSignal(pidfd: number, signal: number): void {
    this.#caller.call('pidfd_send_signal', () => pidfdSendSignal(this.#system, pidfd, signal));
  }

  scheduleInRealTime(priority: number): void {
    this.#caller.call('sched_setscheduler', () => {
      if (!Number.isInteger(priority) || priority < 0 || priority > 99) refuse('EINVAL');
      if (priority > 0 && !capable(this.#system.current.credentials, 'CAP_SYS_NICE')) refuse('EPERM');
      // Who runs next is the scheduler's to say, by its seed: it has one class.
    });
  }

  actAs(identity: Identity | null): void {
    this.#caller.call('setgroups', () => this.#identity.actAs(identity));
  }

  unshare(flags: number): void {
    this.#caller.call('unshare', () => unshare(this.#system, flags));
  }

  setNamespace(fd: number, type: number): void {
    this.#caller.call('setns', () => setNamespace(this.#system, fd, type));
  }

  mount(source: KernelPath, target: KernelPath, type: string | null, flags: number): void {
    const operation = () => this.#parts.mount(bytesOfPath(source), pathOf(target), type, flags);
    this.#caller.call('mount', operation, target);
  }

  waitChild(pid: number, options: number): ChildChange | undefined {
    return this.#caller.wait('waitid', () => waitChild(this.#system, pid, options));
  }

  terminalGroup(fd: number): number {
    return this.#caller.call('ioctl', () => noTerminal(this.#system, fd));
  }

  setTerminalGroup(fd: number, _group: number): void {
    this.#caller.call('ioctl', () => noTerminal(this.#system, fd));
  }

  exitAtOnce(status: number): void {
    endProcess(this.#system, this.task.process, CLD_EXITED, status & 0xff);
  }

  readFile(path: KernelPath): Buffer {
    const fd = this.#open(path, O_RDONLY);
    try {
      return this.#caller.wait('read', () => readToEnd(this.#system, fd), path);
    } finally {
      this.close(fd);
    }
  }

  readDirectory(path: KernelPath): DirectoryEntry[] {
    const fd = this.#open(path, O_RDONLY | O_DIRECTORY);
    try {
      const entries: DirectoryEntry[] = [];
      for (let next = this.readEntries(fd); next; next = this.readEntries(fd)) entries.push(...next);
      return entries;
    } finally {
      this.close(fd);
    }
  }

  #open(path: KernelPath, flags: number): number {
    return this.#caller.wait('open', () => open(this.#system, AT_FDCWD, pathOf(path), flags | O_CLOEXEC), path);
  }

  readEntries(fd: number, only?: 'directories'): DirectoryEntry[] | undefined {
    return this.#caller.wait('getdents64', () => readEntries(this.#system, fd, only));
  }

  /** Makes a call that the seam has no operation for: one of SystemCalls. */
  make<T>(call: Blocking<T>): T {
    return this.#caller.wait('', () => call);
  }

  #epollOf(fd: number): Epoll {
    const { operations } = fileOf(this.#system, fd);
    return operations instanceof Epoll ? operations : refuse('EINVAL');
  }

  #addSpecial(operations: SpecialOperations, flags: number): number {
    const file = makeSpecialFile(this.#system, flags, operations);
    try {
      return addDescriptor(this.#system, file, true);
    } catch (error) {
      closeFile(this.#system, file);
      throw error;
    }
  }

  #toWatch(fd: number): OpenFile {
    return this.#caller.call('epoll_ctl', () => {
      const file = fileOf(this.#system, fd);
      return canBeWaitedFor(file) ? file : refuse('EPERM');
    });
  }

  #watch(file: OpenFile, events: number, isNews: boolean, listener: () => void): Readiness {
    const isReady = () => file.references > 0 && (pollFile(this.#system, file) & events) !== 0;
    return this.#parts.loop.watch({ isReady, listener, isNews });
  }
}

/** A name that may have a NUL at its beginning, or be no path. */
function bytesOfPath(path: KernelPath): string {
  return typeof path === 'string' ? binaryOf(path) : Buffer.from(path).toString('latin1');
}

/** Nothing here is a terminal. */
function noTerminal(system: System, fd: number): never {
  fileOf(system, fd);
  return refuse('ENOTTY');
}
