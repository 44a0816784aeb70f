// Arguments of several commands, as people type them.

import { InvalidArgumentError } from 'commander';
import type { ProcessDepth } from '../index.ts';

/** What --who takes. */
export const WHO_DEPTHS: readonly ProcessDepth[] = ['name', 'command', 'full'];

/** A whole number of at least 1. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1) {
    throw new InvalidArgumentError('It has to be a whole number of at least 1.');
  }
  return number;
}

// setTimeout takes 31 bits of milliseconds.
const LONGEST_SECONDS = 2 ** 31 / 1000 - 1;

/** A time in seconds. */
export function seconds(text: string): number {
  const number = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || number <= 0 || number > LONGEST_SECONDS) {
    throw new InvalidArgumentError(`It has to be a number of seconds above 0, at most ${Math.floor(LONGEST_SECONDS)}.`);
  }
  return number;
}
