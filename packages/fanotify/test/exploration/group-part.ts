// Group: each event that its queue had is told once, in its order, and as it was; counters agree, and closing leaves nothing open.

import { FAN_RENAME } from '../../src/abi/index.ts';
import type { GroupEvent } from '../../src/group/events.ts';
import { Group } from '../../src/group/group.ts';
import type { KernelEvent } from '../../src/group/kernel-event.ts';
import type { FileEventName } from '../../src/group/names.ts';
import type { MarkOptions } from '../../src/group/options.ts';
import type { Event } from '../../src/simulated/notify/event.ts';
import { groupOf } from '../../src/simulated/notify/group-file.ts';
import type { Task } from '../../src/simulated/tasks/task.ts';
import { Churn, churning } from './churn.ts';
import type { Part } from './part.ts';
import { Broken, type World } from './world.ts';

const TREE = '/data/tree';
const OUTSIDE = '/data/outside';
const QUIET_MS = 2_000;
const RENAME = Number(FAN_RENAME);
const ACCESSES = ['access', 'modify', 'closeWrite', 'closeNowrite', 'open', 'openExec'] as const;
const CHANGES = ['attrib', 'movedFrom', 'movedTo', 'create', 'delete', 'deleteSelf', 'moveSelf', 'rename'] as const;
const REPORTS: readonly (readonly string[] | undefined)[] = [
  undefined,
  ['name'],
  ['name', 'fid'],
  ['dirFid'],
  ['fid'],
  ['name', 'fid', 'targetFid'],
  ['name', 'pidfd'],
  ['name', 'fid', 'tid'],
  [],
  ['pidfd'],
  ['fdError', 'tid'],
];

export const groupPart: Part = async (world, steps) => {
  const { random, system } = world;
  system.machine.limits.maxQueuedEvents = random.pick([1, 2, 8, 64, 1024, 16_384]);
  world.now(furnish(world));
  const { task, kernel } = world.process('listener');
  const before = world.open(task);
  for (let number = 1 + random.below(3); number > 0; number--) {
    world.start(`churn ${number}`, churning(world, { tree: TREE, outside: OUTSIDE }));
  }
  const listeners: Listener[] = [];
  for (let number = 1 + random.below(3); number > 0; number--) {
    const report = random.pick(REPORTS);
    const queue = random.chance(0.3) ? 'unlimited' : undefined;
    const who = random.chance(0.2) && report?.includes('tid') !== true ? 'name' : undefined;
    const bufferBytes = random.pick([undefined, 4096, 8192]);
    const options = { kernel, report, queue, who, bufferBytes };
    const group = (await Group.open(options as object)) as unknown as Group<'handle'>;
    listeners.push(new Listener(world, task, group));
  }
  for (let round = 0; round < 8; round++) {
    for (const listener of listeners) await listener.changeMarks();
    if (random.chance(0.5)) plantFaults(world);
    await world.run(steps / 8);
  }
  world.isEnding = true;
  await world.quiet(QUIET_MS);
  for (const listener of listeners) {
    if (random.chance(0.7)) listener.checkAll();
    await world.until(listener.close());
  }
  await world.quiet(QUIET_MS);
  const after = world.open(task);
  if (after !== before) throw new Broken(`${after - before} descriptors are left open`);
};

function* furnish({ calls }: World) {
  yield* calls.mkdir('/data');
  yield* calls.mount('/data', 'tmpfs');
  yield* calls.mkdir(TREE);
  yield* calls.mkdir(OUTSIDE);
}

/** What may run out, or comes in part, soon. */
function plantFaults({ faults, random, system }: World): void {
  for (let count = random.below(4); count > 0; count--) {
    faults.failAt(random.pick(['descriptor', 'event', 'mark', 'memory']), 1 + random.below(300));
  }
  if (random.chance(0.3)) faults.shortenAt(1 + random.below(50), 1 + random.below(10));
  if (random.chance(0.2)) system.machine.clock.jump(random.below(7_200_000) - 3_600_000);
}

/** An event as the kernel gave it out. */
interface Given {
  readonly mask: number;
  readonly name: string | undefined;
  readonly isOverflow: boolean;
}

class Listener {
  readonly #world: World;
  readonly #group: Group<'handle'>;
  readonly #given: Given[] = [];
  readonly #taking: Promise<void>;
  /** How many of those given were told. */
  #told = 0;
  #overflows = 0;
  #isClosing = false;
  #failure: unknown;

