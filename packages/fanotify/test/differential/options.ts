// The command line of `npm run differential`.

import { parseArgs } from 'node:util';

export interface Options {
  /** Until when, unless there are so many sequences before. */
  readonly minutes: number;
  readonly sequences: number;
  /** Of the first sequence; the others have the numbers after it. */
  readonly seed: number;
  readonly filesystem: string;
  readonly jobs: number;
  /** What is held against the real kernel: the simulated one, or itself. */
  readonly against: 'simulated' | 'itself';
  /** Whether differences become conformance cases. */
  readonly writes: boolean;
  readonly coverage: boolean;
  readonly faults: boolean;
  /** Shows the steps of the one sequence `seed` and what each gave. */
  readonly show: boolean;
  /** Up to so many differences before it ends. */
  readonly differences: number;
}

const USAGE = `npm run differential -- [--minutes N] [--sequences N] [--seed S] [--filesystem tmpfs|ext4] [--jobs N]
  --against itself   the real kernel against itself: what is not the same twice is no finding
  --differences N    ends after so many (5)
  --write            shrunk differences become cases in test/conformance/cases/differential.json
  --coverage         tells what the sequences have exercised
  --show             the one sequence of --seed, step by step
  --faults           makes each deliberate fault in the simulator and counts the sequences until it is found`;

/** @throws TypeError with how it is used, for what it does not know. */
export function parseOptions(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      minutes: { type: 'string' },
      sequences: { type: 'string' },
      seed: { type: 'string' },
      filesystem: { type: 'string', default: 'tmpfs' },
      jobs: { type: 'string', default: '1' },
      against: { type: 'string', default: 'simulated' },
      differences: { type: 'string', default: '5' },
      write: { type: 'boolean', default: false },
      coverage: { type: 'boolean', default: false },
      faults: { type: 'boolean', default: false },
      show: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'minutes' | 'sequences' | 'seed' | 'jobs' | 'differences', otherwise: number) => {
    const text = values[name];
    if (text === undefined) return otherwise;
    if (!/^\d+(\.\d+)?$/.test(text)) throw new TypeError(`--${name} takes a number, not ${text}\n${USAGE}`);
    return Number(text);
  };
  const { filesystem, against } = values;
  if (!['tmpfs', 'ext4'].includes(filesystem)) throw new TypeError(`--filesystem is tmpfs or ext4\n${USAGE}`);
  if (against !== 'simulated' && against !== 'itself')
    throw new TypeError(`--against is simulated or itself\n${USAGE}`);
  const isBounded = values.minutes !== undefined || values.sequences !== undefined;
  return {
    minutes: number('minutes', isBounded ? Number.POSITIVE_INFINITY : 1),
    sequences: number('sequences', Number.POSITIVE_INFINITY),
    seed: number('seed', Math.floor(Math.random() * 2 ** 31)),
    filesystem,
    jobs: number('jobs', 1),
    against,
    writes: values.write,
    coverage: values.coverage,
    faults: values.faults,
    show: values.show,
    differences: number('differences', 5),
  };
}
