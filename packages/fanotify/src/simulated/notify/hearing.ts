// send_to_group and fanotify_group_event_mask: what of a happening a group wants to hear, by all of its marks that could hear it.

import { FAN_REPORT_FID, FAN_REPORT_MNT } from '../../abi/constants.ts';
import { ALL_EVENTS, EVENT_FLAGS, FAN_MODIFY, FAN_ONDIR, OUTGOING } from './bits.ts';
import { fidMode, type Group } from './group.ts';
import type { Happening } from './happening.ts';
import { ignoredOf, isApplicable, type Mark } from './mark.ts';
import { HEAD } from './walk.ts';

/**
 * The bits that the event gets; 0 when the group is not told. Ends ignore masks that do not survive a modification.
 *
 * @param marks Of the group, by what they are on.
 */
export function heardBy(group: Group, happening: Happening, marks: readonly (Mark | undefined)[]): number {
  const { mask } = happening;
  const isDirectory = (mask & FAN_ONDIR) !== 0;
  let wanted = 0;
  let applicable = 0;
  let ignored = 0;
  for (let head = 0; head < marks.length; head++) {
    const mark = marks[head];
    if (mark === undefined) continue;
    // What it is known for is left as it is until its mask changes: a superset does no harm.
    if ((mask & FAN_MODIFY) !== 0 && !mark.survivesModify) mark.ignoreMask = 0;
    const isOfParent = head === HEAD.parent;
    wanted |= mark.mask;
    ignored |= ignoredOf(mark, isDirectory, isOfParent);
    if (isApplicable(mark.mask, isDirectory, isOfParent)) applicable |= mark.mask;
  }
  if ((mask & ALL_EVENTS & wanted & ~ignored) === 0) return 0;
  if (!isReportable(group, happening)) return 0;
  const heard = mask & applicable & ~ignored;
  // Without handles nobody is told whether it is a directory; with them, of every event, but not of that alone.
  if (fidMode(group) === 0) return heard & OUTGOING & ~EVENT_FLAGS;
  return (heard & ~EVENT_FLAGS) === 0 ? 0 : heard & (OUTGOING | EVENT_FLAGS);
}

/** Whether the marks that heard it are on the old directory, the new one, or the file system: what a rename is told by. */
export function renameParts(
  happening: Happening,
  marks: readonly (Mark | undefined)[],
): { readonly old: boolean; readonly new: boolean } {
  const isDirectory = (happening.mask & FAN_ONDIR) !== 0;
  const matches = (head: number): boolean => {
    const mark = marks[head];
    return mark !== undefined && isApplicable(mark.mask, isDirectory, false);
  };
  const isOfFilesystem = matches(HEAD.filesystem);
  return { old: isOfFilesystem || matches(HEAD.inode), new: isOfFilesystem || matches(HEAD.newDirectory) };
}

/** Whether the group can report it at all. */
function isReportable(group: Group, { path, directory, mask, mount }: Happening): boolean {
  if ((group.flags & FAN_REPORT_MNT) !== 0) return mount !== undefined;
  const mode = fidMode(group);
  if (mode === 0) {
    if (path === undefined) return false;
    const { type } = path.dentry.inode;
    return type === 'file' || type === 'directory';
  }
  // Directories alone are reported: there must be one.
  return (mode & FAN_REPORT_FID) !== 0 || directory !== undefined || (mask & FAN_ONDIR) !== 0;
}
