// Which Linux brought which flag, event and record, as data: for limitKernel, for what errors say, and for the table in docs/.
// From fanotify_init(2), fanotify_mark(2) and fanotify(7). The mount events are in 6.15 (kernel commit 0f46d81f2bce), though
// some editions of fanotify_mark(2) say 6.14.

import * as k from './constants.ts';

/** A kernel release, without patch level since 3.0: '2.6.37', '6.15'. */
export type KernelVersion = `${number}.${number}` | `2.6.${number}`;

/**
 * A constant of the kernel and its age: an entry of the tables below.
 *
 * @example
 * import { EVENT_BITS } from 'fanotify/abi';
 * const { since, backports } = EVENT_BITS.find(({ name }) => name === 'FAN_RENAME');
 * console.log(since, backports); // 5.17 [ '5.15.154', '5.10.220' ]
 */
export interface Since<Value extends number | bigint> {
  /** Its kernel name: 'FAN_OPEN'. */
  readonly name: string;
  /** Its value: a bigint for bits of a mask. */
  readonly value: Value;
  /** The first release of Linux that has it. */
  readonly since: KernelVersion;
  /** Stable releases of older lines that got it too, each with all that follow it in its line. */
  readonly backports: readonly string[];
}

/** fanotify as a whole: Linux 2.6.37 is the first release that has its system calls enabled. */
const FIRST = '2.6.37';
/** The stable lines that got most of 5.16 to 6.0 for NFS. */
const NFS_BACKPORTS = ['5.15.154', '5.10.220'];

/** Flags and classes of fanotify_init(2). */
export const INIT_FLAGS: readonly Since<number>[] = [
  of('FAN_CLASS_NOTIF', k.FAN_CLASS_NOTIF, FIRST),
  of('FAN_CLASS_CONTENT', k.FAN_CLASS_CONTENT, FIRST),
  of('FAN_CLASS_PRE_CONTENT', k.FAN_CLASS_PRE_CONTENT, FIRST),
  of('FAN_CLOEXEC', k.FAN_CLOEXEC, FIRST),
  of('FAN_NONBLOCK', k.FAN_NONBLOCK, FIRST),
  of('FAN_UNLIMITED_QUEUE', k.FAN_UNLIMITED_QUEUE, FIRST),
  of('FAN_UNLIMITED_MARKS', k.FAN_UNLIMITED_MARKS, FIRST),
  of('FAN_ENABLE_AUDIT', k.FAN_ENABLE_AUDIT, '4.15'),
  of('FAN_REPORT_PIDFD', k.FAN_REPORT_PIDFD, '5.15', ['5.10.220']),
  of('FAN_REPORT_TID', k.FAN_REPORT_TID, '4.20'),
  of('FAN_REPORT_FID', k.FAN_REPORT_FID, '5.1'),
  of('FAN_REPORT_DIR_FID', k.FAN_REPORT_DIR_FID, '5.9'),
  of('FAN_REPORT_NAME', k.FAN_REPORT_NAME, '5.9'),
  of('FAN_REPORT_TARGET_FID', k.FAN_REPORT_TARGET_FID, '5.17', NFS_BACKPORTS),
  of('FAN_REPORT_FD_ERROR', k.FAN_REPORT_FD_ERROR, '6.13', ['6.12.4', '6.6.66']),
  of('FAN_REPORT_MNT', k.FAN_REPORT_MNT, '6.15'),
];

/** Flags and mark types of fanotify_mark(2). FAN_MARK_MNTNS has the bits of two others: compare the type as a whole. */
export const MARK_FLAGS: readonly Since<number>[] = [
  of('FAN_MARK_INODE', k.FAN_MARK_INODE, FIRST),
  of('FAN_MARK_MOUNT', k.FAN_MARK_MOUNT, FIRST),
  of('FAN_MARK_FILESYSTEM', k.FAN_MARK_FILESYSTEM, '4.20'),
  of('FAN_MARK_MNTNS', k.FAN_MARK_MNTNS, '6.15'),
  of('FAN_MARK_ADD', k.FAN_MARK_ADD, FIRST),
  of('FAN_MARK_REMOVE', k.FAN_MARK_REMOVE, FIRST),
  of('FAN_MARK_DONT_FOLLOW', k.FAN_MARK_DONT_FOLLOW, FIRST),
  of('FAN_MARK_ONLYDIR', k.FAN_MARK_ONLYDIR, FIRST),
  of('FAN_MARK_IGNORED_MASK', k.FAN_MARK_IGNORED_MASK, FIRST),
  of('FAN_MARK_IGNORED_SURV_MODIFY', k.FAN_MARK_IGNORED_SURV_MODIFY, FIRST),
  of('FAN_MARK_FLUSH', k.FAN_MARK_FLUSH, FIRST),
  of('FAN_MARK_EVICTABLE', k.FAN_MARK_EVICTABLE, '5.19', NFS_BACKPORTS),
  of('FAN_MARK_IGNORE', k.FAN_MARK_IGNORE, '6.0', NFS_BACKPORTS),
];

