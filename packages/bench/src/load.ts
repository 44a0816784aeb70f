// Loads: C programs that make things happen while a contestant listens.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { BenchError } from './error.ts';
import type { Room } from './room.ts';

const OPENERS_MS = 180_000;

/** Runs a load to its end. */
export async function runLoad(room: Room, tool: string, ...args: readonly (string | number)[]): Promise<void> {
  const [status] = await once(startLoad(room, tool, ...args), 'exit');
  if (status !== 0) throw new BenchError(`the load ${tool} ended with status ${status}`);
}

/** How long opens took, as the load "openers" tells it, in nanoseconds. */
export interface Openings {
  readonly opens: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly maxNs: number;
  /** From the first open to the last. */
  readonly totalNs: number;
}

/** What the load "openers" is to do with the files of {@link makeFiles}. */
export interface Openers {
  readonly processes: number;
  /** Of each process. */
  readonly opens: number;
  readonly files: number;
  /** How many are timed at once. */
  readonly batch?: number;
}

/**
 * Opens files and tells how long that took.
 *
 * @throws BenchError when an open fails, or all of them take longer than minutes: nobody answers.
 */
export async function runOpeners(room: Room, { processes, opens, files, batch = 1 }: Openers): Promise<Openings> {
  const args = [room.watched, processes, opens, files, batch].map(String);
  const load = spawn(room.tool('openers'), args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: OPENERS_MS });
  let text = '';
  load.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const [status] = await once(load, 'close');
  if (status !== 0) throw new BenchError(`opens failed, or were not answered within ${OPENERS_MS / 1000} s`);
  return JSON.parse(text) as Openings;
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
