// The first process of the command's PID namespace: listens, starts the command, waits until nothing of it is left, and reports.

import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoName, type Kernel } from '../../kernel/index.ts';
import { RunListener } from '../../scope/run-listener.ts';
import { reportOf } from '../../scope/run-reporting.ts';
import { sentenceOf, UserError } from '../failure.ts';
import { safeJson, shown } from '../text.ts';
import { Children } from './children.ts';
import { type Gate, openGate } from './gate.ts';
import { reportText } from './report-text.ts';
import { Signals } from './signals.ts';
import {
  type CommandEnd,
  type InnerOptions,
  type Inward,
  Line,
  monotonicMs,
  type Outward,
  PASSED_ON,
} from './socket.ts';

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

/** Runs, traces and reports. */
export async function runInside(
  kernel: Kernel,
  command: readonly string[],
  options: InnerOptions,
  socket: number,
): Promise<void> {
  let outside: Outside | undefined;
  try {
    mountProc(kernel);
    const reportFd = options.report === undefined ? undefined : openReport(options.report);
    outside = new Outside(socket);
    await new Run(kernel, command, options, outside, reportFd).run();
  } catch (error) {
    outside ??= new Outside(socket);
    const status = error instanceof CommandError ? error.status : 1;
    outside.line.say({ failed: sentenceOf(error), status });
  }
  await outside.line.end();
}

/** A command that could not be started. */
class CommandError extends UserError {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The other process, as this one sees it. */
class Outside {
  readonly line: Line<Outward, Inward>;
  /** Resolves when the terminal is ours again. */
  readonly mayReport: Promise<void>;
  hearSignal: (signal: NodeJS.Signals) => void = () => undefined;

  constructor(socket: number) {
    let report: () => void = () => undefined;
    this.mayReport = new Promise((resolve) => {
      report = resolve;
    });
    const hear = (message: Inward) => {
      if ('report' in message) report();
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
    throw new UserError(
      `the report cannot be written to ${JSON.stringify(path)}: ${code === 'ENOENT' ? 'its directory does not exist' : message}`,
    );
  }
}

class Run {
  readonly #kernel: Kernel;
  readonly #command: readonly string[];
  readonly #options: InnerOptions;
  readonly #outside: Outside;
  readonly #reportFd: number | undefined;
  readonly #children: Children;
  /** Processes of ours, besides this one. */
  readonly #ours = new Set<number>();
  readonly #troubles: string[] = [];
  /** Called when one of the namespace may have ended. */
  #onChild: () => void = () => undefined;

  constructor(kernel: Kernel, command: readonly string[], options: InnerOptions, outside: Outside, reportFd?: number) {
    this.#kernel = kernel;
    this.#command = command;
    this.#options = options;
    this.#outside = outside;
    this.#reportFd = reportFd;
    this.#children = new Children(kernel);
  }

  async run(): Promise<void> {
    const cwd = process.cwd();
    const listener = await RunListener.open(this.#kernel, (error) => this.#trouble(error));
    const gate = await openGate(this.#kernel, this.#options.rules, (error) => this.#trouble(error));
    if (gate.responderPid !== undefined) {
      listener.leaveOut(gate.responderPid);
      this.#children.manage(gate.responderPid);
      this.#ours.add(gate.responderPid);
    }
    const started = new Date();
    const startedMs = performance.now();
    const end = await this.#runCommand();
    await this.#othersEnd();
    const seconds = (performance.now() - startedMs) / 1000;
    await listener.close();
    this.#outside.line.say({ ended: end });
    await this.#outside.mayReport;
    const { uses, coverage, overflows: lost } = listener;
    const about = { command: this.#command, cwd, started, seconds, end, lost, coverage, denied: gate.denied };
    this.#write(reportOf(uses, about), gate);
    await gate.close();
  }

  async #runCommand(): Promise<CommandEnd> {
    const [program = '', ...args] = this.#command;
    const { NODE_OPTIONS: _, ...env } = process.env;
    const { nodeOptions } = this.#options;
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
        say(`${shown(this.#command[0] ?? '')} has ended; waiting for ${namesOf(remaining())}; Ctrl-C ends them`);
    }, SAY_AFTER_MS);
    await Promise.race([isAlone, asked]);
    clearTimeout(saying);
    const left = remaining();
    if (left.length === 0) return;
    for (const { pid } of left) for (const signal of ['SIGTERM', 'SIGCONT'] as const) signalTo(pid, signal);
    await Promise.race([isAlone, delay(END_MS)]);
    this.#troubles.push(`ended, having been left behind: ${namesOf(left)}`);
  }

  #write(report: ReturnType<typeof reportOf>, gate: Gate): void {
    const { json, all, columns } = this.#options;
    if (gate.undecided > 0)
      this.#troubles.push(`${gate.undecided} accesses were allowed, since nobody decided on them in time`);
    for (const trouble of this.#troubles) say(trouble);
    const text = json
      ? `${safeJson(report)}\n`
      : reportText(report, { all, columns: this.#reportFd === undefined ? columns : undefined });
    if (this.#reportFd === undefined) process.stderr.write(text);
    else writeAll(this.#reportFd, text);
  }

  #trouble(error: unknown): void {
    this.#troubles.push(sentenceOf(error));
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
