// What is held, and what becomes of it: the words of permission events.

/**
 * Permission events by their names here: FAN_OPEN_PERM, FAN_OPEN_EXEC_PERM (since Linux 5.0), FAN_ACCESS_PERM and FAN_PRE_ACCESS
 * (since Linux 6.14, on ext4, xfs, btrfs and others with content on disk; not on tmpfs) in fanotify_mark(2). Since Linux 6.14 the
 * latter two are not of descriptors that were open before the guard was.
 */
export type PermissionEventName = 'open' | 'openExec' | 'access' | 'preAccess';

/** What becomes of an access. */
export type Verdict = 'allow' | 'deny';

/** The errors that a pre-content group can make an access fail with, since Linux 6.14: FAN_DENY_ERRNO in <linux/fanotify.h>. */
export type DenyErrno = 'EPERM' | 'EIO' | 'EBUSY' | 'ETXTBSY' | 'EAGAIN' | 'ENOSPC' | 'EDQUOT';
