// Watchers in processes of their own, so that each has the privilege, and the kernel, that a test gives it.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import type { Event, Options } from '../../../src/parcel-watcher.ts';

const PROGRAM = join(import.meta.dirname, 'watcher-process.mjs');
const NOBODY = 65_534;
const DEADLINE_MS = 15_000;
export const NUDGE_MS = 500;
const isRoot = process.getuid?.() === 0;

/** A way to watch. */
export interface Contestant {
  readonly name: string;
  readonly module: string;
  readonly asNobody?: boolean;
  /** Whether what came while it was telling may wait until something else happens. */
  readonly withholds?: boolean;
  /** What is started in front of Node, with its arguments. */
  readonly launcher?: readonly string[];
  /** Arguments of Node. */
  readonly node?: readonly string[];
}

export const ORIGINAL: Contestant = { name: '@parcel/watcher', module: '@parcel/watcher', withholds: true };
const OURS = 'fanotify/parcel-watcher';
const AS_ROOT: Contestant = { name: 'fanotify/parcel-watcher as root', module: OURS };
const AS_NOBODY: Contestant = { name: 'fanotify/parcel-watcher as an ordinary user', module: OURS, asNobody: true };
export const ALL_OURS: readonly Contestant[] = isRoot ? [AS_ROOT, AS_NOBODY] : [AS_NOBODY];
export const ALL: readonly Contestant[] = [ORIGINAL, ...ALL_OURS];

/** What holds for each. @parcel/watcher now and then loses what comes while it tells something: it may try again. */
export function describeAll(expectations: (contestant: Contestant) => void): void {
  for (const contestant of ALL) {
    describe(contestant.name, { retry: contestant.withholds ? 2 : 0 }, () => expectations(contestant));
  }
}

/** An error, as the other process had it. */
export class ErrorThere extends Error {
  readonly code: string | undefined;
  readonly nameThere: string;
  constructor({ name, code, message }: Described) {
    super(message);
    this.nameThere = name;
    this.code = code;
  }
}

interface Described {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
}

interface Message {
  readonly ready?: string[];
  readonly answered?: number;
  readonly value?: unknown;
  readonly told?: number;
  readonly error?: Described | null;
  readonly events?: Event[];
  readonly warning?: { code?: string; message: string };
  readonly uncaught?: Described;
}

/** A process that watches. */
export class WatcherProcess {
  readonly warnings: { code?: string; message: string }[] = [];
  readonly uncaught: Described[] = [];
  /** What the module exports. */
  exports: readonly string[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #recordings = new Map<number, Recording>();
  #last = 0;

  readonly withholds: boolean;

  private constructor(child: ChildProcess, withholds: boolean) {
    this.#child = child;
    this.withholds = withholds;
    child.on('message', (message) => this.#take(message as Message));
  }

  static async start({
    module,
    asNobody,
    withholds = false,
    launcher = [],
    node = [],
  }: Contestant): Promise<WatcherProcess> {
    const [program = process.execPath, ...args] = [...launcher, process.execPath, ...node, PROGRAM, module];
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      cwd: '/',
      ...(asNobody && isRoot && { uid: NOBODY, gid: NOBODY }),
    });
    const watcher = new WatcherProcess(child, withholds);
    await new Promise<void>((resolve, reject) => {
      child.once('message', (message) => {
        watcher.exports = (message as Message).ready ?? [];
        resolve();
      });
      child.once('exit', (code) => reject(new Error(`${module} could not be loaded (${code})`)));
    });
    return watcher;
  }

  async subscribe(directory: string, options?: Options, number: number = ++this.#last): Promise<Recording> {
    const recording = this.#recordings.get(number) ?? new Recording(this, number, directory);
    this.#recordings.set(number, recording);
    await this.#call('subscribe', directory, number, { backend: 'inotify', ...options });
    return recording;
  }

  async unsubscribe(directory: string, { number }: Recording, options?: Options): Promise<unknown> {
    return await this.#call('unsubscribe', directory, number, { backend: 'inotify', ...options });
  }

  async end({ number }: Recording): Promise<void> {
    await this.#call('end', number);
  }

  async writeSnapshot(directory: string, path: string, options?: Options): Promise<unknown> {
    return await this.#call('writeSnapshot', directory, path, { backend: 'inotify', ...options });
  }

