// What each condition of a rule says of one fact. A fact that is not known lets no rule allow; see Place for what others do.

import type { CompiledGlobs, CompiledNumbers, CompiledRule, ContainerTest } from './compiled.ts';
import { globTest } from './glob.ts';
import type { PathTest } from './glob-match.ts';
import type { FileFacts, Place, Subject } from './subject.ts';

/** Globs, ready to be tried. */
export interface PlaceTest {
  readonly positive: readonly PathTest[];
  readonly negative: readonly PathTest[];
  readonly wantsForeign: boolean;
  readonly refusesForeign: boolean;
}

export function placeTest(globs: CompiledGlobs): PlaceTest {
  const isForeign = ({ kind }: { kind: string }) => kind === 'foreign';
  return {
    positive: globs.positive.filter((glob) => !isForeign(glob)).map(globTest),
    negative: globs.negative.filter((glob) => !isForeign(glob)).map(globTest),
    wantsForeign: globs.positive.some(isForeign),
    refusesForeign: globs.negative.some(isForeign),
  };
}

function isAny(tests: readonly PathTest[], path: string): boolean {
  for (const test of tests) if (test(path)) return true;
  return false;
}

function isWanted(test: PlaceTest, { state, path }: Place, allows: boolean): boolean {
  if (test.positive.length === 0 && !test.wantsForeign) return !allows || state === 'here';
  if (test.wantsForeign && state !== 'here') return true;
  if (allows && state !== 'here') return false;
  // What nothing is known of may be what the rule means.
  return path === null ? state === 'unknown' && test.positive.length > 0 : isAny(test.positive, path);
}

function isRefused(test: PlaceTest, { state, path }: Place, allows: boolean): boolean {
  if (test.refusesForeign && state !== 'here') return true;
  return path === null ? allows && state === 'unknown' && test.negative.length > 0 : isAny(test.negative, path);
}

export function placeMatches(test: PlaceTest, place: Place, allows: boolean): boolean {
  return isWanted(test, place, allows) && !isRefused(test, place, allows);
}

/** One ancestor has to be wanted, and none refused. */
export function ancestorsMatch(test: PlaceTest, ancestors: readonly Place[], allows: boolean): boolean {
  const wantsOne = test.positive.length > 0 || test.wantsForeign;
  let isFound = !wantsOne;
  for (const place of ancestors) {
    if (isRefused(test, place, allows)) return false;
    if (!wantsOne) {
      if (allows && place.state !== 'here') return false;
    } else isFound ||= isWanted(test, place, allows);
  }
  return isFound;
}

function isIn(ranges: CompiledNumbers['positive'], value: number): boolean {
  for (const [least, most] of ranges) if (value >= least && value <= most) return true;
  return false;
}

/** What a condition on something unknown is worth: nothing to who allows; else it holds unless it wants something. */
function unknownMatches({ positive }: { readonly positive: readonly unknown[] }, allows: boolean): boolean {
  return !allows && positive.length === 0;
}

export function numberMatches(test: CompiledNumbers, value: number | undefined, allows: boolean): boolean {
  if (value === undefined) return unknownMatches(test, allows);
  return (test.positive.length === 0 || isIn(test.positive, value)) && !isIn(test.negative, value);
}

/** One of several numbers has to be wanted, and none refused. */
export function numbersMatch(test: CompiledNumbers, values: readonly number[] | undefined, allows: boolean): boolean {
  if (values === undefined) return unknownMatches(test, allows);
  let isFound = test.positive.length === 0;
  for (const value of values) {
    if (isIn(test.negative, value)) return false;
    isFound ||= isIn(test.positive, value);
  }
  return isFound;
}

export function modeMatches(
  test: NonNullable<CompiledRule['mode']>,
  file: FileFacts | undefined,
  allows: boolean,
): boolean {
  if (file === undefined) return unknownMatches(test, allows);
  const has = (bits: number) => (file.mode & bits) !== 0;
  return (test.positive.length === 0 || test.positive.some(has)) && !test.negative.some(has);
}

export function sizeMatches(test: NonNullable<CompiledRule['size']>, file: FileFacts | undefined): boolean {
  return file !== undefined && file.sizeBytes >= test.least && file.sizeBytes <= test.most;
}

export function containerMatches(
  test: NonNullable<CompiledRule['container']>,
  container: Subject['container'],
  allows: boolean,
): boolean {
  if (container === undefined) return unknownMatches(test, allows);
  const is = (one: ContainerTest) => {
    if (container === null || one.kind === 'none') return container === null && one.kind === 'none';
    if (one.kind === 'any') return true;
    return one.kind === 'id' ? container.id.startsWith(one.id) : container.runtime === one.runtime;
  };
  return (test.positive.length === 0 || test.positive.some(is)) && !test.negative.some(is);
}

export function digestMatches(
  test: NonNullable<CompiledRule['sha256']>,
  digest: string | null,
  listOf: (index: number) => ReadonlySet<string>,
  allows: boolean,
): boolean {
  if (digest === null) return unknownMatches(test, allows);
  const isListed = (index: number) => listOf(index).has(digest);
  return (test.positive.length === 0 || test.positive.some(isListed)) && !test.negative.some(isListed);
}
