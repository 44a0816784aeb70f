// struct fsnotify_mark: what one group wants of one object, and what it does not want to hear of it.

import { ALL_EVENTS, FAN_EVENT_ON_CHILD, FAN_MODIFY, FAN_ONDIR } from './bits.ts';
import type { Connector } from './connector.ts';
import type { Group } from './group.ts';

export interface Mark {
  readonly group: Group;
  /** undefined once it is gone. */
  connector: Connector | undefined;
  /** FSNOTIFY_MARK_FLAG_ATTACHED: its group still has it. */
  isAttached: boolean;
  /**
   * How many held accesses have it in their walk (fsnotify_prepare_user_wait). Taken away meanwhile, it stays on its object until they go on,
   * and hears what happens to it.
   */
  pins: number;
  /** What it wants to hear. FAN_ONDIR and FAN_EVENT_ON_CHILD say of what. */
  mask: number;
  /** What it wants not to be told, by whatever mark of its group. */
  ignoreMask: number;
  /** FAN_MARK_IGNORED_SURV_MODIFY: what it ignores stays ignored when the object is modified. */
  survivesModify: boolean;
  /** FAN_MARK_IGNORE: the ignore mask has flags of its own. */
  hasIgnoreFlags: boolean;
  /** FAN_MARK_EVICTABLE: it does not keep the inode in memory. */
  isEvictable: boolean;
  /** What the object's file system is called in handles; of groups that report them. */
  readonly fsid: readonly [number, number] | undefined;
  /** That id is not good enough to tell two file systems apart: it is zero, or there are others in the same file system. */
  readonly isWeakFsid: boolean;
}

/** fsnotify_calc_mask: what its object has to tell for its sake. */
export function interestOf(mark: Mark): number {
  if ((mark.ignoreMask & ALL_EVENTS) === 0) return mark.mask;
  // A modification ends what is ignored, so it has to be heard. What is ignored of children has to be noticed at the parent.
  return mark.mask | mark.ignoreMask | (mark.survivesModify ? 0 : FAN_MODIFY);
}

/** fsnotify_ignore_mask: with the flags that take effect. */
export function ignoreMaskOf(mark: Mark): number {
  if (mark.hasIgnoreFlags) return mark.ignoreMask;
  // In the older form directories always count, and children as they do for the mark.
  return (mark.ignoreMask & ~FAN_EVENT_ON_CHILD) | FAN_ONDIR | (mark.mask & FAN_EVENT_ON_CHILD);
}

/** fsnotify_mask_applicable: whether a mask is about such an object: a directory, or what is in the directory that is marked. */
export function isApplicable(mask: number, isDirectory: boolean, isOfParent: boolean): boolean {
  if (isDirectory && (mask & FAN_ONDIR) === 0) return false;
  return !isOfParent || (mask & FAN_EVENT_ON_CHILD) !== 0;
}

/** fsnotify_effective_ignore_mask: the events that it takes away from such an object. */
export function ignoredOf(mark: Mark, isDirectory: boolean, isOfParent: boolean): number {
  const ignored = mark.ignoreMask & ALL_EVENTS;
  if (ignored === 0 || (!isDirectory && !isOfParent)) return ignored;
  return isApplicable(ignoreMaskOf(mark), isDirectory, isOfParent) ? ignored : 0;
}
