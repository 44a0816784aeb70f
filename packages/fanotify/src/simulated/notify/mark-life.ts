// How marks come and go (fs/notify/mark.c): with the group, with the object, or one by one.

import type { Markable } from '../files/objects.ts';
import { connect, disconnect, type Target } from './connector.ts';
import { countsMarks, type Group } from './group.ts';
import type { Mark } from './mark.ts';

/** What of a mark is settled as it is made. */
export type NewMark = Pick<Mark, 'fsid' | 'isWeakFsid' | 'isEvictable'>;

/** A mark without any events yet. It is counted already. */
export function attachMark(group: Group, target: Target, { fsid, isWeakFsid, isEvictable }: NewMark): Mark {
  const mark: Mark = {
    group,
    connector: undefined,
    isAttached: true,
    pins: 0,
    mask: 0,
    ignoreMask: 0,
    survivesModify: false,
    hasIgnoreFlags: false,
    isEvictable,
    fsid,
    isWeakFsid,
  };
  connect(mark, target);
  group.marks.add(mark);
  return mark;
}

/** fsnotify_destroy_mark. */
export function destroyMark(mark: Mark): void {
  const { group } = mark;
  if (!group.marks.delete(mark)) return;
  mark.isAttached = false;
  if (mark.pins === 0) disconnect(mark);
  if (countsMarks(group)) group.counts.remove(group.user, 'marks');
}

/** fsnotify_prepare_user_wait: keeps marks where they are. False when one of them is not its group's any more: nobody is asked then. */
export function pin(marks: readonly Mark[]): boolean {
  if (marks.some(({ isAttached }) => !isAttached)) return false;
  for (const mark of marks) mark.pins++;
  return true;
}

/** fsnotify_finish_user_wait. */
export function unpin(marks: readonly Mark[]): void {
  for (const mark of marks) if (--mark.pins === 0 && !mark.isAttached) disconnect(mark);
}

/** fsnotify_destroy_marks: the object goes. */
export function destroyMarksOf({ connector }: Markable): void {
  if (connector === undefined) return;
  for (const mark of connector.marks) destroyMark(mark);
}

/** fsnotify_clear_marks_by_group: those of a type, or all. */
export function destroyMarksOfGroup(group: Group, type?: Target['type']): void {
  for (const mark of group.marks) {
    if (type === undefined || mark.connector?.target.type === type) destroyMark(mark);
  }
}
