// What a watcher costs while changes come steadily, and how soon it tells them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../cases/case.ts';
import { raiseLimits } from '../limits.ts';
import { treeCpuNs } from '../processes.ts';
import type { Scenario } from '../scenario.ts';
import { Watcher } from '../watcher.ts';
import { OURS, OURS_WITHOUT_PRIVILEGE, peers } from '../watchers.ts';

const EACH_SECOND = 1000;
const SECONDS = 10;
const QUIET_MS = 1000;
const AT_MOST_MS = 60_000;

export const watchCost: Scenario = {
  name: 'watch-cost',
  title: 'What watching costs, and how soon it tells',
  about: (scale) =>
    `${EACH_SECOND.toLocaleString('en-US')} files a second, for ${Math.max(1, Math.round(SECONDS * scale))} s, are made, written and closed in a hundred directories on tmpfs, and removed a ` +
    'five thousand files later. CPU of all processes of the watcher, consumer included, from the first file until it has told the last, per ' +
    'file; time from before a file was made until the consumer was told of it. Every watcher has its defaults, also of how long it gathers.',
  metrics: [
    { key: 'cpuUs', label: 'CPU per file', unit: 'µs', digits: 0 },
    { key: 'p50Ms', label: 'told after (median)', unit: 'ms', digits: 1 },
    { key: 'p99Ms', label: '99 %', unit: 'ms', digits: 1 },
    { key: 'untold', label: 'never told', unit: 'files', digits: 0 },
  ],
  comparisons: [],
  targets: [],
  contestants: () => [...OURS, ...OURS_WITHOUT_PRIVILEGE.slice(-1), ...peers()],
  measure: async (contestant, room) => {
    raiseLimits();
    room.empty();
    await runProgram(room.tool('steady'), [room.watched, 0, 0]);
    const watcher = await Watcher.start(contestant, room, room.watched);
    try {
      await watcher.ask('list');
      await watcher.settle(QUIET_MS, AT_MOST_MS);
      const seconds = room.scaled(SECONDS);
      const before = treeCpuNs(watcher.pid);
      await runProgram(room.tool('steady'), [room.watched, EACH_SECOND, seconds]);
      await watcher.settle(QUIET_MS, AT_MOST_MS);
      const cpuNs = treeCpuNs(watcher.pid) - before;
      const file = join(room.temporary, `latencies-${watcher.pid}`);
      const { ended } = await watcher.ask(`latencies ${file}`);
      const latenciesUs = (JSON.parse(readFileSync(file, 'utf8')) as number[]).sort((a, b) => a - b);
      const files = EACH_SECOND * seconds;
      const at = (share: number) => (latenciesUs[Math.floor((latenciesUs.length - 1) * share)] ?? 0) / 1000;
      const figures = {
        cpuUs: cpuNs / 1000 / files,
        ...(latenciesUs.length > 0 && { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }),
        untold: files - latenciesUs.length,
      };
      return { figures, remark: ended };
    } finally {
      watcher.end();
    }
  },
};
