// Decides by a policy: the first rule that matches. Thousands of rules cost what a few do, since those that cannot match are not tried.

import { KINDS } from '../permission.ts';
import type { CompiledPolicy, CompiledRule } from './compiled.ts';
import { canBeFound, PlaceIndex } from './place-index.ts';
import { DigestLists, type Reading, RuleTest } from './rule-test.ts';
import { READS, type Subject } from './subject.ts';

/** No rule matches. */
export const NO_RULE = -1;
/** The sha256 of the file has to be computed first. */
export const DIGEST_NEEDED = -2;

const NEVER = Number.MAX_SAFE_INTEGER;
/** User numbers of a rule that are found by number; more are tried. */
const MOST_USERS = 256;

/**
 * Rules by one key. Nothing of it is read before the first of them is to be tried: `firsts`, by kind, tells which that is.
 */
class Keyed {
  readonly firsts: number[] = KINDS.map(() => NEVER);

  note(rule: CompiledRule, number: number): void {
    for (let kind = 0; kind < KINDS.length; kind++) {
      if (rule.on === undefined || (rule.on & (1 << kind)) !== 0) {
        this.firsts[kind] = Math.min(this.firsts[kind] ?? NEVER, number);
      }
    }
  }
}

/**
 * Decides by the rules of a policy, with no kernel: what a guard does with each access that it holds.
 *
 * @example
 * import { PolicyEvaluator, parsePolicy } from 'fanotify';
 * const { compiled } = parsePolicy('version: 1\nrules:\n  - { path: "*.exe", uid: 1000-1999, action: deny }\n');
 * const evaluator = new PolicyEvaluator(compiled);
 * const access = {
 *   kind: 'open',
 *   place: { state: 'here', path: '/srv/setup.exe' },
 *   file: { uid: 0, gid: 0, mode: 0o100644, sizeBytes: 10 },
 *   exe: { state: 'here', path: '/usr/bin/wine' },
 *   user: { uid: 1000, gids: [1000] },
 *   ancestors: [],
 *   container: null,
 *   sha256: undefined,
 * };
 * console.log(evaluator.decide(access)); // 0: the first rule
 * console.log(evaluator.decide({ ...access, user: { uid: 0, gids: [0] } })); // -1: none
 */
export class PolicyEvaluator implements Reading {
  /** Bits of READS: what the last decision read. Nothing else of the subject has any bearing on it. */
  reads = 0;
  readonly #rules: readonly CompiledRule[];
  readonly #digests: DigestLists;
  /** Made when they are first tried. */
  readonly #tests: (RuleTest | undefined)[];
  readonly #paths = new PlaceIndex();
  readonly #exes = new PlaceIndex();
  readonly #users = new Map<number, number[]>();
  readonly #pathKeyed = new Keyed();
  readonly #exeKeyed = new Keyed();
  readonly #userKeyed = new Keyed();
  /** Rules that no key finds. */
  readonly #others: number[] = [];
  /** Lists of rules that are gone through together, and how far each is: of the decision under way. */
  readonly #lists: (readonly number[])[] = [];
  readonly #at: number[] = [];
  #count = 0;

  constructor(policy: CompiledPolicy) {
    this.#rules = policy.rules;
    this.#digests = new DigestLists(policy);
    this.#tests = policy.rules.map(() => undefined);
    for (const [number, rule] of policy.rules.entries()) this.#enter(rule, number);
  }

  /**
   * The index of the first rule that matches, counted from 0; -1 when none does; -2 when the `sha256` of the subject is undefined and has
   * to be computed first. What is not read of the subject is not asked for: its facts can be getters.
   */
  decide(subject: Subject): number {
    const kind = KINDS.indexOf(subject.kind);
    let path = this.#pathKeyed.firsts[kind] ?? NEVER;
    let exe = this.#exeKeyed.firsts[kind] ?? NEVER;
    let user = this.#userKeyed.firsts[kind] ?? NEVER;
    this.reads = 0;
    this.#count = 0;
    if (this.#others.length > 0) this.#go(this.#others);
    for (let before = -1; ; ) {
      const list = this.#lowest();
      const number = list < 0 ? NEVER : (this.#lists[list]?.[this.#at[list] ?? 0] ?? NEVER);
      const keyed = Math.min(path, exe, user);
      if (keyed < number) {
        if (keyed === path) {
          path = NEVER;
          this.reads |= READS.path;
          this.#paths.find(subject.place, this.#go);
        } else if (keyed === exe) {
          exe = NEVER;
          this.reads |= READS.process;
          this.#exes.find(subject.exe, this.#go);
        } else {
          user = NEVER;
          this.reads |= READS.process;
          this.#findUser(subject);
        }
        continue;
      }
      if (list < 0) return NO_RULE;
      this.#at[list] = (this.#at[list] ?? 0) + 1;
      // Several of its globs may have found it.
      if (number === before) continue;
      before = number;
      const outcome = this.#testOf(number)?.try(subject, 1 << kind, this);
      if (outcome === 'matches') return number;
      if (outcome === 'digestNeeded') return DIGEST_NEEDED;
    }
  }

  #enter(rule: CompiledRule, number: number): void {
    const readsFile = rule.owner || rule.group || rule.mode || rule.size;
    if (rule.path && isFoundByPath(rule)) {
      this.#paths.add(rule.path.positive, number);
      this.#pathKeyed.note(rule, number);
    } else if (rule.path || readsFile) this.#others.push(number);
    else if (rule.exe && canBeFound(rule.exe.positive)) {
      this.#exes.add(rule.exe.positive, number);
      this.#exeKeyed.note(rule, number);
    } else if (rule.exe || !rule.uid || !this.#enterUsers(rule.uid.positive, number)) this.#others.push(number);
    else this.#userKeyed.note(rule, number);
  }

  #enterUsers(ranges: readonly (readonly [number, number])[], number: number): boolean {
    const size = ranges.reduce((sum, [least, most]) => sum + most - least + 1, 0);
    if (size === 0 || size > MOST_USERS) return false;
    for (const [least, most] of ranges) {
      for (let uid = least; uid <= most; uid++) {
        const rules = this.#users.get(uid);
        if (!rules) this.#users.set(uid, [number]);
        else if (rules.at(-1) !== number) rules.push(number);
      }
    }
    return true;
  }

  #findUser({ user }: Subject): void {
    const rules = user && this.#users.get(user.uid);
    if (rules) this.#go(rules);
  }

  readonly #go = (rules: readonly number[]): void => {
    this.#lists[this.#count] = rules;
    this.#at[this.#count++] = 0;
  };

  /** The list whose next rule has the lowest number; lists at their end are dropped. */
  #lowest(): number {
    let lowest = -1;
    let least = NEVER;
    for (let list = 0; list < this.#count; list++) {
      const next = this.#lists[list]?.[this.#at[list] ?? 0];
      if (next === undefined) {
        const last = --this.#count;
        this.#lists[list] = this.#lists[last] ?? [];
        this.#at[list--] = this.#at[last] ?? 0;
      } else if (next < least) {
        least = next;
        lowest = list;
      }
    }
    return lowest;
  }

  #testOf(number: number): RuleTest | undefined {
    let test = this.#tests[number];
    const rule = this.#rules[number];
    if (!test && rule) {
      test = new RuleTest(rule, this.#digests, isFoundByPath(rule));
      this.#tests[number] = test;
    }
    return test;
  }
}

function isFoundByPath({ path }: CompiledRule): boolean {
  return path !== undefined && canBeFound(path.positive);
}
