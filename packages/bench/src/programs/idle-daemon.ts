// fanotifyd with clients that have nothing to do: each listens to a directory of its own with all that is below, until SIGINT.
// idle-daemon --clients N: says so when all have their marks.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DirectedListener } from 'fanotify';
import { connect } from 'fanotify/client';
import { startDaemon } from '../daemon.ts';

const { values: options } = parseArgs({ options: { clients: { type: 'string', default: '1' } } });
const daemon = await startDaemon();
const { socket } = daemon;
const count = Number(options.clients);
const listeners: DirectedListener[] = [];
for (let index = 0; index < count; index++) {
  const own = join(process.cwd(), `of-${index}`);
  mkdirSync(own, { recursive: true });
  listeners.push(await connect({ socket }).listen(own, { events: ['create', 'delete', 'closeWrite', 'rename'] }));
}
process.on('SIGINT', async () => {
  for (const listener of listeners) await listener.close();
  daemon.end();
});
console.log('all have their marks');
