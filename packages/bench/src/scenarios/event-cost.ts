// What an event costs: the library against a C reader that does nothing with what it reads.

import { statSync } from 'node:fs';
import { attend } from '../attend.ts';
import { libraryProgram, nativeProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { runLoad } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { readSums } from '../told.ts';

const FILES = 10_000;
const ROUNDS = 10;
const C = 'C, resolves nothing';
const C_GATHERS = 'C, gathers for 1 ms as Group does';
const BATCHES = 'Group, batches(), path and pid';
const EACH = 'Group, for await, path and pid';

export const eventCost: Scenario = {
  name: 'event-cost',
  title: 'What an event costs',
  about: (scale) =>
    `${(Math.round(FILES * scale) * ROUNDS).toLocaleString('en-US')} files are made, written, closed and removed in a hundred directories as fast as one core can, while ` +
    'one reader hears create, modify, closeWrite, delete and rename of the file system, with `name` and `targetFid` and a queue ' +
    'without limit. CPU of the whole process, its start and end included, divided by the events that it was given. What waits in ' +
    'the queue is merged by the kernel, so whoever reads less often is given fewer events that say as much: hence CPU per file, too. ' +
    'Standard output goes to a file on another tmpfs: one line.',
  metrics: [
    { key: 'nsPerEvent', label: 'CPU per event', unit: 'ns', digits: 0 },
    { key: 'nsPerFile', label: 'CPU per file', unit: 'ns', digits: 0 },
    { key: 'eventsPerFile', label: 'events per file', unit: '', digits: 2 },
    { key: 'wakeUps', label: 'switches', unit: '', digits: 0 },
    { key: 'peakMib', label: 'peak memory', unit: 'MiB', digits: 0 },
  ],
  comparisons: [
    { metric: 'nsPerEvent', against: C, label: 'per event against C' },
    { metric: 'nsPerEvent', against: C_GATHERS, label: 'per event against C, gathering' },
  ],
  targets: [BATCHES, EACH].flatMap((contestant) =>
    [C, C_GATHERS].map((against) => ({ contestant, metric: 'nsPerEvent', against, atMost: 1.3 })),
  ),
  contestants: (room) => [
    nativeProgram(room, C, 'reader', '.', 'changes', 'unlimited', '0'),
    nativeProgram(room, C_GATHERS, 'reader', '.', 'changes', 'unlimited', '1'),
    libraryProgram(BATCHES, 'read-events', '--queue', 'unlimited'),
    libraryProgram(EACH, 'read-events', '--queue', 'unlimited', '--way', 'each'),
  ],
  measure: async (contestant, room) => {
    const files = room.scaled(FILES) * ROUNDS;
    const { usage, cpuUs, outputFile } = await attend(contestant, room, () =>
      runLoad(room, 'churn', room.watched, room.scaled(FILES), ROUNDS),
    );
    if (statSync(outputFile).size === 0) throw new BenchError(`${contestant.name} said nothing`);
    const { events, overflows } = readSums(outputFile);
    if (overflows > 0) throw new BenchError(`${contestant.name} lost events in a queue without limit`);
    const figures = {
      events,
      cpuUs,
      nsPerEvent: (cpuUs * 1000) / events,
      nsPerFile: (cpuUs * 1000) / files,
      eventsPerFile: events / files,
      wakeUps: usage.switches,
      peakMib: usage.peakKib / 1024,
    };
    return { figures };
  },
};
