// From a seed, a sequence: groups, marks, what processes do, reads and answers, such that events happen, meet, merge and are ignored.

import type { Step } from '../conformance/case.ts';
import { GroupMaker, type ImaginedGroup } from './generate-groups.ts';
import { OperationMaker, type Slots } from './generate-operations.ts';
import { ImaginedTree } from './imagined-tree.ts';
import type { Sequence } from './observation.ts';
import { Random } from './random.ts';
import { STRANGER, WORLD } from './world.ts';

const MOST_STEPS = 60;
const MOST_GROUPS = 3;
const CLASSES = ['FAN_CLASS_CONTENT', 'FAN_CLASS_PRE_CONTENT'];
const PROCESSES = ['A', 'A', 'A', 'B'];

export function generate(seed: number): Sequence {
  return new Generator(seed).sequence();
}

class Generator {
  readonly #seed: number;
  readonly #random: Random;
  readonly #tree: ImaginedTree;
  readonly #operations: OperationMaker;
  readonly #groupMaker: GroupMaker;
  readonly #groups = new Map<string, ImaginedGroup>();
  readonly #left = new Set<string>();
  readonly #slots: Readonly<Record<string, Slots>> = { self: new Map(), A: new Map(), B: new Map() };
  readonly #steps: Step[] = [];
  /** Of groups that may still be there. */
  readonly #classes = new Set<string>();
  #isOrdinary = false;
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#tree = new ImaginedTree(this.#random);
    this.#operations = new OperationMaker(this.#random, this.#tree);
    this.#groupMaker = new GroupMaker(this.#random, this.#tree);
  }

  sequence(): Sequence {
    const random = this.#random;
    const length = 10 + random.below(MOST_STEPS - 20);
    if (random.chance(0.08)) this.#become(STRANGER);
    for (let i = 0; i <= random.below(2); i++) this.#init();
    for (let i = 0; i < 2 + random.below(5); i++) this.#mark();
    while (this.#steps.length < length) this.#any();
    this.#end();
    return { seed: this.#seed, fixture: WORLD, steps: this.#steps };
  }

  #any(): void {
    const random = this.#random;
    const step = random.weighted({
      own: 24,
      child: 30,
      read: 10,
      raw: 4,
      mark: 11,
      init: 3,
      close: 1,
      fdinfo: 1.5,
      waiting: 1,
      user: 1,
      left: 8,
      write: 0.5,
    });
    switch (step) {
      case 'own':
        this.#steps.push({ do: 'fs', ...this.#operations.own(this.#slotsOf('self')) });
        return;
      case 'child':
        this.#child();
        return;
      case 'read':
        this.#ofGroup((group) => ({ do: 'read', group, expect: [] }));
        return;
      case 'raw':
        // How long the name of a file without a name is, is a matter of its number.
        if (this.#operations.hasUnnamed) return;
        this.#ofGroup((group) => ({
          do: 'readRaw',
          group,
          bytes: random.pick([0, 10, 24, 40, 48, 60, 80, 100, 120, 200, 500]),
          expect: [],
        }));
        return;
      case 'write':
        this.#ofGroup((group) => ({
          do: 'writeRaw',
          group,
          hex: random.pick(['', '00', '0f27000001000000', '0f27000002000000ff']),
          expect: 'ok',
        }));
        return;
      case 'mark':
        this.#mark();
        return;
      case 'init':
        this.#init();
        return;
      case 'close':
        this.#close();
        return;
      case 'fdinfo':
        this.#ofGroup((group) => ({ do: 'fdinfo', group, expect: [] }));
        return;
      case 'waiting':
        this.#ofGroup((group) => ({ do: 'waiting', group, expect: 0 }));
        return;
      case 'user':
        if (random.chance(0.3) || this.#isOrdinary) this.#become(this.#isOrdinary ? 0 : STRANGER);
        return;
      case 'left':
        if (this.#left.size > 0) this.#answer(random.pick([...this.#left]));
        return;
    }
  }

  #init(): void {
    if (this.#groups.size === MOST_GROUPS) return;
    const [group, step] = this.#groupMaker.init(`g${this.#count}`, this.#isOrdinary);
    // Which of two groups of a class is asked first is up to where they are in memory (fsnotify_compare_groups).
    if (step.flags.some((flag) => CLASSES.includes(flag) && this.#classes.has(flag))) return;
    this.#count++;
    for (const flag of step.flags) if (CLASSES.includes(flag)) this.#classes.add(flag);
    this.#groups.set(group.name, group);
    this.#steps.push(step);
  }

  #mark(): void {
    if (this.#groups.size === 0) this.#init();
    if (this.#groups.size === 0) return;
    this.#steps.push(this.#groupMaker.mark(this.#random.pick([...this.#groups.values()])));
  }

  #child(): void {
    const random = this.#random;
    const process = random.pick(PROCESSES);
    if (this.#left.has(process)) return;
    const ops = Array.from({ length: 1 + random.below(4) }, () => this.#operations.any(this.#slotsOf(process)));
    if (![...this.#groups.values()].some(({ holds }) => holds)) {
      this.#steps.push({ do: 'child', process, ops });
      return;
    }
    const events = this.#groupMaker.answers();
    if (events.some(({ response }) => response === 'later')) this.#left.add(process);
    this.#steps.push({ do: 'permChild', process, ops, events });
  }

  #slotsOf(process: string): Slots {
    return this.#slots[process] ?? new Map();
  }

  #answer(process: string): void {
    const events = this.#groupMaker.answers();
    if (!events.slice(1).some(({ response }) => response === 'later')) this.#left.delete(process);
    this.#steps.push({ do: 'answer', process, events });
  }

  #ofGroup(step: (group: string) => Step): void {
    if (this.#groups.size > 0) this.#steps.push(step(this.#random.pick([...this.#groups.keys()])));
  }

  #close(): void {
    if (this.#groups.size === 0) return;
    const group = this.#random.pick([...this.#groups.keys()]);
    this.#groups.delete(group);
    this.#steps.push({ do: 'close', group });
  }

  #become(uid: number): void {
    this.#isOrdinary = uid !== 0;
    this.#steps.push({ do: 'setuid', uid });
  }

  /** Everything that was left is looked at. */
  #end(): void {
    for (const process of this.#left) this.#steps.push({ do: 'answer', process, events: [] });
    for (const group of this.#groups.keys()) {
      this.#steps.push({ do: 'read', group, expect: [] }, { do: 'fdinfo', group, expect: [] });
    }
  }
}
