// watch(): whatever happens, what was told in the end is what is on disk.

import type { Change } from '../../src/watch/change.ts';
import { watch } from '../../src/watch/watch.ts';
import type { Watcher } from '../../src/watch/watcher.ts';
import { ToldTree } from '../watch/told-tree.ts';
import { churning } from './churn.ts';
import { simulatedDisk } from './disk.ts';
import type { Part } from './part.ts';
import { Broken, type World } from './world.ts';

const TREE = '/data/tree';
const OUTSIDE = '/data/outside';
const USER = 1000;
/** Longer than anything that watch() waits for. */
const QUIET_MS = 5_000;
const ROUNDS = 4;

export const watchPart: Part = async (world, steps) => {
  const { random, system } = world;
  const uid = random.chance(0.5) ? 0 : USER;
  const kind = random.pick(['tmpfs', 'ext4']);
  system.machine.limits.maxQueuedEvents = random.pick([4, 16, 64, 256, 16_384]);
  world.now(furnish(world, kind, uid));
  const { task, kernel } = world.process('watcher', uid);
  const before = world.open(task);
  const baseline = random.pick(['none', 'memory', 'memory', 'file'] as const);
  const about = `${uid === 0 ? 'root' : 'a user'} on ${kind}, baseline ${baseline}, ${system.machine.limits.maxQueuedEvents} events`;
  // A file that was there, was linked by another name in a directory that is not marked yet, and came and went by its first name again in one
  // queue looks like one that never was before, to who hears nothing of that directory and does not know yet what was there.
  let watcher: Watcher | undefined;
  const makesLinks = () => uid === 0 || watcher?.counters.baseline === 'complete';
  const churn = () => {
    for (let number = 1 + random.below(3); number > 0; number--) {
      world.start(`churn ${number}`, churning(world, { tree: TREE, outside: OUTSIDE, makesLinks }), uid);
    }
  };
  churn();
  // There is something already.
  await world.run(random.below(300));
  const by = random.chance(0.5) ? false : undefined;
  watcher = watch(TREE, { kernel, baseline, fallback: false, delayMs: random.pick([1, 20]), by });
  // It loads one of them first, in no time of this machine.
  await Promise.all([import('../../src/watch/memory-baseline.ts'), import('../../src/watch/file-baseline.ts')]);
  const told = new ToldTree((root) => simulatedDisk(system, root));
  // What is there when all is heard: from then on it is told.
  await world.until(watcher.ready.then(() => told.list(TREE)));
  const taking = take(world, watcher, told);
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) churn();
    told.incomplete = 0;
    await world.run(steps / ROUNDS);
    world.isEnding = true;
    await world.quiet(QUIET_MS);
    world.isEnding = false;
    // What comes behind a rescan that had nothing to compare with may be older than any listing: only at rest is it sure to be over.
    if (told.incomplete > 0) told.listAtRest(TREE);
    const differences = told.differences(TREE);
    if (differences.length > 0) {
      throw new Broken(`what is told is not what is on disk (${about}):\n  ${differences.slice(0, 8).join('\n  ')}`);
    }
  }
  await world.until(watcher.close());
  await world.until(taking);
  await world.quiet(QUIET_MS);
  const after = world.open(task);
  if (after !== before) throw new Broken(`${after - before} descriptors are left open (${about})`);
};

function* furnish(world: World, kind: string, uid: number) {
  const { calls } = world;
  yield* calls.mkdir('/data');
  yield* calls.mount('/data', kind, kind === 'tmpfs' ? 'tmpfs' : '/dev/loop0');
  yield* calls.mkdir(TREE);
  yield* calls.mkdir(OUTSIDE);
  yield* calls.chown(TREE, uid, uid);
  yield* calls.chown(OUTSIDE, uid, uid);
}

async function take(world: World, watcher: Watcher, told: ToldTree): Promise<void> {
  let seq = 0;
  for await (const batch of watcher.batches()) {
    for (const change of batch as readonly Change[]) {
      if (change.seq !== ++seq) throw new Broken(`change ${change.seq} comes where ${seq} should`);
    }
    told.apply(batch);
    if (world.random.chance(0.1)) await world.pause(world.random.below(200));
  }
}
