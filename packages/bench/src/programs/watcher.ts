// A watcher as a contestant: watches the working directory, says when it is ready, and answers questions, a line of JSON for a line,
// until its standard input ends. watcher NAME [--list] [WORDS…]

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Ear } from '../watchers/ear.ts';
import type { Watch } from '../watchers/watch.ts';

const WATCHERS: Readonly<Record<string, () => Promise<{ readonly watchTree: Watch }>>> = {
  chokidar: () => import('../watchers/chokidar.ts'),
  'fs-watch': () => import('../watchers/fs-watch.ts'),
  nothing: () => import('../watchers/nothing.ts'),
  notifywait: () => import('../watchers/notifywait.ts'),
  nsfw: () => import('../watchers/nsfw.ts'),
  ours: () => import('../watchers/ours.ts'),
  parcel: () => import('../watchers/parcel.ts'),
  watchman: () => import('../watchers/watchman.ts'),
};

const [name = '', ...words] = process.argv.slice(2);
const root = process.cwd();
const ear = new Ear(root);
let own: Readonly<Record<string, number>> = {};
const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);

const beforeImport = performance.now();
const imported = await WATCHERS[name]?.();
if (!imported) throw new Error(`there is no watcher ${name}: ${Object.keys(WATCHERS).join(', ')}`);
const beforeWatch = performance.now();
await imported.watchTree(root, ear, words, (figures) => {
  own = { ...own, ...figures };
});
const readyMs = performance.now() - beforeWatch;
say({ readyMs, importMs: beforeWatch - beforeImport });

for await (const line of createInterface({ input: process.stdin })) {
  const [asked, ...rest] = line.split(' ');
  const path = rest.join(' ');
  // What is there before anything happens: as the consumer of any watcher has to find out for itself.
  if (asked === 'list') ear.list(root);
  else if (asked === 'hear') await ear.listenFor(path);
  else if (asked === 'paths') writeFileSync(path, ear.model.lines().join('\0'));
  else if (asked === 'latencies') writeFileSync(path, JSON.stringify(ear.latenciesUs));
  say({ events: ear.events, ended: ear.ended, own });
}
process.exit();
