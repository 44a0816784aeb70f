// Every constant of <linux/fanotify.h> as of Linux 6.18, by its kernel name. Flags are numbers, event bits are bigint (the
// mask has 64 bits). Left out: the FAN_ALL_* sets, which the header itself marks as deprecated. since.ts tells their age.

// Flags of fanotify_init(2).
/** The group's descriptor is closed by execve(2). */
export const FAN_CLOEXEC = 0x0000_0001;
/** Reading an empty queue fails with EAGAIN. */
export const FAN_NONBLOCK = 0x0000_0002;
/** No limit of unread events (fs.fanotify.max_queued_events). Needs CAP_SYS_ADMIN. */
export const FAN_UNLIMITED_QUEUE = 0x0000_0010;
/** No limit of marks (fs.fanotify.max_user_marks). Needs CAP_SYS_ADMIN. */
export const FAN_UNLIMITED_MARKS = 0x0000_0020;
/** Answers can be written to the audit log (FAN_AUDIT). Needs CAP_AUDIT_WRITE. Since Linux 4.15. */
export const FAN_ENABLE_AUDIT = 0x0000_0040;

// Classes: one of the three, not bits.
/** Hears, and decides nothing. */
export const FAN_CLASS_NOTIF = 0x0000_0000;
/** Can decide on accesses of files that have their final content. Needs CAP_SYS_ADMIN. */
export const FAN_CLASS_CONTENT = 0x0000_0004;
/** Can decide before a file has its final content; is asked first. Needs CAP_SYS_ADMIN. */
export const FAN_CLASS_PRE_CONTENT = 0x0000_0008;

// What each event reports.
/** A PIDFD record: a descriptor of the process. Needs CAP_SYS_ADMIN. Since Linux 5.15. */
export const FAN_REPORT_PIDFD = 0x0000_0080;
/** The thread instead of the process in `pid`. Needs CAP_SYS_ADMIN. Since Linux 4.20. */
export const FAN_REPORT_TID = 0x0000_0100;
/** A FID record: the object, by handle, instead of a descriptor. Since Linux 5.1. */
export const FAN_REPORT_FID = 0x0000_0200;
/** A DFID record: the directory of the object. Since Linux 5.9. */
export const FAN_REPORT_DIR_FID = 0x0000_0400;
/** With FAN_REPORT_DIR_FID: the name in the directory too. Since Linux 5.9. */
export const FAN_REPORT_NAME = 0x0000_0800;
/** With the three above: the object of events of directory entries too. Since Linux 5.17. */
export const FAN_REPORT_TARGET_FID = 0x0000_1000;
/** An errno, negative, instead of FAN_NOFD or FAN_EPIDFD. Needs CAP_SYS_ADMIN. Since Linux 6.13. */
export const FAN_REPORT_FD_ERROR = 0x0000_2000;
/** Events of mounts, with a MNT record. Since Linux 6.15. */
export const FAN_REPORT_MNT = 0x0000_4000;
/** FAN_REPORT_DIR_FID and FAN_REPORT_NAME. Since Linux 5.9. */
export const FAN_REPORT_DFID_NAME = FAN_REPORT_DIR_FID | FAN_REPORT_NAME;
/** All four reports of handles. Since Linux 5.17. */
export const FAN_REPORT_DFID_NAME_TARGET = FAN_REPORT_DFID_NAME | FAN_REPORT_FID | FAN_REPORT_TARGET_FID;

// Flags of fanotify_mark(2).
/** Adds to a mark, or makes one. */
export const FAN_MARK_ADD = 0x0000_0001;
/** Takes out of a mark; the mark goes with its last event. */
export const FAN_MARK_REMOVE = 0x0000_0002;
/** Marks a symbolic link rather than what it leads to. */
export const FAN_MARK_DONT_FOLLOW = 0x0000_0004;
/** Fails with ENOTDIR for what is no directory. */
export const FAN_MARK_ONLYDIR = 0x0000_0008;
/** Means the ignore mask, in its older form. */
export const FAN_MARK_IGNORED_MASK = 0x0000_0020;
/** The ignore mask stays when the file is modified. */
export const FAN_MARK_IGNORED_SURV_MODIFY = 0x0000_0040;
/** Removes every mark of a type. */
export const FAN_MARK_FLUSH = 0x0000_0080;
/** The mark does not keep the inode in memory, and goes when that does. Since Linux 5.19. */
export const FAN_MARK_EVICTABLE = 0x0000_0200;
/** Means the ignore mask; FAN_ONDIR and FAN_EVENT_ON_CHILD count in it. Since Linux 6.0. */
export const FAN_MARK_IGNORE = 0x0000_0400;
/** FAN_MARK_IGNORE and FAN_MARK_IGNORED_SURV_MODIFY. Since Linux 6.0. */
export const FAN_MARK_IGNORE_SURV = FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY;

// Types of mark: one of the four, not bits (MNTNS is the number of MOUNT | FILESYSTEM).
/** One file or directory. The only type that needs no privilege, since Linux 5.13. */
export const FAN_MARK_INODE = 0x0000_0000;
/** Everything through one mount. Needs CAP_SYS_ADMIN. */
export const FAN_MARK_MOUNT = 0x0000_0010;
/** Everything on one file system. Needs CAP_SYS_ADMIN. Since Linux 4.20. */
export const FAN_MARK_FILESYSTEM = 0x0000_0100;
/** The mounts of one mount namespace. Needs CAP_SYS_ADMIN. Since Linux 6.15. */
export const FAN_MARK_MNTNS = 0x0000_0110;

