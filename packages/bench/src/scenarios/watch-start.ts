// How long a watcher takes until it watches a large tree, and what memory that takes.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { RAISED, raiseLimits } from '../limits.ts';
import { markBytes, openFileBytes, peakKib, proportionalKib, residentKib, treeOf } from '../processes.ts';
import type { Room } from '../room.ts';
import type { Sample, Scenario } from '../scenario.ts';
import { Watcher } from '../watcher.ts';
import { NOBODY_WATCHES, NSFW, OURS, OURS_THROUGH_DAEMON, OURS_WITHOUT_PRIVILEGE, peers } from '../watchers.ts';

const HEAR_MS = 30_000;
const REST_MS = 500;
const AT_MOST_MS = 300_000;
const NONE = OURS[0]?.name ?? '';
const USER = OURS_WITHOUT_PRIVILEGE[0]?.name ?? '';
const SERVED = OURS_THROUGH_DAEMON[0]?.name ?? '';

interface Tree {
  readonly directories: number;
  readonly filesEach: number;
}

export const watchStart: Scenario = {
  ...startScenario({ directories: 20_000, filesEach: 5 }, () => [
    ...OURS,
    ...OURS_WITHOUT_PRIVILEGE,
    ...OURS_THROUGH_DAEMON,
    ...peers(),
  ]),
  name: 'watch-start',
  title: 'Until a large tree is watched',
  targets: [
    { contestant: NONE, metric: 'readyMs', atMost: 100 },
    { contestant: NONE, metric: 'overMib', atMost: 15 },
    { contestant: USER, metric: 'readyMs', against: NSFW.name, atMost: 1 },
    { contestant: USER, metric: 'directoryBytes', atMost: 1000 },
    { contestant: SERVED, metric: 'readyMs', atMost: 100 },
  ],
};

export const watchStartLong: Scenario = {
  ...startScenario({ directories: 200_000, filesEach: 1 }, () => [
    ...OURS,
    ...OURS_WITHOUT_PRIVILEGE,
    ...OURS_THROUGH_DAEMON,
  ]),
  name: 'watch-start-long',
  title: 'Until a very large tree is watched',
  isLong: true,
  hasRounds: true,
  targets: [
    { contestant: NONE, metric: 'readyMs', atMost: 100 },
    { contestant: NONE, metric: 'overMib', atMost: 15 },
    { contestant: USER, metric: 'directoryBytes', atMost: 1000 },
  ],
};

function startScenario(
  { directories, filesEach }: Tree,
  contestants: Scenario['contestants'],
): Omit<Scenario, 'name' | 'title' | 'targets'> {
  const size = (scale: number) => Math.max(10, Math.round(directories * scale));
  return {
    about: (scale) =>
      `A tmpfs with ${size(scale).toLocaleString('en-US')} directories, ten in each other, and ${filesEach} files in each. \`ready\`: from the call until the watcher says that it is ` +
      '(`loading`: of its library, before). `over bare node`: resident memory (VmRSS) of all its processes over that of Node.js with the ' +
      'same consumer and no watcher, when it is ready; `peak` is the highest by the end. `hears`: a file made then, ten directories deep, ' +
      `was told within ${HEAR_MS / 1000} s. \`at rest\`: from the call until it uses next to no CPU, which is when a baseline has been listed; ` +
      'behind it the memory then, and what lies in open temporary files. `marks`: what the kernel keeps for marks and watches. ' +
      `\`a directory\`, \`an entry\`: resident memory at rest and temporary files, less those of the same watcher on an empty directory, plus those marks. ${RAISED}`,
    metrics: [
      { key: 'readyMs', label: 'ready', unit: 'ms', digits: 1 },
      { key: 'importMs', label: 'loading', unit: 'ms', digits: 0 },
      { key: 'overMib', label: 'over bare node', unit: 'MiB', digits: 1 },
      { key: 'peakMib', label: 'peak', unit: 'MiB', digits: 0 },
      { key: 'hears', label: 'hears', unit: '', digits: 0, text: heardText },
      { key: 'restMs', label: 'at rest', unit: 'ms', digits: 0 },
      { key: 'restMib', label: 'over bare node then', unit: 'MiB', digits: 1 },
      { key: 'fileMib', label: 'files', unit: 'MiB', digits: 1 },
      { key: 'markMib', label: 'marks', unit: 'MiB', digits: 1 },
      { key: 'directoryBytes', label: 'a directory', unit: 'B', digits: 0 },
      { key: 'entryBytes', label: 'an entry', unit: 'B', digits: 0 },
    ],
    comparisons: [],
    contestants,
    prepare: (room) => {
      const files = size(room.scale) * filesEach;
      const args = [room.watched, files, size(room.scale)].map(String);
      if (spawnSync(room.tool('burst'), args).status !== 0) throw new BenchError('the tree cannot be made');
    },
    measure: (contestant, room) => measureStart(contestant, room, size(room.scale), filesEach),
  };
}

