// A glob as text: its braces spelt out, and each of its names read into what they are matched by.
//
// The globs of policies are our own, not picomatch's. There, names with brackets or quotes mean something else than they say, and the
// regular expressions made of them backtrack: on names that an attacker chooses `**/a*b*c*d*` takes minutes, in the loop that answers
// the kernel. What is common to both matches the same: the tests compare them.

/** What one character of a name is matched by: itself (its code point), any, any number of any, or some. */
export type NameToken = number | CharacterClass;

export interface CharacterClass {
  readonly isNegated: boolean;
  /** Code points, both ends included. */
  readonly ranges: readonly (readonly [number, number])[];
}

/** Any character: `?`. */
export const ANY = -1;
/** Any number of characters: `*`. */
export const STAR = -2;

/** What stands between two slashes. Null: `**`, any number of names. */
export type GlobSegment = readonly NameToken[] | null;

/** Why a glob cannot be used: a sentence. */
export class GlobError extends Error {
  static {
    GlobError.prototype.name = 'GlobError';
  }
}

const MOST_ALTERNATIVES = 1_000;

/** Spells braces out: `a{b,c}` as `ab` and `ac`. @throws GlobError */
export function withoutBraces(glob: string): string[] {
  let alternatives = [''];
  const append = (text: string) => {
    alternatives = alternatives.map((before) => before + text);
  };
  for (let at = 0; at < glob.length; ) {
    const character = glob[at] ?? '';
    if (character === '\\') {
      append(glob.slice(at, at + 2));
      at += 2;
    } else if (character === '[') {
      const end = endOfClass(glob, at);
      append(glob.slice(at, end));
      at = end;
    } else if (character === '{') {
      const { parts, end } = partsOfBraces(glob, at);
      const spelt = parts.flatMap(withoutBraces);
      if (alternatives.length * spelt.length > MOST_ALTERNATIVES) {
        throw new GlobError(`its braces stand for more than ${MOST_ALTERNATIVES} globs: write fewer`);
      }
      alternatives = alternatives.flatMap((before) => spelt.map((text) => before + text));
      at = end;
    } else if (character === '}') {
      throw new GlobError("'}' has no '{' before it: write '\\}' if the name has one");
    } else {
      append(character);
      at++;
    }
  }
  return alternatives;
}

function partsOfBraces(glob: string, start: number): { parts: string[]; end: number } {
  const parts: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let at = start + 1; at < glob.length; at++) {
    const character = glob[at];
    if (character === '\\') at++;
    else if (character === '[') at = endOfClass(glob, at) - 1;
    else if (character === '{') depth++;
    else if (character === ',' && depth === 0) {
      parts.push(glob.slice(from, at));
      from = at + 1;
    } else if (character === '}' && depth-- === 0) {
      if (parts.length === 0)
        throw new GlobError("braces hold a choice, as in '{a,b}': write '\\{' if the name has one");
      return { parts: [...parts, glob.slice(from, at)], end: at + 1 };
    }
  }
  throw new GlobError("'{' is not closed: write '\\{' if the name has one");
}

/** Where a class ends, after its bracket. */
function endOfClass(glob: string, start: number): number {
  let at = start + 1;
  if (glob[at] === '!' || glob[at] === '^') at++;
  for (let first = true; at < glob.length && glob[at] !== '/'; first = false) {
    if (glob[at] === ']' && !first) return at + 1;
    at += glob[at] === '\\' ? 2 : 1;
  }
  throw new GlobError("'[' is not closed: write '\\[' if the name has one");
}

/** Reads what stands between two slashes. Braces are characters here. @throws GlobError */
export function readSegment(text: string): GlobSegment {
  if (text === '**') return null;
  const tokens: NameToken[] = [];
  for (let at = 0; at < text.length; ) {
    const character = text[at] ?? '';
    if ('?*+@!'.includes(character) && text[at + 1] === '(') {
      throw new GlobError(`'${character}(' is not known here: write '{a,b}' for a choice, '\\(' for a bracket`);
    }
    if (character === '[') {
      const end = endOfClass(text, at);
      tokens.push(readClass(text.slice(at + 1, end - 1)));
      at = end;
      continue;
    }
    if (character === '*') {
      if (text[at + 1] === '*') throw new GlobError("'**' stands alone between slashes, as in '/srv/**/*.exe'");
      tokens.push(STAR);
      at++;
      continue;
    }
    if (character === '?') {
      tokens.push(ANY);
      at++;
      continue;
    }
    if (character === '\\' && at + 1 === text.length) throw new GlobError("'\\' has nothing behind it");
    const point = text.codePointAt(character === '\\' ? at + 1 : at) ?? 0;
    if (point === 0) throw new GlobError('no name has a NUL in it');
    // A byte that is no UTF-8 is read as one: a name that has none would match.
    if (point === 0xfffd) throw new GlobError("U+FFFD stands for what cannot be read: write '?'");
    tokens.push(point);
    at += (character === '\\' ? 1 : 0) + (point > 0xffff ? 2 : 1);
  }
  return tokens;
}

function readClass(inside: string): CharacterClass {
  const isNegated = inside[0] === '!' || inside[0] === '^';
  const points: { point: number; isLiteral: boolean }[] = [];
  const characters = [...inside.slice(isNegated ? 1 : 0)];
  for (let at = 0; at < characters.length; at++) {
    const isLiteral = characters[at] === '\\';
    points.push({ point: characters[isLiteral ? ++at : at]?.codePointAt(0) ?? 0, isLiteral });
  }
  if (/^\[[:.=]/.test(inside) || /[^\\]\[[:.=]/.test(inside)) {
    throw new GlobError("classes by name, as '[[:alpha:]]', are not known here: write '[a-zA-Z]'");
  }
  const ranges: [number, number][] = [];
  for (let at = 0; at < points.length; at++) {
    const from = points[at]?.point ?? 0;
    const dash = points[at + 1];
    const to = points[at + 2];
    if (dash?.point === 0x2d && !dash.isLiteral && to) {
      if (to.point < from) throw new GlobError(`'[${inside}]' has a range that goes backwards`);
      ranges.push([from, to.point]);
      at += 2;
    } else ranges.push([from, from]);
  }
  return { isNegated, ranges };
}

/** The text that tokens stand for, when there is but one. */
export function literalOf(segment: GlobSegment | undefined): string | undefined {
  if (!segment) return undefined;
  let text = '';
  for (const token of segment) {
    if (typeof token !== 'number' || token < 0) return undefined;
    text += String.fromCodePoint(token);
  }
  return text;
}
