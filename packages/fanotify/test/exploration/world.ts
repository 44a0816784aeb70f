// A simulated machine that is explored: its tasks, the macrotasks of the library and its clock go on one step at a time, and a seed says who
// is next.

import { EventLoop } from '../../src/simulated/seam/event-loop.ts';
import type { SimulatedKernel } from '../../src/simulated/seam/kernel.ts';
import { Exit } from '../../src/simulated/seam/programs.ts';
import { SimulatedSystem } from '../../src/simulated/seam/simulated-system.ts';
import { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import { credentialsOf } from '../../src/simulated/tasks/credentials.ts';
import type { Program } from '../../src/simulated/tasks/scheduler.ts';
import type { Task } from '../../src/simulated/tasks/task.ts';
import type { Blocking } from '../../src/simulated/wait.ts';
import { Random } from '../differential/random.ts';
import { Macrotasks, settled } from './macrotasks.ts';

/** Something that must always hold does not. */
export class Broken extends Error {
  static {
    Broken.prototype.name = 'Broken';
  }
}

/** What a program of the exploration is: a bare yield lets others run. */
export type Body = Generator<unknown, unknown, void>;

const STACK_TRACE_LIMIT = Error.stackTraceLimit;

/** How often the library runs when both it and a task could: it is quick at times, and far behind at others. */
const EAGERNESS = [0.02, 0.1, 0.3, 0.6, 0.95];
const STEPS_OF_A_MOOD = 300;
/** No timer of the library is longer, but for those that only keep alive. */
const LONGEST_QUIET_MS = 30_000;

export class World {
  readonly random: Random;
  readonly system: SimulatedSystem;
  readonly calls: SystemCalls;
  readonly macrotasks: Macrotasks;
  /** Steps made: of tasks, and macrotasks of the library. */
  steps = 0;
  /** Programs end with what they are at. */
  isEnding = false;
  /** Of a millisecond, how much passes with a step on average. */
  pace = 0.02;
  readonly tasks: Task[] = [];
  #eagerness = 0.5;
  #rejections: unknown[] = [];
  readonly #onRejection = (reason: unknown): void => void this.#rejections.push(reason);

  constructor(seed: number) {
    this.random = new Random(seed);
    this.system = new SimulatedSystem({ seed });
    // Who runs is said here, and time passes only here.
    const loop = new EventLoop({ run: () => false, nextAlarmMs: undefined, pass: () => undefined });
    Object.assign(this.system, { loop });
    this.calls = new SystemCalls(this.system);
    this.macrotasks = new Macrotasks(this.system.machine.clock);
  }

  begin(): void {
    // What fails is the order of the day here: where it was asked for says nothing.
    Error.stackTraceLimit = 0;
    this.macrotasks.install();
    process.on('unhandledRejection', this.#onRejection);
  }

  end(): void {
    Error.stackTraceLimit = STACK_TRACE_LIMIT;
    process.off('unhandledRejection', this.#onRejection);
    this.macrotasks.uninstall();
  }

  get nowMs(): number {
    return this.system.machine.clock.bootTimeMs();
  }

  get faults() {
    return this.system.machine.faults;
  }

  /** A process that does nothing by itself: one that the library is in. */
  process(comm: string, uid = 0): { readonly task: Task; readonly kernel: SimulatedKernel } {
    const task = this.system.newProcess({ comm });
    if (uid !== 0) task.credentials = credentialsOf(uid, uid, this.system.machine.tasks.initialUserNamespace);
    return { task, kernel: this.system.kernelOf(task) };
  }

  /** Lets a process of its own run something. */
  start(comm: string, body: Body, uid = 0): Task {
    const { task } = this.process(comm, uid);
    this.tasks.push(task);
    this.system.scheduler.start(task, untilExit(body as Blocking<unknown>));
    return task;
  }

  /** Runs something to its end, as the first process, before the exploration begins. */
  now<T>(call: Blocking<T>): T {
    return this.system.kernelOf(this.system.init).make(call);
  }

  /** Makes so many steps. */
  async run(steps: number): Promise<void> {
    const until = this.steps + steps;
    const { scheduler } = this.system;
    while (this.steps < until) {
      if (this.steps % STEPS_OF_A_MOOD === 0) this.#eagerness = this.random.pick(EAGERNESS);
      if (this.random.chance(this.pace)) this.#pass(this.random.next() * 2);
      const library = this.macrotasks.canRun;
      const tasks = scheduler.canRun;
      if (library && (!tasks || this.random.chance(this.#eagerness))) await this.#turn();
      else if (tasks) {
        this.steps++;
        scheduler.step();
      } else if (!this.#passToNext(LONGEST_QUIET_MS)) return;
    }
  }

  /** Until nothing runs, and so much time has passed. Programs are expected to come to an end. */
  async quiet(ms: number, mostSteps = 1_000_000): Promise<void> {
    const { scheduler } = this.system;
    const untilMs = this.nowMs + ms;
    for (let left = mostSteps; ; left--) {
      if (left === 0) throw new Broken(`not quiet after ${mostSteps} steps: ${this.told()}`);
      const library = this.macrotasks.canRun;
      if (library && (!scheduler.canRun || this.random.chance(0.5))) await this.#turn();
      else if (scheduler.canRun) {
        this.steps++;
        scheduler.step();
      } else if (!this.#passToNext(untilMs - this.nowMs)) return;
    }
  }

  /** Lets the library run until a promise is settled. */
  async until<T>(promise: Promise<T>, mostSteps = 1_000_000): Promise<T> {
    let result: { readonly value: T } | { readonly error: unknown } | undefined;
    promise.then(
      (value) => {
        result = { value };
      },
      (error: unknown) => {
        result = { error };
      },
    );
    await settled();
    const { scheduler } = this.system;
    for (let left = mostSteps; result === undefined; left--) {
      if (left === 0) throw new Broken(`still waiting after ${mostSteps} steps: ${this.told()}`);
      const library = this.macrotasks.canRun;
      if (library && (!scheduler.canRun || this.random.chance(0.5))) await this.#turn();
      else if (scheduler.canRun) {
        this.steps++;
        scheduler.step();
      } else if (!this.#passToNext(LONGEST_QUIET_MS))
        throw new Broken(`nothing left that could end it: ${this.told()}`);
    }
    if ('error' in result) throw result.error;
    return result.value;
  }

  /** Resolves some macrotasks of the library later. */
  async pause(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Who is held, by what. */
  told(): string {
    const held = this.system.scheduler.held().map(({ task, by }) => `${task.process.comm} by ${by.why}`);
    return held.length === 0 ? 'nobody is held' : `held are ${held.join(', ')}`;
  }

  /** How many descriptors a process has open. */
  open(task: Task): number {
    return task.process.descriptors.slots.filter((slot) => slot !== undefined && slot !== null).length;
  }

  async #turn(): Promise<void> {
    this.steps++;
    await this.macrotasks.run();
    if (this.#rejections.length > 0) throw this.#rejections[0];
  }

  #pass(ms: number): void {
    this.system.machine.clock.advance(ms);
  }

  #passToNext(mostMs: number): boolean {
    const due = this.system.machine.clock.nextDueMs();
    if (due === undefined || due > mostMs) {
      if (mostMs > 0 && mostMs < LONGEST_QUIET_MS) this.#pass(mostMs);
      return false;
    }
    this.#pass(due);
    return true;
  }
}

/** A program that ends as `body` does, or where that calls exit(). */
function* untilExit(body: Blocking<unknown>): Program {
  try {
    yield* body;
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.status;
    throw error;
  }
}