  /** Events as lines: `create a/b`. */
  async since(directory: string, path: string, options?: Options): Promise<string[]> {
    const events = await this.#call('getEventsSince', directory, path, { backend: 'inotify', ...options });
    return (events as Event[]).map((event) => line(directory, event)).sort();
  }

  /** A call that types forbid. */
  async wrong(name: string, ...args: unknown[]): Promise<unknown> {
    return await this.#call('wrong', name, args);
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return resolve();
      this.#child.once('exit', () => resolve());
      this.#child.kill('SIGKILL');
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  #call(call: string, ...args: unknown[]): Promise<unknown> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ error, value }) => (error ? reject(new ErrorThere(error)) : resolve(value)));
      this.#child.once('exit', (code, signal) => reject(new Error(`ended: ${code ?? signal}`)));
      this.#child.send({ id, call, args });
    });
  }

  #take(message: Message): void {
    const { answered, told, warning, uncaught } = message;
    if (answered !== undefined) this.#answers.get(answered)?.(message);
    if (told !== undefined) this.#recordings.get(told)?.take(message.error ?? null, message.events ?? []);
    if (warning) this.warnings.push(warning);
    if (uncaught) this.uncaught.push(uncaught);
    for (const recording of this.#recordings.values()) recording.wake();
  }
}

let ends = 0;

/** Makes something happen in a directory, if it is there. */
export function nudgeIn(directory: string): void {
  if (existsSync(directory)) writeFileSync(join(directory, `~end${++ends}`), '');
}

/** What a subscription was told. */
export class Recording {
  readonly number: number;
  readonly batches: Event[][] = [];
  readonly errors: Described[] = [];
  readonly #watcher: WatcherProcess;
  readonly #directory: string;
  #wake: () => void = () => undefined;
  #taken = 0;

  constructor(watcher: WatcherProcess, number: number, directory: string) {
    this.#watcher = watcher;
    this.number = number;
    this.#directory = directory;
  }

  take(error: Described | null, events: Event[]): void {
    if (error) this.errors.push(error);
    else this.batches.push(events);
  }

  wake(): void {
    this.#wake();
  }

  /** Resolves when what was told fits. */
  async until(fits: (recording: this) => boolean, what = 'what was waited for'): Promise<void> {
    const nudge = this.#watcher.withholds ? setInterval(() => nudgeIn(this.#directory), NUDGE_MS) : undefined;
    const deadline = Date.now() + DEADLINE_MS;
    try {
      while (!fits(this)) {
        const leftMs = deadline - Date.now();
        if (leftMs <= 0) throw new Error(`${what} did not come: ${JSON.stringify(this.batches.slice(-20))}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, leftMs);
          this.#wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } finally {
      clearInterval(nudge);
    }
  }

  /** All that was told so far, in lines: `create a/b`. */
  get lines(): string[] {
    return this.batches.flat().map((event) => line(this.#directory, event));
  }

  /**
   * What was told since the last time, when a file that is made now has been told: `create a/b`, one a path, by path. So many calls as it
   * took become one.
   */
  async now(): Promise<string[]> {
    const end = `~end${++ends}`;
    writeFileSync(join(this.#directory, end), '');
    await this.until(({ lines }) => lines.includes(`create ${end}`), end);
    const batches = this.batches.slice(this.#taken);
    this.#taken = this.batches.length;
    return folded(batches.flat().map((event) => line(this.#directory, event))).filter((text) => !text.includes('~end'));
  }

  async end(): Promise<void> {
    await this.#watcher.end(this);
  }
}

function line(directory: string, { type, path }: Event): string {
  return `${type} ${path === directory ? '.' : path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path}`;
}

/** Several events of a path are one, as in one batch. */
function folded(lines: readonly string[]): string[] {
  const last = new Map<string, string>();
  for (const text of lines) {
    const type = text.slice(0, text.indexOf(' '));
    const path = text.slice(type.length + 1);
    const before = last.get(path);
    if (before === undefined) last.set(path, type);
    else if (before === 'create' && type === 'delete') last.delete(path);
    else if (before === 'delete' && type === 'create') last.set(path, 'update');
    else if (before !== 'create') last.set(path, type);
  }
  return [...last].map(([path, type]) => `${type} ${path}`).sort((a, b) => (rest(a) < rest(b) ? -1 : 1));
}

const rest = (text: string) => text.slice(text.indexOf(' '));
