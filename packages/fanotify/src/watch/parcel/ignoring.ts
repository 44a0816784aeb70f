// What `ignore` leaves out: paths, globs and regular expressions, told apart as @parcel/watcher tells them.

import { posix } from 'node:path';
import picomatch from 'picomatch';
import type { Options } from './types.ts';

/** What to leave out. */
export interface Ignoring {
  /** The same for options that mean the same. */
  readonly id: string;
  /** Whether the directory itself is left out, and so everything. */
  readonly isAll: boolean;
  /**
   * Whether something is left out by itself; what is below that is, too.
   *
   * @param relative Its path, relative to the directory.
   */
  readonly isIgnored: ((relative: string) => boolean) | undefined;
}

/**
 * Compiles `ignore`. What is no array is nothing, as in @parcel/watcher.
 *
 * @param directory Absolute, without '..'.
 * @throws Error for a regular expression with flags, TypeError for what is neither a string nor a regular expression.
 */
export function compileIgnore(directory: string, ignore: Options['ignore']): Ignoring {
  const paths = new Set<string>();
  const expressions: RegExp[] = [];
  for (const value of Array.isArray(ignore) ? ignore : []) {
    if (value instanceof RegExp) expressions.push(withoutFlags(value));
    else if (typeof value !== 'string') throw new TypeError('A pattern to ignore must be of type string or a RegExp');
    else if (isGlob(value)) expressions.push(picomatch.makeRe(value, { dot: true }));
    else paths.add(posix.resolve(directory, value));
  }
  const prefix = directory === '/' ? directory : `${directory}/`;
  const below = new Set([...paths].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length)));
  const id = JSON.stringify([[...paths].sort(), [...new Set(expressions.map(({ source }) => source))].sort()]);
  const isAll = [...paths].some((path) => path === directory || directory.startsWith(path === '/' ? path : `${path}/`));
  if (below.size === 0 && expressions.length === 0) return { id, isAll, isIgnored: undefined };
  const isIgnored = (relative: string) =>
    below.has(relative) || expressions.some((expression) => expression.test(relative));
  return { id, isAll, isIgnored };
}

/** The same expression without state between calls. */
function withoutFlags({ source, flags }: RegExp): RegExp {
  if (flags !== '') {
    throw new Error(
      `RegExp ignore patterns must not have flags (got /${source}/${flags}). Flags are not supported: write /[Ff]oo/ for /foo/i`,
    );
  }
  return new RegExp(source);
}

const ESCAPED = /\\./g;
const GLOB = [
  /^!/,
  /\*/,
  /[\].+)]\?/,
  /\[[^\]]+\]/,
  /\{[^}]+\}/,
  // Of a regular expression, and extglobs: 'app/(group)' is a path.
  /\(\?[:!=][^)].*\)/,
  /\((?!\|)[^|]*\|(?!\)).*\)/,
  /[@?!+]\(.*\)/,
];

/** Whether a pattern is a glob rather than a path, by the rules of the package is-glob. */
export function isGlob(pattern: string): boolean {
  const plain = pattern.replace(ESCAPED, '_');
  return GLOB.some((sign) => sign.test(plain));
}
