// What it costs to go through the daemon: held opens, events to one client and to many, and clients that have nothing to do.

import { setTimeout as delay } from 'node:timers/promises';
import { attend, settled } from '../attend.ts';
import { libraryProgram, nativeProgram } from '../contestant.ts';
import { heldOpens } from '../held-opens.ts';
import { makeFiles, runLoad } from '../load.ts';
import { markBytes, proportionalKib, residentKib, treeCpuNs, treeOf } from '../processes.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';
import { readSums } from '../told.ts';

const FILES = 1000;
const NOBODY = '65534';
const CLIENTS = [1, 10, 100] as const;
const clientsOf = (clients: number) => `fanotifyd, ${clients} client${clients === 1 ? '' : 's'}`;

const OPENS = 20_000;
const WARM_UP_OPENS = 5_000;
const C = 'C, allows';
const GUARD = 'guard, an async function decides';

export const daemonHeld: Scenario = {
  name: 'daemon-held',
  title: 'An open that a client of the daemon decides on',
  about: (scale) =>
    `One process opens ${FILES.toLocaleString('en-US')} files round and round, ${Math.round(OPENS * scale).toLocaleString('en-US')} times in all, after ${Math.round(WARM_UP_OPENS * scale).toLocaleString('en-US')} opens that are not measured. ` +
    'Each open is held until the contestant has allowed it without looking: a C loop, the owner of a guard with its own responder, or a ' +
    "client of fanotifyd, beside which others guard directories of their own in which nothing happens. Time is that of open(2); CPU is that of the contestant's process and all others that it has started (responder, daemon), divided by the opens.",
  metrics: [
    { key: 'p50Us', label: 'p50', unit: 'µs', digits: 1 },
    { key: 'p99Us', label: 'p99', unit: 'µs', digits: 1 },
    { key: 'cpuUs', label: 'CPU per open', unit: 'µs', digits: 1 },
  ],
  comparisons: [
    { metric: 'p50Us', against: GUARD, label: 'p50 against guard' },
    { metric: 'p99Us', against: GUARD, label: 'p99 against guard' },
    { metric: 'cpuUs', against: GUARD, label: 'CPU against guard' },
  ],
  targets: [{ contestant: clientsOf(1), metric: 'p50Us', against: GUARD, atMost: 1.3 }],
  contestants: (room) => [
    nativeProgram(room, C, 'decider', '.'),
    libraryProgram(GUARD, 'decide', '--where', 'owner'),
    ...CLIENTS.map((clients) =>
      libraryProgram(
        clientsOf(clients),
        'decide-daemon',
        '--clients',
        String(clients),
        '--others',
        `${room.watched}/others`,
      ),
    ),
  ],
  prepare: (room) => makeFiles(room, FILES),
  measure: async (contestant, room) => ({
    figures: await heldOpens(
      contestant,
      room,
      { processes: 1, files: FILES, opens: room.scaled(OPENS), warmUpOpens: room.scaled(WARM_UP_OPENS) },
      () => delay(REST_MS),
    ),
  }),
};

/** The first mark is not the last. */
const REST_MS = 1500;
const WARM_UP_BURSTS = 50;
const BURSTS = 50;
const BURST_FILES = 100;
const BURST_MS = 100;
const FLOOD_FILES = 100_000;
const FLOOD = 200_000;
/** From the last event told until that is noticed. */
const NOTICED_MS = 200;
const GROUP = 'Group, names';
const ORDINARY = 'fanotifyd, a client who is an ordinary user';

