// Sequences, one after the other, on two kernels.

import { performance } from 'node:perf_hooks';
import { type Difference, firstDifference } from './compare.ts';
import { Coverage } from './coverage.ts';
import { generate } from './generator.ts';
import type { Observation, Sequence } from './observation.ts';
import { observe, type SequenceMachine } from './runner.ts';
import { shrink } from './shrink.ts';

/** A difference is there each time. */
const RUNS = 20;

/** A machine that lets what is under way come to its end between two sequences. */
export interface RestingMachine extends SequenceMachine {
  rest?(): Promise<void>;
}

/** A sequence in which they differ, as small as it gets. */
export interface Finding {
  readonly seed: number;
  readonly sequence: Sequence;
  readonly expected: readonly Observation[];
  readonly difference: Difference;
}

export interface Course {
  readonly seed: number;
  /** From one sequence's seed to the next one's. */
  readonly stride: number;
  readonly sequences: number;
  readonly untilMs: number;
  readonly differences: number;
}

export interface Result {
  sequences: number;
  readonly coverage: Coverage;
  readonly findings: Finding[];
  /** Sequences that differed, and did not when they ran again: other things on this machine had a hand in it. */
  readonly unsteady: number[];
}

export async function holdAgainst(
  course: Course,
  real: RestingMachine,
  other: RestingMachine,
  onFinding: (finding: Finding) => void = () => {},
): Promise<Result> {
  const result: Result = { sequences: 0, coverage: new Coverage(), findings: [], unsteady: [] };
  for (let seed = course.seed; result.sequences < course.sequences; seed += course.stride) {
    if (performance.now() > course.untilMs) break;
    const sequence = generate(seed);
    const { expected, difference } = await compared(sequence, real, other);
    result.coverage.add(sequence, expected);
    result.sequences++;
    if (difference === undefined) continue;
    const finding = await shrunk(seed, sequence, real, other);
    if (finding === undefined) {
      result.unsteady.push(seed);
      continue;
    }
    result.findings.push(finding);
    onFinding(finding);
    if (result.findings.length >= course.differences) break;
  }
  return result;
}

async function compared(sequence: Sequence, real: RestingMachine, other: RestingMachine) {
  const expected = observe(sequence, real);
  await real.rest?.();
  const got = observed(sequence, other);
  await other.rest?.();
  return { expected, difference: firstDifference(sequence, expected, got) };
}

/** A kernel that throws what is no errno differs, too. */
function observed(sequence: Sequence, machine: RestingMachine): readonly Observation[] {
  try {
    return observe(sequence, machine);
  } catch (error) {
    return [error instanceof Error ? `threw ${error.stack}` : String(error)];
  }
}

async function shrunk(
  seed: number,
  sequence: Sequence,
  real: RestingMachine,
  other: RestingMachine,
): Promise<Finding | undefined> {
  const differs = async (candidate: Sequence) => {
    try {
      return (await compared(candidate, real, other)).difference !== undefined;
    } catch {
      // What cannot be run at all is no smaller sequence.
      return false;
    }
  };
  if (!(await differs(sequence))) return undefined;
  const smallest = await shrink(sequence, differs);
  for (let run = 1; run < RUNS; run++) if (!(await differs(smallest))) return undefined;
  const { expected, difference } = await compared(smallest, real, other);
  return difference && { seed, sequence: smallest, expected, difference };
}
