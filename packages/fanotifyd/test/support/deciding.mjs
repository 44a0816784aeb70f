// A user's guard through the daemon that never comes to a verdict: node deciding.mjs SOCKET DIRECTORY.

import { connect } from 'fanotify/client';

const [, , socket, directory] = process.argv;
const guard = await connect({ socket }).guard(directory, {
  deadlineMs: 50_000,
  onTimeout: 'deny',
  decide: () => new Promise(() => undefined),
});
guard.on('error', () => undefined);
console.log('ready');
setInterval(() => undefined, 60_000);
