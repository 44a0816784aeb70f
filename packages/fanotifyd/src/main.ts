// The `fanotifyd` command. Everything that touches the process itself is here: arguments, streams, signals, the exit code.

import { createRequire } from 'node:module';
import { linuxKernel } from 'fanotify/kernel';
import { run } from './run.ts';

// What nobody reads any more is no reason to end.
process.stderr.on('error', () => undefined);
process.stdout.on('error', () => undefined);

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
const code = await run(process.argv.slice(2), {
  kernel: linuxKernel,
  version,
  print: (text) => void process.stdout.write(`${text}\n`),
  say: (text) => void process.stderr.write(`${text}\n`),
  onSignal: (signals, listener) => {
    for (const signal of signals) process.on(signal, listener);
  },
});
process.exit(code);
