// The library as a contestant: reads COUNT events with their full paths and pids. reader.js DIRECTORY COUNT batches|each

import { Group } from 'fanotify';

const [directory = '', count = '0', way = 'batches'] = process.argv.slice(2);
const wanted = Number(count);
const group = await Group.open({ queue: 'unlimited' });
await group.mark(directory, {
  scope: 'filesystem',
  events: ['create', 'delete', 'modify', 'closeWrite', 'rename'],
});
console.log('ready');

let events = 0;
let batches = 0;
let pathLength = 0;
let unknownPaths = 0;
const atReady = process.cpuUsage();

function look(event: { readonly kind: string; readonly path?: string | null; readonly pid?: number }): void {
  events++;
  const path = event.path ?? '';
  pathLength += path.length;
  if (path === '' || event.pid === 0) unknownPaths++;
}

if (way === 'each') {
  for await (const event of group) {
    look(event);
    if (events >= wanted) break;
  }
} else {
  for await (const batch of group.batches()) {
    batches++;
    for (const event of batch) look(event);
    if (events >= wanted) break;
  }
}
const { user, system } = process.cpuUsage();
const start = atReady.user + atReady.system;
const peakKb = process.resourceUsage().maxRSS;
console.log(
  JSON.stringify({ events, reads: batches, cpuUs: user + system, startUs: start, peakKb, pathLength, unknownPaths }),
);
await group.close();
