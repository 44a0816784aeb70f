// Ten million decisions: whether memory and descriptors of owner and responder stay what they were.

import { setTimeout as delay } from 'node:timers/promises';
import { attend } from '../attend.ts';
import { libraryProgram } from '../contestant.ts';
import { BenchError } from '../error.ts';
import { makeFiles, runOpeners } from '../load.ts';
import { descriptorCount, proportionalKib, residentKib, treeOf } from '../processes.ts';
import type { Room } from '../room.ts';
import type { Scenario } from '../scenario.ts';
import { readDecisions } from '../told.ts';

const FILES = 1000;
const PROCESSES = 8;
const PARTS = 10;
const REST_MS = 1000;
const MODULE = 'guard, a module decides in the responder';
const OWNER = 'guard, an async function decides';
/** Of each part. */
const DECISIONS: Readonly<Record<string, number>> = { [MODULE]: 1_000_000, [OWNER]: 200_000 };
/** What may be added after the first tenth: V8 lets some lie uncollected for a while. */
const FLAT_MIB = 8;

export const decideMemory: Scenario = {
  name: 'decide-memory',
  title: 'Ten million decisions',
  isLong: true,
  about: (scale) => {
    const [module, owner] = [MODULE, OWNER].map((name) => (PARTS * partOf(name, scale)).toLocaleString('en-US'));
    return (
      `Eight processes open ${FILES.toLocaleString('en-US')} files round and round until ${module} opens were decided on by the module, ${owner} by the ` +
      `function. Memory of owner and responder at rest (${REST_MS / 1000} s after the marks were placed) and after each tenth: resident (VmRSS), and at rest ` +
      'also what it is when memory that several processes share is divided among them (Pss). Growth: from the first tenth to the last.'
    );
  },
  metrics: [
    ...['owner', 'responder'].flatMap((who) => [
      { key: `${who}PssMib`, label: `${who}: Pss at rest`, unit: 'MiB', digits: 1 },
      { key: `${who}RestMib`, label: 'resident at rest', unit: 'MiB', digits: 1 },
      { key: `${who}FirstMib`, label: 'after the first tenth', unit: 'MiB', digits: 1 },
      { key: `${who}MiddleMib`, label: 'after the fifth', unit: 'MiB', digits: 1 },
      { key: `${who}LastMib`, label: 'after the last', unit: 'MiB', digits: 1 },
      { key: `${who}GrownMib`, label: `growth of the ${who}`, unit: 'MiB', digits: 1 },
    ]),
    { key: 'descriptorsBefore', label: 'descriptors of both before', unit: '', digits: 0 },
    { key: 'descriptorsAfter', label: 'after', unit: '', digits: 0 },
    { key: 'seconds', label: 'time', unit: 's', digits: 0 },
  ],
  comparisons: [],
  targets: [MODULE, OWNER].flatMap((contestant) =>
    ['owner', 'responder'].map((who) => ({ contestant, metric: `${who}GrownMib`, atMost: FLAT_MIB })),
  ),
  contestants: () => [
    libraryProgram(MODULE, 'decide', '--where', 'responder'),
    libraryProgram(OWNER, 'decide', '--where', 'owner'),
  ],
  prepare: (room) => makeFiles(room, FILES),
  measure: async (contestant, room) => {
    const opens = Math.ceil(partOf(contestant.name, room.scale) / PROCESSES);
    const { result: figures, outputFile } = await attend(contestant, room, (pid) => sampleWhile(room, pid, opens));
    const { decisions } = readDecisions(outputFile);
    const expected = opens * PROCESSES * PARTS;
    if (decisions !== expected) throw new BenchError(`of ${expected} opens ${decisions} were decided`);
    return { figures };
  },
};

function partOf(contestant: string, scale: number): number {
  return Math.max(PROCESSES, Math.round((DECISIONS[contestant] ?? 0) * scale));
}

async function sampleWhile(room: Room, owner: number, opens: number): Promise<Record<string, number>> {
  const [, responder] = treeOf(owner);
  if (responder === undefined) throw new BenchError('there is no responder');
  const descriptors = () => descriptorCount(owner) + descriptorCount(responder);
  await delay(REST_MS);
  const figures: Record<string, number> = { descriptorsBefore: descriptors() };
  const began = performance.now();
  const note = (when: string) => {
    figures[`owner${when}Mib`] = residentKib(owner) / 1024;
    figures[`responder${when}Mib`] = residentKib(responder) / 1024;
  };
  note('Rest');
  figures.ownerPssMib = proportionalKib(owner) / 1024;
  figures.responderPssMib = proportionalKib(responder) / 1024;
  for (let part = 1; part <= PARTS; part++) {
    const { p50Ns } = await runOpeners(room, { processes: PROCESSES, opens, files: FILES });
    figures[`p50Us${part}`] = p50Ns / 1000;
    note(`After${part}`);
    if (part === 1) note('First');
    if (part === PARTS / 2) note('Middle');
  }
  note('Last');
  const grown = (who: string) => (figures[`${who}LastMib`] ?? 0) - (figures[`${who}FirstMib`] ?? 0);
  return {
    ...figures,
    ownerGrownMib: grown('owner'),
    responderGrownMib: grown('responder'),
    descriptorsAfter: descriptors(),
    seconds: (performance.now() - began) / 1000,
  };
}
