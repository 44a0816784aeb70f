// What the seam throws when the kernel says no, and the numbers of errno that Linux uses on every architecture Node runs on.

/**
 * Linux errno numbers by name: errno(3), of asm-generic, which x86_64 and aarch64 have alike.
 *
 * @example
 * import { ERRNO } from 'fanotify/kernel';
 * console.log(ERRNO.ENOSPC); // 28
 */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EPROTO: 71,
  EOVERFLOW: 75,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EUCLEAN: 117,
  EDQUOT: 122,
  ECANCELED: 125,
} as const;

/** The name of an errno that Linux has; numbers without a name here are told as `E<number>`. */
export type ErrnoName = keyof typeof ERRNO | `E${number}`;

const names = new Map<number, ErrnoName>(
  Object.entries(ERRNO).map(([name, errno]) => [errno, name as keyof typeof ERRNO]),
);

/**
 * The name of an errno; `E<number>` for one that is not in {@link ERRNO}.
 *
 * @param errno A positive number.
 * @example
 * import { errnoName } from 'fanotify/kernel';
 * console.log(errnoName(22), errnoName(4095)); // EINVAL E4095
 */
export function errnoName(errno: number): ErrnoName {
  return names.get(errno) ?? `E${errno}`;
}

/**
 * The kernel refused a call. `code` is the literal errno name, so a `switch` on it is checked by the compiler.
 *
 * @example
 * import { FAN_CLASS_NOTIF } from 'fanotify/abi';
 * import { KernelError, linuxKernel } from 'fanotify/kernel';
 * try {
 *   linuxKernel().fanotifyInit(FAN_CLASS_NOTIF | 0x4000_0000, 0);
 * } catch (error) {
 *   console.log(error instanceof KernelError, error.syscall, error.code); // e.g. true fanotify_init EINVAL
 * }
 */
export class KernelError extends Error {
  static {
    KernelError.prototype.name = 'KernelError';
  }
  /** The name of `errno`. */
  readonly code: ErrnoName;
  /** The number, positive. */
  readonly errno: number;
  /** The system call that failed: 'fanotify_mark'. */
  readonly syscall: string;
  /** The path that it was given, for people: bytes that are not valid UTF-8 are replaced. */
  readonly path: string | undefined;
  /** What was expected, in a sentence, where the daemon was asked in the kernel's place, which has none. */
  readonly reason: string | undefined;

  /**
   * @param syscall The system call that failed.
   * @param errno Its errno, positive.
   * @param path The path that it was given, if any.
   * @param reason What was expected, if whoever refuses says it.
   */
  constructor(syscall: string, errno: number, path?: string | Uint8Array | null, reason?: string) {
    const code = errnoName(errno);
    const shown =
      path === undefined || path === null ? undefined : typeof path === 'string' ? path : Buffer.from(path).toString();
    const call = shown === undefined ? syscall : `${syscall} ${JSON.stringify(shown)}`;
    super(reason === undefined ? `${call}: ${code}` : `${call}: ${code}: ${reason}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.path = shown;
    this.reason = reason;
  }
}

/**
 * There is no kernel to ask: this is not Linux, or the native module through which it is called cannot be loaded.
 *
 * @example
 * import { KernelUnavailableError, linuxKernel } from 'fanotify/kernel';
 * try {
 *   console.log(linuxKernel().release); // e.g. 6.18.44
 * } catch (error) {
 *   if (!(error instanceof KernelUnavailableError)) throw error;
 *   console.error(error.code, error.message);
 * }
 */
export class KernelUnavailableError extends Error {
  static {
    KernelUnavailableError.prototype.name = 'KernelUnavailableError';
  }
  readonly code = 'KERNEL_UNAVAILABLE';
}
