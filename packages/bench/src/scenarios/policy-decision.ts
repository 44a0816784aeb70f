// A decision over few rules, and over many: what that question takes of the rules alone, with no kernel.

import { spawnSync } from 'node:child_process';
import { type Contestant, libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import type { Scenario } from '../scenario.ts';

const DECISIONS = 1_000_000;
const FEW = 'fanotify, 10 rules';
const MANY = 'fanotify, 10,000 rules';

export const policyDecision: Scenario = {
  name: 'policy-decision',
  title: 'A decision by a policy',
  about: (scale) =>
    'Rules of files, directories, endings, globs, users and programs by turns, and 2,000 accesses of which one half is meant by a ' +
    `rule, spread over all of them. ${Math.round(DECISIONS * scale).toLocaleString('en-US')} decisions of fanotify, fewer where they take longer, each timed alone, less what the clock ` +
    'takes. The others try rule by rule. Ready: from the text of the policy, or its globs, to the first decision.',
  metrics: [
    { key: 'p50Ns', label: 'a decision, p50', unit: 'ns', digits: 0 },
    { key: 'p99Ns', label: 'p99', unit: 'ns', digits: 0 },
    { key: 'readyMs', label: 'ready', unit: 'ms', digits: 0 },
    { key: 'hits', label: 'meant by a rule', unit: '', digits: 2 },
  ],
  comparisons: [{ metric: 'p50Ns', against: FEW, label: 'of 10 rules' }],
  targets: [
    { contestant: MANY, metric: 'p50Ns', atMost: 1_000 },
    { contestant: MANY, metric: 'p50Ns', against: FEW, atMost: 2 },
  ],
  contestants: (room) => [
    program(FEW, 'fanotify', 10, room.scaled(DECISIONS)),
    program(MANY, 'fanotify', 10_000, room.scaled(DECISIONS)),
    program('picomatch, 10 rules', 'picomatch', 10, room.scaled(DECISIONS / 5)),
    program('picomatch, 10,000 rules', 'picomatch', 10_000, room.scaled(DECISIONS / 2_000)),
    program('minimatch, 10 rules', 'minimatch', 10, room.scaled(DECISIONS / 5)),
    program('minimatch, 10,000 rules', 'minimatch', 10_000, room.scaled(DECISIONS / 2_000)),
  ],
  measure: async ({ name, command: [file = '', ...args] }) => {
    const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
    if (status !== 0) throw new BenchError(`${name} ended with status ${status}: ${stderr.trim().slice(-500)}`);
    return { figures: JSON.parse(stdout) as Record<string, number> };
  },
};

function program(name: string, by: string, rules: number, decisions: number): Contestant {
  const args = ['--by', by, '--rules', String(rules), '--decisions', String(decisions)];
  return { ...libraryProgram(name, 'policy-decision', ...args), marksNothing: true };
}
