// What a scanner is told to do, checked and spelt out. Over the wire as JSON.

import { isAbsolute } from 'node:path';
import { InvalidOptionsError } from '../../group/errors.ts';
import { nearest } from '../../group/nearest.ts';
import type { ScanOptions } from '../scan/options.ts';
import type { Verdict } from '../verdict.ts';
import type { ClamdIdentity } from './identity.ts';

export interface ScanConfig {
  /** Absolute path of clamd's socket. */
  readonly socket: string;
  /** Larger files get `onTooLarge`, without being scanned. */
  readonly maxBytes: number;
  readonly onTooLarge: Verdict;
  /** How long one scan may take, once it has begun. What takes longer gets the guard's onTimeout. */
  readonly timeoutMs: number;
  /** For how long what was found clean is not scanned again at most; undefined for the default. */
  readonly keepMs?: number;
  /** How many scans are under way at a time. */
  readonly concurrency: number;
  /** Of a responder that is started in place of another: who clamd was. It may be down then. */
  readonly known?: ClamdIdentity;
}

const OPTIONS: readonly (keyof ScanOptions)[] = [
  'clamd',
  'maxBytes',
  'onTooLarge',
  'timeoutMs',
  'keepMs',
  'concurrency',
];
const DEFAULT_BYTES = 100 * 1024 * 1024;
export const DEFAULT_KEEP_MS = 600_000;
const DEFAULT_CONCURRENCY = 16;

/** @throws InvalidOptionsError with a sentence that says what to say instead. */
export function scanConfigOf(options: ScanOptions, deadlineMs: number): ScanConfig {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionsError("scan: takes an object with clamd, as in { clamd: '/run/clamav/clamd.ctl' }");
  }
  const unknown = Object.keys(options).find((name) => !(OPTIONS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, OPTIONS);
    throw new InvalidOptionsError(
      `scan has no option ${JSON.stringify(unknown)}: ${meant === undefined ? `it has ${OPTIONS.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`}`,
    );
  }
  const { clamd, maxBytes = DEFAULT_BYTES, onTooLarge = 'allow', concurrency = DEFAULT_CONCURRENCY } = options;
  if (typeof clamd !== 'string' || !isAbsolute(clamd) || clamd.includes('\0')) {
    throw new InvalidOptionsError(
      `scan: clamd: ${typeof clamd === 'string' ? JSON.stringify(clamd) : String(clamd)} is not the absolute path of clamd's socket (LocalSocket in its configuration)`,
    );
  }
  if (onTooLarge !== 'allow' && onTooLarge !== 'deny') {
    throw new InvalidOptionsError(`scan: onTooLarge: ${String(onTooLarge)} is neither 'allow' nor 'deny'`);
  }
  return {
    socket: clamd,
    maxBytes: wholeNumber('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER),
    onTooLarge,
    timeoutMs: wholeNumber('timeoutMs', options.timeoutMs ?? deadlineMs, 1, 3_600_000),
    keepMs: wholeNumber('keepMs', options.keepMs ?? DEFAULT_KEEP_MS, 1, 86_400_000),
    concurrency: wholeNumber('concurrency', concurrency, 1, 256),
  };
}

function wholeNumber(option: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw new InvalidOptionsError(`scan: ${option}: ${String(value)} is not a whole number from ${least} to ${most}`);
}
