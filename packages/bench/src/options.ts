// The command line: what to measure, how often, how much of it.

import { parseArgs } from 'node:util';
import { BenchError } from './error.ts';

export interface Options {
  readonly rounds: number;
  /** Size of the loads. */
  readonly scale: number;
  /** Names of scenarios; all but the long ones when left out. */
  readonly only: readonly string[] | undefined;
  /** Of contestants only those whose name holds one of these; all when left out. */
  readonly who: readonly string[] | undefined;
  readonly long: boolean;
  readonly list: boolean;
  readonly help: boolean;
  readonly json: string | undefined;
  /** Where what has been measured is kept, to go on from there. */
  readonly resume: string | undefined;
}

const USAGE = `usage: npm run bench -- [--rounds N] [--only NAME[,NAME]] [--who TEXT]… [--long] [--json FILE]
                         [--resume FILE] [--scale F] [--list]

  --rounds N    each contestant so often; 5 without it, and fewer tell little
  --only NAMES  these scenarios, comma-separated
  --who TEXT    of contestants those alone whose name holds this; may be given more than once
  --long        the scenarios that take minutes, too
  --json FILE   every figure of every round, for machines
  --resume FILE keeps each measurement in FILE at once, and takes those that are there as measured: for runs of hours
  --scale F     loads of so much of their size: 0.1 is a tenth. 1 is what docs/PERFORMANCE.md shows
  --list        names of scenarios
  --help        this

Needs root (it mounts a tmpfs in a mount namespace of its own) and a C compiler. fatrace and fsnotifywait take part where they
are installed: apt-get install fatrace inotify-tools. The watch-… scenarios compare with chokidar, @parcel/watcher and nsfw (npm)
and with fsnotifywait, inotifywait and watchman (apt-get install inotify-tools watchman).`;

export { USAGE };

/**
 * @throws BenchError with a sentence when something cannot be meant so.
 */
export function parseOptions(args: readonly string[], scenarios: readonly string[]): Options {
  const { values } = parsed(args);
  const only = values.only?.split(',').filter((name) => name !== '');
  const unknown = only?.find((name) => !scenarios.includes(name));
  if (unknown !== undefined) throw new BenchError(`--only: there is no scenario ${unknown}: ${scenarios.join(', ')}`);
  if (only?.length === 0) throw new BenchError(`--only: name a scenario: ${scenarios.join(', ')}`);
  const rounds = Number(values.rounds ?? 5);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new BenchError(`--rounds: ${values.rounds} is no whole number above 0`);
  }
  const scale = Number(values.scale ?? 1);
  if (!(scale > 0 && scale <= 2)) throw new BenchError(`--scale: ${values.scale} is no number above 0 and up to 2`);
  return {
    rounds,
    scale,
    only,
    who: values.who,
    long: values.long === true,
    list: values.list === true,
    help: values.help === true,
    json: values.json,
    resume: values.resume,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string' },
        scale: { type: 'string' },
        only: { type: 'string' },
        who: { type: 'string', multiple: true },
        json: { type: 'string' },
        resume: { type: 'string' },
        long: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new BenchError(`${(error as Error).message.replace(/\. To specify.*/, '')}. Try --help.`);
  }
}
