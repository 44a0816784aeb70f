// read, poll and close: what the three faces have in common with every other descriptor.

import { CallError, named } from '../core/errors.ts';
import type { CoreEvent } from '../core/types.ts';
import { KernelError, linuxKernel, type PollEntry } from '../kernel/index.ts';
import { described, descriptor } from './arguments.ts';
import { closeAt, groupAt } from './groups.ts';

/** In `events` and `revents` of {@link poll}: there is something to read. */
export const POLLIN = 0x001;
/** In `revents` of {@link poll}: the other end is gone. */
export const POLLHUP = 0x010;
/** In `revents` of {@link poll}: nothing is open under that number. */
export const POLLNVAL = 0x020;

const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Reads what has happened: read(2) of a group's number.
 *
 * It waits for the first event, and with it the whole thread, unless the group was opened with FAN_NONBLOCK. Each event has an open
 * descriptor, which is the reader's to close; no event comes of reading it. An event with a `cookie` is an access that is held until
 * {@link fanotify_perm_response} or its deadline.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN), as for every group.
 *
 * @param fd The group's number.
 * @returns One or more events, in their order.
 * @throws CallError EAGAIN when nothing has happened and the group has FAN_NONBLOCK. EBADF when nothing is open under that number, EINVAL
 * when it is no group's. ENOTCONN before bind().
 * @example
 * import { FAN_CLOSE_WRITE, FAN_NONBLOCK, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark, fanotify_init, POLLIN, poll, read } from 'fanotify/syscalls';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * const file = `${mkdtempSync('/tmp/read-')}/letter`;
 * writeFileSync(file, '');
 * const group = fanotify_init(FAN_NONBLOCK, O_CLOEXEC, 0n, 0);
 * fanotify_add_mark(group, file, FAN_CLOSE_WRITE, 0n);
 * try {
 *   read(group);
 * } catch (error) {
 *   console.log(error.code); // EAGAIN
 * }
 * writeFileSync(file, 'Dear Sir');
 * poll([{ fd: group, events: POLLIN, revents: 0 }], 5_000);
 * for (const { mask, pid, cookie, fd } of read(group)) {
 *   console.log(mask === FAN_CLOSE_WRITE, pid === process.pid, cookie); // true true 0n
 *   close(fd);
 * }
 * close(group);
 */
export function read(fd: number): CoreEvent[] {
  return named('read', () => groupAt(fd).read());
}

/**
 * Waits until there is something to read: poll(2), of groups and of other descriptors.
 *
 * It waits with the whole thread: nothing of this program runs meanwhile. A program with other things to do polls with 0, or only when it
 * is told that something is readable.
 *
 * Privilege: root (CAP_SYS_ADMIN) for a group; none for other descriptors.
 *
 * @param entries What to wait for; `revents` of each is written. {@link POLLIN} is told of a group when it has events. Before bind() it
 * has none.
 * @param timeoutMs For how long, in milliseconds; 0 not at all, -1 without end.
 * @returns How many entries have `revents`; 0 when the time is up.
 * @throws CallError EFAULT when `entries` is no list of entries, EINVAL for a time that is none.
 * @example
 * import { FAN_ONDIR, FAN_OPEN, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark, fanotify_init, POLLIN, poll } from 'fanotify/syscalls';
 * import { mkdtempSync, readdirSync } from 'node:fs';
 * const directory = mkdtempSync('/tmp/poll-');
 * const entry = { fd: fanotify_init(0, O_CLOEXEC, 0n, 0), events: POLLIN, revents: 0 };
 * fanotify_add_mark(entry.fd, directory, FAN_OPEN | FAN_ONDIR, 0n);
 * console.log(poll([entry], 0), entry.revents); // 0 0
 * readdirSync(directory);
 * console.log(poll([entry], 5_000), entry.revents === POLLIN); // 1 true
 * close(entry.fd);
 */
export function poll(entries: PollEntry[], timeoutMs: number): number {
  return named('poll', () => {
    if (!Array.isArray(entries) || !entries.every(isEntry)) {
      throw new CallError('EFAULT', 'entries is no list of { fd, events, revents }, each a whole number');
    }
    if (!Number.isInteger(timeoutMs) || timeoutMs < -1 || timeoutMs > MAX_TIMEOUT_MS) {
      const range = `milliseconds from 0 to ${MAX_TIMEOUT_MS}, or -1 for no end`;
      throw new CallError('EINVAL', `timeoutMs is ${described(timeoutMs)}: give ${range}`);
    }
    return asCall(() => linuxKernel().poll(entries, timeoutMs), 'it cannot be waited for');
  });
}

/**
 * Closes a group, or any other descriptor, such as that of an event: close(2).
 *
 * Accesses that wait for the group get what its timeout says; without one, they are let in. Its marks go with it.
 *
 * Privilege: root (CAP_SYS_ADMIN) for a group; none for other descriptors.
 *
 * @param fd The number.
 * @throws CallError EBADF when nothing is open under that number.
 * @example
 * import { O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_init } from 'fanotify/syscalls';
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * close(group);
 * try {
 *   close(group);
 * } catch (error) {
 *   console.log(error.syscall, error.code); // close EBADF
 * }
 */
export function close(fd: number): void {
  named('close', () => {
    if (closeAt(descriptor(fd, 'fd'))) return;
    asCall(() => linuxKernel().close(fd), `nothing is open under the number ${fd}`);
  });
}

function isEntry(entry: unknown): boolean {
  if (typeof entry !== 'object' || entry === null) return false;
  const { fd, events } = entry as Partial<PollEntry>;
  return Number.isInteger(fd) && Number.isInteger(events);
}

function asCall<T>(call: () => T, reason: string): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new CallError(error.errno, reason, error.syscall, { cause: error });
  }
}
