// Runs a case, step by step, and says where the kernel answers otherwise than the case does. Synchronous from end to end:
// nothing else of the listening process runs in between, so limits, users and permission events trouble nobody else.

import * as abi from '../../src/abi/index.ts';
import { type Kernel, KernelError } from '../../src/kernel/index.ts';
import type {
  AnsweredEvent,
  Case,
  EventSummary,
  ExpectedEvent,
  Fixture,
  Observed,
  Outcome,
  PermissionOutcome,
  Step,
} from './case.ts';
import { compareEvent, compareEvents, compareOutcomes, type Difference, eventText } from './compare.ts';
import type { ChildRun, Machine } from './machine.ts';
import { flagNumber, PERMISSION_EVENTS, responseNumber } from './numbers.ts';
import { describeEvent, handleName, newVocabulary, type Vocabulary } from './observe.ts';
import { openFlags } from './operations.mjs';

// Far beyond what any step takes; when it has passed, the groups are closed, which answers whatever they hold.
const STEP_LIMIT_MS = 10_000;
const READ_BYTES = 65_536;
const POLLIN = 1;

/** The kernel answered otherwise than the case says. */
export class ConformanceError extends Error {
  static {
    ConformanceError.prototype.name = 'ConformanceError';
  }
}

/** The case does not make sense to the replayer. */
export class CaseError extends Error {
  static {
    CaseError.prototype.name = 'CaseError';
  }
}

