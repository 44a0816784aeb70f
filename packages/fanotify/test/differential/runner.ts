// Runs a sequence and writes down what each step gave. Nothing is expected: whatever the kernel says is what is so.

import * as abi from '../../src/abi/index.ts';
import type { Kernel } from '../../src/kernel/index.ts';
import type { AnsweredEvent, ExpectedEvent, Operation, Outcome, Step } from '../conformance/case.ts';
import { fdinfoLines } from '../conformance/fdinfo.ts';
import { couldBeHeld } from '../conformance/holdable.ts';
import type { ChildRun, Machine } from '../conformance/machine.ts';
import { flagNumber, holdsAccess, responseNumber } from '../conformance/numbers.ts';
import { openFlags } from '../conformance/operations.mjs';
import { Naming } from './naming.ts';
import type { Observation, Sequence } from './observation.ts';
import { Reader } from './reader.ts';
import { isRefusal } from './refusal.ts';

// Far beyond what any step takes.
const STEP_LIMIT_MS = 10_000;
/** No step asks so often; who does is held by what nobody answers. */
const MOST_QUESTIONS = 500;
const NOBODYS_DESCRIPTOR = 9999;
/** What is allowed where it cannot be done. */
const ALLOWING: ReadonlySet<string> = new Set(['kill', 'close', 'later']);

/** What the machine must have beyond what conformance cases need. */
export interface SequenceMachine extends Machine {
  /** Closes a group without marks and held accesses, now or soon. */
  closeLater(fd: number): void;
}

/** The harness is at its end, not the kernel. */
export class SequenceError extends Error {
  static {
    SequenceError.prototype.name = 'SequenceError';
  }
}

interface Group {
  readonly fd: number;
  readonly canHold: boolean;
  holds: boolean;
}

interface Held {
  readonly run: ChildRun;
  readonly group: string;
  readonly fd: number;
  readonly operations: readonly Operation[];
}

export function observe(sequence: Sequence, machine: SequenceMachine): Observation[] {
  machine.begin(sequence.fixture, 2);
  const runner = new Runner(machine);
  try {
    return sequence.steps.map((step, index) => {
      try {
        return runner.step(step);
      } catch (error) {
        if (error instanceof SequenceError)
          error.message = `step ${index + 1}: ${JSON.stringify(step)}: ${error.message}`;
        throw error;
      }
    });
  } finally {
    machine.setEffectiveUid(0);
    runner.close();
    machine.end();
  }
}

class Runner {
  readonly #machine: SequenceMachine;
  readonly #kernel: Kernel;
  readonly #groups = new Map<string, Group>();
  readonly #held = new Map<string, Held>();
  readonly #naming: Naming;
  readonly #reader: Reader;
  #uid = 0;

  constructor(machine: SequenceMachine) {
    this.#machine = machine;
    this.#kernel = machine.kernel;
    this.#naming = new Naming(machine);
    this.#reader = new Reader(machine, this.#naming);
  }

