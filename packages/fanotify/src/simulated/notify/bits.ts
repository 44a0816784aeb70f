// The event bits as numbers of 31 bits, and the sets that the kernel has of them (linux/fanotify.h, linux/fsnotify_backend.h). The seam
// has them as bigint; inside, every event tests some, and numbers are what is quick.

import * as abi from '../../abi/constants.ts';

export const FAN_ACCESS = Number(abi.FAN_ACCESS);
export const FAN_MODIFY = Number(abi.FAN_MODIFY);
export const FAN_ATTRIB = Number(abi.FAN_ATTRIB);
export const FAN_CLOSE_WRITE = Number(abi.FAN_CLOSE_WRITE);
export const FAN_CLOSE_NOWRITE = Number(abi.FAN_CLOSE_NOWRITE);
export const FAN_OPEN = Number(abi.FAN_OPEN);
export const FAN_MOVED_FROM = Number(abi.FAN_MOVED_FROM);
export const FAN_MOVED_TO = Number(abi.FAN_MOVED_TO);
export const FAN_CREATE = Number(abi.FAN_CREATE);
export const FAN_DELETE = Number(abi.FAN_DELETE);
export const FAN_DELETE_SELF = Number(abi.FAN_DELETE_SELF);
export const FAN_MOVE_SELF = Number(abi.FAN_MOVE_SELF);
export const FAN_OPEN_EXEC = Number(abi.FAN_OPEN_EXEC);
export const FAN_Q_OVERFLOW = Number(abi.FAN_Q_OVERFLOW);
export const FAN_FS_ERROR = Number(abi.FAN_FS_ERROR);
export const FAN_OPEN_PERM = Number(abi.FAN_OPEN_PERM);
export const FAN_ACCESS_PERM = Number(abi.FAN_ACCESS_PERM);
export const FAN_OPEN_EXEC_PERM = Number(abi.FAN_OPEN_EXEC_PERM);
export const FAN_PRE_ACCESS = Number(abi.FAN_PRE_ACCESS);
export const FAN_MNT_ATTACH = Number(abi.FAN_MNT_ATTACH);
export const FAN_MNT_DETACH = Number(abi.FAN_MNT_DETACH);
export const FAN_EVENT_ON_CHILD = Number(abi.FAN_EVENT_ON_CHILD);
export const FAN_RENAME = Number(abi.FAN_RENAME);
export const FAN_ONDIR = Number(abi.FAN_ONDIR);

/** What happens to the entries of a directory: its marks hear it, with the entry's name. */
export const DIRENT_EVENTS = FAN_MOVED_FROM | FAN_MOVED_TO | FAN_CREATE | FAN_DELETE | FAN_RENAME;
/** What is asked of those that have seen the final content. */
export const CONTENT_PERMISSION_EVENTS = FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM;
/** What is asked before that. */
export const PRE_CONTENT_EVENTS = FAN_PRE_ACCESS;
/** What holds whoever does it until it is answered. */
export const PERMISSION_EVENTS = CONTENT_PERMISSION_EVENTS | PRE_CONTENT_EVENTS;
/** FS_EVENTS_POSS_ON_CHILD: what marks of a directory can hear of what is in it. */
export const CHILD_EVENTS =
  PERMISSION_EVENTS |
  FAN_ACCESS |
  FAN_MODIFY |
  FAN_ATTRIB |
  FAN_CLOSE_WRITE |
  FAN_CLOSE_NOWRITE |
  FAN_OPEN |
  FAN_OPEN_EXEC;
/** Of mount namespaces. */
export const MOUNT_EVENTS = FAN_MNT_ATTACH | FAN_MNT_DETACH;
/** What happens with a path, so that it can be opened for the listener: all that groups without handles hear. */
export const DESCRIPTOR_EVENTS =
  PERMISSION_EVENTS | FAN_ACCESS | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN | FAN_OPEN_EXEC;
/** Not events, but of which objects they are. */
export const EVENT_FLAGS = FAN_EVENT_ON_CHILD | FAN_ONDIR;
/** ALL_FSNOTIFY_EVENTS, of those that fanotify has. */
export const ALL_EVENTS =
  DIRENT_EVENTS | CHILD_EVENTS | FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_Q_OVERFLOW | FAN_FS_ERROR | MOUNT_EVENTS;
/** What a mark may ask for. */
export const MARK_MASK = (ALL_EVENTS & ~FAN_Q_OVERFLOW) | EVENT_FLAGS;
/** FANOTIFY_OUTGOING_EVENTS: what a listener gets to see. */
export const OUTGOING = ALL_EVENTS | FAN_ONDIR;