// Event bits: in the mask of a mark, and of an event.
/** A file or directory was read. */
export const FAN_ACCESS = 0x0000_0001n;
/** A file was written or truncated. */
export const FAN_MODIFY = 0x0000_0002n;
/** Metadata changed: mode, owner, times, links, extended attributes. Since Linux 5.1. */
export const FAN_ATTRIB = 0x0000_0004n;
/** A file that was open for writing was closed. */
export const FAN_CLOSE_WRITE = 0x0000_0008n;
/** A file or directory that was open for reading was closed. */
export const FAN_CLOSE_NOWRITE = 0x0000_0010n;
/** A file or directory was opened. */
export const FAN_OPEN = 0x0000_0020n;
/** An entry was renamed, told of the old directory. Since Linux 5.1. */
export const FAN_MOVED_FROM = 0x0000_0040n;
/** An entry was renamed, told of the new directory. Since Linux 5.1. */
export const FAN_MOVED_TO = 0x0000_0080n;
/** An entry was made. Since Linux 5.1. */
export const FAN_CREATE = 0x0000_0100n;
/** An entry was deleted. Since Linux 5.1. */
export const FAN_DELETE = 0x0000_0200n;
/** The marked object was deleted. Since Linux 5.1. */
export const FAN_DELETE_SELF = 0x0000_0400n;
/** The marked object was renamed. Since Linux 5.1. */
export const FAN_MOVE_SELF = 0x0000_0800n;
/** A file was opened to be executed. Since Linux 5.0. */
export const FAN_OPEN_EXEC = 0x0000_1000n;
/** In events only: the queue was full, and events were lost. */
export const FAN_Q_OVERFLOW = 0x0000_4000n;
/** A file system found itself damaged; marks of file systems only. Since Linux 5.16. */
export const FAN_FS_ERROR = 0x0000_8000n;
/** Asks before an open. */
export const FAN_OPEN_PERM = 0x0001_0000n;
/** Asks before a read. */
export const FAN_ACCESS_PERM = 0x0002_0000n;
/** Asks before an open to execute. Since Linux 5.0. */
export const FAN_OPEN_EXEC_PERM = 0x0004_0000n;
/** Asks before content is accessed, with a RANGE record. Since Linux 6.14. */
export const FAN_PRE_ACCESS = 0x0010_0000n;
/** A mount was attached. Since Linux 6.15. */
export const FAN_MNT_ATTACH = 0x0100_0000n;
/** A mount was detached. Since Linux 6.15. */
export const FAN_MNT_DETACH = 0x0200_0000n;
/** In marks only: of a directory's entries too. */
export const FAN_EVENT_ON_CHILD = 0x0800_0000n;
/** An entry was renamed: one event with both names. Since Linux 5.17. */
export const FAN_RENAME = 0x1000_0000n;
/** In marks: of directories too. In events with handles: the object is a directory. */
export const FAN_ONDIR = 0x4000_0000n;
/** FAN_CLOSE_WRITE and FAN_CLOSE_NOWRITE. */
export const FAN_CLOSE = FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE;
/** FAN_MOVED_FROM and FAN_MOVED_TO. Since Linux 5.1. */
export const FAN_MOVE = FAN_MOVED_FROM | FAN_MOVED_TO;

// Types of information records, in the `info_type` of a record's header.
/** The object. Since Linux 5.1. */
export const FAN_EVENT_INFO_TYPE_FID = 1;
/** The directory, and the name in it. Since Linux 5.9. */
export const FAN_EVENT_INFO_TYPE_DFID_NAME = 2;
/** The directory. Since Linux 5.9. */
export const FAN_EVENT_INFO_TYPE_DFID = 3;
/** The process. Since Linux 5.15. */
export const FAN_EVENT_INFO_TYPE_PIDFD = 4;
/** The error of a file system. Since Linux 5.16. */
export const FAN_EVENT_INFO_TYPE_ERROR = 5;
/** The bytes about to be accessed. Since Linux 6.14. */
export const FAN_EVENT_INFO_TYPE_RANGE = 6;
/** The mount. Since Linux 6.15. */
export const FAN_EVENT_INFO_TYPE_MNT = 7;
/** The directory and name before a rename. Since Linux 5.17. */
export const FAN_EVENT_INFO_TYPE_OLD_DFID_NAME = 10;
/** The directory and name after a rename. Since Linux 5.17. */
export const FAN_EVENT_INFO_TYPE_NEW_DFID_NAME = 12;

// Responses to permission events.
/** The access goes on. */
export const FAN_ALLOW = 0x01;
/** The access fails with EPERM. */
export const FAN_DENY = 0x02;
/** The answer is written to the audit log; the group needs FAN_ENABLE_AUDIT. Since Linux 4.15. */
export const FAN_AUDIT = 0x10;
/** An information record follows the answer. Since Linux 6.3. */
export const FAN_INFO = 0x20;
/** Width of the errno of a denial, in bits. Since Linux 6.14. */
export const FAN_ERRNO_BITS = 8;
/** Where the errno of a denial starts, in bits. Since Linux 6.14. */
export const FAN_ERRNO_SHIFT = 32 - FAN_ERRNO_BITS;
/** The errno of a denial, once shifted down. Since Linux 6.14. */
export const FAN_ERRNO_MASK = (1 << FAN_ERRNO_BITS) - 1;
/** No information record. Since Linux 6.3. */
export const FAN_RESPONSE_INFO_NONE = 0;
/** An audit rule, as encodeResponse writes it. Since Linux 6.3. */
export const FAN_RESPONSE_INFO_AUDIT_RULE = 1;

// In place of a descriptor: none, and a pidfd that could not be made.
/** No descriptor. */
export const FAN_NOFD = -1;
/** The process is gone. Since Linux 5.15. */
export const FAN_NOPIDFD = FAN_NOFD;
/** A pidfd could not be made. Since Linux 5.15. */
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
