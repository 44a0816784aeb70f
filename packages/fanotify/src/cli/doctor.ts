// `fanotify doctor`: what of this machine can be seen, what cannot, and what to do about it.

import { Command, Option } from 'commander';
import { KernelError } from '../kernel/index.ts';
import { openTrials } from '../scope/trial.ts';
import { answerTrial } from './doctor/elsewhere.ts';
import { type Examination, examine } from './doctor/examine.ts';
import { findingJson } from './doctor/finding.ts';
import { reportText, summary } from './doctor/report.ts';
import { reasonOf, UserError } from './failure.ts';
import { type Output, OutputError } from './output.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { safeJson } from './text.ts';

interface DoctorOptions {
  readonly json?: true;
  readonly trial?: string;
}

const HELP = `
Without PATH it looks at the whole machine, with PATH at the mounts that these paths are
on. Every place is tried, with a mark that only notifies and is taken back at once; nobody
ever waits for it. What may not answer (network file systems, FUSE) is tried in a process
of its own, for two seconds.

Findings:
  ok       as it should be
  note     good to know
  warning  something is seen partly, or nearly used up
  problem  something is not seen at all, or used up

Exit status:
  0  all that was looked at can be seen with this privilege; notes may remain
  2  something is seen partly or not, or a limit is nearly used up: a warning or problem
  1  fanotify does not work here at all, or the command failed

Examples:
  sudo fanotify doctor                  the whole machine
  fanotify doctor /srv                  is /srv seen?
  fanotify doctor --json | jq '.findings[] | select(.level == "problem")'`;

/** The command. `ended` is told how it ended. */
export function doctorCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  return new Command('doctor')
    .summary('tell what can be seen here, what cannot, and what to do about it')
    .description('Tell what of this machine can be seen, what cannot, and what to do about it.')
    .argument('[path...]', 'look only at the mounts that these are on')
    .option('--json', 'print one JSON object')
    .addOption(new Option('--trial <path>', 'what a process does that may be given up').hideHelp())
    .addHelpText('after', HELP)
    .action(async (paths: string[], options: DoctorOptions) => ended(await doctor(paths, options, surroundings)));
}

async function doctor(paths: readonly string[], options: DoctorOptions, surroundings: Surroundings): Promise<Ending> {
  const kernel = surroundings.kernel();
  if (options.trial !== undefined) {
    await answerTrial(kernel, options.trial, surroundings.openOutput());
    return { status: 0 };
  }
  if (paths.includes(''))
    throw new UserError('a path is empty: name a file or directory, or none for the whole machine');
  const examination = await examine(kernel, paths, surroundings.tryElsewhere ?? here(surroundings));
  const status = statusOf(examination);
  const { works, findings } = examination;
  const output = surroundings.openOutput();
  const text = options.json
    ? `${safeJson({ kernel: kernel.name, release: kernel.release, works, status, findings: findings.map(findingJson) })}\n`
    : reportText(
        `fanotify doctor on ${kernel.name}`,
        findings,
        `${CONCLUSIONS[status]}: ${summary(findings)} (exit status ${status})`,
        output.terminal,
      );
  await print(text, output);
  return { status };
}

const CONCLUSIONS = {
  0: 'All that was looked at can be seen with this privilege',
  1: 'fanotify does not work here',
  2: 'Not all can be seen',
} as const;

function statusOf({ works, findings }: Examination): 0 | 1 | 2 {
  if (!works) return 1;
  return findings.some(({ level }) => level === 'warning' || level === 'problem') ? 2 : 0;
}

/** Where no other process can be had, as in tests: nothing is given up. */
function here({ kernel }: Surroundings): NonNullable<Surroundings['tryElsewhere']> {
  return async (path) => {
    const trials = openTrials(kernel());
    try {
      return trials.try(path);
    } catch (error) {
      if (error instanceof KernelError) return error;
      throw error;
    } finally {
      trials.close();
    }
  };
}

async function print(text: string, output: Output): Promise<void> {
  try {
    await output.write(text);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    // Whoever read the first lines and left has what he wanted.
    if (error.code === 'EPIPE') return;
    throw new UserError(`standard output cannot be written: ${reasonOf(error.cause)}`);
  }
}
