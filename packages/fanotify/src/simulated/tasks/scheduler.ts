// Who runs next. A program is a generator: what it yields holds it until that is over, and a bare yield lets others run. A seeded
// sequence of numbers picks among those that can run, so that the same seed gives the same order.

import type { System } from '../system.ts';
import type { Wait } from '../wait.ts';
import type { SimulatedClock } from './clock.ts';
import { CLD_EXITED, CLD_KILLED, endProcess, endThread } from './process.ts';
import { seededRandom } from './random.ts';
import type { Task } from './task.ts';

/** What a task does: it ends with its last step, its process with the last of its threads. A number that it returns is the exit status. */
export type Program = Generator<Wait | undefined, unknown, void>;

interface Running {
  readonly task: Task;
  readonly program: Program;
}

/** A program threw: it has no way to tell anybody but the one who runs the machine. */
export class ProgramError extends Error {
  static {
    ProgramError.prototype.name = 'ProgramError';
  }
  readonly task: Task;

  constructor(task: Task, cause: unknown) {
    const told = cause instanceof Error ? cause.message : String(cause);
    super(`the program of task ${task.tid} (${task.process.comm}) threw: ${told}`, { cause });
    this.task = task;
  }
}

export class Scheduler {
  readonly #system: System & { readonly clock: SimulatedClock };
  readonly #random: (below: number) => number;
  readonly #runnable: Running[] = [];
  readonly #held = new Map<Task, Running>();

  constructor(system: System & { readonly clock: SimulatedClock }, seed: number) {
    this.#system = system;
    this.#random = seededRandom(seed);
  }

  /** Lets a task do something from now on. It makes its first step when it is picked. */
  start(task: Task, program: Program): void {
    const running = { task, program };
    this.#runnable.push(running);
    this.#listenForEnd(running);
  }

  /** Tasks that something holds, with what it is: when nothing else can run, this is a deadlock, or all are waiting for time to pass. */
  held(): { readonly task: Task; readonly by: Wait }[] {
    return [...this.#held.keys()].flatMap((task) => (task.heldBy === undefined ? [] : [{ task, by: task.heldBy }]));
  }

  get canRun(): boolean {
    return this.#runnable.length > 0;
  }

  /** One task makes its next step. False when none can. */
  step(): boolean {
    const { length } = this.#runnable;
    if (length === 0) return false;
    const at = length === 1 ? 0 : this.#random(length);
    const running = this.#runnable[at];
    if (running === undefined) return false;
    // While it runs it is not one of those that could: a call of its own may be held, and let the others run meanwhile.
    this.#take(at);
    const { task } = running;
    const { stopped } = task.process;
    if (task.hasEnded || task.pendingKill !== undefined) this.#finish(running);
    else if (stopped !== undefined) this.#hold(running, stopped);
    else this.#advance(running);
    return true;
  }

  /** Runs until nothing can: everybody has ended or is held. Time passes only if `passesTime`, up to the next timer each. */
  run(passesTime = false): void {
    for (;;) {
      while (this.step());
      const due = passesTime ? this.#system.clock.nextDueMs() : undefined;
      if (due === undefined) return;
      this.#system.clock.advance(due);
    }
  }

  /** Runs until the wait is over. False when nothing is left that could end it, not even time. */
  runUntil(wait: Wait): boolean {
    while (!wait.isOver) {
      if (this.step()) continue;
      const due = this.#system.clock.nextDueMs();
      if (due === undefined) return false;
      this.#system.clock.advance(due);
    }
    return true;
  }

  /** The last takes the place of the one that leaves: no shifting. */
  #take(at: number): void {
    const last = this.#runnable.pop();
    if (last !== undefined && at < this.#runnable.length) this.#runnable[at] = last;
  }

  #advance(running: Running): void {
    const { task, program } = running;
    const system = this.#system;
    const before = system.current;
    system.current = task;
    let step: IteratorResult<Wait | undefined, unknown>;
    try {
      step = program.next();
    } catch (error) {
      endProcess(system, task.process, CLD_KILLED, 6);
      throw new ProgramError(task, error);
    } finally {
      system.current = before;
    }
    if (step.done === true) {
      const { process } = task;
      // An exec beyond its point of no return, say.
      if (task.pendingKill !== undefined) endProcess(system, process, CLD_KILLED, task.pendingKill);
      else if (process.threads.length > 1) endThread(system, task);
      else endProcess(system, process, CLD_EXITED, typeof step.value === 'number' ? step.value : 0);
    } else if (step.value !== undefined && !step.value.isOver) this.#hold(running, step.value);
    else this.#runnable.push(running);
  }

  #hold(running: Running, wait: Wait): void {
    const { task } = running;
    task.heldBy = wait;
    this.#held.set(task, running);
    wait.onOver(() => this.#release(task, wait));
  }

  #release(task: Task, wait: Wait): void {
    const running = this.#held.get(task);
    // Not if it was let go for another reason, and waits for something else by now.
    if (running === undefined || task.heldBy !== wait) return;
    task.heldBy = undefined;
    this.#held.delete(task);
    this.#runnable.push(running);
  }

  /** Whoever is killed is let go of what holds it. */
  #listenForEnd({ task }: Running): void {
    task.process.onKilled.push(() => {
      if (task.heldBy !== undefined) this.#release(task, task.heldBy);
    });
  }

  /** A task that is to end: what it is in the middle of is given up, from inside to outside. */
  #finish({ task, program }: Running): void {
    const system = this.#system;
    const before = system.current;
    system.current = task;
    try {
      program.return(undefined);
    } finally {
      system.current = before;
    }
    if (task.pendingKill !== undefined) endProcess(system, task.process, CLD_KILLED, task.pendingKill);
  }
}