/** Why a case does not apply to this machine; undefined when it does. */
export function whyNot(
  conformanceCase: Case,
  machine: Pick<Machine, 'filesystem' | 'missing'>,
  release: string,
): string | undefined {
  const { fs, requires = [], kernel } = conformanceCase;
  if (fs !== undefined && !fs.includes(machine.filesystem)) return `for ${fs.join(', ')} only`;
  if (kernel !== undefined && !kernelMatches(kernel, release)) return `for Linux ${kernel} only`;
  for (const requirement of requires) {
    const reason = machine.missing(requirement);
    if (reason !== undefined) return reason;
  }
  for (const step of conformanceCase.steps) {
    // A path outside the scratch file systems that this machine has not got, such as that of a cgroup2 mount.
    if (step.do !== 'mark' || step.path === null || !step.path.startsWith('/') || step.expect === 'ENOENT') continue;
    const reason = machine.missing(`path:${step.path}`);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function kernelMatches(condition: string, release: string): boolean {
  const match = /^(<|<=|>|>=|=)?(\d+)\.(\d+)/.exec(condition);
  const running = /^(\d+)\.(\d+)/.exec(release);
  if (match === null || running === null) throw new CaseError(`cannot compare Linux ${release} with "${condition}"`);
  const difference = Number(running[1]) - Number(match[2]) || Number(running[2]) - Number(match[3]);
  switch (match[1]) {
    case '<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '>':
      return difference > 0;
    case '>=':
      return difference >= 0;
    default:
      return difference === 0;
  }
}

/**
 * Runs a case. Returns what each step answered, in the form of `observed`.
 *
 * @throws ConformanceError where an answer differs from what the step or `observed` says.
 * @throws CaseError when the case is not one that can be run.
 */
export function replay(conformanceCase: Case, machine: Machine, suiteFixture: readonly Fixture[] = []): Observed[] {
  const children = conformanceCase.steps.filter(
    (step) => step.do === 'permChild' || (step.do === 'child' && !step.userns),
  );
  machine.begin([...suiteFixture, ...(conformanceCase.fixture ?? [])], children.length);
  const replayer = new Replayer(conformanceCase, machine);
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
  readonly #groups = new Map<string, number>();
  readonly #words: Vocabulary = newVocabulary();
  readonly #answers: Observed[] = [];
  /** Made before a limit on descriptors or a full queue can get in the way. */
  readonly #buffer: Buffer = Buffer.alloc(READ_BYTES);
  #holdsAccesses = false;

  constructor(conformanceCase: Case, machine: Machine) {
    this.#case = conformanceCase;
    this.#machine = machine;
    this.#kernel = machine.kernel;
  }

  run(): Observed[] {
    const observed = this.#case.observed?.[this.#machine.filesystem];
    this.#case.steps.forEach((step, index) => {
      const before = this.#answers.length;
      const wrong = this.#step(step);
      if (wrong !== undefined) throw this.#error(index, wrong);
      const recorded = observed?.[before];
      if (this.#answers.length === before || recorded === undefined) return;
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
        if (this.#holdsAccesses) throw new CaseError('an access of the listener itself could be held: use permChild');
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
      case 'readRaw':
        return this.#outcome(step.expect, () => {
          this.#closeDescriptors(this.#kernel.read(this.#group(step.group), this.#buffer.subarray(0, step.bytes)));
        });
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
        this.#groups.set(step.group.replace('%d', String(i)), this.#kernel.fanotifyInit(flags, eventFlags));
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
      if ((mask & PERMISSION_EVENTS) !== 0n && (flags & abi.FAN_MARK_ADD) !== 0) this.#holdsAccesses = true;
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
    if (run.wait([], STEP_LIMIT_MS) === 'late') return this.#giveUp(run);
    const outcomes = run.outcomes();
    const difference = step.expect === undefined ? undefined : compareOutcomes(step.expect, outcomes);
    return difference === undefined
      ? undefined
      : report(difference, (step.expect ?? []).join(', '), outcomes.join(', '));
  }

  #permissionChild(step: Extract<Step, { do: 'permChild' }>): Difference {
    const name = step.group ?? [...this.#groups.keys()].at(-1);
    if (name === undefined) throw new CaseError('permChild needs a group');
    const deadline = performance.now() + STEP_LIMIT_MS;
    const events: ExpectedEvent[] = [];
    const run = this.#start(step);
    for (;;) {
      const group = this.#groups.get(name);
      const state = run.wait(group === undefined ? [] : [group], Math.max(0, deadline - performance.now()));
      if (state === 'late') return this.#giveUp(run, events);
      if (state === 'ended') break;
      if (group === undefined) continue;
      const bytes = this.#kernel.read(group, this.#buffer);
      for (const event of abi.decodeEvents(this.#buffer.subarray(0, bytes))) {
        const described = describeEvent(event, this.#machine, this.#words);
        const plan = step.events[events.length] ?? (step.repeatLast ? step.events.at(-1) : undefined);
        events.push(described);
        if ((event.mask & PERMISSION_EVENTS) !== 0n) this.#respond(name, event.fd, plan);
        this.#closeEvent(event);
      }
    }
    const got = { events, child: run.outcomes() };
    this.#answers.push(got);
    const expected = { events: step.events, child: step.expect ?? got.child };
    const difference =
      compareAnswered(step.events, events, step.repeatLast === true) ?? compareOutcomes(expected.child, got.child);
    return difference === undefined ? undefined : report(difference, expected, got);
  }

  #respond(name: string, fd: number, plan: AnsweredEvent | undefined): void {
    const response = plan?.response ?? 'FAN_ALLOW';
    if (response === 'none') return;
    if (response === 'close') {
      this.#closeGroup(name);
      return;
    }
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(fd, 0);
    bytes.writeUInt32LE(responseNumber(response), 4);
    this.#kernel.write(this.#group(name), bytes);
  }

  #read(step: Extract<Step, { do: 'read' }>): Difference {
    const events = this.#drain(this.#group(step.group));
    if (step.summary !== undefined) {
      const got = summary(events);
      this.#answers.push(got);
      const difference = compareSummary(step.summary, got);
      return difference === undefined ? undefined : report(difference, step.summary, got);
    }
    this.#answers.push(events);
    const expected = step.expect ?? [];
    const difference = compareEvents(expected, events, step.matching === 'mergeable');
    return difference === undefined ? undefined : report(difference, expected, events);
  }

  /** Everything in the queue, without blocking. */
  #drain(group: number): ExpectedEvent[] {
    const events: ExpectedEvent[] = [];
    while (this.#kernel.poll([{ fd: group, events: POLLIN, revents: 0 }], 0) > 0) {
      const bytes = this.#kernel.read(group, this.#buffer);
      for (const event of abi.decodeEvents(this.#buffer.subarray(0, bytes))) {
        events.push(describeEvent(event, this.#machine, this.#words));
        this.#closeEvent(event);
      }
    }
    return events;
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
    const run = this.#machine.startChild(operations, userns);
    this.#words.children.add(run.pid);
    return run;
  }

  /** Closing the groups answers what they hold, so the child comes free. */
  #giveUp(run: ChildRun, events: readonly ExpectedEvent[] = []): string {
    this.close();
    run.wait([], STEP_LIMIT_MS);
    const seen = events.map((event) => `\n    ${eventText(event)}`).join('');
    return `  the child was not done after ${STEP_LIMIT_MS / 1000} s: ${run.outcomes().join(', ') || 'nothing done'}${seen}`;
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

/** Holds an answer against what was recorded for this file system. */
function compareObserved(recorded: Observed, answer: Observed, step: Step): Difference {
  if (isEvents(recorded)) {
    if (!isEvents(answer)) return 'events were recorded, none were read';
    return compareEvents(recorded, answer, step.do === 'read' && step.matching === 'mergeable');
  }
  if (isPermission(recorded)) {
    if (!isPermission(answer)) return 'permission events were recorded';
    // With repeatLast the number of events is the kernel's choice.
    const repeats = step.do === 'permChild' && step.repeatLast === true;
    const events = repeats ? undefined : compareEvents(recorded.events, answer.events);
    return events ?? compareOutcomes(recorded.child, answer.child);
  }
  // A summary is compared with what the step says.
  if (typeof recorded === 'object') return undefined;
  return recorded === answer ? undefined : `${recorded} was recorded, got ${JSON.stringify(answer)}`;
}

function isEvents(observed: Observed): observed is readonly ExpectedEvent[] {
  return Array.isArray(observed);
}

function isPermission(observed: Observed): observed is PermissionOutcome {
  return typeof observed === 'object' && 'child' in observed;
}

function compareAnswered(
  expected: readonly AnsweredEvent[],
  got: readonly ExpectedEvent[],
  repeatLast: boolean,
): Difference {
  const last = expected.at(-1);
  const surplus = repeatLast && last !== undefined ? Array.from(got.slice(expected.length), () => last) : [];
  return compareEvents([...expected, ...surplus], got);
}

function summary(events: readonly ExpectedEvent[]): EventSummary {
  const [first, last] = [events[0], events.at(-1)];
  return { count: events.length, ...(first && { first }), ...(last && { last }) };
}

function compareSummary(expected: EventSummary, got: EventSummary): Difference {
  if (expected.count !== got.count) return `expected ${expected.count} events, got ${got.count}`;
  for (const end of ['first', 'last'] as const) {
    const want = expected[end];
    const have = got[end];
    if (want === undefined) continue;
    const difference = have === undefined ? 'there is none' : compareEvent(want, have);
    if (difference !== undefined) return `${end} event: ${difference}`;
  }
  return undefined;
}

function report(difference: Difference, expected: Observed, got: Observed): string {
  const heading = difference === undefined ? '' : `  ${difference}\n`;
  return `${heading}  expected: ${answerText(expected)}\n  got:      ${answerText(got)}`;
}

function answerText(answer: Observed): string {
  if (isEvents(answer)) return answer.length === 0 ? 'no events' : answer.map((e) => `\n    ${eventText(e)}`).join('');
  if (isPermission(answer)) return `child: ${answer.child.join(', ')}; events: ${answerText(answer.events)}`;
  return typeof answer === 'object' ? JSON.stringify(answer) : String(answer);
}
