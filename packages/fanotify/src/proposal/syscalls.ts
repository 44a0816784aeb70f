// The face `fanotify/syscalls`: the calls of the proposal, by its names and with its arguments in its order.

/**
 * `fanotify/syscalls`: the nine calls of Eric Paris's proposal of 2009, and the two that four of them could be squashed into.
 *
 * Masks and cookies are `bigint`, since they have 64 bits; a path is text or bytes; an `fsid_t` is a pair of 32-bit numbers. Where the
 * proposal returns -1 and errno, a CallError is thrown, with the errno's name as its `code`. All calls are synchronous. docs/proposal.md
 * has the whole of it.
 *
 * Accesses by the listener's own process are told, and never held. Since the calls block the thread, an access that is held must be made by
 * another process, and nobody may wait for it synchronously.
 *
 * Behind all groups of this process is one process more, the core. Should it end, every call fails with ECONNRESET; should it be stopped, with
 * ETIMEDOUT after ten seconds.
 *
 * @module syscalls
 */

import { FAN_CLOEXEC, FAN_NONBLOCK } from '../abi/index.ts';
import { named } from '../core/errors.ts';
import { openGroup } from '../core/process/connection.ts';
import type { KernelPath } from '../kernel/index.ts';
import { bits64 } from './arguments.ts';
import { flagsOf, settingsOf, takeUp } from './groups.ts';
import { additionOf } from './mark-target.ts';
import { OPERATIONS, perform } from './operations.ts';

export { CallError } from '../core/errors.ts';
export type { CoreEvent } from '../core/types.ts';
export { close, POLLHUP, POLLIN, POLLNVAL, poll, read } from './descriptors.ts';
export { FAN_MARK_SUBTREE } from './mark-target.ts';

/**
 * Opens a group: a directed listener that hears what it marks, or with a `mask` a global one that hears it of the whole system.
 *
 * `int fanotify_init(int flags, int f_flags, __u64 mask, unsigned int priority)` of the proposal. The fanotify_init(2) that Linux has is
 * one half of it: it has no mask, and three classes in the place of priorities.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param flags FAN_CLOEXEC, FAN_NONBLOCK; FAN_CLASS_PRE_CONTENT for who fills files when they are first accessed (FAN_PRE_ACCESS, since
 * Linux 6.14). FAN_CLASS_NOTIF and FAN_CLASS_CONTENT are the same: every group may ask for permission events.
 * @param f_flags How the descriptor that comes with each event is opened: open flags such as O_RDONLY | O_LARGEFILE | O_CLOEXEC.
 * @param mask What is heard everywhere: event bits; 0n for a directed listener.
 * @param priority From 0 to 4,294,967,295. Of those who may decide on an access the higher is asked first.
 * @returns The group's number: a descriptor, for these calls, {@link read}, {@link poll} and {@link close}.
 * @throws CallError EINVAL for flags that are none, a mask that is no bigint of 64 bits or has bits that no descriptor comes with (such as
 * FAN_CREATE), a priority out of range, and permission bits with an `f_flags` that writes. EPERM without privilege. EMFILE when there are
 * too many groups or descriptors.
 * @example
 * import { FAN_CLOEXEC, FAN_CLOSE_WRITE, FAN_NOFD, FAN_NONBLOCK, O_CLOEXEC, O_LARGEFILE, O_RDONLY } from 'fanotify/abi';
 * import { close, fanotify_init, POLLIN, poll, read } from 'fanotify/syscalls';
 * import { mkdtempSync, readlinkSync, writeFileSync } from 'node:fs';
 * // Every file of this machine that was open for writing and is closed.
 * const group = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE | O_CLOEXEC, FAN_CLOSE_WRITE, 0);
 * const letter = `${mkdtempSync('/tmp/global-')}/letter`;
 * writeFileSync(letter, 'Dear Sir');
 * let isHeard = false;
 * while (!isHeard && poll([{ fd: group, events: POLLIN, revents: 0 }], 5_000) > 0) {
 *   for (const { fd } of read(group)) {
 *     if (fd === FAN_NOFD) continue;
 *     if (readlinkSync(`/proc/self/fd/${fd}`) === letter) isHeard = true;
 *     close(fd);
 *   }
 * }
 * console.log(isHeard); // true
 * close(group);
 */
export function fanotify_init(flags: number, f_flags: number, mask: bigint, priority: number): number {
  return named('fanotify_init', () => {
    const checked = flagsOf(flags, FAN_CLOEXEC | FAN_NONBLOCK, 'FAN_CLOEXEC, FAN_NONBLOCK and a class');
    const settings = settingsOf({ mask, priority, f_flags });
    return takeUp(openGroup({ ...settings, flags: checked }));
  });
}

