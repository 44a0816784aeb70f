// The highest backlog of a contestant's queue while something happens: c/backlog.c looks, from outside.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BenchError } from './error.ts';
import type { Room } from './room.ts';

const EVERY_US = 1000;

/** How many unread events there were at most during `during`, as far as looks every millisecond tell. */
export async function watchBacklog(room: Room, pid: number, during: () => Promise<void>): Promise<number> {
  const looker = spawn(room.tool('backlog'), [String(pid), String(EVERY_US)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: looker.stdout })[Symbol.asyncIterator]();
  if ((await lines.next()).value !== 'ready') throw new BenchError(`the queue of process ${pid} cannot be looked at`);
  try {
    await during();
  } finally {
    // It holds the group's descriptor: the group would outlive the contestant.
    looker.kill('SIGTERM');
  }
  return (JSON.parse((await lines.next()).value) as { highest: number }).highest;
}
