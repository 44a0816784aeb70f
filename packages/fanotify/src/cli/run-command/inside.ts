// The first process of the command's PID namespace: listens, starts the command, waits until nothing of it is left, and reports.

import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoName, type Kernel } from '../../kernel/index.ts';
import { RunListener } from '../../scope/run-listener.ts';
import type { RunReport } from '../../scope/run-report.ts';
import { reportOf } from '../../scope/run-reporting.ts';
import { safeJson, shown } from '../text.ts';
import { Children } from './children.ts';
import type { Gate } from './gate.ts';
import { reportText } from './report-text.ts';
import type { Rule } from './rules.ts';
import { Signals } from './signals.ts';
import { type CommandEnd, type Inward, Line, monotonicMs, type Outward, PASSED_ON, type RunTask } from './socket.ts';

// linux/mount.h
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REC = 0x4000;
const MS_PRIVATE = 0x4_0000;

/** Shells and env(1) say so of what cannot be executed, and of what is not there. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
/** What is left behind is said when it does not end soon. */
const SAY_AFTER_MS = 1000;
/** How long what is left behind may take to end when it is asked to. */
const END_MS = 1000;
const MOST_NAMED = 5;

/** Runs, traces and reports what the process outside says. */
export async function runInside(kernel: Kernel, socket: number): Promise<void> {
  const outside = new Outside(socket);
  try {
    mountProc(kernel);
    const troubles: unknown[] = [];
    const listener = await RunListener.open(kernel, (error) => troubles.push(error));
    const task = await outside.task;
    await new Run(kernel, listener, task, outside, troubles).run();
  } catch (error) {
    if (error instanceof CommandError) outside.line.say({ failed: error.message, status: error.status });
    else outside.line.say({ failed: await sentence(error), status: 1 });
  }
  await outside.line.end();
}

/** A sentence for people. What makes them is much to load, and seldom needed. */
async function sentence(error: unknown): Promise<string> {
  return (await import('../failure.ts')).sentenceOf(error);
}

/** The command could not be started, or nothing be told of it. `status` is what is made of that. */
class CommandError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The other process, as this one sees it. */
class Outside {
  readonly line: Line<Outward, Inward>;
  readonly task: Promise<RunTask>;
  /** Resolves when the terminal is ours again. */
  readonly mayReport: Promise<void>;
  hearSignal: (signal: NodeJS.Signals) => void = () => undefined;

  constructor(socket: number) {
    let begin: (task: RunTask) => void = () => undefined;
    let report: () => void = () => undefined;
    this.task = new Promise((resolve) => {
      begin = resolve;
    });
    this.mayReport = new Promise((resolve) => {
      report = resolve;
    });
    const hear = (message: Inward) => {
      if ('run' in message) begin(message.run);
      else if ('report' in message) report();
      else this.hearSignal(message.signal);
    };
    // Nobody is there who could be told how the command ends: with this process all others of the namespace end.
    this.line = new Line(socket, hear, () => process.exit(1));
  }
}

