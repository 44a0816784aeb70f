// Which cases are for the machine at hand.

import type { Case } from './case.ts';
import type { Machine } from './machine.ts';

/** The case does not make sense to the replayer. */
export class CaseError extends Error {
  static {
    CaseError.prototype.name = 'CaseError';
  }
}

/** Why a case does not apply to this machine; undefined when it does. */
export function whyNot(
  conformanceCase: Case,
  machine: Pick<Machine, 'filesystem' | 'missing'>,
  release: string,
): string | undefined {
  const { fs, requires = [], kernel } = conformanceCase;
  if (fs !== undefined && !fs.includes(machine.filesystem)) return `for ${fs.join(', ')} only`;
  if (kernel !== undefined && !kernelMatches(kernel, release)) return `for Linux ${kernel} only`;
  for (const requirement of requires) {
    const reason = machine.missing(requirement);
    if (reason !== undefined) return reason;
  }
  for (const step of conformanceCase.steps) {
    // A path outside the scratch file systems that this machine has not got, such as that of a cgroup2 mount.
    if (step.do !== 'mark' || step.path === null || !step.path.startsWith('/') || step.expect === 'ENOENT') continue;
    const reason = machine.missing(`path:${step.path}`);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function kernelMatches(condition: string, release: string): boolean {
  const match = /^(<|<=|>|>=|=)?(\d+)\.(\d+)/.exec(condition);
  const running = /^(\d+)\.(\d+)/.exec(release);
  if (match === null || running === null) throw new CaseError(`cannot compare Linux ${release} with "${condition}"`);
  const difference = Number(running[1]) - Number(match[2]) || Number(running[2]) - Number(match[3]);
  switch (match[1]) {
    case '<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '>':
      return difference > 0;
    case '>=':
      return difference >= 0;
    default:
      return difference === 0;
  }
}
