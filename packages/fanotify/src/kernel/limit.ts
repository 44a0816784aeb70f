// A kernel that refuses what an older Linux lacks, with the errno that Linux would answer: so that what runs on 6.18 can be
// tried as 5.15. It only takes away: what an older kernel did otherwise, or allowed, is not brought back.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_HANDLE_FID,
  AT_HANDLE_MNT_ID_UNIQUE,
  BEHAVIOURS,
  EVENT_BITS,
  FAN_ALLOW,
  FAN_AUDIT,
  FAN_DENY,
  FAN_INFO,
  FAN_MARK_ADD,
  FAN_MARK_DONT_FOLLOW,
  FAN_MARK_MNTNS,
  FAN_MARK_REMOVE,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FID,
  HOST_IS_LITTLE_ENDIAN,
  INIT_FLAGS,
  MARK_FLAGS,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  type Since,
} from '../abi/index.ts';
import { ERRNO, KernelError } from './error.ts';
import { forwarding } from './forward.ts';
import { type Kernel, type KernelPath, MARK_SUBTREE } from './kernel.ts';
import { compareVersions, hasSince, parseVersion, type Version } from './version.ts';

/**
 * What came to Linux without a constant of fanotify's own, each with its first release, as docs/kernels.md lists it:
 * the commit's subject says where.
 *
 * @example
 * import { KERNEL_BEHAVIOURS } from 'fanotify/kernel';
 * console.log(KERNEL_BEHAVIOURS.weakFsid); // 6.8
 */
export const KERNEL_BEHAVIOURS = {
  /** name_to_handle_at(2), AT_HANDLE_FID. */
  handleFid: '6.5',
  /** Handles of every file system ("exportfs: support encoding non-decodeable file handles by default"). */
  handlesOfAnyFilesystem: '6.7',
  /** An fsid for sysfs and cgroup2 ("kernfs: attach uuid for every kernfs and report it in fsid"). */
  fsidOfKernfs: '6.6',
  /** An fsid for proc and its like ("fs: report f_fsid from s_dev for "simple" filesystems"). */
  fsidFromDevice: '6.7',
  /** Inode marks where the fsid is zero, such as FUSE ("fanotify: allow "weak" fsid"). */
  weakFsid: '6.8',
  /** open_by_handle_at(2) with the capability in a user namespace ("fhandle: relax open_by_handle_at() permission checks"). */
  handlesInUserNamespaces: '6.11',
  /** name_to_handle_at(2), AT_HANDLE_MNT_ID_UNIQUE. */
  uniqueMountId: '6.12',
  /** name_to_handle_at(2), AT_HANDLE_CONNECTABLE. */
  connectableHandles: '6.13',
  /** Mount and filesystem marks in a user namespace ("fanotify: support watching filesystems and mounts inside userns"). */
  marksInUserNamespaces: '6.16',
} as const;

const AT_HANDLE_CONNECTABLE = 0x002;
const ACCESS_BITS = FAN_ALLOW | FAN_DENY;
const RESPONSE_BYTES = 8;
const OLDEST = '5.13';
// What the kernel answers only after it has looked at the fsid.
const LATE_ERRNOS: readonly number[] = [ERRNO.EOPNOTSUPP, ERRNO.EISDIR];

/**
 * `kernel` as if it were an older Linux: flags, event bits and responses that came later are refused as that release
 * refuses them. Emulated: nothing is said about its bugs, and descriptors of groups that `kernel` itself made are
 * unknown.
 *
 * @param kernel The one that is asked; what it lacks itself stays lacking.
 * @param version '5.13' to the newest. '5.15' is the first release of its line; '5.15.154' has what was backported.
 * @throws RangeError for what is no version, or older than 5.13.
 *
 * @example
 * import { FAN_REPORT_FID, FAN_REPORT_TARGET_FID } from 'fanotify/abi';
 * import { limitKernel, linuxKernel } from 'fanotify/kernel';
 * if (process.platform === 'linux') {
 *   const kernel = limitKernel(linuxKernel(), '5.15');
 *   try {
 *     kernel.fanotifyInit(FAN_REPORT_FID | FAN_REPORT_TARGET_FID, 0);
 *   } catch (error) {
 *     console.log(error.code); // EINVAL: Linux 5.17 brought it
 *   }
 * }
 */
