// The storm of opens: whether a queue of the default length is read fast enough that nothing is lost.

import { attend } from '../attend.ts';
import { watchBacklog } from '../backlog.ts';
import { command, fatrace, fsnotifywait, isPeer, libraryProgram, nativeProgram } from '../contestant.ts';
import { makeFiles, runLoad } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { countLines, readSums } from '../told.ts';

const FILES = 10_000;
const ROUNDS = 50;
const C = 'C, resolves nothing';
const C_GATHERS = 'C, gathers for 1 ms as Group does';
const GROUP = 'Group, batches(), path and pid';
const TRACE = 'fanotify trace -c';
/** Who says at its end what it saw; the others print lines. */
const READERS: readonly string[] = [C, C_GATHERS, GROUP];

export const storm: Scenario = {
  name: 'storm',
  title: 'The storm of opens',
  about: (scale) =>
    `${Math.round(FILES * scale).toLocaleString('en-US')} files in a hundred directories are opened and closed, ${ROUNDS} times over, as fast as one core can: ` +
    `${(Math.round(FILES * scale) * ROUNDS).toLocaleString('en-US')} opens. The queue is of the default length (fs.fanotify.max_queued_events). Told of loss: overflows ` +
    'that were read, or lines that say "lost"; fatrace and fsnotifywait say nothing of either. `files seen` are the distinct files with an event. ' +
    'The highest backlog is looked for every millisecond: unread events in the queue, after the kernel has merged what it can. ' +
    'Standard output goes to a file on another tmpfs.',
  metrics: [
    { key: 'lost', label: 'told of loss', unit: '', digits: 0 },
    { key: 'distinct', label: 'files seen', unit: '', digits: 0 },
    { key: 'missing', label: 'files missed', unit: '', digits: 0 },
    { key: 'told', label: 'events or lines', unit: '', digits: 0 },
    { key: 'backlog', label: 'highest backlog', unit: 'events', digits: 0 },
    { key: 'cpuMs', label: 'CPU', unit: 'ms', digits: 0 },
  ],
  comparisons: [],
  targets: [GROUP, TRACE].flatMap((contestant) => [
    { contestant, metric: 'lost', atMost: 0 },
    { contestant, metric: 'missing', atMost: 0 },
  ]),
  contestants: (room) => [
    nativeProgram(room, C, 'reader', '.', 'opens', 'bounded', '0'),
    nativeProgram(room, C_GATHERS, 'reader', '.', 'opens', 'bounded', '1'),
    libraryProgram(GROUP, 'read-events', '--events', 'opens', '--distinct'),
    command('trace', '-c'),
    command('watch', '-r', '-e', 'open', '.'),
    fatrace(),
    fsnotifywait('-e', 'open'),
  ],
  prepare: (room) => makeFiles(room, room.scaled(FILES)),
  measure: async (contestant, room) => {
    const files = room.scaled(FILES);
    const { cpuUs, outputFile, result, early } = await attend(
      contestant,
      room,
      (pid) => watchBacklog(room, pid, () => runLoad(room, 'accesses', room.watched, files, ROUNDS, 'open')),
      { mayEnd: isPeer(contestant) },
    );
    const isReader = READERS.includes(contestant.name);
    const seen = isReader ? readSums(outputFile) : undefined;
    const printed = isReader ? undefined : countLines(outputFile);
    const distinct = seen?.distinct ?? printed?.distinct;
    const figures = {
      lost: seen?.overflows ?? printed?.lost ?? 0,
      // The C readers resolve nothing, so they cannot say which files they saw.
      ...(distinct !== undefined && { distinct, missing: files - distinct }),
      told: seen?.events ?? printed?.lines ?? 0,
      ...(seen?.largestBatch !== undefined && { largestBatch: seen.largestBatch }),
      backlog: result,
      cpuMs: cpuUs / 1000,
    };
    return { figures, remark: early === undefined ? undefined : `ended by itself, saying "${early}"` };
  },
};
