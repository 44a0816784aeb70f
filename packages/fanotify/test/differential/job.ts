// One of the processes of `npm run differential`: main.ts starts it with the options and its number.

import { LinuxKernel } from '../../src/kernel/index.ts';
import { asCase } from './as-case.ts';
import { writeCase } from './case-file.ts';
import { FastMachine } from './fast-machine.ts';
import { generate } from './generator.ts';
import { type Finding, holdAgainst } from './hold-against.ts';
import type { Options } from './options.ts';
import { findingText, observationText, stepText } from './report-finding.ts';
import { observe } from './runner.ts';
import { simulatedMachine } from './simulated.ts';

export interface JobResult {
  readonly sequences: number;
  readonly differences: number;
  readonly unsteady: readonly number[];
  readonly coverage: readonly (readonly [string, number])[];
}

const options = JSON.parse(process.argv[2] ?? '') as Options;
const job = Number(process.argv[3]);
const real = new FastMachine(new LinuxKernel(), options.filesystem);
const other = options.against === 'itself' ? real : simulatedMachine(options.filesystem);

const onFinding = (finding: Finding) => {
  console.log(findingText(finding));
  if (!options.writes) return;
  const id = `seed-${finding.seed}-${options.filesystem}`;
  writeCase(asCase(id, options.filesystem, finding.sequence, finding.expected));
};

try {
  if (options.show) {
    const sequence = generate(options.seed);
    const observations = observe(sequence, real);
    sequence.steps.forEach((step, index) => {
      console.log(`${index + 1}. ${stepText(step)}\n     ${observationText(observations[index])}`);
    });
  } else {
    const { sequences, coverage, findings, unsteady } = await holdAgainst(
      {
        seed: options.seed + job,
        stride: options.jobs,
        sequences: Math.ceil((options.sequences ?? Number.POSITIVE_INFINITY) / options.jobs),
        // JSON has no infinity.
        untilMs: options.minutes === null ? Number.POSITIVE_INFINITY : performance.now() + options.minutes * 60_000,
        differences: options.differences,
      },
      real,
      other,
      onFinding,
    );
    const result: JobResult = { sequences, differences: findings.length, unsteady, coverage: [...coverage.counts] };
    console.log(JSON.stringify(result));
  }
} finally {
  real.dispose();
}
process.exit();
