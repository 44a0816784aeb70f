// The core as a contestant: listeners in one process, all with a mark on the file system of the working directory, until SIGINT, then
// says what they were told. read-core --listeners N [--timed]: with the delays of the load "stamps".

import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  FAN_CLOEXEC,
  FAN_CLOSE_WRITE,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_NOFD,
  FAN_NONBLOCK,
  FAN_Q_OVERFLOW,
  O_CLOEXEC,
  O_LARGEFILE,
  O_RDONLY,
} from 'fanotify/abi';
import { FANOTIFY_STATISTICS, getsockopt, SOL_FANOTIFY } from 'fanotify/socket';
import { close, fanotify_init, fanotify_mark_path, POLLIN, poll, read } from 'fanotify/syscalls';
import { Stamps } from '../stamps.ts';

/** For so long nothing else runs, such as what a signal is told to. */
const WAIT_MS = 20;

const { values: options } = parseArgs({
  options: { listeners: { type: 'string', default: '1' }, timed: { type: 'boolean', default: false } },
});
let hasEnded = false;
process.once('SIGINT', () => {
  hasEnded = true;
});

const entries = Array.from({ length: Number(options.listeners) }, () => {
  const fd = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE | O_CLOEXEC, 0n, 0);
  return { fd, events: POLLIN, revents: 0 };
});
for (const { fd } of entries) {
  fanotify_mark_path(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, process.cwd(), FAN_CLOSE_WRITE, 0n);
}
console.log('all have their marks');

const stamps = new Stamps();
let events = 0;
let reads = 0;
let overflows = 0;
let withoutDescriptor = 0;

while (!hasEnded) {
  if (poll(entries, WAIT_MS) === 0) {
    await turn();
    continue;
  }
  for (const { fd: group, revents } of entries) {
    if (revents === 0) continue;
    const batch = read(group);
    const readNs = process.hrtime.bigint();
    reads++;
    for (const { mask, fd } of batch) {
      if (mask === FAN_Q_OVERFLOW) overflows++;
      else events++;
      if (fd === FAN_NOFD) {
        if (mask !== FAN_Q_OVERFLOW) withoutDescriptor++;
        continue;
      }
      if (options.timed) stamps.look(fd, readNs);
      close(fd);
    }
  }
}
let merged = 0;
let lost = 0;
for (const { fd } of entries) {
  const statistics = getsockopt(fd, SOL_FANOTIFY, FANOTIFY_STATISTICS);
  merged += statistics.merged;
  lost += statistics.lost;
  close(fd);
}
console.log(JSON.stringify({ events, reads, overflows, withoutDescriptor, merged, lost, ...stamps.delays }));
