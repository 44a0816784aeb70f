// What `fanotify run` costs the command that it traces, whether it misses anything, and what it costs everybody else meanwhile.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { attend } from '../attend.ts';
import { type Contestant, command, nothingMarked, type Skipped } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { makeFiles, runOpeners } from '../load.ts';
import type { Room } from '../room.ts';
import type { Sample, Scenario } from '../scenario.ts';
import { missedBy, readStrace, straceArguments } from '../strace.ts';

const BARE = 'nobody';
const RUN = 'fanotify run';
const STRACE = 'strace -f';
const BOTH = 'fanotify run, of strace -f';
const SOURCES = 100;
const FILES = 1000;
const OPENS = 40_000;
const LONGEST_MS = 300_000;

const METRICS: Scenario['metrics'] = [
  { key: 'seconds', label: 'time', unit: 's', digits: 2 },
  { key: 'cpuSeconds', label: 'CPU', unit: 's', digits: 2 },
  { key: 'named', label: 'named by strace', unit: '', digits: 0 },
  { key: 'missed', label: 'of these not in the report', unit: '', digits: 0 },
];
const ABOUT =
  'Time and CPU are those of the whole command, the start of `fanotify run` and its report (as JSON, to a file) included. In the last row the ' +
  'command is strace(1) that runs it: what strace names of successful opens, executions, names made, renamed and deleted, on file ' +
  'systems that have files, is looked for in the report.';

/** A program to run again and again. */
interface Work {
  /** Makes what it needs, once. */
  prepare(room: Room): void;
  /** Makes its directory as it was before. */
  clear(directory: string): void;
  readonly command: readonly string[];
}

/** A C program of a hundred files, made with two compilers at a time. */
export const runMake: Scenario = scenarioOf(
  {
    name: 'run-make',
    title: 'fanotify run of a make build',
    about: (scale) =>
      `make -j2 of a C program of ${sources(scale)} files that include what the C library has. ${ABOUT}`,
  },
  {
    prepare: (room) => makeProject(directoryOf(room), sources(room.scale)),
    clear: (directory) => rmSync(join(directory, 'obj'), { recursive: true, force: true }),
    command: ['make', '-s', '-j2'],
  },
);

/** The dependencies of this workspace. */
export const runNpmCi: Scenario = scenarioOf(
  {
    name: 'run-npm-ci',
    title: 'fanotify run of npm ci',
    about: () => `npm ci --offline of the dependencies of this workspace, from npm's cache. ${ABOUT}`,
  },
  {
    prepare: (room) => copyWorkspace(directoryOf(room)),
    clear: (directory) => rmSync(join(directory, 'node_modules'), { recursive: true, force: true }),
    command: ['npm', 'ci', '--offline', '--ignore-scripts', '--no-audit', '--no-fund'],
  },
);

/** Processes that are not the command's. */
export const runOthers: Scenario = {
  name: 'run-others',
  title: 'What fanotify run costs others',
  about: (scale) =>
    `A process outside of the command opens ${FILES.toLocaleString('en-US')} files round and round, ${Math.round(OPENS * scale).toLocaleString('en-US')} times, while the command sleeps. ` +
    'Events about it are queued, read and thrown away.',
  metrics: [
    { key: 'p50Us', label: 'p50 of an open', unit: 'µs', digits: 2 },
    { key: 'totalMs', label: 'all opens', unit: 'ms', digits: 0 },
  ],
  comparisons: [
    { metric: 'p50Us', against: BARE, label: 'p50 against nobody' },
    { metric: 'totalMs', against: BARE, label: 'all opens against nobody' },
  ],
  targets: [],
  contestants: () => [nothingMarked(BARE), command('run', '--report', '/dev/null', '--', 'sleep', 'infinity')],
  prepare: (room) => makeFiles(room, FILES),
  measure: async (contestant, room) => {
    const { result } = await attend(contestant, room, async () => {
      await runOpeners(room, { processes: 1, opens: room.scaled(OPENS / 4), files: FILES, batch: 10 });
      return runOpeners(room, { processes: 1, opens: room.scaled(OPENS), files: FILES, batch: 10 });
    });
    return { figures: { p50Us: result.p50Ns / 1e3, totalMs: result.totalNs / 1e6 } };
  },
};

function scenarioOf(scenario: Pick<Scenario, 'name' | 'title' | 'about'>, work: Work): Scenario {
  return {
    ...scenario,
    metrics: METRICS,
    comparisons: [
      { metric: 'seconds', against: BARE, label: 'time against nobody' },
      { metric: 'cpuSeconds', against: BARE, label: 'CPU against nobody' },
    ],
    targets: [
      { contestant: RUN, metric: 'seconds', against: BARE, atMost: 1.1 },
      { contestant: BOTH, metric: 'missed', atMost: 0 },
    ],
    contestants: (room) => contestants(room, work),
    prepare: work.prepare,
    measure: (contestant, room) => measure(contestant, room, work),
  };
}