/** Numbers of processes are right for the command in a /proc of its own, and what else is mounted stays as it is outside. */
function mountProc(kernel: Kernel): void {
  kernel.mount('none', '/proc', null, MS_REC | MS_PRIVATE);
  kernel.mount('proc', '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

function openReport(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'its directory does not exist' : message;
    throw new CommandError(`the report cannot be written to ${JSON.stringify(path)}: ${why}`, 1);
  }
}

class Run {
  readonly #kernel: Kernel;
  readonly #listener: RunListener;
  readonly #task: RunTask;
  readonly #outside: Outside;
  readonly #children: Children;
  readonly #troubles: unknown[];
  /** Processes of ours, besides this one. */
  readonly #ours = new Set<number>();
  /** Called when one of the namespace may have ended. */
  #onChild: () => void = () => undefined;

  constructor(kernel: Kernel, listener: RunListener, task: RunTask, outside: Outside, troubles: unknown[]) {
    this.#kernel = kernel;
    this.#listener = listener;
    this.#task = task;
    this.#outside = outside;
    this.#troubles = troubles;
    this.#children = new Children(kernel);
  }

  async run(): Promise<void> {
    const { command, report, rules } = this.#task;
    const reportFd = report === undefined ? undefined : openReport(report);
    const cwd = process.cwd();
    const gate = rules.length === 0 ? undefined : await this.#openGate(rules);
    const started = new Date();
    const startedMs = performance.now();
    const end = await this.#runCommand();
    await this.#othersEnd();
    const seconds = (performance.now() - startedMs) / 1000;
    await this.#listener.close();
    this.#outside.line.say({ ended: end });
    await this.#outside.mayReport;
    const { uses, coverage, overflows: lost } = this.#listener;
    const denied = gate?.denied ?? [];
    if (gate && gate.undecided > 0)
      this.#troubles.push(`${gate.undecided} accesses were allowed, since nobody decided on them in time`);
    await this.#write(reportOf(uses, { command, cwd, started, seconds, end, lost, coverage, denied }), reportFd);
    await gate?.close();
  }

  async #openGate(rules: readonly Rule[]): Promise<Gate> {
    const { openGate } = await import('./gate.ts');
    const gate = await openGate(this.#kernel, rules, (error) => this.#troubles.push(error));
    if (gate.responderPid !== undefined) {
      this.#listener.leaveOut(gate.responderPid);
      this.#children.manage(gate.responderPid);
      this.#ours.add(gate.responderPid);
    }
    return gate;
  }

  async #runCommand(): Promise<CommandEnd> {
    const [program = '', ...args] = this.#task.command;
    const { NODE_OPTIONS: _, ...env } = process.env;
    const { nodeOptions } = this.#task;
    const child = spawn(program, args, {
      stdio: 'inherit',
      env: nodeOptions === undefined ? env : { ...env, NODE_OPTIONS: nodeOptions },
    });
    const pid = child.pid ?? -1;
    if (pid > 0) this.#attend(child, pid);
    return new Promise((resolve, reject) => {
      child.once('error', (error) => reject(notStarted(program, error)));
      child.once('exit', (status, signal) => resolve({ status, signal }));
    });
  }

  /** What this process owes the command while it runs. */
  #attend(child: ChildProcess, pid: number): void {
    this.#children.manage(pid);
    const signals = new Signals(PASSED_ON, (signal) => child.kill(signal));
    this.#outside.hearSignal = (signal) => signals.told(signal);
    const look = () => {
      this.#children.collect();
      if (this.#children.hasStopped(pid)) this.#outside.line.say({ stopped: monotonicMs() });
      else if (this.#children.hasGoneOn(pid)) this.#outside.line.say({ wentOn: true });
      this.#onChild();
    };
    process.on('SIGCHLD', look);
    // Whoever stood behind it in the kernel's list.
    child.once('exit', () => setImmediate(look));
  }

  /** Waits for what the command has left behind; a signal ends that, and them. */
  async #othersEnd(): Promise<void> {
    const remaining = () => this.#children.remaining(this.#ours);
    const isAlone = new Promise<void>((resolve) => {
      this.#onChild = () => {
        if (remaining().length === 0) resolve();
      };
    });
    const asked = new Promise<void>((resolve) => {
      this.#outside.hearSignal = (signal) => {
        if (signal !== 'SIGWINCH' && signal !== 'SIGCONT') resolve();
      };
    });
    // What has ended is collected by now, or when the kernel says so.
    await new Promise((resolve) => setImmediate(resolve));
    this.#children.collect();
    this.#onChild();
    const saying = setTimeout(() => {
      if (process.stderr.isTTY)
        say(`${shown(this.#task.command[0] ?? '')} has ended; waiting for ${namesOf(remaining())}; Ctrl-C ends them`);
    }, SAY_AFTER_MS);
    await Promise.race([isAlone, asked]);
    clearTimeout(saying);
    const left = remaining();
    if (left.length === 0) return;
    for (const { pid } of left) for (const signal of ['SIGTERM', 'SIGCONT'] as const) signalTo(pid, signal);
    await Promise.race([isAlone, delay(END_MS)]);
    this.#troubles.push(`ended, having been left behind: ${namesOf(left)}`);
  }

  async #write(report: RunReport, fd: number | undefined): Promise<void> {
    const { json, all, columns } = this.#task;
    for (const trouble of this.#troubles) say(typeof trouble === 'string' ? trouble : await sentence(trouble));
    const text = json
      ? `${safeJson(report)}\n`
      : reportText(report, { all, columns: fd === undefined ? columns : undefined });
    if (fd === undefined) process.stderr.write(text);
    else writeAll(fd, text);
  }
}

function notStarted(program: string, error: Error): CommandError {
  const { code, errno } = error as NodeJS.ErrnoException;
  const shownName = JSON.stringify(program);
  if (code === 'ENOENT') return new CommandError(`${shownName} was not found`, NOT_FOUND);
  const name = errno === undefined ? error.message : errnoName(Math.abs(errno));
  return new CommandError(`${shownName} could not be executed (${name})`, NOT_EXECUTABLE);
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

function namesOf(processes: readonly { readonly pid: number; readonly comm: string }[]): string {
  const names = processes.slice(0, MOST_NAMED).map(({ pid, comm }) => `${shown(comm)}(${pid})`);
  const more = processes.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function say(text: string): void {
  process.stderr.write(`fanotify: ${text}\n`);
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}