/** The single bits of a mask, lowest first. */
export const EVENT_BITS: readonly Since<bigint>[] = [
  of('FAN_ACCESS', k.FAN_ACCESS, FIRST),
  of('FAN_MODIFY', k.FAN_MODIFY, FIRST),
  of('FAN_ATTRIB', k.FAN_ATTRIB, '5.1'),
  of('FAN_CLOSE_WRITE', k.FAN_CLOSE_WRITE, FIRST),
  of('FAN_CLOSE_NOWRITE', k.FAN_CLOSE_NOWRITE, FIRST),
  of('FAN_OPEN', k.FAN_OPEN, FIRST),
  of('FAN_MOVED_FROM', k.FAN_MOVED_FROM, '5.1'),
  of('FAN_MOVED_TO', k.FAN_MOVED_TO, '5.1'),
  of('FAN_CREATE', k.FAN_CREATE, '5.1'),
  of('FAN_DELETE', k.FAN_DELETE, '5.1'),
  of('FAN_DELETE_SELF', k.FAN_DELETE_SELF, '5.1'),
  of('FAN_MOVE_SELF', k.FAN_MOVE_SELF, '5.1'),
  of('FAN_OPEN_EXEC', k.FAN_OPEN_EXEC, '5.0'),
  of('FAN_Q_OVERFLOW', k.FAN_Q_OVERFLOW, FIRST),
  of('FAN_FS_ERROR', k.FAN_FS_ERROR, '5.16', NFS_BACKPORTS),
  of('FAN_OPEN_PERM', k.FAN_OPEN_PERM, FIRST),
  of('FAN_ACCESS_PERM', k.FAN_ACCESS_PERM, FIRST),
  of('FAN_OPEN_EXEC_PERM', k.FAN_OPEN_EXEC_PERM, '5.0'),
  of('FAN_PRE_ACCESS', k.FAN_PRE_ACCESS, '6.14'),
  of('FAN_MNT_ATTACH', k.FAN_MNT_ATTACH, '6.15'),
  of('FAN_MNT_DETACH', k.FAN_MNT_DETACH, '6.15'),
  of('FAN_EVENT_ON_CHILD', k.FAN_EVENT_ON_CHILD, FIRST),
  of('FAN_RENAME', k.FAN_RENAME, '5.17', NFS_BACKPORTS),
  of('FAN_ONDIR', k.FAN_ONDIR, FIRST),
];

/** Types of information records. */
export const INFO_TYPES: readonly Since<number>[] = [
  of('FAN_EVENT_INFO_TYPE_FID', k.FAN_EVENT_INFO_TYPE_FID, '5.1'),
  of('FAN_EVENT_INFO_TYPE_DFID_NAME', k.FAN_EVENT_INFO_TYPE_DFID_NAME, '5.9'),
  of('FAN_EVENT_INFO_TYPE_DFID', k.FAN_EVENT_INFO_TYPE_DFID, '5.9'),
  of('FAN_EVENT_INFO_TYPE_PIDFD', k.FAN_EVENT_INFO_TYPE_PIDFD, '5.15', ['5.10.220']),
  of('FAN_EVENT_INFO_TYPE_ERROR', k.FAN_EVENT_INFO_TYPE_ERROR, '5.16', NFS_BACKPORTS),
  of('FAN_EVENT_INFO_TYPE_RANGE', k.FAN_EVENT_INFO_TYPE_RANGE, '6.14'),
  of('FAN_EVENT_INFO_TYPE_MNT', k.FAN_EVENT_INFO_TYPE_MNT, '6.15'),
  of('FAN_EVENT_INFO_TYPE_OLD_DFID_NAME', k.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, '5.17', NFS_BACKPORTS),
  of('FAN_EVENT_INFO_TYPE_NEW_DFID_NAME', k.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, '5.17', NFS_BACKPORTS),
];

/** What a response can say. FAN_DENY with an errno, which is no flag of its own, is `FAN_DENY_ERRNO`: since 6.14. */
export const RESPONSE_FLAGS: readonly Since<number>[] = [
  of('FAN_ALLOW', k.FAN_ALLOW, FIRST),
  of('FAN_DENY', k.FAN_DENY, FIRST),
  of('FAN_AUDIT', k.FAN_AUDIT, '4.15'),
  of('FAN_INFO', k.FAN_INFO, '6.3'),
];

/**
 * What came without a constant of its own: the first release of Linux that has it.
 *
 * @example
 * import { BEHAVIOURS } from 'fanotify/abi';
 * console.log(BEHAVIOURS.unprivileged); // 5.13
 */
export const BEHAVIOURS = {
  /** fanotify_init(2) without CAP_SYS_ADMIN, for groups that report handles. */
  unprivileged: '5.13',
  /** FAN_DENY with an errno, in groups of FAN_CLASS_PRE_CONTENT. */
  denyErrno: '6.14',
} as const satisfies Record<string, KernelVersion>;

function of<Value extends number | bigint>(
  name: string,
  value: Value,
  since: KernelVersion,
  backports: readonly string[] = [],
): Since<Value> {
  return { name, value, since, backports };
}
