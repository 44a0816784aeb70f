// Opens the permission group of a guard and places its marks: all of them, or none.

import {
  AT_FDCWD,
  BEHAVIOURS,
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOEXEC,
  FAN_CLOSE_WRITE,
  FAN_ENABLE_AUDIT,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_INODE,
  FAN_MARK_MOUNT,
  FAN_NONBLOCK,
  FAN_ONDIR,
  FAN_REPORT_FD_ERROR,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
  O_CLOEXEC,
  O_LARGEFILE,
  O_NONBLOCK,
  O_PATH,
} from '../abi/index.ts';
import { InvalidOptionsError, NotPermittedError, UnsupportedFilesystemError } from '../group/errors.ts';
import { explainInit, explainMark } from '../group/explain.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { isWhole, type Mount } from '../identity/mounts.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { hasSince, parseVersion } from '../kernel/version.ts';
import { assertAdmitted, beltOf } from './admission.ts';
import type { ResponderConfig } from './config.ts';
import { type Abilities, PERMISSION_BITS } from './permission.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

const SCOPE_FLAGS = { inode: FAN_MARK_INODE, mount: FAN_MARK_MOUNT, filesystem: FAN_MARK_FILESYSTEM } as const;
type Scope = keyof typeof SCOPE_FLAGS;

/** A permission group whose marks are placed. */
export interface OpenedGroup {
  readonly fd: number;
  /** What its marks hold and hear. */
  readonly mask: bigint;
  readonly abilities: Abilities;
  /** Whether every open for writing of what is guarded is heard, whichever way it comes. */
  readonly hearsWriters: boolean;
  /** Whether there are marks of inodes that are the guard's own. */
  readonly hasInodeMarks: boolean;
  /** Whether an event without a descriptor is read as others are, and says why it has none (FAN_REPORT_FD_ERROR, Linux 6.13). */
  readonly reportsFdErrors: boolean;
}

/**
 * Opens it.
 *
 * @throws NotPermittedError, UnsupportedError, UnsupportedFilesystemError, NoSuchPathError, InvalidOptionsError, LimitError. Nothing
 * is marked then.
 */
export function openPermissionGroup(kernel: Kernel, mounts: MountTable, config: ResponderConfig): OpenedGroup {
  const belt = beltOf(process.env, kernel);
  const isMarkedLater = config.scope === 'subtree' || config.scope === 'system';
  const places = isMarkedLater ? [] : config.targets.map((target) => placeOf(kernel, mounts, target, config));
  const { fd, reportsFdErrors } = init(kernel, config);
  try {
    for (const place of places) {
      assertAdmitted(belt, mounts, place.device, place.shown);
      mark(kernel, fd, place, config);
    }
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
  return {
    fd,
    mask: maskOf(config),
    abilities: abilitiesOf(kernel, config),
    hearsWriters: places.every(
      ({ scope, isDirectory }) => scope === 'filesystem' || (scope === 'inode' && !isDirectory),
    ),
    hasInodeMarks: places.some(({ scope }) => scope === 'inode'),
    reportsFdErrors,
  };
}

/** What the group of a guard can answer. */
export function abilitiesOf(kernel: Kernel, { audit, isPreContent }: ResponderConfig): Abilities {
  if (!isPreContent) return { audit, errno: 'none' };
  return { audit, errno: hasSince(parseVersion(kernel.release), BEHAVIOURS.denyErrno) ? 'any' : 'asEperm' };
}

interface Place {
  readonly path: Buffer;
  readonly device: string | undefined;
  readonly shown: string;
  readonly scope: Scope;
  readonly isDirectory: boolean;
}

function init(kernel: Kernel, { isPreContent, audit }: ResponderConfig): Pick<OpenedGroup, 'fd' | 'reportsFdErrors'> {
  const asked =
    (isPreContent ? FAN_CLASS_PRE_CONTENT : FAN_CLASS_CONTENT) |
    FAN_CLOEXEC |
    FAN_NONBLOCK |
    FAN_UNLIMITED_QUEUE |
    FAN_UNLIMITED_MARKS |
    (audit ? FAN_ENABLE_AUDIT : 0);
  // The kernel opens the file of an event while the responder reads: by O_NONBLOCK that waits neither for whoever holds a write lease
  // (45 s, fcntl(2)) nor, on older kernels, for the other end of a FIFO. Any user could hold everybody else with these.
  const eventFlags = O_CLOEXEC | O_LARGEFILE | O_NONBLOCK;
  try {
    return { fd: kernel.fanotifyInit(asked | FAN_REPORT_FD_ERROR, eventFlags), reportsFdErrors: true };
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'EINVAL') throw explainGuardInit(kernel, error, asked);
  }
  try {
    return { fd: kernel.fanotifyInit(asked, eventFlags), reportsFdErrors: false };
  } catch (error) {
    throw explainGuardInit(kernel, error, asked);
  }
}

