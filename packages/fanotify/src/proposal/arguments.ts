// What the calls take: each word of the proposal, and what it may be. Whatever is wrong is told before anything is done.

import {
  FAN_ALLOW,
  FAN_DENY,
  type Fsid,
  O_APPEND,
  O_CLOEXEC,
  O_DSYNC,
  O_LARGEFILE,
  O_NOATIME,
  O_NONBLOCK,
  O_RDWR,
  O_SYNC,
  O_WRONLY,
} from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import { nearest } from '../group/nearest.ts';
import type { KernelPath } from '../kernel/index.ts';

const U32 = 2 ** 32;
const U64 = 2n ** 64n;
const ACCESS_MODE = O_WRONLY | O_RDWR;
// fanotify_init(2), "event_f_flags".
const F_FLAGS = ACCESS_MODE | O_APPEND | O_CLOEXEC | O_DSYNC | O_LARGEFILE | O_NOATIME | O_NONBLOCK | O_SYNC;
const F_FLAGS_NAMES =
  'O_RDONLY, O_WRONLY or O_RDWR, with O_APPEND, O_CLOEXEC, O_DSYNC, O_LARGEFILE, O_NOATIME, O_NONBLOCK and O_SYNC';

/** What each word becomes; what it cannot be throws a CallError. */
const WORDS = {
  path,
  fd: descriptor,
  mask: bits64,
  ignored_mask: bits64,
  flags: whole,
  f_flags,
  priority,
  cookie,
  response,
  f_type: type,
  fsid,
  family: whole,
  ms: whole,
} as const;

/** A word of the proposal. */
export type Word = keyof typeof WORDS;

/** What each word is, once looked at. */
export type Words = { readonly [W in Word]: ReturnType<(typeof WORDS)[W]> };

/** An argument of some words: those that it must have, and those that it may. */
export interface Shape<Needed extends Word, Taken extends Word> {
  readonly needs: readonly Needed[];
  readonly takes: readonly Taken[];
}

/** What an argument of that shape is. */
export type Shaped<Needed extends Word, Taken extends Word> = Pick<Words, Needed> & {
  readonly [W in Taken]: Words[W] | undefined;
};

/**
 * Looks at an argument.
 *
 * @throws CallError EFAULT for what is no object; EINVAL for a word that is missing or not known; and what the words throw.
 */
export function argumentOf<Needed extends Word, Taken extends Word>(
  { needs, takes }: Shape<Needed, Taken>,
  given: unknown,
): Shaped<Needed, Taken> {
  const known: readonly Word[] = [...needs, ...takes];
  const shape = `{ ${[...needs, ...takes.map((word) => `${word}?`)].join(', ')} }`;
  if (given === undefined && needs.length === 0) return {} as Shaped<Needed, Taken>;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new CallError('EFAULT', `the argument is ${described(given)}: give an object ${shape}`);
  }
  for (const key of Object.keys(given)) {
    if (known.includes(key as Word)) continue;
    const meant = nearest(key, known);
    const hint = meant === undefined ? `it takes ${shape}` : `did you mean ${JSON.stringify(meant)}?`;
    throw new CallError('EINVAL', `there is no ${JSON.stringify(key)} here: ${hint}`);
  }
  const values = given as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    known.map((word) => {
      const value = values[word];
      const isLeftOut = value === undefined && !needs.includes(word as Needed);
      return [word, isLeftOut ? undefined : WORDS[word](value, word)];
    }),
  ) as Shaped<Needed, Taken>;
}

/**
 * A path, for people.
 *
 * @throws CallError EFAULT for what is none.
 */
export function pathText(value: unknown): string {
  const checked = path(value, 'path');
  return typeof checked === 'string' ? checked : Buffer.from(checked).toString();
}

/** A path, as bytes or text. Whether something is there is told by opening it. */
function path(value: unknown, word: string): KernelPath {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  throw new CallError('EFAULT', `${word} is ${described(value)}: give a string, or a Uint8Array of its bytes`);
}

/**
 * A descriptor that may be open.
 *
 * @throws CallError EBADF
 */
export function descriptor(value: unknown, word: string): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < U32 / 2) return value as number;
  throw new CallError('EBADF', `${word} is ${described(value)}: give the number of an open descriptor`);
}

/**
 * An event mask.
 *
 * @throws CallError EINVAL
 */
export function bits64(value: unknown, word: string): bigint {
  if (typeof value !== 'bigint') {
    throw new CallError('EINVAL', `${word} is ${described(value)}: give a bigint, such as FAN_OPEN (0x20n)`);
  }
  if (value >= 0n && value < U64) return value;
  throw new CallError(
    'EINVAL',
    `${word} is ${described(value)}: give a bigint of 64 bits, from 0n to 0x${(U64 - 1n).toString(16)}n`,
  );
}

function priority(value: unknown, word: string): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < U32) return value as number;
  throw new CallError('EINVAL', `${word} is ${described(value)}: give a whole number from 0 to 4294967295`);
}

/**
 * A whole number of 32 bits.
 *
 * @throws CallError EINVAL
 */
export function whole(value: unknown, word: string): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < U32) return value as number;
  throw new CallError('EINVAL', `${word} is ${described(value)}: give a whole number of 32 bits`);
}

function f_flags(value: unknown, word: string): number {
  const flags = flagsWithin(value, word, F_FLAGS, F_FLAGS_NAMES);
  if ((flags & ACCESS_MODE) !== ACCESS_MODE) return flags;
  throw new CallError('EINVAL', `${word} has O_WRONLY and O_RDWR: give one of them, or O_RDONLY`);
}

function cookie(value: unknown, word: string): bigint {
  if (typeof value === 'bigint') return value;
  throw new CallError('EINVAL', `${word} is ${described(value)}: give the bigint that the event has`);
}

function response(value: unknown, word: string): number {
  if (value === FAN_ALLOW || value === FAN_DENY) return value;
  throw new CallError('EINVAL', `${word} is ${described(value)}: give FAN_ALLOW (1) or FAN_DENY (2)`);
}

/** The magic number of a type of file systems has 32 bits; written as a signed number it is the same. */
function type(value: unknown, word: string): number {
  if (is32Bits(value)) return value >>> 0;
  throw new CallError('EINVAL', `${word} is ${described(value)}: give a magic number, such as 0x9fa0 of proc`);
}

function fsid(value: unknown, word: string): Fsid {
  const [first, second, ...more]: unknown[] = Array.isArray(value) ? value : [];
  if (is32Bits(first) && is32Bits(second) && more.length === 0) return [first | 0, second | 0];
  throw new CallError('EINVAL', `${word} is ${described(value)}: give the two 32-bit numbers of statfs(2), as [1, 2]`);
}

function is32Bits(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= -U32 / 2 && (value as number) < U32;
}

/** A value, for people. */
export function described(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return value < 0n ? `${value}n` : `0x${value.toString(16)}n`;
    case 'number':
      return `the number ${value}`;
    case 'string':
      return `the string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'a list' : 'an object';
    case 'function':
      return 'a function';
    default:
      return String(value);
  }
}

/**
 * Flags of a known set.
 *
 * @throws CallError EINVAL that names the bits that are not of it.
 */
export function flagsWithin(value: unknown, word: string, known: number, names: string): number {
  const flags = whole(value, word);
  const unknown = (flags & ~known) >>> 0;
  if (unknown === 0) return flags;
  throw new CallError('EINVAL', `${word} has 0x${unknown.toString(16)}, which is no flag here: it takes ${names}`);
}
