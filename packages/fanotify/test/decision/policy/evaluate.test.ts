// The compiled policy against the plain one, on random rules and accesses.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CompiledPolicy, CompiledRule } from '../../../src/decision/policy/compiled.ts';
import { covers } from '../../../src/decision/policy/covers.ts';
import { PolicyEvaluator } from '../../../src/decision/policy/evaluate.ts';
import { explainDecision } from '../../../src/decision/policy/explain.ts';
import { compileGlob, globTest } from '../../../src/decision/policy/glob.ts';
import { READS, type Subject } from '../../../src/decision/policy/subject.ts';
import { DIGESTS, glob, type PlainSubject, path, rule, subject } from './arbitraries.ts';
import { compiledWith, type PlainRule, plainGlobMatches, referenceDecision } from './reference.ts';

const compileRule = compiledWith(compileGlob);
const RUNS = Number(process.env.FANOTIFY_FUZZ_RUNS ?? 3_000);

function policyOf(rules: readonly CompiledRule[]): CompiledPolicy {
  const rest = { mode: 'enforce', default: 'allow', log: 'all', ask: { timeoutMs: 1, default: 'deny' } } as const;
  return { identity: '', ...rest, rules, digests: DIGESTS };
}

const rules = fc.array(rule, { maxLength: 12 });

/** A subject whose facts are counted as they are read. */
function counted(from: Subject): { subject: Subject; read: Set<keyof Subject> } {
  const read = new Set<keyof Subject>();
  const proxy = new Proxy(from, {
    get(target, key: keyof Subject) {
      read.add(key);
      return target[key];
    },
  });
  return { subject: proxy, read };
}

/** What rules up to one, tried in turn, read of a subject. */
function readInTurn(plain: readonly PlainRule[], at: PlainSubject): Set<keyof Subject> {
  const { subject: seen, read } = counted(at);
  explainDecision(policyOf(plain.map(compileRule)), seen);
  return read;
}

describe('globs', () => {
  test('mean what they mean to picomatch', () => {
    fc.assert(
      fc.property(glob, path, (text, at) => {
        const matches = compileGlob(text).some((one) => globTest(one)(at));
        expect({ text, at, matches }).toEqual({ text, at, matches: plainGlobMatches(text, at) });
      }),
      { numRuns: RUNS * 5 },
    );
  });
});

describe('a compiled policy', () => {
  test('decides as the plain one', () => {
    fc.assert(
      fc.property(rules, fc.array(subject, { minLength: 1, maxLength: 6 }), (plain, subjects) => {
        const evaluator = new PolicyEvaluator(policyOf(plain.map(compileRule)));
        for (const one of subjects) expect(evaluator.decide(one)).toBe(referenceDecision(plain, DIGESTS, one));
      }),
      { numRuns: RUNS },
    );
  });

  test('says all that its decision is made of', () => {
    fc.assert(
      fc.property(rules, subject, subject, (plain, one, other) => {
        const evaluator = new PolicyEvaluator(policyOf(plain.map(compileRule)));
        const decided = evaluator.decide(one);
        expect(evaluator.decide(withOthersUnread(one, other, evaluator.reads))).toBe(decided);
      }),
      { numRuns: RUNS },
    );
  });

  test('reads no more than rules tried in turn would', () => {
    fc.assert(
      fc.property(rules, subject, (plain, one) => {
        const { subject: seen, read } = counted(one);
        const evaluator = new PolicyEvaluator(policyOf(plain.map(compileRule)));
        evaluator.decide(seen);
        read.delete('kind');
        const inTurn = readInTurn(plain, one);
        expect([...read].filter((key) => !inTurn.has(key))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test('finds each of many patterns that have a directory, a name or an end in common', () => {
    const globs = Array.from({ length: 60 }, (_, i) => [
      `/a/*/x.e${i}`,
      `/a/**/p/*.f${i}`,
      `/*/b${i}/*.g`,
      `/a/?/*.h${i}`,
    ]).flat();
    const plain = globs.map((text): PlainRule => ({ ...BARE, path: { positive: [text], negative: [] } }));
    const evaluator = new PolicyEvaluator(policyOf(plain.map(compileRule)));
    for (let i = 0; i < 60; i++) {
      for (const [n, at] of [`/a/b/x.e${i}`, `/a/b/p/x.f${i}`, `/c/b${i}/x.g`, `/a/b/x.h${i}`].entries()) {
        expect(evaluator.decide({ ...HERE, place: { state: 'here', path: at } })).toBe(i * 4 + n);
        expect(evaluator.decide({ ...HERE, place: { state: 'here', path: `${at}x` } })).toBe(-1);
      }
    }
  });

  test('survives a subject that cannot be read', () => {
    const evaluator = new PolicyEvaluator(
      policyOf([compileRule({ ...BARE, path: { positive: ['/a'], negative: [] } })]),
    );
    const broken = new Proxy(HERE, {
      get: (target, key: keyof Subject) => {
        if (key === 'place') throw new Error('gone');
        return target[key];
      },
    });
    expect(() => evaluator.decide(broken)).toThrow('gone');
    expect(evaluator.decide(HERE)).toBe(0);
  });
});

describe('a rule that covers another', () => {
  test('matches whatever that one matches', () => {
    let found = 0;
    fc.assert(
      fc.property(rule, rule, fc.array(subject, { minLength: 8, maxLength: 8 }), (earlier, later, subjects) => {
        const [first, second] = [compileRule(earlier), compileRule(later)];
        if (!covers(first, second, DIGESTS)) return;
        found++;
        for (const one of subjects) {
          const known = { ...one, sha256: one.sha256 ?? null };
          if (referenceDecision([later], DIGESTS, known) === 0) {
            expect(referenceDecision([earlier], DIGESTS, known)).toBe(0);
          }
        }
      }),
      { numRuns: RUNS * 5 },
    );
    expect(found).toBeGreaterThan(RUNS / 100);
  });
});

const BARE: PlainRule = { name: 'r', line: 1, column: 1, action: 'deny' };
const HERE: Subject = {
  kind: 'open',
  place: { state: 'here', path: '/a' },
  file: { uid: 0, gid: 0, mode: 0o100644, sizeBytes: 1 },
  exe: { state: 'here', path: '/bin/cat' },
  user: { uid: 0, gids: [0] },
  ancestors: [],
  container: null,
  sha256: undefined,
};

/** The facts that were not read are another's. */
function withOthersUnread(one: PlainSubject, other: PlainSubject, reads: number): Subject {
  const reading = (bit: number) => (reads & bit) !== 0;
  const facts = reading(READS.inode) || reading(READS.content) ? one.file : other.file;
  const file =
    facts && one.file && other.file
      ? {
          ...(reading(READS.inode) ? one.file : other.file),
          sizeBytes: (reading(READS.content) ? one.file : other.file).sizeBytes,
        }
      : facts;
  const who = reading(READS.process) ? one : other;
  return {
    kind: one.kind,
    place: reading(READS.path) ? one.place : other.place,
    file,
    exe: who.exe,
    user: who.user,
    ancestors: who.ancestors,
    container: who.container,
    sha256: reading(READS.content) ? one.sha256 : other.sha256,
  };
}
