// The face `fanotify/device`: a device with requests, as fanotify was at first. It stays as small as it was.

/**
 * `fanotify/device`: what Eric Paris's proposal of 2009 calls "basically a /dev interface using ioctls()": open(), and a request for each
 * operation.
 *
 * A request's number has the size of its argument in it, so that an argument cannot grow: what came later has neither request nor word
 * here. Its numbers are those of `fanotify/syscalls`. docs/proposal.md has the whole of it.
 *
 * @module device
 */

import { FAN_CLOEXEC, FAN_NONBLOCK, O_CLOEXEC, O_NONBLOCK, O_RDWR } from '../abi/index.ts';
import { CallError, named } from '../core/errors.ts';
import { openUnbound } from '../core/process/connection.ts';
import type { KernelPath } from '../kernel/index.ts';
import { described, flagsWithin, pathText } from './arguments.ts';
import { bindAt, takeUp } from './groups.ts';
import {
  type IgnoredFilesystem,
  type IgnoredType,
  type MarkByDescriptor,
  type MarkByPath,
  OPERATIONS,
  type Operation,
  type PermissionResponse,
  perform,
} from './operations.ts';

export { CallError } from '../core/errors.ts';
export type { CoreEvent } from '../core/types.ts';
export { close, POLLHUP, POLLIN, POLLNVAL, poll, read } from './descriptors.ts';
export type {
  IgnoredFilesystem,
  IgnoredType,
  MarkByDescriptor,
  MarkByPath,
  PermissionResponse,
} from './operations.ts';

const DEVICE = '/dev/fanotify';

// asm-generic/ioctl.h: _IOW('F', number, size). 64-bit members are aligned to 8 bytes, a path is a pointer.
/** Makes the group: {@link GroupInit}. _IOW('F', 0, 16). */
export const FANOTIFY_IOC_INIT = 0x4010_4600;
/** Marks what is at a path, or adds to its mark. _IOW('F', 1, 24). */
export const FANOTIFY_IOC_ADD_MARK = 0x4018_4601;
/** Marks what a descriptor is open on, or adds to its mark. _IOW('F', 2, 24). */
export const FANOTIFY_IOC_ADD_MARK_FD = 0x4018_4602;
/** Takes bits out of both masks of the mark of what is at a path. _IOW('F', 3, 16). */
export const FANOTIFY_IOC_RM_MARK = 0x4010_4603;
/** Takes bits out of both masks of the mark of what a descriptor is open on. _IOW('F', 4, 16). */
export const FANOTIFY_IOC_RM_MARK_FD = 0x4010_4604;
/** Takes back all marks. _IO('F', 5). */
export const FANOTIFY_IOC_CLEAR_MARKS = 0x0000_4605;
/** Lets an access go on, or fail: {@link PermissionResponse}. _IOW('F', 6, 16). */
export const FANOTIFY_IOC_PERM_RESPONSE = 0x4010_4606;
/** Leaves out file systems of a type: {@link IgnoredType}. _IOW('F', 7, 8). */
export const FANOTIFY_IOC_IGNORE_SB = 0x4008_4607;
/** Leaves out a file system: {@link IgnoredFilesystem}. _IOW('F', 8, 8). */
export const FANOTIFY_IOC_IGNORE_FSID = 0x4008_4608;

/** What a group is made with. */
export interface GroupInit {
  /** What is heard everywhere: event bits of `fanotify/abi`; 0n for a directed listener. */
  readonly mask: bigint;
  /** From 0 to 4,294,967,295. The higher is asked first. */
  readonly priority: number;
  /** How the descriptor that comes with each event is opened, as O_RDONLY | O_LARGEFILE | O_CLOEXEC. */
  readonly f_flags: number;
}

/** What {@link ioctl} takes, by request. */
export interface RequestArguments {
  readonly [FANOTIFY_IOC_INIT]: GroupInit;
  readonly [FANOTIFY_IOC_ADD_MARK]: Omit<MarkByPath, 'flags'>;
  readonly [FANOTIFY_IOC_ADD_MARK_FD]: Omit<MarkByDescriptor, 'flags'>;
  readonly [FANOTIFY_IOC_RM_MARK]: Pick<MarkByPath, 'path' | 'mask'>;
  readonly [FANOTIFY_IOC_RM_MARK_FD]: Pick<MarkByDescriptor, 'fd' | 'mask'>;
  readonly [FANOTIFY_IOC_CLEAR_MARKS]: Readonly<Record<string, never>>;
  readonly [FANOTIFY_IOC_PERM_RESPONSE]: PermissionResponse;
  readonly [FANOTIFY_IOC_IGNORE_SB]: IgnoredType;
  readonly [FANOTIFY_IOC_IGNORE_FSID]: IgnoredFilesystem;
}

