// What can be said of a policy that can be used, before it is: rules that never decide, and globs that match nothing, or not what they
// seem to.

import { realpathSync } from 'node:fs';
import type { CompiledGlob, CompiledRule } from './compiled.ts';
import { covers } from './covers.ts';
import { notOnDisk, type WalkLimits } from './found-on-disk.ts';
import { globText } from './glob.ts';
import type { Policy } from './policy.ts';
import type { PolicyProblem } from './problem.ts';

const LIMITS: WalkLimits = { entries: 200_000, ms: 3_000 };

/**
 * Checks a policy further.
 *
 * @param guarded What it is to guard, absolute; [] where that is not known.
 * @returns An error for each rule that never decides, a warning for each glob that matches nothing now.
 */
export function checkPolicy(policy: Policy, guarded: readonly string[], limits = LIMITS): PolicyProblem[] {
  const problems = [...policy.warnings, ...unreachable(policy), ...globProblems(policy, guarded, limits)];
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function problemOf(rule: CompiledRule, severity: PolicyProblem['severity'], message: string): PolicyProblem {
  return { line: rule.line, column: rule.column, message, severity, about: 'meaning' };
}

function unreachable({ compiled: { rules, digests } }: Policy): PolicyProblem[] {
  return rules.flatMap((rule, index) => {
    for (let before = 0; before < index; before++) {
      const earlier = rules[before];
      if (!earlier || !covers(earlier, rule, digests)) continue;
      const which = `${JSON.stringify(earlier.name)} in line ${earlier.line}`;
      return [
        problemOf(
          rule,
          'error',
          `the rule ${JSON.stringify(rule.name)} never decides: ${which} matches all that it does`,
        ),
      ];
    }
    return [];
  });
}

function globProblems(
  { compiled: { rules } }: Policy,
  guarded: readonly string[],
  limits: WalkLimits,
): PolicyProblem[] {
  const all = rules.flatMap((rule) => [...globsOf(rule)]);
  const missing = notOnDisk(
    all.map(({ glob }) => glob),
    guarded.length > 0 ? guarded : ['/'],
    limits,
  );
  const shown = (globs: readonly CompiledGlob[]) => globs.map((glob) => JSON.stringify(globText(glob))).join(', ');
  return rules.flatMap((rule) => {
    const problems: PolicyProblem[] = [];
    const own = [...globsOf(rule)];
    const nowhere = own.filter(({ glob }) => missing.has(glob)).map(({ glob }) => glob);
    if (nowhere.length > 0) {
      const what = `${shown(nowhere.slice(0, 5))}${nowhere.length > 5 ? ` and ${nowhere.length - 5} more` : ''}`;
      problems.push(
        problemOf(rule, 'warning', `nothing on the disk matches ${what} of the rule ${JSON.stringify(rule.name)} now`),
      );
    }
    for (const { glob } of own) {
      const real = missing.has(glob) ? undefined : realPlaceOf(glob);
      if (real === undefined) continue;
      const what = `${shown([glob])} of the rule ${JSON.stringify(rule.name)} leads through a symbolic link`;
      problems.push(
        problemOf(rule, 'warning', `${what}, and rules see where files are: write ${JSON.stringify(real)}`),
      );
    }
    const outside = own.filter(({ isPath, glob }) => isPath && isOutside(glob, guarded)).map(({ glob }) => glob);
    if (outside.length > 0) {
      const what = `${shown(outside.slice(0, 5))}${outside.length > 5 ? ` and ${outside.length - 5} more` : ''}`;
      problems.push(
        problemOf(
          rule,
          'warning',
          `${what} of the rule ${JSON.stringify(rule.name)} is outside of what is guarded (${guarded.join(', ')})`,
        ),
      );
    }
    return problems;
  });
}

function* globsOf({ path, exe, ancestor }: CompiledRule): Iterable<{ glob: CompiledGlob; isPath: boolean }> {
  for (const globs of [path, exe, ancestor]) {
    for (const glob of globs?.positive ?? []) yield { glob, isPath: globs === path };
  }
}

/** What a glob's path or directory is, where that is something else than it says. */
function realPlaceOf(glob: CompiledGlob): string | undefined {
  if (glob.kind !== 'path' && glob.kind !== 'below' && glob.kind !== 'pattern') return undefined;
  const at = glob.kind === 'path' ? glob.path : glob.directory;
  if (at === '') return undefined;
  try {
    const real = realpathSync(at);
    if (real === at) return undefined;
    return glob.kind === 'path' ? real : `${real}${globText(glob).slice(at.length)}`;
  } catch {
    return undefined;
  }
}

/** Whether nothing that is guarded can match: globs without a directory can be anywhere. */
function isOutside(glob: CompiledGlob, guarded: readonly string[]): boolean {
  if (guarded.length === 0 || (glob.kind !== 'path' && glob.kind !== 'below' && glob.kind !== 'pattern')) return false;
  const at = glob.kind === 'path' ? glob.path : glob.directory;
  const isWithin = (directory: string, path: string) => path === directory || path.startsWith(`${directory}/`);
  return !guarded.some((root) => {
    const plain = root.replace(/\/+$/, '');
    return isWithin(plain, at) || (glob.kind !== 'path' && isWithin(at, plain));
  });
}
