// A kernel whose groups are the daemon's: what is above the seam runs over it as it is, without privilege.

import {
  FAN_CLOEXEC,
  FAN_NONBLOCK,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FID,
  FAN_REPORT_NAME,
  FAN_REPORT_TARGET_FID,
  INIT_FLAGS,
} from '../abi/index.ts';
import { fsidText } from '../identity/handle-at.ts';
import { ERRNO, forwarding, type Kernel, KernelError, linuxKernel, type PollEntry } from '../kernel/index.ts';
import { BrokeredGroup } from './brokered-group.ts';
import { socketPath } from './connection.ts';

/** Where the daemon is. */
export interface BrokeredKernelOptions {
  /** The path of its socket. Default: the environment's FANOTIFY_SOCKET, or /run/fanotifyd/socket. */
  readonly socket?: string | undefined;
  /** Asked for everything but groups. Default: Linux. */
  readonly kernel?: Kernel | undefined;
}

const NAMES = FAN_REPORT_DIR_FID | FAN_REPORT_NAME;
const TAKEN = NAMES | FAN_REPORT_FID | FAN_REPORT_TARGET_FID | FAN_CLOEXEC | FAN_NONBLOCK;
const KNOWN = INIT_FLAGS.reduce((flags, { value }) => flags | value, 0);
const POLLIN = 1;
const POLLNVAL = 32;
const FDINFO = /^\/proc\/self\/fdinfo\/(\d+)$/;

/**
 * A kernel whose groups are those of the daemon: they report names, and hear what this user may reach. Everything else is Linux. Marks
 * are of scope inode, of subtrees (MARK_SUBTREE), and where that was granted of file systems.
 */
export function brokeredKernel(options: BrokeredKernelOptions = {}): Kernel {
  const kernel = options.kernel ?? linuxKernel();
  const socket = socketPath(options.socket);
  const groups = new Map<number, BrokeredGroup>();
  const close = (fd: number) => {
    const group = groups.get(fd);
    groups.delete(fd);
    if (group) group.close();
    else kernel.close(fd);
  };

  return {
    ...forwarding(kernel),
    name: `${kernel.name} (through the daemon)`,
    marksSubtrees: true,
    fanotifyInit: (flags, eventFlags) => {
      // As the kernel does it for those without privilege, who may have what it reports by handle.
      if ((flags & ~TAKEN) !== 0) throw new KernelError('fanotify_init', flags & ~KNOWN ? ERRNO.EINVAL : ERRNO.EPERM);
      if ((flags & NAMES) !== NAMES) {
        const isHandle = (flags & (FAN_REPORT_FID | FAN_REPORT_DIR_FID)) !== 0;
        throw new KernelError('fanotify_init', isHandle ? ERRNO.EINVAL : ERRNO.EPERM);
      }
      const group = new BrokeredGroup(kernel, socket, flags, eventFlags);
      groups.set(group.fd, group);
      return group.fd;
    },
    fanotifyMark: (fd, flags, mask, dirfd, path) => {
      const group = groups.get(fd);
      if (group) group.mark(flags, mask, dirfd, path);
      else kernel.fanotifyMark(fd, flags, mask, dirfd, path);
    },
    read: (fd, buffer) => groups.get(fd)?.read(buffer) ?? kernel.read(fd, buffer),
    write: (fd, bytes) => {
      if (groups.has(fd)) throw new KernelError('write', ERRNO.EINVAL);
      return kernel.write(fd, bytes);
    },
    isBehind: (fd) => groups.get(fd)?.isBehind === true,
    waitingBytes: (fd) => groups.get(fd)?.waitingBytes() ?? kernel.waitingBytes(fd),
    poll: (entries, timeoutMs) => pollThrough(kernel, groups, entries, timeoutMs),
    close,
    closeElsewhere: async (fd) => close(fd),
    onReadable: (fd, listener) => groups.get(fd)?.onReadable(listener) ?? kernel.onReadable(fd, listener),
    openByHandleAt: (mountFd, handle, flags) => {
      const key = fsidText(kernel.statfs(mountFd).fsid) + Buffer.from(handle).toString('latin1');
      for (const group of groups.values()) {
        const fd = group.open(key, flags);
        if (fd !== undefined) return fd;
      }
      // Not EPERM: there may be a mark later.
      throw new KernelError('open_by_handle_at', ERRNO.EACCES);
    },
    readFile: (path) => {
      const fd = typeof path === 'string' ? FDINFO.exec(path)?.[1] : undefined;
      return (fd === undefined ? undefined : groups.get(Number(fd))?.fdinfo()) ?? kernel.readFile(path);
    },
  };
}

/** poll(2), of groups by their connections. */
function pollThrough(
  kernel: Kernel,
  groups: ReadonlyMap<number, BrokeredGroup>,
  entries: PollEntry[],
  timeoutMs: number,
): number {
  if (!entries.some(({ fd }) => groups.has(fd))) return kernel.poll(entries, timeoutMs);
  const waits = entries.map(({ fd, events }) => {
    const group = groups.get(fd);
    return { fd: group ? (group.socketFd ?? -1) : fd, events, revents: 0 };
  });
  const isWaiting = ({ fd, events }: PollEntry) => (events & POLLIN) !== 0 && groups.get(fd)?.hasWaiting === true;
  kernel.poll(waits, entries.some(isWaiting) ? 0 : timeoutMs);
  let ready = 0;
  entries.forEach((entry, index) => {
    entry.revents = (waits[index]?.revents ?? POLLNVAL) | (isWaiting(entry) ? POLLIN : 0);
    if (entry.revents !== 0) ready++;
  });
  return ready;
}
