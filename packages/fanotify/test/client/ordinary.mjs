// An ordinary user's program: watches a directory, and says each change as a line of JSON. FANOTIFY_SOCKET says where the daemon is.

import { watch } from '../../dist/index.js';

const [, , root] = process.argv;
// To be looked at alone: can this user run it at all?
if (root === undefined) process.exit(0);
const watcher = watch(root, { baseline: 'memory' });
await watcher.ready;
while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
const { how, counters } = watcher;
console.log(JSON.stringify({ how, markedDirectories: counters.markedDirectories }));
process.stdin.once('end', () => watcher.close()).resume();
for await (const batch of watcher.batches()) for (const change of batch) console.log(JSON.stringify(change));
