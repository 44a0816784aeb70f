// Listeners of the core, with its process as a task: whoever comes and goes, and however they answer, each access is answered once and in
// time, by those who are asked in order of their priority, and what happens is told or told to be lost.

import { AT_EMPTY_PATH } from '../../src/abi/index.ts';
import { CallError } from '../../src/core/errors.ts';
import { type Listener, openListener } from '../../src/core/listener.ts';
import type { HeldEvent, ListenerEvent, NotificationEvent } from '../../src/core/listener-events.ts';
import type { ListenerEventName, ListenerMark, ListenerOptions } from '../../src/core/listener-options.ts';
import { openGroup } from '../../src/core/process/connection.ts';
import type { SimulatedKernel } from '../../src/simulated/seam/kernel.ts';
import { SIGKILL, sendSignal } from '../../src/simulated/tasks/signal.ts';
import type { Task } from '../../src/simulated/tasks/task.ts';
import { Churn, churning } from './churn.ts';
import { type CoreBounds, SimulatedCore } from './core-process.ts';
import { CoreRules, type Plain, paid } from './core-rules.ts';
import { Held } from './held.ts';
import type { Part } from './part.ts';
import { Broken, type World } from './world.ts';

const TREE = '/data/tree';
const OUTSIDE = '/data/outside';
const PLACES = { tree: TREE, outside: OUTSIDE };
const ROUNDS = 6;
const MOST_LISTENERS = 4;
const MOST_RUNS = 10_000;
/** What a core opens when it is first needed, and keeps: the mount table, what tells of looks, and three kernel groups that go last. */
const KEPT = 8;
/** What others may do before the core has its turn, and what is pending may take, by the clock of the machine. */
const SLACK_MS = 30;
/** Longer than any decision takes. */
const QUIET_MS = 3_000;
const TOLD: readonly ListenerEventName[] = ['access', 'modify', 'closeWrite', 'closeNowrite', 'open'];
const ASKED: readonly ListenerEventName[] = ['openPerm', 'openPerm', 'accessPerm'];

export const corePart: Part = async (world, steps) => {
  const { random, system } = world;
  system.machine.limits.maxQueuedEvents = random.pick([4, 64, 1024, 16_384]);
  world.now(furnish(world, random.pick(['tmpfs', 'ext4'])));
  const { task, kernel } = world.process('owner');
  const before = world.open(task);
  const rules = new CoreRules();
  const held = new Held(world);
  try {
    const owner = new Owner(world, task, kernel, rules, held);
    await owner.open({}, undefined);
    for (let round = 0; round < ROUNDS; round++) {
      for (let number = 1 + random.below(4); number > 0; number--) {
        world.start(`churn ${number}`, churning(world, PLACES));
      }
      for (let part = 0; part < 5; part++) {
        await owner.change();
        await world.run(steps / ROUNDS / 5);
        if (random.chance(0.1)) killSomebody(world, held);
        owner.check();
      }
      if (random.chance(0.2)) system.machine.clock.jump(random.below(7_200_000) - 3_600_000);
      if (random.chance(0.1)) owner.killCore();
      if (random.chance(0.3)) await owner.rest();
    }
    if (random.chance(0.7)) await owner.rest();
    world.isEnding = true;
    await owner.close();
    await world.quiet(QUIET_MS);
    owner.check();
    held.checkNone();
    const living = world.tasks.filter(({ hasEnded, heldBy }) => !hasEnded && heldBy?.why.includes('FIFO') !== true);
    if (living.length > 0) throw new Broken(`${living.length} programs did not come to an end: ${world.told()}`);
  } finally {
    held.end();
    rules.end();
  }
  const after = world.open(task);
  if (after !== before) throw new Broken(`${after - before} descriptors of the owner are left open`);
  const cores = [...system.machine.tasks.processes.values()].filter(({ comm }) => comm === 'fanotify-core');
  if (cores.length > 0) throw new Broken(`${cores.length} cores are left`);
};

