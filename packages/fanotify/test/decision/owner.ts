// An owner as a process of its own, and accesses to what it guards: owner.mjs and c/openers.c.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GuardOptions, GuardStatus } from '../../src/index.ts';

const PROGRAM = fileURLToPath(new URL('./owner.mjs', import.meta.url));
const OPENERS = fileURLToPath(new URL('./c/openers.c', import.meta.url));
const DEADLINE_MS = 30_000;

export interface Scenario {
  readonly options: Omit<GuardOptions, 'decide'>;
  /** What it decides: a name of owner.mjs. */
  readonly decide?: string;
  /** Or a decide module. */
  readonly module?: string;
  readonly [detail: string]: unknown;
}

/** What owner.mjs says: `told` is what of. */
export interface Told {
  readonly told: string;
  readonly [detail: string]: unknown;
}

interface Start {
  /** The hard limit of descriptors. */
  readonly descriptors?: number;
  readonly nodeOptions?: readonly string[];
  /** A descriptor for its standard output. */
  readonly stdout?: number;
  /** Runs it as the first process of a PID namespace. */
  readonly isInit?: boolean;
}

export class Owner {
  readonly told: Told[] = [];
  stderr = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  #rest = '';
  #hasEnded = false;
  readonly #waiting = new Set<() => void>();

