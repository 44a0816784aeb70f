// The C library's functions that the seam calls, bound through koffi when first asked for: importing this loads nothing,
// so that it can be imported on any operating system.

import { createRequire } from 'node:module';
import { KernelUnavailableError } from './error.ts';

type Koffi = typeof import('koffi');

/** Where a libc function takes a pointer to bytes, a buffer is passed by address: nothing is copied. */
type Bytes = Uint8Array;
type CPath = string | Uint8Array | null;

/** The bound functions: each returns what C returns, -1 for a failure whose number `errno()` then tells. */
export interface Libc {
  errno(): number;
  fanotifyInit(flags: number, eventFlags: number): number;
  fanotifyMark(fd: number, flags: number, mask: bigint, dirfd: number, path: CPath): number;
  read(fd: number, buffer: Bytes, bytes: number): number;
  pread(fd: number, buffer: Bytes, bytes: number, offset: number): number;
  write(fd: number, buffer: Bytes, bytes: number): number;
  ioctl(fd: number, request: number, argument: Bytes): number;
  poll(entries: Bytes, count: number, timeoutMs: number): number;
  close(fd: number): number;
  /** On a thread of libuv. */
  closeElsewhere(fd: number, done: () => void): void;
  openat(dirfd: number, path: CPath, flags: number, mode: number): number;
  openat2(dirfd: number, path: CPath, how: Bytes): number;
  getdents(fd: number, buffer: Bytes, bytes: number): number;
  openByHandleAt(mountFd: number, handle: Bytes, flags: number): number;
  nameToHandleAt(dirfd: number, path: CPath, handle: Bytes, mountId: Bytes, flags: number): number;
  readlink(path: CPath, buffer: Bytes, bytes: number): number;
  statx(dirfd: number, path: CPath, flags: number, mask: number, buffer: Bytes): number;
  statfs(path: CPath, buffer: Bytes): number;
  fstatfs(fd: number, buffer: Bytes): number;
  clockGettime(clock: number, time: Bytes): number;
  pidfdSendSignal(pidfd: number, signal: number): number;
  eventfd(initial: number, flags: number): number;
  socketpair(domain: number, type: number, protocol: number, pair: Bytes): number;
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: Bytes, bytes: number): number;
  bind(fd: number, address: Bytes, bytes: number): number;
  chmod(path: CPath, mode: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: null, bytes: null, flags: number): number;
  getsockopt(fd: number, level: number, name: number, value: Bytes, bytes: Bytes): number;
  recv(fd: number, buffer: Bytes, bytes: number, flags: number): number;
  setgroups(count: number, groups: Bytes): number;
  /** They answer what was before, and tell of no failure. */
  setfsuid(uid: number): number;
  setfsgid(gid: number): number;
  /** Of the calling thread. */
  capget(header: Bytes, data: Bytes): number;
  capset(header: Bytes, data: Bytes): number;
  faccessat2(dirfd: number, path: CPath, mode: number, flags: number): number;
  setsockopt(fd: number, level: number, name: number, value: Bytes, bytes: number): number;
  send(fd: number, buffer: Bytes, bytes: number, flags: number): number;
  sendto(fd: number, buffer: Bytes, bytes: number, flags: number, address: Bytes, addressBytes: number): number;
  sendmsg(fd: number, message: Bytes, flags: number): number;
  recvmsg(fd: number, message: Bytes, flags: number): number;
  /** Where a buffer's bytes are: below 2^53, as no address of a process has more than 47 bits unless it asks for that. */
  addressOf(bytes: Bytes): number;
  fcntl(fd: number, command: number, argument: number): number;
  pidfdOpen(pid: number): number;
  pidfdGetfd(pidfd: number, targetFd: number): number;
  schedSetscheduler(pid: number, policy: number, parameters: Bytes): number;
  unshare(flags: number): number;
  setns(fd: number, type: number): number;
  mount(source: CPath, target: CPath, type: CPath, flags: number): number;
  waitid(idType: number, id: number, info: Bytes, options: number): number;
  exitAtOnce(status: number): void;
  signal(signal: number, disposition: bigint): bigint;
  epollCreate(flags: number): number;
  epollCtl(epollFd: number, operation: number, fd: number, event: Bytes): number;
  epollWait(epollFd: number, events: Bytes, most: number, timeoutMs: number): number;
  localtime(seconds: Bytes, tm: Bytes): unknown;
  strftime(buffer: Bytes, bytes: number, format: string, tm: Bytes): number;
  /** libuv's poll handle, which koffi exposes. */
  readonly node: Koffi['node'];
}

// The layouts that linux.ts reads (struct statfs, pollfd, statx) are those of asm-generic on 64-bit little-endian machines.
const ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64'];

// By number, since musl has no statx() before 1.2.5. asm/unistd_64.h; every architecture here but x86_64 has the generic one.
const STATX_NUMBER = process.arch === 'x64' ? 332 : 291;