function* furnish({ calls }: World, kind: string) {
  yield* calls.mkdir('/data');
  yield* calls.mount('/data', kind, kind === 'tmpfs' ? 'tmpfs' : '/dev/loop0');
  yield* calls.mkdir(TREE);
  yield* calls.mkdir(OUTSIDE);
  for (const name of ['4', '5', '6']) yield* calls.writeFile(`${TREE}/${name}`, name);
}

/** One of those that are held, or of all. */
function killSomebody(world: World, held: Held): void {
  const living = world.tasks.filter(({ hasEnded }) => !hasEnded);
  const waiting = living.filter(({ heldBy }) => heldBy !== undefined);
  const from = waiting.length > 0 ? waiting : living;
  if (from.length > 0) kill(world, held, world.random.pick(from));
}

function kill({ system }: World, held: Held, { process }: Pick<Task, 'process'>): void {
  if (process.ended !== undefined) return;
  system.asInit(() => sendSignal(system.machine, process, SIGKILL));
  held.forget(({ task }) => task?.process === process);
}

/** The process that listens. */
class Owner {
  readonly #world: World;
  readonly #kernel: SimulatedKernel;
  readonly #rules: CoreRules;
  readonly #held: Held;
  readonly #bounds: CoreBounds;
  readonly #listening: Listening[] = [];
  readonly #cores: SimulatedCore[] = [];
  /** Of each core, what it has open when there is one listener without a mark. */
  readonly #open = new Map<SimulatedCore, number>();
  /** The longest that anybody may have been held, of all that were there together. */
  #longestMs = SLACK_MS;

