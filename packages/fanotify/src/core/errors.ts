// What the core answers when it says no: the errno that a kernel would give, and a sentence that says what was expected.

import { ERRNO, type ErrnoName, errnoName } from '../kernel/index.ts';

/**
 * A call of the core, or of one of the proposal's faces, was refused. `code` is the errno's name, as a kernel would give it; the
 * message says what was expected instead.
 *
 * @example
 * import { fanotify_clear_marks } from 'fanotify/syscalls';
 * try {
 *   fanotify_clear_marks(0);
 * } catch (error) {
 *   console.log(error.syscall, error.code); // fanotify_clear_marks EINVAL
 * }
 */
export class CallError extends Error {
  static {
    CallError.prototype.name = 'CallError';
  }
  /** The name of `errno`. */
  readonly code: ErrnoName;
  /** The number, positive. */
  readonly errno: number;
  /** The call that was refused, by the name under which it was made. */
  readonly syscall: string;
  /** What was expected, without the call and the code. */
  readonly reason: string;

  /**
   * @param code The errno, by name or number.
   * @param reason A sentence that says what was expected.
   */
  constructor(
    code: keyof typeof ERRNO | number,
    reason: string,
    syscall = 'fanotify',
    details: { cause?: unknown } = {},
  ) {
    const errno = typeof code === 'number' ? code : ERRNO[code];
    super(`${syscall}: ${errnoName(errno)}: ${reason}`, details);
    this.code = errnoName(errno);
    this.errno = errno;
    this.syscall = syscall;
    this.reason = reason;
  }
}

/** Gives what a call throws the name of the call under which it was made. */
export function named<T>(syscall: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof CallError) || error.syscall === syscall) throw error;
    throw new CallError(error.errno, error.reason, syscall, { cause: error.cause });
  }
}