// By number too: glibc has these since 2.36, musl has none. The same numbers on every architecture.
const PIDFD_SEND_SIGNAL_NUMBER = 424;
const PIDFD_OPEN_NUMBER = 434;
const PIDFD_GETFD_NUMBER = 438;

// By number: no C library had it before glibc 2.43. The same number on every architecture.
const OPENAT2_NUMBER = 437;
const OPEN_HOW_BYTES = 24;

// By number, since musl has it under another name.
const GETDENTS64_NUMBER = process.arch === 'x64' ? 217 : 61;

// By number, since musl's sched_setscheduler() answers ENOSYS.
const SCHED_SETSCHEDULER_NUMBER = process.arch === 'x64' ? 144 : 119;

// By number: the C library's own sets the ids of all threads (setgroups), or is not in all (faccessat2).
const SETGROUPS_NUMBER = process.arch === 'x64' ? 116 : 159;
const SETFSUID_NUMBER = process.arch === 'x64' ? 122 : 151;
const SETFSGID_NUMBER = process.arch === 'x64' ? 123 : 152;
const FACCESSAT2_NUMBER = 439;
const CAPGET_NUMBER = process.arch === 'x64' ? 125 : 90;
const CAPSET_NUMBER = process.arch === 'x64' ? 126 : 91;

let loaded: Libc | undefined;

/**
 * The C library of this process.
 *
 * @throws KernelUnavailableError off Linux, on other architectures, and where koffi has no binary that loads.
 */
export function libc(): Libc {
  loaded ??= bind();
  return loaded;
}

function bind(): Libc {
  if (process.platform !== 'linux') {
    throw new KernelUnavailableError(`fanotify is a Linux interface; this is ${process.platform}.`);
  }
  if (!ARCHITECTURES.includes(process.arch)) {
    throw new KernelUnavailableError(`${process.arch} is not supported (${ARCHITECTURES.join(', ')} are).`);
  }
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    return declare(koffi);
  } catch (cause) {
    throw new KernelUnavailableError(
      `The native module koffi cannot be loaded on ${process.platform}-${process.arch}: ${String(cause)}`,
      { cause },
    );
  }
}

