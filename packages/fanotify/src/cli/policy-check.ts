// `fanotify guard --policy FILE --check`: what is wrong with a policy, and what seems to be.

import { resolve } from 'node:path';
import { checkPolicy } from '../decision/policy/check.ts';
import { problemText } from '../decision/policy/problem.ts';
import { loadPolicy, type Policy, PolicyError, type PolicyProblem } from '../index.ts';
import type { Ending } from './surroundings.ts';
import { escaped, safeJson, shown } from './text.ts';

/** @param paths What is to be guarded; else what the policy says. */
export async function checkFile(
  file: string,
  paths: readonly string[],
  json: boolean,
  print: (line: string) => Promise<void>,
): Promise<Ending> {
  let policy: Policy | undefined;
  let problems: readonly PolicyProblem[];
  try {
    policy = await loadPolicy(file);
    const guarded = paths.length > 0 ? paths.map((path) => resolve(path)) : policy.paths;
    problems = checkPolicy(policy, guarded);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    problems = error.problems;
  }
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const identity = policy?.compiled.identity ?? null;
  const rules = policy?.compiled.rules.length ?? null;
  if (json) await print(safeJson({ file, identity, rules, problems }));
  else {
    for (const problem of problems) await print(escaped(problemText(file, problem)));
    const counts = [plural(errors, 'error'), plural(problems.length - errors, 'warning')];
    await print([`${shown(file)}: ${rules === null ? 'no policy' : plural(rules, 'rule')}`, ...counts].join(', '));
    if (identity !== null) await print(`sha256 ${identity}`);
  }
  return { status: errors === 0 ? 0 : 1 };
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
