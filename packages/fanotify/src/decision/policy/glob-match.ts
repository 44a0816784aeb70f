// Whether a path is one that a pattern means: in time that grows with the length of the path, whatever its names are.

import { ANY, literalOf, type NameToken, readSegment, STAR } from './glob-text.ts';

/** Tells of an absolute path, without slash at its end, '//', '.' or '..', whether it matches. */
export type PathTest = (path: string) => boolean;

/** What a name has to be: this, what these tokens mean, or null for any number of names. */
type Wanted = string | readonly NameToken[] | null;

interface Pattern {
  /** What each path begins with and ends with: most paths are none of a pattern, and that is seen at a glance. */
  readonly start: string;
  readonly end: string;
  /** Of what is after `start`. */
  readonly names: readonly Wanted[];
}

/** A glob without braces that begins with '/', as a test. It is read when it is first needed. */
export function patternTest(glob: string): PathTest {
  let pattern: Pattern | undefined;
  return (path) => {
    pattern ??= readPattern(glob);
    const { start, end, names } = pattern;
    return path.startsWith(start) && path.endsWith(end) && matchesNames(names, path, start.length);
  };
}

function readPattern(glob: string): Pattern {
  const segments = glob.slice(1).split('/').map(readSegment);
  const names = segments.map((segment) => literalOf(segment) ?? segment);
  // The last name is not among them: what is below a directory begins with the directory itself.
  const wild = names.findIndex((name, at) => typeof name !== 'string' || names[at + 1] === null);
  const last = segments.at(-1);
  return {
    start: `/${names
      .slice(0, wild)
      .map((name) => `${name}/`)
      .join('')}`,
    end: literalOf(last) ?? (last?.[0] === STAR ? (literalOf(last.slice(1)) ?? '') : ''),
    names: names.slice(wild),
  };
}

/**
 * Names one by one. Where one fails, the last `**` takes one name more: what an earlier one could take instead, that one can too, so
 * that nothing is tried twice.
 */
function matchesNames(names: readonly Wanted[], path: string, start: number): boolean {
  const { length } = path;
  let name = 0;
  let at = length === 1 ? 2 : start;
  let starName = -1;
  let starAt = 0;
  while (at <= length) {
    const wanted = names[name];
    if (wanted === null) {
      starName = name++;
      starAt = at;
      continue;
    }
    if (wanted !== undefined) {
      const end = typeof wanted === 'string' ? at + wanted.length : endOfName(path, at);
      if (typeof wanted === 'string' ? isName(wanted, path, at) : matchesName(wanted, path, at, end)) {
        name++;
        at = end + 1;
        continue;
      }
    }
    if (starName < 0) return false;
    starAt = endOfName(path, starAt) + 1;
    at = starAt;
    name = starName + 1;
  }
  while (names[name] === null) name++;
  return name === names.length;
}

function isName(name: string, path: string, at: number): boolean {
  const end = at + name.length;
  return path.startsWith(name, at) && (end === path.length || path.charCodeAt(end) === 0x2f);
}

function endOfName(path: string, start: number): number {
  const slash = path.indexOf('/', start);
  return slash < 0 ? path.length : slash;
}

/** The same for the characters of a name, and `*`. */
function matchesName(tokens: readonly NameToken[], text: string, start: number, end: number): boolean {
  if (start === end) return false;
  let token = 0;
  let at = start;
  let starToken = -1;
  let starAt = 0;
  while (at < end) {
    const wanted = tokens[token];
    if (wanted === STAR) {
      starToken = token++;
      starAt = at;
      continue;
    }
    const point = text.codePointAt(at) ?? 0;
    if (wanted !== undefined && isMeant(wanted, point)) {
      token++;
      at += point > 0xffff ? 2 : 1;
      continue;
    }
    if (starToken < 0) return false;
    starAt += (text.codePointAt(starAt) ?? 0) > 0xffff ? 2 : 1;
    at = starAt;
    token = starToken + 1;
  }
  while (tokens[token] === STAR) token++;
  return token === tokens.length;
}

function isMeant(token: NameToken, point: number): boolean {
  if (typeof token === 'number') return token === point || token === ANY;
  for (const [from, to] of token.ranges) if (point >= from && point <= to) return !token.isNegated;
  return token.isNegated;
}
