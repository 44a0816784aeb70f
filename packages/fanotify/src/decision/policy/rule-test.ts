// One rule as a test of an access: its conditions, the cheap ones first, each read only when those before it hold.

import type { CompiledPolicy, CompiledRule } from './compiled.ts';
import {
  ancestorsMatch,
  containerMatches,
  digestMatches,
  modeMatches,
  numberMatches,
  numbersMatch,
  type PlaceTest,
  placeMatches,
  placeTest,
  sizeMatches,
} from './conditions.ts';
import { READS, type Subject } from './subject.ts';

/** In the order in which they are tried. */
export const CONDITIONS = [
  'on',
  'path',
  'owner',
  'group',
  'mode',
  'size',
  'exe',
  'uid',
  'gid',
  'container',
  'ancestor',
  'sha256',
] as const;
export type ConditionName = (typeof CONDITIONS)[number];

export type Outcome = 'matches' | 'digestNeeded' | ConditionName;

/** The lists of digests of a policy, as sets that are made when they are first needed. */
export class DigestLists {
  readonly #lists: readonly (readonly string[])[];
  readonly #sets = new Map<number, ReadonlySet<string>>();

  constructor({ digests }: Pick<CompiledPolicy, 'digests'>) {
    this.#lists = digests;
  }

  readonly of = (index: number): ReadonlySet<string> => {
    let set = this.#sets.get(index);
    if (!set) {
      set = new Set(this.#lists[index]);
      this.#sets.set(index, set);
    }
    return set;
  };
}

/** What was read so far, as bits of READS. */
export interface Reading {
  reads: number;
}

const ALL_KINDS = 15;
/** Kinds of globs that match whatever they are looked up for. */
const EXACT = new Set(['path', 'below', 'name', 'suffix']);

export class RuleTest {
  // Rules have all sorts of shapes: what is read of each of them is copied.
  readonly #on: number;
  readonly #allows: boolean;
  readonly #isOfPathAlone: boolean;
  /** Whether a place that the rule was found by matches. */
  readonly #isFound: boolean;
  readonly #rule: CompiledRule;
  readonly #digests: DigestLists;
  readonly #path: PlaceTest | undefined;
  readonly #exe: PlaceTest | undefined;
  readonly #ancestor: PlaceTest | undefined;

  /** @param isFoundByPath It is tried only on places that one of its globs was looked up for, or that are not known. */
  constructor(rule: CompiledRule, digests: DigestLists, isFoundByPath: boolean) {
    const { on = ALL_KINDS, action, path, exe, ancestor, owner, group, mode, size, uid, gid, container, sha256 } = rule;
    this.#on = on;
    this.#allows = action === 'allow';
    this.#isOfPathAlone = [exe, ancestor, owner, group, mode, size, uid, gid, container, sha256].every(
      (condition) => condition === undefined,
    );
    this.#isFound = isFoundByPath && path?.negative.length === 0 && path.positive.every(({ kind }) => EXACT.has(kind));
    this.#rule = rule;
    this.#digests = digests;
    this.#path = path && placeTest(path);
    this.#exe = exe && placeTest(exe);
    this.#ancestor = ancestor && placeTest(ancestor);
  }

  /**
   * Whether it matches, or which condition does not hold. What is read is added to `reading`, before it is.
   *
   * @param kindBit 1 << index of the subject's kind in KINDS.
   */
  try(subject: Subject, kindBit: number, reading: Reading): Outcome {
    if ((this.#on & kindBit) === 0) return 'on';
    if (this.#isFound) {
      reading.reads |= READS.path;
      const { state } = subject.place;
      if (this.#allows && state !== 'here') return 'path';
    } else if (this.#path) {
      reading.reads |= READS.path;
      if (!placeMatches(this.#path, subject.place, this.#allows)) return 'path';
    }
    return this.#isOfPathAlone ? 'matches' : this.#tryRest(subject, reading);
  }

  #tryRest(subject: Subject, reading: Reading): Outcome {
    const rule = this.#rule;
    const allows = this.#allows;
    if (rule.owner || rule.group || rule.mode || rule.size) {
      const failed = this.#tryFile(subject, reading);
      if (failed) return failed;
    }
    if (this.#exe) {
      reading.reads |= READS.process;
      if (!placeMatches(this.#exe, subject.exe, allows)) return 'exe';
    }
    if (rule.uid) {
      reading.reads |= READS.process;
      if (!numberMatches(rule.uid, subject.user?.uid, allows)) return 'uid';
    }
    if (rule.gid) {
      reading.reads |= READS.process;
      if (!numbersMatch(rule.gid, subject.user?.gids, allows)) return 'gid';
    }
    if (rule.container) {
      reading.reads |= READS.process;
      if (!containerMatches(rule.container, subject.container, allows)) return 'container';
    }
    if (this.#ancestor) {
      reading.reads |= READS.process;
      if (!ancestorsMatch(this.#ancestor, subject.ancestors, allows)) return 'ancestor';
    }
    if (rule.sha256) {
      reading.reads |= READS.content;
      const digest = subject.sha256;
      if (digest === undefined) return 'digestNeeded';
      if (!digestMatches(rule.sha256, digest, this.#digests.of, allows)) return 'sha256';
    }
    return 'matches';
  }

  #tryFile(subject: Subject, reading: Reading): ConditionName | undefined {
    const { owner, group, mode, size } = this.#rule;
    const allows = this.#allows;
    if (owner || group || mode) reading.reads |= READS.inode;
    else reading.reads |= READS.content;
    const { file } = subject;
    if (owner && !numberMatches(owner, file?.uid, allows)) return 'owner';
    if (group && !numberMatches(group, file?.gid, allows)) return 'group';
    if (mode && !modeMatches(mode, file, allows)) return 'mode';
    if (size) reading.reads |= READS.content;
    if (size && !sizeMatches(size, file)) return 'size';
    return undefined;
  }
}
