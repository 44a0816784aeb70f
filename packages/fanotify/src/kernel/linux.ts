// The kernel that this process runs on, through the C library. Nothing is validated on the way: the kernel's own answer
// is what is seen.

import { release } from 'node:os';
import {
  AT_FDCWD,
  AT_HANDLE_MNT_ID_UNIQUE,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
} from '../abi/index.ts';
import { ERRNO, KernelError } from './error.ts';
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
} from './kernel.ts';
import { type Libc, libc } from './libc.ts';
import { Messages } from './message.ts';
import { watchPriority, watchReadable } from './readiness.ts';

let shared: LinuxKernel | undefined;

/**
 * The kernel of this machine, made when first asked for and then shared by everything in this thread.
 *
 * @throws KernelUnavailableError where there is no Linux or koffi cannot be loaded.
 *
 * @example
 * import { linuxKernel } from 'fanotify/kernel';
 * if (process.platform === 'linux') console.log(linuxKernel().name); // e.g. Linux 6.18.44
 */
export function linuxKernel(): Kernel {
  shared ??= new LinuxKernel();
  return shared;
}

// struct sizes and offsets: asm-generic/statfs.h and linux/stat.h for 64-bit machines, poll(2), name_to_handle_at(2).
const STATFS_BYTES = 120;
const STATFS_FSID = 56;
const STATX_BYTES = 256;
const STATX_TYPE = 1;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const POLLFD_BYTES = 8;
const POLLFD_REVENTS = 6;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** struct epoll_event is packed on x86-64 alone: linux/eventpoll.h. */
const EPOLL_DATA = process.arch === 'x64' ? 4 : 8;
const EPOLL_EVENT_BYTES = EPOLL_DATA + 8;
const MAX_HANDLE_SZ = 128;
const HANDLE_HEADER_BYTES = 8;
const PATH_MAX = 4096;
const CLOCK_BOOTTIME = 7;
// socket.h; SOCK_CLOEXEC is O_CLOEXEC.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_PASSCRED = 16;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const MSG_PEEK = 0x02;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const BACKLOG = 1024;
/** unix(7): sun_path without the zero at its end. */
const MOST_SUN_PATH = 107;
const SOCK_SEQPACKET = 5;
// linux/sched.h
const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x4000_0000;
// linux/openat2.h
// struct open_how: flags, mode and resolve, of 64 bits each.
const OPEN_HOW_BYTES = 24;
const OPEN_HOW_RESOLVE = 16;
// struct linux_dirent64 of getdents(2), and the types of dirent.h.
const DIRENT_LENGTH = 16;
const DIRENT_TYPE = 18;
const DIRENT_NAME = 19;
const DIRENT_TYPES: Readonly<Record<number, DirectoryEntry['type']>> = {
  1: 'other', // DT_FIFO
  2: 'other', // DT_CHR
  4: 'directory',
  6: 'other', // DT_BLK
  8: 'file',
  10: 'symlink',
  12: 'other', // DT_SOCK
};
const ENTRIES_BYTES = 32_768;
const DOT = 0x2e;
// asm-generic/ioctls.h: the same on every architecture that libc.ts admits.
const FIONREAD = 0x541b;
const SIOCOUTQ = 0x5411;
const TIOCGPGRP = 0x540f;
const TIOCSPGRP = 0x5410;
// wait.h, and siginfo_t of asm-generic/siginfo.h for 64-bit machines.
const P_ALL = 0;
const P_PID = 1;
const SIGINFO_BYTES = 128;
const SIGINFO = { code: 8, pid: 16, status: 24 } as const;
const SIGTTOU = 22;
const SIG_IGN = 1n;
// linux/capability.h: two struct __user_cap_data_struct (effective, permitted, inheritable), the lower 32 capabilities first.
const CAPABILITY_VERSION_3 = 0x2008_0522;
const CAPABILITY_BYTES = 12;
const CAPABILITY_PERMITTED = 4;
type Capabilities = readonly [number, number];
const NO_CAPABILITIES: Capabilities = [0, 0];

