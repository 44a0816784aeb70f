// `fanotify guard --policy FILE --explain PATH`: which rule decides on an access, and why none before it does.

import { explainDecision } from '../decision/policy/explain.ts';
import { READS } from '../decision/policy/subject.ts';
import { loadPolicy } from '../index.ts';
import { type SaidAccess, SaidSubject } from './said-subject.ts';
import type { Ending } from './surroundings.ts';
import { safeJson, shown } from './text.ts';

export async function explainFile(
  file: string,
  path: string,
  said: SaidAccess,
  json: boolean,
  print: (line: string) => Promise<void>,
): Promise<Ending> {
  const policy = await loadPolicy(file);
  const { compiled } = policy;
  const subject = new SaidSubject(path, said, said.event ?? policy.on[0] ?? 'open');
  const { tried, rule, reads } = explainDecision(compiled, subject);
  const action = rule?.action ?? compiled.default;
  const read = Object.entries(READS).flatMap(([name, bit]) => ((reads & bit) === 0 ? [] : [name]));
  const notes = subject.notes;
  if (json) {
    await print(
      safeJson({
        path: subject.place.path,
        kind: subject.kind,
        action,
        ...(action === 'deny' && { errno: rule?.errno ?? 'EPERM' }),
        ...(rule?.message !== undefined && { message: rule.message }),
        rule: rule ? { name: rule.name, line: rule.line } : null,
        tried: tried.map(({ rule: { name, line }, failed, why }) => ({ name, line, failed: failed ?? null, why })),
        reads: read,
        notes,
        policy: compiled.identity,
      }),
    );
    return { status: 0 };
  }
  for (const one of tried) {
    const outcome = one.failed === undefined ? 'matches' : `no: ${one.why}`;
    await print(shown(`line ${one.rule.line}  ${JSON.stringify(one.rule.name)}  ${outcome}`));
  }
  const by = rule ? `by ${JSON.stringify(rule.name)} in line ${rule.line}` : 'by default, since no rule matches';
  const how = action === 'deny' ? `deny (${rule?.errno ?? 'EPERM'})` : action;
  await print(shown(`${how}  ${subject.kind}  ${subject.place.path}  ${by}`));
  await print(`read: ${read.length === 0 ? 'nothing' : read.join(', ')}; ${keptText(reads)}`);
  for (const note of notes) await print(shown(note));
  return { status: 0 };
}

/** Where the answer may be kept: see docs/policy.md. */
function keptText(reads: number): string {
  if ((reads & READS.process) !== 0) return 'the answer is kept nowhere, since it is about who asks';
  if ((reads & (READS.path | READS.inode)) !== 0) {
    return 'the answer may be kept while the file is as it is, where only root can change where it is, its owner and mode';
  }
  return 'the answer may be kept while the file is as it is';
}
