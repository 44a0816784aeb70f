// npm run bench: what an event costs, side by side with a bare C reader in one run. Needs root and a C compiler.
// bench [--rounds N] [--events N] [--json FILE]

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

/** What a contestant says at its end. Times in microseconds of CPU, user and system together, of the whole process. */
interface Result {
  readonly events: number;
  readonly reads: number;
  readonly cpuUs: number;
  /** Of `cpuUs`, what was spent before the first event could come. */
  readonly startUs?: number;
  readonly peakKb: number;
  readonly unknownPaths?: number;
}

interface Contestant {
  readonly name: string;
  readonly command: readonly string[];
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    events: { type: 'string', default: '300000' },
    json: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const wanted = Number(options.events);

if (process.getuid?.() !== 0) stop('bench needs root: it marks a tmpfs that it mounts for itself.');
if (process.env.FANOTIFY_BENCH_NAMESPACE === undefined) {
  // Everything that is mounted here goes with this namespace.
  const child = spawn('unshare', ['--mount', '--propagation', 'private', process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, FANOTIFY_BENCH_NAMESPACE: '1' },
  });
  child.on('exit', (code) => process.exit(code ?? 1));
} else {
  await bench();
}

function stop(message: string): never {
  console.error(message);
  process.exit(1);
}

async function bench(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-bench-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'fanotify-bench', directory]);
    const sources = join(import.meta.dirname, '../c');
    const tools = mkdtempSync(join(tmpdir(), 'fanotify-bench-tools-'));
    for (const tool of ['reader', 'load']) {
      try {
        execFileSync('cc', ['-O2', '-o', join(tools, tool), join(sources, `${tool}.c`)], { stdio: 'inherit' });
      } catch {
        stop('bench needs a C compiler: apt-get install gcc libc6-dev.');
      }
    }
    const reader = join(import.meta.dirname, 'reader.js');
    const contestants: Contestant[] = [
      { name: 'bare C reader, resolves nothing', command: [join(tools, 'reader'), directory, String(wanted)] },
      {
        name: 'Group, batches(), path and pid',
        command: [process.execPath, reader, directory, String(wanted), 'batches'],
      },
      {
        name: 'Group, for await, path and pid',
        command: [process.execPath, reader, directory, String(wanted), 'each'],
      },
    ];
    const results = contestants.map((): Result[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [index, contestant] of contestants.entries()) {
        const result = await run(contestant, join(tools, 'load'), directory);
        results[index]?.push(result);
        console.error(`round ${round + 1}: ${contestant.name}: ${perEvent(result).toFixed(0)} ns an event`);
      }
    }
    report(contestants, results);
    rmSync(tools, { recursive: true });
  } finally {
    execFileSync('umount', ['--lazy', directory]);
    rmSync(directory, { recursive: true });
  }
}

/** Starts a contestant, waits until it listens, lets the load run until it has heard enough. */
async function run(
  { name, command: [program = '', ...args] }: Contestant,
  load: string,
  directory: string,
): Promise<Result> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let work: ReturnType<typeof spawn> | undefined;
  let result: Result | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    // At least one event a file, however much the kernel merges.
    if (line === 'ready') work = spawn(load, [directory, String(wanted)], { stdio: 'inherit' });
    else result = JSON.parse(line) as Result;
  }
  if (work && work.exitCode === null) await new Promise((resolve) => work?.once('exit', resolve));
  if (!result) stop(`${name} ended without a result`);
  if (result.unknownPaths) stop(`${name}: ${result.unknownPaths} events without a path or pid`);
  return result;
}

function perEvent({ cpuUs, events }: Result): number {
  return (cpuUs * 1000) / events;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function report(contestants: readonly Contestant[], results: readonly (readonly Result[])[]): void {
  const baseline = results[0] ?? [];
  const rows = contestants.map(({ name }, index) => {
    const own = results[index] ?? [];
    const ns = own.map(perEvent);
    // Round by round, so that a machine that slows down does so for both.
    const ratios = own.map((result, round) => perEvent(result) / perEvent(baseline[round] ?? result));
    return {
      name,
      nsPerEvent: { median: median(ns), min: Math.min(...ns), max: Math.max(...ns) },
      ratioToC: { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
      eventsPerRead: median(own.map(({ events, reads }) => (reads === 0 ? 0 : events / reads))),
      peakMb: median(own.map(({ peakKb }) => peakKb / 1024)),
    };
  });
  const [cpu] = cpus();
  const cpuModel = cpu?.model === undefined || cpu.model === 'unknown' ? cpuFromProc() : cpu.model;
  const machine = `${cpuModel.trim()}, ${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}`;
  console.log(`\n${machine}; ${wanted} events a run, median of ${rounds} rounds (least to most), tmpfs\n`);
  console.log('| reader | CPU per event | against C | peak memory |');
  console.log('| --- | --- | --- | --- |');
  for (const { name, nsPerEvent: ns, ratioToC: ratio, peakMb } of rows) {
    console.log(
      `| ${name} | ${ns.median.toFixed(0)} ns (${ns.min.toFixed(0)} to ${ns.max.toFixed(0)}) | ${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)}) | ${peakMb.toFixed(0)} MB |`,
    );
  }
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ machine, wanted, rounds, rows }, null, 2)}\n`);
}

function cpuFromProc(): string {
  return /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown CPU';
}
