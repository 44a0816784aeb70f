// A simulated machine for conformance cases: a new one for each case, with a scratch file system of the type that is asked for. Other
// processes are tasks of it.

import type { Kernel } from '../../src/kernel/index.ts';
import type { SimulatedKernel } from '../../src/simulated/seam/kernel.ts';
import { SimulatedSystem } from '../../src/simulated/seam/simulated-system.ts';
import { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import { enterUserNamespace, setresuid } from '../../src/simulated/tasks/credentials.ts';
import { programImage } from '../../src/simulated/tasks/elf.ts';
import { reap } from '../../src/simulated/tasks/process.ts';
import type { Program } from '../../src/simulated/tasks/scheduler.ts';
import { SIGKILL, sendSignal } from '../../src/simulated/tasks/signal.ts';
import type { Task } from '../../src/simulated/tasks/task.ts';
import { type Blocking, Wait } from '../../src/simulated/wait.ts';
import type { Fixture, Operation, Outcome } from '../conformance/case.ts';
import { withOwnLimit } from '../conformance/limit.ts';
import type { ChildRun, Machine } from '../conformance/machine.ts';
import { smallestProgram } from '../conformance/program.ts';
import { SimulatedOperator } from './operations.ts';

const DEVICE = 'loop0';
const POLLIN = 1;
const PLACES = [
  ['$M', '/scratch/M'],
  ['$B', '/scratch/B'],
  ['$T', '/scratch/T'],
] as const;

export class SimulatedMachine implements Machine {
  readonly filesystem: string;
  readonly #seed: number;
  #running: Running;
  readonly #users = new Map<string, number>();

  readonly #missing: number | undefined;

  /** `missing`: what an operation takes for a descriptor that nobody has opened; without it, that is an error. */
  constructor(filesystem: string, seed = 1, missing?: number) {
    this.filesystem = filesystem;
    this.#seed = seed;
    this.#missing = missing;
    this.#running = new Running(filesystem, seed, missing);
  }

  get kernel(): Kernel {
    return this.#running.kernel;
  }

  get system(): SimulatedSystem {
    return this.#running.system;
  }

  missing(requirement: string): string | undefined {
    const [word, argument = ''] = requirement.split(':', 2);
    switch (word) {
      case 'trigger_fs_error':
        return this.filesystem === 'ext4' ? undefined : 'needs ext4';
      case 'drop_caches':
      case 'userns':
      case 'default_limits':
      case 'page_4096':
        return undefined;
      case 'path':
        return argument.startsWith('$') || this.#running.exists(argument) ? undefined : `needs ${argument}`;
      default:
        return `needs ${requirement}, which the simulated machine does not know`;
    }
  }

  begin(fixture: readonly Fixture[], _children: number): void {
    this.#running = new Running(this.filesystem, this.#seed, this.#missing);
    for (const item of fixture) this.#make(item);
  }

  end(): void {}

  resolve(path: string): string {
    let resolved = path.replaceAll('$D', DEVICE);
    for (const [placeholder, place] of PLACES) resolved = resolved.replaceAll(placeholder, place);
    return resolved;
  }

  label(path: string): string {
    for (const [placeholder, place] of PLACES) {
      if (path === place || path.startsWith(`${place}/`)) return placeholder + path.slice(place.length);
    }
    return path;
  }

  operate(operation: Operation): Outcome {
    const { operator } = this.#running;
    return this.#running.asSelf(operator.run(operation));
  }

  descriptor(name: string): number {
    return this.#running.operator.descriptor(name);
  }

  startChild(operations: readonly Operation[], userns?: Readonly<Record<string, number>>, name?: string): ChildRun {
    const { named } = this.#running;
    const before = name === undefined ? undefined : named.get(name);
    const child = before?.isAlive ? before : new SimulatedChild(this.#running, userns, name !== undefined);
    if (name !== undefined) named.set(name, child);
    child.start(operations);
    return child;
  }

  setEffectiveUid(uid: number | string): void {
    const number = typeof uid === 'number' ? uid : this.#stranger(uid);
    const { machine } = this.#running.system;
    this.#running.as(() => {
      // Only by way of the user that it really is can it become a second other one.
      setresuid(machine, -1, 0, -1);
      setresuid(machine, -1, number, -1);
    });
  }

  #stranger(name: string): number {
    const known = this.#users.get(name) ?? 1_500_000_000 + this.#users.size;
    this.#users.set(name, known);
    return known;
  }

  withLimit<T>(name: string, value: number, call: () => T): T {
    return withOwnLimit(this.kernel, name, value, call);
  }

  /** For sequences of test/differential. */
  closeLater(fd: number): void {
    this.kernel.close(fd);
  }

  limitDescriptors(spare: number): void {
    const { process } = this.#running.self;
    // RLIMIT_NOFILE bounds the number of a new descriptor, not how many there are: find the one after `spare` free ones.
    let limit = 0;
    for (let left = spare; left > 0 || process.descriptors.slots[limit]; limit++) {
      if (!process.descriptors.slots[limit]) left--;
    }
    process.descriptorLimit = limit;
  }

  #make({ kind, path, to, size, mode, count }: Fixture): void {
    const running = this.#running;
    for (let i = 0; i < (count ?? 1); i++) {
      const target = this.resolve(path).replace('%d', String(i));
      running.asSelf(make(running.calls, kind, target, this.resolve(to ?? ''), size, mode));
    }
  }
}

