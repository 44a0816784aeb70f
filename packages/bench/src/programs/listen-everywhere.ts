// The global listener as a contestant: prints the path of every file that is created, and when each file system was heard, in
// microseconds since 1970, until SIGINT.

import { listenEverywhere } from 'fanotify';

const lines: string[] = [];
const flush = () => {
  if (lines.length > 0) process.stdout.write(`${lines.splice(0).join('\n')}\n`);
};

const listener = await listenEverywhere({
  events: ['create'],
  onCoverage: ({ change, filesystem }) => {
    const nowUs = Math.round((performance.timeOrigin + performance.now()) * 1000);
    if (change === 'heard') lines.push(`heard ${nowUs} ${filesystem.mountPoint}`);
    setImmediate(flush);
  },
});
process.once('SIGINT', () => void listener.close());

for await (const batch of listener.batches()) {
  for (const event of batch) lines.push(event.kind === 'file' ? String(event.path) : event.kind);
  flush();
}
