// fanotify_init(2): what a group may be, and by whom, in the order in which Linux asks.

import {
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_ENABLE_AUDIT,
  FAN_NONBLOCK,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FD_ERROR,
  FAN_REPORT_FID,
  FAN_REPORT_MNT,
  FAN_REPORT_NAME,
  FAN_REPORT_PIDFD,
  FAN_REPORT_TARGET_FID,
  FAN_REPORT_TID,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
} from '../../abi/constants.ts';
import {
  O_APPEND,
  O_CLOEXEC,
  O_DSYNC,
  O_LARGEFILE,
  O_NOATIME,
  O_NONBLOCK,
  O_RDWR,
  O_SYNC,
  O_WRONLY,
} from '../../abi/fcntl.ts';
import type { OpenFile } from '../files/objects.ts';
import { capable } from '../files/permission.ts';
import { refuse } from '../refusal.ts';
import type { EventDescriptors } from './event-descriptors.ts';
import type { Fsnotify } from './fsnotify.ts';
import { CLASS_BITS, FID_BITS, type Group, PRIORITY } from './group.ts';
import { openGroup } from './group-file.ts';
import { Queue } from './queue.ts';

/** What only CAP_SYS_ADMIN may ask for: FANOTIFY_ADMIN_INIT_FLAGS. */
const ADMIN_FLAGS =
  CLASS_BITS | FAN_REPORT_TID | FAN_REPORT_PIDFD | FAN_REPORT_FD_ERROR | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
const INIT_FLAGS = ADMIN_FLAGS | FID_BITS | FAN_REPORT_MNT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_ENABLE_AUDIT;
const EVENT_FLAGS = O_WRONLY | O_RDWR | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_CLOEXEC | O_LARGEFILE | O_NOATIME;
const O_ACCMODE = 3;

/**
 * A new group of whoever runs now. It has no descriptor yet: FAN_CLOEXEC is for whoever gives it one.
 *
 * @throws Refusal EPERM, EINVAL, EMFILE.
 */
export function fanotifyInit(
  fsnotify: Fsnotify,
  flags: number,
  eventFlags: number,
  descriptors: EventDescriptors,
): OpenFile {
  const { system } = fsnotify;
  const { credentials } = system.current;
  const isUnprivileged = !capable(credentials, 'CAP_SYS_ADMIN');
  // Without privilege: notification alone, and of handles or mounts, not of descriptors.
  if (isUnprivileged && ((flags & ADMIN_FLAGS) !== 0 || (flags & (FID_BITS | FAN_REPORT_MNT)) === 0)) refuse('EPERM');
  checkFlags(flags, eventFlags);

  const counts = fsnotify.counts;
  const user = counts.of(credentials.userNamespace, credentials.euid);
  if (!counts.add(user, 'groups')) refuse('EMFILE');
  try {
    system.faults.at('memory');
    if ((flags & CLASS_BITS) === CLASS_BITS) refuse('EINVAL');
    if ((flags & FAN_ENABLE_AUDIT) !== 0 && !capable(credentials, 'CAP_AUDIT_WRITE')) refuse('EPERM');
  } catch (error) {
    counts.remove(user, 'groups');
    throw error;
  }
  const group: Group = {
    order: fsnotify.nextOrder(),
    flags,
    // force_o_largefile(): on 64 bits every open has it.
    eventFlags: eventFlags | O_LARGEFILE,
    priority: priorityOf(flags),
    isUnprivileged,
    userNamespace: credentials.userNamespace,
    counts,
    user,
    marks: new Set(),
    queue: new Queue(
      (flags & FAN_UNLIMITED_QUEUE) === 0 ? system.limits.maxQueuedEvents : Number.POSITIVE_INFINITY,
      (flags & FAN_REPORT_TID) !== 0,
      () => system.readiness.changed(),
    ),
    asked: [],
  };
  return openGroup(system, group, descriptors);
}

/** EINVAL for what cannot go together. */
function checkFlags(flags: number, eventFlags: number): void {
  const mode = flags & FID_BITS;
  const hasClass = (flags & CLASS_BITS) !== 0;
  if ((flags & ~INIT_FLAGS) !== 0) refuse('EINVAL');
  // There are no pidfds of threads for fanotify.
  if ((flags & FAN_REPORT_PIDFD) !== 0 && (flags & FAN_REPORT_TID) !== 0) refuse('EINVAL');
  if ((flags & FAN_REPORT_MNT) !== 0 && (hasClass || mode !== 0 || (flags & FAN_REPORT_FD_ERROR) !== 0)) {
    refuse('EINVAL');
  }
  if ((eventFlags & ~EVENT_FLAGS) !== 0 || (eventFlags & O_ACCMODE) === O_ACCMODE) refuse('EINVAL');
  if (mode !== 0 && hasClass) refuse('EINVAL');
  // A name is told with its directory, and the target with both.
  if ((mode & FAN_REPORT_NAME) !== 0 && (mode & FAN_REPORT_DIR_FID) === 0) refuse('EINVAL');
  const withTarget = FAN_REPORT_NAME | FAN_REPORT_FID;
  if ((mode & FAN_REPORT_TARGET_FID) !== 0 && (mode & withTarget) !== withTarget) refuse('EINVAL');
}

function priorityOf(flags: number): number {
  switch (flags & CLASS_BITS) {
    case FAN_CLASS_CONTENT:
      return PRIORITY.content;
    case FAN_CLASS_PRE_CONTENT:
      return PRIORITY.preContent;
    default:
      return PRIORITY.normal;
  }
}