function* make(
  calls: SystemCalls,
  kind: Fixture['kind'],
  target: string,
  to: string,
  size: number | undefined,
  mode: string | number | undefined,
): Blocking<void> {
  if (kind === 'symlink') {
    yield* calls.symlink(to, target);
    return;
  }
  if (kind === 'link') {
    yield* calls.link(to, target);
    return;
  }
  const isDirectory = kind === 'dir' || kind === 'dirs';
  if (isDirectory) yield* makeDirectories(calls, target);
  else yield* calls.writeFile(target, content(kind, size));
  const bits = typeof mode === 'string' ? Number.parseInt(mode, 8) : mode;
  yield* calls.chmod(target, bits ?? (isDirectory || kind === 'exec' || kind === 'program' ? 0o755 : 0o644));
}

function content(kind: Fixture['kind'], size: number | undefined): string | Uint8Array {
  if (kind === 'exec') return programImage();
  return kind === 'program' ? smallestProgram() : '1'.repeat(size ?? 1);
}

function* makeDirectories(calls: SystemCalls, path: string): Blocking<void> {
  const names = path.split('/').filter(Boolean);
  for (let depth = 1; depth <= names.length; depth++) {
    try {
      yield* calls.mkdir(`/${names.slice(0, depth).join('/')}`, 0o755);
    } catch (error) {
      if ((error as { readonly code?: string }).code !== 'EEXIST') throw error;
    }
  }
}

/** One machine, with its scratch file systems, and the listening process. */
class Running {
  readonly system: SimulatedSystem;
  readonly self: Task;
  readonly kernel: SimulatedKernel;
  readonly calls: SystemCalls;
  readonly operator: SimulatedOperator;
  /** Other processes that have names in the case. */
  readonly named = new Map<string, SimulatedChild>();

  readonly missing: number | undefined;

