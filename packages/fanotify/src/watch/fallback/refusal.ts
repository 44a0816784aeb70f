// Which errors say that the system refuses fanotify as such, whoever asks for whatever: then something else may do.

import { UnsupportedFilesystemError } from '../../group/errors.ts';
import { KernelError, KernelUnavailableError } from '../../kernel/index.ts';

// A seccomp profile answers EPERM or ENOSYS; Linux before 5.13 EPERM or EINVAL to whoever is not root.
const OF_INIT: readonly string[] = ['EPERM', 'EACCES', 'ENOSYS', 'EINVAL', 'EOPNOTSUPP'];
const OF_MARK: readonly string[] = ['EPERM', 'ENOSYS'];

/**
 * Whether what asks for no privilege was refused: not for want of root, nor for a mistake of the user's, nor for a limit, which can be
 * raised. To be asked about the last that was tried.
 */
export function isRefusal(error: unknown): error is Error {
  if (error instanceof KernelUnavailableError || error instanceof UnsupportedFilesystemError) return true;
  if (!(error instanceof Error)) return false;
  const cause = error instanceof KernelError ? error : error.cause;
  if (!(cause instanceof KernelError)) return false;
  if (cause.syscall === 'fanotify_init') return OF_INIT.includes(cause.code);
  return cause.syscall === 'fanotify_mark' && OF_MARK.includes(cause.code);
}
