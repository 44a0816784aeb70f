// Figures of several rounds: the median, and how far they lie apart.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Round by round, so that a machine that slows down does so for both. */
export function ratiosOf(values: readonly number[], baseline: readonly number[]): number[] {
  return values.map((value, round) => value / (baseline[round] ?? Number.NaN));
}

/**
 * Whether a ratio tells the two apart: a difference below the spread is no result. Both as factors, so that a half and twice are
 * equally far from one, and it is all the same which of the two is the baseline.
 */
export function tellsApart({ median, min, max }: Spread): boolean {
  return median !== 1 && Math.abs(Math.log(median)) >= Math.log(max / min);
}
