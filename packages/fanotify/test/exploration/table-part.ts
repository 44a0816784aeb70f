// Guards, with their responders as tasks of the machine: every access that is held is answered once, in time, whatever becomes of whom.

import { guard } from '../../src/decision/guard.ts';
import type { GuardOptions, PermissionRequest } from '../../src/decision/options.ts';
import { NotPermittedError } from '../../src/group/errors.ts';
import { SIGKILL, sendSignal } from '../../src/simulated/tasks/signal.ts';
import type { Process } from '../../src/simulated/tasks/task.ts';
import { churning } from './churn.ts';
import { Held } from './held.ts';
import type { Part } from './part.ts';
import { Broken, type World } from './world.ts';

const TREE = '/data/tree';
const OUTSIDE = '/data/outside';
const ROUNDS = 6;
const MOST_KILLS = 4;
/** What others may do before the responder has its turn, and what is pending may take, by the clock of the machine. */
const SLACK_MS = 30;
/** Longer than any decision takes. */
const QUIET_MS = 3_000;
/** In one thing that a program is at. */
const MOST_ASKED = 100;

export const tablePart: Part = async (world, steps) => {
  const { random, system } = world;
  world.now(furnish(world));
  const { task, kernel } = world.process('owner');
  const before = world.open(task);
  const held = new Held(world);
  /** Decisions that never come. */
  const forgotten: (() => void)[] = [];
  try {
    const chosen = Array.from({ length: 1 + random.below(2) }, () => chooseOptions(world, forgotten));
    const guards = [];
    for (const options of chosen) {
      const target = options.scope === 'subtree' || options.scope === 'inode' ? TREE : '/data';
      try {
        const opened = await world.until(guard(target, { ...options, kernel }));
        opened.on('error', () => undefined);
        guards.push(opened);
      } catch (error) {
        // The one before denies it what it opens to begin.
        if (guards.length === 0 || !(error instanceof NotPermittedError)) throw error;
      }
    }
    // One after the other asks: each has its own deadline, and one more where too much is undecided.
    const longestMs = chosen.reduce((sum, { deadlineMs = 5_000 }) => sum + 2 * deadlineMs, SLACK_MS);
    let kills = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (let number = 1 + random.below(4); number > 0; number--) {
        world.start(`churn ${number}`, churning(world, { tree: TREE, outside: OUTSIDE }));
      }
      for (let part = 0; part < 5; part++) {
        await world.run(steps / ROUNDS / 5);
        if (random.chance(0.3)) killSomebody(world, held);
        held.check(longestMs);
      }
      if (random.chance(0.2)) system.machine.clock.jump(random.below(7_200_000) - 3_600_000);
      for (const [index, { restart }] of chosen.entries()) {
        const pid = guards[index]?.responderPid;
        // One that dies more often is not started again.
        if (!restart || pid === undefined || kills === MOST_KILLS || random.chance(0.7)) continue;
        kills++;
        kill(world, held, system.machine.tasks.processes.get(pid));
      }
    }
    if (random.chance(0.5)) {
      world.isEnding = true;
      // What they are at may ask several times, and each time nobody may answer.
      const isAtIt = () => living(world).length > 0;
      for (let more = MOST_ASKED; isAtIt() && more > 0; more--) await world.quiet(longestMs + QUIET_MS);
      await world.quiet(QUIET_MS);
      for (const opened of guards) {
        const { pending } = await world.until(opened.status());
        if (pending !== 0) throw new Broken(`${pending} are told to be pending when nobody does anything`);
      }
    }
    for (const opened of guards) await world.until(opened.close());
    world.isEnding = true;
    for (const decided of forgotten) decided();
    await world.quiet(QUIET_MS);
    held.check(longestMs);
    held.checkNone();
    const left = living(world).length;
    if (left > 0) throw new Broken(`${left} programs did not come to an end: ${world.told()}`);
  } finally {
    held.end();
  }
  const after = world.open(task);
  if (after !== before) throw new Broken(`${after - before} descriptors of the owner are left open`);
  const responders = [...system.machine.tasks.processes.values()].filter(({ comm }) => comm.startsWith('fanotify'));
  if (responders.length > 0) throw new Broken(`${responders.length} responders are left`);
};

function* furnish({ calls }: World) {
  yield* calls.mkdir('/data');
  yield* calls.mount('/data', 'ext4', '/dev/loop0');
  yield* calls.mkdir(TREE);
  yield* calls.mkdir(OUTSIDE);
  for (const name of ['4', '5', '6']) yield* calls.writeFile(`${TREE}/${name}`, name);
}

function chooseOptions({ random }: World, forgotten: (() => void)[]): GuardOptions {
  const scope = random.pick(['filesystem', 'filesystem', 'mount', 'subtree', 'inode'] as const);
  const isPreAccess = random.chance(0.2);
  const on = isPreAccess ? (['preAccess'] as const) : random.pick([['open'], ['open', 'access'], ['access']] as const);
  return {
    scope,
    on,
    deadlineMs: random.pick([1, 5, 50, 500]),
    onTimeout: random.pick(['allow', 'deny']),
    onError: random.pick(['allow', 'deny']),
    maxPending: random.pick([undefined, 1, 2, 16]),
    directories: !isPreAccess && random.chance(0.3),
    restart: random.chance(0.5),
    trust: random.pick(['root', 'nobody']),
    busyPollUs: random.pick([0, undefined]),
    decide: decider(random.below(1_000_000)),
  };

  /** Decides in all ways that there are. */
  function decider(moods: number): GuardOptions['decide'] {
    const isSteady = moods % 3 === 0;
    return async (request: PermissionRequest) => {
      const mood = isSteady ? moods % 9 : random.below(10);
      if (random.chance(0.2)) void request.path;
      switch (mood) {
        case 0:
          return 'deny';
        case 1:
          return { verdict: 'allow', cache: true };
        case 2:
          await wait(random.below(20));
          return random.pick(['allow', 'deny'] as const);
        case 3:
          await wait(random.below(2_000));
          return 'allow';
        case 4:
          throw new Error('a decision that fails');
        case 5:
          return 'perhaps' as never;
        case 6:
          // For ever, but its descriptor is its own until then.
          await new Promise<void>((resolve) => void forgotten.push(resolve));
          return undefined;
        case 7:
          request.allow();
          return undefined;
        case 8:
          // Its descriptor may be gone by then.
          try {
            void request.fd;
          } catch (error) {
            if (typeof (error as { code?: unknown }).code !== 'string') throw error;
          }
          return 'allow';
        default:
          return 'allow';
      }
    };
  }
}

const wait = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** One of those that are held, or of all. */
function killSomebody(world: World, held: Held): void {
  const living = world.tasks.filter(({ hasEnded }) => !hasEnded);
  const waiting = living.filter(({ heldBy }) => heldBy !== undefined);
  const from = waiting.length > 0 ? waiting : living;
  if (from.length > 0) kill(world, held, world.random.pick(from).process);
}

/** A FIFO may have nobody at its other end: who waits there does nothing more. */
const living = ({ tasks }: World) =>
  tasks.filter(({ hasEnded, heldBy }) => !hasEnded && heldBy?.why.includes('FIFO') !== true);

function kill(world: World, held: Held, process: Process | undefined): void {
  if (process === undefined || process.ended !== undefined) return;
  const { machine, init } = world.system;
  const before = machine.current;
  machine.current = init;
  sendSignal(machine, process, SIGKILL);
  machine.current = before;
  held.forget(({ task }) => task?.process === process);
}
