// What a policy decides, written down from its documentation: rule by rule, with picomatch, and with nothing to make it fast.

import picomatch from 'picomatch';
import { KINDS } from '../../../src/decision/permission.ts';
import type {
  CompiledGlob,
  CompiledGlobs,
  CompiledNumbers,
  CompiledRule,
} from '../../../src/decision/policy/compiled.ts';
import type { Place, Subject } from '../../../src/decision/policy/subject.ts';

/** A rule as it was written: globs as texts. */
export interface PlainGlobs {
  readonly positive: readonly string[];
  readonly negative: readonly string[];
}
export type PlainRule = Omit<CompiledRule, 'path' | 'exe' | 'ancestor'> & {
  readonly path?: PlainGlobs | undefined;
  readonly exe?: PlainGlobs | undefined;
  readonly ancestor?: PlainGlobs | undefined;
};

const PICOMATCH = { dot: true, nonegate: true, flags: 's' };

/** Whether a glob matches a path: without '/' its name. */
export function plainGlobMatches(glob: string, path: string): boolean {
  if (glob === '**' || glob === '/**') return true;
  // Any number of directories may be none, also at the beginning.
  if (glob.startsWith('/**/')) return plainGlobMatches(glob.slice(1), path);
  // What is below a directory begins with it, also where the glob has a wildcard before: picomatch makes a difference there.
  if (glob.endsWith('/**') && plainGlobMatches(glob.slice(0, -3), path)) return true;
  if (path === '/') return glob === '/';
  // picomatch takes '!' in a class for a character, and lets a negated class match a slash. Paths are given to it without the slash
  // at their beginning: it may take what is before that for a name.
  const matches = picomatch(glob.replaceAll('[!a]', '[^a/]').replace(/^\//, ''), PICOMATCH);
  return matches(glob.includes('/') ? path.slice(1) : path.slice(path.lastIndexOf('/') + 1));
}

/** The index of the first rule that matches, -1 for none, -2 when it takes the sha256. */
export function referenceDecision(
  rules: readonly PlainRule[],
  digests: readonly (readonly string[])[],
  subject: Subject,
): number {
  for (const [index, rule] of rules.entries()) {
    const allows = rule.action === 'allow';
    const { file, user, container, sha256 } = subject;
    if (rule.on !== undefined && (rule.on & (1 << KINDS.indexOf(subject.kind))) === 0) continue;
    if (rule.path && !place(rule.path, subject.place, allows)) continue;
    if (rule.owner && !numbers(rule.owner, file && [file.uid], allows)) continue;
    if (rule.group && !numbers(rule.group, file && [file.gid], allows)) continue;
    if (rule.mode) {
      const isSet = (bits: number) => ((file?.mode ?? 0) & bits) !== 0;
      if (!halves(rule.mode, file === undefined, isSet, allows)) continue;
    }
    if (rule.size && !(file && file.sizeBytes >= rule.size.least && file.sizeBytes <= rule.size.most)) continue;
    if (rule.exe && !place(rule.exe, subject.exe, allows)) continue;
    if (rule.uid && !numbers(rule.uid, user && [user.uid], allows)) continue;
    if (rule.gid && !numbers(rule.gid, user?.gids, allows)) continue;
    if (rule.container) {
      const isSo = (test: { kind: string; id?: string; runtime?: string }) => {
        if (!container) return test.kind === 'none';
        if (test.kind === 'id') return container.id.startsWith(test.id ?? '?');
        return test.kind === 'any' || (test.kind === 'runtime' && container.runtime === test.runtime);
      };
      if (!halves(rule.container, container === undefined, isSo, allows)) continue;
    }
    if (rule.ancestor && !ancestors(rule.ancestor, subject.ancestors, allows)) continue;
    if (rule.sha256) {
      if (sha256 === undefined) return -2;
      const isListed = (list: number) => digests[list]?.includes(sha256 ?? '') === true;
      if (!halves(rule.sha256, sha256 === null, isListed, allows)) continue;
    }
    return index;
  }
  return -1;
}

function halves<Item>(
  test: { readonly positive: readonly Item[]; readonly negative: readonly Item[] },
  isUnknown: boolean,
  isSo: (item: Item) => boolean,
  allows: boolean,
): boolean {
  if (isUnknown) return !allows && test.positive.length === 0;
  return (test.positive.length === 0 || test.positive.some(isSo)) && !test.negative.some(isSo);
}

function numbers(test: CompiledNumbers, values: readonly number[] | undefined, allows: boolean): boolean {
  const isSo = ([least, most]: readonly [number, number]) =>
    (values ?? []).some((value) => value >= least && value <= most);
  return halves(test, values === undefined, isSo, allows);
}

/** Whether a glob means a place; undefined where that cannot be told. */
function means(glob: string, { state, path }: Place): boolean | undefined {
  if (glob === 'foreign') return state !== 'here';
  if (state === 'unknown') return undefined;
  return path !== null && plainGlobMatches(glob, path);
}

function wanted({ positive }: PlainGlobs, at: Place, allows: boolean): boolean {
  if (positive.length === 0) return !allows || at.state === 'here';
  return positive.some((glob) => {
    if (glob !== 'foreign' && allows && at.state !== 'here') return false;
    return means(glob, at) ?? true;
  });
}

function refused({ negative }: PlainGlobs, at: Place, allows: boolean): boolean {
  return negative.some((glob) => means(glob, at) ?? allows);
}

function place(test: PlainGlobs, at: Place, allows: boolean): boolean {
  return wanted(test, at, allows) && !refused(test, at, allows);
}

function ancestors(test: PlainGlobs, places: readonly Place[], allows: boolean): boolean {
  if (places.some((at) => refused(test, at, allows))) return false;
  if (test.positive.length > 0) return places.some((at) => wanted(test, at, allows));
  return !allows || places.every(({ state }) => state === 'here');
}

/** The globs of a rule as policies have them. */
export function compiledWith(compile: (glob: string) => CompiledGlob[]): (rule: PlainRule) => CompiledRule {
  const globs = (plain: PlainGlobs | undefined): CompiledGlobs | undefined =>
    plain && { positive: plain.positive.flatMap(compile), negative: plain.negative.flatMap(compile) };
  return ({ path, exe, ancestor, ...rest }) =>
    ({
      ...rest,
      ...(path && { path: globs(path) }),
      ...(exe && { exe: globs(exe) }),
      ...(ancestor && { ancestor: globs(ancestor) }),
    }) as CompiledRule;
}
