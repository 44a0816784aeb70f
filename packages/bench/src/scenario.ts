// What a scenario is: a question, who is asked, how one of them is measured once, and what is read off.

import type { Contestant, Skipped } from './contestant.ts';
import type { Room } from './room.ts';

/** What one contestant did in one round. */
export interface Sample {
  /** By key of metric, and others for who reads the JSON. */
  readonly figures: Readonly<Record<string, number>>;
  /** What figures do not say. */
  readonly remark?: string | undefined;
}

/** A column: a figure that each sample has. */
export interface Metric {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly digits: number;
  /** What stands in the column, where a median is not the answer; undefined where there is none. */
  readonly text?: (samples: readonly Sample[]) => string | undefined;
}

/** A column of ratios: a metric of each contestant over that of one of them, round by round. */
export interface Comparison {
  readonly metric: string;
  /** The name of a contestant. */
  readonly against: string;
  readonly label: string;
}

/** A promise: what a contestant's ratio (or with no `against` its metric) should be. */
export interface Target {
  readonly contestant: string;
  readonly metric: string;
  readonly against?: string;
  readonly atMost: number;
}

export interface Scenario {
  readonly name: string;
  /** The heading of its table. */
  readonly title: string;
  /** What is done and what is counted, for who reads the table. `scale` is that of the loads. */
  readonly about: (scale: number) => string;
  readonly metrics: readonly Metric[];
  readonly comparisons: readonly Comparison[];
  readonly targets: readonly Target[];
  /** Measured once however many rounds are asked for, and only when asked for: it takes minutes. */
  readonly isLong?: true;
  /** Though long, it is measured as often as asked for. */
  readonly hasRounds?: true;
  readonly contestants: (room: Room) => readonly (Contestant | Skipped)[];
  /** Before the first round, on an empty file system. */
  readonly prepare?: (room: Room) => void;
  readonly measure: (contestant: Contestant, room: Room) => Promise<Sample>;
}
