// How long an open is held by somebody who allows it at once: the library against a C loop, with one process that opens and with
// eight at a time.

import { libraryProgram, nativeProgram } from '../contestant.ts';
import { heldOpens } from '../held-opens.ts';
import { makeFiles } from '../load.ts';
import type { Scenario, Target } from '../scenario.ts';

const FILES = 1000;
/** Of all processes together. */
const WARM_UP_OPENS = 10_000;
const C = 'C, allows';
const MODULE = 'guard, a module decides in the responder';
const MODULE_SLEEPS = 'guard, a module decides in the responder, busyPollUs: 0';
const OWNER = 'guard, an async function decides';
const OWNER_SLEEPS = 'guard, an async function decides, busyPollUs: 0';

interface Load {
  readonly processes: number;
  /** Of each. */
  readonly opens: number;
}

/** What one program waits for. */
export const decide: Scenario = decideUnder(
  { processes: 1, opens: 40_000 },
  {
    name: 'decide',
    title: 'The round trip of a held open',
    about: (load) => `One process ${load}`,
    targets: [
      { contestant: MODULE, metric: 'p50Us', against: C, atMost: 1.1 },
      { contestant: MODULE, metric: 'p99Us', against: C, atMost: 1.3 },
      { contestant: OWNER, metric: 'p50Us', against: C, atMost: 2 },
    ],
  },
);

/** What a busy machine gets through. */
export const decideEight: Scenario = decideUnder(
  { processes: 8, opens: 10_000 },
  {
    name: 'decide-eight',
    title: 'Held opens of eight processes',
    about: (load) => `Eight processes at a time, each ${load}`,
    targets: [MODULE, OWNER].map((contestant) => ({ contestant, metric: 'totalMs', against: C, atMost: 1.4 })),
  },
);

function decideUnder(
  load: Load,
  scenario: {
    readonly name: string;
    readonly title: string;
    readonly about: (load: string) => string;
    readonly targets: readonly Target[];
  },
): Scenario {
  return {
    ...scenario,
    about: (scale) =>
      scenario.about(
        `opens ${FILES.toLocaleString('en-US')} files round and round, ${Math.round(load.opens * scale).toLocaleString('en-US')} times in all, after ${Math.round(WARM_UP_OPENS * scale).toLocaleString('en-US')} opens ` +
          'that are not measured. Each open is held until the contestant has allowed it, which it does without looking. Time is that of ' +
          'open(2); CPU is that of the contestant and its children during the load, divided by the opens.',
      ),
    metrics: [
      { key: 'p50Us', label: 'p50', unit: 'µs', digits: 1 },
      { key: 'p99Us', label: 'p99', unit: 'µs', digits: 1 },
      { key: 'p999Us', label: 'p99.9', unit: 'µs', digits: 1 },
      { key: 'totalMs', label: 'all opens', unit: 'ms', digits: 0 },
      { key: 'cpuUs', label: 'CPU per decision', unit: 'µs', digits: 1 },
    ],
    comparisons: [
      { metric: 'p50Us', against: C, label: 'p50 against C' },
      { metric: 'p99Us', against: C, label: 'p99 against C' },
      { metric: 'totalMs', against: C, label: 'all opens against C' },
      { metric: 'cpuUs', against: C, label: 'CPU against C' },
    ],
    contestants: (room) => [
      nativeProgram(room, C, 'decider', '.'),
      libraryProgram(MODULE, 'decide', '--where', 'responder'),
      libraryProgram(MODULE_SLEEPS, 'decide', '--where', 'responder', '--busy-poll', '0'),
      libraryProgram(OWNER, 'decide', '--where', 'owner'),
      libraryProgram(OWNER_SLEEPS, 'decide', '--where', 'owner', '--busy-poll', '0'),
    ],
    prepare: (room) => makeFiles(room, FILES),
    measure: async (contestant, room) => ({
      figures: await heldOpens(contestant, room, {
        processes: load.processes,
        files: FILES,
        opens: room.scaled(load.opens),
        warmUpOpens: Math.ceil(room.scaled(WARM_UP_OPENS) / load.processes),
      }),
    }),
  };
}