export function limitKernel(kernel: Kernel, version: string): Kernel {
  const limit = parseVersion(version);
  if (compareVersions(limit, parseVersion(OLDEST)) < 0) {
    throw new RangeError(`Linux ${version} is not emulated: ${OLDEST} is the oldest.`);
  }
  const since = (release: string): boolean => hasSince(limit, release);
  const initFlags = bitsOf(INIT_FLAGS, limit);
  const markFlags = bitsOf(MARK_FLAGS, limit) | (kernel.marksSubtrees ? MARK_SUBTREE : 0);
  const events = EVENT_BITS.filter((entry) => has(limit, entry)).reduce((bits, { value }) => bits | value, 0n);
  const hasMountNamespaceMarks = MARK_FLAGS.some((flag) => flag.value === FAN_MARK_MNTNS && has(limit, flag));
  const responseBits =
    ACCESS_BITS | FAN_AUDIT | (since('6.3') ? FAN_INFO : 0) | (since(BEHAVIOURS.denyErrno) ? 0xff00_0000 : 0);
  const handleFlags =
    0xffff_ffff &
    ~(since(KERNEL_BEHAVIOURS.handleFid) ? 0 : AT_HANDLE_FID) &
    ~(since(KERNEL_BEHAVIOURS.uniqueMountId) ? 0 : AT_HANDLE_MNT_ID_UNIQUE) &
    ~(since(KERNEL_BEHAVIOURS.connectableHandles) ? 0 : AT_HANDLE_CONNECTABLE);

  /** The groups made here, with their flags. */
  const groups = new Map<number, number>();

  function fanotifyInit(flags: number, eventFlags: number): number {
    if (flags & ~initFlags) {
      // The kernel looks at privilege before it looks at flags: without it EPERM comes first.
      const code = attempt(() => kernel.close(kernel.fanotifyInit(flags & initFlags, eventFlags)));
      throw new KernelError('fanotify_init', code === ERRNO.EPERM ? ERRNO.EPERM : ERRNO.EINVAL);
    }
    const fd = kernel.fanotifyInit(flags, eventFlags);
    groups.set(fd, flags);
    return fd;
  }

  function fanotifyMark(fd: number, flags: number, mask: bigint, dirfd: number, path: KernelPath | null): void {
    const type = flags & FAN_MARK_MNTNS;
    // Flags, then the mask, then the descriptor: what is unknown is refused before anything else is looked at.
    if (flags & ~markFlags || (type === FAN_MARK_MNTNS && !hasMountNamespaceMarks) || mask & ~events) {
      throw new KernelError('fanotify_mark', ERRNO.EINVAL, path);
    }
    // What follows the kernel finds out late, after most other errors: so a mark that is taken is taken back.
    const answer = attempt(() => kernel.fanotifyMark(fd, flags, mask, dirfd, path));
    if (answer !== 0 && !LATE_ERRNOS.includes(answer)) throw new KernelError('fanotify_mark', answer, path);
    const errno = lateRefusal(type, groups.get(fd) ?? 0, flags, dirfd, path) || answer;
    if (errno === 0) return;
    if (answer === 0 && flags & FAN_MARK_ADD) {
      attempt(() => kernel.fanotifyMark(fd, (flags & ~FAN_MARK_ADD) | FAN_MARK_REMOVE, mask, dirfd, path));
    }
    throw new KernelError('fanotify_mark', errno, path);
  }

  function lateRefusal(type: number, initial: number, flags: number, dirfd: number, path: KernelPath | null): number {
    const userNamespaces = since(KERNEL_BEHAVIOURS.marksInUserNamespaces);
    if (type !== 0 && !userNamespaces && !isInitialUserNamespace(kernel)) return ERRNO.EPERM;
    if (!(initial & (FAN_REPORT_FID | FAN_REPORT_DIR_FID)) || !(flags & FAN_MARK_ADD)) return 0;
    if (since(KERNEL_BEHAVIOURS.weakFsid)) return 0;
    const decodable = since(KERNEL_BEHAVIOURS.handlesOfAnyFilesystem);
    return withObject(kernel, flags, dirfd, path, (object) => {
      if (hasNoFsid(kernel, object, since)) return ERRNO.ENODEV;
      return decodable ? 0 : attempt(() => kernel.nameToHandleAt(object, '', AT_EMPTY_PATH));
    });
  }

  function write(fd: number, bytes: Uint8Array): number {
    if (!groups.has(fd) || bytes.byteLength < RESPONSE_BYTES) return kernel.write(fd, bytes);
    const response = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, HOST_IS_LITTLE_ENDIAN);
    if (response & ~responseBits) throw new KernelError('write', ERRNO.EINVAL);
    // Before 6.3 a response had eight bytes, and what followed was left unread.
    return kernel.write(fd, since('6.3') ? bytes : bytes.subarray(0, RESPONSE_BYTES));
  }

  return {
    ...forwarding(kernel),
    name: `${kernel.name} (emulated ${version})`,
    release: version,
    fanotifyInit,
    fanotifyMark,
    write,
    close: (fd) => {
      groups.delete(fd);
      kernel.close(fd);
    },
    openByHandleAt: (mountFd, handle, flags) => {
      if (!since(KERNEL_BEHAVIOURS.handlesInUserNamespaces) && !isInitialUserNamespace(kernel)) {
        throw new KernelError('open_by_handle_at', ERRNO.EPERM);
      }
      return kernel.openByHandleAt(mountFd, handle, flags);
    },
    nameToHandleAt: (dirfd, path, flags) => {
      if (flags & ~handleFlags) throw new KernelError('name_to_handle_at', ERRNO.EINVAL, path);
      // Then handles that only identify were those that can also be opened.
      if (flags & AT_HANDLE_FID && !since(KERNEL_BEHAVIOURS.handlesOfAnyFilesystem)) {
        return kernel.nameToHandleAt(dirfd, path, flags & ~AT_HANDLE_FID);
      }
      return kernel.nameToHandleAt(dirfd, path, flags);
    },
  };
}

