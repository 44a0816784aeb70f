// `fanotify scan`: has files scanned by clamd as they are opened, and prints what is found in them, a line each.

import { Command, InvalidArgumentError, Option } from 'commander';
import { AT_FDCWD } from '../abi/index.ts';
import { parseBytes } from '../decision/policy/field-values.ts';
import { type Guard, scan, type Verdict } from '../index.ts';
import { KernelError } from '../kernel/index.ts';
import { seconds, wholeNumber } from './arguments.ts';
import { UserError } from './failure.ts';
import { type GuardedOptions, guardedOptions, SCOPE_HELP, targetOf, targetsOf, withGuardedOptions } from './guarded.ts';
import { announceGuard, guardUntilStopped } from './guarding.ts';
import { recordLine } from './record-text.ts';
import type { Screen } from './screen.ts';
import type { Ending, Surroundings } from './surroundings.ts';
import { safeJson } from './text.ts';

interface Options extends GuardedOptions {
  readonly clamd?: string;
  readonly maxSize?: number;
  readonly onTooLarge?: Verdict;
  readonly onError?: Verdict;
  readonly concurrency?: number;
  readonly all?: true;
  readonly json?: true;
  readonly count?: number;
  readonly timeout?: number;
}

/** Where Debian's clamav-daemon listens. */
const USUAL_SOCKET = '/run/clamav/clamd.ctl';
const VERDICTS = ['allow', 'deny'];

const HELP = `
What is opened on PATH, also to be executed, is held until clamd, ClamAV's daemon, has
scanned it: what it finds something in is denied, and printed with who wanted to open it
and what was found. clamd gets the descriptor of the file. What was found clean is not
scanned again until it or clamd's signatures change, if nobody but root can write to it.

When clamd is down, opens get --on-error; when it is slow, --on-timeout at the deadline.
It is asked again by itself when it is back. docs/scanning.md has more.

${SCOPE_HELP}

Exit status:
  0      after --count lines, and when the reader of the output has gone
  1      on an error, and when nothing is guarded any more
  2      at the time-out
  128+n  by signal n, as the shell shows it: Ctrl-C 130, SIGTERM 143, SIGHUP 129`;

/** The command. `ended` is told how it ended. */
export function scanCommand(surroundings: Surroundings, ended: (ending: Ending) => void): Command {
  const scanning = new Command('scan')
    .summary('have what is opened scanned for malware')
    .description('Have files scanned by clamd when they are opened, before they are. Needs root. Ctrl-C ends it.')
    .argument('[path...]', 'files, directories with all that is below, or mounted file systems')
    .option('--clamd <socket>', `where clamd listens (${USUAL_SOCKET}, if that is there)`)
    .option('--max-size <size>', 'do not scan larger files, as in 25M (100M)', size)
    .addOption(new Option('--on-too-large <verdict>', 'what these get (allow)').choices(VERDICTS))
    .addOption(new Option('--on-error <verdict>', 'what is opened gets while clamd is down (allow)').choices(VERDICTS))
    .option('--concurrency <n>', 'how many scans are under way at a time (16)', wholeNumber);
  return withGuardedOptions(scanning)
    .option('--all', 'print what is clean, too')
    .option('--json', 'print one JSON object a line')
    .option('--count <n>', 'end after so many lines', wholeNumber)
    .option('--timeout <seconds>', 'end after so many seconds, with exit status 2', seconds)
    .addHelpText('after', HELP)
    .action(async (paths: string[], options: Options) => ended(await run(paths, options, surroundings)));
}

async function run(paths: readonly string[], options: Options, surroundings: Surroundings): Promise<Ending> {
  const targets = targetsOf(paths, options);
  const clamd = options.clamd ?? usualSocket(surroundings);
  return guardUntilStopped({
    surroundings,
    count: options.count,
    timeoutSeconds: options.timeout,
    async open({ lines, screen }) {
      const gate = await scan(targetOf(targets), {
        ...guardedOptions(options, targets, surroundings),
        clamd,
        maxBytes: options.maxSize,
        onTooLarge: options.onTooLarge,
        onError: options.onError,
        concurrency: options.concurrency,
        records: options.all ? true : 'denied',
      });
      gate.on('decision', (record) => {
        void lines.tell(options.json ? safeJson(record) : recordLine(record));
      });
      gate.on('scannerBack', () => screen.say('clamd is back: what is opened is scanned again'));
      return gate;
    },
    async announce(gate, screen) {
      await announceGuard(gate, targets, options.system === true, '', screen);
      const { scanner } = await gate.status();
      screen.say(`scanning by clamd(${scanner?.clamdPid}) at ${JSON.stringify(clamd)}`);
    },
    sum,
  });
}

async function sum(gate: Guard, screen: Screen): Promise<void> {
  const { scanner, timedOut, byCache } = await gate.status();
  if (!scanner) return;
  const { clean, found, tooLarge, errors } = scanner;
  const parts = [
    `${clean + found} scanned`,
    `${found} with something in them`,
    ...(tooLarge > 0 ? [`${tooLarge} too large`] : []),
    ...(errors > 0 ? [`${errors} that could not be scanned`] : []),
    ...(timedOut > 0 ? [`${timedOut} not in time`] : []),
    ...(byCache > 0 ? [`${byCache} known already`] : []),
  ];
  screen.say(parts.join(', '));
}

function usualSocket(surroundings: Surroundings): string {
  try {
    surroundings.kernel().statAt(AT_FDCWD, USUAL_SOCKET, 0);
    return USUAL_SOCKET;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new UserError(
      `there is no clamd at ${USUAL_SOCKET}: start it (apt-get install clamav-daemon), or say --clamd where it listens (LocalSocket in clamd.conf)`,
    );
  }
}

function size(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0)
    throw new InvalidArgumentError('It has to be a size, as in 4096, 512k or 25M.');
  return bytes;
}