function explainGuardInit(kernel: Kernel, error: unknown, flags: number): unknown {
  if (error instanceof KernelError && error.code === 'EPERM') {
    return new NotPermittedError(
      flags & FAN_ENABLE_AUDIT
        ? 'a guard with audit: true needs CAP_SYS_ADMIN and CAP_AUDIT_WRITE: run it as root'
        : 'a guard needs CAP_SYS_ADMIN (run it as root): nobody else may hold what other processes do',
      { cause: error },
    );
  }
  return explainInit(kernel, error, flags);
}

function mark(kernel: Kernel, fd: number, { path, shown, scope, isDirectory }: Place, config: ResponderConfig): void {
  const flags = FAN_MARK_ADD | SCOPE_FLAGS[scope];
  const mask = maskOf(config) | (scope === 'inode' && isDirectory ? FAN_EVENT_ON_CHILD : 0n);
  try {
    kernel.fanotifyMark(fd, flags, mask, AT_FDCWD, path);
  } catch (error) {
    throw explainGuardMark(kernel, error, flags, mask, shown, config);
  }
}

/** What is held, as bits. */
export function permissionMask({ on }: Pick<ResponderConfig, 'on'>): bigint {
  return on.reduce((mask, kind) => mask | PERMISSION_BITS[kind], 0n);
}

/** Whether events tell a range. */
export function hasRanges({ on }: Pick<ResponderConfig, 'on'>): boolean {
  return on.includes('preAccess');
}

function maskOf({ on, maxCached, directories }: ResponderConfig): bigint {
  let mask = permissionMask({ on });
  // Of guards that do not hear writers open, cached verdicts end when writers close.
  if (!on.includes('open') && maxCached > 0) mask |= FAN_CLOSE_WRITE;
  // FAN_PRE_ACCESS is refused with it.
  if (directories && !on.includes('preAccess')) mask |= FAN_ONDIR;
  return mask;
}

/** What to throw for a mark that the kernel has refused. */
export function explainGuardMark(
  kernel: Kernel,
  error: unknown,
  flags: number,
  mask: bigint,
  shown: string,
  { on }: ResponderConfig,
): unknown {
  if (!(error instanceof KernelError)) return error;
  const details = { cause: error, path: shown };
  if (error.code === 'EOPNOTSUPP' && on.includes('preAccess')) {
    return new UnsupportedFilesystemError(
      `the file system of ${JSON.stringify(shown)} has no 'preAccess' events: ext4, xfs, btrfs and others whose content is on disk have (Linux 6.14 or later), tmpfs has not`,
      details,
    );
  }
  if (error.code === 'EOPNOTSUPP' || error.code === 'EINVAL') {
    const explained = explainMark(kernel, error, flags, mask, shown);
    // What is older than this kernel is told by name.
    if (!(explained instanceof InvalidOptionsError) && !(explained instanceof UnsupportedFilesystemError))
      return explained;
    return new UnsupportedFilesystemError(
      `accesses to ${JSON.stringify(shown)} cannot be held (${error.code}): its file system is the kernel's own, or this kernel was built without CONFIG_FANOTIFY_ACCESS_PERMISSIONS`,
      details,
    );
  }
  if (error.code === 'EPERM') {
    return new NotPermittedError(`a guard of ${JSON.stringify(shown)} needs CAP_SYS_ADMIN: run it as root`, details);
  }
  return explainMark(kernel, error, flags, mask, shown);
}

/** What a target is, and the scope that its guard has. */
function placeOf(
  kernel: Kernel,
  mounts: MountTable,
  target: ResponderConfig['targets'][number],
  config: ResponderConfig,
): Place {
  const path = Buffer.from(target.path, 'latin1');
  const { shown } = target;
  let fd: number;
  try {
    fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
  } catch (error) {
    throw explainMark(kernel, error, 0, 0n, shown);
  }
  try {
    const isDirectory = (kernel.statAt(fd, '', 0x1000).mode & S_IFMT) === S_IFDIR;
    const mount = mounts.byId(mountIdOf(kernel, fd) ?? -1);
    const place = { path, shown, isDirectory, device: mount?.device };
    if (config.scope in SCOPE_FLAGS) return { ...place, scope: config.scope as Scope };
    if (!isDirectory) return { ...place, scope: 'inode' };
    assertRoot(mount, kernel.readlink(`/proc/self/fd/${fd}`), shown);
    return { ...place, scope: 'filesystem' };
  } finally {
    kernel.close(fd);
  }
}

/** Without a scope, only a whole file system is meant, and never that of everything. */
function assertRoot(mount: Mount | undefined, path: Buffer, shown: string): void {
  const isRoot = mount?.mountPoint.equals(path) === true && isWhole(mount);
  if (isRoot && path.length > 1) return;
  const name = JSON.stringify(shown);
  throw new InvalidOptionsError(
    isRoot
      ? `${name} is the root of everything: guarding it holds what every program opens there; say scope: 'filesystem' if that is meant, or 'system' for all file systems`
      : `${name} is not the root of a file system: say scope: 'subtree' for all that is below, 'inode' for its direct entries, or 'filesystem' or 'mount' for all that is on its file system or mount`,
  );
}
