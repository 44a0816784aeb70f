// The one seam to the operating system. Everything above it is written against this interface, so that LinuxKernel
// (linux.ts), the simulated kernel and limitKernel() can stand in for each other byte for byte.

import type { Fsid } from '../abi/index.ts';

/**
 * A path as the kernel takes it: a string is encoded as UTF-8, a `Uint8Array` is passed as its bytes (no NUL inside).
 */
export type KernelPath = string | Uint8Array;

/** One descriptor to wait for in {@link Kernel.poll}; `revents` is written by the call. */
export interface PollEntry {
  /** The descriptor; poll(2) skips a negative one. */
  readonly fd: number;
  /** POLLIN = 1, POLLPRI = 2, POLLOUT = 4. */
  readonly events: number;
  /** What is the case: bits of `events`, and POLLERR = 8, POLLHUP = 16, POLLNVAL = 32 unasked. */
  revents: number;
}

/** What stat(2) tells of a file. `dev` and `ino` identify it; they are `bigint` because inode numbers use 64 bits. */
export interface FileStatus {
  readonly dev: bigint;
  readonly ino: bigint;
  /** st_mode: type and permission bits. */
  readonly mode: number;
  /** How many hard links. */
  readonly nlink: number;
  /** Owner and group. */
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: bigint;
  /** When content last changed (st_mtime), in nanoseconds since 1970; its owner can set it. */
  readonly mtimeNs: bigint;
  /** When content or metadata last changed (st_ctime), in nanoseconds since 1970: nobody but the kernel can set it. */
  readonly ctimeNs: bigint;
  /** When it came into being (stx_btime), in nanoseconds since 1970; 0 where the file system does not tell. */
  readonly btimeNs: bigint;
}

/** What statfs(2) tells of a file system: its magic number (`f_type`) and its id as fanotify reports it. */
export interface FilesystemStatus {
  /** `f_type`: linux/magic.h. */
  readonly type: number;
  /** `f_fsid`. */
  readonly fsid: Fsid;
}

/** What name_to_handle_at(2) answers. `handle` is a whole `struct file_handle` (two 32-bit words, then the opaque part). */
export interface NamedHandle {
  /** `struct file_handle`. */
  readonly handle: Buffer;
  /** The mount's id, as in /proc/self/mountinfo; with AT_HANDLE_MNT_ID_UNIQUE (since Linux 6.12) the unique one. */
  readonly mountId: number;
}

/** What {@link Kernel.receiveMessage} answers. */
export interface ReceivedMessage {
  /** How many bytes were written into the buffer; 0 at the end of the connection. */
  readonly bytes: number;
  /** The descriptors that came with them: open, and for the caller to close. */
  readonly descriptors: readonly number[];
  /** Who has sent them, as the kernel has it; undefined where the socket does not ask for that. */
  readonly sender?: Credentials | undefined;
}

/** What {@link Kernel.peekMessage} answers. */
export interface PeekedMessage {
  /** How many bytes the message has, which may be more than the buffer; 0 at the end of the connection. */
  readonly bytes: number;
  /** Whether descriptors come with them. */
  readonly hasDescriptors: boolean;
}