/**
 * Marks what is at a path, or adds to its mark: `int fanotify_add_mark(int fanotify_fd, char *path, __u64 mask, __u64 ignored_mask)`.
 *
 * What is marked is the object, whatever it is called later, and of a directory also its entries with FAN_EVENT_ON_CHILD. Symbolic links
 * are followed. The path is opened in this process, with O_PATH, and closed again.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param path Text, encoded as UTF-8, or a Uint8Array of its bytes.
 * @param mask Event bits to hear, with FAN_ONDIR and FAN_EVENT_ON_CHILD.
 * @param ignored_mask Event bits not to hear of it, though another mark or the init mask would tell them; until it is modified.
 * @throws CallError EBADF when nothing is open under that number, EINVAL when it is no group's. EINVAL for a mask that is no bigint of 64
 * bits, or has bits that no descriptor comes with (such as FAN_CREATE). EFAULT for a path that is neither text nor bytes. ENOENT,
 * ENOTDIR, EACCES, ELOOP, ENAMETOOLONG as open(2). EPERM when FANOTIFY_GUARD_ONLY does not let accesses be held there.
 * @example
 * import { FAN_CLOSE_WRITE, FAN_EVENT_ON_CHILD, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark, fanotify_init, read } from 'fanotify/syscalls';
 * import { mkdtempSync, readlinkSync, writeFileSync } from 'node:fs';
 * const directory = mkdtempSync('/tmp/marked-');
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * fanotify_add_mark(group, directory, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, 0n);
 * writeFileSync(`${directory}/letter`, 'Dear Sir');
 * const [event] = read(group);
 * console.log(readlinkSync(`/proc/self/fd/${event.fd}`) === `${directory}/letter`); // true
 * close(event.fd);
 * close(group);
 */
export function fanotify_add_mark(fanotify_fd: number, path: KernelPath, mask: bigint, ignored_mask: bigint): void {
  named('fanotify_add_mark', () => perform(OPERATIONS.addMark, fanotify_fd, { path, mask, ignored_mask }));
}

/**
 * Marks what a descriptor is open on, or adds to its mark:
 * `int fanotify_add_mark_fd(int fanotify_fd, int fd, __u64 mask, __u64 ignored_mask)`.
 *
 * As {@link fanotify_add_mark}, of something that need not have a name any more. The descriptor may be closed afterwards.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param fd A descriptor of the object; one of O_PATH will do.
 * @param mask Event bits to hear, with FAN_ONDIR and FAN_EVENT_ON_CHILD.
 * @param ignored_mask Event bits not to hear of it, though another mark or the init mask would tell them; until it is modified.
 * @throws CallError EBADF when nothing is open under one of the numbers, EINVAL when `fanotify_fd` is no group's, and for a mask as in
 * {@link fanotify_add_mark}.
 * @example
 * import { FAN_MODIFY, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark_fd, fanotify_init, read } from 'fanotify/syscalls';
 * import { mkdtempSync, openSync, unlinkSync, writeSync } from 'node:fs';
 * const file = `${mkdtempSync('/tmp/marked-')}/letter`;
 * const fd = openSync(file, 'w');
 * unlinkSync(file);
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * fanotify_add_mark_fd(group, fd, FAN_MODIFY, 0n);
 * writeSync(fd, 'Dear Sir');
 * const [event] = read(group);
 * console.log(event.mask === FAN_MODIFY); // true
 * close(group);
 */
export function fanotify_add_mark_fd(fanotify_fd: number, fd: number, mask: bigint, ignored_mask: bigint): void {
  named('fanotify_add_mark_fd', () => perform(OPERATIONS.addMarkFd, fanotify_fd, { fd, mask, ignored_mask }));
}

/**
 * Takes bits out of the mark of what is at a path: `int fanotify_rm_mark(int fanotify_fd, char *path, __u64 mask)`.
 *
 * They are taken out of both masks, what is heard and what is ignored. A mark that has nothing left is gone.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param path Text, encoded as UTF-8, or a Uint8Array of its bytes.
 * @param mask The bits.
 * @throws CallError ENOENT when there is no such mark, and what {@link fanotify_add_mark} throws.
 * @example
 * import { FAN_MODIFY, FAN_OPEN, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark, fanotify_init, fanotify_rm_mark } from 'fanotify/syscalls';
 * import { mkdtempSync } from 'node:fs';
 * const directory = mkdtempSync('/tmp/marked-');
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * fanotify_add_mark(group, directory, FAN_OPEN, FAN_MODIFY);
 * fanotify_rm_mark(group, directory, FAN_OPEN | FAN_MODIFY);
 * try {
 *   fanotify_rm_mark(group, directory, FAN_OPEN);
 * } catch (error) {
 *   console.log(error.code); // ENOENT
 * }
 * close(group);
 */
