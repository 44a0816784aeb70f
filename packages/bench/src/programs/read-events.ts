// The library as a contestant: a Group on the file system of the working directory, which looks at the full path and the pid of
// every event until SIGINT, then says what it saw. read-events --events changes|opens [--way batches|each] [--queue
// bounded|unlimited] [--distinct] [--progress EVENTS]

import { parseArgs } from 'node:util';
import { Group, type GroupEvent } from 'fanotify';

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: 'changes' },
    way: { type: 'string', default: 'batches' },
    queue: { type: 'string', default: 'bounded' },
    distinct: { type: 'boolean', default: false },
    progress: { type: 'string' },
  },
});
const every = options.progress === undefined ? Number.POSITIVE_INFINITY : Number(options.progress);

const group = await Group.open({ queue: options.queue === 'unlimited' ? 'unlimited' : 'bounded' });
await group.mark(process.cwd(), {
  scope: 'filesystem',
  events: options.events === 'opens' ? ['open'] : ['create', 'delete', 'modify', 'closeWrite', 'rename'],
  directories: options.events !== 'opens',
});
process.once('SIGINT', () => void group.close());

const paths = new Set<string>();
let events = 0;
let largestBatch = 0;
let batches = 0;
let pathLength = 0;
let unknownPaths = 0;

function look(event: GroupEvent<'handle'>): void {
  if (event.kind === 'overflow') return;
  events++;
  const path = event.path ?? '';
  pathLength += path.length;
  if (path === '' || !('pid' in event) || event.pid === 0) unknownPaths++;
  if (options.distinct) paths.add(path);
  if (events % every === 0) console.log(events);
}

if (options.way === 'each') {
  for await (const event of group) look(event);
} else {
  for await (const batch of group.batches()) {
    batches++;
    largestBatch = Math.max(largestBatch, batch.length);
    for (const event of batch) look(event);
  }
}
const { overflows } = group.counters;
console.log(
  JSON.stringify({ events, reads: batches, overflows, largestBatch, pathLength, unknownPaths, distinct: paths.size }),
);
