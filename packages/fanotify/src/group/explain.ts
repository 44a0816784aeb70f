// The kernel's errno → the error of this library that says what it means here and what to do.

import {
  EVENT_BITS,
  FAN_CLOEXEC,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MARK_ONLYDIR,
  FAN_MARK_REMOVE,
  FAN_MOVE,
  FAN_NONBLOCK,
  FAN_RENAME,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FID,
  FAN_REPORT_NAME,
  FAN_REPORT_TARGET_FID,
  INIT_FLAGS,
  MARK_FLAGS,
  type Since,
} from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { compareVersions, hasSince, parseVersion } from '../kernel/version.ts';
import {
  InvalidOptionsError,
  LimitError,
  NoSuchPathError,
  NotDirectoryError,
  NotMarkedError,
  NotPermittedError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from './errors.ts';

const WITHOUT_ROOT =
  'without it (Linux 5.13 or later) a group can report names and put marks of scope inode on files and directories';

import { kindsOf } from './names.ts';

/** Why fanotify_init(2) failed. */
export function explainInit(kernel: Kernel, error: unknown, flags: number): unknown {
  if (!(error instanceof KernelError)) return error;
  const cause = { cause: error };
  const refusal = refusedByDaemon(error, error.reason, 'groups', cause);
  if (refusal) return refusal;
  switch (error.code) {
    case 'EPERM':
      // Privilege is looked at first, also where nobody's would help.
      return (
        tooOld(kernel, error, newest(INIT_FLAGS, BigInt(flags))) ??
        forbidden(kernel, error, flags) ??
        new NotPermittedError(`this group needs CAP_SYS_ADMIN (run it as root); ${WITHOUT_ROOT}`, cause)
      );
    case 'ENOSYS':
      return new UnsupportedError(
        `${kernel.name} has no fanotify, or this container forbids it: it needs CONFIG_FANOTIFY, and a seccomp profile that admits fanotify_init`,
        cause,
      );
    case 'EMFILE':
      return limitOfGroups(kernel, error);
    case 'EINVAL':
      return (
        tooOld(kernel, error, newest(INIT_FLAGS, BigInt(flags))) ??
        new InvalidOptionsError(`${kernel.name} refuses these options (EINVAL)`, cause)
      );
    default:
      return error;
  }
}

// fs/notify/fanotify/fanotify_user.c, FANOTIFY_USER_INIT_FLAGS, since Linux 5.13.
const NAMES_OBJECTS = FAN_REPORT_FID | FAN_REPORT_DIR_FID;
const FOR_EVERYBODY = NAMES_OBJECTS | FAN_REPORT_NAME | FAN_REPORT_TARGET_FID | FAN_CLOEXEC | FAN_NONBLOCK;
const FOR_EVERYBODY_SINCE = '5.13';

/** What everybody may ask for was refused: that is no matter of privilege. */
function forbidden(kernel: Kernel, error: KernelError, flags: number): NotPermittedError | undefined {
  if ((flags & ~FOR_EVERYBODY) !== 0 || (flags & NAMES_OBJECTS) === 0) return undefined;
  if (!hasSince(parseVersion(kernel.release), FOR_EVERYBODY_SINCE)) return undefined;
  return new NotPermittedError(
    `${kernel.name} would let everybody open this group, and it is forbidden here, most likely by the seccomp profile of a container: let that admit fanotify_init and fanotify_mark`,
    { cause: error },
  );
}

/** Why fanotify_mark(2) failed. `path` is how the caller named the object. */
export function explainMark(kernel: Kernel, error: unknown, flags: number, mask: bigint, path: string): unknown {
  if (!(error instanceof KernelError)) return error;
  const details = { cause: error, path };
  const shown = JSON.stringify(path);
  const refusal = refusedByDaemon(error, error.reason && `${shown}: ${error.reason}`, 'marks', details);
  if (refusal) return refusal;
  switch (error.code) {
    case 'ENOENT':
      return error.syscall === 'fanotify_mark' && isRemoval(flags)
        ? new NotMarkedError(`${shown} has no such mark in this group`, details)
        : new NoSuchPathError(`${shown} does not exist`, details);
    case 'ENOTDIR':
      return new NotDirectoryError(
        error.syscall === 'fanotify_mark'
          ? `${shown} is not a directory, and ${flags & FAN_MARK_ONLYDIR ? 'onlyDirectory asks' : `events such as ${entryEvents(mask)} ask`} for one: mark the directory that it is in`
          : `a part of ${shown} is not a directory: check the path`,
        details,
      );
    case 'ENAMETOOLONG':
    case 'ELOOP':
      return new NoSuchPathError(
        `${shown} leads nowhere: ${error.code === 'ELOOP' ? 'its symbolic links go round in a circle' : 'it is too long to be a path'}`,
        details,
      );
    case 'EBADF':
      return new InvalidOptionsError(`${shown} is not open in this process`, details);
    case 'EACCES':
      return new NotPermittedError(`${shown} cannot be read by this user`, details);
    case 'EPERM':
      return new NotPermittedError(
        `marks of this scope on ${shown} need CAP_SYS_ADMIN (run it as root); ${WITHOUT_ROOT}`,
        details,
      );
    case 'ENOSPC':
      return limitOfMarks(kernel, details);
    case 'EOPNOTSUPP':
    case 'ENODEV':
      return new UnsupportedFilesystemError(
        `the file system of ${shown} cannot be marked so: it has no ${error.code === 'ENODEV' ? 'fsid' : 'file handles, or not these events'} (report: [] and a mount mark may work, as root)`,
        details,
      );
    case 'EXDEV':
      return new UnsupportedFilesystemError(
        `${shown} is in a subvolume with an fsid of its own: mark the root of the file system instead`,
        details,
      );
    case 'EEXIST':
      return new InvalidOptionsError(
        `${shown} is already marked in this group in a way that this would weaken: an evictable mark cannot replace another, nor an ignore mask that ends one that stays`,
        details,
      );
    case 'EISDIR':
      return new InvalidOptionsError(`${shown} is a directory: its ignore mask must be ignore: 'always'`, details);
    case 'EINVAL':
      if (path.includes('\0')) {
        return new NoSuchPathError(`${shown} leads nowhere: no path has a NUL in it`, details);
      }
      return (
        tooOld(kernel, error, newest(MARK_FLAGS, BigInt(flags)), newest(EVENT_BITS, mask)) ??
        new InvalidOptionsError(`${kernel.name} refuses this mark on ${shown} (EINVAL)`, details)
      );
    default:
      return error;
  }
}

/** No sysctl and no privilege of this process would help: the daemon says what would. */
function refusedByDaemon(
  error: KernelError,
  reason: string | undefined,
  limit: 'groups' | 'marks',
  details: { readonly cause: KernelError; readonly path?: string },
): Error | undefined {
  if (reason === undefined) return undefined;
  switch (error.code) {
    case 'EMFILE':
    case 'ENOSPC':
      return new LimitError(
        `the daemon gives no more ${limit}: ${reason}`,
        `limits.${limit} of fanotifyd`,
        undefined,
        details,
      );
    case 'EPERM':
      return new NotPermittedError(`the daemon refuses it: ${reason}`, details);
    case 'EOPNOTSUPP':
    case 'EXDEV':
      return new UnsupportedFilesystemError(`the daemon refuses it: ${reason}`, details);
    default:
      return undefined;
  }
}

/** Why read(2) of a group failed. */
export function explainRead(error: unknown): unknown {
  if (!(error instanceof KernelError) || (error.code !== 'EMFILE' && error.code !== 'ENFILE')) return error;
  return new LimitError(
    'no descriptor is left for the next event: close what events were taken, raise ulimit -n, or report handles instead of descriptors',
    error.code === 'EMFILE' ? 'RLIMIT_NOFILE' : 'fs.file-max',
    undefined,
    { cause: error },
  );
}

/** The events of a mask that tell of entries of a directory. */
function entryEvents(mask: bigint): string {
  return kindsOf(Number(mask & (FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_RENAME))).join(', ');
}

const isRemoval = (flags: number) => (flags & FAN_MARK_REMOVE) !== 0;

function limitOfGroups(kernel: Kernel, error: KernelError): LimitError {
  const current = setting(kernel, 'user/max_fanotify_groups');
  return new LimitError(
    `this user has no group left (user.max_fanotify_groups = ${current ?? 'unknown'}) or this process no descriptor (ulimit -n): close groups, or raise the limit with sysctl`,
    'user.max_fanotify_groups',
    current,
    { cause: error },
  );
}

/** The system's limit, or in a user namespace that namespace's own when it is lower. */
function limitOfMarks(kernel: Kernel, details: { cause: KernelError; path: string }): LimitError {
  const ofSystem = setting(kernel, 'fs/fanotify/max_user_marks');
  const ofNamespace = setting(kernel, 'user/max_fanotify_marks');
  const isNamespace = ofNamespace !== undefined && ofNamespace < (ofSystem ?? 0);
  const name = isNamespace ? 'user.max_fanotify_marks' : 'fs.fanotify.max_user_marks';
  const current = isNamespace ? ofNamespace : ofSystem;
  return new LimitError(
    `this user's marks are used up (${name} = ${current ?? 'unknown'}): raise it with sysctl, or as root open the group with marks: 'unlimited'`,
    name,
    current,
    details,
  );
}

/** The value of a sysctl, if it can be read. */
function setting(kernel: Kernel, name: string): number | undefined {
  try {
    return Number(kernel.readFile(`/proc/sys/${name}`).toString());
  } catch {
    return undefined;
  }
}

/** The youngest of the flags that are set. */
function newest(table: readonly Since<number | bigint>[], flags: bigint): Since<number | bigint> | undefined {
  return table
    .filter(({ value }) => BigInt(value) !== 0n && (flags & BigInt(value)) === BigInt(value))
    .sort((a, b) => compareVersions(parseVersion(b.since), parseVersion(a.since)))[0];
}

function tooOld(
  kernel: Kernel,
  error: KernelError,
  ...used: (Since<number | bigint> | undefined)[]
): UnsupportedError | undefined {
  const running = parseVersion(kernel.release);
  const missing = used.find((flag) => flag && !hasSince(running, flag.since, flag.backports));
  return (
    missing &&
    new UnsupportedError(`${missing.name} needs Linux ${missing.since} or later, and this is ${kernel.name}`, {
      cause: error,
      since: missing.since,
    })
  );
}