  constructor(filesystem: string, seed: number, missing: number | undefined) {
    this.missing = missing;
    this.system = new SimulatedSystem({ seed });
    this.self = this.system.newProcess({ comm: 'self' });
    this.kernel = this.system.kernelOf(this.self);
    this.calls = new SystemCalls(this.system);
    this.operator = new SimulatedOperator(this.calls, missing);
    // As every process has some.
    for (let fd = 0; fd <= 2; fd++) this.kernel.eventFd();
    this.asSelf(this.#mount(filesystem));
  }

  /** Runs something to its end, as the listening process. */
  asSelf<T>(call: Blocking<T>): T {
    return this.kernel.make(call);
  }

  as(something: () => void): void {
    const { machine } = this.system;
    const before = machine.current;
    machine.current = this.self;
    something();
    machine.current = before;
  }

  exists(path: string): boolean {
    try {
      this.kernel.statAt(-100, path, 0);
      return true;
    } catch {
      return false;
    }
  }

  *#mount(filesystem: string): Blocking<void> {
    const { calls } = this;
    for (const place of ['/scratch', '/scratch/M', '/scratch/B', '/scratch/T']) yield* calls.mkdir(place, 0o755);
    yield* calls.mount('/scratch/M', filesystem, filesystem === 'tmpfs' ? 'tmpfs' : `/dev/${DEVICE}`);
    yield* calls.mount('/scratch/T', 'tmpfs');
    yield* calls.bind('/scratch/M', '/scratch/B');
    for (const place of ['/scratch/M', '/scratch/T']) yield* calls.chmod(place, 0o755);
  }
}

/** Operations that another process carries out. */
class SimulatedChild implements ChildRun {
  readonly pid: number;
  readonly #system: SimulatedSystem;
  readonly #listener: Kernel;
  readonly #task: Task;
  readonly #isNamed: boolean;
  readonly #missing: number | undefined;
  #operations: readonly Operation[] = [];
  #outcomes: Outcome[] = [];
  #request = new Wait('the first operation');

  constructor(
    { system, kernel, missing }: Running,
    userns: Readonly<Record<string, number>> | undefined,
    isNamed: boolean,
  ) {
    this.#isNamed = isNamed;
    this.#missing = missing;
    this.#system = system;
    this.#listener = kernel;
    this.#task = system.newProcess({ comm: 'child' });
    this.pid = this.#task.process.pid;
    system.scheduler.start(this.#task, this.#program(userns));
  }

  get isAlive(): boolean {
    return !this.#task.hasEnded;
  }

  start(operations: readonly Operation[]): void {
    this.#operations = operations;
    this.#outcomes = [];
    this.#request.end();
  }

  *#program(userns: Readonly<Record<string, number>> | undefined): Program {
    if (userns) {
      enterUserNamespace(this.#system.machine, {
        maxFanotifyGroups: userns.max_fanotify_groups ?? 0x7fff_ffff,
        maxFanotifyMarks: userns.max_fanotify_marks ?? 0x7fff_ffff,
      });
    }
    const operator = new SimulatedOperator(new SystemCalls(this.#system), this.#missing);
    // It stays until the machine goes, with what it has open.
    for (;;) {
      if (!this.#request.isOver) yield this.#request;
      this.#request = new Wait('the next operation');
      for (const operation of this.#operations) {
        const outcome = yield* operator.run(operation);
        // Beyond its point of no return an exec that fails is killed.
        const isKilled = this.#task.pendingKill !== undefined;
        const hasExecuted = operation.op === 'exec' && (outcome === 'ok' || isKilled);
        this.#outcomes.push(hasExecuted ? 'exec-ok' : outcome);
        // The program that it is then ends at once.
        if (hasExecuted) return 0;
      }
    }
  }

  wait(groups: readonly number[], _timeoutMs: number): 'readable' | 'ended' | 'late' {
    const { scheduler } = this.#system;
    while (scheduler.step());
    if (this.#task.hasEnded) this.#reap();
    const entries = groups.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
    // First what it holds: a child that has ended raised its last events before.
    if (entries.length > 0 && this.#listener.poll(entries, 0) > 0) return 'readable';
    return this.#task.hasEnded || this.#outcomes.length === this.#operations.length ? 'ended' : 'late';
  }

  outcomes(): readonly Outcome[] {
    return this.#outcomes;
  }

  kill(): void {
    const { machine, init, scheduler } = this.#system;
    const before = machine.current;
    machine.current = init;
    sendSignal(machine, this.#task.process, SIGKILL);
    machine.current = before;
    while (scheduler.step());
    this.#reap();
  }

  /** Whoever has started it waits for it. */
  #reap(): void {
    const { process } = this.#task;
    if (this.#isNamed && !process.isReaped) reap(this.#system.machine, process);
  }
}
