// Errors as one sentence for the person at the keyboard. What nobody expected keeps its stack: that is a bug to report.

import {
  BaselineError,
  InvalidOptionsError,
  LimitError,
  NoFallbackError,
  NoSuchPathError,
  NotDirectoryError,
  NotPermittedError,
  PolicyError,
  ScannerError,
  SnapshotError,
  UnknownEventError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from '../index.ts';
import { errnoName, KernelError, KernelUnavailableError } from '../kernel/index.ts';
import { escaped } from './text.ts';

/** Something that the user can put right, said in one sentence. */
export class UserError extends Error {
  static {
    UserError.prototype.name = 'UserError';
  }
}

const EXPECTED = [
  UserError,
  ScannerError,
  InvalidOptionsError,
  LimitError,
  NoSuchPathError,
  NotDirectoryError,
  NotPermittedError,
  BaselineError,
  NoFallbackError,
  SnapshotError,
  UnknownEventError,
  UnsupportedError,
  UnsupportedFilesystemError,
  KernelUnavailableError,
  KernelError,
];

/** What to say about an error. */
export function sentenceOf(error: unknown): string {
  if (error instanceof NotPermittedError && !/root/.test(error.message)) {
    return escaped(`${error.message}: without root only what can be read can be watched (sudo fanotify …)`);
  }
  // A line for each problem.
  if (error instanceof PolicyError) return error.message.split('\n').map(escaped).join('\n');
  if (EXPECTED.some((expected) => error instanceof expected)) return escaped((error as Error).message);
  return `unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file has reached its size limit',
  EIO: 'the device reports an error',
  EBADF: 'it is closed',
};

/** Why writing failed, in words. */
export function reasonOf(error: unknown): string {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  const name = code ?? (errno === undefined ? undefined : errnoName(Math.abs(errno)));
  const reason = name === undefined ? undefined : REASONS[name];
  return reason ? `${reason} (${name})` : (name ?? message);
}
