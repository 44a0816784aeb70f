// `fanotify guard`: holds accesses, decides by globs or by a module, and prints the verdicts, one line each.

import { Command } from 'commander';
import { type GuardOptions, guard, type PermissionEventName, type Verdict } from '../index.ts';
import { seconds, wholeNumber } from './arguments.ts';
import { UserError } from './failure.ts';
import { POLICY_HELP, type PolicyOptions, runPolicyMode, withPolicyOptions } from './guard-policy.ts';
import { decideByGlobs, type Rule, verdictText } from './guard-rules.ts';
import { type GuardedOptions, guardedOptions, SCOPE_HELP, targetOf, targetsOf, withGuardedOptions } from './guarded.ts';
import { announceGuard, guardUntilStopped } from './guarding.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { safeJson } from './text.ts';

interface Options extends PolicyOptions, GuardedOptions {
  readonly decide?: string;
  readonly on?: PermissionEventName[];
  readonly dryRun?: true;
  readonly count?: number;
  readonly timeout?: number;
}

const DRY_RUN = ' (dry run: everything is allowed)';
const KINDS: readonly PermissionEventName[] = ['open', 'openExec', 'access', 'preAccess'];

const HELP = `
Globs:
  Without '/', a glob is compared with the name of the file; with '/', with its path
  relative to PATH; with '/' in front, with the absolute path. The last --deny or
  --allow on the command line that matches decides; what none matches is allowed.
  A file that has no path here, since it was opened through a mount of another
  namespace, can be matched by none: it is denied where there is a --deny. Bytes of a
  name that are no UTF-8 are matched by wildcards.

${SCOPE_HELP}
Exit status:
  0      after --count verdicts, and when the reader of the output has gone
  1      on an error, and when nothing is guarded any more
  2      at the time-out
  128+n  by signal n, as the shell shows it: Ctrl-C 130, SIGTERM 143, SIGHUP 129

Whatever becomes of this command, nobody waits for longer than --deadline, and gets
--on-timeout then.`;

/** The command. `ended` is told how it ended. */
export function guardCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  const rules: Rule[] = [];
  const rule = (verdict: Verdict) => (glob: string) => {
    rules.push({ verdict, glob });
    return rules;
  };
  const guarded = new Command('guard')
    .summary('decide who may open files')
    .description('Hold accesses to files until there is a verdict, and print each. Needs root. Ctrl-C ends it.')
    .argument('[path...]', 'files, directories with all that is below, or mounted file systems')
    .option('--deny <glob>', 'deny what matches; can be repeated', rule('deny'))
    .option('--allow <glob>', 'allow what matches; can be repeated', rule('allow'))
    .option('--decide <module>', 'decide by the function decide of a module; its verdicts are not printed')
    .option('--on <list>', 'which accesses, comma-separated: open, openExec, access, preAccess', parseKinds);
  const command = withGuardedOptions(guarded)
    .option('--dry-run', 'say what would be denied, and allow everything')
    .option('--json', 'print one JSON object a line')
    .option('--count <n>', 'end after so many verdicts', wholeNumber)
    .option('--timeout <seconds>', 'end after so many seconds, with exit status 2', seconds)
    .addHelpText('after', `${POLICY_HELP}${HELP}`)
    .action(async (paths: string[], options: Options) => ended(await run(paths, options, rules, surroundings)));
  return withPolicyOptions(command);
}

async function run(
  paths: readonly string[],
  options: Options,
  rules: readonly Rule[],
  surroundings: Surroundings,
): Promise<Ending> {
  const isAlone = rules.length === 0 && options.decide === undefined;
  const ending = await runPolicyMode(paths, options, isAlone, surroundings);
  if (ending) return ending;
  if (options.policy !== undefined) return runPolicy(paths, options.policy, options, isAlone, surroundings);
  if (options.log !== undefined) throw new UserError('--log is of decisions by --policy: say that, too');
  const targets = targetsOf(paths, options);
  if (options.decide !== undefined && rules.length > 0) {
    throw new UserError('--decide, and --deny or --allow, are two ways to decide: leave one of them out');
  }
  if (options.decide !== undefined && (options.dryRun || options.count !== undefined)) {
    throw new UserError('what a module decides is not seen here: --dry-run and --count go with --deny and --allow');
  }
  const decideHere = decideByGlobs(rules, targets);
  const dryRun = options.dryRun === true;
  return guardUntilStopped({
    surroundings,
    count: options.count,
    timeoutSeconds: options.timeout,
    open: ({ lines }) =>
      guard(targetOf(targets), {
        ...(options.on && { on: options.on }),
        ...guardedOptions(options, targets, surroundings),
        decide:
          options.decide ??
          ((request) => {
            const verdict = decideHere(request);
            const told = { request, verdict, dryRun };
            // Its process is read while it is held.
            void lines.tell(options.json ? safeJson(verdictText.json(told)) : verdictText.line(told));
            return dryRun ? 'allow' : verdict;
          }),
      }),
    announce: (gate, screen) => announceGuard(gate, targets, options.system === true, dryRun ? DRY_RUN : '', screen),
  });
}

async function runPolicy(
  paths: readonly string[],
  file: string,
  options: Options,
  isAlone: boolean,
  surroundings: Surroundings,
): Promise<Ending> {
  if (!isAlone) throw new UserError('--policy is a way to decide of its own: leave --deny, --allow and --decide out');
  const { guardByPolicy, readPolicy } = await import('./policy-guard.ts');
  const policy = await readPolicy(file, options.dryRun === true, surroundings.say);
  const system = options.system ?? (paths.length === 0 && policy.scope === 'system' ? true : undefined);
  const said = paths.length > 0 || system ? paths : policy.paths;
  if (said.length === 0 && !system) {
    throw new UserError(`say what to guard: a PATH, or 'paths' in ${JSON.stringify(file)}`);
  }
  const targets = targetsOf(said, { ...options, ...(system && { system }) });
  return guardByPolicy(
    {
      surroundings,
      file,
      targets,
      options: {
        ...(options.on && { on: options.on }),
        ...guardedOptions(
          { ...options, scope: options.scope ?? scopeSaid(policy.scope), ...(system && { system }) },
          targets,
          surroundings,
        ),
      },
      dryRun: options.dryRun === true,
      json: options.json === true,
      log: options.log,
      count: options.count,
      timeoutSeconds: options.timeout,
    },
    policy,
  );
}

/** What a policy says of its scope, as --scope would. */
function scopeSaid(scope: GuardOptions['scope']): Options['scope'] {
  return scope === 'system' ? undefined : scope;
}

function parseKinds(text: string): PermissionEventName[] {
  return text.split(',').map((word) => {
    const kind = KINDS.find((name) => name === word.trim());
    if (kind) return kind;
    throw new UserError(`--on: ${JSON.stringify(word)} is none of ${KINDS.join(', ')}`);
  });
}