function has(limit: Version, entry: Since<number | bigint>): boolean {
  return hasSince(limit, entry.since, entry.backports);
}

function bitsOf(table: readonly Since<number>[], limit: Version): number {
  return table
    .filter((entry) => entry.value !== FAN_MARK_MNTNS && has(limit, entry))
    .reduce((bits, { value }) => bits | value, 0);
}

/** The errno of a failure; 0 when there is none. */
function attempt(operation: () => unknown): number {
  try {
    operation();
    return 0;
  } catch (error) {
    if (error instanceof KernelError) return error.errno;
    throw error;
  }
}

/** Runs `use` with a descriptor of what a mark's `dirfd` and `path` name; 0 when that cannot be opened. */
function withObject(
  kernel: Kernel,
  flags: number,
  dirfd: number,
  path: KernelPath | null,
  use: (object: number) => number,
): number {
  if (path === null) return dirfd === AT_FDCWD ? 0 : use(dirfd);
  let object: number;
  try {
    const follow = flags & FAN_MARK_DONT_FOLLOW ? O_NOFOLLOW : 0;
    object = kernel.openAt(dirfd, path, O_PATH | O_CLOEXEC | follow);
  } catch {
    return 0;
  }
  try {
    return use(object);
  } finally {
    kernel.close(object);
  }
}

// linux/magic.h: sysfs, cgroup, cgroup2.
const KERNFS_TYPES: readonly number[] = [0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/** Whether the file system's fsid is zero, or was so in a kernel that lacks what `since` says. */
function hasNoFsid(kernel: Kernel, object: number, since: (release: string) => boolean): boolean {
  const { fsid, type } = kernel.statfs(object);
  if (fsid[0] === 0 && fsid[1] === 0) return true;
  if (KERNFS_TYPES.includes(type)) return !since(KERNEL_BEHAVIOURS.fsidOfKernfs);
  if (since(KERNEL_BEHAVIOURS.fsidFromDevice)) return false;
  const { dev } = kernel.statAt(object, '', AT_EMPTY_PATH);
  // A device of major number 0 is encoded the same way in st_dev and in f_fsid.
  return (dev & 0xfff00n) === 0n && dev >> 32n === 0n && BigInt(fsid[0] >>> 0) === dev && fsid[1] === 0;
}

/** PROC_USER_INIT_INO of linux/proc_ns.h: the initial user namespace has this inode number on every kernel. */
const INITIAL_USER_NAMESPACE = 'user:[4026531837]';

function isInitialUserNamespace(kernel: Kernel): boolean {
  try {
    return kernel.readlink('/proc/self/ns/user').toString() === INITIAL_USER_NAMESPACE;
  } catch {
    return true;
  }
}