  constructor(world: World, task: Task, group: Group<'handle'>) {
    this.#world = world;
    this.#group = group;
    const slot = task.process.descriptors.slots[group.fd];
    const queue = slot ? groupOf(slot.file)?.queue : undefined;
    if (queue === undefined) throw new Error('no group');
    const remove = queue.remove.bind(queue);
    queue.remove = (event) => {
      if (!this.#isClosing) this.#given.push(givenOf(event));
      remove(event);
    };
    this.#taking = (world.random.chance(0.5) ? this.#takeEach() : this.#takeBatches()).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async changeMarks(): Promise<void> {
    const { random } = this.#world;
    const group = this.#group;
    const churn = new Churn(this.#world, { tree: TREE, outside: OUTSIDE });
    const events: readonly FileEventName[] = group.mode === 'handle' ? [...ACCESSES, ...CHANGES] : ACCESSES;
    for (let count = random.below(5); count > 0; count--) {
      const some = random.some(events, 0.4);
      if (some.length === 0) continue;
      const scope = random.pick(['inode', 'inode', 'filesystem', 'mount'] as const);
      const options = {
        scope,
        events: scope === 'mount' ? some.filter((name) => (ACCESSES as readonly string[]).includes(name)) : some,
        ...(random.chance(0.2) && {
          ignore: scope === 'inode' ? random.pick(['always', 'untilModified'] as const) : 'always',
        }),
      } as MarkOptions<'handle'>;
      const target = scope === 'inode' ? random.pick([churn.directory(), churn.anyFile()]) : '/data';
      try {
        if (random.chance(0.75)) await group.mark(target, options);
        else if (random.chance(0.9)) await group.unmark(target, { scope });
        else await group.flush(scope);
      } catch (error) {
        // What is not there, not possible of such a group, or has just run out.
        if (typeof (error as { code?: unknown }).code !== 'string') throw error;
      }
    }
  }

  /** All that was given out was told. */
  checkAll(): void {
    this.#check();
    if (this.#told !== this.#given.length) {
      throw new Broken(`${this.#given.length} events were read, and ${this.#told} told`);
    }
    const { delivered, overflows, own, discarded } = this.#group.counters;
    if (delivered !== this.#told || overflows !== this.#overflows || own !== 0 || discarded !== 0) {
      throw new Broken(`${this.#told} told, ${this.#overflows} overflows: ${JSON.stringify(this.#group.counters)}`);
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#group.close();
    await this.#taking;
    this.#check();
    const { delivered, discarded } = this.#group.counters;
    if (delivered !== this.#told) throw new Broken(`${this.#told} told, and counted ${delivered}`);
    if (delivered + discarded !== this.#given.length) {
      throw new Broken(`of ${this.#given.length} read ${delivered} are counted as told, ${discarded} as discarded`);
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #takeEach(): Promise<void> {
    for await (const event of this.#group) {
      this.#take(event);
      if (this.#world.random.chance(0.02)) await this.#world.pause(this.#world.random.below(50));
    }
  }

  async #takeBatches(): Promise<void> {
    for await (const batch of this.#group.batches()) {
      for (const event of batch) this.#take(event);
      if (this.#world.random.chance(0.1)) await this.#world.pause(this.#world.random.below(200));
    }
  }

  #take(told: GroupEvent<'handle'>): void {
    const event = told as unknown as KernelEvent;
    const given = this.#given[this.#told++];
    if (event.seq !== this.#told) throw new Broken(`event ${this.#told} has the number ${event.seq}`);
    if (given === undefined) throw new Broken(`event ${event.seq} was never queued`);
    const { mask, name, isOverflow } = given;
    if (isOverflow) this.#overflows++;
    const toldName = event.isNamed ? event.rawName?.toString('latin1') : undefined;
    const isSame =
      isOverflow === (event.kind === 'overflow') &&
      (isOverflow || mask === event.maskLow) &&
      (name === undefined || toldName === undefined || name === toldName || (mask & RENAME) !== 0);
    if (isSame) return;
    throw new Broken(`event ${event.seq}: queued was ${JSON.stringify(given)}, told ${JSON.stringify(event)}`);
  }
}

/** The bits of FAN_EVENT_ON_CHILD are not told. */
const TOLD_BITS = ~0x0800_0000;

function givenOf(event: Event): Given {
  return {
    mask: event.mask & TOLD_BITS,
    name: event.kind === 'name' && event.name !== '' ? event.name : undefined,
    isOverflow: event.kind === 'overflow',
  };
}
