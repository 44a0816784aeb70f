// fanotify_add_mark and fanotify_remove_mark: bits go into a mark and out of it. The first makes it, the last ends it.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { FAN_ONDIR, PRE_CONTENT_EVENTS } from './bits.ts';
import { findMark, recalculate, type Target } from './connector.ts';
import { countsMarks, type Group } from './group.ts';
import { interestOf, type Mark } from './mark.ts';
import { attachMark, destroyMark } from './mark-life.ts';

/** What is asked for. */
export interface MarkRequest {
  /** It is about the ignore mask. */
  readonly isIgnore: boolean;
  /** FAN_MARK_IGNORE. */
  readonly hasIgnoreFlags: boolean;
  readonly survivesModify: boolean;
  readonly isEvictable: boolean;
  readonly mask: number;
  /** Bits that are not the user's to take away; a mark with no others ends. */
  readonly kept: number;
}

/** The id of its file system, for groups that report handles. */
export interface MarkFsid {
  readonly fsid: readonly [number, number];
  readonly isWeak: boolean;
}

/** @throws Refusal ENOSPC, ENOMEM, EXDEV, EEXIST. */
export function addToMark(
  system: System,
  group: Group,
  target: Target,
  request: MarkRequest,
  fsid: MarkFsid | undefined,
): void {
  const mark = findMark(target.object, group) ?? newMark(system, group, target, request, fsid);
  checkUpdate(mark, request);
  if (request.isIgnore) mark.ignoreMask |= request.mask;
  else mark.mask |= request.mask;
  const { connector } = mark;
  if (connector === undefined) return;
  const isNews = (interestOf(mark) & ~connector.mask) !== 0;
  if (updateFlags(mark, request, target) || isNews) recalculate(connector);
}

/** @throws Refusal ENOENT. */
export function removeFromMark(group: Group, target: Target, { isIgnore, mask, kept }: MarkRequest): void {
  const mark = findMark(target.object, group);
  if (mark?.connector === undefined) refuse('ENOENT');
  const before = interestOf(mark);
  if (isIgnore) mark.ignoreMask &= ~(mask & ~kept);
  else mark.mask &= ~(mask & ~kept);
  if ((before & ~interestOf(mark) & mark.connector.mask) !== 0) recalculate(mark.connector);
  // Flags alone keep a mark: somebody takes it apart bit by bit, to put it together otherwise.
  if (((mark.mask | mark.ignoreMask) & ~kept) === 0) destroyMark(mark);
}

/** fanotify_add_new_mark. */
function newMark(
  system: System,
  group: Group,
  target: Target,
  { isEvictable }: MarkRequest,
  fsid: MarkFsid | undefined,
): Mark {
  const isCounted = countsMarks(group);
  if (isCounted && !group.counts.add(group.user, 'marks')) refuse('ENOSPC');
  try {
    system.faults.at('mark');
    if (fsid !== undefined) checkFsid(group, target, fsid);
  } catch (error) {
    if (isCounted) group.counts.remove(group.user, 'marks');
    throw error;
  }
  return attachMark(group, target, { fsid: fsid?.fsid, isWeakFsid: fsid?.isWeak ?? false, isEvictable });
}

/** fanotify_set_mark_fsid: handles of a file system with no id of its own are told apart by nothing, so it is alone in its group. */
function checkFsid(group: Group, target: Target, { fsid, isWeak }: MarkFsid): void {
  for (const other of [...group.marks].reverse()) {
    const superblock = superblockOf(other.connector?.target);
    if (superblock === undefined) continue;
    if (other.isWeakFsid !== isWeak) refuse('EXDEV');
    if (!isWeak) return;
    if (superblock !== superblockOf(target)) refuse('EXDEV');
    if (other.fsid?.[0] !== fsid[0] || other.fsid[1] !== fsid[1]) refuse('EXDEV');
    return;
  }
}

function superblockOf(target: Target | undefined) {
  switch (target?.type) {
    case 'inode':
    case 'mount':
      return target.object.superblock;
    case 'filesystem':
      return target.object;
    default:
      return undefined;
  }
}

/** fanotify_may_update_existing_mark: what a mark is once, it stays. */
function checkUpdate(mark: Mark, request: MarkRequest): void {
  if (request.isEvictable && !mark.isEvictable) refuse('EEXIST');
  if (request.isIgnore && !request.hasIgnoreFlags && mark.hasIgnoreFlags) refuse('EEXIST');
  if (request.hasIgnoreFlags && !request.survivesModify && mark.survivesModify) refuse('EEXIST');
  const mask = mark.mask | request.mask;
  if ((mask & PRE_CONTENT_EVENTS) !== 0 && (mask & FAN_ONDIR) !== 0) refuse('EEXIST');
}

/** fanotify_mark_update_flags. Whether what its object tells is to be reckoned anew. */
function updateFlags(mark: Mark, request: MarkRequest, target: Target): boolean {
  let isNews = false;
  if (request.hasIgnoreFlags) mark.hasIgnoreFlags = true;
  if (request.isIgnore && request.survivesModify && !mark.survivesModify) {
    mark.survivesModify = true;
    isNews = true;
  }
  if (target.type === 'inode' && mark.isEvictable && !request.isEvictable) {
    mark.isEvictable = false;
    isNews = true;
  }
  return isNews;
}
