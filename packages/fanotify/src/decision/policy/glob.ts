// Globs of paths: what is written, checked, as the kinds that are looked up rather than tried.

import type { CompiledGlob } from './compiled.ts';
import { type PathTest, patternTest } from './glob-match.ts';
import { GlobError, type GlobSegment, literalOf, readSegment, STAR, withoutBraces } from './glob-text.ts';

const LONGEST_GLOB = 4_096;

/**
 * Compiles a glob. One without a slash is of the file's name, wherever it is.
 *
 * @throws GlobError when it cannot match any path, or cannot be read.
 */
export function compileGlob(glob: string): CompiledGlob[] {
  if (glob === 'foreign') return [{ kind: 'foreign' }];
  if (glob === '') throw new GlobError('it is empty: it matches nothing');
  if (glob.length > LONGEST_GLOB)
    throw new GlobError(`it has more than ${LONGEST_GLOB} characters: no path is as long`);
  return withoutBraces(glob).map(compileAlternative);
}

function compileAlternative(glob: string): CompiledGlob {
  if (glob === '/') return { kind: 'path', path: '/' };
  const isAnywhere = !glob.includes('/') || glob.startsWith('**/');
  if (!isAnywhere && !glob.startsWith('/')) {
    throw new GlobError(`paths are absolute: begin with '/', or with '**/' for anywhere ('**/${glob}')`);
  }
  if (glob.endsWith('/')) throw new GlobError("no path ends with '/': write '/**' at the end for all that is below");
  const texts = (isAnywhere ? `/**/${glob}` : glob).slice(1).split('/');
  if (texts.includes('')) throw new GlobError("no path has '//' in it");
  const segments = texts.map(readSegment).filter((segment, at, all) => segment !== null || all[at - 1] !== null);
  const literals = segments.map(literalOf);
  if (literals.some((text) => text === '.' || text === '..')) {
    throw new GlobError("no path has '.' or '..' in it: write where the file is");
  }
  const wild = literals.indexOf(undefined);
  if (wild < 0) return { kind: 'path', path: `/${literals.join('/')}` };
  const directory = literals
    .slice(0, wild)
    .map((text) => `/${text}`)
    .join('');
  const last = segments.at(-1);
  if (wild === segments.length - 1 && last === null) return { kind: 'below', directory };
  if (segments.length === 2 && segments[0] === null) {
    const name = literals[1];
    if (name !== undefined) return { kind: 'name', name };
    const suffix = suffixOf(last);
    if (suffix) return { kind: 'suffix', suffix };
  }
  const end = literals.at(-1) ?? suffixOf(last);
  const [part] = literals
    .slice(wild, -1)
    .filter((text) => text !== undefined)
    .toSorted((a, b) => b.length - a.length);
  return {
    kind: 'pattern',
    glob: `/${texts.join('/')}`,
    directory,
    ...(part !== undefined && { part }),
    ...(end && { end: literals.at(-1) === undefined ? { suffix: end } : { name: end } }),
  };
}

function suffixOf(segment: GlobSegment | undefined): string | undefined {
  return segment?.[0] === STAR ? literalOf(segment.slice(1)) : undefined;
}

/** A glob as a test of paths. `foreign` is of no path. */
export function globTest(glob: CompiledGlob): PathTest {
  switch (glob.kind) {
    case 'foreign':
      return () => false;
    case 'path':
      return (path) => path === glob.path;
    case 'below': {
      const { directory } = glob;
      const { length } = directory;
      return (path) => path.startsWith(directory) && (path.length === length || path.charCodeAt(length) === 0x2f);
    }
    case 'name': {
      const end = `/${glob.name}`;
      return (path) => path.endsWith(end);
    }
    case 'suffix':
      return (path) => path.endsWith(glob.suffix);
    case 'pattern':
      return patternTest(glob.glob);
  }
}

/** A glob as it may have been written. */
export function globText(glob: CompiledGlob): string {
  switch (glob.kind) {
    case 'foreign':
      return 'foreign';
    case 'path':
      return glob.path;
    case 'below':
      return `${glob.directory}/**`;
    case 'name':
      return glob.name;
    case 'suffix':
      return `*${glob.suffix}`;
    case 'pattern':
      return glob.glob.startsWith('/**/') && !glob.glob.slice(4).includes('/') ? glob.glob.slice(4) : glob.glob;
  }
}