  private constructor(mount: string, scenario: Scenario, { descriptors, nodeOptions = [], stdout, isInit }: Start) {
    const command = [process.execPath, ...nodeOptions, PROGRAM, mount, JSON.stringify(scenario)];
    if (descriptors !== undefined) {
      command.unshift('sh', '-c', `ulimit -Sn ${descriptors} && ulimit -Hn ${descriptors} && exec "$@"`, 'sh');
    }
    if (isInit) command.unshift('unshare', '--pid', '--fork', '--kill-child', '--mount-proc');
    this.#child = spawn(command[0] as string, command.slice(1), {
      stdio: ['pipe', stdout ?? 'ignore', 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    (this.#child.stdio[3] as NodeJS.ReadableStream).setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.told.push(JSON.parse(line) as Told);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.#hasEnded = true;
        this.#wake();
        resolve({ code, signal });
      });
    });
  }

  /** Starts one, and waits until it guards. */
  static async start(mount: string, scenario: Scenario, start: Start = {}): Promise<Owner> {
    const owner = new Owner(mount, scenario, start);
    await owner.until('ready');
    return owner;
  }

  /** Starts one that cannot guard; resolves with what it says. */
  static async failing(mount: string, scenario: Scenario, start: Start = {}): Promise<string> {
    const owner = new Owner(mount, scenario, start);
    await owner.ended;
    return owner.stderr;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** As of its last start. */
  get responderPid(): number {
    return Number(this.told.findLast(({ told }) => told === 'ready' || told === 'restart')?.responderPid);
  }

  /** Tells it what to do: an action of owner.mjs. */
  act(act: string, details: object = {}): void {
    this.#child.stdin?.write(`${JSON.stringify({ act, ...details })}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  count(told: string): number {
    return this.told.filter((one) => one.told === told).length;
  }

  /** Resolves with the first report of a kind that fits. */
  async until(told: string, fits: (told: Told) => boolean = () => true): Promise<Told> {
    await this.look(() => this.told.some((one) => one.told === told && fits(one)), told);
    return this.told.find((one) => one.told === told && fits(one)) as Told;
  }

  /** Resolves when its standard error or its reports are so. */
  async look(is: () => boolean, what: string): Promise<void> {
    const started = Date.now();
    while (!is()) {
      if (this.#hasEnded || Date.now() - started > DEADLINE_MS) {
        const state = this.#hasEnded ? 'the owner ended' : 'too late';
        throw new Error(`${state}, no ${what}: ${JSON.stringify(this.told.slice(-20))} ${this.stderr}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
      this.#waiting.clear();
    }
  }

  async status(): Promise<GuardStatus> {
    const before = this.count('status');
    this.act('status');
    await this.look(() => this.count('status') > before, 'status');
    return this.told.findLast(({ told }) => told === 'status') as unknown as GuardStatus;
  }

  /** Resolves when so many are held. */
  async untilPending(count: number): Promise<void> {
    const started = Date.now();
    while ((await this.status()).pending < count) {
      if (Date.now() - started > DEADLINE_MS) throw new Error(`no ${count} are pending`);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

/** What became of a number of opens. */
export interface Opened {
  /** Each one's, in milliseconds; of many times the longest. */
  readonly waitsMs: readonly number[];
  readonly errnos: readonly number[];
  readonly longestMs: number;
  readonly allowed: number;
  readonly denied: number;
  /** From the first that was let go to the last. */
  readonly drainMs: number;
  /** When the last was let go: CLOCK_MONOTONIC. */
  readonly lastMs: number;
  /** What an open that nobody guards was late by at worst, on the same machine at the same time. */
  readonly controlMs: number;
}

/** Processes or threads that are about to open a file. */
export class Openers {
  readonly opened: Promise<Opened>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<number[]>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    let output = '';
    this.#ready = new Promise((resolve, reject) => {
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const ready = /^ready(.*)\n/.exec(output);
        if (ready) resolve((ready[1] ?? '').trim().split(' ').map(Number));
      });
      child.on('close', () => reject(new Error(`the openers ended: ${output.slice(0, 1000)}`)));
    });
    this.opened = new Promise((resolve) => child.on('close', () => resolve(parse(output))));
    child.stdin?.on('error', () => undefined);
  }

  /** Resolves when they are ready; {@link Openers.go} lets them open. */
  static async ready(
    program: string,
    file: string,
    { how = 'threads', count = 1, forMs = 0 }: { how?: 'threads' | 'processes'; count?: number; forMs?: number },
  ): Promise<Openers> {
    const args = [how, String(count), file, '/proc/version', String(forMs)];
    const openers = new Openers(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    await openers.#ready;
    return openers;
  }

  get pids(): Promise<number[]> {
    return this.#ready;
  }

  go(): this {
    this.#child.stdin?.write('go\n');
    return this;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** The clock of the openers. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** What became of two numbers of opens at once. */
export function together(one: Opened, other: Opened): Opened {
  const firstMs = Math.min(one.lastMs - one.drainMs, other.lastMs - other.drainMs);
  const lastMs = Math.max(one.lastMs, other.lastMs);
  return {
    waitsMs: [...one.waitsMs, ...other.waitsMs],
    errnos: [...one.errnos, ...other.errnos],
    longestMs: Math.max(one.longestMs, other.longestMs),
    allowed: one.allowed + other.allowed,
    denied: one.denied + other.denied,
    lastMs,
    drainMs: lastMs - firstMs,
    controlMs: Math.max(one.controlMs, other.controlMs),
  };
}

/** Compiles c/openers.c; undefined where there is no C compiler. */
export function compileOpeners(): string | undefined {
  const program = join(mkdtempSync(join(tmpdir(), 'fanotify-openers-')), 'openers');
  spawnSync('cc', ['-O1', '-pthread', '-o', program, OPENERS], { stdio: 'inherit' });
  return existsSync(program) ? program : undefined;
}

function parse(output: string): Opened {
  const rows = [...output.matchAll(/^(\d+) (\d+) (\d+)$/gm)].map((row) => row.slice(1).map(Number));
  const waitsMs = rows.map(([start = 0, end = 0]) => (end - start) / 1000);
  const ends = rows.map(([, end = 0]) => end / 1000);
  const [, allowed, denied] = /^total (\d+) (\d+)$/m.exec(output) ?? [];
  const firstMs = ends.reduce((least, end) => Math.min(least, end), Number.POSITIVE_INFINITY);
  const lastMs = max(ends);
  return {
    waitsMs,
    errnos: rows.map(([, , errno = 0]) => errno),
    longestMs: max(waitsMs),
    allowed: Number(allowed ?? 0),
    denied: Number(denied ?? 0),
    lastMs,
    drainMs: lastMs - firstMs,
    controlMs: Number(/^control (\d+)$/m.exec(output)?.[1] ?? 0) / 1000,
  };
}

function max(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}
