// What can go wrong with guards: the errors of their own, and how errors of the responder come back to its owner.

import {
  InvalidOptionsError,
  LimitError,
  NoSuchPathError,
  NotDirectoryError,
  NotPermittedError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from '../group/errors.ts';
import { KernelError } from '../kernel/index.ts';

/**
 * A decide module cannot be loaded, or exports no function `decide`. `module` is its URL.
 *
 * @example
 * import { guard } from 'fanotify';
 * try {
 *   await guard('/srv', { decide: '/no/such/module.mjs', scope: 'inode' });
 * } catch (error) {
 *   console.log(error.code); // DECIDE_MODULE
 * }
 */
export class DecideModuleError extends Error {
  static {
    DecideModuleError.prototype.name = 'DecideModuleError';
  }
  readonly code = 'DECIDE_MODULE';
  readonly module: string;
  constructor(message: string, module: string, details: { readonly cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.module = module;
  }
}

/**
 * `decide` threw, rejected, or gave no decision: the access got `onError`. What it threw is the `cause`. `count` is how often that
 * happened since it was last told.
 *
 * Privilege: root.
 * @example
 * import { execFileSync, spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/decide-error-');
 * execFileSync('mount', ['-t', 'tmpfs', 'decide-error', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, { decide: () => 'perhaps', onError: 'allow' });
 * gate.on('error', (error) => console.log(error.code, error.count)); // DECIDE 1
 * await once(spawn('cat', [`${mount}/file`], { stdio: 'ignore' }), 'exit');
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export class DecideError extends Error {
  static {
    DecideError.prototype.name = 'DecideError';
  }
  readonly code = 'DECIDE';
  readonly count: number;
  constructor(message: string, details: { readonly cause?: unknown; readonly count?: number } = {}) {
    super(message, { cause: details.cause });
    this.count = details.count ?? 1;
  }
}

/**
 * A request was answered a second time: the first answer holds.
 *
 * Privilege: root.
 * @example
 * import { execFileSync, spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/answered-');
 * execFileSync('mount', ['-t', 'tmpfs', 'answered', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, {
 *   decide(request) {
 *     request.allow();
 *     try {
 *       request.deny();
 *     } catch (error) {
 *       console.log(error.code); // ALREADY_ANSWERED
 *     }
 *   },
 * });
 * await once(spawn('cat', [`${mount}/file`], { stdio: 'ignore' }), 'exit');
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export class AlreadyAnsweredError extends Error {
  static {
    AlreadyAnsweredError.prototype.name = 'AlreadyAnsweredError';
  }
  readonly code = 'ALREADY_ANSWERED';
  constructor() {
    super('this request is answered already: answer once, by what decide returns or by allow() or deny()');
  }
}

/**
 * A held file was asked for when there was a verdict already, so that nothing is held any more.
 *
 * Privilege: root.
 * @example
 * import { execFileSync, spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/settled-');
 * execFileSync('mount', ['-t', 'tmpfs', 'settled', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, {
 *   decide(request) {
 *     request.allow();
 *     try {
 *       console.log(request.fd);
 *     } catch (error) {
 *       console.log(error.code); // REQUEST_SETTLED
 *     }
 *   },
 * });
 * await once(spawn('cat', [`${mount}/file`], { stdio: 'ignore' }), 'exit');
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export class RequestSettledError extends Error {
  static {
    RequestSettledError.prototype.name = 'RequestSettledError';
  }
  readonly code = 'REQUEST_SETTLED';
  constructor() {
    super('there is a verdict on this access already: ask for fd before you answer, and before the deadline');
  }
}

/**
 * The responder process ended: what it held was allowed by the kernel, or with a stalled decide module got `onTimeout`. Nothing
 * is guarded any more, unless it is started again (`restart`). `signal` is what ended it.
 *
 * Privilege: root.
 * @example
 * import { execFileSync } from 'node:child_process';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/died-');
 * execFileSync('mount', ['-t', 'tmpfs', 'died', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, { decide: () => 'allow' });
 * const dies = new Promise((resolve) => gate.on('error', resolve));
 * process.kill(gate.responderPid, 'SIGKILL');
 * const error = await dies;
 * console.log(error.code, error.signal); // RESPONDER_DIED SIGKILL
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export class ResponderDiedError extends Error {
  static {
    ResponderDiedError.prototype.name = 'ResponderDiedError';
  }
  readonly code = 'RESPONDER_DIED';
  readonly signal: string | undefined;
  constructor(message: string, details: { readonly cause?: unknown; readonly signal?: string | undefined } = {}) {
    super(message, { cause: details.cause });
    this.signal = details.signal;
  }
}

/**
 * The guard is closed: by `close()`, its signal, or the end of an `await using` block; or its responder died.
 *
 * Privilege: root.
 * @example
 * import { execFileSync } from 'node:child_process';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/closed-');
 * execFileSync('mount', ['-t', 'tmpfs', 'closed', mount]);
 * writeFileSync(`${mount}/file`, '');
 * const gate = await guard(mount, { decide: () => 'allow' });
 * await gate.close();
 * console.log((await gate.status().catch((error) => error)).code); // GUARD_CLOSED
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export class GuardClosedError extends Error {
  static {
    GuardClosedError.prototype.name = 'GuardClosedError';
  }
  readonly code = 'GUARD_CLOSED';
  constructor() {
    super('the guard is closed: open another with guard()');
  }
}

/**
 * clamd cannot be asked: it is not there, is somebody else, or answers what no clamd does. Thrown before anything is marked; as an event
 * `error` it says that what is to be scanned gets `onError`, until `scannerBack` tells that clamd can be asked again, or that some files
 * could not be scanned. `socket` is where it was looked for, `count` how many accesses have got `onError` since that was last told.
 *
 * @example
 * import { scan } from 'fanotify';
 * try {
 *   await scan('/srv', { clamd: '/no/such/socket', scope: 'inode' });
 * } catch (error) {
 *   console.log(error.code); // SCANNER
 * }
 */
export class ScannerError extends Error {
  static {
    ScannerError.prototype.name = 'ScannerError';
  }
  readonly code = 'SCANNER';
  readonly socket: string;
  readonly count: number;
  constructor(
    message: string,
    details: { readonly socket: string; readonly count?: number | undefined; readonly cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.socket = details.socket;
    this.count = details.count ?? 0;
  }
}

const LONGEST_TEXT = 4096;

/** What something that was thrown says, and where. Anything can be thrown, also what cannot be looked at without throwing again. */
export function thrownText(thrown: unknown): { readonly message: string; readonly stack: string | undefined } {
  try {
    if (!(thrown instanceof Error)) return { message: cut(String(thrown)), stack: undefined };
    const { message, stack } = thrown;
    return { message: cut(String(message)), stack: typeof stack === 'string' ? cut(stack) : undefined };
  } catch {
    return { message: 'something that cannot be shown', stack: undefined };
  }
}

function cut(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

/** An error as JSON. */
export interface ErrorJson {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly path?: string | undefined;
  readonly since?: string | undefined;
  readonly setting?: string | undefined;
  readonly current?: number | undefined;
  readonly module?: string | undefined;
  readonly socket?: string | undefined;
  readonly kernel?: { readonly syscall: string; readonly errno: number; readonly path: string | undefined } | undefined;
}

export function errorToJson(error: unknown): ErrorJson {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack, cause, path, since, setting, current, module, socket } = error as Error &
    Partial<ErrorJson>;
  const kernelError = error instanceof KernelError ? error : cause instanceof KernelError ? cause : undefined;
  const kernel = kernelError && { syscall: kernelError.syscall, errno: kernelError.errno, path: kernelError.path };
  return { name, message, stack, path, since, setting, current, module, socket, kernel };
}

export function errorFromJson(json: ErrorJson): Error {
  const { name, message, path, kernel } = json;
  const cause = kernel && new KernelError(kernel.syscall, kernel.errno, kernel.path);
  const details = { cause, path };
  switch (name) {
    case 'KernelError':
      return cause ?? new Error(message);
    case 'InvalidOptionsError':
      return new InvalidOptionsError(message, details);
    case 'NotPermittedError':
      return new NotPermittedError(message, details);
    case 'NoSuchPathError':
      return new NoSuchPathError(message, details);
    case 'NotDirectoryError':
      return new NotDirectoryError(message, details);
    case 'UnsupportedFilesystemError':
      return new UnsupportedFilesystemError(message, details);
    case 'UnsupportedError':
      return new UnsupportedError(message, { ...details, ...(json.since !== undefined && { since: json.since }) });
    case 'LimitError':
      return new LimitError(message, json.setting ?? '', json.current, details);
    case 'DecideModuleError':
      return new DecideModuleError(message, json.module ?? '', { cause: withStack(json) });
    case 'ScannerError':
      return new ScannerError(message, { socket: json.socket ?? '', cause });
    default:
      return withStack(json);
  }
}

function withStack({ name, message, stack }: ErrorJson): Error {
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