export function fanotify_rm_mark(fanotify_fd: number, path: KernelPath, mask: bigint): void {
  named('fanotify_rm_mark', () => perform(OPERATIONS.rmMark, fanotify_fd, { path, mask }));
}

/**
 * Takes bits out of the mark of what a descriptor is open on: `int fanotify_rm_mark_fd(int fanotify_fd, int fd, __u64 mask)`.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param fd A descriptor of the object; one of O_PATH will do.
 * @param mask The bits, which are taken out of both masks.
 * @throws CallError ENOENT when there is no such mark, and what {@link fanotify_add_mark_fd} throws.
 * @example
 * import { FAN_OPEN, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark_fd, fanotify_init, fanotify_rm_mark_fd } from 'fanotify/syscalls';
 * import { mkdtempSync, openSync } from 'node:fs';
 * const fd = openSync(mkdtempSync('/tmp/marked-'), 'r');
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * fanotify_add_mark_fd(group, fd, FAN_OPEN, 0n);
 * fanotify_rm_mark_fd(group, fd, FAN_OPEN);
 * try {
 *   fanotify_rm_mark_fd(group, fd, FAN_OPEN);
 * } catch (error) {
 *   console.log(error.syscall, error.code); // fanotify_rm_mark_fd ENOENT
 * }
 * close(group);
 */
export function fanotify_rm_mark_fd(fanotify_fd: number, fd: number, mask: bigint): void {
  named('fanotify_rm_mark_fd', () => perform(OPERATIONS.rmMarkFd, fanotify_fd, { fd, mask }));
}

/**
 * Marks what is at a path, or takes bits out of its mark: the first of the two calls that the four "could probably be squashed into",
 * "with an extra flags field".
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param flags FAN_MARK_ADD or FAN_MARK_REMOVE; what the mark is of: the object (FAN_MARK_INODE, which is 0), everything on its file system
 * (FAN_MARK_FILESYSTEM), or a directory with all that is below (FAN_MARK_SUBTREE); FAN_MARK_IGNORED_SURV_MODIFY for ignored bits that stay
 * when the object is modified, FAN_MARK_DONT_FOLLOW for a symbolic link itself, FAN_MARK_ONLYDIR for nothing but a directory.
 * @param path Text, encoded as UTF-8, or a Uint8Array of its bytes.
 * @param mask Event bits, with FAN_ONDIR and FAN_EVENT_ON_CHILD, that are added to what is heard or taken out of it.
 * @param ignored_mask The same for what is ignored.
 * @throws CallError EINVAL for other flags: FAN_MARK_MOUNT is one, since a mount can be gone by. ENOTDIR for FAN_MARK_SUBTREE or
 * FAN_MARK_ONLYDIR of what is no directory. ENOENT when there is no mark to take bits out of. And what {@link fanotify_add_mark} throws.
 * @example
 * import { FAN_CLOSE_WRITE, FAN_MARK_ADD, O_CLOEXEC } from 'fanotify/abi';
 * import { close, FAN_MARK_SUBTREE, fanotify_init, fanotify_mark_path, read } from 'fanotify/syscalls';
 * import { mkdirSync, mkdtempSync, readlinkSync, writeFileSync } from 'node:fs';
 * const directory = mkdtempSync('/tmp/subtree-');
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_SUBTREE, directory, FAN_CLOSE_WRITE, 0n);
 * mkdirSync(`${directory}/a/b`, { recursive: true });
 * writeFileSync(`${directory}/a/b/letter`, 'Dear Sir');
 * const [event] = read(group);
 * console.log(readlinkSync(`/proc/self/fd/${event.fd}`) === `${directory}/a/b/letter`); // true
 * close(event.fd);
 * close(group);
 */
export function fanotify_mark_path(
  fanotify_fd: number,
  flags: number,
  path: KernelPath,
  mask: bigint,
  ignored_mask: bigint,
): void {
  named('fanotify_mark_path', () => {
    const { isAddition, rest } = additionOf(flags);
    const operation = isAddition ? OPERATIONS.addMark : OPERATIONS.rmMark;
    perform(operation, fanotify_fd, { path, mask, ignored_mask: bits64(ignored_mask, 'ignored_mask'), flags: rest });
  });
}