  step(step: Step): Observation {
    switch (step.do) {
      case 'init':
        return this.#init(step);
      case 'mark':
        return this.#mark(step);
      case 'fs': {
        if (couldBeHeld(step.op) && [...this.#groups.values()].some(({ holds }) => holds)) return null;
        const outcome = this.#machine.operate(this.#resolved(step));
        this.#naming.made([step]);
        return outcome;
      }
      case 'child':
        return this.#child(step.process ?? 'A', step.ops, []);
      case 'permChild':
        return this.#child(step.process ?? 'A', step.ops, step.events);
      case 'answer':
        return this.#goOn(step.process, step.events);
      case 'read':
        return this.#reading(step.group, (fd) => this.#reader.drain(fd));
      case 'readRaw':
        return this.#reading(step.group, (fd) =>
          this.#reader.isReadable(fd) ? this.#reader.once(fd, step.bytes) : 'EAGAIN',
        );
      case 'writeRaw':
        return this.#withGroup(step.group, ({ fd }) => this.#kernel.write(fd, Buffer.from(step.hex, 'hex')));
      case 'waiting':
        return this.#withGroup(step.group, ({ fd }) => this.#kernel.waitingBytes(fd));
      case 'fdinfo':
        // A user's files in /proc/self are not the user's once it has been another one.
        return this.#withGroup(step.group, ({ fd }) =>
          this.#asRoot(() => fdinfoLines(this.#kernel, fd, this.#naming.words)),
        );
      case 'setuid':
        this.#uid = Number(step.uid);
        this.#machine.setEffectiveUid(this.#uid);
        return null;
      case 'close':
        if (this.#wouldWait(step.group) || this.#holds(step.group) > 1) return null;
        return this.#withGroup(step.group, () => {
          this.#closeGroup(step.group);
          return 'ok';
        });
      default:
        throw new SequenceError('no sequence has such a step');
    }
  }

  /** Lets go what is held, and closes what is open. */
  close(): void {
    for (const process of [...this.#held.keys()]) this.#goOn(process, []);
    for (const { fd } of this.#groups.values()) {
      for (const type of [abi.FAN_MARK_INODE, abi.FAN_MARK_MOUNT, abi.FAN_MARK_FILESYSTEM, abi.FAN_MARK_MNTNS]) {
        attempt(() => {
          this.#kernel.fanotifyMark(fd, abi.FAN_MARK_FLUSH | type, 0n, abi.AT_FDCWD, '/');
          return 'ok';
        });
      }
      this.#machine.closeLater(fd);
    }
    this.#groups.clear();
  }

  #init(step: Extract<Step, { do: 'init' }>): Observation {
    const flags = flagNumber(step.flags);
    const eventFlags = openFlags(step.eventFlags ?? []);
    const canHold = (flags & (abi.FAN_CLASS_CONTENT | abi.FAN_CLASS_PRE_CONTENT)) !== 0;
    if (this.#groups.has(step.group)) return null;
    return attempt(() => {
      const call = () => this.#kernel.fanotifyInit(flags, eventFlags);
      const fd = step.queue === undefined ? call() : this.#machine.withLimit('max_queued_events', step.queue, call);
      this.#groups.set(step.group, { fd, canHold, holds: false });
      return 'ok';
    });
  }

  #mark(step: Extract<Step, { do: 'mark' }>): Observation {
    const group = this.#groups.get(step.group);
    const fd = step.rawFd ?? group?.fd;
    if (fd === undefined) return null;
    const flags = flagNumber(step.flags);
    const mask = abi.parseMask(step.mask);
    return attempt(() => {
      const dirfd = typeof step.dirfd === 'string' ? this.#machine.descriptor(step.dirfd) : step.dirfd;
      const path = step.path === null ? null : this.#machine.resolve(step.path);
      this.#kernel.fanotifyMark(fd, flags, mask, dirfd ?? abi.AT_FDCWD, path);
      if (group?.canHold && holdsAccess(mask) && (flags & abi.FAN_MARK_ADD) !== 0) group.holds = true;
      return 'ok';
    });
  }

  #child(process: string, operations: readonly Operation[], plan: readonly AnsweredEvent[]): Observation {
    if (this.#held.has(process)) return null;
    const run = this.#machine.startChild(
      operations.map((operation) => this.#resolved(operation)),
      undefined,
      process,
    );
    this.#naming.words.children.set(run.pid, process);
    return this.#converse(process, run, operations, plan, []);
  }

  #goOn(process: string, plan: readonly AnsweredEvent[]): Observation {
    const held = this.#held.get(process);
    if (held === undefined) return null;
    this.#held.delete(process);
    const events: ExpectedEvent[] = [];
    const response = plan[0]?.response ?? 'FAN_ALLOW';
    if (this.#groups.has(held.group)) {
      const answered = this.#respond(held, response);
      if (answered !== undefined) events.push({ answered });
    } else if (held.fd >= 0) this.#kernel.close(held.fd);
    return this.#converse(process, held.run, held.operations, plan.slice(1), events);
  }

  /** Answers what a process asks, until it has done everything or is left. */
  #converse(
    process: string,
    run: ChildRun,
    operations: readonly Operation[],
    plan: readonly AnsweredEvent[],
    events: ExpectedEvent[],
  ): Observation {
    let asked = 0;
    for (let questions = 0; ; questions++) {
      const holders = [...this.#groups].filter(([, { holds }]) => holds);
      // Whom it looks at may be another user's.
      const state = this.#asRoot(() =>
        run.wait(
          holders.map(([, { fd }]) => fd),
          STEP_LIMIT_MS,
        ),
      );
      if (state === 'ended') break;
      if (state === 'late' || questions > MOST_QUESTIONS) throw this.#stuck(run, events);
      // All is read before anything is answered: whoever goes on may raise the next event at once.
      const asking: [event: ExpectedEvent, held: Held][] = [];
      for (const [name, { fd }] of holders) {
        if (!this.#reader.isReadable(fd)) continue;
        for (const [event, described] of this.#reader.events(fd, events)) {
          const told = { ...described, group: name };
          events.push(told);
          if (holdsAccess(event.mask)) asking.push([told, { run, group: name, fd: event.fd, operations }]);
        }
      }
      for (const [told, held] of asking) {
        const response = plan[asked++]?.response ?? 'FAN_ALLOW';
        if (response === 'later') {
          this.#held.set(process, held);
          continue;
        }
        const answered = this.#respond(held, response);
        if (answered !== undefined) events[events.indexOf(told)] = { ...told, answered };
      }
      if (this.#held.has(process)) return { events, child: [...run.outcomes()] };
    }
    this.#naming.made(operations);
    return { events, child: [...run.outcomes()] as Outcome[] };
  }

  /**
   * Answers. Returns what write(2) failed with. The event's descriptor, by whose number alone the kernel knows the event, is closed before:
   * what goes on could be an exec of what it is open for writing (ETXTBSY).
   */
  #respond(held: Held, response: string): string | undefined {
    if (held.fd >= 0) this.#kernel.close(held.fd);
    let answered: Outcome | undefined;
    if (response === 'close' && !this.#wouldWait(held.group) && this.#holds(held.group) === 0) {
      this.#closeGroup(held.group);
    } else if (response === 'kill' && held.operations[held.run.outcomes().length]?.op !== 'spawn') {
      held.run.kill();
      answered = this.#write(held.group, held.fd, abi.FAN_ALLOW);
    } else {
      const fd = response === 'wrong' ? NOBODYS_DESCRIPTOR : held.fd;
      answered = this.#write(
        held.group,
        fd,
        response === 'wrong' ? abi.FAN_DENY : ALLOWING.has(response) ? abi.FAN_ALLOW : responseNumber(response),
      );
      if (typeof answered === 'string') this.#write(held.group, held.fd, abi.FAN_ALLOW);
    }
    return typeof answered === 'string' ? answered : undefined;
  }

  #write(group: string, fd: number, response: number): Outcome {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(fd, 0);
    bytes.writeUInt32LE(response, 4);
    const groupFd = this.#groups.get(group)?.fd;
    return groupFd === undefined ? 0 : attempt(() => this.#kernel.write(groupFd, bytes));
  }

  #asRoot<T>(call: () => T): T {
    if (this.#uid === 0) return call();
    this.#machine.setEffectiveUid(0);
    try {
      return call();
    } finally {
      this.#machine.setEffectiveUid(this.#uid);
    }
  }

  #closeGroup(name: string): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    this.#groups.delete(name);
    this.#kernel.close(group.fd);
    // Whom it held goes on, as far as it can: before the next step, not beside it.
    for (const held of this.#held.values()) if (held.group === name) this.#settle(held.run);
  }

  /**
   * While an access is held, close(2) of another group whose marks have a part in that event waits until it is answered
   * (fsnotify_destroy_group: user_waits): nobody would be left to answer.
   */
  #wouldWait(name: string): boolean {
    return [...this.#held.values()].some(({ group }) => group !== name && this.#groups.has(group));
  }

  /** Of two whom the end of a group lets go at once, either may be the first to do what it does next. */
  #holds(name: string): number {
    return [...this.#held.values()].filter(({ group }) => group === name).length;
  }

  #settle(run: ChildRun): void {
    const holders = [...this.#groups.values()].filter(({ holds }) => holds);
    this.#asRoot(() =>
      run.wait(
        holders.map(({ fd }) => fd),
        STEP_LIMIT_MS,
      ),
    );
  }

  /** Of those that a closed group has let go, one may be held by this group since: it is allowed, and goes on before the next step. */
  #reading(name: string, read: (fd: number) => Observation): Observation {
    const observation = this.#withGroup(name, ({ fd }) => read(fd));
    for (const { run, group } of this.#held.values()) if (!this.#groups.has(group)) this.#settle(run);
    return observation;
  }

  #withGroup(name: string, call: (group: Group) => Observation): Observation {
    const group = this.#groups.get(name);
    return group === undefined ? null : attempt(() => call(group));
  }

  #stuck(run: ChildRun, events: readonly ExpectedEvent[]): SequenceError {
    for (const name of [...this.#groups.keys()]) this.#closeGroup(name);
    run.wait([], STEP_LIMIT_MS);
    return new SequenceError(`the child is not done: ${JSON.stringify({ events, child: run.outcomes() })}`);
  }

  #resolved<T extends Operation>(operation: T): T {
    const resolved: Record<string, unknown> = { ...operation };
    for (const key of ['path', 'to']) {
      const value = resolved[key];
      if (typeof value === 'string') resolved[key] = this.#machine.resolve(value);
    }
    return resolved as T;
  }
}

function attempt<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.code;
  }
}
