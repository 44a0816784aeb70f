// Attends a contestant through one measurement: starts it, waits until its marks are placed, lets something happen, waits until it
// has nothing left to do, ends it by SIGINT as a person would, and tells what it cost.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Contestant } from './contestant.ts';
import { BenchError } from './error.ts';
import { hasMark, treeCpuNs, treeOf } from './processes.ts';
import type { Room } from './room.ts';

const START_MS = 20_000;
const END_MS = 20_000;
/** Who has used less CPU than this in so long a time is done with what there was. Group waits 1 ms at most for more. */
const SETTLED_MS = 200;
const SETTLED_CPU_NS = 2_000_000;

/** What the kernel counted from the start of the process to its end, as c/measure.c tells it. */
export interface Usage {
  readonly userUs: number;
  readonly systemUs: number;
  readonly wallUs: number;
  readonly peakKib: number;
  readonly switches: number;
  readonly status: number;
  readonly signal: number;
}

export interface Attendance<Result> {
  readonly usage: Usage;
  /** User and system time of the whole process, in microseconds. */
  readonly cpuUs: number;
  /** The file that standard output went to, on another file system. */
  readonly outputFile: string;
  /** What `during` gave. */
  readonly result: Result;
  /** That the contestant ended before it was asked to, and what it said last. Only with `mayEnd`. */
  readonly early: string | undefined;
}

export interface AttendOptions {
  /** Standard output comes here rather than to a file. */
  readonly onOutput?: (chunk: Buffer) => void;
  /** The contestant may end under the load: it is measured to there. */
  readonly mayEnd?: boolean;
}

/**
 * One measurement. `during` is called when the contestant listens.
 *
 * @throws BenchError when the contestant does not start, does not end when it is asked to, or without `mayEnd` ends before.
 */
export async function attend<Result>(
  { name, command, marksNothing }: Contestant,
  room: Room,
  during: (pid: number) => Promise<Result>,
  { onOutput, mayEnd = false }: AttendOptions = {},
): Promise<Attendance<Result>> {
  const outputFile = join(room.output, 'output');
  const errorFile = join(room.output, 'error');
  const [output, error] = [openSync(outputFile, 'w'), openSync(errorFile, 'w')];
  const child = spawn(room.tool('measure'), [...command], {
    cwd: room.watched,
    stdio: ['ignore', onOutput ? 'pipe' : output, error, 'pipe'],
  });
  closeSync(output);
  closeSync(error);
  if (onOutput) child.stdout?.on('data', onOutput);
  const failed = (what: string) => {
    return new BenchError(`${name} ${what}: ${readFileSync(errorFile, 'utf8').trim().slice(-500)}`);
  };
  const ended = new Promise<void>((resolve, reject) => {
    child.once('close', () => resolve());
    child.once('error', reject);
  });
  const told = linesOf(child);
  const { pid } = (await told.next()).value as { pid: number };
  const early = ended.then((): never => {
    throw failed('ended before it was asked to');
  });
  early.catch(() => undefined);
  try {
    if (!marksNothing)
      await Promise.race([
        early,
        until(
          () => treeOf(pid).some(hasMark),
          START_MS,
          () => failed('placed no mark'),
        ),
      ]);
    const result = await (mayEnd ? during(pid) : Promise.race([early, during(pid)]));
    await Promise.race([ended, settled(pid)]);
    const isEarly = child.exitCode !== null;
    if (isEarly && !mayEnd) await early;
    if (!isEarly) process.kill(pid, 'SIGINT');
    const usage = (await within(told.next(), END_MS, () => failed('did not end on SIGINT'))).value as Usage;
    await ended;
    const last = isEarly ? readFileSync(errorFile, 'utf8').trim().split('\n').at(-1) : undefined;
    return { usage, cpuUs: usage.userUs + usage.systemUs, outputFile, result, early: last };
  } finally {
    // The parent's end takes the contestant with it.
    child.kill('SIGKILL');
  }
}

async function* linesOf(child: ChildProcess): AsyncGenerator<unknown, undefined> {
  for await (const line of createInterface({ input: child.stdio[3] as Readable })) yield JSON.parse(line);
  return undefined;
}

/** Waits until a process and its descendants have done what there was to do. */
export async function settled(pid: number): Promise<void> {
  for (let before = treeCpuNs(pid); ; ) {
    await delay(SETTLED_MS);
    const now = treeCpuNs(pid);
    if (now - before < SETTLED_CPU_NS) return;
    before = now;
  }
}

async function until(holds: () => boolean, timeoutMs: number, otherwise: () => Error): Promise<void> {
  for (const end = performance.now() + timeoutMs; !holds(); await delay(5)) {
    if (performance.now() > end) throw otherwise();
  }
}

async function within<T>(promise: Promise<T>, timeoutMs: number, otherwise: () => Error): Promise<T> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw otherwise();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}
