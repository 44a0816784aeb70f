// The library as a contestant: as many Groups as there are listeners, on the file system of the working directory, until SIGINT, then
// says what they were told. read-descriptors --listeners N --report nothing|name [--timed]: `nothing` beside the descriptor that each
// event has then; with the delays of the load "stamps".

import { parseArgs } from 'node:util';
import { Group } from 'fanotify';
import { Stamps } from '../stamps.ts';

const { values: options } = parseArgs({
  options: {
    listeners: { type: 'string', default: '1' },
    report: { type: 'string', default: 'nothing' },
    timed: { type: 'boolean', default: false },
  },
});
const where = { scope: 'filesystem', events: ['closeWrite'], directories: false } as const;
const stamps = new Stamps();
let events = 0;
let reads = 0;

async function withDescriptors(): Promise<Group<'descriptor'>> {
  const group = await Group.open({ report: [] });
  await group.mark(process.cwd(), where);
  return group;
}

async function hearDescriptors(group: Group<'descriptor'>): Promise<void> {
  for await (const batch of group.batches()) {
    const readNs = process.hrtime.bigint();
    reads++;
    for (const event of batch) {
      if (event.kind === 'overflow') continue;
      events++;
      if (options.timed && event.fd !== null) stamps.look(event.fd, readNs);
    }
  }
}

async function withNames(): Promise<Group> {
  const group = await Group.open();
  await group.mark(process.cwd(), where);
  return group;
}

async function hearNames(group: Group): Promise<void> {
  for await (const batch of group.batches()) {
    const readNs = process.hrtime.bigint();
    reads++;
    for (const event of batch) {
      if (event.kind === 'overflow') continue;
      events++;
      if (options.timed && event.path !== null) stamps.lookAt(event.path, readNs);
    }
  }
}

async function run<Listener extends Group<'descriptor'> | Group>(
  open: () => Promise<Listener>,
  hear: (group: Listener) => Promise<void>,
): Promise<void> {
  const groups: Listener[] = [];
  for (let left = Number(options.listeners); left > 0; left--) groups.push(await open());
  process.once('SIGINT', () => groups.map((group) => group.close()));
  console.log('all have their marks');
  await Promise.all(groups.map(hear));
  const overflows = groups.reduce((sum, group) => sum + group.counters.overflows, 0);
  console.log(JSON.stringify({ events, reads, overflows, ...stamps.delays }));
}

if (options.report === 'name') await run(withNames, hearNames);
else await run(withDescriptors, hearDescriptors);
