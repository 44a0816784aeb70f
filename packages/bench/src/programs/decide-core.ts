// The core as a contestant: listeners in one process that are asked in turn about every open of the file system of the working
// directory, and allow it without a look, until SIGINT, then says how many there were. decide-core --listeners N

import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  FAN_ALLOW,
  FAN_CLOEXEC,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_NONBLOCK,
  FAN_OPEN_PERM,
  O_CLOEXEC,
  O_LARGEFILE,
  O_RDONLY,
} from 'fanotify/abi';
import { FANOTIFY_STATISTICS, FANOTIFY_TIMEOUT, getsockopt, SOL_FANOTIFY, setsockopt } from 'fanotify/socket';
import {
  close,
  fanotify_init,
  fanotify_mark_path,
  fanotify_perm_response,
  POLLIN,
  poll,
  read,
} from 'fanotify/syscalls';

/** For so long nothing else runs, such as what a signal is told to. */
const WAIT_MS = 20;
const DEADLINE_MS = 5_000;

const { values: options } = parseArgs({ options: { listeners: { type: 'string', default: '1' } } });
let hasEnded = false;
process.once('SIGINT', () => {
  hasEnded = true;
});

const count = Number(options.listeners);
const entries = Array.from({ length: count }, (_, index) => {
  const fd = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE | O_CLOEXEC, 0n, count - index);
  setsockopt(fd, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms: DEADLINE_MS, response: FAN_ALLOW });
  return { fd, events: POLLIN, revents: 0 };
});
for (const { fd } of entries) {
  fanotify_mark_path(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, process.cwd(), FAN_OPEN_PERM, 0n);
}

while (!hasEnded) {
  if (poll(entries, WAIT_MS) === 0) {
    await turn();
    continue;
  }
  for (const { fd: group, revents } of entries) {
    if (revents === 0) continue;
    for (const { cookie, fd } of read(group)) {
      fanotify_perm_response(group, cookie, FAN_ALLOW);
      close(fd);
    }
  }
}
let decisions = 0;
let failures = 0;
for (const { fd } of entries) {
  const { allowed, timedOut } = getsockopt(fd, SOL_FANOTIFY, FANOTIFY_STATISTICS);
  decisions += allowed;
  failures += timedOut;
  close(fd);
}
console.log(JSON.stringify({ decisions, failures }));
