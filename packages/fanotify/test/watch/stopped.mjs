// Watches a tree and says what it was told, one change a line; its parent stops and continues it: node stopped.mjs TREE BASELINE.

import { watch } from '../../dist/index.js';

const [tree, baseline] = process.argv.slice(2);
const watcher = watch(tree, { baseline, fallback: false });
await watcher.ready;
while (baseline !== 'none' && watcher.counters.baseline !== 'complete') {
  await new Promise((resolve) => setTimeout(resolve, 5));
}
process.send({ ready: true });
for await (const batch of watcher.batches()) {
  process.send({
    changes: batch.map((change) => ({ ...change, rawPath: change.path, rawFrom: change.from, by: null })),
  });
}