/** SCM_CREDENTIALS: unix(7). `pid` is 0 for a process that this one's PID namespace does not have. */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who is at the other end of a Unix connection, as of when it was made. `pid` is 0 for one that this PID namespace does not have. */
export interface Peer extends Credentials {
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** As whom a thread reaches files: {@link Kernel.actAs}. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/**
 * An entry of a directory. `name` is the bytes the file system holds; "." and ".." are left out. `type` is 'unknown'
 * where the file system does not tell it.
 */
export interface DirectoryEntry {
  readonly name: Buffer;
  readonly type: 'file' | 'directory' | 'symlink' | 'other' | 'unknown';
}

/** Calls a listener whenever a descriptor is readable, until closed. Level-triggered. See {@link Kernel.onReadable}. */
export interface Readiness {
  /** Keeps the process alive while waiting (the default). */
  ref(): void;
  /** Lets the process end while waiting. */
  unref(): void;
  /** Starts (again) to watch the descriptor. */
  start(): void;
  /** Pauses; {@link start} goes on. */
  stop(): void;
  /** Ends it. Safe to call twice. */
  close(): void;
}

/** What waitid(2) tells of a child. */
export interface ChildChange {
  readonly pid: number;
  /** CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_TRAPPED = 4, CLD_STOPPED = 5, CLD_CONTINUED = 6. */
  readonly code: number;
  /** Its exit status, or the signal. */
  readonly status: number;
}

/** A process of a simulated machine, forked by {@link Simulation.fork}. */
export interface SimulatedChild {
  /** The machine as it sees it. */
  readonly kernel: Kernel;
  /**
   * What it does from now on: `turn` is called whenever something may have become ready, and when so many milliseconds have passed as it
   * has returned. It ends with status 0 when that is undefined.
   */
  run(turn: () => number | undefined): void;
  /** Ends it: SIGKILL. */
  kill(): void;
}

/** What a simulated machine has that Linux leaves to Node.js: time that it makes itself, and processes in this one. */
export interface Simulation {
  /** CLOCK_MONOTONIC, in milliseconds. */
  nowMs(): number;
  /** Calls `listener` when so many milliseconds have passed, unless what is returned is called before. */
  after(delayMs: number, listener: () => void): () => void;
  /**
   * fork(2): a child of the caller, with the same descriptors, which does nothing until it is told to.
   *
   * @param comm What /proc/pid/comm says of it.
   */
  fork(comm: string): SimulatedChild;
}

/**
 * A flag for {@link Kernel.fanotifyMark} beyond Linux's, beside FAN_MARK_FILESYSTEM: only the directory and all that is below it on
 * this mount, wherever that is moved to. For kernels that say {@link Kernel.marksSubtrees}; Linux refuses it with EINVAL.
 */
export const MARK_SUBTREE = 0x4000_0000;

/**
 * The operations of the operating system that fanotify needs, one for one: arguments pass through unvalidated and
 * buffers hold the kernel's own bytes, so that what is seen is the kernel's own answer. Every operation is synchronous
 * but {@link onReadable}; every failure throws a {@link KernelError}. Privilege and age are those of each call's man
 * page.
 *
 * @example
 * import { AT_FDCWD, decodeEvents, FAN_CREATE, FAN_MARK_ADD, FAN_NONBLOCK, FAN_REPORT_DFID_NAME } from 'fanotify/abi';
 * import { linuxKernel } from 'fanotify/kernel';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * const directory = mkdtempSync('/tmp/kernel-');
 * const kernel = linuxKernel();
 * const fd = kernel.fanotifyInit(FAN_REPORT_DFID_NAME | FAN_NONBLOCK, 0);
 * kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
 * writeFileSync(`${directory}/new`, '');
 * const buffer = Buffer.alloc(4096);
 * const [event] = decodeEvents(buffer.subarray(0, kernel.read(fd, buffer)));
 * console.log(event.mask === FAN_CREATE, event.records[0].name.toString()); // true new
 * kernel.close(fd);
 */
export interface Kernel {
  /** Which kernel answers, for people: 'Linux 6.18.44', 'Linux 6.18.44 (emulated 6.1)', 'simulated'. */
  readonly name: string;
  /** Its version as uname(2) tells it: '6.18.44-generic', or of an emulated one just '6.1'. */
  readonly release: string;
  /** The process id that this kernel reports for the caller's own events. */
  readonly pid: number;
  /** Whether it takes MARK_SUBTREE, by which whoever may not mark whole file systems hears whole trees. No Linux does. */
  readonly marksSubtrees?: true;
  /** Of a simulated machine, as `fanotify/testing` makes one; Linux has none. */
  readonly simulation?: Simulation | undefined;

