// What a mark is put on, and how: the flags of the calls that the four could be squashed into.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  FAN_MARK_ADD,
  FAN_MARK_DONT_FOLLOW,
  FAN_MARK_EVICTABLE,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_FLUSH,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_MNTNS,
  FAN_MARK_MOUNT,
  FAN_MARK_ONLYDIR,
  FAN_MARK_REMOVE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
} from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import type { MarkScope } from '../core/types.ts';
import { type ErrnoName, KernelError, type KernelPath, linuxKernel } from '../kernel/index.ts';
import { flagsWithin, pathText, whole } from './arguments.ts';

/**
 * Marks a directory with all that is below it, as far down as there are directories, also those that come later. It stands beside
 * FAN_MARK_INODE and FAN_MARK_FILESYSTEM; the kernel has none of that kind.
 */
export const FAN_MARK_SUBTREE = 0x1000_0000;

const SCOPES = FAN_MARK_MNTNS | FAN_MARK_SUBTREE;
const HOW = FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_DONT_FOLLOW | FAN_MARK_ONLYDIR;
const NAMES =
  'FAN_MARK_FILESYSTEM, FAN_MARK_SUBTREE, FAN_MARK_IGNORED_SURV_MODIFY, FAN_MARK_DONT_FOLLOW and FAN_MARK_ONLYDIR';
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** Flags that the kernel has, and what is to be done here instead. */
const ELSEWHERE: readonly (readonly [flag: number, name: string, instead: string])[] = [
  [FAN_MARK_FLUSH, 'FAN_MARK_FLUSH', 'fanotify_clear_marks() takes all marks back'],
  [FAN_MARK_IGNORED_MASK, 'FAN_MARK_IGNORED_MASK', 'ignored_mask is an argument of its own'],
  [FAN_MARK_IGNORE, 'FAN_MARK_IGNORE', 'ignored_mask is an argument of its own'],
  [FAN_MARK_EVICTABLE, 'FAN_MARK_EVICTABLE', 'marks stay until they are removed'],
];

/** How something is marked. */
export interface MarkManner {
  readonly scope: MarkScope;
  readonly survivesModify: boolean;
  readonly follows: boolean;
  readonly onlyDirectory: boolean;
}

/**
 * What flags say.
 *
 * @throws CallError EINVAL
 */
export function mannerOf(flags: number): MarkManner {
  const scope = scopeOf(flags & SCOPES);
  for (const [flag, name, instead] of ELSEWHERE) {
    if (flags & flag) throw new CallError('EINVAL', `flags has ${name}, which is none here: ${instead}`);
  }
  flagsWithin(flags, 'flags', SCOPES | HOW, NAMES);
  return {
    scope,
    survivesModify: (flags & FAN_MARK_IGNORED_SURV_MODIFY) !== 0,
    follows: (flags & FAN_MARK_DONT_FOLLOW) === 0,
    onlyDirectory: (flags & FAN_MARK_ONLYDIR) !== 0,
  };
}

function scopeOf(bits: number): MarkScope {
  switch (bits) {
    case 0:
      return 'inode';
    case FAN_MARK_FILESYSTEM:
      return 'filesystem';
    case FAN_MARK_SUBTREE:
      return 'subtree';
    case FAN_MARK_MOUNT:
      throw new CallError(
        'EINVAL',
        'flags has FAN_MARK_MOUNT: a mount can be gone by, since any user can mount the same again in a namespace of his own; ' +
          'mark the file system (FAN_MARK_FILESYSTEM) or the directory that is mounted (FAN_MARK_SUBTREE)',
      );
    case FAN_MARK_MNTNS:
      throw new CallError('EINVAL', 'flags has FAN_MARK_MNTNS: the mounts of a namespace are not marked here');
    default:
      throw new CallError(
        'EINVAL',
        'flags has more than one scope: give FAN_MARK_FILESYSTEM, FAN_MARK_SUBTREE or neither',
      );
  }
}

/**
 * Which of the two a squashed call is, and the flags without that.
 *
 * @throws CallError EINVAL
 */
export function additionOf(given: number): { readonly isAddition: boolean; readonly rest: number } {
  const flags = whole(given, 'flags');
  const which = flags & (FAN_MARK_ADD | FAN_MARK_REMOVE);
  if (which !== FAN_MARK_ADD && which !== FAN_MARK_REMOVE) {
    throw new CallError('EINVAL', 'flags has to have FAN_MARK_ADD or FAN_MARK_REMOVE, and not both');
  }
  return { isAddition: which === FAN_MARK_ADD, rest: (flags & ~which) >>> 0 };
}

/**
 * Opens what is at a path, in this process and as its user, for as long as `mark` takes: it is marked by its descriptor.
 *
 * @throws CallError as open(2).
 */
export function atPath(path: KernelPath, manner: MarkManner, mark: (target: number) => void): void {
  const kernel = linuxKernel();
  const flags = O_PATH | O_CLOEXEC | (manner.follows ? 0 : O_NOFOLLOW) | (manner.onlyDirectory ? O_DIRECTORY : 0);
  let target: number;
  try {
    target = kernel.openAt(AT_FDCWD, path, flags);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new CallError(
      error.errno,
      `${JSON.stringify(pathText(path))}: ${sentenceOf(error.code, path, manner)}`,
      'fanotify',
      {
        cause: error,
      },
    );
  }
  try {
    mark(target);
  } finally {
    kernel.close(target);
  }
}

/**
 * Looks at what a descriptor is open on.
 *
 * @throws CallError EBADF, ENOTDIR
 */
export function atDescriptor(target: number, manner: MarkManner, mark: (target: number) => void): void {
  let mode: number;
  try {
    ({ mode } = linuxKernel().statAt(target, '', AT_EMPTY_PATH));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new CallError(error.errno, `the descriptor ${target} is not open`, 'fanotify', { cause: error });
  }
  if (manner.onlyDirectory && (mode & S_IFMT) !== S_IFDIR) {
    throw new CallError('ENOTDIR', `the descriptor ${target} is no directory's, and flags has FAN_MARK_ONLYDIR`);
  }
  mark(target);
}

function sentenceOf(code: ErrnoName, path: KernelPath, { onlyDirectory }: MarkManner): string {
  switch (code) {
    case 'ENOENT':
      return path.length === 0 ? 'the path is empty' : 'nothing is there';
    case 'ENOTDIR':
      return onlyDirectory
        ? 'it is no directory, or something on the way is none'
        : 'something on the way is no directory';
    case 'EACCES':
      return 'this user may not go through a directory on the way';
    case 'ELOOP':
      return 'too many symbolic links on the way';
    case 'ENAMETOOLONG':
      return 'a name has more than 255 bytes, or the path more than 4,095';
    case 'EINVAL':
      return 'a path has no NUL byte';
    case 'EMFILE':
      return 'no descriptor is left in this process to open it with';
    default:
      return 'it cannot be opened';
  }
}
