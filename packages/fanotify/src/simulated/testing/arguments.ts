// What a test tells a test system is looked at first: a name that is misspelt, or text in a number's place, would let the test pass for
// the wrong reason.

import { TestOptionsError } from './errors.ts';

const PERMISSION_BITS = 0o7777;

/**
 * Of options by name.
 *
 * @throws TestOptionsError for what is no object, and for names that there are not.
 */
export function checkNames(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new TestOptionsError(`${call} takes an object of options: ${known.join(', ')}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new TestOptionsError(`${call} has no option ${JSON.stringify(unknown)}: it has ${known.join(', ')}`);
}

/** @throws TestOptionsError */
export function checkId(name: string, id: unknown): void {
  if (Number.isInteger(id) && (id as number) >= 0) return;
  throw new TestOptionsError(`${name}: ${String(id)} is no number of a user or group`);
}

/** @throws TestOptionsError */
export function checkMode(mode: unknown): void {
  if (Number.isInteger(mode) && (mode as number) >= 0 && (mode as number) <= PERMISSION_BITS) return;
  throw new TestOptionsError(`mode: ${shown(mode)} is no number of permission bits, such as 0o644`);
}

/** @throws TestOptionsError */
export function checkWhole(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw new TestOptionsError(`${name}: ${shown(value)} is no whole number from ${least} on`);
}

/** @throws TestOptionsError */
export function checkPath(path: unknown): void {
  if (typeof path === 'string' && path !== '') return;
  throw new TestOptionsError(`a path is text, such as '/srv/a', and not ${shown(path)}`);
}

/** @throws TestOptionsError */
export function checkContent(content: unknown): void {
  if (typeof content === 'string' || content instanceof Uint8Array) return;
  throw new TestOptionsError(`what is written is text or a Uint8Array, and not ${shown(content)}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
