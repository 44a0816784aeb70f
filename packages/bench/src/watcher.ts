// Talks with a watcher that is measured: starts it in the tree that it watches, asks it, waits until it has nothing left to do.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { type Contestant, identity } from './contestant.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { BenchError } from './error.ts';
import { treeCpuNs, treeOf } from './processes.ts';
import type { Room } from './room.ts';

const READY_MS = 180_000;
const ANSWER_MS = 30_000;
const LOOK_MS = 100;
/** Who uses less of a core than this has nothing to do. */
const IDLE_SHARE = 0.05;

/** What a watcher says of itself. */
export interface Answer {
  /** Events so far. */
  readonly events: number;
  /** Why there will be no more. */
  readonly ended?: string;
  /** What only this watcher can say. */
  readonly own: Readonly<Record<string, number>>;
}

export interface Ready {
  /** From the call that watches until it said that it was ready. */
  readonly readyMs: number;
  /** How long its library took to load. */
  readonly importMs: number;
  /** From the start of the process. */
  readonly startMs: number;
}

export class Watcher {
  readonly name: string;
  readonly pid: number;
  readonly ready: Ready;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #said: () => string;
  readonly #daemon: Daemon | undefined;

  private constructor(
    name: string,
    child: ChildProcess,
    lines: AsyncIterator<string>,
    ready: Ready,
    said: () => string,
    daemon: Daemon | undefined,
  ) {
    this.name = name;
    this.pid = child.pid ?? 0;
    this.ready = ready;
    this.#child = child;
    this.#lines = lines;
    this.#said = said;
    this.#daemon = daemon;
  }

  /**
   * Starts a contestant that watches a directory.
   *
   * @throws BenchError when it ends, or is not ready within minutes.
   */
  static async start(
    { name, command, user, daemon: isServed }: Contestant,
    room: Room,
    directory: string,
  ): Promise<Watcher> {
    const [program = '', ...args] = command;
    const daemon = isServed ? await startDaemon() : undefined;
    const began = performance.now();
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', ...(user === undefined ? [] : identity(user)), program, ...args],
      {
        cwd: directory,
        // Others are to find none.
        env: { ...process.env, TMPDIR: room.temporary, FANOTIFY_SOCKET: daemon?.socket ?? '/dev/null' },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    let error = '';
    child.stderr.on('data', (chunk: Buffer) => {
      error = `${error}${chunk.toString('utf8')}`.slice(-2000);
    });
    // It may be gone when it is asked.
    child.stdin.on('error', () => undefined);
    const lines: Interface = createInterface({ input: child.stdout });
    const iterator = lines[Symbol.asyncIterator]();
    try {
      const said = () => gistOf(error);
      const line = await answered(iterator, READY_MS, () => new BenchError(`${name} did not get ready: ${said()}`));
      const ready = { ...(JSON.parse(line) as Omit<Ready, 'startMs'>), startMs: performance.now() - began };
      return new Watcher(name, child, iterator, ready, said, daemon);
    } catch (failure) {
      endAll(child.pid);
      daemon?.end();
      throw failure;
    }
  }

  /** Asks something, and waits for the answer. */
  async ask(question: string, timeoutMs = ANSWER_MS): Promise<Answer> {
    this.#child.stdin?.write(`${question}\n`);
    const failed = () => new BenchError(`${this.name} gave no answer to '${question.split(' ')[0]}': ${this.#said()}`);
    return JSON.parse(await answered(this.#lines, timeoutMs, failed)) as Answer;
  }

  /**
   * Waits until no event has come for so long, and next to no CPU was used; at most for the second time. Returns how long it took
   * until that began, and undefined when it never did.
   */
  async settle(quietMs: number, atMostMs: number): Promise<number | undefined> {
    const began = performance.now();
    let quietSince = began;
    let [events, cpuNs] = [-1, treeCpuNs(this.pid)];
    for (let looked = began; looked - began < atMostMs; ) {
      await delay(LOOK_MS);
      const answer = await this.ask('events', atMostMs + ANSWER_MS);
      const [now, nowNs] = [performance.now(), treeCpuNs(this.pid)];
      const isIdle = answer.events === events && (nowNs - cpuNs) / 1e6 < (now - looked) * IDLE_SHARE;
      if (answer.ended !== undefined) return undefined;
      if (!isIdle) quietSince = now;
      else if (now - quietSince >= quietMs) return quietSince - began;
      [events, cpuNs, looked] = [answer.events, nowNs, now];
    }
    return undefined;
  }

  /** Stops or continues it with all that it has started. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of treeOf(this.pid)) process.kill(pid, signal);
  }

  end(): void {
    endAll(this.#child.pid);
    this.#daemon?.end();
  }
}

/** The line of a trace that says what is wrong, or the last one. */
function gistOf(error: string): string {
  const lines = error.trim().split('\n');
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? '';
}

function endAll(pid: number | undefined): void {
  if (pid === undefined) return;
  for (const one of treeOf(pid)) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // Gone by itself.
    }
  }
}

async function answered(lines: AsyncIterator<string>, timeoutMs: number, otherwise: () => Error): Promise<string> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).then((): never => {
    throw otherwise();
  });
  try {
    const { value, done } = await Promise.race([lines.next(), late]);
    if (done) throw otherwise();
    return value;
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}
