// How fast the simulated machine is: what a test of a watcher takes.

import { spawnSync } from 'node:child_process';
import { type Contestant, libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';

const OPERATIONS = 1_000_000;
const HEARD = 'fanotify/testing, a Group hears';
const LINUX = 'node:fs on Linux, a Group hears';

export const simulated: Scenario = {
  name: 'simulated',
  title: 'Operations on a simulated machine',
  about: (scale) =>
    `One process opens, writes and closes 100 files round and round, ${Math.round(OPERATIONS * scale).toLocaleString('en-US')} calls in all; then it makes, closes, renames and removes files as often. A Group ` +
    'in the same program hears open, modify, closeWrite, create, delete and rename of the file system, is let on after every 300 rounds, and reads ' +
    'all that is there. The time is that of all of it, divided by the calls. Beside it the same with the calls of node:fs on a tmpfs of this machine.',
  metrics: [
    { key: 'writeNs', label: 'open, write or close', unit: 'ns', digits: 0 },
    { key: 'writesPerSecond', label: 'of these a second', unit: '', digits: 0 },
    { key: 'nameNs', label: 'make, close, rename or remove', unit: 'ns', digits: 0 },
    { key: 'namesPerSecond', label: 'of these a second', unit: '', digits: 0 },
    { key: 'events', label: 'events', unit: '', digits: 0 },
    { key: 'lost', label: 'overflows', unit: '', digits: 0 },
  ],
  comparisons: [
    { metric: 'writeNs', against: LINUX, label: 'against Linux' },
    { metric: 'nameNs', against: LINUX, label: 'names against Linux' },
  ],
  targets: [{ contestant: HEARD, metric: 'writeNs', atMost: 5_000 }],
  contestants: (room) => [
    program(room, HEARD, '--group'),
    program(room, 'fanotify/testing, nobody hears'),
    program(room, LINUX, '--on', 'linux', '--group'),
    program(room, 'node:fs on Linux, nobody hears', '--on', 'linux'),
  ],
  measure: async ({ name, command: [file = '', ...args] }, room) => {
    const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', cwd: room.watched });
    if (status !== 0) throw new BenchError(`${name} ended with status ${status}: ${stderr.trim().slice(-500)}`);
    return { figures: JSON.parse(stdout) as Record<string, number> };
  },
};

function program(room: Room, name: string, ...args: string[]): Contestant {
  const all = ['--operations', String(room.scaled(OPERATIONS)), ...args];
  return { ...libraryProgram(name, 'simulated-operations', ...all), marksNothing: true };
}
