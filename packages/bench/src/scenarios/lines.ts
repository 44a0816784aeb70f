// What a printed line costs: the command against the tracers that people have, under a load that fits into the queue once the
// kernel has merged it, and under one that does not.

import { statSync } from 'node:fs';
import { attend } from '../attend.ts';
import { command, fatrace, fsnotifywait, isPeer } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { makeFiles, runLoad } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { countLines } from '../told.ts';

const TRACE = 'fanotify trace -c';
// What fatrace hears of files that stay: else fsnotifywait hears attrib and the moves and deletions of files themselves, too.
const ACCESSES = ['-e', 'access,modify,close_write,close_nowrite,open'] as const;

interface Load {
  readonly files: number;
  readonly rounds: number;
}

const ABOUT =
  'CPU of the whole process, its start and end included, divided by the lines that it printed about those files. `opens told` is how ' +
  'many of the opens are in a line of their own: the others were merged by the kernel with an earlier one that was not read yet, or ' +
  'lost. Standard output goes to a file on another tmpfs.';

/** More files than a core can open while a reader is away for a moment, fewer than fit into a queue: merged, not lost. */
export const lines: Scenario = linesUnder(
  { files: 10_000, rounds: 30 },
  {
    name: 'lines',
    title: 'What a printed line costs',
    about: (load) => `${load} The queue of the default length never fills, since it holds each file once. ${ABOUT}`,
    targets: [fatrace(), fsnotifywait(), fsnotifywait(...ACCESSES)].map(({ name }) => {
      return { contestant: TRACE, metric: 'usPerLine', against: name, atMost: 0.4 };
    }),
  },
);

/** More files than fit into a queue: whoever is slower than the load loses events. */
export const flood: Scenario = linesUnder(
  { files: 100_000, rounds: 3 },
  {
    name: 'flood',
    title: 'What is lost under a flood',
    about: (load) =>
      `${load} A queue of the default length holds 16,384 events: whoever is slower than the load loses some. ${ABOUT}`,
    targets: [],
  },
);

function linesUnder(
  load: Load,
  scenario: Pick<Scenario, 'name' | 'title' | 'targets'> & { readonly about: (load: string) => string },
): Scenario {
  return {
    ...scenario,
    about: (scale) =>
      scenario.about(
        `${Math.round(load.files * scale).toLocaleString('en-US')} files in a hundred directories are opened, read and closed one after ` +
          `the other, ${load.rounds} times over, as fast as one core can.`,
      ),
    metrics: [
      { key: 'usPerLine', label: 'CPU per line', unit: 'µs', digits: 2 },
      { key: 'lines', label: 'lines', unit: '', digits: 0 },
      { key: 'opensTold', label: 'opens told', unit: '%', digits: 1 },
      { key: 'missed', label: 'files missed', unit: '', digits: 0 },
      { key: 'lost', label: 'lines that say "lost"', unit: '', digits: 0 },
      { key: 'peakMib', label: 'peak memory', unit: 'MiB', digits: 0 },
    ],
    comparisons: [
      { metric: 'usPerLine', against: fatrace().name, label: 'per line against fatrace' },
      { metric: 'usPerLine', against: fsnotifywait().name, label: 'per line against fsnotifywait' },
    ],
    contestants: () => [
      command('trace', '-c'),
      command('watch', '-r', '-e', 'all', '.'),
      fatrace(),
      fsnotifywait(),
      fsnotifywait(...ACCESSES),
    ],
    prepare: (room) => makeFiles(room, room.scaled(load.files)),
    measure: async (contestant, room) => {
      const files = room.scaled(load.files);
      const { usage, cpuUs, outputFile, early } = await attend(
        contestant,
        room,
        () => runLoad(room, 'accesses', room.watched, files, load.rounds, 'read'),
        { mayEnd: isPeer(contestant) },
      );
      const told = countLines(outputFile);
      if (told.lines === 0) {
        throw new BenchError(`${contestant.name} printed no line (${statSync(outputFile).size} bytes)`);
      }
      const figures = {
        cpuUs,
        lines: told.lines,
        usPerLine: cpuUs / told.lines,
        usPerOpen: cpuUs / told.opens,
        opensTold: (told.opens / (files * load.rounds)) * 100,
        missed: files - told.distinct,
        lost: told.lost,
        peakMib: usage.peakKib / 1024,
      };
      return { figures, remark: early === undefined ? undefined : `ended by itself, saying "${early}"` };
    },
  };
}
