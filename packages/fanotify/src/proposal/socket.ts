// The face `fanotify/socket`: a socket protocol with bind() and options, as the proposal's author liked it best.

/**
 * `fanotify/socket`: Eric Paris's proposal of 2009 as a socket protocol: socket(), bind(), and an option for each operation.
 *
 * What came later are more options, and more words in the argument of one: no call had to be made for it. Its numbers are those of
 * `fanotify/syscalls`: a number of one is a number of the other. docs/proposal.md has the whole of it.
 *
 * @module socket
 */

import { FAN_CLOEXEC, FAN_NONBLOCK } from '../abi/index.ts';
import { CallError, named } from '../core/errors.ts';
import { openUnbound } from '../core/process/connection.ts';
import type { GroupStatistics } from '../core/types.ts';
import { argumentOf, described } from './arguments.ts';
import { anyAt, bindAt, flagsOf, groupAt, takeUp } from './groups.ts';
import {
  type IgnoredFilesystem,
  type IgnoredType,
  type MarkByDescriptor,
  type MarkByPath,
  OPERATIONS,
  type Operation,
  type PermissionResponse,
  perform,
  type ResponseTimeout,
  type SubtreeMark,
  type UnmarkByDescriptor,
  type UnmarkByPath,
} from './operations.ts';

export { CallError } from '../core/errors.ts';
export type { CoreEvent, GroupStatistics } from '../core/types.ts';
export { close, POLLHUP, POLLIN, POLLNVAL, poll, read } from './descriptors.ts';
export { FAN_MARK_SUBTREE } from './mark-target.ts';
export type {
  IgnoredFilesystem,
  IgnoredType,
  MarkByDescriptor,
  MarkByPath,
  PermissionResponse,
  ResponseTimeout,
  SubtreeMark,
  UnmarkByDescriptor,
  UnmarkByPath,
} from './operations.ts';

/** The domain of {@link socket}. The number of the proposal's time, which another protocol has by now. */
export const PF_FANOTIFY = 37;
/** The family of {@link bind}. */
export const AF_FANOTIFY = PF_FANOTIFY;
/** The level of {@link setsockopt} and {@link getsockopt}. */
export const SOL_FANOTIFY = 278;
/** The type of {@link socket}. */
export const SOCK_RAW = 3;
/** With a type: {@link read} fails with EAGAIN rather than wait. */
export const SOCK_NONBLOCK = 0o4000;
/** With a type: the number is closed by execve(2). */
export const SOCK_CLOEXEC = 0o200_0000;

// The eight options of the proposal.
/** Marks what is at a path, or adds to its mark: {@link MarkByPath}. */
export const FANOTIFY_ADD_MARK = 1;
/** Marks what a descriptor is open on, or adds to its mark: {@link MarkByDescriptor}. */
export const FANOTIFY_ADD_MARK_FD = 2;
/** Takes bits out of the mark of what is at a path: {@link UnmarkByPath}. */
export const FANOTIFY_RM_MARK = 3;
/** Takes bits out of the mark of what a descriptor is open on: {@link UnmarkByDescriptor}. */
export const FANOTIFY_RM_MARK_FD = 4;
/** Takes back all marks: an empty object. */
export const FANOTIFY_CLEAR_MARKS = 5;
/** Lets an access go on, or fail: {@link PermissionResponse}. */
export const FANOTIFY_PERM_RESPONSE = 6;
/** Leaves out file systems of a type: {@link IgnoredType}. */
export const FANOTIFY_IGNORE_SB = 7;
/** Leaves out a file system: {@link IgnoredFilesystem}. */
export const FANOTIFY_IGNORE_FSID = 8;
// What came later.
/** Marks a directory with all that is below: {@link SubtreeMark}. {@link FANOTIFY_RM_MARK} with FAN_MARK_SUBTREE takes it back. */
export const FANOTIFY_ADD_SUBTREE = 9;
/** For how long an access waits, and what it gets then: {@link ResponseTimeout}. */
export const FANOTIFY_TIMEOUT = 10;
/** To be asked for: {@link GroupStatistics}. */
export const FANOTIFY_STATISTICS = 11;
/** To be asked for, of any socket: which options there are, as {@link SocketOption}s. */
export const FANOTIFY_OPTIONS = 12;

const SOCK_TYPE = 0xf;
const ADDRESS = { needs: ['family', 'mask', 'priority', 'f_flags'], takes: ['flags'] } as const;

