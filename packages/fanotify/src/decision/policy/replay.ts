// Past decisions by another policy: which would change.

import { KINDS } from '../permission.ts';
import type { DecisionRecord, RecordedPlace } from '../record.ts';
import type { CompiledPolicy, CompiledRule, PolicyAction } from './compiled.ts';
import { DIGEST_NEEDED, NO_RULE, PolicyEvaluator } from './evaluate.ts';
import { NotRecorded, RecordedSubject } from './recorded-subject.ts';

/** What becomes of one line of a log. */
export type Replayed =
  | { readonly outcome: 'same' }
  | {
      readonly outcome: 'changed';
      readonly record: DecisionRecord;
      readonly from: PolicyAction;
      readonly to: PolicyAction;
      /** The rule that decides now; undefined for the default. */
      readonly rule: CompiledRule | undefined;
    }
  /** It cannot be told. */
  | { readonly outcome: 'unknown'; readonly record: DecisionRecord; readonly why: string }
  | { readonly outcome: 'noRecord'; readonly why: string };

const VERDICTS: readonly unknown[] = ['allow', 'deny'];
const ACTIONS: readonly unknown[] = [...VERDICTS, 'ask', 'scan'];
const STATES: readonly unknown[] = ['here', 'foreign', 'elsewhere', 'unknown'];

export class Replayer {
  readonly #policy: CompiledPolicy;
  readonly #evaluator: PolicyEvaluator;

  constructor(policy: CompiledPolicy) {
    this.#policy = policy;
    this.#evaluator = new PolicyEvaluator(policy);
  }

  /** Decides again what a line of a log says was decided. */
  replay(line: string): Replayed {
    const record = recordOf(line);
    if (typeof record === 'string') return { outcome: 'noRecord', why: record };
    let number: number;
    try {
      number = this.#evaluator.decide(new RecordedSubject(record));
    } catch (error) {
      if (!(error instanceof NotRecorded)) throw error;
      return { outcome: 'unknown', record, why: `${error.message}, and a rule asks for it` };
    }
    if (number === DIGEST_NEEDED) return { outcome: 'unknown', record, why: 'sha256 is not in the log' };
    const rule = number === NO_RULE ? undefined : this.#policy.rules[number];
    const to = rule?.action ?? this.#policy.default;
    const isFailure = record.by === 'timeout' || record.by === 'error';
    if (isFailure && record.action === undefined) {
      const why = `nobody decided (${record.by}): the log does not say what a rule would have`;
      return { outcome: 'unknown', record, why };
    }
    const verdict = record.wouldBe ?? record.verdict;
    // Whom a rule asks is asked again; a verdict without that is compared with what was given.
    const wasPassedOn = record.action === 'ask' || record.action === 'scan';
    const from: PolicyAction =
      wasPassedOn && (isFailure || !VERDICTS.includes(to)) ? (record.action ?? verdict) : verdict;
    return from === to ? { outcome: 'same' } : { outcome: 'changed', record, from, to, rule };
  }
}

/** The record that a line is, or why it is none. */
function recordOf(line: string): DecisionRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'it is no JSON';
  }
  if (!isObject(value)) return 'it is no object';
  const { kind, verdict, wouldBe, by, action, file, exe, ancestors, gids, uid, container } = value;
  if (!(KINDS as readonly unknown[]).includes(kind)) return "it has no 'kind' of an access";
  if (!VERDICTS.includes(verdict) || (wouldBe !== undefined && !VERDICTS.includes(wouldBe))) return 'it has no verdict';
  if (typeof by !== 'string') return "it does not say who decided ('by')";
  if (action !== undefined && !ACTIONS.includes(action)) return "its 'action' is none";
  if (!isObject(file) || !isPlace(file)) return "it has no 'file'";
  const { owner, group, mode, sizeBytes, sha256 } = file;
  if (![owner, group, mode, sizeBytes, uid].every((number) => number === undefined || typeof number === 'number')) {
    return 'it has text where a number belongs';
  }
  if (sha256 !== undefined && sha256 !== null && typeof sha256 !== 'string') return "its 'sha256' is no text";
  if (exe !== undefined && !isPlace(exe)) return "its 'exe' is no place";
  if (ancestors !== undefined && !(Array.isArray(ancestors) && ancestors.every(isPlace)))
    return "its 'ancestors' are no places";
  if (gids !== undefined && !(Array.isArray(gids) && gids.every((gid) => typeof gid === 'number')))
    return "its 'gids' are no numbers";
  if (container !== undefined && container !== null && !isContainer(container)) return "its 'container' is none";
  return value as unknown as DecisionRecord;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPlace(value: unknown): value is RecordedPlace {
  if (!isObject(value)) return false;
  const { state, path, raw } = value;
  return (
    STATES.includes(state) &&
    (path === null || typeof path === 'string') &&
    ['string', 'undefined'].includes(typeof raw)
  );
}

function isContainer(value: unknown): boolean {
  return isObject(value) && typeof value.id === 'string' && typeof value.runtime === 'string';
}
