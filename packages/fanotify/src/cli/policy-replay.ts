// `fanotify guard --policy NEW --replay LOG`: which past decisions another policy would change.

import { open } from 'node:fs/promises';
import { type Replayed, Replayer } from '../decision/policy/replay.ts';
import { loadPolicy } from '../index.ts';
import { UserError } from './failure.ts';
import type { Ending } from './surroundings.ts';
import { safeJson, shown } from './text.ts';

const DECISIONS_CHANGE = 3;

export async function replayLog(
  file: string,
  log: string,
  json: boolean,
  print: (line: string) => Promise<void>,
): Promise<Ending> {
  const { compiled } = await loadPolicy(file);
  const replayer = new Replayer(compiled);
  const sums = { same: 0, changed: 0, unknown: 0, noRecord: 0 };
  const reasons = new Map<string, number>();
  let number = 0;
  for await (const line of linesOf(log)) {
    number++;
    if (line.trim() === '') continue;
    const replayed = replayer.replay(line);
    sums[replayed.outcome]++;
    if (replayed.outcome === 'unknown') reasons.set(replayed.why, (reasons.get(replayed.why) ?? 0) + 1);
    if (replayed.outcome === 'same') continue;
    if (json) await print(safeJson(jsonOf(number, replayed)));
    else if (replayed.outcome !== 'unknown') await print(shown(`${log}:${number}: ${textOf(replayed)}`));
  }
  if (json) await print(safeJson({ sums, policy: compiled.identity }));
  else {
    for (const [why, count] of reasons) await print(shown(`cannot be told: ${count}, since ${why}`));
    const { same, changed, unknown, noRecord } = sums;
    await print(
      `${changed} would change, ${same} would not, ${unknown} cannot be told, ${noRecord} lines are no records`,
    );
  }
  if (sums.changed > 0) return { status: DECISIONS_CHANGE };
  return { status: sums.noRecord === 0 ? 0 : 1 };
}

/** @throws UserError when it cannot be read. */
async function* linesOf(log: string): AsyncIterable<string> {
  try {
    const file = await open(log);
    try {
      yield* file.readLines();
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'it does not exist' : (code ?? message);
    throw new UserError(`the log ${JSON.stringify(log)} cannot be read: ${why}`);
  }
}

function textOf(replayed: Exclude<Replayed, { outcome: 'same' | 'unknown' }>): string {
  if (replayed.outcome === 'noRecord') return `no record of a decision: ${replayed.why}`;
  const { record, from, to, rule } = replayed;
  const before = record.rule ? ` by ${JSON.stringify(record.rule.name)}` : '';
  const now = rule ? `${JSON.stringify(rule.name)} in line ${rule.line}` : 'default';
  return `${from}${before} -> ${to} by ${now}  ${record.kind}  ${record.file.path ?? '-'}`;
}

function jsonOf(line: number, replayed: Exclude<Replayed, { outcome: 'same' }>): object {
  if (replayed.outcome === 'noRecord') return { line, ...replayed };
  const { record } = replayed;
  const about = { line, kind: record.kind, path: record.file.path, oldRule: record.rule ?? null };
  if (replayed.outcome === 'unknown') return { ...about, outcome: 'unknown', why: replayed.why };
  const { from, to, rule } = replayed;
  return { ...about, outcome: 'changed', from, to, rule: rule ? { name: rule.name, line: rule.line } : null };
}