  /**
   * fanotify_init(2). Returns the group's descriptor. Privilege: none with FAN_REPORT_FID or FAN_REPORT_DIR_FID since
   * Linux 5.13, CAP_SYS_ADMIN otherwise.
   */
  fanotifyInit(flags: number, eventFlags: number): number;
  /**
   * fanotify_mark(2). `path` null marks the object that `dirfd` refers to. Privilege: none for inode marks since Linux
   * 5.13.
   */
  fanotifyMark(fd: number, flags: number, mask: bigint, dirfd: number, path: KernelPath | null): void;
  /** read(2) into `buffer`; returns the number of bytes. EAGAIN when a non-blocking descriptor has none. */
  read(fd: number, buffer: Uint8Array): number;
  /** write(2) of all of `bytes`; returns the number of bytes taken. */
  write(fd: number, bytes: Uint8Array): number;
  /** pread(2): from an offset, whatever has been read through the descriptor before. */
  readAt(fd: number, buffer: Uint8Array, offset: number): number;
  /**
   * ioctl(2) FIONREAD: the bytes that wait to be read. Of a group: sizeof(struct fanotify_event_metadata) for each event, however
   * many records it has.
   */
  waitingBytes(fd: number): number;
  /**
   * Of a kernel whose groups are elsewhere: whether what the last {@link read} of a group gave, or its EAGAIN, may leave out what had
   * happened by then. {@link waitingBytes} brings all of it. Of Linux there is no such thing.
   */
  isBehind?(fd: number): boolean;
  /** poll(2). `timeoutMs` -1 waits without end. Returns how many entries have `revents`. */
  poll(entries: PollEntry[], timeoutMs: number): number;
  /** epoll_create1(2), close-on-exec: a descriptor that is readable while one of those is ready that it was told of. */
  epollCreate(): number;
  /**
   * epoll_ctl(2), level-triggered: what is waited for of a descriptor from now on, as in {@link PollEntry.events}; undefined: nothing, not
   * even POLLHUP. EEXIST for one that is waited for already unless `isKnown`; then ENOENT for one that is not.
   */
  epollControl(epoll: number, fd: number, events: number | undefined, isKnown: boolean): void;
  /** epoll_wait(2) that does not wait: calls `visit` for those that are ready, with what is the case, `most` at most. */
  epollReady(epoll: number, most: number, visit: (fd: number, revents: number) => void): void;
  /** close(2). */
  close(fd: number): void;
  /**
   * close(2) on another thread, for what may wait: the release of a group does while an access is held that its marks have had a part in
   * (fsnotify_destroy_group). Resolves when it is done; the number may be another's then.
   */
  closeElsewhere(fd: number): Promise<void>;

  /**
   * Calls `listener` from the event loop whenever `fd` is readable. Starts watching at once; makes the descriptor
   * non-blocking. One watcher a descriptor (EEXIST); EPERM for what is always readable, such as regular files. Close
   * the watcher before the descriptor.
   */
  onReadable(fd: number, listener: () => void): Readiness;
  /**
   * Calls `listener` from the event loop once at its start, and whenever `fd` tells POLLPRI anew: an open /proc/self/mountinfo tells
   * it when the mount table has changed. EPERM for what cannot be polled. Close the watcher before the descriptor.
   */
  onPriority(fd: number, listener: () => void): Readiness;

