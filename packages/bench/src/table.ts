// The report for people: Markdown, as it stands in docs/PERFORMANCE.md.

import type { Measured } from './rounds.ts';
import type { Metric, Sample } from './scenario.ts';
import type { Spread } from './statistics.ts';
import { type Ratio, type Row, type Summary, summarize, type Verdict } from './summary.ts';

const WIDTH = 128;
const NO_FIGURE = '–';

/** The section of a scenario. */
export function sectionOf(measured: Measured): string {
  const { scenario, about, rounds, contestants, skipped, failed } = measured;
  const summary = summarize(measured);
  const medians = rounds === 1 ? 'One round.' : `Medians of ${rounds} rounds (least to most).`;
  const others = [
    ...contestants.flatMap(({ name, samples }) => remarksOf(name, samples)),
    ...skipped.map(({ name, because }) => `Skipped: ${name}: ${because}.`),
    ...failed.map(({ name, because }) => `Failed: ${name}: ${because}.`),
  ];
  return [
    `## ${scenario.title}`,
    wrapped(`\`npm run bench -- --only ${scenario.name}\`: ${about} ${medians}`),
    tableOf(measured, summary),
    ...(summary.verdicts.length > 0 ? [summary.verdicts.map(verdictText).join('\n')] : []),
    ...(others.length > 0 ? [others.map((line) => `- ${line}`).join('\n')] : []),
  ].join('\n\n');
}

/** A remark, once, with how often it was made. */
function remarksOf(name: string, samples: readonly Sample[]): string[] {
  const remarks = samples.map(({ remark }) => remark).filter((remark) => remark !== undefined);
  const last = remarks.at(-1);
  return last === undefined ? [] : [`${name}: ${last} (in ${remarks.length} of ${samples.length} rounds).`];
}

function tableOf({ scenario, contestants }: Measured, { rows, comparisons }: Summary): string {
  const cellOf = (metric: Metric, { name, figures }: Row): string | undefined => {
    const samples = contestants.find((contestant) => contestant.name === name)?.samples ?? [];
    return metric.text ? metric.text(samples) : figureText(metric, figures[metric.key]);
  };
  const metrics = scenario.metrics.filter((metric) => rows.some((row) => cellOf(metric, row) !== undefined));
  const head = ['', ...metrics.map(({ label }) => label), ...comparisons.map(({ label }) => label)];
  const body = rows.map((row) => [
    row.name,
    ...metrics.map((metric) => cellOf(metric, row) ?? NO_FIGURE),
    ...comparisons.map(({ label, against }) => (row.name === against ? '1' : ratioText(row.ratios[label]))),
  ]);
  const cells = [head, head.map(() => '---'), ...body];
  return cells.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function figureText({ digits, unit }: Metric, spread: Spread | undefined): string | undefined {
  if (!spread) return undefined;
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => grouped(value, digits));
  return `${median}${unit === '' ? '' : ` ${unit}`}${min === max ? '' : ` (${min} to ${max})`}`;
}

function ratioText(ratio: Ratio | undefined): string {
  if (!ratio) return NO_FIGURE;
  const [median, min, max] = [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(2));
  const range = min === max ? '' : ` (${min} to ${max})`;
  return `${median}${range}${ratio.isResult ? '' : ', no result'}`;
}

function verdictText({ target, metric, spread, metRounds, rounds }: Verdict): string {
  const { contestant, against, atMost } = target;
  const what = against === undefined ? metric.label : `${metric.label} against ${against}`;
  const digits = against === undefined ? metric.digits : 2;
  const is = `${spread.median.toFixed(digits)}, within it in ${metRounds} of ${rounds} rounds`;
  return `- Target: ${contestant}: ${what} at most ${atMost}: ${is}.`;
}

/** Lines of at most WIDTH characters, as the documents of the workspace have them. */
function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join('\n');
}

function grouped(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
