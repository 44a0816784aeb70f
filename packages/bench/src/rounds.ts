// Rounds: in each one every contestant is measured once, in turning order, so that a slow minute of the machine hits all of them.

import type { Contestant, Skipped } from './contestant.ts';
import { BenchError } from './error.ts';
import type { Journal } from './journal.ts';
import type { Room } from './room.ts';
import type { Sample, Scenario } from './scenario.ts';

export interface Measured {
  readonly scenario: Scenario;
  readonly rounds: number;
  readonly about: string;
  readonly contestants: readonly { readonly name: string; readonly samples: readonly Sample[] }[];
  /** Not found, with what would bring them. */
  readonly skipped: readonly Skipped[];
  /** Found, and not measured to the end. */
  readonly failed: readonly Skipped[];
}

export interface Measuring {
  readonly rounds: number;
  /** Only those whose name holds one of these. */
  readonly who?: readonly string[] | undefined;
  /** Told of each measurement. */
  readonly say: (text: string) => void;
  /** What is there is not measured again. */
  readonly journal: Journal;
}

/** Measures a scenario. */
export async function measureRounds(
  scenario: Scenario,
  room: Room,
  { rounds, who, say, journal }: Measuring,
): Promise<Measured> {
  const isAsked = ({ name }: { readonly name: string }) => !who || who.some((text) => name.includes(text));
  const asked = scenario.contestants(room).filter(isAsked);
  const skipped = asked.filter((one): one is Skipped => 'because' in one);
  for (const { name, because } of skipped) say(`${scenario.name}: ${name} is skipped: ${because}`);
  const running = asked.filter((one): one is Contestant => 'command' in one);
  const samples = new Map<Contestant, Sample[]>(running.map((contestant) => [contestant, []]));
  const failed: Skipped[] = [];
  let isPrepared = false;
  const prepare = () => {
    if (isPrepared) return;
    isPrepared = true;
    room.empty();
    scenario.prepare?.(room);
  };
  for (let round = 0; round < rounds; round++) {
    const first = round % running.length;
    for (const contestant of [...running.slice(first), ...running.slice(0, first)]) {
      const own = samples.get(contestant);
      if (!own) continue;
      const before = journal.find(scenario.name, contestant.name, round);
      if (before) {
        own.push(before);
        continue;
      }
      try {
        prepare();
        const sample = await scenario.measure(contestant, room);
        own.push(sample);
        journal.keep(scenario.name, contestant.name, round, sample);
        say(`${scenario.name}, round ${round + 1} of ${rounds}: ${contestant.name}: ${headline(scenario, own.at(-1))}`);
      } catch (error) {
        if (!(error instanceof BenchError)) throw error;
        samples.delete(contestant);
        failed.push({ name: contestant.name, because: error.message });
        say(`${scenario.name}: ${contestant.name} failed: ${error.message}`);
      }
    }
  }
  const contestants = [...samples].map(([{ name }, own]) => ({ name, samples: own }));
  return { scenario, rounds, about: scenario.about(room.scale), contestants, skipped, failed };
}

function headline({ metrics }: Scenario, sample: Sample | undefined): string {
  return metrics
    .filter(({ key }) => sample?.figures[key] !== undefined)
    .map(({ key, label, unit, digits }) => `${label} ${sample?.figures[key]?.toFixed(digits)} ${unit}`.trim())
    .join(', ');
}
