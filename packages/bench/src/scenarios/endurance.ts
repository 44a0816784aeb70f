// Ten million events: whether memory and descriptors stay what they were.

import { attend } from '../attend.ts';
import { command, libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { endLoad, startLoad } from '../load.ts';
import { descriptorCount, residentKib } from '../processes.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';

const MILLIONS = 10;
const EVENTS = 1_000_000;
const FILES = 10_000;
const GROUP = 'Group, batches(), path and pid';
const POLL_MS = 50;

export const endurance: Scenario = {
  name: 'endurance',
  title: 'Ten million events',
  isLong: true,
  about: (scale) =>
    `${FILES.toLocaleString('en-US')} files are made, written, closed and removed, over and over, until ${(MILLIONS * Math.round(EVENTS * scale)).toLocaleString('en-US')} events were delivered, or as ` +
    `many lines printed (to a pipe that is read at once). Resident memory (VmRSS) is read every ${Math.round(EVENTS * scale).toLocaleString('en-US')} events; descriptors ` +
    'before the first and after the last.',
  metrics: [
    { key: 'restMib', label: 'before', unit: 'MiB', digits: 1 },
    { key: 'firstMib', label: 'after the first tenth', unit: 'MiB', digits: 1 },
    { key: 'maxMib', label: 'most', unit: 'MiB', digits: 1 },
    { key: 'lastMib', label: 'last', unit: 'MiB', digits: 1 },
    { key: 'descriptorsBefore', label: 'descriptors before', unit: '', digits: 0 },
    { key: 'descriptorsAfter', label: 'after', unit: '', digits: 0 },
    { key: 'seconds', label: 'time', unit: 's', digits: 0 },
    { key: 'overflows', label: 'overflows', unit: '', digits: 0 },
    { key: 'usPerEvent', label: 'CPU per event', unit: 'µs', digits: 2 },
  ],
  comparisons: [],
  targets: [],
  contestants: (room) => [
    libraryProgram(GROUP, 'read-events', '--progress', String(room.scaled(EVENTS))),
    command('trace', '-c'),
  ],
  measure: async (contestant, room) => {
    // A program of the library says when it has read so many; a command prints a line for each.
    const isReader = contestant.name === GROUP;
    const lineEvents = isReader ? room.scaled(EVENTS) : 1;
    let told = 0;
    let last = '';
    const onOutput = (chunk: Buffer) => {
      last = chunk.toString('latin1');
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) told++;
    };
    const { cpuUs, result } = await attend(contestant, room, (pid) => sampleWhile(room, pid, () => told * lineEvents), {
      onOutput,
    });
    const overflows = /"overflows":(\d+)/.exec(last)?.[1];
    const figures = {
      ...result,
      ...(overflows !== undefined && { overflows: Number(overflows) }),
      usPerEvent: cpuUs / (MILLIONS * room.scaled(EVENTS)),
    };
    return { figures };
  },
};

/** Lets changes happen and looks at the process whenever another so many were told, until all were. */
async function sampleWhile(room: Room, pid: number, told: () => number): Promise<Record<string, number>> {
  const restMib = residentKib(pid) / 1024;
  const descriptorsBefore = descriptorCount(pid);
  const began = performance.now();
  const load = startLoad(room, 'churn', room.watched, FILES, 0);
  const residentMib: number[] = [];
  try {
    while (residentMib.length < MILLIONS) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (descriptorCount(pid) === 0) throw new BenchError('the process ended under the load');
      if (told() >= (residentMib.length + 1) * room.scaled(EVENTS)) residentMib.push(residentKib(pid) / 1024);
    }
  } finally {
    await endLoad(load);
  }
  const eachMib = residentMib.map((mib, index) => [`after${index + 1}Mib`, mib] as const);
  return {
    restMib,
    firstMib: residentMib[0] ?? Number.NaN,
    maxMib: Math.max(...residentMib),
    lastMib: residentMib.at(-1) ?? Number.NaN,
    ...Object.fromEntries(eachMib),
    descriptorsBefore,
    descriptorsAfter: descriptorCount(pid),
    seconds: (performance.now() - began) / 1000,
  };
}
