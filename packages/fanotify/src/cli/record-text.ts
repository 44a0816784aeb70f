// Decisions as lines for people.

import type { DecisionRecord, RecordedPlace } from '../index.ts';
import { clock, shown, shownBytes } from './text.ts';

/** `time  verdict  kind  comm(pid)  path  why`. */
export function recordLine(record: DecisionRecord): string {
  const { timeMs, verdict, wouldBe, kind, pid, comm, file } = record;
  const what = wouldBe === undefined ? verdict : `would ${wouldBe}`;
  const who = `${comm ? shown(comm) : 'unknown'}(${pid})`;
  return `${clock(timeMs)}  ${what}  ${kind}  ${who}  ${placeText(file)}  ${whyText(record)}`;
}

/** A place as it can be shown. */
export function placeText({ state, path, raw }: RecordedPlace): string {
  if (path !== null) return state === 'here' ? shown(path) : `${shown(path)} (foreign)`;
  if (raw !== undefined) return shownBytes(Buffer.from(raw, 'base64'));
  return state;
}

function whyText({ by, rule, action, message, signature, failure }: DecisionRecord): string {
  const parts: string[] = [by];
  if (rule) parts.push(`${shown(rule.name)}${action === undefined || by === 'rule' ? '' : ` (${action})`}`);
  if (signature !== undefined) parts.push(`found ${shown(signature)}`);
  if (failure !== undefined) parts.push(shown(failure));
  if (message !== undefined) parts.push(shown(message));
  return parts.join(': ');
}
