// What can be done with a group: one table, of which the nine calls, the eight options and the requests of the device are three readings.

import { FAN_ALLOW } from '../abi/index.ts';
import type { GroupConnection } from '../core/process/connection.ts';
import type { KernelPath } from '../kernel/index.ts';
import { argumentOf, type Shaped, type Word } from './arguments.ts';
import { groupAt } from './groups.ts';
import { atDescriptor, atPath, FAN_MARK_SUBTREE, mannerOf } from './mark-target.ts';

/** A mark on what is at a path. */
export interface MarkByPath {
  /** Bytes, or text that is encoded as UTF-8. */
  readonly path: KernelPath;
  /** Event bits of `fanotify/abi` to hear. */
  readonly mask: bigint;
  /** Event bits not to hear, though another mark or the init mask would tell them. */
  readonly ignored_mask: bigint;
  /** The scope FAN_MARK_FILESYSTEM or FAN_MARK_SUBTREE, FAN_MARK_IGNORED_SURV_MODIFY, FAN_MARK_DONT_FOLLOW, FAN_MARK_ONLYDIR. */
  readonly flags?: number;
}

/** A mark on what a descriptor is open on. */
export interface MarkByDescriptor extends Omit<MarkByPath, 'path'> {
  /** A descriptor; one of O_PATH will do. */
  readonly fd: number;
}

/** What is taken out of the mark of what is at a path. */
export interface UnmarkByPath {
  /** Bytes, or text that is encoded as UTF-8. */
  readonly path: KernelPath;
  /** Event bits that are heard no more. */
  readonly mask: bigint;
  /** Event bits that are ignored no more; left out, those of `mask`. */
  readonly ignored_mask?: bigint;
  /** The scope of the mark, FAN_MARK_DONT_FOLLOW, FAN_MARK_ONLYDIR. */
  readonly flags?: number;
}

/** What is taken out of the mark of what a descriptor is open on. */
export interface UnmarkByDescriptor extends Omit<UnmarkByPath, 'path'> {
  /** A descriptor; one of O_PATH will do. */
  readonly fd: number;
}

/** A mark on a directory with all that is below. */
export interface SubtreeMark extends Omit<MarkByPath, 'flags'> {}

/** The response to an access that is held. */
export interface PermissionResponse {
  /** That of the event. */
  readonly cookie: bigint;
  /** FAN_ALLOW or FAN_DENY. */
  readonly response: number;
}

/** A type of file systems that a global listener does not hear. */
export interface IgnoredType {
  /** `f_type` of statfs(2). */
  readonly f_type: number;
}

/** A file system that a global listener does not hear. */
export interface IgnoredFilesystem {
  /** `f_fsid` of statfs(2): two 32-bit numbers. */
  readonly fsid: readonly [number, number];
}

/** For how long an access waits for a response, and what it gets then. */
export interface ResponseTimeout {
  /** From 1 to 3,600,000 milliseconds. */
  readonly ms: number;
  /** FAN_ALLOW or FAN_DENY. */
  readonly response: number;
}

/** Something that can be done with a group. */
export interface Operation {
  /** What it is called after FANOTIFY_ and FANOTIFY_IOC_. */
  readonly name: string;
  /** Looks at the argument, as it is now or as it was at first. Returns what does it. */
  readonly prepare: (argument: unknown, words: Age) => (group: GroupConnection) => void;
}

/** Arguments have grown: 'first' are the proposal's words alone, 'all' those that came later too. */
export type Age = 'first' | 'all';

// What these arguments have grown by.
const MARK_WORDS = ['flags'] as const;
const UNMARK_WORDS = ['ignored_mask', 'flags'] as const;

/** Everything that can be done with a group. */
export const OPERATIONS = {
  addMark: operation('ADD_MARK', ['path', 'mask', 'ignored_mask'], MARK_WORDS, (argument) => {
    const { change, manner } = addition(argument);
    return (group) => atPath(argument.path, manner, (target) => group.addMark(target, change));
  }),
  addMarkFd: operation('ADD_MARK_FD', ['fd', 'mask', 'ignored_mask'], MARK_WORDS, (argument) => {
    const { change, manner } = addition(argument);
    return (group) => atDescriptor(argument.fd, manner, (target) => group.addMark(target, change));
  }),
  rmMark: operation('RM_MARK', ['path', 'mask'], UNMARK_WORDS, (argument) => {
    const { change, manner } = removal(argument);
    return (group) => atPath(argument.path, manner, (target) => group.removeMark(target, change));
  }),
  rmMarkFd: operation('RM_MARK_FD', ['fd', 'mask'], UNMARK_WORDS, (argument) => {
    const { change, manner } = removal(argument);
    return (group) => atDescriptor(argument.fd, manner, (target) => group.removeMark(target, change));
  }),
  clearMarks: operation('CLEAR_MARKS', [], [], () => (group) => group.clearMarks()),
  permResponse: operation('PERM_RESPONSE', ['cookie', 'response'], [], ({ cookie, response }) => (group) => {
    group.respond(cookie, response);
  }),
  ignoreSb: operation(
    'IGNORE_SB',
    ['f_type'],
    [],
    ({ f_type }) =>
      (group) =>
        group.ignoreType(f_type),
  ),
  ignoreFsid: operation(
    'IGNORE_FSID',
    ['fsid'],
    [],
    ({ fsid }) =>
      (group) =>
        group.ignoreFsid(fsid),
  ),
  // What came later. No call had to be made for it, and no argument of another changed.
  addSubtree: operation('ADD_SUBTREE', ['path', 'mask', 'ignored_mask'], [], (argument) => {
    const { change, manner } = addition({ ...argument, flags: FAN_MARK_SUBTREE });
    return (group) => atPath(argument.path, manner, (target) => group.addMark(target, change));
  }),
  timeout: operation('TIMEOUT', ['ms', 'response'], [], ({ ms, response }) => (group) => {
    group.setTimeout(ms, response === FAN_ALLOW ? 'allow' : 'deny');
  }),
} as const;

/**
 * Does it. The argument is looked at first, then the number, and then what the argument names.
 *
 * @throws CallError
 */
export function perform({ prepare }: Operation, fd: number, argument: unknown, words: Age = 'all'): void {
  const act = prepare(argument, words);
  act(groupAt(fd));
}

function operation<Needed extends Word = never, Taken extends Word = never>(
  name: string,
  needs: readonly Needed[],
  takes: readonly Taken[],
  prepare: (argument: Shaped<Needed, Taken>) => (group: GroupConnection) => void,
): Operation {
  return {
    name,
    prepare: (argument, words) => {
      const later = words === 'all' ? takes : [];
      return prepare(argumentOf({ needs, takes: later }, argument) as Shaped<Needed, Taken>);
    },
  };
}

function addition({
  mask,
  ignored_mask,
  flags = 0,
}: {
  mask: bigint;
  ignored_mask: bigint;
  flags: number | undefined;
}) {
  const manner = mannerOf(flags);
  const { scope, survivesModify } = manner;
  return { manner, change: { scope, mask, ignored: ignored_mask, survivesModify } };
}

/** The proposal's call has one mask, and clears it from both. */
function removal(argument: { mask: bigint; ignored_mask: bigint | undefined; flags: number | undefined }) {
  const { mask, ignored_mask = mask, flags = 0 } = argument;
  const manner = mannerOf(flags);
  return { manner, change: { scope: manner.scope, mask, ignored: ignored_mask } };
}