export const daemonEvents: Scenario = {
  name: 'daemon-events',
  title: 'Events through the daemon',
  about: (scale) =>
    `Files are opened for writing, written and closed round and round, in a tree that all clients listen to (closeWrite, with names and paths). CPU: ` +
    `${Math.round(BURSTS * scale)} bursts of ${BURST_FILES} files, one each ${BURST_MS} ms, after ${Math.round(WARM_UP_BURSTS * scale)} that are not measured; that of the clients and the daemon, divided by the events that all clients were given. Then, with one client, a flood: ` +
    `${Math.round(FLOOD * scale).toLocaleString('en-US')} closes of ${Math.round(FLOOD_FILES * scale).toLocaleString('en-US')} files as fast as one process can beside those that hear it. Then the same once more while all of them are stopped: how many they tell a second when they go on. Not told: closes ` +
    'of which a client was given no event of its own, merged with one that waited or lost; overflows: the events that say that some were lost.',
  metrics: [
    { key: 'usPerEvent', label: 'CPU per event', unit: 'µs', digits: 1 },
    { key: 'closesPerSecond', label: 'closes/s in the flood', unit: '', digits: 0 },
    { key: 'toldPerSecond', label: 'told/s', unit: '', digits: 0 },
    { key: 'backlogPerSecond', label: 'told/s of what waited', unit: '', digits: 0 },
    { key: 'untold', label: 'not told', unit: '', digits: 0 },
    { key: 'overflows', label: 'overflows', unit: '', digits: 0 },
  ],
  comparisons: [{ metric: 'usPerEvent', against: GROUP, label: 'CPU against Group' }],
  targets: [],
  contestants: () => [
    libraryProgram(GROUP, 'read-descriptors', '--report', 'name'),
    ...CLIENTS.map((clients) => libraryProgram(clientsOf(clients), 'read-daemon', '--clients', String(clients))),
    libraryProgram(ORDINARY, 'read-daemon', '--user', NOBODY),
  ],
  prepare: (room) => makeFiles(room, room.scaled(FLOOD_FILES)),
  measure: async (contestant, room) => {
    const clients = CLIENTS.find((count) => contestant.name === clientsOf(count)) ?? 1;
    const [warmUp, bursts] = [room.scaled(WARM_UP_BURSTS), room.scaled(BURSTS)];
    const floods = clients === 1 ? 2 : 0;
    const { result, outputFile } = await attend(contestant, room, async (pid) => {
      await delay(REST_MS);
      await loadOf(room, pid, warmUp, BURST_FILES);
      const before = treeCpuNs(pid);
      await loadOf(room, pid, bursts, BURST_FILES);
      const cpuNs = treeCpuNs(pid) - before;
      return { cpuNs, flood: floods === 0 ? undefined : await floodOf(room, pid) };
    });
    const sums = readSums(outputFile);
    const burstCloses = (warmUp + bursts) * BURST_FILES;
    const flood = room.scaled(FLOOD);
    const toldOfFlood = (sums.events - burstCloses) / flood / floods;
    return {
      figures: {
        usPerEvent: result.cpuNs / (bursts * BURST_FILES * clients) / 1e3,
        ...(result.flood && {
          closesPerSecond: (flood / result.flood.loadMs) * 1e3,
          // Which of the floods events were lost of nobody knows.
          ...(sums.overflows === 0 && {
            toldPerSecond: ((flood * toldOfFlood) / result.flood.toldMs) * 1e3,
            backlogPerSecond: ((flood * toldOfFlood) / result.flood.backlogMs) * 1e3,
          }),
        }),
        untold: (burstCloses + flood * floods) * clients - sums.events,
        overflows: sums.overflows,
        reads: sums.reads,
      },
    };
  },
};

/** A flood that is heard as it comes, and one that waits. */
async function floodOf(room: Room, pid: number) {
  const began = performance.now();
  const run = () => runLoad(room, 'stamps', room.watched, room.scaled(FLOOD_FILES), 1, room.scaled(FLOOD), 0);
  await run();
  const loadMs = performance.now() - began;
  await settled(pid);
  const toldMs = performance.now() - began - NOTICED_MS;
  for (const one of treeOf(pid)) process.kill(one, 'SIGSTOP');
  await run();
  const wentOn = performance.now();
  for (const one of treeOf(pid)) process.kill(one, 'SIGCONT');
  await settled(pid);
  return { loadMs, toldMs, backlogMs: performance.now() - wentOn - NOTICED_MS };
}

async function loadOf(room: Room, pid: number, bursts: number, each: number): Promise<void> {
  await runLoad(room, 'stamps', room.watched, FILES, bursts, each, BURST_MS * 1000);
  await settled(pid);
}

const IDLE_CLIENTS = 1000;
const IDLE_MS = 10_000;
const ALONE = 'fanotifyd, 1 client';
const THOUSAND = 'fanotifyd, 1,000 clients';

export const daemonIdle: Scenario = {
  name: 'daemon-idle',
  title: 'Clients of the daemon that have nothing to do',
  about: (scale) =>
    `Each client listens to a directory of its own with all that is below, on one file system; ${Math.round(IDLE_CLIENTS * scale).toLocaleString('en-US')} or one of them, all in one process. Memory is that of the daemon with its children, when all have their marks: resident (VmRSS), and ` +
    `shared memory divided (Pss); of the clients' process beside it. CPU: of all of them in ${IDLE_MS / 1000} s in which nothing happens. Marks: memory that the kernel keeps for them.`,
  metrics: [
    { key: 'residentMib', label: 'daemon, resident', unit: 'MiB', digits: 1 },
    { key: 'proportionalMib', label: 'Pss', unit: 'MiB', digits: 1 },
    { key: 'clientMib', label: "the clients' process", unit: 'MiB', digits: 1 },
    { key: 'cpuMsPerSecond', label: 'CPU per second', unit: 'ms', digits: 2 },
    { key: 'markKib', label: 'marks', unit: 'KiB', digits: 1 },
  ],
  comparisons: [],
  targets: [],
  contestants: (room) => [
    libraryProgram(ALONE, 'idle-daemon'),
    libraryProgram(THOUSAND, 'idle-daemon', '--clients', String(room.scaled(IDLE_CLIENTS))),
  ],
  measure: async (contestant, room) => {
    const { result } = await attend(contestant, room, async (pid) => {
      // Its marks come one after the other.
      await delay(REST_MS);
      await settled(pid);
      const daemon = treeOf(pid).filter((one) => one !== pid);
      const sum = (of: (one: number) => number, all: readonly number[]) =>
        all.reduce((total, one) => total + of(one), 0);
      const before = treeCpuNs(pid);
      await delay(IDLE_MS);
      return {
        residentMib: sum(residentKib, daemon) / 1024,
        proportionalMib: sum(proportionalKib, daemon) / 1024,
        clientMib: residentKib(pid) / 1024,
        cpuMsPerSecond: (treeCpuNs(pid) - before) / 1e6 / (IDLE_MS / 1000),
        markKib: sum(markBytes, daemon) / 1024,
      };
    });
    return { figures: result };
  },
};
