// Listeners over `fanotify/syscalls`, in this process, and accesses by others. Nothing is waited for but events, and never for long.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FANOTIFY_STATISTICS, FANOTIFY_TIMEOUT, getsockopt, SOL_FANOTIFY, setsockopt } from 'fanotify/socket';
import {
  type CoreEvent,
  close,
  fanotify_init,
  fanotify_mark_path,
  fanotify_perm_response,
  read,
} from 'fanotify/syscalls';
import { onTestFinished } from 'vitest';
import {
  FAN_ALLOW,
  FAN_CLOEXEC,
  FAN_CLOSE_NOWRITE,
  FAN_CLOSE_WRITE,
  FAN_DENY,
  FAN_MARK_ADD,
  FAN_MODIFY,
  FAN_NOFD,
  FAN_NONBLOCK,
  FAN_OPEN,
  FAN_OPEN_EXEC,
  FAN_OPEN_PERM,
  FAN_Q_OVERFLOW,
  O_CLOEXEC,
  O_LARGEFILE,
  O_RDONLY,
} from '../../src/abi/index.ts';
import type { CallError } from '../../src/core/errors.ts';

const OWNER = fileURLToPath(new URL('./owner.mjs', import.meta.url));
const LONGEST_MS = 10_000;
const NAMES = [
  [FAN_OPEN_PERM, 'ask'],
  [FAN_OPEN, 'open'],
  [FAN_OPEN_EXEC, 'exec'],
  [FAN_MODIFY, 'modify'],
  [FAN_CLOSE_WRITE, 'closeWrite'],
  [FAN_CLOSE_NOWRITE, 'closeNowrite'],
  [FAN_Q_OVERFLOW, 'overflow'],
] as const;

type Verdict = 'allow' | 'deny' | 'wait';

/** Some listeners, and what they hear in the order in which they hear it. */
export class Listening {
  /** As "scanner ask file". */
  readonly log: string[] = [];
  readonly listeners: Listener[] = [];

  constructor() {
    onTestFinished(() => this.close());
  }

  /** @param eventFlags Those of its descriptors besides: what differs in them hears by a kernel group of its own. */
  open(name: string, priority = 0, init = 0n, flags = 0, eventFlags: number = O_RDONLY): Listener {
    const listener = new Listener(this, name, priority, init, flags, eventFlags);
    this.listeners.push(listener);
    return listener;
  }

  /** Lets all read, and decide, until it is so. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    const started = Date.now();
    for (;;) {
      for (const listener of this.listeners) listener.read();
      if (isSo()) return;
      if (Date.now() - started > LONGEST_MS) throw new Error(`too late: ${what}, but ${JSON.stringify(this.log)}`);
      await sleep(1);
    }
  }

  /** Lets all read, and decide, until somebody has done what he does. */
  async during<T>(doing: Promise<T>): Promise<T> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    doing.then(end, end);
    await this.until(() => isDone, 'somebody is still held');
    return doing;
  }

  /** Whether a program comes to a good end, while all decide. */
  async allows(program: string, ...args: string[]): Promise<boolean> {
    return this.during(succeeds(spawn(program, args, { stdio: 'ignore' })));
  }

  reads(path: string): Promise<boolean> {
    return this.allows('cat', path);
  }

  /** What was heard since, up to an event that is sure to come last. */
  async heard(listener: Listener, last: string): Promise<string[]> {
    await this.until(() => this.log.includes(`${listener.name} ${last}`), last);
    return this.log.splice(0);
  }

  close(): void {
    for (const listener of this.listeners.splice(0)) listener.close();
  }
}

export class Listener {
  readonly name: string;
  readonly fd: number;
  verdict: Verdict = 'allow';
  /** What it has been asked and has not answered. */
  readonly held: CoreEvent[] = [];
  readonly #all: Listening;
  #isClosed = false;