/** What {@link bind} takes: the proposal's `struct fanotify_addr`. */
export interface FanotifyAddress {
  /** AF_FANOTIFY. */
  readonly family: number;
  /** What is heard everywhere: event bits of `fanotify/abi`; 0n for a directed listener. */
  readonly mask: bigint;
  /** From 0 to 4,294,967,295. The higher is asked first. */
  readonly priority: number;
  /** How the descriptor that comes with each event is opened, as O_RDONLY | O_LARGEFILE | O_CLOEXEC. */
  readonly f_flags: number;
  /** FAN_CLASS_PRE_CONTENT for who fills files when they are first accessed (FAN_PRE_ACCESS, since Linux 6.14): a word that came later. */
  readonly flags?: number;
}

/** What {@link setsockopt} takes, by option. */
export interface OptionValues {
  readonly [FANOTIFY_ADD_MARK]: MarkByPath;
  readonly [FANOTIFY_ADD_MARK_FD]: MarkByDescriptor;
  readonly [FANOTIFY_RM_MARK]: UnmarkByPath;
  readonly [FANOTIFY_RM_MARK_FD]: UnmarkByDescriptor;
  readonly [FANOTIFY_CLEAR_MARKS]: Readonly<Record<string, never>>;
  readonly [FANOTIFY_PERM_RESPONSE]: PermissionResponse;
  readonly [FANOTIFY_IGNORE_SB]: IgnoredType;
  readonly [FANOTIFY_IGNORE_FSID]: IgnoredFilesystem;
  readonly [FANOTIFY_ADD_SUBTREE]: SubtreeMark;
  readonly [FANOTIFY_TIMEOUT]: ResponseTimeout;
}

/** An option that there is. */
export interface SocketOption {
  readonly option: number;
  /** As it is exported here: 'FANOTIFY_ADD_MARK'. */
  readonly name: string;
}

/** What {@link getsockopt} answers, by option. */
export interface OptionAnswers {
  readonly [FANOTIFY_STATISTICS]: GroupStatistics;
  readonly [FANOTIFY_OPTIONS]: readonly SocketOption[];
}

const SET: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [FANOTIFY_ADD_MARK, OPERATIONS.addMark],
  [FANOTIFY_ADD_MARK_FD, OPERATIONS.addMarkFd],
  [FANOTIFY_RM_MARK, OPERATIONS.rmMark],
  [FANOTIFY_RM_MARK_FD, OPERATIONS.rmMarkFd],
  [FANOTIFY_CLEAR_MARKS, OPERATIONS.clearMarks],
  [FANOTIFY_PERM_RESPONSE, OPERATIONS.permResponse],
  [FANOTIFY_IGNORE_SB, OPERATIONS.ignoreSb],
  [FANOTIFY_IGNORE_FSID, OPERATIONS.ignoreFsid],
  [FANOTIFY_ADD_SUBTREE, OPERATIONS.addSubtree],
  [FANOTIFY_TIMEOUT, OPERATIONS.timeout],
]);

const OPTIONS: readonly SocketOption[] = [
  ...[...SET].map(([option, { name }]) => ({ option, name: `FANOTIFY_${name}` })),
  { option: FANOTIFY_STATISTICS, name: 'FANOTIFY_STATISTICS' },
  { option: FANOTIFY_OPTIONS, name: 'FANOTIFY_OPTIONS' },
];

/** How each option is asked for. */
const ASKED: { readonly [O in keyof OptionAnswers]: (fd: number) => OptionAnswers[O] } = {
  [FANOTIFY_STATISTICS]: (fd) => groupAt(fd).statistics(),
  [FANOTIFY_OPTIONS]: (fd) => {
    anyAt(fd);
    return OPTIONS;
  },
};