const REQUESTS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [FANOTIFY_IOC_ADD_MARK, OPERATIONS.addMark],
  [FANOTIFY_IOC_ADD_MARK_FD, OPERATIONS.addMarkFd],
  [FANOTIFY_IOC_RM_MARK, OPERATIONS.rmMark],
  [FANOTIFY_IOC_RM_MARK_FD, OPERATIONS.rmMarkFd],
  [FANOTIFY_IOC_CLEAR_MARKS, OPERATIONS.clearMarks],
  [FANOTIFY_IOC_PERM_RESPONSE, OPERATIONS.permResponse],
  [FANOTIFY_IOC_IGNORE_SB, OPERATIONS.ignoreSb],
  [FANOTIFY_IOC_IGNORE_FSID, OPERATIONS.ignoreFsid],
]);

/**
 * Opens the device: the number of a group, which hears and decides nothing before FANOTIFY_IOC_INIT. Nothing has to be at that path.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN). The form is fanotify's first, of which the proposal says that setsockopt() "is light
 * years better".
 *
 * @param path '/dev/fanotify'.
 * @param flags O_RDWR, with O_NONBLOCK and O_CLOEXEC.
 * @returns A descriptor: it can be polled at once, and tells nothing before FANOTIFY_IOC_INIT.
 * @throws CallError ENOENT for another path, EFAULT for what is none. EINVAL for other flags. EPERM without privilege. EMFILE when there are
 * too many groups or descriptors.
 * @example
 * import { O_CLOEXEC, O_RDWR } from 'fanotify/abi';
 * import { close, open } from 'fanotify/device';
 * close(open('/dev/fanotify', O_RDWR | O_CLOEXEC));
 * try {
 *   open('/dev/inotify', O_RDWR);
 * } catch (error) {
 *   console.log(error.code); // ENOENT
 * }
 */
export function open(path: KernelPath, flags: number): number {
  return named('open', () => {
    const name = pathText(path);
    if (name !== DEVICE) {
      throw new CallError(
        'ENOENT',
        `${JSON.stringify(name)} is not opened here: the device is ${JSON.stringify(DEVICE)}`,
      );
    }
    flagsWithin(flags, 'flags', O_RDWR | O_NONBLOCK | O_CLOEXEC, 'O_RDWR, O_NONBLOCK and O_CLOEXEC');
    if ((flags & O_RDWR) === 0)
      throw new CallError('EINVAL', 'flags lacks O_RDWR: events are read, and responses written');
    return takeUp(openUnbound((flags & O_NONBLOCK && FAN_NONBLOCK) | (flags & O_CLOEXEC && FAN_CLOEXEC)));
  });
}

/**
 * Does something with a group: one request for each operation, with an object in the proposal's words for its structure.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fd The device; any group's number will do.
 * @param request FANOTIFY_IOC_INIT first, once; then the others.
 * @param argument What {@link RequestArguments} says.
 * @throws CallError ENOTTY for a request that there is not. EINVAL for a second FANOTIFY_IOC_INIT, and for a word that is missing, not known,
 * or not what it should be; EFAULT for an argument that is no object. ENOTCONN before FANOTIFY_IOC_INIT. EBADF when nothing is open under
 * that number, EINVAL when it is no group's. And what the call of that name in `fanotify/syscalls` throws.
 * @example
 * import { FAN_CLOSE_WRITE, O_CLOEXEC, O_RDWR } from 'fanotify/abi';
 * import { close, FANOTIFY_IOC_ADD_MARK, FANOTIFY_IOC_INIT, ioctl, open, read } from 'fanotify/device';
 * import { mkdtempSync, readlinkSync, writeFileSync } from 'node:fs';
 * const path = `${mkdtempSync('/tmp/device-')}/letter`;
 * writeFileSync(path, '');
 * const group = open('/dev/fanotify', O_RDWR | O_CLOEXEC);
 * ioctl(group, FANOTIFY_IOC_INIT, { mask: 0n, priority: 0, f_flags: O_CLOEXEC });
 * ioctl(group, FANOTIFY_IOC_ADD_MARK, { path, mask: FAN_CLOSE_WRITE, ignored_mask: 0n });
 * writeFileSync(path, 'Dear Sir');
 * const [event] = read(group);
 * console.log(readlinkSync(`/proc/self/fd/${event.fd}`) === path); // true
 * close(event.fd);
 * close(group);
 */
export function ioctl<Request extends keyof RequestArguments>(
  fd: number,
  request: Request,
  argument: RequestArguments[Request],
): void {
  named('ioctl', () => {
    if (request === FANOTIFY_IOC_INIT) return bindAt(fd, argument);
    const operation = REQUESTS.get(request);
    if (operation) return perform(operation, fd, argument, 'first');
    const told = Number.isInteger(request) ? `0x${request.toString(16)}` : described(request);
    throw new CallError('ENOTTY', `the request is ${told}, which is none: they are FANOTIFY_IOC_INIT and the like`);
  });
}