/**
 * Marks what a descriptor is open on, or takes bits out of its mark: the second of the two calls that the four "could probably be
 * squashed into".
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param flags As of {@link fanotify_mark_path}; FAN_MARK_DONT_FOLLOW makes no difference.
 * @param target_fd A descriptor of the object; one of O_PATH will do.
 * @param mask Event bits, with FAN_ONDIR and FAN_EVENT_ON_CHILD, that are added to what is heard or taken out of it.
 * @param ignored_mask The same for what is ignored.
 * @throws CallError As {@link fanotify_mark_path}, and EBADF when nothing is open under one of the numbers.
 * @example
 * import { FAN_MARK_ADD, FAN_MARK_MOUNT, FAN_OPEN, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_init, fanotify_mark_fd } from 'fanotify/syscalls';
 * import { openSync } from 'node:fs';
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * try {
 *   fanotify_mark_fd(group, FAN_MARK_ADD | FAN_MARK_MOUNT, openSync('/tmp', 'r'), FAN_OPEN, 0n);
 * } catch (error) {
 *   console.log(error.code); // EINVAL
 * }
 * close(group);
 */
export function fanotify_mark_fd(
  fanotify_fd: number,
  flags: number,
  target_fd: number,
  mask: bigint,
  ignored_mask: bigint,
): void {
  named('fanotify_mark_fd', () => {
    const { isAddition, rest } = additionOf(flags);
    const operation = isAddition ? OPERATIONS.addMarkFd : OPERATIONS.rmMarkFd;
    const ignored = bits64(ignored_mask, 'ignored_mask');
    perform(operation, fanotify_fd, { fd: target_fd, mask, ignored_mask: ignored, flags: rest });
  });
}

/**
 * Takes back all marks of a group: `int fanotify_clear_marks(int fanotify_fd)`. What a global listener hears of the whole system stays.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @throws CallError EBADF when nothing is open under that number, EINVAL when it is no group's. ENOTCONN before bind().
 * @example
 * import { FAN_OPEN, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_add_mark, fanotify_clear_marks, fanotify_init } from 'fanotify/syscalls';
 * import { FANOTIFY_STATISTICS, getsockopt, SOL_FANOTIFY } from 'fanotify/socket';
 * const group = fanotify_init(0, O_CLOEXEC, 0n, 0);
 * for (const path of ['/tmp', '/etc']) fanotify_add_mark(group, path, FAN_OPEN, 0n);
 * console.log(getsockopt(group, SOL_FANOTIFY, FANOTIFY_STATISTICS).marks); // 2
 * fanotify_clear_marks(group);
 * console.log(getsockopt(group, SOL_FANOTIFY, FANOTIFY_STATISTICS).marks); // 0
 * close(group);
 */
export function fanotify_clear_marks(fanotify_fd: number): void {
  named('fanotify_clear_marks', () => perform(OPERATIONS.clearMarks, fanotify_fd, undefined));
}

/**
 * Lets an access go on, or fail with EPERM: `int fanotify_perm_response(int fanotify_fd, __u64 cookie, int response)`.
 *
 * The access waits meanwhile, for five seconds at most, and is let in then, unless FANOTIFY_TIMEOUT of `fanotify/socket` says otherwise.
 * Responses may come in any order.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param cookie That of the event.
 * @param response FAN_ALLOW or FAN_DENY.
 * @throws CallError ENOENT for a cookie that this group was not given, or has answered, or whose time is up. EINVAL for another response,
 * and for a cookie that is no bigint. EBADF when nothing is open under that number, EINVAL when it is no group's.
 * @example
 * import { FAN_ALLOW, FAN_CLOEXEC, FAN_DENY, FAN_NONBLOCK, FAN_OPEN_PERM, O_CLOEXEC, O_RDONLY } from 'fanotify/abi';
 * import { close, fanotify_add_mark, fanotify_init, fanotify_perm_response, POLLIN, poll, read } from 'fanotify/syscalls';
 * import { FANOTIFY_TIMEOUT, setsockopt, SOL_FANOTIFY } from 'fanotify/socket';
 * import { execFile, execFileSync } from 'node:child_process';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * // A file system of our own: whatever is held is held for everybody.
 * const mount = mkdtempSync('/tmp/response-');
 * execFileSync('mount', ['-t', 'tmpfs', 'response', mount]);
 * writeFileSync(`${mount}/virus`, 'EVIL');
 *
 * const group = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC, 0n, 1);
 * setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms: 3_000, response: FAN_ALLOW });
 * fanotify_add_mark(group, `${mount}/virus`, FAN_OPEN_PERM, 0n);
 * const said = new Promise((resolve) => execFile('cat', [`${mount}/virus`], (_error, _stdout, stderr) => resolve(stderr)));
 * poll([{ fd: group, events: POLLIN, revents: 0 }], 2_000);
 * for (const { cookie, fd } of read(group)) {
 *   fanotify_perm_response(group, cookie, FAN_DENY);
 *   close(fd);
 * }
 * console.log((await said).includes('Operation not permitted')); // true
 * close(group);
 * execFileSync('umount', [mount]);
 */
