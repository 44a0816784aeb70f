// Which paths are inside: at or below a root, and not excluded by a glob. Runs for every event on a file system, so it compares
// the directory's path, which many events share, and puts together a path of its own only for globs.

import picomatch from 'picomatch';
import { InvalidOptionsError } from '../group/errors.ts';
import { joinPath, type ResolvedPath } from '../identity/path.ts';

const OPTIONS = { dot: true, nonegate: true };

/** What to leave out: a glob, or a function that is asked about the path relative to the root, name by name on the way down. */
export type Exclusion = string | ((relative: string) => boolean);

const isGlob = (exclusion: Exclusion): exclusion is string => typeof exclusion === 'string';
const isFunction = (exclusion: Exclusion) => typeof exclusion === 'function';

/**
 * Compiles globs that leave out: one without '/' is compared with each name on the way down from the root, one with '/' with
 * the whole path relative to the root, one that starts with '/' with the absolute path. What is below something left out is
 * left out too. A leading dot is a letter like any.
 *
 * @param roots The absolute paths by which the root is known.
 * @returns undefined when there is no glob.
 * @throws InvalidOptionsError for an empty glob.
 */
export function compileExclusion(
  exclusions: readonly Exclusion[],
  roots: readonly string[] = [],
): ((relative: string) => boolean) | undefined {
  if (exclusions.length === 0) return undefined;
  const globs = exclusions.filter(isGlob);
  if (globs.some((glob) => glob === '')) throw new InvalidOptionsError('exclude: an empty glob matches nothing');
  const plain = globs.map((glob) => glob.replace(/^(\.\/+)+/, '').replace(/(?<=.)\/+$/, ''));
  const matchesName = matcher(plain.filter((glob) => !glob.includes('/')));
  const matchesPath = matcher(plain.filter((glob) => glob.includes('/') && !isAbsolute(glob)));
  const matchesAbsolute = matcher(plain.filter(isAbsolute));
  const functions = exclusions.filter(isFunction);
  const prefixes = matchesAbsolute ? roots.map((root) => (root === '/' ? root : `${root}/`)) : [];
  return (relative) => {
    for (let start = 0; start <= relative.length; ) {
      const slash = relative.indexOf('/', start);
      const end = slash < 0 ? relative.length : slash;
      const path = relative.slice(0, end);
      if (matchesName?.(relative.slice(start, end)) || matchesPath?.(path)) return true;
      if (prefixes.some((prefix) => matchesAbsolute?.(prefix + path))) return true;
      if (functions.some((excludes) => excludes(path))) return true;
      start = end + 1;
    }
    return false;
  };
}

function matcher(globs: readonly string[]): ((text: string) => boolean) | undefined {
  return globs.length > 0 ? picomatch([...globs], OPTIONS) : undefined;
}

const isAbsolute = (glob: string) => glob.startsWith('/');

/** The globs that are compared with single names. */
export function nameGlobs(exclusions: readonly Exclusion[]): string[] {
  return exclusions.filter(isGlob).filter((glob) => !/\/./.test(glob));
}

/**
 * Refuses absolute globs that can match nothing below any root: somebody meant something else by them.
 *
 * @param roots The absolute paths by which the roots are known.
 * @throws InvalidOptionsError
 */
export function assertNear(exclusions: readonly Exclusion[], roots: readonly string[]): void {
  for (const glob of exclusions.filter(isGlob).filter(isAbsolute)) {
    const { base, isGlob: isPattern } = picomatch.scan(glob.replace(/(?<=.)\/+$/, ''));
    const beginning = base === '' ? '/' : base;
    if (
      roots.some((root) => isBelow(beginning, root) || (isPattern && (beginning === root || isBelow(root, beginning))))
    ) {
      continue;
    }
    throw new InvalidOptionsError(
      `exclude: ${JSON.stringify(glob)} matches nothing below ${[...new Set(roots)].join(', ')}: a glob that starts with '/' is an absolute path, without it one relative to what is watched`,
    );
  }
}

function isBelow(path: string, root: string): boolean {
  return path !== root && path.startsWith(root === '/' ? root : `${root}/`);
}

/** Whether a directory, or something else with this path, is at or below `root`. */
export function isAtOrBelow(path: ResolvedPath, root: ResolvedPath): boolean {
  if (path === root) return true;
  if (path.text !== null && root.text !== null) {
    return path.text === root.text || (root.prefix !== null && path.text.startsWith(root.prefix));
  }
  return relativeBytes(path.raw, root.raw) !== undefined;
}

/** Whether `name` in `directory` is `root` itself. */
export function isEntry(directory: ResolvedPath, name: Buffer, root: ResolvedPath): boolean {
  const length = directory.raw.length === 1 ? 1 : directory.raw.length + 1;
  return root.raw.length === length + name.length && root.raw.equals(joinPath(directory.raw, name));
}

/** The path from `root` to something at or below it, as text for globs; undefined when it is elsewhere. */
export function relativePath(path: Buffer, root: ResolvedPath): string | undefined {
  return relativeBytes(path, root.raw)?.toString();
}

const SLASH = 0x2f;

/** The same in bytes. */
export function relativeBytes(path: Buffer, root: Buffer): Buffer | undefined {
  if (root.length === 1) return path.subarray(1);
  if (path.length < root.length || !path.subarray(0, root.length).equals(root)) return undefined;
  if (path.length === root.length) return path.subarray(root.length);
  return path[root.length] === SLASH ? path.subarray(root.length + 1) : undefined;
}