async function measureStart(
  contestant: Contestant,
  room: Room,
  directories: number,
  filesEach: number,
): Promise<Sample> {
  raiseLimits();
  const empty = join(room.output, 'empty');
  mkdirSync(empty, { recursive: true });
  const bareKib = await restingKib(NOBODY_WATCHES, room, empty);
  const emptyKib = await restingKib(contestant, room, empty);
  const watcher = await Watcher.start(contestant, room, room.watched);
  try {
    const began = performance.now();
    const atReady = memoryOf(watcher.pid);
    const hears = await doesHear(watcher, room);
    const hearMs = performance.now() - began;
    // A watcher that is deaf does not answer any more.
    const settledMs = hears ? await watcher.settle(REST_MS, AT_MOST_MS) : undefined;
    const { own } = hears ? await watcher.ask('events') : { own: {} };
    const atRest = memoryOf(watcher.pid);
    const { readyMs, importMs, startMs } = watcher.ready;
    const addedBytes = (atRest.residentKib - emptyKib) * 1024 + atRest.fileBytes + atRest.markBytes;
    const figures = {
      readyMs,
      importMs,
      startMs,
      overMib: (atReady.residentKib - bareKib) / 1024,
      proportionalMib: atReady.proportionalKib / 1024,
      peakMib: atRest.peakKib / 1024,
      hears: hears ? 1 : 0,
      ...(hears && { hearMs }),
      ...(settledMs !== undefined && { restMs: readyMs + hearMs + settledMs }),
      restMib: (atRest.residentKib - bareKib) / 1024,
      ...(atRest.fileBytes > 0 && { fileMib: atRest.fileBytes / 1024 / 1024 }),
      markMib: atRest.markBytes / 1024 / 1024,
      directoryBytes: addedBytes / directories,
      entryBytes: addedBytes / (directories * (1 + filesEach)),
      ...own,
    };
    return { figures, remark: hears ? undefined : `deaf for ${HEAR_MS / 1000} s after it was ready` };
  } finally {
    watcher.end();
  }
}

async function doesHear(watcher: Watcher, room: Room): Promise<boolean> {
  const depth = Array.from({ length: 10 }, (_, level) => `d${level}`);
  const file = join(room.watched, ...depth, `heard-${watcher.pid}`);
  writeFileSync(file, 'x');
  try {
    await watcher.ask(`hear ${file}`, HEAR_MS);
    return true;
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    return false;
  } finally {
    rmSync(file);
  }
}

/** Of a contestant that watches an empty directory. */
async function restingKib(contestant: Contestant, room: Room, directory: string): Promise<number> {
  const watcher = await Watcher.start(contestant, room, directory);
  try {
    await watcher.settle(REST_MS, AT_MOST_MS);
    return memoryOf(watcher.pid).residentKib;
  } finally {
    watcher.end();
  }
}

function memoryOf(pid: number) {
  const tree = treeOf(pid);
  const sum = (of: (one: number) => number) => tree.reduce((total, one) => total + of(one), 0);
  return {
    residentKib: sum(residentKib),
    proportionalKib: sum(proportionalKib),
    peakKib: sum(peakKib),
    fileBytes: sum(openFileBytes),
    markBytes: sum(markBytes),
  };
}

function heardText(samples: readonly Sample[]): string | undefined {
  return `${samples.filter(({ figures }) => figures.hears === 1).length} of ${samples.length}`;
}
