// What rounds come to: medians with their spread, ratios round by round, and how far targets are met.

import type { Measured } from './rounds.ts';
import type { Comparison, Metric, Target } from './scenario.ts';
import { ratiosOf, type Spread, spreadOf, tellsApart } from './statistics.ts';

export interface Row {
  readonly name: string;
  /** By key of metric; undefined where the contestant has no such figure. */
  readonly figures: Readonly<Record<string, Spread | undefined>>;
  /** By label of comparison. */
  readonly ratios: Readonly<Record<string, Ratio | undefined>>;
}

export interface Ratio extends Spread {
  /** Whether the difference is larger than the spread. */
  readonly isResult: boolean;
}

export interface Verdict {
  readonly target: Target;
  readonly metric: Metric;
  readonly spread: Spread;
  /** In how many rounds it was met. */
  readonly metRounds: number;
  readonly rounds: number;
}

export interface Summary {
  readonly rows: readonly Row[];
  /** Those whose baseline took part. */
  readonly comparisons: readonly Comparison[];
  readonly verdicts: readonly Verdict[];
}

export function summarize(measured: Measured): Summary {
  const { metrics, comparisons, targets } = measured.scenario;
  const valuesOf = (name: string | undefined, key: string): number[] | undefined => {
    const values = measured.contestants
      .find((contestant) => contestant.name === name)
      ?.samples.map(({ figures }) => figures[key]);
    return values?.every((value) => value !== undefined) && values.length > 0 ? (values as number[]) : undefined;
  };
  const ratioOf = (name: string, metric: string, against: string): number[] | undefined => {
    const [own, baseline] = [valuesOf(name, metric), valuesOf(against, metric)];
    return own && baseline && ratiosOf(own, baseline);
  };
  const used = comparisons.filter(({ against, metric }) => valuesOf(against, metric));
  const rows = measured.contestants.map(({ name }): Row => {
    const figures = metrics.map(({ key }) => [key, optionalSpread(valuesOf(name, key))] as const);
    const ratios = used.map(({ label, metric, against }) => {
      const spread = optionalSpread(name === against ? undefined : ratioOf(name, metric, against));
      return [label, spread && { ...spread, isResult: tellsApart(spread) }] as const;
    });
    return { name, figures: Object.fromEntries(figures), ratios: Object.fromEntries(ratios) };
  });
  const verdicts = targets.flatMap((target): Verdict[] => {
    const { contestant, metric: key, against, atMost } = target;
    const values = against === undefined ? valuesOf(contestant, key) : ratioOf(contestant, key, against);
    const metric = metrics.find((one) => one.key === key);
    if (!values || !metric) return [];
    const metRounds = values.filter((value) => value <= atMost).length;
    return [{ target, metric, spread: spreadOf(values), metRounds, rounds: values.length }];
  });
  return { rows, comparisons: used, verdicts };
}

function optionalSpread(values: readonly number[] | undefined): Spread | undefined {
  return values && spreadOf(values);
}