/**
 * Makes a socket: the number of a group, which hears and decides nothing before {@link bind}.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN). The form is that of fanotify's patches of 2009, of which the proposal says: "I like
 * this interface".
 *
 * @param domain PF_FANOTIFY.
 * @param type SOCK_RAW, with SOCK_NONBLOCK and SOCK_CLOEXEC.
 * @param protocol 0.
 * @returns A descriptor: it can be polled at once, and tells nothing before bind.
 * @throws CallError EAFNOSUPPORT, ESOCKTNOSUPPORT and EPROTONOSUPPORT for another domain, type and protocol. EINVAL for flags that are none.
 * EPERM without privilege. EMFILE when there are too many groups or descriptors.
 * @example
 * import { close, FANOTIFY_CLEAR_MARKS, PF_FANOTIFY, setsockopt, SOCK_RAW, socket, SOL_FANOTIFY } from 'fanotify/socket';
 * const group = socket(PF_FANOTIFY, SOCK_RAW, 0);
 * try {
 *   setsockopt(group, SOL_FANOTIFY, FANOTIFY_CLEAR_MARKS, {});
 * } catch (error) {
 *   console.log(error.code); // ENOTCONN
 * }
 * close(group);
 */
export function socket(domain: number, type: number, protocol: number): number {
  return named('socket', () => {
    if (domain !== PF_FANOTIFY) {
      throw new CallError('EAFNOSUPPORT', `the domain is ${described(domain)}: give PF_FANOTIFY (${PF_FANOTIFY})`);
    }
    if (!Number.isInteger(type) || (type & SOCK_TYPE) !== SOCK_RAW) {
      throw new CallError('ESOCKTNOSUPPORT', `the type is ${described(type)}: give SOCK_RAW (${SOCK_RAW})`);
    }
    const unknown = (type & ~(SOCK_TYPE | SOCK_NONBLOCK | SOCK_CLOEXEC)) >>> 0;
    if (unknown !== 0) {
      const bits = `0x${unknown.toString(16)}`;
      throw new CallError(
        'EINVAL',
        `the type has ${bits}, which is no flag here: it takes SOCK_NONBLOCK and SOCK_CLOEXEC`,
      );
    }
    if (protocol !== 0) throw new CallError('EPROTONOSUPPORT', `the protocol is ${described(protocol)}: give 0`);
    return takeUp(openUnbound((type & SOCK_NONBLOCK && FAN_NONBLOCK) | (type & SOCK_CLOEXEC && FAN_CLOEXEC)));
  });
}

/**
 * Makes the group of a socket: what it hears everywhere, and when it is asked. Once, for good.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fd The socket.
 * @param address What the group is made with.
 * @throws CallError EINVAL for a socket that is bound already, for a mask that is no bigint of 64 bits or has bits that no descriptor comes
 * with, for a priority out of range, for words that are missing or not known, and for permission bits with an `f_flags` that writes.
 * EAFNOSUPPORT for another family. EFAULT for what is no object. EBADF when nothing is open under that number, EINVAL when it is no group's.
 * @example
 * import { FAN_CLOSE_WRITE, O_CLOEXEC } from 'fanotify/abi';
 * import { AF_FANOTIFY, bind, close, FANOTIFY_IGNORE_SB, PF_FANOTIFY, setsockopt, SOCK_RAW, socket, SOL_FANOTIFY } from 'fanotify/socket';
 * const group = socket(PF_FANOTIFY, SOCK_RAW, 0);
 * const address = { family: AF_FANOTIFY, mask: FAN_CLOSE_WRITE, priority: 10, f_flags: O_CLOEXEC };
 * bind(group, address);
 * setsockopt(group, SOL_FANOTIFY, FANOTIFY_IGNORE_SB, { f_type: 0x9fa0 });
 * try {
 *   bind(group, address);
 * } catch (error) {
 *   console.log(error.syscall, error.code); // bind EINVAL
 * }
 * close(group);
 */
export function bind(fd: number, address: FanotifyAddress): void {
  named('bind', () => {
    // Whatever else is wrong with an address of another family, it is not ours to say.
    if (typeof address === 'object' && address !== null && address.family !== AF_FANOTIFY) {
      const told = described(address.family);
      throw new CallError('EAFNOSUPPORT', `the family is ${told}: give AF_FANOTIFY (${AF_FANOTIFY})`);
    }
    const { mask, priority, f_flags, flags = 0 } = argumentOf(ADDRESS, address);
    bindAt(fd, { mask, priority, f_flags }, flagsOf(flags, 0, 'a class, as FAN_CLASS_PRE_CONTENT'));
  });
}

