// Runs a case, step by step, and says where the kernel answers otherwise than the case does. Synchronous from end to end:
// nothing else of the listening process runs in between, so limits, users and permission events trouble nobody else.

import * as abi from '../../src/abi/index.ts';
import { type Kernel, KernelError } from '../../src/kernel/index.ts';
import { CaseError } from './applies.ts';
import type { AnsweredEvent, Case, ExpectedEvent, Fixture, Observed, Outcome, Step } from './case.ts';
import { compareEvents, compareOutcomes, type Difference, eventText } from './compare.ts';
import { fdinfoLines } from './fdinfo.ts';
import { couldBeHeld } from './holdable.ts';
import type { ChildRun, Machine } from './machine.ts';
import { flagNumber, holdsAccess, responseNumber } from './numbers.ts';
import { describeEvent, handleName, newVocabulary, UNNAMED, type Vocabulary } from './observe.ts';
import { openFlags } from './operations.mjs';
import { compareAnswered, compareObserved, compareSummary, isEvents, report, summary } from './report.ts';

// Far beyond what any step takes; when it has passed, the groups are closed, which answers whatever they hold.
const STEP_LIMIT_MS = 10_000;
// Few enough events, with a descriptor each, to stay below the usual limit of 1024 descriptors.
const READ_BYTES = 8192;
const POLLIN = 1;
const NOBODYS_DESCRIPTOR = 9999;
const MAY_ANSWER = new Set<Step['do']>([
  'answer',
  'fdinfo',
  'waiting',
  'init',
  'mark',
  'fs',
  'permChild',
  'read',
  'readRaw',
  'writeRaw',
  'fdinfoIgnored',
]);

/** The kernel answered otherwise than the case says. */
export class ConformanceError extends Error {
  static {
    ConformanceError.prototype.name = 'ConformanceError';
  }
}

/**
 * Runs a case. Returns what each step answered, in the form of `observed`.
 *
 * @throws ConformanceError where an answer differs from what the step or `observed` says.
 * @throws CaseError when the case is not one that can be run.
 */
export function replay(
  conformanceCase: Case,
  machine: Machine,
  suiteFixture: readonly Fixture[] = [],
  stepLimitMs: number = STEP_LIMIT_MS,
): Observed[] {
  const children = conformanceCase.steps.filter(
    (step) => step.do === 'permChild' || (step.do === 'child' && !step.userns),
  );
  machine.begin([...suiteFixture, ...(conformanceCase.fixture ?? [])], children.length);
  const replayer = new Replayer(conformanceCase, machine, stepLimitMs);
  try {
    return replayer.run();
  } finally {
    replayer.close();
    machine.end();
  }
}

class Replayer {
  readonly #case: Case;
  readonly #machine: Machine;
  readonly #kernel: Kernel;
  readonly #stepLimitMs: number;
  readonly #groups = new Map<string, number>();
  readonly #words: Vocabulary = newVocabulary();
  readonly #answers: Observed[] = [];
  /** Made before a limit on descriptors or a full queue can get in the way. */
  readonly #buffer: Buffer = Buffer.alloc(READ_BYTES);
  /** Whether `observed` has an answer for steps that count marks: it may. */
  #countsAreObserved = false;
  /** The groups with marks that hold accesses. */
  readonly #holders = new Set<string>();
  /** Processes that were left held, by name. */
  readonly #left = new Map<string, { readonly run: ChildRun; readonly group: string; readonly fd: number }>();
  /** What a permission group was told beside permission events, until the next read. */
  readonly #unread = new Map<string, ExpectedEvent[]>();

  constructor(conformanceCase: Case, machine: Machine, stepLimitMs: number) {
    this.#stepLimitMs = stepLimitMs;
    this.#case = conformanceCase;
    this.#machine = machine;
    this.#kernel = machine.kernel;
  }

