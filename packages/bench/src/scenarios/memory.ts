// Resident memory of who listens and hears nothing.

import { setTimeout as delay } from 'node:timers/promises';
import { attend } from '../attend.ts';
import { bareNode, command, fatrace, fsnotifywait, libraryProgram, nativeProgram } from '../contestant.ts';
import { descriptorCount, residentKib } from '../processes.ts';
import type { Scenario } from '../scenario.ts';

const REST_MS = 1000;
const FLOOR = bareNode('setInterval(() => {}, 1e6)');

export const memory: Scenario = {
  name: 'memory',
  title: 'Memory at rest',
  about: () =>
    `Resident memory (VmRSS) and open descriptors ${REST_MS / 1000} s after the marks were placed, with nothing happening on the file system.`,
  metrics: [
    { key: 'residentMib', label: 'resident', unit: 'MiB', digits: 1 },
    { key: 'descriptors', label: 'descriptors', unit: '', digits: 0 },
  ],
  comparisons: [{ metric: 'residentMib', against: FLOOR.name, label: 'against bare node' }],
  targets: [],
  contestants: (room) => [
    FLOOR,
    nativeProgram(room, 'C, resolves nothing', 'reader', '.', 'changes', 'bounded', '0'),
    libraryProgram('Group, batches(), path and pid', 'read-events'),
    command('trace', '-c'),
    command('watch', '-r', '-e', 'all', '.'),
    fatrace(),
    fsnotifywait(),
  ],
  measure: async (contestant, room) => {
    const { result: figures } = await attend(contestant, room, async (pid) => {
      await delay(REST_MS);
      return { residentMib: residentKib(pid) / 1024, descriptors: descriptorCount(pid) };
    });
    return { figures };
  },
};
