// The options of `fanotify guard` that are about a policy's file, and what needs no privilege among them.

import { type Command, Option } from 'commander';
import type { PermissionEventName } from '../index.ts';
import { reasonOf, UserError } from './failure.ts';
import { OutputError } from './output.ts';
import type { SaidAccess } from './said-subject.ts';
import type { Ending, Surroundings } from './surroundings.ts';

/** What of `fanotify guard` is about a policy. */
export interface PolicyOptions extends SaidAccess {
  readonly policy?: string;
  readonly check?: true;
  readonly explain?: string;
  readonly replay?: string;
  readonly log?: string;
  readonly json?: true;
}

const SAID = ['exe', 'uid', 'gid', 'ancestor', 'container', 'event'] as const;
const KINDS: readonly PermissionEventName[] = ['open', 'openExec', 'access', 'preAccess'];

export const POLICY_HELP = `
Policies:
  --policy FILE decides by the rules of a file (docs/policy.md) on PATH, or on what that
  says; --deadline, --on-timeout and --scope are said instead of what it says. It is read
  again when it changes; a bad one changes nothing. Each decision is printed, and
  appended to --log; a rule that asks asks at this terminal. At the end it says how often
  each rule has decided. These mark nothing, and need no root:
    --check          what is wrong with it, a line each: file:line:column: what. Also rules
                     that never decide, and globs that match nothing now
    --explain PATH   which rule decides on PATH, and why none before it does; of whom, is
                     said with --exe, --uid, --gid, --ancestor, --container and --event
    --replay LOG     which of the decisions recorded in LOG the policy would change
  Their exit status is 0, 1 on an error or a problem, and 3 when decisions would change.
`;

/** Adds the options. */
export function withPolicyOptions(command: Command): Command {
  const more = (text: string, before: string[] = []) => [...before, text];
  return command
    .option('--policy <file>', 'decide by the rules of a file (YAML)')
    .option('--log <file>', 'with --policy: append each decision to a file, as JSON')
    .option('--check', 'with --policy: say what is wrong with it, and end')
    .option('--explain <path>', 'with --policy: say which rule decides on a path and why, and end')
    .option('--replay <log>', 'with --policy: say which recorded decisions would change, and end')
    .option('--exe <path>', 'with --explain: the executable that asks')
    .option('--uid <user>', 'with --explain: the user that it runs as, by name or number')
    .option('--gid <group>', 'with --explain: a group that it is in; can be repeated', more)
    .option('--ancestor <path>', 'with --explain: the executable of an ancestor; can be repeated', more)
    .option('--container <container>', "with --explain: 'none', or RUNTIME:ID")
    .addOption(new Option('--event <kind>', 'with --explain: what is asked for').choices(KINDS));
}

/** Runs what needs no privilege. Undefined: none of that was asked for. @throws UserError */
export async function runPolicyMode(
  paths: readonly string[],
  options: PolicyOptions,
  isAlone: boolean,
  surroundings: Surroundings,
): Promise<Ending | undefined> {
  const { policy, check, explain, replay } = options;
  const modes = [
    ...(check ? ['--check'] : []),
    ...(explain === undefined ? [] : ['--explain']),
    ...(replay === undefined ? [] : ['--replay']),
  ];
  const [mode] = modes;
  const said = SAID.find((name) => options[name] !== undefined);
  if (said !== undefined && explain === undefined) throw new UserError(`--${said} goes with --explain`);
  if (mode === undefined) return undefined;
  if (modes.length > 1) throw new UserError(`${modes.join(' and ')} are done one at a time`);
  if (policy === undefined) throw new UserError(`${mode} is about a policy: say --policy FILE, too`);
  if (!isAlone) throw new UserError(`${mode} goes with --policy alone: leave --deny, --allow and --decide out`);
  if (!check && paths.length > 0)
    throw new UserError(`${mode} takes no PATH beside it: leave ${JSON.stringify(paths[0])} out`);
  const output = surroundings.openOutput();
  const print = (line: string) => output.write(`${line}\n`);
  const json = options.json === true;
  try {
    if (explain !== undefined) {
      return await (await import('./policy-explain.ts')).explainFile(policy, explain, options, json, print);
    }
    if (replay !== undefined) return await (await import('./policy-replay.ts')).replayLog(policy, replay, json, print);
    return await (await import('./policy-check.ts')).checkFile(policy, paths, json, print);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    if (error.code === 'EPIPE') return { status: 0 };
    throw new UserError(`${error.message}: ${reasonOf(error.cause)}`);
  }
}
