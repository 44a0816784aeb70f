// How long an open is held that listeners of the core are asked about in turn, beside a guard and a C loop.

import { settled } from '../attend.ts';
import { libraryProgram, nativeProgram } from '../contestant.ts';
import { heldOpens } from '../held-opens.ts';
import { makeFiles } from '../load.ts';
import type { Scenario } from '../scenario.ts';

const FILES = 1000;
const OPENS = 20_000;
const WARM_UP_OPENS = 5_000;
const C = 'C, allows';
const GUARD = 'guard, an async function decides';
const ONE = 'core, one listener';
const THREE = 'core, three listeners in turn';
/** How many decide on each open. */
const DECIDERS: ReadonlyMap<string, number> = new Map([[THREE, 3]]);

export const coreHeld: Scenario = {
  name: 'core-held',
  title: 'An open that listeners of the core are asked about in turn',
  about: (scale) =>
    `One process opens ${FILES.toLocaleString('en-US')} files round and round, ${Math.round(OPENS * scale).toLocaleString('en-US')} times in all, after ${Math.round(WARM_UP_OPENS * scale).toLocaleString('en-US')} opens that are not measured. ` +
    'Each open is held until all of the contestant have allowed it, which they do without looking. The listeners are in one process, ' +
    'with different priorities: poll, read, fanotify_perm_response and close of the descriptor, over and over. Time is that of open(2); ' +
    "CPU is that of the contestant and its children (the guard's responder, the core) during the load, divided by the opens, and by the answers that they gave.",
  metrics: [
    { key: 'p50Us', label: 'p50', unit: 'µs', digits: 1 },
    { key: 'p99Us', label: 'p99', unit: 'µs', digits: 1 },
    { key: 'cpuUs', label: 'CPU per open', unit: 'µs', digits: 1 },
    { key: 'cpuPerDecisionUs', label: 'CPU per decision', unit: 'µs', digits: 1 },
  ],
  comparisons: [
    { metric: 'p50Us', against: C, label: 'p50 against C' },
    { metric: 'p50Us', against: GUARD, label: 'p50 against guard' },
    { metric: 'p50Us', against: ONE, label: 'p50 against one listener' },
    { metric: 'cpuUs', against: GUARD, label: 'CPU against guard' },
  ],
  targets: [
    { contestant: ONE, metric: 'p50Us', against: GUARD, atMost: 1.2 },
    { contestant: THREE, metric: 'p50Us', against: ONE, atMost: 3 },
  ],
  contestants: (room) => [
    nativeProgram(room, C, 'decider', '.'),
    libraryProgram(GUARD, 'decide', '--where', 'owner'),
    libraryProgram(ONE, 'decide-core', '--listeners', '1'),
    libraryProgram(THREE, 'decide-core', '--listeners', '3'),
  ],
  prepare: (room) => makeFiles(room, FILES),
  measure: async (contestant, room) => ({
    figures: await heldOpens(
      contestant,
      room,
      {
        processes: 1,
        files: FILES,
        opens: room.scaled(OPENS),
        warmUpOpens: room.scaled(WARM_UP_OPENS),
        deciders: DECIDERS.get(contestant.name) ?? 1,
      },
      // The kernel has the first listener's mark; the others place theirs.
      settled,
    ),
  }),
};
