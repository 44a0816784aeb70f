#!/usr/bin/env node
// The `fanotify` command. Everything that touches the process itself is here: arguments, streams, signals, the exit code.

import { linuxKernel } from '../kernel/index.ts';
import { tryInChild } from './doctor/elsewhere.ts';
import { Output } from './output.ts';
import { run } from './run.ts';

// What nobody reads any more is no reason to end: the output says that by itself.
process.stderr.on('error', () => undefined);

const { status, signal } = await run(process.argv.slice(2), {
  kernel: linuxKernel,
  openOutput: () => Output.standard(),
  keyboard: process.stdin.isTTY ? process.stdin : undefined,
  tryElsewhere: tryInChild,
  say: (text) => void process.stderr.write(`${text}\n`),
});
// A command that was ended by a signal ends by it, so that shells and npm see an interruption and not a failure.
if (signal) process.kill(process.pid, signal);
process.exit(status);
