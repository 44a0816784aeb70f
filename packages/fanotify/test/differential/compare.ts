// Holds what two kernels gave against each other. README.md says what is not compared, and why.

import type { Observation, Sequence } from './observation.ts';

export interface Difference {
  /** The number of the step, from 0. */
  readonly step: number;
  readonly expected: Observation | undefined;
  readonly got: Observation | undefined;
}

/** The first difference; undefined when there is none. */
export function firstDifference(
  sequence: Sequence,
  expected: readonly Observation[],
  got: readonly Observation[],
): Difference | undefined {
  for (let step = 0; step < sequence.steps.length; step++) {
    if (JSON.stringify(expected[step]) !== JSON.stringify(got[step]))
      return { step, expected: expected[step], got: got[step] };
  }
  return undefined;
}
