// The machine that this runs on: a scratch file system mounted for it, and other processes that are Node's own.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from '../../src/kernel/index.ts';
import type { Fixture, Operation, Outcome } from './case.ts';
import type { ScratchFilesystem } from './filesystems.ts';
import type { ChildRun, Machine } from './machine.ts';
import { getDescriptorLimit, Operator, pipe, setDescriptorLimit, setEffectiveUid } from './operations.mjs';

const CHILD_PROGRAM = join(import.meta.dirname, 'child.mjs');
const START_LIMIT_MS = 20_000;
const POLLIN = 1;

export class LinuxMachine implements Machine {
  readonly kernel: Kernel;
  readonly filesystem: string;
  readonly #scratch: ScratchFilesystem;
  readonly #operator = new Operator();
  /** Processes that have done nothing yet: each child of a case is one of its own, as its events would merge otherwise. */
  #idle: HelperProcess[] = [];
  #used: HelperProcess[] = [];
  readonly #placeholders: ReadonlyArray<readonly [string, string]>;
  #descriptorLimit: bigint | undefined;
  #uid: number | undefined;

  constructor(kernel: Kernel, scratch: ScratchFilesystem) {
    this.kernel = kernel;
    this.filesystem = scratch.type;
    this.#scratch = scratch;
    this.#placeholders = [
      ['$M', scratch.path],
      ['$B', scratch.bindPath],
      ['$T', scratch.tmpfsPath],
    ];
    this.#ensureIdle(2);
  }

  missing(requirement: string): string | undefined {
    const [word, argument = ''] = requirement.split(':', 2);
    switch (word) {
      case 'drop_caches':
        return writable('/proc/sys/vm/drop_caches') ? undefined : 'needs a writable /proc/sys/vm/drop_caches';
      case 'trigger_fs_error':
        return writable(this.resolve('/sys/fs/ext4/$D/trigger_fs_error')) ? undefined : 'needs trigger_fs_error';
      case 'userns':
        return this.#scratch.hasUserNamespaces ? undefined : 'needs user namespaces';
      case 'default_limits':
        return this.#limit('max_queued_events') === 16_384 && this.#limit('max_user_groups') <= 1024
          ? undefined
          : 'needs the default limits of /proc/sys/fs/fanotify';
      case 'path':
        return argument.startsWith('$') || existsSync(argument) ? undefined : `needs ${argument}`;
      default:
        return `needs ${requirement}, which this replayer does not know`;
    }
  }

  #limit(name: string): number {
    return Number(readFileSync(`/proc/sys/fs/fanotify/${name}`, 'utf8'));
  }

  begin(fixture: readonly Fixture[], children: number): void {
    this.end();
    this.#scratch.wipe();
    for (const item of fixture) this.#make(item);
    this.#ensureIdle(children);
    // Those that are to be used have started before any group is there for them to inherit.
    for (const helper of this.#idle) helper.ready();
  }

  end(): void {
    if (this.#uid !== undefined) setEffectiveUid(this.#uid);
    this.#uid = undefined;
    if (this.#descriptorLimit !== undefined) setDescriptorLimit(this.#descriptorLimit);
    this.#descriptorLimit = undefined;
    this.#operator.closeAll();
    for (const helper of this.#used) if (!helper.reset()) helper.stop();
    this.#idle.push(...this.#used.filter((helper) => helper.alive));
    this.#used = [];
    // A replacement starts while the next cases run.
    this.#ensureIdle(1);
  }

  /** Ends the other processes. The machine is of no use after it. */
  dispose(): void {
    this.end();
    for (const helper of this.#idle) helper.stop();
    this.#idle = [];
  }

  resolve(path: string): string {
    let resolved = path.replaceAll('$D', this.#scratch.device ?? '$D');
    for (const [placeholder, place] of this.#placeholders) resolved = resolved.replaceAll(placeholder, place);
    return resolved;
  }

  label(path: string): string {
    for (const [placeholder, place] of this.#placeholders) {
      if (path === place || path.startsWith(`${place}/`)) return placeholder + path.slice(place.length);
    }
    return path;
  }

  operate(operation: Operation): Outcome {
    return this.#operator.run(operation);
  }

  descriptor(name: string): number {
    return this.#operator.descriptor(name);
  }

  startChild(operations: readonly Operation[], userns?: Readonly<Record<string, number>>): ChildRun {
    const helper = userns === undefined ? this.#idle.shift() : new HelperProcess(this.kernel, userns);
    if (helper === undefined) throw new Error('more children than begin() was told of');
    this.#used.push(helper);
    helper.ready();
    helper.start(operations);
    return helper;
  }

  setEffectiveUid(uid: number): void {
    this.#uid ??= process.geteuid?.() ?? 0;
    setEffectiveUid(uid);
  }

  limitDescriptors(spare: number): void {
    this.#descriptorLimit ??= getDescriptorLimit();
    // RLIMIT_NOFILE bounds the number of a new descriptor, not how many there are: find the one after `spare` free ones.
    const open = Array.from({ length: spare + 1 }, () => openSync('/dev/null', 'r'));
    for (const fd of open) closeSync(fd);
    setDescriptorLimit(BigInt(open.at(-1) ?? 0));
  }

  #ensureIdle(count: number): void {
    while (this.#idle.length < count) this.#idle.push(new HelperProcess(this.kernel));
  }

  #make({ kind, path, to, size, mode, count }: Fixture): void {
    for (let i = 0; i < (count ?? 1); i++) {
      const target = this.resolve(path).replace('%d', String(i));
      if (kind === 'symlink') {
        symlinkSync(this.resolve(to ?? ''), target);
        continue;
      }
      const isDirectory = kind === 'dir' || kind === 'dirs';
      if (isDirectory) mkdirSync(target, { recursive: true });
      else if (kind === 'exec') copyFileSync('/bin/true', target);
      else writeFileSync(target, '1'.repeat(size ?? 1));
      // Whatever the umask.
      const bits = typeof mode === 'string' ? Number.parseInt(mode, 8) : mode;
      chmodSync(target, bits ?? (isDirectory || kind === 'exec' ? 0o755 : 0o644));
    }
  }
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** child.mjs in a process of its own, spoken to without the event loop: over two pipes, by read(2), write(2) and poll(2). */
class HelperProcess implements ChildRun {
  readonly pid: number;
  alive = true;
  readonly #kernel: Kernel;
  readonly #process: ChildProcess;
  readonly #requests: number;
  readonly #answers: number;
  readonly #chunk = Buffer.alloc(65_536);
  #text = '';
  #isReady = false;
  #operations: readonly Operation[] = [];
  #outcomes: Outcome[] = [];

  constructor(kernel: Kernel, userns?: Readonly<Record<string, number>>) {
    this.#kernel = kernel;
    const [childRequests, requests] = pipe();
    const [answers, childAnswers] = pipe();
    const [program, ...words] = userns === undefined ? [] : insideUserNamespace(userns);
    this.#process = spawn(
      program ?? process.execPath,
      [...words, ...(program ? [process.execPath] : []), CHILD_PROGRAM],
      {
        stdio: ['ignore', 'ignore', 'inherit', childRequests, childAnswers],
      },
    );
    // A test that has ended does not wait for it; the end of the pipe ends it.
    this.#process.unref();
    closeSync(childRequests);
    closeSync(childAnswers);
    if (this.#process.pid === undefined) throw new Error('the other process could not be started');
    this.pid = this.#process.pid;
    this.#requests = requests;
    this.#answers = answers;
  }

  /** Waits until it has started. */
  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    const deadline = performance.now() + START_LIMIT_MS;
    while (!this.#text.startsWith('"ready"\n')) {
      const state = this.#fill([], deadline - performance.now());
      if (state === 'late' || !this.alive) throw new Error('the other process did not start');
    }
    this.#text = this.#text.slice('"ready"\n'.length);
  }

  start(operations: readonly Operation[]): void {
    this.#operations = operations;
    this.#outcomes = [];
    writeSync(this.#requests, operations.map((operation) => `${JSON.stringify(operation)}\n`).join(''));
  }

  wait(groups: readonly number[], timeoutMs: number): 'readable' | 'ended' | 'late' {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      this.#take();
      if (!this.alive || this.#outcomes.length === this.#operations.length) return 'ended';
      const state = this.#fill(groups, deadline - performance.now());
      if (state !== 'answered') return state;
    }
  }

  outcomes(): readonly Outcome[] {
    return this.#outcomes;
  }

  /** Lets it close what it has opened; `ready` then waits for that. False when it cannot be used again. */
  reset(): boolean {
    if (!this.alive || this.#outcomes.length !== this.#operations.length) return false;
    writeSync(this.#requests, '\n');
    this.#isReady = false;
    this.#operations = [];
    this.#outcomes = [];
    return true;
  }

  stop(): void {
    if (this.alive) this.#process.kill('SIGKILL');
    this.#ended();
  }

  /** Waits for more from the child, or for one of `groups`. */
  #fill(groups: readonly number[], timeoutMs: number): 'answered' | 'readable' | 'late' {
    const entries = [this.#answers, ...groups].map((fd) => ({ fd, events: POLLIN, revents: 0 }));
    if (this.#kernel.poll(entries, Math.max(0, Math.ceil(timeoutMs))) === 0) return 'late';
    // First what it holds: a child that has ended raised its last events before.
    if (entries.slice(1).some(({ revents }) => revents !== 0)) return 'readable';
    const bytes = readSync(this.#answers, this.#chunk, 0, this.#chunk.length, null);
    if (bytes === 0) this.#ended();
    this.#text += this.#chunk.toString('utf8', 0, bytes);
    return 'answered';
  }

  #take(): void {
    for (let end = this.#text.indexOf('\n'); end !== -1; end = this.#text.indexOf('\n')) {
      this.#outcomes.push(JSON.parse(this.#text.slice(0, end)) as Outcome);
      this.#text = this.#text.slice(end + 1);
    }
    // The pipe ends in the moment an exec succeeds.
    const next = this.#operations[this.#outcomes.length];
    if (!this.alive && next?.op === 'exec') this.#outcomes.push('exec-ok');
  }

  #ended(): void {
    if (!this.alive) return;
    this.alive = false;
    closeSync(this.#requests);
    closeSync(this.#answers);
  }
}

/** unshare(1): a process that has threads, as Node's has, may not move itself (unshare(2), EINVAL). */
function insideUserNamespace(limits: Readonly<Record<string, number>>): string[] {
  const set = Object.entries(limits).map(([name, value]) => `echo ${value} > /proc/sys/user/${name}`);
  return ['unshare', '--user', '--map-root-user', 'sh', '-c', [...set, 'exec "$0" "$@"'].join(' && ')];
}
