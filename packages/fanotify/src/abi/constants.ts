// Every constant of <linux/fanotify.h> as of Linux 6.18, by its kernel name. Flags are numbers, event bits are bigint (the
// mask has 64 bits). Left out: the FAN_ALL_* sets, which the header itself marks as deprecated. since.ts tells their age.

// Flags of fanotify_init(2).
export const FAN_CLOEXEC = 0x0000_0001;
export const FAN_NONBLOCK = 0x0000_0002;
export const FAN_UNLIMITED_QUEUE = 0x0000_0010;
export const FAN_UNLIMITED_MARKS = 0x0000_0020;
export const FAN_ENABLE_AUDIT = 0x0000_0040;

// Classes: one of the three, not bits.
export const FAN_CLASS_NOTIF = 0x0000_0000;
export const FAN_CLASS_CONTENT = 0x0000_0004;
export const FAN_CLASS_PRE_CONTENT = 0x0000_0008;

// What each event reports.
export const FAN_REPORT_PIDFD = 0x0000_0080;
export const FAN_REPORT_TID = 0x0000_0100;
export const FAN_REPORT_FID = 0x0000_0200;
export const FAN_REPORT_DIR_FID = 0x0000_0400;
export const FAN_REPORT_NAME = 0x0000_0800;
export const FAN_REPORT_TARGET_FID = 0x0000_1000;
export const FAN_REPORT_FD_ERROR = 0x0000_2000;
export const FAN_REPORT_MNT = 0x0000_4000;
export const FAN_REPORT_DFID_NAME = FAN_REPORT_DIR_FID | FAN_REPORT_NAME;
export const FAN_REPORT_DFID_NAME_TARGET = FAN_REPORT_DFID_NAME | FAN_REPORT_FID | FAN_REPORT_TARGET_FID;

// Flags of fanotify_mark(2).
export const FAN_MARK_ADD = 0x0000_0001;
export const FAN_MARK_REMOVE = 0x0000_0002;
export const FAN_MARK_DONT_FOLLOW = 0x0000_0004;
export const FAN_MARK_ONLYDIR = 0x0000_0008;
export const FAN_MARK_IGNORED_MASK = 0x0000_0020;
export const FAN_MARK_IGNORED_SURV_MODIFY = 0x0000_0040;
export const FAN_MARK_FLUSH = 0x0000_0080;
export const FAN_MARK_EVICTABLE = 0x0000_0200;
export const FAN_MARK_IGNORE = 0x0000_0400;
export const FAN_MARK_IGNORE_SURV = FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY;

// Types of mark: one of the four, not bits (MNTNS is the number of MOUNT | FILESYSTEM).
export const FAN_MARK_INODE = 0x0000_0000;
export const FAN_MARK_MOUNT = 0x0000_0010;
export const FAN_MARK_FILESYSTEM = 0x0000_0100;
export const FAN_MARK_MNTNS = 0x0000_0110;

// Event bits: in the mask of a mark, and of an event.
export const FAN_ACCESS = 0x0000_0001n;
export const FAN_MODIFY = 0x0000_0002n;
export const FAN_ATTRIB = 0x0000_0004n;
export const FAN_CLOSE_WRITE = 0x0000_0008n;
export const FAN_CLOSE_NOWRITE = 0x0000_0010n;
export const FAN_OPEN = 0x0000_0020n;
export const FAN_MOVED_FROM = 0x0000_0040n;
export const FAN_MOVED_TO = 0x0000_0080n;
export const FAN_CREATE = 0x0000_0100n;
export const FAN_DELETE = 0x0000_0200n;
export const FAN_DELETE_SELF = 0x0000_0400n;
export const FAN_MOVE_SELF = 0x0000_0800n;
export const FAN_OPEN_EXEC = 0x0000_1000n;
export const FAN_Q_OVERFLOW = 0x0000_4000n;
export const FAN_FS_ERROR = 0x0000_8000n;
export const FAN_OPEN_PERM = 0x0001_0000n;
export const FAN_ACCESS_PERM = 0x0002_0000n;
export const FAN_OPEN_EXEC_PERM = 0x0004_0000n;
export const FAN_PRE_ACCESS = 0x0010_0000n;
export const FAN_MNT_ATTACH = 0x0100_0000n;
export const FAN_MNT_DETACH = 0x0200_0000n;
export const FAN_EVENT_ON_CHILD = 0x0800_0000n;
export const FAN_RENAME = 0x1000_0000n;
export const FAN_ONDIR = 0x4000_0000n;
export const FAN_CLOSE = FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE;
export const FAN_MOVE = FAN_MOVED_FROM | FAN_MOVED_TO;

// Types of information records, in the `info_type` of a record's header.
export const FAN_EVENT_INFO_TYPE_FID = 1;
export const FAN_EVENT_INFO_TYPE_DFID_NAME = 2;
export const FAN_EVENT_INFO_TYPE_DFID = 3;
export const FAN_EVENT_INFO_TYPE_PIDFD = 4;
export const FAN_EVENT_INFO_TYPE_ERROR = 5;
export const FAN_EVENT_INFO_TYPE_RANGE = 6;
export const FAN_EVENT_INFO_TYPE_MNT = 7;
export const FAN_EVENT_INFO_TYPE_OLD_DFID_NAME = 10;
export const FAN_EVENT_INFO_TYPE_NEW_DFID_NAME = 12;

// Responses to permission events.
export const FAN_ALLOW = 0x01;
export const FAN_DENY = 0x02;
export const FAN_AUDIT = 0x10;
export const FAN_INFO = 0x20;
export const FAN_ERRNO_BITS = 8;
export const FAN_ERRNO_SHIFT = 32 - FAN_ERRNO_BITS;
export const FAN_ERRNO_MASK = (1 << FAN_ERRNO_BITS) - 1;
export const FAN_RESPONSE_INFO_NONE = 0;
export const FAN_RESPONSE_INFO_AUDIT_RULE = 1;

// In place of a descriptor: none, and a pidfd that could not be made.
export const FAN_NOFD = -1;
export const FAN_NOPIDFD = FAN_NOFD;
export const FAN_EPIDFD = -2;

/** The layout that this package reads; the kernel has had no other since 2.6.37. */
export const FANOTIFY_METADATA_VERSION = 3;
/** Size of `struct fanotify_event_metadata` in bytes. */
export const FAN_EVENT_METADATA_LEN = 24;

/**
 * A denial that fails the access with `errno` instead of EPERM: the macro of the same name. Only the lowest eight bits
 * of `errno` count. Since Linux 6.14, in groups of FAN_CLASS_PRE_CONTENT.
 *
 * @example
 * import { FAN_DENY_ERRNO } from 'fanotify/abi';
 * console.log(FAN_DENY_ERRNO(5).toString(16)); // 5000002
 */
export function FAN_DENY_ERRNO(errno: number): number {
  return (FAN_DENY | ((errno & FAN_ERRNO_MASK) << FAN_ERRNO_SHIFT)) >>> 0;
}