  constructor(world: World, _task: Task, kernel: SimulatedKernel, rules: CoreRules, held: Held) {
    const { random } = world;
    this.#world = world;
    this.#kernel = kernel;
    this.#rules = rules;
    this.#held = held;
    this.#bounds = {
      maxPending: random.pick([1, 2, 16, 4096]),
      maxCarried: random.pick([4, 64, 4096]),
      maxQueued: random.pick([1, 4, 64, 16_384]),
    };
  }

  /** The core that there is, or a new one. */
  get #core(): SimulatedCore {
    const current = this.#cores.at(-1);
    if (current?.isRunning) return current;
    const core = new SimulatedCore(this.#world, this.#kernel, this.#bounds);
    this.#cores.push(core);
    return core;
  }

  async open(options: ListenerOptions, plain: readonly ListenerEventName[] | undefined): Promise<void> {
    const core = this.#core;
    const listener = openListener(options, (kernel, settings) => openGroup(settings, kernel, core.use()), this.#kernel);
    const group = this.#rules.last;
    if (group === undefined) throw new Error('no group');
    let owed: Plain | undefined;
    if (plain !== undefined) {
      await listener.mark('/data', { scope: 'filesystem', events: plain });
      owed = this.#rules.follow(group);
    }
    this.#listening.push(new Listening(this.#world, this.#kernel, listener, owed, core));
    if (!this.#open.has(core)) this.#open.set(core, core.open);
    const { deadlineMs = 5_000 } = options;
    if (this.#listening.length > 1) this.#deadlines.push(deadlineMs);
    this.#longestMs = Math.max(this.#longestMs, SLACK_MS + 2 * this.#deadlines.reduce((sum, ms) => sum + ms, 0));
  }

  readonly #deadlines: number[] = [];

  /** Listeners come, change what they hear, and go. */
  async change(): Promise<void> {
    const { random } = this.#world;
    if (this.#cores.at(-1)?.isRunning !== true) await this.#startAgain();
    if (this.#listening.length <= MOST_LISTENERS && random.chance(0.5)) {
      const isPlain = random.chance(0.4);
      await this.open(chooseOptions(this.#world, isPlain), isPlain ? random.some(TOLD, 0.5).concat('open') : undefined);
    }
    for (const listening of this.#listening.slice(1)) if (!listening.isPlain) await listening.changeMarks();
    if (this.#listening.length > 1 && random.chance(0.2))
      await this.#leave(1 + random.below(this.#listening.length - 1));
  }

  check(): void {
    this.#rules.check();
    this.#held.check(this.#longestMs);
    for (const listening of this.#listening) listening.check();
  }

  /** It dies while they listen: the kernel allows what it held, and they are told. */
  killCore(): void {
    const core = this.#cores.at(-1);
    if (!core?.isRunning) return;
    kill(this.#world, this.#held, core);
    // It ends in its turn.
    while (core.process.ended === undefined) this.#world.system.scheduler.step();
    this.#rules.forget();
    for (const listening of this.#listening) listening.isBereft = true;
  }

  /** Nothing happens for a while: then nothing is left of what did. */
  async rest(): Promise<void> {
    const world = this.#world;
    world.isEnding = true;
    await world.quiet(this.#longestMs + QUIET_MS);
    world.isEnding = false;
    this.check();
    if (this.#listening.some(({ isBereft }) => isBereft)) return;
    this.#rules.checkQuiet();
    for (const listening of this.#listening) listening.checkQuiet();
    if (this.#world.random.chance(0.5)) return;
    while (this.#listening.length > 1) await this.#leave(1);
    await world.quiet(QUIET_MS);
    const core = this.#cores.at(-1);
    if (core === undefined || !core.isRunning) return;
    const { kernelMarks } = core.host.heard;
    if (kernelMarks !== 0) throw new Broken(`${kernelMarks} marks are left`);
    const ofFiles = core.files.filter((name) => name !== 'mountinfo');
    if (ofFiles.length > 0) throw new Broken(`the core has ${ofFiles} open still`);
    const most = (this.#open.get(core) ?? 0) + KEPT;
    if (core.open > most) throw new Broken(`the core has ${core.open} descriptors open, where ${most} are the most`);
  }

  async close(): Promise<void> {
    while (this.#listening.length > 0) await this.#leave(this.#listening.length - 1);
  }

  async #startAgain(): Promise<void> {
    await this.close();
    await this.open({}, undefined);
  }

  async #leave(at: number): Promise<void> {
    const [listening] = this.#listening.splice(at, 1);
    if (at > 0) this.#deadlines.splice(at - 1, 1);
    if (listening?.plain) this.#rules.unfollow(listening.plain);
    if (listening) await this.#over(listening.close());
  }

  /** Time passes meanwhile, whatever others do: some decisions are late. */
  async #over(something: Promise<void>): Promise<void> {
    const world = this.#world;
    let isOver = false;
    const done = something.finally(() => {
      isOver = true;
    });
    done.catch(() => undefined);
    for (let left = MOST_RUNS; !isOver && left > 0; left--) await world.run(20);
    await world.until(done);
  }
}

function chooseOptions({ random }: World, isPlain: boolean): ListenerOptions {
  const isGlobal = !isPlain && random.chance(0.2);
  return {
    priority: random.pick([0, 1, 5, 5, 100]),
    deadlineMs: random.pick([1, 5, 50, 500]),
    onTimeout: random.pick(['allow', 'deny']),
    class: random.pick(['content', 'content', 'preContent']),
    ...(isGlobal && { events: [random.pick([...TOLD, ...ASKED])] }),
  };
}

/** A listener, and what becomes of what it hears. */
class Listening {
  readonly plain: Plain | undefined;
  /** Its core was killed. */
  isBereft = false;
  readonly #world: World;
  readonly #kernel: SimulatedKernel;
  readonly #listener: Listener;
  readonly #taking: Promise<void>;
  readonly #moods: number;
  /** What it still does with what it took, and decides. */
  readonly #late = new Set<Promise<void>>();
  #failure: unknown;
  #isClosing = false;
  readonly core: SimulatedCore;

  constructor(
    world: World,
    kernel: SimulatedKernel,
    listener: Listener,
    plain: Plain | undefined,
    core: SimulatedCore,
  ) {
    this.plain = plain;
    this.core = core;
    this.#world = world;
    this.#kernel = kernel;
    this.#listener = listener;
    this.#moods = world.random.below(1_000_000);
    this.#taking = this.#take().catch((error: unknown) => this.#fail(error));
  }

  get isPlain(): boolean {
    return this.plain !== undefined;
  }

  async changeMarks(): Promise<void> {
    const { random } = this.#world;
    const churn = new Churn(this.#world, PLACES);
    for (let count = random.below(4); count > 0; count--) {
      const scope = random.pick(['inode', 'inode', 'filesystem', 'subtree'] as const);
      const events = random.some([...TOLD, ...ASKED], 0.2);
      const mark: ListenerMark = {
        scope,
        events,
        ...(random.chance(0.2) && { ignore: random.some([...TOLD, ...ASKED], 0.3) }),
        children: random.chance(0.7),
        directories: random.chance(0.3),
        survivesModify: random.chance(0.3),
      };
      const target =
        scope === 'inode' ? random.pick([churn.directory(), churn.anyFile()]) : random.pick(['/data', TREE]);
      try {
        if (random.chance(0.75)) await this.#listener.mark(target, mark);
        else if (random.chance(0.9)) {
          await this.#listener.unmark(target, { scope, events: mark.events, ignore: mark.ignore });
        } else await this.#listener.clear();
      } catch (error) {
        // What is not there, not possible of such a listener, or of a core that has been killed.
        if (typeof (error as { code?: unknown }).code !== 'string') throw error;
        if (!this.isBereft && ['ECONNRESET', 'ETIMEDOUT'].includes((error as { code: string }).code)) throw error;
      }
    }
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Nothing happens any more. */
  checkQuiet(): void {
    const { pending, queued } = this.#listener.statistics();
    if (pending !== 0) throw new Broken(`${pending} are told to be pending when nothing happens any more`);
    if (queued !== 0) throw new Broken(`${queued} are told to be queued when nothing happens any more`);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#listener.close();
    await this.#taking;
    await Promise.all(this.#late);
    this.check();
  }

  #fail(error: unknown): void {
    const isExpected = this.isBereft && error instanceof CallError && error.code === 'ECONNRESET';
    if (!isExpected) this.#failure ??= error;
  }

  async #take(): Promise<void> {
    const { random } = this.#world;
    if (random.chance(0.5)) {
      for await (const event of this.#listener) {
        this.#hear(event);
        if (random.chance(0.02)) await this.#world.pause(random.below(50));
      }
    } else {
      for await (const batch of this.#listener.batches()) {
        for (const event of batch) this.#hear(event);
        if (random.chance(0.1)) await this.#world.pause(random.below(200));
      }
    }
    if (!this.#isClosing) throw new Broken('a listener has ended by itself');
  }

  #hear(event: ListenerEvent): void {
    if (event.kind === 'overflow') this.plain?.owed.clear();
    else if (event.kind === 'notification') this.#told(event);
    else {
      const late = this.#decide(event)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => this.#late.delete(late));
      this.#late.add(late);
    }
  }

  #told(event: NotificationEvent): void {
    const { fd } = event;
    if (this.plain) {
      const ino = fd === null ? undefined : this.#kernel.statAt(fd, '', AT_EMPTY_PATH).ino;
      paid(this.plain, event.pid, ino, Number(event.mask));
    }
    if (this.#world.random.chance(0.1)) void event.path;
  }

  /** Decides in all ways that there are. */
  async #decide(event: HeldEvent): Promise<void> {
    const { random } = this.#world;
    const isSteady = this.#moods % 3 === 0;
    if (random.chance(0.2)) void event.path;
    const decide = () => (random.chance(0.5) ? event.allow() : event.deny());
    switch (isSteady ? this.#moods % 8 : random.below(10)) {
      case 0:
        event.deny();
        break;
      case 1:
        await wait(random.below(20));
        decide();
        break;
      case 2:
        await wait(random.below(600));
        decide();
        break;
      case 3:
        // Never: it has its policy then.
        break;
      case 4:
        decide();
        if (decide()) throw new Broken('an access is answered twice');
        break;
      case 5: {
        // The descriptor is its own from then on.
        const fd = event.take();
        try {
          if (random.chance(0.5)) await wait(random.below(100));
          decide();
        } finally {
          if (fd !== null) this.#kernel.close(fd);
        }
        break;
      }
      case 6:
        if (event.fd !== null) this.#kernel.statAt(event.fd, '', AT_EMPTY_PATH);
        event.allow();
        break;
      default:
        event.allow();
    }
  }
}

const wait = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));
