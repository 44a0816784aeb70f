// struct fsnotify_group, as fanotify has it: a listener, with what it reports, its marks, its queue, and what it still has to answer.

import {
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FID,
  FAN_REPORT_NAME,
  FAN_REPORT_TARGET_FID,
  FAN_UNLIMITED_MARKS,
} from '../../abi/constants.ts';
import type { UserNamespace } from '../tasks/task.ts';
import type { PermissionEvent } from './event.ts';
import type { UserCount, UserCounts } from './limits.ts';
import type { Mark } from './mark.ts';
import type { Queue } from './queue.ts';

/** Who is asked first: fsnotify_group_prio. */
export const PRIORITY = { normal: 0, content: 1, preContent: 2 } as const;

export const CLASS_BITS = FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT;
/** Reports handles instead of descriptors. */
export const FID_BITS = FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME | FAN_REPORT_TARGET_FID;

export interface Group {
  /** As they came: between groups of one priority Linux goes by where they are in memory, which is nobody's to know. */
  readonly order: number;
  /** FAN_* of fanotify_init(2). */
  readonly flags: number;
  /** O_* of the descriptors that it gets. */
  readonly eventFlags: number;
  readonly priority: number;
  /** It was made without CAP_SYS_ADMIN: it is told no process but its own reader, and gets no descriptors. */
  readonly isUnprivileged: boolean;
  readonly userNamespace: UserNamespace;
  readonly counts: UserCounts;
  /** Of the user who has made it: it counts for that one, and so do its marks. */
  readonly user: UserCount;
  readonly marks: Set<Mark>;
  readonly queue: Queue;
  /** Permission events that were read and wait for their answer, in the order in which they were read. */
  readonly asked: PermissionEvent[];
}

/** fsnotify_compare_groups: less than 0 when `a` hears before `b`. */
export function compareGroups(a: Group, b: Group): number {
  return a.priority === b.priority ? a.order - b.order : b.priority - a.priority;
}

/** The part of its flags that says which handles it reports; 0 for descriptors. */
export function fidMode(group: Group): number {
  return group.flags & FID_BITS;
}

/** Whether its marks count against the user's limit. */
export function countsMarks(group: Group): boolean {
  return (group.flags & FAN_UNLIMITED_MARKS) === 0;
}
