// A process that watches for a test: argv has what watch() takes as JSON, [paths, options]. It prints a line of JSON for each thing it learns.

import { watch } from 'fanotify';

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
process.on('warning', ({ code, message }) => say({ warning: { code, message } }));

const [paths, options] = JSON.parse(process.argv[2]);
const watcher = watch(paths, options);
// 'end', or 'snapshot PATH'.
process.stdin.setEncoding('utf8').on('data', async (asked) => {
  if (!asked.startsWith('snapshot ')) return void watcher.close();
  await watcher.snapshot(asked.slice('snapshot '.length));
  say({ snapshot: asked });
});
try {
  const ready = watcher.ready.then(() => say({ ready: watcher.how }));
  for await (const { type, path, from, fileType, size, by, found } of watcher) {
    say({ type, path, from, fileType, size, by, found });
  }
  await ready;
} catch (error) {
  const { name, code, message, cause, fallbackCause } = error;
  say({ error: { name, code, message, cause: cause?.name, fallbackCause: fallbackCause?.code } });
}
process.stdin.destroy();
