// What has been measured, kept in a file at once: a run that ended early goes on from there.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Sample } from './scenario.ts';

export interface Journal {
  find(scenario: string, contestant: string, round: number): Sample | undefined;
  keep(scenario: string, contestant: string, round: number, sample: Sample): void;
}

interface Line {
  readonly scale: number;
  readonly scenario: string;
  readonly contestant: string;
  readonly round: number;
  readonly sample: Sample;
}

/** Without a file it keeps nothing. Measurements of another scale do not count. */
export function openJournal(file: string | undefined, scale: number): Journal {
  const samples = new Map<string, Sample>();
  const keyOf = (scenario: string, contestant: string, round: number) => JSON.stringify([scenario, contestant, round]);
  if (file !== undefined && existsSync(file)) {
    const text = readFileSync(file, 'utf8');
    // Behind the last newline is what was being written when the run ended.
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    if (complete !== text) appendFileSync(file, '\n');
    for (const line of complete.split('\n').flatMap(lineOf)) {
      if (line.scale === scale) samples.set(keyOf(line.scenario, line.contestant, line.round), line.sample);
    }
  }
  return {
    find: (scenario, contestant, round) => samples.get(keyOf(scenario, contestant, round)),
    keep: (scenario, contestant, round, sample) => {
      if (file === undefined) return;
      appendFileSync(file, `${JSON.stringify({ scale, scenario, contestant, round, sample } satisfies Line)}\n`);
    },
  };
}

function lineOf(text: string): Line[] {
  try {
    return [JSON.parse(text) as Line];
  } catch {
    return [];
  }
}
