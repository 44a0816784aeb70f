// fanotifyd as a contestant: as many of its clients as there are listeners, in one process, hear what is closed on the file system of
// the working directory, until SIGINT, then say what they were told. read-daemon --clients N [--user UID]: of an ordinary user.

import { parseArgs } from 'node:util';
import { connect } from 'fanotify/client';
import { startDaemon } from '../daemon.ts';

const { values: options } = parseArgs({
  options: { clients: { type: 'string', default: '1' }, user: { type: 'string' } },
});
const daemon = await startDaemon();
const { socket } = daemon;
if (options.user !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(Number(options.user));
  process.setuid?.(Number(options.user));
}
let events = 0;
let reads = 0;
let overflows = 0;
const listeners = await Promise.all(
  Array.from({ length: Number(options.clients) }, () =>
    connect({ socket }).listen(process.cwd(), { events: ['closeWrite'] }),
  ),
);
const heard = listeners.map(async (listener) => {
  for await (const batch of listener.batches()) {
    reads++;
    for (const { kind } of batch) {
      if (kind === 'overflow') overflows++;
      else events++;
    }
  }
});
process.once('SIGINT', async () => {
  for (const listener of listeners) await listener.close();
  await Promise.all(heard);
  console.log(JSON.stringify({ events, reads, overflows }));
  // The daemon ends with this process, which may not end it any more.
  process.exit();
});