export function fanotify_perm_response(fanotify_fd: number, cookie: bigint, response: number): void {
  named('fanotify_perm_response', () => perform(OPERATIONS.permResponse, fanotify_fd, { cookie, response }));
}

/**
 * Leaves out what happens on file systems of a type: `int fanotify_ignore_sb(int fanotify_fd, long f_type)`.
 *
 * For global listeners, which "need a way to exclude notification when people open/close/read/write to /proc". What is marked is heard
 * nevertheless. It holds for file systems that are mounted later, too.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param f_type The magic number of the type, as statfs(2) tells it and linux/magic.h names it.
 * @throws CallError EINVAL for what is no number of 32 bits, and for a directed listener. EBADF when nothing is open under that number, EINVAL when it is no group's.
 * @example
 * import { FAN_CLOEXEC, FAN_CLOSE_WRITE, O_CLOEXEC } from 'fanotify/abi';
 * import { close, fanotify_ignore_sb, fanotify_init } from 'fanotify/syscalls';
 * import { statfsSync } from 'node:fs';
 * const group = fanotify_init(FAN_CLOEXEC, O_CLOEXEC, FAN_CLOSE_WRITE, 0);
 * const { type } = statfsSync('/proc');
 * console.log(type.toString(16)); // 9fa0
 * fanotify_ignore_sb(group, type);
 * close(group);
 */
export function fanotify_ignore_sb(fanotify_fd: number, f_type: number): void {
  named('fanotify_ignore_sb', () => perform(OPERATIONS.ignoreSb, fanotify_fd, { f_type }));
}

/**
 * Leaves out what happens on one file system: `int fanotify_ignore_fsid(int fanotify_fd, fsid_t f_fsid)`.
 *
 * For global listeners, as {@link fanotify_ignore_sb}.
 *
 * Since Linux 5.13. Privilege: root (CAP_SYS_ADMIN).
 *
 * @param fanotify_fd The group's number.
 * @param fsid `f_fsid` of statfs(2): two 32-bit numbers, as `linuxKernel().statfs(path).fsid` of `fanotify/kernel` has them.
 * @throws CallError EINVAL for what is no such pair, and for a directed listener. EBADF when nothing is open under that number, EINVAL when it is no group's.
 * @example
 * import { FAN_CLOEXEC, FAN_CLOSE_WRITE, FAN_NONBLOCK, O_CLOEXEC } from 'fanotify/abi';
 * import { linuxKernel } from 'fanotify/kernel';
 * import { close, fanotify_ignore_fsid, fanotify_init, poll, POLLIN, read } from 'fanotify/syscalls';
 * import { execFileSync } from 'node:child_process';
 * import { mkdtempSync, readlinkSync, writeFileSync } from 'node:fs';
 * const [left, heard] = ['out', 'in'].map((name) => {
 *   const mount = mkdtempSync(`/tmp/${name}-`);
 *   execFileSync('mount', ['-t', 'tmpfs', name, mount]);
 *   return mount;
 * });
 * const group = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_CLOEXEC, FAN_CLOSE_WRITE, 0);
 * fanotify_ignore_fsid(group, linuxKernel().statfs(left).fsid);
 * for (const mount of [left, heard]) writeFileSync(`${mount}/letter`, 'Dear Sir');
 * const paths = [];
 * while (!paths.includes(`${heard}/letter`) && poll([{ fd: group, events: POLLIN, revents: 0 }], 5_000) > 0) {
 *   for (const { fd } of read(group)) {
 *     paths.push(readlinkSync(`/proc/self/fd/${fd}`));
 *     close(fd);
 *   }
 * }
 * console.log(paths.includes(`${heard}/letter`), paths.includes(`${left}/letter`)); // true false
 * close(group);
 * for (const mount of [left, heard]) execFileSync('umount', [mount]);
 */
export function fanotify_ignore_fsid(fanotify_fd: number, fsid: readonly [number, number]): void {
  named('fanotify_ignore_fsid', () => perform(OPERATIONS.ignoreFsid, fanotify_fd, { fsid }));
}
