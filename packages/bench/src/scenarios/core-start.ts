// The start of the core's process and what it needs at rest, beside a guard's responder.

import { setTimeout as delay } from 'node:timers/promises';
import { attend } from '../attend.ts';
import { bareNode, libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { descriptorCount, proportionalKib, residentKib, treeOf } from '../processes.ts';
import type { Scenario } from '../scenario.ts';
import { readStart } from '../told.ts';

const REST_MS = 1000;
const FLOOR = bareNode('setInterval(() => {}, 1e6)');
const GUARD = 'guard, an async function decides';
const GROUPS = 100;

export const coreStart: Scenario = {
  name: 'core-start',
  title: 'The start of the core',
  about: () =>
    'The first call: what fanotify_init takes that starts the core, and guard() that starts a responder and places its mark. Another: ' +
    'each fanotify_init after that. Memory and descriptors are those of the process that was started, ' +
    `${REST_MS / 1000} s after the marks were placed, with nothing happening: resident (VmRSS), and what it is when memory that several processes share is divided among them (Pss).`,
  metrics: [
    { key: 'firstMs', label: 'the first call', unit: 'ms', digits: 0 },
    { key: 'eachMs', label: 'another', unit: 'ms', digits: 2 },
    { key: 'residentMib', label: 'resident', unit: 'MiB', digits: 1 },
    { key: 'proportionalMib', label: 'Pss', unit: 'MiB', digits: 1 },
    { key: 'descriptors', label: 'descriptors', unit: '', digits: 0 },
  ],
  comparisons: [
    { metric: 'firstMs', against: GUARD, label: 'first call against guard' },
    { metric: 'residentMib', against: GUARD, label: 'resident against guard' },
    { metric: 'residentMib', against: FLOOR.name, label: 'against bare node' },
  ],
  targets: [],
  contestants: () => [
    FLOOR,
    libraryProgram(GUARD, 'start-guard'),
    libraryProgram('core, one group', 'start-core'),
    libraryProgram(`core, ${GROUPS} groups`, 'start-core', '--groups', String(GROUPS)),
  ],
  measure: async (contestant, room) => {
    const { result, outputFile } = await attend(contestant, room, async (pid) => {
      await delay(REST_MS);
      const [, child] = treeOf(pid);
      if (child === undefined && !contestant.marksNothing)
        throw new BenchError(`${contestant.name} started no process`);
      const started = child ?? pid;
      return {
        residentMib: residentKib(started) / 1024,
        proportionalMib: proportionalKib(started) / 1024,
        descriptors: descriptorCount(started),
      };
    });
    if (contestant.marksNothing) return { figures: result };
    return { figures: { ...result, ...readStart(outputFile) } };
  },
};
