// Another process for a case, spoken to without the event loop: over two pipes, by read(2), write(2) and poll(2).

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from '../../src/kernel/index.ts';
import type { Operation, Outcome } from './case.ts';
import type { ChildRun } from './machine.ts';
import { pipe } from './operations.mjs';

const CHILD_PROGRAM = join(import.meta.dirname, 'child.mjs');
const START_LIMIT_MS = 20_000;
const POLLIN = 1;
const WEXITED = 4;
/** Where a process waits that a permission event holds: /proc/pid/wchan. */
const HELD = 'fanotify_handle_event';

/** A process that runs child.mjs, in a user namespace of its own if there are limits for one. */
export class OtherProcess implements ChildRun {
  readonly pid: number;
  alive = true;
  /** Its end is waited for when it is killed or executes something: nothing is left of it then. */
  isWaitedFor = false;
  /** A pidfd, once it is another program. */
  #executing: number | undefined;
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
      if (this.#executing !== undefined) {
        const state = this.#awaitEnd(this.#executing, groups, deadline - performance.now());
        if (state !== 'answered') return state;
      }
      const isDone =
        (!this.alive && this.#executing === undefined) || this.#outcomes.length === this.#operations.length;
      // First what it holds: a child that has ended raised its last events before.
      if (isDone) return groups.length > 0 && this.#areReadable(groups) ? 'readable' : 'ended';
      const state = this.#fill(groups, deadline - performance.now());
      if (state === 'late' || (state === 'readable' && this.#isHeld())) return state;
    }
  }

  #areReadable(fds: readonly number[]): boolean {
    return (
      this.#kernel.poll(
        fds.map((fd) => ({ fd, events: POLLIN, revents: 0 })),
        0,
      ) > 0
    );
  }

  /** Whether a permission event holds it, or what it has started. */
  #isHeld(): boolean {
    const wchan = (pid: string | number) => this.#look(`/proc/${pid}/wchan`);
    const own = wchan(this.pid);
    // Where it is not told where somebody sleeps, whatever can be read is taken to hold.
    if (own === undefined || (own === '0' && !this.#isRunning())) return true;
    const children = this.#look(`/proc/${this.pid}/task/${this.pid}/children`)?.trim().split(' ') ?? [];
    return [own, ...children.map(wchan)].includes(HELD);
  }

  /** proc_pid_stat(5): the state comes after the name in parentheses. */
  #isRunning(): boolean {
    return /\) R /.test(this.#look(`/proc/${this.pid}/stat`) ?? '');
  }

  #look(path: string): string | undefined {
    try {
      return this.#kernel.readFile(path).toString('latin1');
    } catch {
      return undefined;
    }
  }

  kill(): void {
    this.stop();
    if (this.isWaitedFor) this.#kernel.waitChild(this.pid, WEXITED);
  }

  /** What it has become runs to its end, which an access of its own may put off. */
  #awaitEnd(pidfd: number, groups: readonly number[], timeoutMs: number): 'answered' | 'readable' | 'late' {
    const entries = [pidfd, ...groups].map((fd) => ({ fd, events: POLLIN, revents: 0 }));
    if (this.#kernel.poll(entries, Math.max(0, Math.ceil(timeoutMs))) === 0) return 'late';
    if (entries[0]?.revents === 0) return this.#isHeld() ? 'readable' : 'answered';
    this.#kernel.waitChild(this.pid, WEXITED);
    closeSync(pidfd);
    this.#executing = undefined;
    this.#outcomes.push('exec-ok');
    return 'answered';
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
    if (entries[0]?.revents === 0) return 'readable';
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
    if (this.alive || next?.op !== 'exec' || this.#executing !== undefined) return;
    if (this.isWaitedFor) this.#executing = this.#kernel.pidfdOpen(this.pid);
    else this.#outcomes.push('exec-ok');
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
