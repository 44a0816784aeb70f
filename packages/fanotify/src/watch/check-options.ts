// What watch() is asked for, looked at before anything is opened: a misspelt option would be passed over in silence.

import { InvalidOptionsError } from '../group/errors.ts';
import { assertKnown } from '../group/flags.ts';
import { nearest } from '../group/nearest.ts';
import type { WatchOptions } from './options.ts';

const OPTIONS: readonly (keyof WatchOptions)[] = [
  'recursive',
  'ignore',
  'initial',
  'since',
  'baseline',
  'delayMs',
  'crossMounts',
  'by',
  'fallback',
  'onChanges',
  'onError',
  'signal',
  'kernel',
];
const BASELINES = ['none', 'memory', 'file'];
const DEPTHS = ['name', 'command', 'full'];
/** setTimeout(3) of Node takes no more. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** @throws InvalidOptionsError */
export function checkWatch(paths: readonly (string | Uint8Array)[], options: WatchOptions): void {
  checkPaths(paths);
  assertKnown('watch()', options, OPTIONS);
  const { baseline, by, delayMs, ignore, initial, since, onError, onChanges } = options;
  if (baseline !== undefined) assertWord('baseline', baseline, BASELINES);
  if (by !== undefined && by !== false) assertWord('by', by, DEPTHS);
  for (const name of ['recursive', 'initial', 'crossMounts', 'fallback'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'boolean') throw wrong(name, value, 'true or false');
  }
  if (delayMs !== undefined && !(Number.isFinite(delayMs) && delayMs >= 0 && delayMs <= LONGEST_DELAY_MS)) {
    throw wrong('delayMs', delayMs, 'a number of milliseconds, 0 or more');
  }
  for (const glob of asList('ignore', ignore)) {
    if (typeof glob !== 'string' && typeof glob !== 'function') throw wrong('ignore', glob, 'a glob or a function');
    if (glob === '') throw new InvalidOptionsError('ignore: an empty glob matches nothing: leave it out');
  }
  for (const [name, value] of Object.entries({ onChanges, onError })) {
    if (value !== undefined && typeof value !== 'function') throw wrong(name, value, 'a function');
  }
  if (since !== undefined && (typeof since !== 'string' || since === ''))
    throw wrong('since', since, "a snapshot's path");
  if (since !== undefined && initial) {
    throw new InvalidOptionsError(
      'since and initial exclude each other: since tells what has changed since the snapshot, initial all that is there',
    );
  }
  if (onError && !onChanges) {
    throw new InvalidOptionsError('onError goes with onChanges: whoever iterates gets the error thrown');
  }
}

function checkPaths(paths: readonly unknown[]): void {
  if (!Array.isArray(paths) || paths.length === 0) throw new InvalidOptionsError('watch() needs a path at least');
  for (const path of paths) {
    if (typeof path !== 'string' && !(path instanceof Uint8Array)) {
      throw wrong('paths', path, 'a path: a string, or its bytes');
    }
    if (path.length === 0) throw new InvalidOptionsError("paths: '' is no path: '.' is the working directory");
    if (typeof path === 'string' ? path.includes('\0') : path.includes(0))
      throw wrong('paths', path, 'a path without NUL');
  }
}

function asList(name: string, value: readonly unknown[] | undefined): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong(name, value, 'a list');
  return value;
}

function assertWord(name: string, word: unknown, words: readonly string[]): void {
  if (typeof word === 'string' && words.includes(word)) return;
  const meant = typeof word === 'string' ? nearest(word, words) : undefined;
  const help = meant === undefined ? '' : `: did you mean ${JSON.stringify(meant)}?`;
  throw new InvalidOptionsError(`${name}: ${shown(word)} is none of ${words.join(', ')}${help}`);
}

function wrong(name: string, value: unknown, wanted: string): InvalidOptionsError {
  return new InvalidOptionsError(`${name}: ${shown(value)} is not ${wanted}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
