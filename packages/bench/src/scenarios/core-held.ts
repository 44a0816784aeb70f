// How long an open is held that listeners of the core are asked about in turn, beside a guard and a C loop.

import { attend, settled } from '../attend.ts';
import { libraryProgram, nativeProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { makeFiles, runOpeners } from '../load.ts';
import { treeCpuNs } from '../processes.ts';
import type { Scenario } from '../scenario.ts';
import { readDecisions } from '../told.ts';

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
  measure: async (contestant, room) => {
    const deciders = DECIDERS.get(contestant.name) ?? 1;
    const load = { processes: 1, files: FILES };
    const { result, outputFile } = await attend(contestant, room, async (pid) => {
      // The kernel has the first listener's mark; the others place theirs.
      await settled(pid);
      const warmUp = await runOpeners(room, { ...load, opens: room.scaled(WARM_UP_OPENS) });
      const before = treeCpuNs(pid);
      const { opens, p50Ns, p99Ns, maxNs } = await runOpeners(room, { ...load, opens: room.scaled(OPENS) });
      const cpuUs = (treeCpuNs(pid) - before) / opens / 1e3;
      return {
        p50Us: p50Ns / 1e3,
        p99Us: p99Ns / 1e3,
        maxUs: maxNs / 1e3,
        cpuUs,
        cpuPerDecisionUs: cpuUs / deciders,
        opens: warmUp.opens + opens,
      };
    });
    const { decisions } = readDecisions(outputFile);
    if (decisions !== result.opens * deciders) {
      throw new BenchError(`of ${result.opens} opens, for ${deciders} each, ${decisions} were decided`);
    }
    return { figures: result };
  },
};
