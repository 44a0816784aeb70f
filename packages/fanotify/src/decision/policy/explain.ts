// Which rule decides on an access, and why none before it does, in words.

import { KINDS } from '../permission.ts';
import type { CompiledGlobs, CompiledNumbers, CompiledPolicy, CompiledRule, ContainerTest } from './compiled.ts';
import { globText } from './glob.ts';
import { type ConditionName, DigestLists, type Reading, RuleTest } from './rule-test.ts';
import type { Place, Subject } from './subject.ts';

/** A rule that was tried. */
export interface TriedRule {
  readonly rule: CompiledRule;
  /** The condition that does not hold; undefined when all do. */
  readonly failed: ConditionName | undefined;
  /** Why it does not match; '' when it does. */
  readonly why: string;
}

export interface Explanation {
  /** Up to the one that matches. */
  readonly tried: readonly TriedRule[];
  /** The rule that matches; undefined where the default decides. */
  readonly rule: CompiledRule | undefined;
  /** Bits of READS: of what the rules read. */
  readonly reads: number;
}

/** Tries each rule in its turn. @param subject Its `sha256` is not undefined. */
export function explainDecision(policy: CompiledPolicy, subject: Subject): Explanation {
  const digests = new DigestLists(policy);
  const reading: Reading = { reads: 0 };
  const tried: TriedRule[] = [];
  for (const rule of policy.rules) {
    const outcome = new RuleTest(rule, digests, false).try(subject, 1 << KINDS.indexOf(subject.kind), reading);
    if (outcome === 'matches') {
      tried.push({ rule, failed: undefined, why: '' });
      return { tried, rule, reads: reading.reads };
    }
    const failed = outcome === 'digestNeeded' ? 'sha256' : outcome;
    tried.push({ rule, failed, why: reasonOf(failed, rule, subject) });
  }
  return { tried, rule: undefined, reads: reading.reads };
}

/** Why a condition does not hold: "path /srv/a is not /home/**". */
function reasonOf(failed: ConditionName, rule: CompiledRule, subject: Subject): string {
  const isNot = (what: string, wanted: string) => `${what} is not ${wanted}`;
  switch (failed) {
    case 'on':
      return isNot(subject.kind, KINDS.filter((_, index) => ((rule.on ?? 0) & (1 << index)) !== 0).join(' or '));
    case 'path':
      return isNot(`path ${placeText(subject.place)}`, globsText(rule.path));
    case 'exe':
      return isNot(`exe ${placeText(subject.exe)}`, globsText(rule.exe));
    case 'ancestor': {
      const names = subject.ancestors.map(placeText).join(', ');
      return `${names === '' ? 'no ancestor' : `of the ancestors ${names} none`} is ${globsText(rule.ancestor)}`;
    }
    case 'owner':
      return isNot(`owner ${knownText(subject.file?.uid)}`, numbersText(rule.owner));
    case 'group':
      return isNot(`group ${knownText(subject.file?.gid)}`, numbersText(rule.group));
    case 'uid':
      return isNot(`uid ${knownText(subject.user?.uid)}`, numbersText(rule.uid));
    case 'gid':
      return isNot(`gid ${knownText(subject.user?.gids.join(', '))}`, numbersText(rule.gid));
    case 'mode':
      return isNot(
        `mode ${knownText(subject.file && `0${(subject.file.mode & 0o7777).toString(8)}`)}`,
        modesText(rule),
      );
    case 'size':
      return isNot(`size ${knownText(subject.file?.sizeBytes)}`, sizeText(rule.size));
    case 'container': {
      const { container } = subject;
      const text = container === null ? 'none' : knownText(container && `${container.runtime} ${container.id}`);
      return isNot(`container ${text}`, halvesText(rule.container, containerText));
    }
    case 'sha256': {
      const isRefused = rule.sha256?.positive.length === 0;
      return `sha256 ${knownText(subject.sha256 ?? undefined)} is ${isRefused ? '' : 'not '}in the rule's list`;
    }
  }
}

function knownText(value: string | number | undefined): string {
  return value === undefined ? 'that is not known' : String(value);
}

function placeText({ state, path }: Place): string {
  if (state === 'here') return path;
  if (state === 'foreign') return `${path} (foreign)`;
  return state === 'elsewhere' ? 'elsewhere (foreign)' : 'that is not known';
}

interface Halves<Item> {
  readonly positive: readonly Item[];
  readonly negative: readonly Item[];
}

const MOST_SHOWN = 4;

/** '/a or /b, but not /a/c' */
function halvesText<Item>(halves: Halves<Item> | undefined, text: (item: Item) => string): string {
  const joined = (items: readonly Item[] = []) => {
    const more = items.length > MOST_SHOWN ? [`${items.length - MOST_SHOWN} more`] : [];
    return [...items.slice(0, MOST_SHOWN).map(text), ...more].join(' or ');
  };
  const wanted = joined(halves?.positive);
  const refused = joined(halves?.negative);
  if (wanted === '') return `anything but ${refused}`;
  return refused === '' ? wanted : `${wanted} but not ${refused}`;
}

function globsText(globs: CompiledGlobs | undefined): string {
  return halvesText(globs, globText);
}

function numbersText(numbers: CompiledNumbers | undefined): string {
  return halvesText(numbers, ([least, most]: readonly [number, number]) =>
    least === most ? String(least) : `${least}-${most}`,
  );
}

function modesText({ mode }: CompiledRule): string {
  return halvesText(mode, (bits: number) => `with a bit of 0${bits.toString(8)}`);
}

function sizeText(size: CompiledRule['size']): string {
  if (!size) return '';
  if (size.least === size.most) return String(size.least);
  if (size.most === Number.MAX_SAFE_INTEGER) return `at least ${size.least}`;
  return size.least === 0 ? `at most ${size.most}` : `${size.least} to ${size.most}`;
}

function containerText(test: ContainerTest): string {
  if (test.kind === 'id') return test.id;
  return test.kind === 'runtime' ? test.runtime : test.kind;
}
