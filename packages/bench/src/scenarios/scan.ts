// What it costs that files are scanned for malware when they are opened: beside clamonacc, and beside the scan alone.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attend, settled } from '../attend.ts';
import { configurationOf, hasClamd, socketOf, startClamd } from '../clamd.ts';
import { type Contestant, libraryProgram, nothingMarked, type Skipped, versionOf } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { makeFiles, runOpeners } from '../load.ts';
import type { Room } from '../room.ts';
import type { Sample, Scenario } from '../scenario.ts';
import { readDecisions } from '../told.ts';

const FILES = 2000;
const FILE_BYTES = 8192;
const READERS = 8;
/** The second time, so many opens are timed at once; and where they cost next to nothing, there are so many passes. */
const BATCH = 25;
const CHEAP_PASSES = 10;
/** What changed a moment ago is not kept: the clock of files has ticks. */
const SETTLE_MS = 50;
const NOBODY = 65_534;
const LONGEST_MS = 300_000;
const BARE = 'no marks';
const LIMIT = 'clamdscan --multiscan --fdpass';
const ROOTS = 'scan';
const USERS = "scan, a user's files";
const CLAMONACC = 'clamonacc';
const CLAMONACC_FDPASS = 'clamonacc --fdpass';

export const scan: Scenario = {
  name: 'scan',
  title: 'Scanning what is opened',
  about: (scale) =>
    `${READERS} processes open ${Math.round(FILES * scale).toLocaleString('en-US')} files of ${FILE_BYTES / 1024} KiB (random bytes, new for each measurement, root's) between them, each file once, at once again, and again when the guard is at rest. ` +
    'All scan by the same clamd 1.4 with one signature of their own making. The first time is from the first open to the last; ' +
    `the limit is what clamdscan takes for the same files, all at once. Of the later times an open is told, the median of ${BATCH} timed at once.`,
  metrics: [
    { key: 'firstMs', label: 'first time', unit: 'ms', digits: 0 },
    { key: 'firstP50Us', label: 'p50 of an open then', unit: 'µs', digits: 0 },
    { key: 'soonP50Us', label: 'an open right after', unit: 'µs', digits: 2 },
    { key: 'againP50Us', label: 'an open when at rest', unit: 'µs', digits: 2 },
    { key: 'scans', label: 'scans', unit: '', digits: 0 },
    { key: 'ignored', label: 'files ignored', unit: '', digits: 0 },
  ],
  comparisons: [
    { metric: 'firstMs', against: LIMIT, label: 'first time against the limit' },
    { metric: 'firstMs', against: CLAMONACC, label: 'first time against clamonacc' },
    { metric: 'againP50Us', against: BARE, label: 'against no marks' },
  ],
  targets: [
    { contestant: ROOTS, metric: 'firstMs', against: LIMIT, atMost: 2 },
    { contestant: ROOTS, metric: 'againP50Us', against: BARE, atMost: 1.15 },
  ],
  contestants: (room) => {
    if (!hasClamd) return [{ name: ROOTS, because: 'not installed: apt-get install clamav-daemon' }];
    return [
      nothingMarked(BARE),
      limit(room),
      libraryProgram(ROOTS, 'scan-files', socketOf(room)),
      libraryProgram(USERS, 'scan-files', socketOf(room)),
      ...clamonacc(room),
    ];
  },
  prepare: (room) => makeFiles(room, room.scaled(FILES)),
  measure: async (contestant, room) => {
    fill(room, contestant.name === USERS ? NOBODY : 0);
    const clamd = await startClamd(room, room.watched);
    try {
      return contestant.name === LIMIT ? await scanAll(contestant) : await open(contestant, room);
    } finally {
      await clamd.end();
    }
  },
};

async function open(contestant: Contestant, room: Room): Promise<Sample> {
  const files = room.scaled(FILES);
  const load = { processes: READERS, files, opens: Math.max(BATCH, Math.round(files / READERS)) };
  const { result, outputFile } = await attend(contestant, room, async (pid) => {
    // clamonacc marks one directory after the other.
    await settled(pid);
    const first = await runOpeners(room, load);
    // Where it may, the kernel is told to ignore files when there is time for it.
    const soon = await runOpeners(room, { ...load, batch: BATCH });
    await settled(pid);
    const passes = [BARE, ROOTS].includes(contestant.name) ? CHEAP_PASSES : 1;
    const again = await runOpeners(room, { ...load, opens: load.opens * passes, batch: BATCH });
    return {
      firstMs: first.totalNs / 1e6,
      firstP50Us: first.p50Ns / 1e3,
      soonP50Us: soon.p50Ns / 1e3,
      againP50Us: again.p50Ns / 1e3,
    };
  });
  if (![ROOTS, USERS].includes(contestant.name)) return { figures: result };
  const { decisions, ignored } = readDecisions(outputFile);
  return { figures: { ...result, scans: decisions, ...(ignored !== undefined && { ignored }) } };
}

/** Nobody opens anything: clamdscan gives clamd all files. */
async function scanAll({ command }: Contestant): Promise<Sample> {
  const startedMs = performance.now();
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: 'ignore', timeout: LONGEST_MS });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new BenchError(`clamdscan ended with status ${status}`);
  return { figures: { firstMs: performance.now() - startedMs } };
}

/** New content, which clamd has not seen. */
function fill(room: Room, owner: number): void {
  for (let index = 0; index < room.scaled(FILES); index++) {
    writeFileSync(join(room.watched, `d${index % 100}`, `f${index}`), randomBytes(FILE_BYTES));
  }
  execFileSync('chown', ['-R', `${owner}:${owner}`, room.watched]);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLE_MS);
}

function limit(room: Room): Contestant | Skipped {
  const options = ['--multiscan', '--fdpass', '--no-summary', '--infected', '--config-file', configurationOf(room)];
  if (spawnSync('clamdscan', ['--version']).error)
    return { name: LIMIT, because: 'not installed: apt-get install clamdscan' };
  return { name: LIMIT, command: ['clamdscan', ...options, room.watched], marksNothing: true };
}

function clamonacc(room: Room): readonly (Contestant | Skipped)[] {
  const program = '/usr/sbin/clamonacc';
  if (versionOf('clamav-daemon') === undefined)
    return [{ name: CLAMONACC, because: 'not installed: apt-get install clamav-daemon' }];
  const options = ['--foreground', '--config-file', configurationOf(room)];
  return [
    { name: CLAMONACC, command: [program, ...options] },
    { name: CLAMONACC_FDPASS, command: [program, ...options, '--fdpass'] },
  ];
}
