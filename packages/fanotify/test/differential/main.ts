// `npm run differential`: random sequences on the real kernel and on the simulated one, until they differ or time is up.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Coverage } from './coverage.ts';
import type { JobResult } from './job.ts';
import { type Options, parseOptions } from './options.ts';

const LOADER = join(import.meta.dirname, 'load.mjs');
const PRIVATE_MOUNTS = ['unshare', '--mount', '--propagation', 'private'];

const options = readOptions();
if (process.getuid?.() !== 0) fail('npm run differential needs root: it mounts file systems of its own');
console.log(`seed ${options.seed}, ${options.filesystem}, against ${options.against}`);
if (options.faults) await run('fault-job.ts', [JSON.stringify(options)], (line) => console.log(line));
else await runJobs();

async function runJobs(): Promise<void> {
  const started = performance.now();
  const coverage = new Coverage();
  const unsteady: number[] = [];
  let [sequences, differences] = [0, 0];
  const jobs = Array.from({ length: options.jobs }, (_, job) =>
    run('job.ts', [JSON.stringify(options), String(job)], (line) => {
      const result = line.startsWith('{"sequences"') ? (JSON.parse(line) as JobResult) : undefined;
      if (result === undefined) return console.log(line);
      sequences += result.sequences;
      differences += result.differences;
      unsteady.push(...result.unsteady);
      coverage.merge(result.coverage);
    }),
  );
  await Promise.all(jobs);
  const seconds = (performance.now() - started) / 1000;
  if (options.coverage) console.log(coverage.toString());
  const each = sequences === 0 ? '' : `, ${((seconds * 1000 * options.jobs) / sequences).toFixed(1)} ms each`;
  console.log(`${sequences} sequences in ${seconds.toFixed(0)} s${each}: ${differences} differences`);
  if (unsteady.length > 0) console.log(`differed, and not when they ran again: seeds ${unsteady.join(', ')}`);
  if (differences > 0) process.exitCode = 1;
}

/** In a mount namespace of its own, and with threads enough to close groups. */
function run(program: string, words: readonly string[], onLine: (line: string) => void): Promise<void> {
  const command = [
    process.execPath,
    '--enable-source-maps',
    '--import',
    LOADER,
    join(import.meta.dirname, program),
    ...words,
  ];
  const child = spawn(PRIVATE_MOUNTS[0] as string, [...PRIVATE_MOUNTS.slice(1), ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '32', FANOTIFY_PRIVATE_MOUNTS: '1' },
  });
  createInterface({ input: child.stdout }).on('line', onLine);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      if (code !== 0) process.exitCode = code ?? 1;
      resolve();
    });
  });
}

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return fail(error.message);
  }
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
