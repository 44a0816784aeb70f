// The whole system: file systems that are there for 50 ms, while two hundred others are.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { attend } from '../attend.ts';
import { command, libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { descriptorCount, residentKib } from '../processes.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';
import { spreadOf } from '../statistics.ts';

const STANDING = 200;
const SHORT_LIVED = 1000;
const INTERVAL_US = 10_000;
const LIFE_US = 50_000;
const REST_MS = 1000;
const HALVES = ['load-1', 'load-2'] as const;

export const system: Scenario = {
  name: 'system',
  title: 'The whole system',
  about: (scale) =>
    `${Math.round(STANDING * scale)} file systems are mounted, and ${Math.round(SHORT_LIVED * scale)} more come and go, one each ${INTERVAL_US / 1000} ms, each for ${LIFE_US / 1000} ms. In each a file is made 5 ms ` +
    'before it goes: missed are those of which no event was told. To the mark: from the end of mount(2) to the moment at which the listener had placed its mark. Resident memory (VmRSS) and ' +
    'descriptors before, after the half and after all of them.',
  metrics: [
    { key: 'missed', label: 'missed', unit: '', digits: 0 },
    { key: 'heard', label: 'heard', unit: '', digits: 0 },
    { key: 'markMs', label: 'to the mark, median', unit: 'ms', digits: 2 },
    { key: 'mark99Ms', label: '99 %', unit: 'ms', digits: 2 },
    { key: 'markMaxMs', label: 'most', unit: 'ms', digits: 2 },
    { key: 'beforeMib', label: 'memory before', unit: 'MiB', digits: 1 },
    { key: 'halfMib', label: 'half', unit: 'MiB', digits: 1 },
    { key: 'afterMib', label: 'after', unit: 'MiB', digits: 1 },
    { key: 'descriptorsBefore', label: 'descriptors before', unit: '', digits: 0 },
    { key: 'descriptorsAfter', label: 'after', unit: '', digits: 0 },
    { key: 'cpuMs', label: 'CPU', unit: 'ms', digits: 0 },
  ],
  comparisons: [],
  targets: [{ contestant: 'listenEverywhere', metric: 'missed', atMost: 0 }],
  contestants: () => [libraryProgram('listenEverywhere', 'listen-everywhere'), command('trace', '-f', '+')],
  measure: async (contestant, room) => {
    room.empty();
    mountStanding(room);
    let output = '';
    const onOutput = (chunk: Buffer) => {
      output += chunk.toString('latin1');
    };
    const during = async (pid: number) => {
      // The first mark is not the last.
      await delay(REST_MS);
      const before = { beforeMib: residentKib(pid) / 1024, descriptorsBefore: descriptorCount(pid) };
      const first = await mountAndUnmount(room, HALVES[0]);
      const halfMib = residentKib(pid) / 1024;
      const second = await mountAndUnmount(room, HALVES[1]);
      const mounted = new Map([...first, ...second]);
      return {
        mounted,
        figures: { ...before, halfMib, afterMib: residentKib(pid) / 1024, descriptorsAfter: descriptorCount(pid) },
      };
    };
    const { result, cpuUs } = await attend(contestant, room, during, { onOutput });
    const heard = new Set([...output.matchAll(/(load-\d\/m\d+)\/file/g)].map(([, place]) => place));
    const delaysMs = [...output.matchAll(/^heard (\d+) .*(load-\d\/m\d+)$/gm)].map(([, us, place = '']) => {
      return (Number(us) - (result.mounted.get(place) ?? Number.NaN)) / 1000;
    });
    const marks = delaysMs.length > 0 && {
      markMs: spreadOf(delaysMs).median,
      mark99Ms: delaysMs.sort((a, b) => a - b)[Math.floor(delaysMs.length * 0.99)] ?? Number.NaN,
      markMaxMs: spreadOf(delaysMs).max,
    };
    const missed = result.mounted.size - heard.size;
    return { figures: { missed, heard: heard.size, ...marks, ...result.figures, cpuMs: cpuUs / 1000 } };
  },
};

function mountStanding(room: Room): void {
  for (const name of HALVES) mkdirSync(join(room.watched, name));
  for (let i = 0; i < room.scaled(STANDING); i++) {
    const place = join(room.watched, `standing-${i}`);
    mkdirSync(place);
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'fanotify-bench', place]);
    if (status !== 0) throw new BenchError(`${place} could not be mounted`);
  }
}

/** When each was mounted, in microseconds since 1970. */
async function mountAndUnmount(room: Room, name: string): Promise<Map<string, number>> {
  const args = [join(room.watched, name), room.scaled(SHORT_LIVED / 2), INTERVAL_US, LIFE_US].map(String);
  const load = spawn(room.tool('mounts'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  load.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const [status] = await once(load, 'close');
  if (status !== 0) throw new BenchError(`the load mounts ended with status ${status}`);
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return new Map(lines.map(([index, us]) => [`${name}/m${index}`, Number(us)]));
}