/**
 * {@link Kernel} over the system calls of the running Linux. Prefer {@link linuxKernel}, which shares one.
 *
 * @throws KernelUnavailableError where there is no Linux or koffi cannot be loaded.
 * @example
 * import { LinuxKernel } from 'fanotify/kernel';
 * const kernel = new LinuxKernel();
 * console.log(kernel.pid === process.pid, kernel.readlink('/proc/self/cwd').toString() === process.cwd()); // true true
 */
export class LinuxKernel implements Kernel {
  readonly name: string = `Linux ${release()}`;
  readonly release: string = release();
  readonly pid: number = process.pid;

  readonly #libc: Libc = libc();
  #pollView: DataView = new DataView(new ArrayBuffer(4 * POLLFD_BYTES));
  #pollBuffer: Uint8Array = new Uint8Array(this.#pollView.buffer);
  // Written by one call and read before the next: every operation is synchronous.
  readonly #statBuffer: Buffer = Buffer.alloc(STATX_BYTES);
  readonly #statView: DataView = new DataView(this.#statBuffer.buffer, this.#statBuffer.byteOffset, STATX_BYTES);
  readonly #linkBuffer: Buffer = Buffer.alloc(PATH_MAX);
  readonly #handleBuffer: Buffer = Buffer.alloc(HANDLE_HEADER_BYTES + MAX_HANDLE_SZ);
  readonly #mountIdBuffer: Buffer = Buffer.alloc(8);
  readonly #timeBuffer: Buffer = Buffer.alloc(16);
  readonly #entriesBuffer: Buffer = Buffer.allocUnsafeSlow(ENTRIES_BYTES);
  readonly #fileBuffer: Buffer = Buffer.allocUnsafeSlow(16_384);
  readonly #countBuffer: Buffer = Buffer.alloc(4);
  readonly #howBuffer: Buffer = Buffer.alloc(OPEN_HOW_BYTES);
  #messages: Messages | undefined;
  #own: (Identity & { readonly effective: Capabilities }) | undefined;
  #major = 0;
  #minor = 0;
  #device = 0n;
  // Every emptied queue ends in this error, which says nothing but itself: one for all, since making a stack trace costs
  // ten times the system call.
  readonly #nothingToRead: KernelError = new KernelError('read', ERRNO.EAGAIN);
  readonly #epollEvent: Buffer = Buffer.alloc(EPOLL_EVENT_BYTES);
  readonly #nothingToReceive: KernelError = new KernelError('recv', ERRNO.EAGAIN);

  fanotifyInit(flags: number, eventFlags: number): number {
    const fd = this.#libc.fanotifyInit(flags, eventFlags);
    return fd === -1 ? this.#fail('fanotify_init') : fd;
  }