  run(): Observed[] {
    const observed = this.#case.observed?.[this.#machine.filesystem];
    this.#countsAreObserved = observed?.length === this.#case.steps.filter((step) => MAY_ANSWER.has(step.do)).length;
    this.#case.steps.forEach((step, index) => {
      const before = this.#answers.length;
      const wrong = this.#step(step);
      if (wrong !== undefined) throw this.#error(index, wrong);
      const recorded = observed?.[before];
      if (this.#answers.length === before || recorded === undefined || step.do === 'fdinfoIgnored') return;
      const answer = this.#answers[before] as Observed;
      const difference = compareObserved(recorded, answer, step);
      if (difference !== undefined)
        throw this.#error(index, report(`not as observed: ${difference}`, recorded, answer));
    });
    if (observed !== undefined && observed.length !== this.#answers.length) {
      throw new CaseError(
        `${this.#case.id}: observed has ${observed.length} answers, its steps give ${this.#answers.length}`,
      );
    }
    return this.#answers;
  }

  close(): void {
    for (const fd of this.#groups.values()) this.#kernel.close(fd);
    this.#groups.clear();
  }

  #error(index: number, report: string): ConformanceError {
    const { filesystem, kernel } = this.#machine;
    const step = JSON.stringify(this.#case.steps[index]);
    return new ConformanceError(
      `${this.#case.id} on ${filesystem} (${kernel.name}), step ${index + 1}: ${step}\n${report}`,
    );
  }

  /** Carries out a step. Returns a report when it did not go as expected. */
  #step(step: Step): Difference {
    switch (step.do) {
      case 'init':
        return this.#outcome(step.expect, this.#init(step));
      case 'mark':
        return this.#outcome(step.expect, this.#mark(step));
      case 'fid':
      case 'mountId':
        this.#name(step);
        return undefined;
      case 'fs': {
        if (step.op === 'exec') throw new CaseError('the listener cannot become another program: use child');
        if (this.#holders.size > 0 && couldBeHeld(step.op))
          throw new CaseError('an access of the listener itself could be held: use permChild');
        const outcome = this.#machine.operate(this.#resolved(step));
        this.#answers.push(outcome);
        // A step that is there to cause events says nothing of how it ends; `observed` does.
        return step.expect === undefined || step.expect === outcome
          ? undefined
          : report(undefined, step.expect, outcome);
      }
      case 'child':
        return this.#child(step);
      case 'permChild':
        return this.#permissionChild(step);
      case 'read':
        return this.#read(step);
      case 'fdinfoIgnored': {
        const marks = this.#ignoreMarks(this.#group(step.group));
        if (this.#countsAreObserved) this.#answers.push(marks);
        if (marks >= (step.min ?? 0) && marks <= (step.max ?? Number.POSITIVE_INFINITY)) return undefined;
        return report('inode marks that ignore', `${step.min ?? 0} to ${step.max ?? 'any number'}`, marks);
      }
      case 'setuid':
        this.#machine.setEffectiveUid(step.uid);
        return undefined;
      case 'rlimitNofile':
        this.#machine.limitDescriptors(step.spare);
        return undefined;
      case 'pipe':
        this.#require(this.#machine.operate({ op: 'pipe', as: step.as }), 'pipe');
        return undefined;
      case 'openfd':
        this.#require(this.#machine.operate(this.#resolved({ ...step, op: 'open' })), 'open');
        return undefined;
      case 'answer':
        return this.#goOn(step);
      case 'readRaw':
        return this.#readRaw(step);
      case 'fdinfo': {
        const lines = fdinfoLines(this.#kernel, this.#group(step.group), this.#words);
        this.#answers.push(lines);
        return JSON.stringify(lines) === JSON.stringify(step.expect)
          ? undefined
          : `  expected: ${step.expect.join('\n    ')}\n  got:      ${lines.join('\n    ')}`;
      }
      case 'waiting': {
        const bytes = this.#kernel.waitingBytes(this.#group(step.group));
        this.#answers.push(bytes);
        return bytes === step.expect ? undefined : report(undefined, step.expect, bytes);
      }
      case 'writeRaw':
        return this.#outcome(step.expect, () => {
          this.#kernel.write(this.#group(step.group), Buffer.from(step.hex, 'hex'));
        });
      case 'close':
        this.#closeGroup(step.group);
        return undefined;
      default:
        throw new CaseError(`no such step: ${JSON.stringify(step)}`);
    }
  }

  #init(step: Extract<Step, { do: 'init' }>): () => void {
    const flags = flagNumber(step.flags);
    const eventFlags = step.eventFlags === undefined ? 0 : openFlags(step.eventFlags);
    const count = typeof step.count === 'string' ? this.#limit(step.count) : (step.count ?? 1);
    return () => {
      for (let i = 0; i < count; i++) {
        const call = () => this.#kernel.fanotifyInit(flags, eventFlags);
        const fd = step.queue === undefined ? call() : this.#machine.withLimit('max_queued_events', step.queue, call);
        this.#groups.set(step.group.replace('%d', String(i)), fd);
      }
    };
  }

  #mark(step: Extract<Step, { do: 'mark' }>): () => void {
    const flags = flagNumber(step.flags);
    const mask = abi.parseMask(step.mask);
    const fd = step.rawFd ?? this.#group(step.group);
    const { dirfd = abi.AT_FDCWD } = step;
    const dirDescriptor = typeof dirfd === 'string' ? this.#machine.descriptor(dirfd) : dirfd;
    const path = step.path === null ? null : this.#machine.resolve(step.path);
    return () => {
      for (let i = 0; i < (step.count ?? 1); i++) {
        this.#kernel.fanotifyMark(fd, flags, mask, dirDescriptor, path?.replace('%d', String(i)) ?? null);
      }
      if (holdsAccess(mask) && (flags & abi.FAN_MARK_ADD) !== 0) this.#holders.add(step.group);
    };
  }

  #name(step: Extract<Step, { do: 'fid' | 'mountId' }>): void {
    const path = this.#machine.resolve(step.path);
    if (step.do === 'mountId') {
      const { mountId } = this.#kernel.nameToHandleAt(
        abi.AT_FDCWD,
        path,
        abi.AT_HANDLE_FID | abi.AT_HANDLE_MNT_ID_UNIQUE,
      );
      this.#words.mounts.set(BigInt(mountId), step.as);
      return;
    }
    const { handle } = this.#handle(path);
    const { fsid } = this.#kernel.statfs(path);
    const fileHandle = { type: handle.readInt32LE(4), bytes: handle.subarray(8) };
    this.#words.handles.set(handleName(fsid, fileHandle), step.as);
  }

  /** As fanotify makes it: AT_HANDLE_FID, and before Linux 6.5 the plain handle. */
  #handle(path: string): { readonly handle: Buffer } {
    try {
      return this.#kernel.nameToHandleAt(abi.AT_FDCWD, path, abi.AT_HANDLE_FID);
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EINVAL') throw error;
      return this.#kernel.nameToHandleAt(abi.AT_FDCWD, path, 0);
    }
  }

  #child(step: Extract<Step, { do: 'child' }>): Difference {
    const run = this.#start(step);
    if (run.wait([], this.#stepLimitMs) === 'late') return this.#giveUp(run);
    const outcomes = run.outcomes();
    const difference = step.expect === undefined ? undefined : compareOutcomes(step.expect, outcomes);
    return difference === undefined
      ? undefined
      : report(difference, (step.expect ?? []).join(', '), outcomes.join(', '));
  }

  #permissionChild(step: Extract<Step, { do: 'permChild' }>): Difference {
    return this.#converse(step, this.#start(step), []);
  }

  /** Answers what a process was left held by, and what it asks then. */
  #goOn(step: Extract<Step, { do: 'answer' }>): Difference {
    const left = this.#left.get(step.process);
    if (left === undefined) throw new CaseError(`no process ${step.process} was left held`);
    this.#left.delete(step.process);
    const [first, ...events] = step.events;
    const answered = this.#groups.has(left.group) ? this.#respond(left.group, left.fd, first, left.run) : undefined;
    if (left.fd >= 0) this.#kernel.close(left.fd);
    const seen = answered === undefined ? [] : [{ answered }];
    const rest = first?.answered === undefined ? events : [{ answered: first.answered }, ...events];
    return this.#converse({ ...step, ops: [], events: rest }, left.run, seen);
  }

  #converse(step: Omit<Extract<Step, { do: 'permChild' }>, 'do'>, run: ChildRun, events: ExpectedEvent[]): Difference {
    // Those that can hold it; without any, the one that would tell of it.
    const names = this.#holders.size > 0 ? [...this.#holders] : [...this.#groups.keys()].slice(-1);
    const deadline = performance.now() + this.#stepLimitMs;
    for (;;) {
      const remainingMs = Math.max(0, deadline - performance.now());
      const open = names.flatMap((name) => this.#groups.get(name) ?? []);
      const state = run.wait(open, remainingMs);
      if (state === 'late' || remainingMs === 0) return this.#giveUp(run, events);
      if (state === 'ended') break;
      // All is read before anything is answered: whoever goes on may raise the next event at once.
      const answers = names.map((name) => this.#plan(name, names.length > 1, step, events, run));
      for (const answer of answers) answer();
      if (step.process !== undefined && this.#left.has(step.process)) break;
    }
    const got = { events, child: run.outcomes() };
    this.#answers.push(got);
    const expected = { events: step.events, child: step.expect ?? got.child };
    const difference =
      compareAnswered(step.events, events, step.repeatLast === true) ?? compareOutcomes(expected.child, got.child);
    return difference === undefined ? undefined : report(difference, expected, got);
  }

  /** Reads what a group holds now. Returns what answers it, as the next of the step's events say. */
  #plan(
    name: string,
    isOneOfSeveral: boolean,
    step: Omit<Extract<Step, { do: 'permChild' }>, 'do'>,
    events: ExpectedEvent[],
    run: ChildRun,
  ): () => void {
    const group = this.#groups.get(name);
    if (group === undefined || !this.#isReadable(group)) return () => {};
    const answers: (() => void)[] = [];
    for (const event of this.#readOnce(group, events)) {
      const described = describeEvent(event, this.#machine, this.#words);
      const plan = step.events[events.length] ?? (step.repeatLast ? step.events.at(-1) : undefined);
      const isPlanned = plan?.mask !== undefined && !holdsAccess(abi.parseMask(plan.mask));
      if (!holdsAccess(event.mask) && !isPlanned) {
        this.#unread.set(name, [...(this.#unread.get(name) ?? []), described]);
        this.#closeEvent(event);
        continue;
      }
      const at = events.length;
      events.push(isOneOfSeveral || plan?.group !== undefined ? { ...described, group: name } : described);
      if (plan?.response === 'later' && step.process !== undefined) {
        this.#left.set(step.process, { run, group: name, fd: event.fd });
        continue;
      }
      answers.push(() => {
        const answered = holdsAccess(event.mask) ? this.#respond(name, event.fd, plan, run) : undefined;
        if (answered !== undefined) events[at] = { ...events[at], answered };
        this.#closeEvent(event);
      });
    }
    return () => {
      for (const answer of answers) answer();
    };
  }

  /** The events of one read(2). A failure takes the place of the event that it cost. */
  #readOnce(group: number, events: ExpectedEvent[]): abi.DecodedEvent[] {
    try {
      return abi.decodeEvents(this.#buffer.subarray(0, this.#kernel.read(group, this.#buffer)));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      events.push({ failed: error.code });
      return [];
    }
  }

  /** Returns what write(2) failed with; the access is allowed then. */
  #respond(name: string, fd: number, plan: AnsweredEvent | undefined, run: ChildRun): string | undefined {
    const response = plan?.response ?? 'FAN_ALLOW';
    switch (response) {
      case 'none':
        return undefined;
      case 'close':
        this.#closeGroup(name);
        return undefined;
      case 'kill':
        run.kill();
        return this.#write(name, fd, abi.FAN_ALLOW);
      default: {
        const isWrong = response === 'wrong';
        const failure = this.#write(
          name,
          isWrong ? NOBODYS_DESCRIPTOR : fd,
          isWrong ? abi.FAN_DENY : responseNumber(response),
        );
        if (failure !== undefined) this.#write(name, fd, abi.FAN_ALLOW);
        return failure;
      }
    }
  }

  #write(name: string, fd: number, response: number): string | undefined {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(fd, 0);
    bytes.writeUInt32LE(response, 4);
    try {
      this.#kernel.write(this.#group(name), bytes);
      return undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code;
    }
  }

  /** One read(2). */
  #readRaw(step: Extract<Step, { do: 'readRaw' }>): Difference {
    const buffer = this.#buffer.subarray(0, step.bytes);
    if (typeof step.expect === 'string') {
      return this.#outcome(step.expect, () => {
        this.#closeDescriptors(this.#kernel.read(this.#group(step.group), buffer));
      });
    }
    const events = abi
      .decodeEvents(buffer.subarray(0, this.#kernel.read(this.#group(step.group), buffer)))
      .map((event) => {
        const described = describeEvent(event, this.#machine, this.#words);
        this.#closeEvent(event);
        if (holdsAccess(event.mask)) this.#write(step.group, event.fd, abi.FAN_ALLOW);
        return described;
      });
    this.#settle();
    this.#answers.push(events);
    const difference = compareEvents(step.expect, events);
    return difference === undefined ? undefined : report(difference, step.expect, events);
  }

  #read(step: Extract<Step, { do: 'read' }>): Difference {
    const drained = this.#drain(step.group);
    const { expect } = step;
    if (!isEvents(expect)) {
      const got = summary(drained);
      this.#answers.push(got);
      const difference = compareSummary(expect, got);
      return difference === undefined ? undefined : report(difference, expect, got);
    }
    // The mount namespace is shared with other tests.
    const events = step.matching === 'named' ? drained.filter(isAboutNamedMount) : drained;
    this.#answers.push(events);
    const difference = compareEvents(expect, events, step.matching === 'mergeable');
    return difference === undefined ? undefined : report(difference, expect, events);
  }

  /** Everything in the queue, without blocking. */
  #drain(name: string): ExpectedEvent[] {
    const group = this.#group(name);
    const events = this.#unread.get(name) ?? [];
    this.#unread.delete(name);
    while (this.#isReadable(group)) {
      const bytes = this.#kernel.read(group, this.#buffer);
      for (const event of abi.decodeEvents(this.#buffer.subarray(0, bytes))) {
        events.push(describeEvent(event, this.#machine, this.#words));
        this.#closeEvent(event);
        if (holdsAccess(event.mask)) this.#write(name, event.fd, abi.FAN_ALLOW);
      }
    }
    this.#settle();
    return events;
  }

  #isReadable(group: number): boolean {
    return this.#kernel.poll([{ fd: group, events: POLLIN, revents: 0 }], 0) > 0;
  }

  #closeDescriptors(bytes: number): void {
    for (const event of abi.decodeEvents(this.#buffer.subarray(0, bytes))) this.#closeEvent(event);
  }

  #closeEvent(event: abi.DecodedEvent): void {
    if (event.fd >= 0) this.#kernel.close(event.fd);
    for (const record of event.records)
      if (record.type === 'PIDFD' && record.pidfd >= 0) this.#kernel.close(record.pidfd);
  }

  #start(step: Extract<Step, { do: 'child' | 'permChild' }>): ChildRun {
    const userns = step.do === 'child' ? step.userns : undefined;
    const operations = step.ops.map((operation) => this.#resolved(operation));
    const run = this.#machine.startChild(operations, userns, step.process);
    this.#words.children.set(run.pid, step.process ?? 'child');
    return run;
  }

  /** Closing the groups answers what they hold, so the child comes free. */
  #giveUp(run: ChildRun, events: readonly ExpectedEvent[] = []): string {
    this.close();
    run.wait([], this.#stepLimitMs);
    const seen = events.map((event) => `\n    ${eventText(event)}`).join('');
    return `  the child was not done after ${this.#stepLimitMs / 1000} s: ${run.outcomes().join(', ') || 'nothing done'}${seen}`;
  }

  #resolved<T extends { readonly op: string }>(operation: T): T {
    const resolved: Record<string, unknown> = { ...operation };
    for (const [key, value] of Object.entries(operation)) {
      if (typeof value === 'string') resolved[key] = this.#machine.resolve(value);
    }
    if (operation.op === 'fanotifyInit') resolved.flags = flagNumber(resolved.flags as string[]);
    if (operation.op === 'fanotifyMark') {
      resolved.flags = flagNumber(resolved.flags as string[]);
      resolved.mask = Number(abi.parseMask(resolved.mask as string[]));
    }
    return resolved as T;
  }

  #group(name: string): number {
    const fd = this.#groups.get(name);
    if (fd === undefined) throw new CaseError(`no group is called ${name}`);
    return fd;
  }

  #closeGroup(name: string): void {
    this.#kernel.close(this.#group(name));
    this.#groups.delete(name);
    this.#holders.delete(name);
    this.#settle();
  }

  /** Those that were left held by a group that is closed go on, as far as they can: before the next step, not beside it. */
  #settle(): void {
    const open = [...this.#holders].flatMap((holder) => this.#groups.get(holder) ?? []);
    for (const { run, group } of this.#left.values()) if (!this.#groups.has(group)) run.wait(open, this.#stepLimitMs);
  }

  #limit(name: string): number {
    return Number(this.#kernel.readFile(`/proc/sys/fs/fanotify/${name}`).toString());
  }

  #ignoreMarks(group: number): number {
    const lines = this.#kernel.readFile(`/proc/self/fdinfo/${group}`).toString().split('\n');
    return lines.filter((line) => {
      const ignored = /^fanotify ino:.* ignored_mask:([0-9a-f]+)/.exec(line)?.[1];
      return ignored !== undefined && Number.parseInt(ignored, 16) !== 0;
    }).length;
  }

  #require(outcome: Outcome, what: string): void {
    if (outcome !== 'ok') throw new CaseError(`${this.#case.id}: ${what}: ${outcome}`);
  }

  #outcome(expected: string, call: () => void): Difference {
    let got = 'ok';
    try {
      call();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      got = error.code;
    }
    this.#answers.push(got);
    return got === expected ? undefined : report(undefined, expected, got);
  }
}

function isAboutNamedMount({ info = [] }: ExpectedEvent): boolean {
  return !info.some(({ mount }) => mount?.startsWith(UNNAMED));
}
