// A kernel that says what a test wrote down: reads give these bytes, one after the other; nothing else exists.

import { type EncodableEvent, encodeEvent } from '../../src/abi/index.ts';
import { ERRNO, type Kernel, KernelError, type Readiness } from '../../src/kernel/index.ts';

const GROUP_FD = 1_000_000;
const QUIET: Readiness = { ref() {}, unref() {}, start() {}, stop() {}, close() {} };

export interface ScriptedKernel extends Kernel {
  /** What was closed, the group's own descriptor (1,000,000) included. */
  readonly closed: number[];
}

/** Each element is what one read gives: a list of events, or an error's name. Then the queue is empty. */
export function scriptedKernel(reads: readonly (readonly EncodableEvent[] | keyof typeof ERRNO)[]): ScriptedKernel {
  const left = [...reads];
  const closed: number[] = [];
  const refuse = (syscall: string) => (): never => {
    throw new KernelError(syscall, ERRNO.ENOENT);
  };
  return {
    name: 'scripted',
    release: '99.0',
    pid: 4711,
    closed,
    fanotifyInit: () => GROUP_FD,
    fanotifyMark: () => {},
    read: (_fd, buffer) => {
      const next = left.shift() ?? 'EAGAIN';
      if (typeof next === 'string') throw new KernelError('read', ERRNO[next]);
      const bytes = Buffer.concat(next.map(encodeEvent));
      buffer.set(bytes);
      return bytes.length;
    },
    write: refuse('write'),
    readAt: refuse('pread'),
    waitingBytes: () => left.reduce((bytes, next) => bytes + 24 * (typeof next === 'string' ? 0 : next.length), 0),
    poll: () => 0,
    close: (fd) => {
      closed.push(fd);
    },
    closeElsewhere: async (fd) => {
      closed.push(fd);
    },
    onReadable: () => QUIET,
    onPriority: () => QUIET,
    openAt: refuse('openat'),
    openAt2: refuse('openat2'),
    openByHandleAt: refuse('open_by_handle_at'),
    nameToHandleAt: refuse('name_to_handle_at'),
    readlink: refuse('readlink'),
    statAt: refuse('statx'),
    accessAt: refuse('faccessat2'),
    statfs: refuse('statfs'),
    bootTimeMs: () => 0,
    eventFd: refuse('eventfd'),
    socketPair: refuse('socketpair'),
    connectUnix: refuse('connect'),
    listenUnix: refuse('listen'),
    sendDatagram: refuse('sendto'),
    acceptUnix: refuse('accept4'),
    peerOf: refuse('getsockopt'),
    sendMessage: refuse('sendmsg'),
    receiveMessage: refuse('recvmsg'),
    receiveBytes: refuse('recv'),
    peekMessage: refuse('recvmsg'),
    epollCreate: refuse('epoll_create1'),
    epollControl: refuse('epoll_ctl'),
    epollReady: refuse('epoll_wait'),
    unsentBytes: refuse('ioctl'),
    fcntl: refuse('fcntl'),
    pidfdOpen: refuse('pidfd_open'),
    pidfdGetfd: refuse('pidfd_getfd'),
    pidfdSendSignal: refuse('pidfd_send_signal'),
    scheduleInRealTime: refuse('sched_setscheduler'),
    actAs: refuse('setfsuid'),
    unshare: refuse('unshare'),
    setNamespace: refuse('setns'),
    mount: refuse('mount'),
    waitChild: refuse('waitid'),
    terminalGroup: refuse('ioctl'),
    setTerminalGroup: refuse('ioctl'),
    exitAtOnce: refuse('_exit'),
    readFile: refuse('open'),
    readDirectory: refuse('open'),
    readEntries: refuse('getdents64'),
  };
}
