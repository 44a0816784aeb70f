// The other processes of sequences: other.c, compiled when first needed. They are kept from one sequence to the next.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from '../../src/kernel/index.ts';
import type { Operation, Outcome } from '../conformance/case.ts';
import type { ChildRun } from '../conformance/machine.ts';
import { errnoWord, openFlags, pipe } from '../conformance/operations.mjs';
import { isRefusal } from './refusal.ts';

const SOURCE = join(import.meta.dirname, 'other.c');
const START_LIMIT_MS = 20_000;
const POLLIN = 1;
const SIGKILL = 9;
/** Where a process waits that a permission event holds: /proc/pid/wchan. */
const HELD = 'fanotify_handle_event';

/** Whether other.c can be compiled. */
export const hasCompiler: boolean = spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0;

/** Starts processes, and waits for those that have ended. */
export class OtherProcesses {
  readonly #kernel: Kernel;
  readonly #first: ChildProcess;
  readonly #control: number;
  readonly #reply = Buffer.alloc(64);

  /** @param folder Where the program is put. */
  constructor(kernel: Kernel, folder: string) {
    const program = join(folder, 'other');
    const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, SOURCE], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`other.c does not compile here: ${stderr}`);
    this.#kernel = kernel;
    const [own, theirs] = kernel.socketPair();
    this.#control = own;
    this.#first = spawn(program, [], { stdio: ['ignore', 'ignore', 'inherit', theirs] });
    this.#first.unref();
    kernel.close(theirs);
  }

  start(): OtherProcess {
    const [childRequests, requests] = pipe();
    const [answers, childAnswers] = pipe();
    const pid = this.#ask('fork', [childRequests, childAnswers]);
    closeSync(childRequests);
    closeSync(childAnswers);
    return new OtherProcess(this.#kernel, pid, requests, answers, () => this.#ask(`wait ${pid}`));
  }

  stop(): void {
    closeSync(this.#control);
    this.#first.kill('SIGKILL');
  }

  #ask(question: string, descriptors: readonly number[] = []): number {
    this.#kernel.sendMessage(this.#control, Buffer.from(question), descriptors);
    const entries = [{ fd: this.#control, events: POLLIN, revents: 0 }];
    if (this.#kernel.poll(entries, START_LIMIT_MS) === 0) throw new Error(`no answer to ${question}`);
    const { bytes } = this.#kernel.receiveMessage(this.#control, this.#reply, true);
    return Number(this.#reply.toString('latin1', 0, bytes));
  }
}

export class OtherProcess implements ChildRun {
  readonly pid: number;
  isAlive = true;
  readonly #kernel: Kernel;
  readonly #requests: number;
  readonly #answers: number;
  readonly #pidfd: number;
  readonly #wait: () => void;
  readonly #chunk = Buffer.alloc(4096);
  #text = '';
  #operations: readonly Operation[] = [];
  #outcomes: Outcome[] = [];
  #isExecuting = false;
  #spawned = '';

  constructor(kernel: Kernel, pid: number, requests: number, answers: number, wait: () => void) {
    this.#kernel = kernel;
    this.pid = pid;
    this.#requests = requests;
    this.#answers = answers;
    this.#wait = wait;
    this.#pidfd = kernel.pidfdOpen(pid);
  }

  start(operations: readonly Operation[]): void {
    this.#operations = operations;
    this.#outcomes = [];
    writeSync(this.#requests, operations.map(line).join(''));
  }

  wait(groups: readonly number[], timeoutMs: number): 'readable' | 'ended' | 'late' {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      // First what it holds: a child that has ended raised its last events before.
      if (this.#isDone()) return groups.length > 0 && this.#areReadable(groups) ? 'readable' : 'ended';
      const remainingMs = deadline - performance.now();
      if (remainingMs <= 0) return 'late';
      // After an exec only its end tells how far it is.
      const own = this.#text === '' && this.#isExecuting ? this.#pidfd : this.#answers;
      const entries = [own, ...groups].map((fd) => ({ fd, events: POLLIN, revents: 0 }));
      this.#kernel.poll(entries, Math.ceil(remainingMs));
      if (entries[0]?.revents) this.#take(own);
      else if (this.#isHeld()) {
        // What it did before it was held has been told by now.
        while (this.#kernel.poll(entries.slice(0, 1), 0) > 0) this.#take(own);
        return 'readable';
      }
    }
  }

  outcomes(): readonly Outcome[] {
    return this.#outcomes;
  }

  /** Without waiting for a permission event, of which there can be none. */
  run(operations: readonly Operation[]): readonly Outcome[] {
    this.start(operations);
    if (this.wait([], START_LIMIT_MS) === 'late') throw new Error('the other process is held');
    return this.#outcomes;
  }

  kill(): void {
    if (!this.isAlive) return;
    this.#kernel.pidfdSendSignal(this.#pidfd, SIGKILL);
    this.#kernel.poll([{ fd: this.#pidfd, events: POLLIN, revents: 0 }], START_LIMIT_MS);
    // What it had done before.
    while (this.#takeText()) {}
    this.#ended();
  }

  #areReadable(fds: readonly number[]): boolean {
    return (
      this.#kernel.poll(
        fds.map((fd) => ({ fd, events: POLLIN, revents: 0 })),
        0,
      ) > 0
    );
  }

  #isDone(): boolean {
    return !this.isAlive || this.#outcomes.length === this.#operations.length;
  }

  #take(fd: number): void {
    if (fd === this.#pidfd) {
      this.#outcomes.push('exec-ok');
      this.#ended();
      return;
    }
    if (this.#takeText()) return;
    // The pipe ends in the moment an exec succeeds.
    if (this.#operations[this.#outcomes.length]?.op !== 'exec') throw new Error('the other process has ended');
    this.#isExecuting = true;
  }

  /** Reads outcomes; false at the end of the pipe. */
  #takeText(): boolean {
    if (this.#kernel.poll([{ fd: this.#answers, events: POLLIN, revents: 0 }], START_LIMIT_MS) === 0)
      throw new Error('the other process neither answers nor ends');
    const bytes = readSync(this.#answers, this.#chunk, 0, this.#chunk.length, null);
    this.#text += this.#chunk.toString('latin1', 0, bytes);
    for (let end = this.#text.indexOf('\n'); end !== -1; end = this.#text.indexOf('\n')) {
      const word = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      if (word.startsWith('!')) this.#spawned = word.slice(1);
      else this.#outcomes.push(word === 'ok' ? 'ok' : Number(word) < 0 ? errnoWord(-Number(word)) : Number(word));
    }
    return bytes > 0;
  }

  /** A permission event holds it, or the program that it waits for. */
  #isHeld(): boolean {
    const isSpawning = this.#operations[this.#outcomes.length]?.op === 'spawn';
    return this.#waitsAt(this.pid) || (isSpawning && this.#waitsAt(this.#spawned));
  }

  #waitsAt(pid: number | string): boolean {
    try {
      return this.#kernel.readFile(`/proc/${pid}/wchan`).toString('latin1') === HELD;
    } catch (error) {
      if (isRefusal(error)) return false;
      throw error;
    }
  }

  #ended(): void {
    this.#kernel.poll([{ fd: this.#pidfd, events: POLLIN, revents: 0 }], START_LIMIT_MS);
    this.#wait();
    this.isAlive = false;
    for (const fd of [this.#requests, this.#answers, this.#pidfd]) closeSync(fd);
  }
}

/** An operation as other.c reads it. */
function line({ op, flags, mode, touch, ...others }: Operation): string {
  const fields = [op];
  if (flags !== undefined) fields.push(`flags=${openFlags(flags)}`);
  if (mode !== undefined) fields.push(`mode=${typeof mode === 'string' ? Number.parseInt(mode, 8) : mode}`);
  if (touch === false) fields.push('touch=0');
  for (const [name, value] of Object.entries(others)) if (value !== undefined) fields.push(`${name}=${value}`);
  return `${fields.join('\t')}\n`;
}