function contestants(room: Room, work: Work): (Contestant | Skipped)[] {
  const program = work.command[0] ?? '';
  if (spawnSync(program, ['--version'], { stdio: 'ignore' }).error) {
    return [{ name: program, because: `not installed: ${program}` }];
  }
  const run = command('run', '--json', '--report', reportOf(room), '--');
  if ('because' in run) return [run];
  const version = spawnSync('strace', ['-V'], { encoding: 'utf8' }).stdout ?? '';
  const strace = ['strace', ...straceArguments(traceOf(room)), ...work.command];
  const hasStrace = Number(/version (\d+)/.exec(version)?.[1] ?? 0) >= 6;
  return [
    { name: BARE, command: work.command, marksNothing: true },
    { name: RUN, command: [...run.command, ...work.command] },
    ...(hasStrace
      ? [
          { name: STRACE, command: strace },
          { name: BOTH, command: [...run.command, ...strace] },
        ]
      : [{ name: STRACE, because: 'strace 6 or later is not installed: apt-get install strace' }]),
  ];
}

async function measure({ name, command }: Contestant, room: Room, work: Work): Promise<Sample> {
  const directory = directoryOf(room);
  work.clear(directory);
  const startedMs = performance.now();
  const child = spawn(room.tool('measure'), [...command], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
  });
  let told = '';
  child.stdio[3]?.on('data', (text) => {
    told += text;
  });
  let said = '';
  child.stderr?.on('data', (text) => {
    said += text;
  });
  await once(child, 'close');
  const seconds = (performance.now() - startedMs) / 1000;
  const { userUs, systemUs, status } = JSON.parse(told.trim().split('\n').at(-1) ?? '') as {
    readonly userUs: number;
    readonly systemUs: number;
    readonly status: number;
  };
  if (status !== 0) throw new BenchError(`${name} ended with status ${status}: ${said.trim().slice(-300)}`);
  const figures = { seconds, cpuSeconds: (userUs + systemUs) / 1e6 };
  if (name !== BOTH) return { figures };
  const named = readStrace(readFileSync(traceOf(room), 'latin1'));
  const missed = missedBy(JSON.parse(readFileSync(reportOf(room), 'utf8')), named);
  const [first] = missed;
  return {
    figures: { ...figures, named: named.length, missed: missed.length },
    remark: first && `missed ${first.kind} ${first.path}`,
  };
}

const directoryOf = (room: Room) => join(room.watched, 'work');
const reportOf = (room: Room) => join(room.output, 'report.json');
const traceOf = (room: Room) => join(room.output, 'strace');

function sources(scale: number): number {
  return Math.max(2, Math.round(SOURCES * scale));
}

export function makeProject(directory: string, count: number): void {
  mkdirSync(join(directory, 'src'), { recursive: true });
  const numbers = Array.from({ length: count }, (_, index) => index);
  for (const n of numbers) {
    writeFileSync(join(directory, `src/part${n}.h`), `int part${n}(int x);\n`);
    writeFileSync(
      join(directory, `src/part${n}.c`),
      `#include <errno.h>\n#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/stat.h>\n` +
        `#include "part${n}.h"\nint part${n}(int x) {\n  char text[64];\n  snprintf(text, sizeof text, "%f", sin(x));\n  return (int)strlen(text) + errno;\n}\n`,
    );
  }
  const includes = numbers.map((n) => `#include "part${n}.h"\n`).join('');
  const calls = numbers.map((n) => `part${n}(${n})`).join(' + ');
  writeFileSync(join(directory, 'src/main.c'), `${includes}int main(void) { return (${calls}) == 0; }\n`);
  const rules = [
    'OBJECTS = $(patsubst src/%.c,obj/%.o,$(wildcard src/*.c))',
    'obj/program: $(OBJECTS)\n\t$(CC) -o $@ $^ -lm',
    'obj/%.o: src/%.c | obj\n\t$(CC) -O2 -MMD -c -o $@ $<',
    'obj:\n\tmkdir obj',
  ];
  writeFileSync(join(directory, 'Makefile'), `${rules.join('\n')}\n`);
}

/** The manifests of this workspace, and their packages in npm's cache: `cache`, or the user's own. */
export function copyWorkspace(directory: string, cache?: string): void {
  const library = dirname(realpathSync(createRequire(import.meta.url).resolve('fanotify/package.json')));
  const workspace = join(library, '../..');
  const files = ['package.json', 'package-lock.json', '.npmrc'];
  for (const name of ['fanotify', 'bench']) files.push(`packages/${name}/package.json`);
  for (const file of [...files, 'packages/fanotify/bin']) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    cpSync(join(workspace, file), join(directory, file), { recursive: true });
  }
  if (cache !== undefined) {
    const own = execFileSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).trim();
    cpSync(join(own, '_cacache'), join(cache, '_cacache'), { recursive: true });
  }
  const args = ['ci', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  if (cache !== undefined) args.push('--cache', cache);
  execFileSync('npm', args, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
}
