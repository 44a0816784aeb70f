// What a guarded subtree costs the rest of its file system, and what it costs within: against nobody, and against a guard of all of it.

import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { attend } from '../attend.ts';
import { libraryProgram, nativeProgram, nothingMarked } from '../contestant.ts';
import { makeFiles, runOpeners } from '../load.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';
import { readDecisions } from '../told.ts';

const FILES = 1000;
const OPENS = 40_000;
const BATCH = 100;
const UNMARKED = 'no marks';
const C = 'C, allows';
const FILESYSTEM = "guard, scope 'filesystem'";
const INSIDE = "guard, scope 'subtree': inside";
const ROOTS = "guard, scope 'subtree': outside, where root alone may write";
const USERS = "guard, scope 'subtree': outside, where anybody may";
/** Which directory each one's load opens files of. */
const PLACES: Readonly<Record<string, string>> = {
  [UNMARKED]: 'roots',
  [C]: 'roots',
  [FILESYSTEM]: 'sub',
  [INSIDE]: 'sub',
  [ROOTS]: 'roots',
  [USERS]: 'users',
};

export const decideSubtree: Scenario = {
  name: 'decide-subtree',
  title: 'Opens in and beside a guarded subtree',
  about: (scale) =>
    `One process opens ${FILES.toLocaleString('en-US')} files round and round, ${Math.round(OPENS * scale).toLocaleString('en-US')} times in all, after a pass that is not measured. ` +
    'The subtree is a directory beside those that are outside; the function of the guards allows everything. The files and ' +
    'directories outside where anybody may write were made just before, which is when a look takes longest. Time is that of open(2), ' +
    `${BATCH} measured at once and closed afterwards, the median of all these batches. Of all opens: how many were decided, how many were let in by the responder, and how many directories the kernel ignored in the end.`,
  metrics: [
    { key: 'p50Ns', label: 'an open', unit: 'ns', digits: 0 },
    { key: 'decisions', label: 'decided', unit: '', digits: 0 },
    { key: 'outside', label: 'let in', unit: '', digits: 0 },
    { key: 'ignoredOutside', label: 'directories ignored', unit: '', digits: 0 },
  ],
  comparisons: [
    { metric: 'p50Ns', against: UNMARKED, label: 'against no marks' },
    { metric: 'p50Ns', against: C, label: 'against C' },
    { metric: 'p50Ns', against: FILESYSTEM, label: "against 'filesystem'" },
  ],
  targets: [
    { contestant: ROOTS, metric: 'p50Ns', against: UNMARKED, atMost: 1.3 },
    { contestant: INSIDE, metric: 'p50Ns', against: FILESYSTEM, atMost: 1.2 },
  ],
  contestants: (room) => [
    nothingMarked(UNMARKED),
    nativeProgram(room, C, 'decider', '.'),
    libraryProgram(FILESYSTEM, 'decide', '--where', 'owner'),
    ...[INSIDE, ROOTS, USERS].map((name) => libraryProgram(name, 'decide', '--where', 'owner', '--subtree', 'sub')),
  ],
  prepare: (room) => {
    for (const place of new Set(Object.values(PLACES))) {
      mkdirSync(join(room.watched, place));
      makeFiles(roomAt(room, place), FILES);
    }
    chmodSync(join(room.watched, 'users'), 0o777);
  },
  measure: async (contestant, room) => {
    const place = roomAt(room, PLACES[contestant.name] ?? '.');
    const load = { processes: 1, files: FILES, batch: BATCH };
    const { result, outputFile } = await attend(contestant, room, async () => {
      await runOpeners(place, { ...load, opens: FILES });
      const { p50Ns, p99Ns, maxNs } = await runOpeners(place, { ...load, opens: room.scaled(OPENS) });
      return { p50Ns, p99Ns, maxNs };
    });
    if (contestant.marksNothing) return { figures: result };
    const { decisions, outside, ignoredOutside } = readDecisions(outputFile);
    return {
      figures: {
        ...result,
        decisions,
        ...(outside !== undefined && { outside }),
        ...(ignoredOutside !== undefined && { ignoredOutside }),
      },
    };
  },
};

/** The room, with a directory for what is watched. */
function roomAt(room: Room, place: string): Room {
  return { ...room, watched: join(room.watched, place) };
}
