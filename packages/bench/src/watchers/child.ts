// Programs that watch for a consumer: started so that they end with it.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Ear } from './ear.ts';

/** Standard output and error are pipes. That it ended is told to the ear, with the last that it said. */
export function startChild(ear: Ear, command: string, ...args: readonly string[]): ChildProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let last = '';
  child.stderr.on('data', (chunk: Buffer) => {
    last = chunk.toString('utf8').trim().split('\n').at(-1) ?? '';
  });
  child.once('error', (error) => {
    ear.ended ??= error.message;
  });
  child.once('close', (status, signal) => {
    ear.ended ??= `${command} ended with ${signal ?? `status ${status}`}, saying "${last}"`;
  });
  return child;
}
