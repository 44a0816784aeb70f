// Whether what watchers tell is what is on disk: bursts, trees that are made, moved and removed, and programs at work.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { burst, burstWhileStopped } from '../cases/bursts.ts';
import type { Case, Step } from '../cases/case.ts';
import { gitCheckout, npmCi } from '../cases/programs.ts';
import { comings, mkdirs, removal, renames, untar } from '../cases/trees.ts';
import type { Contestant } from '../contestant.ts';
import { differenceOf, differenceText } from '../difference.ts';
import { BenchError } from '../error.ts';
import { layGround } from '../ground.ts';
import { raiseLimits } from '../limits.ts';
import { walk } from '../model.ts';
import type { Room } from '../room.ts';
import type { Metric, Sample, Scenario } from '../scenario.ts';
import { Watcher } from '../watcher.ts';
import { OURS, OURS_THROUGH_DAEMON, OURS_WITHOUT_PRIVILEGE, peers } from '../watchers.ts';

const REST_MS = 300;
const QUIET_MS = 1000;
const AT_MOST_MS = 60_000;
const FILES = 20_000;
const MANY_FILES = 200_000;
const STOPPED_FILES = 50_000;

const HOW =
  'After each step the watcher is asked for the state that it has told as soon as for 1 s it has told nothing and used next to no CPU ' +
  `(after ${AT_MOST_MS / 1000} s as it is), and that is compared with the disk: the rounds in which every path was there, as what it is, and no ` +
  'other; and the most paths that were missing or too many in a round. Every watcher has its defaults and a process of its own with the ' +
  'same consumer, which begins with a listing. Of watchers that tell paths alone, the consumer looks what is there, and lists new ' +
  'directories. Queues of the kernel are of the default length.';

export const watchBurst = stateScenario({
  name: 'watch-burst',
  title: 'The state told after a burst',
  about: (scale) =>
    `${count(FILES, scale)} files are made, of a byte, as fast as one core can: in one directory, and spread over ${count(1000, scale)} that were there; ` +
    `and ${count(STOPPED_FILES, scale)} while the watcher, with all its processes, is stopped (SIGSTOP). ${HOW}`,
  cases: [...bursts(FILES), burstWhileStopped(STOPPED_FILES)],
});

export const watchBurstLong: Scenario = {
  ...stateScenario({
    name: 'watch-burst-long',
    title: 'The state told after a large burst',
    about: (scale) =>
      `${count(MANY_FILES, scale)} files in one directory, and spread over ${count(1000, scale)} that were there. ${HOW}`,
    cases: bursts(MANY_FILES),
  }),
  isLong: true,
  hasRounds: true,
};

export const watchState = stateScenario({
  name: 'watch-state',
  title: 'The state told after work on trees',
  about: (scale) =>
    `${count(300, scale)} times mkdir -p a/b/c with a file in each at once, and then one more in each; ${count(300, scale)} renames in eight trees of six levels ` +
    `while ${count(6000, scale)} files are written in them; those trees moved in from outside, and out again; tar x of ${count(20_000, scale)} files, and rm -rf of as ` +
    `many; git checkout between two commits of ${count(5000, scale)} files, and back; npm ci of ${count(60, scale)} packages. tar and git on ext4, else on tmpfs. ${HOW}`,
  cases: [mkdirs, renames, comings, untar, removal, gitCheckout, npmCi],
});

function bursts(files: number): Case[] {
  return (['tmpfs', 'ext4'] as const).flatMap((type) => [burst(type, files, false), burst(type, files, true)]);
}

function stateScenario(of: {
  readonly name: string;
  readonly title: string;
  readonly about: (scale: number) => string;
  readonly cases: readonly Case[];
}): Scenario {
  const contestants = () => [
    ...OURS,
    ...OURS_WITHOUT_PRIVILEGE.slice(-1),
    ...OURS_THROUGH_DAEMON.slice(-1),
    ...peers(),
  ];
  return {
    name: of.name,
    title: of.title,
    about: of.about,
    metrics: [
      { key: 'wrong', label: 'wrong states', unit: '', digits: 0 },
      ...of.cases.flatMap(({ steps }) => steps.map(columnOf)),
      { key: 'settleMs', label: 'told after at most', unit: 'ms', digits: 0 },
    ],
    comparisons: [],
    targets: [...OURS, ...OURS_WITHOUT_PRIVILEGE.slice(-1), ...OURS_THROUGH_DAEMON.slice(-1)].map(({ name }) => {
      return { contestant: name, metric: 'wrong', atMost: 0 };
    }),
    contestants,
    measure: async (contestant, room) => {
      raiseLimits();
      const results: Sample[] = [];
      for (const one of of.cases) results.push(await measureCase(contestant, room, one));
      const figures = Object.assign({}, ...results.map((result) => result.figures)) as Record<string, number>;
      const sums = Object.entries(figures);
      const valuesOf = (suffix: string) => sums.filter(([key]) => key.endsWith(suffix)).map(([, value]) => value);
      if (valuesOf(':equal').length === 0) throw new BenchError(results.map(({ remark }) => remark).join('; '));
      const wrong = valuesOf(':equal').filter((isEqual) => isEqual === 0).length;
      const settleMs = Math.max(0, ...valuesOf(':settleMs'));
      const remark = results.flatMap((result) => result.remark ?? []).join('. ');
      return { figures: { ...figures, wrong, settleMs }, remark: remark === '' ? undefined : remark };
    },
  };
}

