// The real daemon as a process of its own, with a configuration in a directory of its own; and clients of it, as users of a test's choice.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { askStatus } from '../../src/admin.ts';
import type { DaemonStatus } from '../../src/status.ts';

export const COMMAND = join(import.meta.dirname, '../../bin/fanotifyd.cjs');
const PEER = join(import.meta.dirname, 'peer.mjs');
const DEADLINE_MS = 15_000;
const LOOK_AGAIN_MS = 25;

/** Brokers own groups with descriptors: root's alone. */
export const canServe: boolean =
  process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true'], { stdio: 'ignore' }).status === 0;
export const hasCompiler: boolean = spawnSync('cc', ['--version']).status === 0;
/** Users that need not be in any file. */
export const USER = 12_345;
export const OTHER_USER = 23_456;

/** Waits for something, looking again and again: for what nothing wakes. */
export async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  const started = Date.now();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() - started > DEADLINE_MS) throw new Error(`too late: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** When what was begun is to be cleaned away: at the end of the test, or as `afterAll` of all. */
type WhenOver = (clean: () => Promise<void>) => void;

/** A child process, with what it says. */
export class Program {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  constructor(
    command: readonly string[],
    options: Parameters<typeof spawn>[2] = {},
    whenOver: WhenOver = onTestFinished,
  ) {
    const [program = '', ...args] = command;
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    this.child.stdin?.on('error', () => undefined);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => resolve({ code, signal }));
    });
    whenOver(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Whole lines of its output. */
  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  async says(text: string | RegExp): Promise<void> {
    await until(() => {
      if (this.stderr.match(text)) return true;
      if (this.child.exitCode !== null) throw new Error(`it has ended: ${this.stderr}`);
      return undefined;
    }, `${text} in ${this.stderr}`);
  }
}

export interface DaemonOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** What goes before `node`. */
  readonly before?: readonly string[];
  readonly whenOver?: WhenOver;
}

export class RunningDaemon extends Program {
  readonly directory: string;

  private constructor(directory: string, { env = {}, before = [], whenOver }: DaemonOptions) {
    const command = [...before, process.execPath, COMMAND, '--config', join(directory, 'fanotifyd.yaml')];
    super(command, { env: { ...process.env, ...env } }, whenOver);
    this.directory = directory;
  }

  /** Starts one that is to fail, or that says by itself when it is ready. */
  static begin(
    config = '',
    options: DaemonOptions = {},
    directory = scratchDirectory(options.whenOver),
  ): RunningDaemon {
    configure(directory, config);
    return new RunningDaemon(directory, options);
  }

  /** Starts one, and waits until it serves. */
  static async start(config = '', options: DaemonOptions = {}): Promise<RunningDaemon> {
    const daemon = RunningDaemon.begin(config, options);
    await daemon.says('info: serving at');
    return daemon;
  }

  get socket(): string {
    return join(this.directory, 'socket');
  }

  get admin(): string {
    return join(this.directory, 'admin');
  }

  status(): Promise<DaemonStatus> {
    return askStatus(this.admin);
  }

  /** The process of a broker. */
  async broker(kind: 'descriptors' | 'names'): Promise<number> {
    const { brokers } = await this.status();
    return brokers.find((broker) => broker.kind === kind)?.pid ?? 0;
  }
}

export function scratchDirectory(whenOver: WhenOver = onTestFinished): string {
  const directory = mkdtempSync(join(tmpdir(), 'fanotifyd-'));
  chmodSync(directory, 0o755);
  whenOver(async () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes the configuration, which begins with where the sockets are. */
export function configure(directory: string, config: string): void {
  const places = `version: 1\nsocket: { path: ${directory}/socket }\nadmin: ${directory}/admin\n`;
  writeFileSync(join(directory, 'fanotifyd.yaml'), places + config, { mode: 0o644 });
}

/** What a connection of a peer was told. */
export interface Heard {
  readonly connection: number;
  readonly answer?: { readonly number: number; readonly errno: number; readonly text: string };
  readonly ended?: string;
  readonly failed?: string;
}

/** A process of a user that connects. */
export class Peer extends Program {
  private constructor(socket: string, uid: number, gid: number) {
    super([process.execPath, PEER, socket], { uid, gid });
  }

  static async start(socket: string, uid: number, gid: number = uid): Promise<Peer> {
    const peer = new Peer(socket, uid, gid);
    await until(() => (peer.lines.length > 0 ? true : undefined), `a client of user ${uid}: ${peer.stderr}`);
    return peer;
  }

  /** Makes connections that say these frames; that go when they are refused, unless they `stay`. */
  connect(frames: readonly Uint8Array[], { count = 1, stays = false } = {}): void {
    const hex = frames.map((frame) => Buffer.from(frame).toString('hex'));
    this.child.stdin?.write(`${JSON.stringify({ count, frames: hex, leaves: !stays })}\n`);
  }

  get heard(): Heard[] {
    return this.lines.slice(1).map((line) => JSON.parse(line) as Heard);
  }

  /** Resolves when it has heard so much. */
  hears(count: number): Promise<Heard[]> {
    return until(() => {
      const { heard } = this;
      return heard.length >= count ? heard : undefined;
    }, `${count} things heard by a client: ${this.stdout}${this.stderr}`);
  }
}