function declare(koffi: Koffi): Libc {
  // null is the process itself: Node links the C library dynamically, glibc and musl alike.
  const library = koffi.load(null);
  // koffi knows no ssize_t, and a variadic function (openat) may be declared with the arguments it is called with.
  // `void *` takes a buffer's address; `const char *` takes a string (as UTF-8), a buffer's address or null.
  const syscall = library.func(
    'intptr_t syscall(intptr_t number, intptr_t dirfd, const char *path, intptr_t flags, uintptr_t mask, void *buffer)',
  );
  const signalCall = library.func(
    'intptr_t syscall(intptr_t number, intptr_t pidfd, intptr_t signal, const void *info, uintptr_t flags)',
  );
  const pidfdCall = library.func(
    'intptr_t syscall(intptr_t number, intptr_t process, intptr_t argument, uintptr_t flags)',
  );
  const scheduleCall = library.func(
    'intptr_t syscall(intptr_t number, intptr_t thread, intptr_t policy, const void *parameters)',
  );
  const readCall = library.func('intptr_t syscall(intptr_t number, intptr_t fd, void *buffer, uintptr_t bytes)');
  const openCall = library.func(
    'intptr_t syscall(intptr_t number, intptr_t dirfd, const char *path, void *how, uintptr_t bytes)',
  );
  const groupsCall = library.func('intptr_t syscall(intptr_t number, intptr_t count, const void *groups)');
  const idCall = library.func('intptr_t syscall(intptr_t number, intptr_t id)');
  const capabilityCall = library.func('intptr_t syscall(intptr_t number, void *header, void *data)');
  const accessCall = library.func(
    'intptr_t syscall(intptr_t number, intptr_t dirfd, const char *path, intptr_t mode, intptr_t flags)',
  );
  const mount = library.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
  );
  // It returns its first argument, and moves nothing when told so.
  const memmove = library.func('intptr_t memmove(void *to, const void *from, size_t bytes)');
  const close = library.func('int close(int fd)');
  return {
    errno: () => koffi.errno(),
    fanotifyInit: library.func('int fanotify_init(uint32_t flags, uint32_t event_f_flags)'),
    fanotifyMark: library.func('int fanotify_mark(int fd, uint32_t flags, uint64_t mask, int dirfd, const char *path)'),
    read: library.func('intptr_t read(int fd, void *buffer, size_t bytes)'),
    pread: library.func('intptr_t pread64(int fd, void *buffer, size_t bytes, int64_t offset)'),
    write: library.func('intptr_t write(int fd, void *buffer, size_t bytes)'),
    ioctl: library.func('int ioctl(int fd, unsigned long request, void *argument)'),
    poll: library.func('int poll(void *entries, size_t count, int timeout)'),
    close,
    closeElsewhere: (fd, done) => close.async(fd, done),
    openat: library.func('int openat(int dirfd, const char *path, int flags, uint32_t mode)'),
    openat2: (dirfd, path, how) => openCall(OPENAT2_NUMBER, dirfd, path, how, OPEN_HOW_BYTES),
    getdents: (fd, buffer, bytes) => readCall(GETDENTS64_NUMBER, fd, buffer, bytes),
    openByHandleAt: library.func('int open_by_handle_at(int mount_fd, void *handle, int flags)'),
    nameToHandleAt: library.func(
      'int name_to_handle_at(int dirfd, const char *path, void *handle, void *mount_id, int flags)',
    ),
    readlink: library.func('intptr_t readlink(const char *path, void *buffer, size_t bytes)'),
    statx: (dirfd, path, flags, mask, buffer) => syscall(STATX_NUMBER, dirfd, path, flags, mask, buffer),
    statfs: library.func('int statfs(const char *path, void *buffer)'),
    fstatfs: library.func('int fstatfs(int fd, void *buffer)'),
    clockGettime: library.func('int clock_gettime(int clock, void *time)'),
    pidfdSendSignal: (pidfd, signal) => signalCall(PIDFD_SEND_SIGNAL_NUMBER, pidfd, signal, null, 0),
    eventfd: library.func('int eventfd(uint32_t initial, int flags)'),
    socket: library.func('int socket(int domain, int type, int protocol)'),
    connect: library.func('int connect(int fd, const void *address, uint32_t bytes)'),
    bind: library.func('int bind(int fd, const void *address, uint32_t bytes)'),
    chmod: library.func('int chmod(const char *path, uint32_t mode)'),
    listen: library.func('int listen(int fd, int backlog)'),
    accept4: library.func('int accept4(int fd, void *address, void *bytes, int flags)'),
    getsockopt: library.func('int getsockopt(int fd, int level, int name, void *value, void *bytes)'),
    recv: library.func('intptr_t recv(int fd, void *buffer, size_t bytes, int flags)'),
    setgroups: (count, groups) => groupsCall(SETGROUPS_NUMBER, count, groups),
    setfsuid: (uid) => idCall(SETFSUID_NUMBER, uid),
    setfsgid: (gid) => idCall(SETFSGID_NUMBER, gid),
    capget: (header, data) => capabilityCall(CAPGET_NUMBER, header, data),
    capset: (header, data) => capabilityCall(CAPSET_NUMBER, header, data),
    faccessat2: (dirfd, path, mode, flags) => accessCall(FACCESSAT2_NUMBER, dirfd, path, mode, flags),
    setsockopt: library.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t bytes)'),
    socketpair: library.func('int socketpair(int domain, int type, int protocol, void *pair)'),
    send: library.func('intptr_t send(int fd, const void *buffer, size_t bytes, int flags)'),
    sendto: library.func(
      'intptr_t sendto(int fd, const void *buffer, size_t bytes, int flags, const void *address, uint32_t address_bytes)',
    ),
    sendmsg: library.func('intptr_t sendmsg(int fd, const void *message, int flags)'),
    recvmsg: library.func('intptr_t recvmsg(int fd, void *message, int flags)'),
    addressOf: (bytes) => memmove(bytes, bytes, 0),
    fcntl: library.func('int fcntl(int fd, int command, intptr_t argument)'),
    pidfdOpen: (pid) => pidfdCall(PIDFD_OPEN_NUMBER, pid, 0, 0),
    pidfdGetfd: (pidfd, targetFd) => pidfdCall(PIDFD_GETFD_NUMBER, pidfd, targetFd, 0),
    schedSetscheduler: (thread, policy, parameters) =>
      scheduleCall(SCHED_SETSCHEDULER_NUMBER, thread, policy, parameters),
    unshare: library.func('int unshare(int flags)'),
    setns: library.func('int setns(int fd, int type)'),
    mount: (source, target, type, flags) => mount(source, target, type, flags, null),
    waitid: library.func('int waitid(int idtype, uint32_t id, void *info, int options)'),
    exitAtOnce: library.func('void _exit(int status)'),
    signal: signalDisposition(library),
    epollCreate: library.func('int epoll_create1(int flags)'),
    epollCtl: library.func('int epoll_ctl(int epfd, int op, int fd, void *event)'),
    epollWait: library.func('int epoll_wait(int epfd, void *events, int most, int timeout)'),
    localtime: library.func('void *localtime_r(void *seconds, void *tm)'),
    strftime: library.func('size_t strftime(void *buffer, size_t bytes, const char *format, void *tm)'),
    node: koffi.node,
  };
}

/** A handler is an address, and SIG_DFL and SIG_IGN are 0 and 1: numbers here, since none is ever called. */
function signalDisposition(library: ReturnType<Koffi['load']>): Libc['signal'] {
  const signal = library.func('intptr_t signal(int signal, intptr_t disposition)');
  return (number, disposition) => BigInt(signal(number, disposition));
}
