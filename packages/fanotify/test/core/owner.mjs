// An owner of groups in a process of its own: `node owner.mjs SCENARIO`. It tells what it hears, a line of JSON each, and decides as the
// scenario says.

import { readlinkSync, writeSync } from 'node:fs';
import {
  FAN_ALLOW,
  FAN_CLOEXEC,
  FAN_DENY,
  FAN_MARK_ADD,
  FAN_MARK_FILESYSTEM,
  FAN_NONBLOCK,
  O_CLOEXEC,
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

const {
  path,
  mask,
  init = '0',
  verdict,
  policy = 'allow',
  ms = 5_000,
  priorities = [1],
  sleeps,
} = JSON.parse(process.argv[2]);

function tell(told) {
  writeSync(1, `${JSON.stringify(told)}\n`);
}

const groups = priorities.map((priority) => {
  const group = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK, O_CLOEXEC, BigInt(init), priority);
  setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms, response: policy === 'allow' ? FAN_ALLOW : FAN_DENY });
  if (mask) fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, path, BigInt(mask), 0n);
  return group;
});
tell({ told: 'ready' });
if (sleeps) await new Promise((resolve) => process.stdin.once('data', resolve));

for (;;) {
  poll(
    groups.map((fd) => ({ fd, events: POLLIN, revents: 0 })),
    100,
  );
  for (const [at, group] of groups.entries()) {
    let events = [];
    try {
      events = read(group);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
    for (const event of events) {
      const name = event.fd < 0 ? '' : readlinkSync(`/proc/self/fd/${event.fd}`);
      if (event.fd >= 0) close(event.fd);
      if (event.cookie !== 0n && verdict) {
        fanotify_perm_response(group, event.cookie, verdict === 'allow' ? FAN_ALLOW : FAN_DENY);
      }
      const { lost } = getsockopt(group, SOL_FANOTIFY, FANOTIFY_STATISTICS);
      tell({ told: 'event', at, mask: `${event.mask}`, path: name, isHeld: event.cookie !== 0n, lost });
    }
  }
}