/**
 * Does something with a group: one option for each operation, with an object in the proposal's words as its value.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fd The socket, after {@link bind}; any group's number will do.
 * @param level SOL_FANOTIFY.
 * @param option FANOTIFY_ADD_MARK and the like.
 * @param value What {@link OptionValues} says.
 * @throws CallError ENOPROTOOPT for another level, and for an option that there is not or that is only to be asked for. EINVAL for a word
 * that is missing, not known, or not what it should be; EFAULT for a value that is no object. ENOTCONN before bind(). EBADF when nothing is
 * open under that number, EINVAL when it is no group's. And what the call of that name in `fanotify/syscalls` throws.
 * @example
 * import { FAN_CLOSE_WRITE, O_CLOEXEC } from 'fanotify/abi';
 * import {
 *   AF_FANOTIFY, bind, close, FANOTIFY_ADD_SUBTREE, PF_FANOTIFY, read, setsockopt, SOCK_RAW, socket, SOL_FANOTIFY,
 * } from 'fanotify/socket';
 * import { mkdirSync, mkdtempSync, readlinkSync, writeFileSync } from 'node:fs';
 * const path = mkdtempSync('/tmp/subtree-');
 * const group = socket(PF_FANOTIFY, SOCK_RAW, 0);
 * bind(group, { family: AF_FANOTIFY, mask: 0n, priority: 0, f_flags: O_CLOEXEC });
 * setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_SUBTREE, { path, mask: FAN_CLOSE_WRITE, ignored_mask: 0n });
 * mkdirSync(`${path}/a/b`, { recursive: true });
 * writeFileSync(`${path}/a/b/letter`, 'Dear Sir');
 * const [event] = read(group);
 * console.log(readlinkSync(`/proc/self/fd/${event.fd}`) === `${path}/a/b/letter`); // true
 * close(event.fd);
 * close(group);
 */
export function setsockopt<Option extends keyof OptionValues>(
  fd: number,
  level: typeof SOL_FANOTIFY,
  option: Option,
  value: OptionValues[Option],
): void {
  named('setsockopt', () => {
    checkLevel(level);
    const operation = SET.get(option);
    if (!operation) throw new CallError('ENOPROTOOPT', isAsked(option) ? askOnly(option) : noOption(option));
    perform(operation, fd, value);
  });
}

/**
 * Asks something of a group: what has become of it so far, or which options there are.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fd The socket, or any group's number; after {@link bind}, but for FANOTIFY_OPTIONS.
 * @param level SOL_FANOTIFY.
 * @param option FANOTIFY_STATISTICS or FANOTIFY_OPTIONS.
 * @returns What {@link OptionAnswers} says.
 * @throws CallError ENOPROTOOPT for another level, and for an option that there is not or that is only to be set. ENOTCONN before bind().
 * EBADF when nothing is open under that number, EINVAL when it is no group's.
 * @example
 * import { close, FANOTIFY_OPTIONS, getsockopt, PF_FANOTIFY, SOCK_RAW, socket, SOL_FANOTIFY } from 'fanotify/socket';
 * const group = socket(PF_FANOTIFY, SOCK_RAW, 0);
 * const names = getsockopt(group, SOL_FANOTIFY, FANOTIFY_OPTIONS).map(({ name }) => name);
 * console.log(names.includes('FANOTIFY_ADD_SUBTREE')); // true
 * close(group);
 */
export function getsockopt<Option extends keyof OptionAnswers>(
  fd: number,
  level: typeof SOL_FANOTIFY,
  option: Option,
): OptionAnswers[Option] {
  return named('getsockopt', () => {
    checkLevel(level);
    if (!isAsked(option)) {
      const name = SET.get(option)?.name;
      throw new CallError('ENOPROTOOPT', name === undefined ? noOption(option) : `FANOTIFY_${name} is only to be set`);
    }
    return ASKED[option](fd) as OptionAnswers[Option];
  });
}

function checkLevel(level: unknown): void {
  if (level === SOL_FANOTIFY) return;
  throw new CallError('ENOPROTOOPT', `the level is ${described(level)}: give SOL_FANOTIFY (${SOL_FANOTIFY})`);
}

function isAsked(option: unknown): option is keyof OptionAnswers {
  return option === FANOTIFY_STATISTICS || option === FANOTIFY_OPTIONS;
}

function askOnly(option: number): string {
  return `${OPTIONS.find((known) => known.option === option)?.name} is only to be asked for, by getsockopt()`;
}

function noOption(option: unknown): string {
  return `the option is ${described(option)}: there are 1 to ${OPTIONS.length}, and FANOTIFY_OPTIONS tells their names`;
}
