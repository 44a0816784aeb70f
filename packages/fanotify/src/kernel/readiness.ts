// Tells when a descriptor is readable: libuv's poll handle on the main thread, a timer that polls in worker threads.
// What looks roundabout here works around traps of native handles, each named where it is avoided.

import { isMainThread } from 'node:worker_threads';
import { ERRNO, KernelError } from './error.ts';
import type { Kernel, Readiness } from './kernel.ts';
import type { Libc } from './libc.ts';

/**
 * {@link Kernel.onReadable} for descriptors of this process. Watching makes the descriptor non-blocking (uv_poll_init),
 * and libuv takes only one watcher a descriptor (EEXIST). Close the watcher before the descriptor.
 *
 * @throws KernelError EPERM for files that are always readable, such as regular ones; EBADF.
 */
export function watchReadable(kernel: Kernel, libc: Libc, fd: number, listener: () => void): Readiness {
  // Ending a worker (worker.terminate()) while a koffi poll handle lives in it crashes the whole process.
  return isMainThread ? watchByHandle(libc, fd, listener) : watchByTimer(kernel, fd, listener);
}

/**
 * {@link Kernel.onPriority}: koffi's handle knows no UV_PRIORITIZED, but an epoll descriptor that waits for POLLPRI is itself
 * readable when that is there (epoll(7)), and looking at it takes the news out.
 *
 * @throws KernelError EPERM for what cannot be polled; EBADF.
 */
export function watchPriority(kernel: Kernel, libc: Libc, fd: number, listener: () => void): Readiness {
  const epollFd = libc.epollCreate(EPOLL_CLOEXEC);
  if (epollFd === -1) throw new KernelError('epoll_create1', libc.errno());
  try {
    const event = Buffer.alloc(16);
    event.writeUInt32LE(EPOLLPRI);
    if (libc.epollCtl(epollFd, EPOLL_CTL_ADD, fd, event) === -1) throw new KernelError('epoll_ctl', libc.errno());
    const readiness = watchReadable(kernel, libc, epollFd, listener);
    let closed = false;
    // The event loop registers what it watches on its next turn, and registering looks: what had changed by then is not told. From
    // a callback of its poll phase the next immediate comes before that turn, the one after it does not.
    const startFirst = () =>
      setImmediate(() => {
        first = setImmediate(listener);
      });
    let first: NodeJS.Immediate | undefined = startFirst();
    const cancelFirst = () => {
      if (first !== undefined) clearImmediate(first);
      first = undefined;
    };
    return {
      ref: () => readiness.ref(),
      unref: () => readiness.unref(),
      start: () => {
        if (closed) return;
        readiness.start();
        cancelFirst();
        first = startFirst();
      },
      stop: () => {
        readiness.stop();
        cancelFirst();
      },
      close: () => {
        if (closed) return;
        closed = true;
        cancelFirst();
        readiness.close();
        libc.close(epollFd);
      },
    };
  } catch (error) {
    libc.close(epollFd);
    throw error;
  }
}

// A strong reference to every open watcher: koffi's handle is closed when its object is collected, and all must be
// closed before the process ends.
const watched = new Map<number, Readiness>();
let closesAtExit = false;

// koffi aborts the process (FATAL ERROR in CleanupHandles) when its loop ends with a handle that still hears events.
function closeAllAtExit(): void {
  if (closesAtExit) return;
  closesAtExit = true;
  process.on('exit', () => {
    for (const readiness of watched.values()) readiness.close();
  });
}

function watchByHandle(libc: Libc, fd: number, listener: () => void): Readiness {
  let watching = true;
  let closed = false;
  let scheduled: NodeJS.Immediate | undefined;

  // koffi calls back outside of Node's callback scope: what the listener throws there is lost, and nothing promises that
  // microtasks and process.nextTick run afterwards. An immediate has all of it right, in this very turn of the loop.
  const onPoll = () => {
    scheduled ??= setImmediate(() => {
      scheduled = undefined;
      if (watching) listener();
    });
  };
  assertWatchable(libc, fd);
  const handle = libc.node.poll(fd, { readable: true }, onPoll);

  // A closed koffi handle holds a null pointer, which every method but close() would follow.
  const readiness: Readiness = {
    ref: () => {
      if (!closed) handle.ref();
    },
    unref: () => {
      if (!closed) handle.unref();
    },
    start: () => {
      if (closed || watching) return;
      handle.start({ readable: true }, onPoll);
      watching = true;
    },
    stop: () => {
      if (closed || !watching) return;
      watching = false;
      handle.stop();
    },
    close: () => {
      if (closed) return;
      closed = true;
      watching = false;
      watched.delete(fd);
      if (scheduled !== undefined) clearImmediate(scheduled);
      handle.stop();
      handle.close();
    },
  };
  watched.set(fd, readiness);
  closeAllAtExit();
  return readiness;
}

// Between these a reader in a worker waits: short while events come, longer while none do.
const SHORTEST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 20;
const POLLIN = 1;

function watchByTimer(kernel: Kernel, fd: number, listener: () => void): Readiness {
  const entries = [{ fd, events: POLLIN, revents: 0 }];
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let referenced = true;
  let waitMs = SHORTEST_WAIT_MS;

  const schedule = () => {
    timer = setTimeout(look, waitMs);
    if (!referenced) timer.unref();
  };
  const look = () => {
    const readable = kernel.poll(entries, 0) > 0;
    waitMs = readable ? SHORTEST_WAIT_MS : Math.min(waitMs * 2, LONGEST_WAIT_MS);
    // Scheduled first, so that the listener may stop it and a throw of the listener does not.
    schedule();
    if (readable) listener();
  };
  const stop = () => {
    clearTimeout(timer);
    timer = undefined;
  };

  schedule();
  return {
    ref: () => {
      referenced = true;
      timer?.ref();
    },
    unref: () => {
      referenced = false;
      timer?.unref();
    },
    start: () => {
      if (closed || timer !== undefined) return;
      waitMs = SHORTEST_WAIT_MS;
      schedule();
    },
    stop,
    close: () => {
      closed = true;
      stop();
    },
  };
}

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLPRI = 2;

/**
 * Tries what uv_poll_init will do, because koffi follows a null pointer when that fails: the process would end with a
 * segmentation fault for a descriptor that is closed, a regular file, or watched already.
 */
function assertWatchable(libc: Libc, fd: number): void {
  if (watched.has(fd)) throw new KernelError('epoll_ctl', ERRNO.EEXIST);
  const epollFd = libc.epollCreate(EPOLL_CLOEXEC);
  if (epollFd === -1) throw new KernelError('epoll_create1', libc.errno());
  const errno = libc.epollCtl(epollFd, EPOLL_CTL_ADD, fd, Buffer.alloc(16)) === -1 ? libc.errno() : 0;
  libc.close(epollFd);
  if (errno !== 0) throw new KernelError('epoll_ctl', errno);
}
