// An ordinary user's watch through the daemon: node watching.mjs SOCKET DIRECTORY prints a line for each change.

import { connect } from 'fanotify/client';

const [, , socket, directory] = process.argv;
const watcher = connect({ socket }).watch(directory);
await watcher.ready;
console.log('ready');
for await (const { type, path } of watcher) console.log(type, path);
