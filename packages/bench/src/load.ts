// Loads: C programs that make things happen while a contestant listens.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { BenchError } from './error.ts';
import type { Room } from './room.ts';

/** Runs a load to its end. */
export async function runLoad(room: Room, tool: string, ...args: readonly (string | number)[]): Promise<void> {
  const [status] = await once(startLoad(room, tool, ...args), 'exit');
  if (status !== 0) throw new BenchError(`the load ${tool} ended with status ${status}`);
}

/** Starts a load; the caller ends it. */
export function startLoad(room: Room, tool: string, ...args: readonly (string | number)[]): ChildProcess {
  return spawn(room.tool(tool), args.map(String), { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Ends a load that never ends by itself. */
export async function endLoad(load: ChildProcess): Promise<void> {
  if (load.exitCode !== null || load.signalCode !== null) return;
  const ended = once(load, 'exit');
  load.kill('SIGKILL');
  await ended;
}

/** Makes the files that the load "accesses" opens. */
export function makeFiles(room: Room, files: number): void {
  const made = spawnSync(room.tool('accesses'), [room.watched, String(files), '0', 'open'], { stdio: 'inherit' });
  if (made.status !== 0) throw new BenchError(`the ${files} files of the load could not be made`);
}
