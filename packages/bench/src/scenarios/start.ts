// From the start of a command to the first line that it prints.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bareNode, command, fatrace, fsnotifywait, libraryProgram, nativeProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { endLoad, startLoad } from '../load.ts';
import type { Scenario } from '../scenario.ts';

const FLOOR = bareNode('0');

export const start: Scenario = {
  name: 'start',
  title: 'From start to the first event',
  about: () =>
    'A file is opened, written and closed about every 200 µs, also before the contestant starts. Time from its start until the ' +
    'first line about that file is on a terminal. `node -e 0` prints nothing and is measured to its end: what everything that runs ' +
    'on Node.js needs at least.',
  metrics: [{ key: 'ms', label: 'start to first line', unit: 'ms', digits: 1 }],
  comparisons: [{ metric: 'ms', against: FLOOR.name, label: `against ${FLOOR.name}` }],
  targets: [],
  contestants: (room) => [
    FLOOR,
    nativeProgram(room, 'C, says that there was an event', 'reader', '.', 'changes', 'bounded', '0', 'first'),
    libraryProgram('Group, the path of the first event', 'first-event'),
    command('trace', '-c'),
    command('watch', '-r', '-e', 'all', '.'),
    fatrace(),
    fsnotifywait(),
  ],
  measure: async (contestant, room) => {
    const load = startLoad(room, 'touches', join(room.watched, 'touched-file'));
    try {
      await delay(20);
      const word = contestant.command[0] === room.tool('reader') ? 'an event' : 'touched-file';
      const text = execFileSync(room.tool('first-line'), [word, ...contestant.command], {
        cwd: room.watched,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const { us, found } = JSON.parse(text) as { us: number; found: 0 | 1 };
      if (!found && !contestant.marksNothing) throw new BenchError(`${contestant.name} printed no line`);
      return { figures: { ms: us / 1000 } };
    } finally {
      await endLoad(load);
    }
  },
};
