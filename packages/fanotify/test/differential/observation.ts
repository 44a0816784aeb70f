// What a sequence gave, step by step, on one kernel: in words that another one can have as well.

import type { Fixture, Observed, Step } from '../conformance/case.ts';

/** From a seed. */
export interface Sequence {
  readonly seed: number;
  readonly fixture: readonly Fixture[];
  readonly steps: readonly Step[];
}

/** Of each step; null where there was nothing to do: no such group, a process that is held. */
export type Observation = Observed | null;
