// A user's listener through the daemon: node listening.mjs SOCKET DIRECTORY EVENT PRIORITY [DENIED]. Says what it hears, a line each, and
// denies files of one name.

import { basename } from 'node:path';
import { connect } from 'fanotify/client';

const [, , socket, directory, event, priority, denied] = process.argv;
const listener = await connect({ socket }).listener({ priority: Number(priority), deadlineMs: 10_000 });
await listener.mark(directory, { scope: 'subtree', events: [event] });
console.log('ready');
for await (const heard of listener) {
  if (heard.kind === 'overflow') throw new Error('events were lost');
  const name = basename(heard.path);
  console.log(name);
  if (heard.kind !== 'held') continue;
  if (name === denied) heard.deny();
  else heard.allow();
}
