// The report for machines: every figure of every round, and what they come to.

import type { Machine } from './machine.ts';
import type { Measured } from './rounds.ts';
import { summarize } from './summary.ts';

export function jsonOf(machine: Machine, scale: number, all: readonly Measured[]): string {
  const scenarios = all.map((measured) => {
    const { scenario, about, rounds, contestants, skipped, failed } = measured;
    const { rows, verdicts } = summarize(measured);
    return {
      name: scenario.name,
      title: scenario.title,
      about,
      rounds,
      metrics: scenario.metrics,
      contestants: contestants.map(({ name, samples }) => {
        const row = rows.find((one) => one.name === name);
        return { name, figures: row?.figures, ratios: row?.ratios, samples };
      }),
      targets: verdicts.map(({ target, spread, metRounds }) => ({ ...target, ...spread, metRounds })),
      skipped,
      failed,
    };
  });
  return `${JSON.stringify({ machine, scale, scenarios }, null, 2)}\n`;
}
