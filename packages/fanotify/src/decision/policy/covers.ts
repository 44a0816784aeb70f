// Whether one rule matches whatever another does. A 'no' may be wrong, a 'yes' is not.

import type { CompiledGlob, CompiledGlobs, CompiledNumbers, CompiledRule, ContainerTest } from './compiled.ts';
import { globTest } from './glob.ts';

/** What conditions consist of: something that is wanted, and something that is refused. */
interface Halves<Item> {
  readonly positive: readonly Item[];
  readonly negative: readonly Item[];
}

/** Whether `earlier` matches all that `later` matches, so that `later` never decides. */
export function covers(earlier: CompiledRule, later: CompiledRule, digests: readonly (readonly string[])[]): boolean {
  // What is not known keeps a rule from allowing, while others may still match.
  if (earlier.action === 'allow' && later.action !== 'allow' && asksForFacts(earlier)) return false;
  if (earlier.on !== undefined && ((later.on ?? ~0) & ~earlier.on) !== 0) return false;
  return (
    coversPlaces(earlier.path, later.path, earlier.action) &&
    coversPlaces(earlier.exe, later.exe, earlier.action) &&
    coversPlaces(earlier.ancestor, later.ancestor, earlier.action) &&
    coversHalves<CompiledNumbers['positive'][number]>(earlier.uid, later.uid, rangeCovers) &&
    coversHalves<CompiledNumbers['positive'][number]>(earlier.gid, later.gid, rangeCovers) &&
    coversHalves<CompiledNumbers['positive'][number]>(earlier.owner, later.owner, rangeCovers) &&
    coversHalves<CompiledNumbers['positive'][number]>(earlier.group, later.group, rangeCovers) &&
    coversHalves(earlier.mode, later.mode, (all, some) => (some & ~all) === 0) &&
    coversHalves(earlier.container, later.container, containerCovers) &&
    coversHalves(earlier.sha256, later.sha256, (all, some) => all === some || isSubset(digests[some], digests[all])) &&
    (!earlier.size ||
      (later.size !== undefined && earlier.size.least <= later.size.least && earlier.size.most >= later.size.most))
  );
}

function asksForFacts({ path, exe, ancestor, uid, gid, owner, group, mode, container, sha256, size }: CompiledRule) {
  return [path, exe, ancestor, uid, gid, owner, group, mode, container, sha256, size].some(
    (test) => test !== undefined,
  );
}

function coversPlaces(
  earlier: CompiledGlobs | undefined,
  later: CompiledGlobs | undefined,
  action: CompiledRule['action'],
): boolean {
  // A rule that allows, and says only where not, is of places here alone; what another wants may be foreign.
  const isOfHere = action === 'allow' && earlier?.positive.length === 0;
  return !(isOfHere && later && later.positive.length > 0) && coversHalves(earlier, later, globCovers);
}

/** All that `later` wants is wanted by `earlier`, and all that `earlier` refuses is refused by `later`. */
function coversHalves<Item>(
  earlier: Halves<Item> | undefined,
  later: Halves<Item> | undefined,
  itemCovers: (all: Item, some: Item) => boolean,
): boolean {
  if (!earlier) return true;
  if (!later) return false;
  const isWithin = (some: Item, items: readonly Item[]) => items.some((all) => itemCovers(all, some));
  if (earlier.positive.length > 0) {
    if (later.positive.length === 0) return false;
    if (!later.positive.every((some) => isWithin(some, earlier.positive))) return false;
  }
  return earlier.negative.every((some) => isWithin(some, later.negative));
}

function rangeCovers(all: readonly [number, number], some: readonly [number, number]): boolean {
  return all[0] <= some[0] && all[1] >= some[1];
}

function containerCovers(all: ContainerTest, some: ContainerTest): boolean {
  if (all.kind === 'any') return some.kind !== 'none';
  if (all.kind === 'none') return some.kind === 'none';
  if (all.kind === 'id') return some.kind === 'id' && some.id.startsWith(all.id);
  return some.kind === 'runtime' && some.runtime === all.runtime;
}

function isSubset(some: readonly string[] = [], all: readonly string[] = []): boolean {
  if (some.length > all.length) return false;
  const known = new Set(all);
  return some.every((digest) => known.has(digest));
}

function isBelow(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Whether a glob matches all paths that another does. */
function globCovers(all: CompiledGlob, some: CompiledGlob): boolean {
  if (all.kind === 'foreign' || some.kind === 'foreign') return all.kind === some.kind;
  if (some.kind === 'path') return globTest(all)(some.path);
  switch (all.kind) {
    case 'path':
      return false;
    case 'below':
      if (some.kind === 'below' || some.kind === 'pattern') return isBelow(all.directory, some.directory);
      return all.directory === '';
    case 'name':
      return some.kind === 'name' ? some.name === all.name : some.kind === 'pattern' && endOf(some) === `/${all.name}`;
    case 'suffix':
      if (some.kind === 'name') return some.name.endsWith(all.suffix);
      if (some.kind === 'suffix') return some.suffix.endsWith(all.suffix);
      return some.kind === 'pattern' && endOf(some).endsWith(all.suffix);
    case 'pattern':
      return some.kind === 'pattern' && some.glob === all.glob;
  }
}

/** What each path of a pattern ends with, as far as that is known without reading it. */
function endOf({ end }: Extract<CompiledGlob, { kind: 'pattern' }>): string {
  if (!end) return '';
  return 'name' in end ? `/${end.name}` : end.suffix;
}
