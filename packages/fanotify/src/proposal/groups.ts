// Which number is which group: one table for the three faces, since a number of one is a number of all.

import { AT_EMPTY_PATH, FAN_CLASS_CONTENT, FAN_CLASS_PRE_CONTENT } from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import type { GroupConnection, UnboundGroup } from '../core/process/connection.ts';
import type { GroupSettings } from '../core/types.ts';
import { type FileStatus, KernelError, linuxKernel } from '../kernel/index.ts';
import { argumentOf, descriptor, flagsWithin } from './arguments.ts';

type Group = GroupConnection | UnboundGroup;

/** What was open under a number when it was given out, beside the group. */
const groups = new Map<number, { readonly group: Group; readonly file: FileStatus }>();

/** Takes a group up. Returns its number. */
export function takeUp(group: Group): number {
  find(group.fd);
  groups.set(group.fd, { group, file: openAt(group.fd) });
  return group.fd;
}

/**
 * The group of a number.
 *
 * @throws CallError EBADF for what is not open, EINVAL for what is no group, ENOTCONN for one that is not bound yet.
 */
export function groupAt(fd: number): GroupConnection {
  const group = anyAt(fd);
  if (!isUnbound(group)) return group;
  throw new CallError('ENOTCONN', `${fd} has neither mask nor priority yet: bind() comes first, or FANOTIFY_IOC_INIT`);
}

/**
 * Makes the group of a number that has none yet.
 *
 * @param settings As of {@link settingsOf}.
 * @param flags Its class, as of {@link flagsOf}.
 * @throws CallError EINVAL for one that is bound already, and what {@link anyAt} and the core throw.
 */
export function bindAt(fd: number, settings: unknown, flags = 0): void {
  const checked = settingsOf(settings);
  const group = anyAt(fd);
  if (!isUnbound(group)) throw new CallError('EINVAL', `${fd} is bound: its mask and priority stay as they are`);
  takeUp(group.bind({ ...checked, flags }));
}

/**
 * What a group is made with, in the words of the proposal: `{ mask, priority, f_flags }`.
 *
 * @throws CallError
 */
export function settingsOf(given: unknown): Omit<GroupSettings, 'flags'> {
  const { mask, priority, f_flags } = argumentOf({ needs: ['mask', 'priority', 'f_flags'], takes: [] }, given);
  return { mask, priority, eventFlags: f_flags };
}

const CLASSES = FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT;

/**
 * The flags of a group, with its class. FAN_CLASS_CONTENT is what every group is that is not of FAN_CLASS_PRE_CONTENT.
 *
 * @param known What may be there besides a class, and what that is called.
 * @throws CallError EINVAL for unknown flags, and for two classes.
 */
export function flagsOf(flags: unknown, known: number, names: string): number {
  const given = flagsWithin(flags, 'flags', known | CLASSES, names);
  if ((given & CLASSES) === CLASSES) {
    throw new CallError('EINVAL', 'flags has two classes: give FAN_CLASS_CONTENT or FAN_CLASS_PRE_CONTENT');
  }
  return given & ~FAN_CLASS_CONTENT;
}

/** Closes the group of a number; false when it is no group's. */
export function closeAt(fd: number): boolean {
  const group = find(fd);
  groups.delete(fd);
  group?.close();
  return group !== undefined;
}

/**
 * The group of a number, bound or not.
 *
 * @throws CallError EBADF, EINVAL
 */
export function anyAt(fd: number): Group {
  const group = find(descriptor(fd, 'fd'));
  if (group) return group;
  openAt(fd);
  throw new CallError('EINVAL', `${fd} is open, but is no fanotify group`);
}

/** Whoever closes a group's number by other means, as with closeSync(), lets it go: what has it then is not the group. */
function find(fd: number): Group | undefined {
  const found = groups.get(fd);
  if (!found) return undefined;
  const now = fileAt(fd);
  if (!(now instanceof KernelError) && now.ino === found.file.ino && now.dev === found.file.dev) return found.group;
  groups.delete(fd);
  found.group.abandon();
  return undefined;
}

function openAt(fd: number): FileStatus {
  const file = fileAt(fd);
  if (!(file instanceof KernelError)) return file;
  throw new CallError(file.errno, `nothing is open under the number ${fd}`, 'fanotify', { cause: file });
}

function fileAt(fd: number): FileStatus | KernelError {
  try {
    return linuxKernel().statAt(fd, '', AT_EMPTY_PATH);
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}

function isUnbound(group: Group): group is UnboundGroup {
  return 'bind' in group;
}
