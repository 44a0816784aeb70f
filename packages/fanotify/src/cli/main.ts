#!/usr/bin/env node
// The `fanotify` command. Everything that touches the process itself is here: arguments, streams, signals, the exit code.

import { linuxKernel } from '../kernel/index.ts';
import { startEarly } from './run-command/early.ts';

// What nobody reads any more is no reason to end: the output says that by itself.
process.stderr.on('error', () => undefined);

const args = process.argv.slice(2);
const inside = startEarly(args, linuxKernel);
// While that starts, if it does.
const [{ run }, { Output }] = await Promise.all([import('./run.ts'), import('./output.ts')]);
const { status, signal, keepsTerminal } = await run(args, {
  kernel: linuxKernel,
  openOutput: () => Output.standard(),
  keyboard: process.stdin.isTTY ? process.stdin : undefined,
  tryElsewhere: async (path) => (await import('./doctor/elsewhere.ts')).tryInChild(path),
  inside: () => inside,
  say: (text) => void process.stderr.write(`${text}\n`),
});
// A command that was ended by a signal ends by it, so that shells and npm see an interruption and not a failure.
if (signal) process.kill(process.pid, signal);
if (keepsTerminal) linuxKernel().exitAtOnce(status);
process.exit(status);