/** One watcher through one case. What goes wrong with it on the way is a wrong state. */
async function measureCase(contestant: Contestant, room: Room, { fileSystem, prepare, steps }: Case): Promise<Sample> {
  const figures: Record<string, number> = {};
  const remarks: string[] = [];
  const ground = layGround(room, fileSystem);
  let watcher: Watcher | undefined;
  try {
    const tree = join(ground.path, 'tree');
    mkdirSync(tree);
    await prepare?.(tree, room);
    for (const { key } of steps) figures[`${key}:equal`] = 0;
    watcher = await Watcher.start(contestant, room, tree);
    await watcher.ask('list');
    await watcher.settle(REST_MS, AT_MOST_MS);
    for (const step of steps) {
      const { figures: own, remark } = await measureStep(watcher, room, tree, step);
      Object.assign(figures, own);
      if (remark !== undefined) remarks.push(`${step.label}: ${remark}`);
    }
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    remarks.push(`${steps.map(({ label }) => label).join(', ')}: ${error.message}`);
  } finally {
    watcher?.end();
    ground.remove();
  }
  return { figures, remark: remarks.length === 0 ? undefined : remarks.join('. ') };
}

async function measureStep(watcher: Watcher, room: Room, tree: string, { key, run }: Step): Promise<Sample> {
  await run(tree, room, watcher);
  const settleMs = await watcher.settle(QUIET_MS, AT_MOST_MS);
  const file = join(room.temporary, `told-${watcher.pid}`);
  const { ended } = await watcher.ask(`paths ${file}`);
  const there: string[] = [];
  walk(tree, (path, kind) => there.push(`${kind} ${path.slice(tree.length + 1)}`));
  const told = readFileSync(file, 'utf8').split('\0');
  const difference = differenceOf(told[0] === '' ? [] : told, there);
  const [missing, extra] = [difference.missing.length, difference.extra.length];
  const isEqual = missing + extra === 0;
  const why = ended ?? (settleMs === undefined ? `not at rest after ${AT_MOST_MS / 1000} s` : undefined);
  const remark = [isEqual ? undefined : differenceText(difference), why]
    .filter((part) => part !== undefined)
    .join('; ');
  return {
    figures: {
      [`${key}:equal`]: isEqual ? 1 : 0,
      [`${key}:missing`]: missing,
      [`${key}:extra`]: extra,
      ...(settleMs !== undefined && { [`${key}:settleMs`]: settleMs }),
    },
    remark: remark === '' ? undefined : remark,
  };
}

/** "20 of 20", or "3 of 20 (9,021 missing, 2 too many)": the most in a round. */
function columnOf({ key, label }: Step): Metric {
  const text = (samples: readonly Sample[]): string | undefined => {
    const valuesOf = (of: string) => samples.flatMap(({ figures }) => figures[`${key}:${of}`] ?? []);
    const equal = valuesOf('equal');
    if (equal.length === 0) return undefined;
    const worst = (of: string, word: string) => {
      const most = Math.max(0, ...valuesOf(of));
      return most > 0 ? [`${most.toLocaleString('en-US')} ${word}`] : [];
    };
    const most = [...worst('missing', 'missing'), ...worst('extra', 'too many')].join(', ');
    return `${equal.filter((one) => one === 1).length} of ${equal.length}${most === '' ? '' : ` (${most})`}`;
  };
  return { key: `${key}:equal`, label, unit: '', digits: 0, text };
}

function count(number: number, scale: number): string {
  return Math.max(1, Math.round(number * scale)).toLocaleString('en-US');
}