  /** openat(2) relative to `dirfd` (AT_FDCWD for the working directory). Returns a descriptor. */
  openAt(dirfd: number, path: KernelPath, flags: number, mode?: number): number;
  /**
   * openat2(2): as {@link openAt}, with `resolve` saying which ways the path may take (RESOLVE_*). Since Linux 5.6; RESOLVE_CACHED, which
   * asks no file system and fails with EAGAIN for what is not cached, since 5.12.
   */
  openAt2(dirfd: number, path: KernelPath, flags: number, resolve: number): number;
  /** open_by_handle_at(2). `handle` is a whole `struct file_handle`. Needs CAP_DAC_READ_SEARCH. */
  openByHandleAt(mountFd: number, handle: Uint8Array, flags: number): number;
  /** name_to_handle_at(2). AT_HANDLE_FID since Linux 6.5. */
  nameToHandleAt(dirfd: number, path: KernelPath, flags: number): NamedHandle;
  /** readlink(2): the raw bytes, as in `readlink('/proc/self/fd/7')`. */
  readlink(path: KernelPath): Buffer;
  /** statx(2) of basic fields; AT_EMPTY_PATH with an empty path means `dirfd` itself. */
  statAt(dirfd: number, path: KernelPath, flags: number): FileStatus;
  /**
   * faccessat2(2): whether what a path leads to may be read (R_OK = 4), written (2), searched or executed (1), or is there (0). With
   * AT_EACCESS as whom {@link actAs} has said. EACCES when not. Since Linux 5.8.
   */
  accessAt(dirfd: number, path: KernelPath, mode: number, flags: number): void;
  /** statfs(2) of a path, fstatfs(2) of a descriptor. */
  statfs(target: KernelPath | number): FilesystemStatus;
  /** clock_gettime(2) of CLOCK_BOOTTIME, in milliseconds: what the start times in /proc/pid/stat are counted in. */
  bootTimeMs(): number;
  /** eventfd(2) that does not block: eight bytes written to it make it readable, for whichever thread reads them. */
  eventFd(): number;
  /**
   * socketpair(2) of AF_UNIX and SOCK_SEQPACKET, close-on-exec and blocking: two ends of a connection that keeps the boundaries of
   * messages.
   */
  socketPair(): readonly [number, number];
  /**
   * socket(2) of AF_UNIX and SOCK_STREAM, or SOCK_SEQPACKET, close-on-exec and not blocking, with SO_PASSCRED, and its connect(2) to a
   * path of at most 107 bytes. ENAMETOOLONG for a longer one; EAGAIN when too many wait to be accepted; ECONNREFUSED when nobody
   * listens; EPROTOTYPE when whoever listens has the other type.
   */
  connectUnix(path: KernelPath, type?: 'stream' | 'seqpacket'): number;
  /**
   * socket(2) of AF_UNIX and SOCK_SEQPACKET, close-on-exec and not blocking, its bind(2) to a path, chmod(2) of that to `mode`, and
   * listen(2). EADDRINUSE when there is something at the path.
   */
  listenUnix(path: KernelPath, mode: number): number;
  /** accept4(2): the next connection, close-on-exec and not blocking. EAGAIN when there is none. */
  acceptUnix(fd: number): number;
  /**
   * socket(2) of AF_UNIX and SOCK_DGRAM, and sendto(2) of one message with MSG_NOSIGNAL and MSG_DONTWAIT to the socket at a path of at most
   * 107 bytes; one that begins with NUL is a name in the abstract namespace. EAGAIN when the receiver has no room, ECONNREFUSED and ENOENT when
   * there is none.
   */
  sendDatagram(path: KernelPath, bytes: Uint8Array): void;
  /** SO_PEERCRED and SO_PEERGROUPS (Linux 4.13) of a Unix connection: socket(7). */
  peerOf(fd: number): Peer;
  /**
   * sendmsg(2) of one message with MSG_NOSIGNAL and MSG_DONTWAIT; `descriptors` go with it as SCM_RIGHTS, and stay open here. Returns
   * the number of bytes. EAGAIN when there is no room, one error for all; EINVAL for more than 253 descriptors, ETOOMANYREFS when
   * without privilege more than RLIMIT_NOFILE are under way, EMSGSIZE for what exceeds the socket's buffer, EPIPE when the other end
   * is closed; if that was with messages unread, the first call after it, of this or {@link receiveMessage}, fails with ECONNRESET. A
   * message without bytes is taken for the end where it arrives.
   */
  sendMessage(fd: number, bytes: Uint8Array, descriptors?: readonly number[]): number;
  /**
   * recvmsg(2) of one message with MSG_DONTWAIT into `buffer`, with MSG_CMSG_CLOEXEC if `closeOnExec`. `bytes` is 0 at the end of the
   * connection. EAGAIN when nothing is there, one error for all; ECONNRESET as {@link sendMessage} has it. EMSGSIZE for a message
   * longer than `buffer`: it is gone then, its descriptors are closed, and the next one is whole. `descriptors` are fewer than were sent
   * when this process may open no more (RLIMIT_NOFILE). The buffer of the last message is kept from being collected.
   */
  receiveMessage(fd: number, buffer: Uint8Array, closeOnExec: boolean): ReceivedMessage;
  /**
   * recv(2) of one message's bytes with MSG_DONTWAIT, and with `peek` MSG_PEEK: it stays. Descriptors that come with it never become
   * this process's, but unless it stays the kernel closes them on this thread, which may wait: for a socket with SO_LINGER, say. So ask
   * {@link peekMessage} whether there are any. Returns how many bytes there are, which may be more than were written into the buffer; 0
   * at the end of the connection. Errors as {@link receiveMessage}.
   */
  receiveBytes(fd: number, buffer: Uint8Array, peek: boolean): number;
  /**
   * recvmsg(2) of one message with MSG_PEEK and MSG_DONTWAIT: it stays, and its descriptors, which no process gets by this. The socket
   * is one without SO_PASSCRED. Errors as {@link receiveMessage}.
   */
  peekMessage(fd: number, buffer: Uint8Array): PeekedMessage;
  /** ioctl(2) SIOCOUTQ of a socket: the memory that messages take which the other end has not received; 0 when it has all. */
  unsentBytes(fd: number): number;
  /** fcntl(2) with a whole number as its argument: F_SETFL, F_SETLEASE and the like. Returns what it answers. */
  fcntl(fd: number, command: number, argument: number): number;
  /** pidfd_open(2): a descriptor of a process, readable once it has ended. Since Linux 5.3. */
  pidfdOpen(pid: number): number;
  /**
   * pidfd_getfd(2): a duplicate of another process's descriptor; the file is not opened again. Since Linux 5.6. Privilege: to
   * trace that process.
   */
  pidfdGetfd(pidfd: number, targetFd: number): number;
  /** pidfd_send_signal(2). Signal 0 sends none: ESRCH when the process has ended and been waited for. Since Linux 5.1. */
  pidfdSendSignal(pidfd: number, signal: number): void;
  /**
   * sched_setscheduler(2): from now on the calling thread, and no process or thread that it starts, runs before all that are not
   * scheduled in real time (SCHED_RR). `priority` is a number from 1 to 99; 0 takes that back. Privilege: CAP_SYS_NICE, or
   * RLIMIT_RTPRIO.
   */
  scheduleInRealTime(priority: number): void;
  /**
   * setgroups(2), setfsgid(2), setfsuid(2) and capset(2), for the calling thread alone: as whom it reaches files from now on. Meanwhile it
   * has no capabilities in effect, whoever that is: uid 0 says nothing of them, and those that are not about files open some as well, as
   * CAP_SYSLOG does /proc/kallsyms. Null: as the process itself again, with what it had. Only raw system calls are to be made on that
   * thread meanwhile: a thread that Node.js starts would have these ids, too. Privilege: CAP_SETUID, CAP_SETGID.
   */
  actAs(identity: Identity | null): void;
  /**
   * unshare(2), for the calling thread: CLONE_NEWNS, and CLONE_NEWPID for the processes that it starts from then on; until it is back
   * by {@link setNamespace} no thread can be started. Privilege: CAP_SYS_ADMIN.
   */
  unshare(flags: number): void;
  /** setns(2), for the calling thread: to the namespace of a file such as /proc/self/ns/pid. Privilege: CAP_SYS_ADMIN. */
  setNamespace(fd: number, type: number): void;
  /** mount(2) without data. Privilege: CAP_SYS_ADMIN. */
  mount(source: KernelPath, target: KernelPath, type: string | null, flags: number): void;
  /**
   * waitid(2) of one child, or with pid 0 of any: what has become of it; undefined when with WNOHANG nothing has. ECHILD when there
   * is no such child.
   */
  waitChild(pid: number, options: number): ChildChange | undefined;
  /** tcgetpgrp(3): the process group in the foreground of the terminal that `fd` is; 0 for one of another PID namespace. */
  terminalGroup(fd: number): number;
  /** tcsetpgrp(3), also from the background. */
  setTerminalGroup(fd: number, group: number): void;
  /** _exit(2): at once, without what Node.js does at its exit, which is to set the terminal back to what it was at its start. */
  exitAtOnce(status: number): void;
  /** The whole of a small file: what is read of /proc and /sys. */
  readFile(path: KernelPath): Buffer;
  /** getdents(2): everything in a directory, in its order. */
  readDirectory(path: KernelPath): DirectoryEntry[];
  /**
   * getdents(2) once: what comes next in an open directory, undefined at its end. It waits for whoever changes that directory, at its
   * end too. `only`: those that are directories, or may be.
   */
  readEntries(fd: number, only?: 'directories'): DirectoryEntry[] | undefined;
}
