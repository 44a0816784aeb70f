// Who hears an event: what that question takes of the core alone, with no kernel.

import { spawnSync } from 'node:child_process';
import { libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import type { Scenario } from '../scenario.ts';

const EVENTS = 2_000_000;
/** Each of these events visits a hundred groups. */
const GLOBAL_EVENTS = 200_000;
const DIRECTED = '100 directed groups, ten marks each';
const GLOBAL = '100 global groups, and 1,000 marks';

export const coreDispatch: Scenario = {
  name: 'core-dispatch',
  title: 'Who hears an event',
  about: (scale) =>
    'The dispatcher of the core alone: 100 groups and 1,000 marks of objects on one file system. ' +
    `${Math.round(EVENTS * scale).toLocaleString('en-US')} events of 2,000 objects by turns, of which one half is marked (${Math.round(GLOBAL_EVENTS * scale).toLocaleString('en-US')} where every event visits all groups), ` +
    'after 100,000 that are not measured. Time is that of the clock, with nothing told to anybody.',
  metrics: [
    { key: 'perSecond', label: 'events a second', unit: '', digits: 0 },
    { key: 'nsPerEvent', label: 'an event', unit: 'ns', digits: 0 },
    { key: 'cpuNsPerEvent', label: 'CPU per event', unit: 'ns', digits: 0 },
    { key: 'visits', label: 'groups visited by an event', unit: '', digits: 1 },
    { key: 'nsPerVisit', label: 'a visit', unit: 'ns', digits: 1 },
  ],
  comparisons: [],
  targets: [{ contestant: DIRECTED, metric: 'nsPerEvent', atMost: 1000 }],
  contestants: (room) => [
    program(DIRECTED, 'directed', room.scaled(EVENTS)),
    program(GLOBAL, 'global', room.scaled(GLOBAL_EVENTS)),
  ],
  measure: async ({ name, command: [file = '', ...args] }) => {
    const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
    if (status !== 0) throw new BenchError(`${name} ended with status ${status}: ${stderr.trim().slice(-500)}`);
    const { events, visits, wallNs, cpuNs } = JSON.parse(stdout) as Record<
      'events' | 'visits' | 'wallNs' | 'cpuNs',
      number
    >;
    const figures = {
      perSecond: events / (wallNs / 1e9),
      nsPerEvent: wallNs / events,
      cpuNsPerEvent: cpuNs / events,
      visits: visits / events,
      nsPerVisit: wallNs / visits,
    };
    return { figures };
  },
};

function program(name: string, shape: string, events: number) {
  return {
    ...libraryProgram(name, 'dispatch-core', '--shape', shape, '--events', String(events)),
    marksNothing: true,
  } as const;
}