  fanotifyMark(fd: number, flags: number, mask: bigint, dirfd: number, path: KernelPath | null): void {
    const cPath = path === null ? null : terminated('fanotify_mark', path);
    if (this.#libc.fanotifyMark(fd, flags, mask, dirfd, cPath) === -1) this.#fail('fanotify_mark', path);
  }

  read(fd: number, buffer: Uint8Array): number {
    for (;;) {
      const bytes = this.#libc.read(fd, buffer, buffer.byteLength);
      if (bytes !== -1) return bytes;
      if (this.#libc.errno() === ERRNO.EAGAIN) throw this.#nothingToRead;
      this.#failUnlessInterrupted('read');
    }
  }

  readAt(fd: number, buffer: Uint8Array, offset: number): number {
    for (;;) {
      const bytes = this.#libc.pread(fd, buffer, buffer.byteLength, offset);
      if (bytes !== -1) return bytes;
      this.#failUnlessInterrupted('pread');
    }
  }

  write(fd: number, bytes: Uint8Array): number {
    for (;;) {
      const taken = this.#libc.write(fd, bytes, bytes.byteLength);
      if (taken !== -1) return taken;
      this.#failUnlessInterrupted('write');
    }
  }

  waitingBytes(fd: number): number {
    if (this.#libc.ioctl(fd, FIONREAD, this.#countBuffer) === -1) this.#fail('ioctl');
    return this.#countBuffer.readInt32LE(0);
  }

  poll(entries: PollEntry[], timeoutMs: number): number {
    const bytes = entries.length * POLLFD_BYTES;
    if (bytes > this.#pollView.byteLength) {
      this.#pollView = new DataView(new ArrayBuffer(bytes));
      this.#pollBuffer = new Uint8Array(this.#pollView.buffer);
    }
    const view = this.#pollView;
    let offset = 0;
    for (const entry of entries) {
      view.setInt32(offset, entry.fd, true);
      view.setInt16(offset + 4, entry.events, true);
      offset += POLLFD_BYTES;
    }
    const started = timeoutMs > 0 ? performance.now() : 0;
    let remainingMs = timeoutMs;
    for (;;) {
      const ready = this.#libc.poll(this.#pollBuffer, entries.length, remainingMs);
      if (ready !== -1) {
        offset = POLLFD_REVENTS;
        for (const entry of entries) {
          entry.revents = view.getInt16(offset, true);
          offset += POLLFD_BYTES;
        }
        return ready;
      }
      this.#failUnlessInterrupted('poll');
      if (timeoutMs > 0) remainingMs = Math.max(0, timeoutMs - Math.floor(performance.now() - started));
    }
  }

  epollCreate(): number {
    const fd = this.#libc.epollCreate(O_CLOEXEC);
    return fd === -1 ? this.#fail('epoll_create1') : fd;
  }

  epollControl(epoll: number, fd: number, events: number | undefined, isKnown: boolean): void {
    const operation = events === undefined ? EPOLL_CTL_DEL : isKnown ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    this.#epollEvent.writeUInt32LE(events ?? 0, 0);
    this.#epollEvent.writeInt32LE(fd, EPOLL_DATA);
    if (this.#libc.epollCtl(epoll, operation, fd, this.#epollEvent) === -1) this.#fail('epoll_ctl');
  }

  epollReady(epoll: number, most: number, visit: (fd: number, revents: number) => void): void {
    const events = Buffer.alloc(most * EPOLL_EVENT_BYTES);
    const count = this.#libc.epollWait(epoll, events, most, 0);
    if (count === -1) {
      this.#failUnlessInterrupted('epoll_wait');
      return;
    }
    for (let at = 0; at < count * EPOLL_EVENT_BYTES; at += EPOLL_EVENT_BYTES) {
      visit(events.readInt32LE(at + EPOLL_DATA), events.readUInt32LE(at));
    }
  }

  close(fd: number): void {
    // close(2), "Dealing with error returns": after EINTR the descriptor is gone already; trying again could close
    // another thread's new one.
    if (this.#libc.close(fd) === -1 && this.#libc.errno() !== ERRNO.EINTR) this.#fail('close');
  }

  closeElsewhere(fd: number): Promise<void> {
    return new Promise((resolve) => this.#libc.closeElsewhere(fd, resolve));
  }

  onReadable(fd: number, listener: () => void): Readiness {
    return watchReadable(this, this.#libc, fd, listener);
  }

  onPriority(fd: number, listener: () => void): Readiness {
    return watchPriority(this, this.#libc, fd, listener);
  }

  openAt(dirfd: number, path: KernelPath, flags: number, mode = 0): number {
    const cPath = terminated('openat', path);
    for (;;) {
      const fd = this.#libc.openat(dirfd, cPath, flags, mode);
      if (fd !== -1) return fd;
      this.#failUnlessInterrupted('openat', path);
    }
  }

  openAt2(dirfd: number, path: KernelPath, flags: number, resolve: number): number {
    const cPath = terminated('openat2', path);
    this.#howBuffer.writeUInt32LE(flags >>> 0, 0);
    this.#howBuffer.writeUInt32LE(resolve, OPEN_HOW_RESOLVE);
    for (;;) {
      const fd = this.#libc.openat2(dirfd, cPath, this.#howBuffer);
      if (fd !== -1) return fd;
      this.#failUnlessInterrupted('openat2', path);
    }
  }

  openByHandleAt(mountFd: number, handle: Uint8Array, flags: number): number {
    for (;;) {
      const fd = this.#libc.openByHandleAt(mountFd, handle, flags);
      if (fd !== -1) return fd;
      this.#failUnlessInterrupted('open_by_handle_at');
    }
  }

  nameToHandleAt(dirfd: number, path: KernelPath, flags: number): NamedHandle {
    const cPath = terminated('name_to_handle_at', path);
    const room = this.#handleBuffer;
    room.writeUInt32LE(MAX_HANDLE_SZ, 0);
    const mountId = this.#mountIdBuffer;
    if (this.#libc.nameToHandleAt(dirfd, cPath, room, mountId, flags) === -1) this.#fail('name_to_handle_at', path);
    const handle = Buffer.allocUnsafe(HANDLE_HEADER_BYTES + room.readUInt32LE(0));
    room.copy(handle);
    return {
      handle,
      mountId: flags & AT_HANDLE_MNT_ID_UNIQUE ? Number(mountId.readBigUInt64LE(0)) : mountId.readInt32LE(0),
    };
  }

  readlink(path: KernelPath): Buffer {
    const bytes = this.#libc.readlink(terminated('readlink', path), this.#linkBuffer, PATH_MAX);
    if (bytes === -1) return this.#fail('readlink', path);
    const target = Buffer.allocUnsafe(bytes);
    this.#linkBuffer.copy(target, 0, 0, bytes);
    return target;
  }

  statAt(dirfd: number, path: KernelPath, flags: number): FileStatus {
    // statx(2), because its struct is the same on every architecture, which fstatat(2)'s is not.
    const buffer = this.#statBuffer;
    if (this.#libc.statx(dirfd, terminated('statx', path), flags, STATX_BASIC_STATS | STATX_BTIME, buffer) === -1) {
      this.#fail('statx', path);
    }
    return {
      dev: this.#deviceNumber(buffer.readUInt32LE(136), buffer.readUInt32LE(140)),
      ino: this.#statView.getBigUint64(32, true),
      mode: buffer.readUInt16LE(28),
      nlink: buffer.readUInt32LE(16),
      uid: buffer.readUInt32LE(20),
      gid: buffer.readUInt32LE(24),
      sizeBytes: this.#statView.getBigUint64(40, true),
      mtimeNs: nanoseconds(buffer, 112),
      ctimeNs: nanoseconds(buffer, 96),
      btimeNs: (buffer.readUInt32LE(0) & STATX_BTIME) === 0 ? 0n : nanoseconds(buffer, 80),
    };
  }

  accessAt(dirfd: number, path: KernelPath, mode: number, flags: number): void {
    if (this.#libc.faccessat2(dirfd, terminated('faccessat2', path), mode, flags) === -1)
      this.#fail('faccessat2', path);
  }

  statfs(target: KernelPath | number): FilesystemStatus {
    const buffer = this.#statBuffer.subarray(0, STATFS_BYTES);
    if (typeof target === 'number') {
      if (this.#libc.fstatfs(target, buffer) === -1) this.#fail('fstatfs');
    } else if (this.#libc.statfs(terminated('statfs', target), buffer) === -1) {
      this.#fail('statfs', target);
    }
    return {
      // Magic numbers have 32 bits, in a word of 64.
      type: buffer.readUInt32LE(0),
      fsid: [buffer.readInt32LE(STATFS_FSID), buffer.readInt32LE(STATFS_FSID + 4)],
    };
  }

  bootTimeMs(): number {
    if (this.#libc.clockGettime(CLOCK_BOOTTIME, this.#timeBuffer) === -1) this.#fail('clock_gettime');
    // struct timespec: two 64-bit numbers. Seconds since boot fit into 32 bits.
    const seconds = this.#timeBuffer.readUInt32LE(0);
    return seconds * 1000 + this.#timeBuffer.readUInt32LE(8) / 1e6;
  }

  eventFd(): number {
    const fd = this.#libc.eventfd(0, O_CLOEXEC | O_NONBLOCK);
    return fd === -1 ? this.#fail('eventfd') : fd;
  }

  socketPair(): readonly [number, number] {
    const pair = Buffer.alloc(8);
    if (this.#libc.socketpair(AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0, pair) === -1) this.#fail('socketpair');
    return [pair.readInt32LE(0), pair.readInt32LE(4)];
  }

  connectUnix(path: KernelPath, type: 'stream' | 'seqpacket' = 'stream'): number {
    const address = unixAddress('connect', path);
    return this.#unixSocket(type === 'stream' ? SOCK_STREAM : SOCK_SEQPACKET, (fd) => {
      const one = Buffer.from(new Int32Array([1]).buffer);
      if (this.#libc.setsockopt(fd, SOL_SOCKET, SO_PASSCRED, one, one.byteLength) === -1) this.#fail('setsockopt');
      while (this.#libc.connect(fd, address, address.byteLength) === -1) this.#failUnlessInterrupted('connect', path);
    });
  }

  listenUnix(path: KernelPath, mode: number): number {
    const address = unixAddress('bind', path);
    return this.#unixSocket(SOCK_SEQPACKET, (fd) => {
      if (this.#libc.bind(fd, address, address.byteLength) === -1) this.#fail('bind', path);
      if (this.#libc.chmod(terminated('chmod', path), mode) === -1) this.#fail('chmod', path);
      if (this.#libc.listen(fd, BACKLOG) === -1) this.#fail('listen', path);
    });
  }

  #unixSocket(type: number, use: (fd: number) => void): number {
    const fd = this.#libc.socket(AF_UNIX, type | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd === -1) return this.#fail('socket');
    try {
      use(fd);
      return fd;
    } catch (error) {
      this.#libc.close(fd);
      throw error;
    }
  }

  sendDatagram(path: KernelPath, bytes: Uint8Array): void {
    const address = unixAddress('sendto', path);
    // The whole of an abstract name counts, with what follows it.
    const length = address[2] === 0 ? 2 + Buffer.byteLength(path) : address.byteLength;
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    const fd = this.#unixSocket(SOCK_DGRAM, (socket) => {
      while (this.#libc.sendto(socket, bytes, bytes.byteLength, flags, address, length) === -1)
        this.#failUnlessInterrupted('sendto', path);
    });
    this.#libc.close(fd);
  }

  acceptUnix(fd: number): number {
    for (;;) {
      const accepted = this.#libc.accept4(fd, null, null, O_NONBLOCK | O_CLOEXEC);
      if (accepted !== -1) return accepted;
      this.#failUnlessInterrupted('accept4');
    }
  }

  peerOf(fd: number): Peer {
    const [pid = 0, uid = 0, gid = 0] = this.#socketOption(fd, SO_PEERCRED, 3);
    return {
      pid,
      uid: uid >>> 0,
      gid: gid >>> 0,
      groups: this.#socketOption(fd, SO_PEERGROUPS, 32).map((id) => id >>> 0),
    };
  }

  /** An option whose value is 32-bit numbers; `count` is how many are expected. */
  #socketOption(fd: number, name: number, count: number): number[] {
    const bytes = Buffer.alloc(4);
    for (let room = count; ; room = bytes.readInt32LE(0) / 4) {
      const value = new Int32Array(room);
      bytes.writeInt32LE(value.byteLength, 0);
      const buffer = new Uint8Array(value.buffer);
      if (this.#libc.getsockopt(fd, SOL_SOCKET, name, buffer, bytes) !== -1) {
        return [...value.subarray(0, bytes.readInt32LE(0) / 4)];
      }
      // There are more, and now it has said how many.
      if (this.#libc.errno() !== ERRNO.ERANGE || bytes.readInt32LE(0) / 4 <= room) this.#fail('getsockopt');
    }
  }

  sendMessage(fd: number, bytes: Uint8Array, descriptors?: readonly number[]): number {
    this.#messages ??= new Messages(this.#libc);
    return this.#messages.send(fd, bytes, descriptors);
  }

  receiveMessage(fd: number, buffer: Uint8Array, closeOnExec: boolean): ReceivedMessage {
    this.#messages ??= new Messages(this.#libc);
    return this.#messages.receive(fd, buffer, closeOnExec);
  }

  receiveBytes(fd: number, buffer: Uint8Array, peek: boolean): number {
    const flags = MSG_DONTWAIT | MSG_TRUNC | (peek ? MSG_PEEK : 0);
    for (;;) {
      const bytes = this.#libc.recv(fd, buffer, buffer.byteLength, flags);
      if (bytes !== -1) return bytes;
      if (this.#libc.errno() === ERRNO.EAGAIN) throw this.#nothingToReceive;
      this.#failUnlessInterrupted('recv');
    }
  }

  peekMessage(fd: number, buffer: Uint8Array): PeekedMessage {
    this.#messages ??= new Messages(this.#libc);
    return this.#messages.peek(fd, buffer);
  }

  unsentBytes(fd: number): number {
    if (this.#libc.ioctl(fd, SIOCOUTQ, this.#countBuffer) === -1) this.#fail('ioctl');
    return this.#countBuffer.readInt32LE(0);
  }

  fcntl(fd: number, command: number, argument: number): number {
    const answer = this.#libc.fcntl(fd, command, argument);
    return answer === -1 ? this.#fail('fcntl') : answer;
  }

  pidfdOpen(pid: number): number {
    const pidfd = this.#libc.pidfdOpen(pid);
    return pidfd === -1 ? this.#fail('pidfd_open') : pidfd;
  }

  pidfdGetfd(pidfd: number, targetFd: number): number {
    const fd = this.#libc.pidfdGetfd(pidfd, targetFd);
    return fd === -1 ? this.#fail('pidfd_getfd') : fd;
  }

  pidfdSendSignal(pidfd: number, signal: number): void {
    if (this.#libc.pidfdSendSignal(pidfd, signal) === -1) this.#fail('pidfd_send_signal');
  }

  scheduleInRealTime(priority: number): void {
    // struct sched_param is one int.
    const parameters = Buffer.alloc(4);
    parameters.writeInt32LE(priority);
    const self = 0;
    const policy = (priority === 0 ? SCHED_OTHER : SCHED_RR) | SCHED_RESET_ON_FORK;
    if (this.#libc.schedSetscheduler(self, policy, parameters) === -1) this.#fail('sched_setscheduler');
  }

  actAs(identity: Identity | null): void {
    const own = this.#ownIdentity();
    const { uid, gid, groups } = identity ?? own;
    const list = Uint32Array.from(groups);
    // As itself first: only then may the others be set.
    this.#setEffective(null);
    this.#libc.setfsuid(own.uid);
    if (this.#libc.setgroups(list.length, new Uint8Array(list.buffer)) === -1) this.#fail('setgroups');
    this.#libc.setfsgid(gid);
    this.#libc.setfsuid(uid);
    // They answer what is the case, whatever they are told: -1 changes nothing.
    const isSo = this.#libc.setfsgid(-1) >>> 0 === gid && this.#libc.setfsuid(-1) >>> 0 === uid;
    if (!isSo) throw new KernelError('setfsuid', ERRNO.EPERM);
    // Last: as the uid changes the kernel changes these, too.
    this.#setEffective(identity ? NO_CAPABILITIES : own.effective);
  }

  /** As what this thread was before it first acted as somebody. */
  #ownIdentity(): Identity & { readonly effective: Capabilities } {
    this.#own ??= {
      uid: process.geteuid?.() ?? 0,
      gid: process.getegid?.() ?? 0,
      groups: process.getgroups?.() ?? [],
      effective: [0, CAPABILITY_BYTES].map((at) => this.#capabilities().readUInt32LE(at)) as [number, number],
    };
    return this.#own;
  }

  /** Null: all that are permitted. Those stay, so that they can be had again. */
  #setEffective(effective: Capabilities | null): void {
    const data = this.#capabilities();
    for (const [half, at] of [0, CAPABILITY_BYTES].entries()) {
      data.writeUInt32LE(effective?.[half] ?? data.readUInt32LE(at + CAPABILITY_PERMITTED), at);
    }
    if (this.#libc.capset(capabilityHeader(), data) === -1) this.#fail('capset');
  }

  #capabilities(): Buffer {
    const data = Buffer.alloc(2 * CAPABILITY_BYTES);
    if (this.#libc.capget(capabilityHeader(), data) === -1) this.#fail('capget');
    return data;
  }

  unshare(flags: number): void {
    if (this.#libc.unshare(flags) === -1) this.#fail('unshare');
  }

  setNamespace(fd: number, type: number): void {
    if (this.#libc.setns(fd, type) === -1) this.#fail('setns');
  }

  mount(source: KernelPath, target: KernelPath, type: string | null, flags: number): void {
    const cSource = terminated('mount', source);
    const ownSource = typeof cSource === 'string' ? cSource : Buffer.from(cSource);
    if (this.#libc.mount(ownSource, terminated('mount', target), type, flags) === -1) this.#fail('mount', target);
  }

  waitChild(pid: number, options: number): ChildChange | undefined {
    const info = Buffer.alloc(SIGINFO_BYTES);
    while (this.#libc.waitid(pid === 0 ? P_ALL : P_PID, pid, info, options) === -1) {
      this.#failUnlessInterrupted('waitid');
    }
    const changed = info.readInt32LE(SIGINFO.pid);
    if (changed === 0) return undefined;
    return { pid: changed, code: info.readInt32LE(SIGINFO.code), status: info.readInt32LE(SIGINFO.status) };
  }

  terminalGroup(fd: number): number {
    if (this.#libc.ioctl(fd, TIOCGPGRP, this.#countBuffer) === -1) this.#fail('ioctl');
    return this.#countBuffer.readInt32LE(0);
  }

  setTerminalGroup(fd: number, group: number): void {
    this.#countBuffer.writeInt32LE(group);
    // From the background the whole group would be stopped, unless it ignores that.
    const before = this.#libc.signal(SIGTTOU, SIG_IGN);
    const answer = this.#libc.ioctl(fd, TIOCSPGRP, this.#countBuffer);
    const errno = this.#libc.errno();
    this.#libc.signal(SIGTTOU, before);
    if (answer === -1) throw new KernelError('ioctl', errno);
  }

  exitAtOnce(status: number): void {
    this.#libc.exitAtOnce(status);
  }

  readFile(path: KernelPath): Buffer {
    const fd = this.#libc.openat(AT_FDCWD, terminated('open', path), O_CLOEXEC, 0);
    if (fd === -1) this.#fail('open', path);
    try {
      // node:fs would allocate 64 KiB for each file of /proc, since they say that they are empty.
      let buffer = this.#fileBuffer;
      let length = 0;
      for (;;) {
        if (length === buffer.length) buffer = Buffer.concat([buffer], 2 * length);
        const bytes = this.#libc.read(fd, buffer.subarray(length), buffer.length - length);
        if (bytes === -1) this.#failUnlessInterrupted('read', path);
        else if (bytes > 0) length += bytes;
        else return buffer === this.#fileBuffer ? Buffer.from(buffer.subarray(0, length)) : buffer.subarray(0, length);
      }
    } finally {
      this.#libc.close(fd);
    }
  }

  readDirectory(path: KernelPath): DirectoryEntry[] {
    const fd = this.#libc.openat(AT_FDCWD, terminated('open', path), O_DIRECTORY | O_CLOEXEC, 0);
    if (fd === -1) this.#fail('open', path);
    try {
      const entries: DirectoryEntry[] = [];
      for (let next = this.readEntries(fd); next; next = this.readEntries(fd))
        for (const entry of next) entries.push(entry);
      return entries;
    } finally {
      this.#libc.close(fd);
    }
  }

  readEntries(fd: number, only?: 'directories'): DirectoryEntry[] | undefined {
    const buffer = this.#entriesBuffer;
    let bytes = this.#libc.getdents(fd, buffer, buffer.length);
    while (bytes === -1) {
      this.#failUnlessInterrupted('getdents64');
      bytes = this.#libc.getdents(fd, buffer, buffer.length);
    }
    if (bytes === 0) return undefined;
    const entries: DirectoryEntry[] = [];
    for (let offset = 0; offset < bytes; offset += buffer.readUInt16LE(offset + DIRENT_LENGTH)) {
      const known = DIRENT_TYPES[buffer[offset + DIRENT_TYPE] as number];
      if (only !== undefined && known !== undefined && known !== 'directory') continue;
      const start = offset + DIRENT_NAME;
      let end = start;
      while (buffer[end] !== 0) end++;
      if (isDotOrDots(buffer, start, end)) continue;
      const name = Buffer.allocUnsafe(end - start);
      for (let at = start; at < end; at++) name[at - start] = buffer[at] as number;
      entries.push({ name, type: known ?? this.#typeOf(fd, name) });
    }
    return entries;
  }

  /** Some file systems leave the type to statx(2). */
  #typeOf(fd: number, name: Buffer): DirectoryEntry['type'] {
    const flags = AT_SYMLINK_NOFOLLOW;
    if (this.#libc.statx(fd, terminated('statx', name), flags, STATX_TYPE, this.#statBuffer) === -1) return 'unknown';
    // S_IFMT is the type of a directory entry, twelve bits up: IFTODT of dirent.h.
    return DIRENT_TYPES[this.#statBuffer.readUInt16LE(28) >> 12] ?? 'unknown';
  }

  /** What is looked at one after the other is mostly on one device. */
  #deviceNumber(major: number, minor: number): bigint {
    if (major !== this.#major || minor !== this.#minor) {
      this.#major = major;
      this.#minor = minor;
      this.#device = deviceNumber(major, minor);
    }
    return this.#device;
  }

  #failUnlessInterrupted(syscall: string, path?: KernelPath): void {
    const errno = this.#libc.errno();
    if (errno !== ERRNO.EINTR) throw new KernelError(syscall, errno, path);
  }

  #fail(syscall: string, path?: KernelPath | null): never {
    throw new KernelError(syscall, this.#libc.errno(), path);
  }
}

/** A struct statx_timestamp. */
function nanoseconds(buffer: Buffer, offset: number): bigint {
  const seconds = buffer.readInt32LE(offset + 4) * 0x1_0000_0000 + buffer.readUInt32LE(offset);
  return BigInt(seconds) * 1_000_000_000n + BigInt(buffer.readUInt32LE(offset + 8));
}

/** struct __user_cap_header_struct: pid 0 is the calling thread. */
function capabilityHeader(): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  return header;
}

/** struct sockaddr_un. */
function unixAddress(syscall: string, path: KernelPath): Buffer {
  const name = typeof path === 'string' ? Buffer.from(path) : path;
  if (name.byteLength > MOST_SUN_PATH) throw new KernelError(syscall, ERRNO.ENAMETOOLONG, path);
  const address = Buffer.alloc(2 + MOST_SUN_PATH + 1);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

/** Good until the next path. */
const pathBuffer = Buffer.allocUnsafeSlow(PATH_MAX);

/** A path as C takes it, until the next one. One with a NUL inside would be cut there in silence, so it is refused with EINVAL. */
function terminated(syscall: string, path: KernelPath): string | Uint8Array {
  if (typeof path === 'string') {
    if (path.includes('\0')) throw new KernelError(syscall, ERRNO.EINVAL, path);
    return path;
  }
  const { length } = path;
  const bytes = length < pathBuffer.length ? pathBuffer : Buffer.allocUnsafe(length + 1);
  for (let at = 0; at < length; at++) {
    const byte = path[at] as number;
    if (byte === 0) throw new KernelError(syscall, ERRNO.EINVAL, path);
    bytes[at] = byte;
  }
  bytes[length] = 0;
  return bytes;
}

function isDotOrDots(buffer: Buffer, start: number, end: number): boolean {
  return buffer[start] === DOT && (end - start === 1 || (end - start === 2 && buffer[start + 1] === DOT));
}

// gnu_dev_makedev of glibc: what st_dev holds, and what /proc/self/mountinfo prints as major:minor.
function deviceNumber(major: number, minor: number): bigint {
  const high = BigInt(major);
  const low = BigInt(minor);
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}
