// What the core adds to an event: one, ten and a hundred listeners of it in one process, beside groups of the kernel's own.

import { setTimeout as delay } from 'node:timers/promises';
import { attend, settled } from '../attend.ts';
import { type Contestant, libraryProgram, nativeProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { makeFiles, runLoad } from '../load.ts';
import { treeCpuNs } from '../processes.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';
import { readSums, type Sums } from '../told.ts';

const FILES = 1000;
const EACH_SECOND = 500;
const TIMED = 2000;
/** Before anything is measured: V8 has compiled what runs often by then. */
const WARM_UP_BURSTS = 50;
const BURSTS = 50;
const BURST_FILES = 100;
const BURST_MS = 100;
/** The first mark is not the last. */
const REST_MS = 1000;

const C = 'C, a descriptor each';
const GROUP = 'Group, a descriptor each';
const NAMES = 'Group, names';
const LISTENERS = [1, 10, 100] as const;
const several = (listeners: number) => (listeners === 1 ? '' : `, ${listeners} of them`);
const groupsOf = (listeners: number) => `${GROUP}${several(listeners)}`;
const coreOf = (listeners: number) => `core, ${listeners} listener${listeners === 1 ? '' : 's'}`;
/** By name of contestant. */
const COUNTS: ReadonlyMap<string, number> = new Map(
  LISTENERS.flatMap((listeners) => [
    [groupsOf(listeners), listeners],
    [coreOf(listeners), listeners],
  ]),
);

export const coreEvents: Scenario = {
  name: 'core-events',
  title: 'What the core adds to an event',
  about: (scale) =>
    `${FILES.toLocaleString('en-US')} files are opened for writing, written and closed round and round, on a file system of which all listeners hear closeWrite. Delay: ${Math.round(TIMED * scale).toLocaleString('en-US')} closes, ${EACH_SECOND} a second; ` +
    'from just before close(2) to the moment at which a listener has read the event, of all listeners together. CPU, in a run of its ' +
    `own: ${Math.round(BURSTS * scale)} bursts of ${BURST_FILES} files, one each ${BURST_MS} ms, after ${Math.round(WARM_UP_BURSTS * scale)} that are not measured; that of the reading process and the core's, divided by the events that all listeners were given, and by the closes. ` +
    'Every descriptor is closed. Not told: closes that a listener was given no event of its own for, of both runs, whether merged into one that waited or lost; ' +
    'overflows: the events that say that some were lost.',
  metrics: [
    { key: 'p50Us', label: 'delay, p50', unit: 'µs', digits: 0 },
    { key: 'p99Us', label: 'p99', unit: 'µs', digits: 0 },
    { key: 'usPerEvent', label: 'CPU per event', unit: 'µs', digits: 1 },
    { key: 'usPerClose', label: 'CPU per close', unit: 'µs', digits: 0 },
    { key: 'untold', label: 'not told', unit: '', digits: 0 },
    { key: 'overflows', label: 'overflows', unit: '', digits: 0 },
  ],
  comparisons: [
    { metric: 'p50Us', against: GROUP, label: 'p50 against Group' },
    { metric: 'usPerEvent', against: GROUP, label: 'per event against Group' },
    { metric: 'usPerEvent', against: C, label: 'per event against C' },
  ],
  targets: LISTENERS.map((listeners) => ({ contestant: coreOf(listeners), metric: 'untold', atMost: 0 })),
  contestants: (room) => [
    nativeProgram(room, C, 'descriptors', '.'),
    libraryProgram(NAMES, 'read-descriptors', '--report', 'name'),
    ...LISTENERS.map((listeners) =>
      libraryProgram(groupsOf(listeners), 'read-descriptors', '--listeners', String(listeners)),
    ),
    ...LISTENERS.map((listeners) => libraryProgram(coreOf(listeners), 'read-core', '--listeners', String(listeners))),
  ],
  prepare: (room) => makeFiles(room, FILES),
  measure: async (contestant, room) => {
    const listeners = COUNTS.get(contestant.name) ?? 1;
    const [timedCloses, warmUpBursts, bursts] = [room.scaled(TIMED), room.scaled(WARM_UP_BURSTS), room.scaled(BURSTS)];
    const burstCloses = (warmUpBursts + bursts) * BURST_FILES;
    const timed = await timedRun(contestant, room, timedCloses);
    const { sums, cpuNs } = await burstRun(contestant, room, warmUpBursts, bursts);
    if (timed.p50Ns === undefined || timed.p99Ns === undefined)
      throw new BenchError(`${contestant.name} told no delays`);
    const usPerClose = cpuNs / (bursts * BURST_FILES) / 1e3;
    const figures = {
      p50Us: timed.p50Ns / 1e3,
      p99Us: timed.p99Ns / 1e3,
      usPerEvent: usPerClose / (sums.events / burstCloses),
      usPerClose,
      untold: (timedCloses + burstCloses) * listeners - timed.events - sums.events,
      overflows: timed.overflows + sums.overflows,
      reads: sums.reads,
    };
    return { figures };
  },
};

async function timedRun(contestant: Contestant, room: Room, closes: number): Promise<Sums> {
  const isNative = contestant.command[0] === room.tool('descriptors');
  const timed = { ...contestant, command: [...contestant.command, isNative ? 'timed' : '--timed'] };
  const { outputFile } = await attend(timed, room, async () => {
    await delay(REST_MS);
    await runLoad(room, 'stamps', room.watched, FILES, closes, 1, 1e6 / EACH_SECOND);
  });
  return readSums(outputFile);
}

async function burstRun(
  contestant: Contestant,
  room: Room,
  warmUpBursts: number,
  bursts: number,
): Promise<{ readonly sums: Sums; readonly cpuNs: number }> {
  const load = async (pid: number, count: number) => {
    await runLoad(room, 'stamps', room.watched, FILES, count, BURST_FILES, BURST_MS * 1000);
    await settled(pid);
  };
  const { result: cpuNs, outputFile } = await attend(contestant, room, async (pid) => {
    await delay(REST_MS);
    await load(pid, warmUpBursts);
    const before = treeCpuNs(pid);
    await load(pid, bursts);
    return treeCpuNs(pid) - before;
  });
  return { sums: readSums(outputFile), cpuNs };
}