  constructor(all: Listening, name: string, priority: number, init: bigint, flags: number, eventFlags: number) {
    this.#all = all;
    this.name = name;
    this.fd = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK | flags, eventFlags | O_LARGEFILE | O_CLOEXEC, init, priority);
    this.waits(LONGEST_MS, 'allow');
  }

  waits(ms: number, policy: 'allow' | 'deny'): this {
    setsockopt(this.fd, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms, response: policy === 'allow' ? FAN_ALLOW : FAN_DENY });
    return this;
  }

  mark(path: string, mask: bigint, { ignored = 0n, flags = 0 } = {}): this {
    fanotify_mark_path(this.fd, FAN_MARK_ADD | flags, path, mask, ignored);
    return this;
  }

  get statistics() {
    return getsockopt(this.fd, SOL_FANOTIFY, FANOTIFY_STATISTICS);
  }

  answer({ cookie }: Pick<CoreEvent, 'cookie'>, verdict: 'allow' | 'deny'): void {
    fanotify_perm_response(this.fd, cookie, verdict === 'allow' ? FAN_ALLOW : FAN_DENY);
  }

  /** Reads what there is, answers it and notes it. */
  read(): void {
    for (const event of this.take()) {
      const path = event.fd === FAN_NOFD ? '' : readlinkSync(`/proc/self/fd/${event.fd}`);
      if (event.fd !== FAN_NOFD) close(event.fd);
      for (const [bit, name] of NAMES) {
        if ((event.mask & bit) !== 0n) this.#all.log.push(`${this.name} ${name} ${basename(path)}`.trim());
      }
      if (event.cookie === 0n) continue;
      if (this.verdict === 'wait') this.held.push(event);
      else this.answer(event, this.verdict);
    }
  }

  take(): CoreEvent[] {
    if (this.#isClosed) return [];
    const events: CoreEvent[] = [];
    for (;;) {
      try {
        events.push(...read(this.fd));
      } catch (error) {
        if ((error as CallError).code === 'EAGAIN') return events;
        throw error;
      }
    }
  }

  close(): void {
    if (!this.#isClosed) close(this.fd);
    this.#isClosed = true;
  }
}

export async function succeeds(child: ChildProcess): Promise<boolean> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

/** The process of this process's core. */
export function corePid(): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const isCore = stat.includes('(fanotify-core)') && !/\) Z /.test(stat);
      if (isCore && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === process.pid) return Number(name);
    } catch {
      // It has ended.
    }
  }
  throw new Error('there is no core');
}

/** The core's kernel marks of an inode, as /proc shows them: of what it asks, and of what it ignores. */
export function kernelMarks(ino: number): { readonly mask: number; readonly ignored: number }[] {
  const directory = `/proc/${corePid()}/fdinfo`;
  return readdirSync(directory).flatMap((fd) => {
    let text = '';
    try {
      text = readFileSync(join(directory, fd), 'latin1');
    } catch {
      // Closed meanwhile.
    }
    const marks = text.matchAll(/^fanotify ino:([0-9a-f]+) .*mask:([0-9a-f]+) ignored_mask:([0-9a-f]+)/gm);
    return [...marks]
      .filter(([, number = '']) => Number.parseInt(number, 16) === ino)
      .map(([, , mask = '', ignored = '']) => ({
        mask: Number.parseInt(mask, 16),
        ignored: Number.parseInt(ignored, 16),
      }));
  });
}

/** Stops the core while something is done, so that it learns of it afterwards. */
export async function unnoticed<T>(doing: () => Promise<T>): Promise<T> {
  const pid = corePid();
  process.kill(pid, 'SIGSTOP');
  try {
    return await doing();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

interface Told {
  readonly told: string;
  readonly mask: string;
  readonly path: string | undefined;
  readonly at: number;
  readonly isHeld: boolean;
  readonly lost: number;
}

/** An owner of groups that is another process. */
export class OtherOwner {
  readonly told: Told[] = [];
  readonly #child: ChildProcess;
  #stderr = '';

  private constructor(scenario: object, env: NodeJS.ProcessEnv, descriptors: number) {
    const command = [
      '-c',
      `ulimit -n ${descriptors} && exec "$@"`,
      'sh',
      process.execPath,
      OWNER,
      JSON.stringify(scenario),
    ];
    this.#child = spawn('sh', command, { env: { ...process.env, ...env }, stdio: 'pipe' });
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.told.push(JSON.parse(line) as Told);
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    onTestFinished(() => this.kill());
  }

  static async start(scenario: object, { env = {}, descriptors = 1024 } = {}): Promise<OtherOwner> {
    const owner = new OtherOwner(scenario, env, descriptors);
    await owner.until(() => owner.told.some(({ told }) => told === 'ready'));
    return owner;
  }

  async until(isSo: () => boolean): Promise<void> {
    const started = Date.now();
    while (!isSo()) {
      if (this.#child.exitCode !== null || Date.now() - started > LONGEST_MS) {
        throw new Error(
          `the owner has not told that: ${JSON.stringify(this.told.map(({ mask, path, lost }) => `${mask} ${path?.slice(-5)} ${lost}`))} ${this.#stderr}`,
        );
      }
      await sleep(2);
    }
  }

  go(): void {
    this.#child.stdin?.write('go\n');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
