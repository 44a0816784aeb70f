// A clamd of a test's own: its signatures are made here, its socket is in a directory of its own, and it is gone when the test is. One that
// the machine runs is not touched.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PROGRAM = '/usr/sbin/clamd';
const START_MS = 15_000;

/** The user that clamd becomes, as Debian has it; undefined where there is no clamd. */
const USER = existsSync(PROGRAM) ? userOf('clamav') : undefined;

/** Whether this machine has what these tests need. */
export const hasClamd: boolean = USER !== undefined;

/** The EICAR test file: no malware, and found by every scanner. Put together here, so that this file is not. */
export const EICAR: string = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR', 'STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('-');
export const EICAR_NAME = 'Test.Eicar.UNOFFICIAL';
/** What the signature of {@link Clamd.learn} is of. */
export const WORM = 'what a worm would have in it';

export interface ClamdOptions {
  /** Lines of clamd.conf, besides those that it needs. */
  readonly lines?: readonly string[];
  /** Where its signatures are. */
  readonly databases?: string;
}

export class Clamd {
  readonly directory: string;
  readonly socket: string;
  readonly databases: string;
  #child: ChildProcess | undefined;

  private constructor(options: ClamdOptions) {
    this.directory = mkdtempSync(join(tmpdir(), 'fanotify-clamd-'));
    this.socket = join(this.directory, 'clamd.sock');
    this.databases = options.databases ?? join(this.directory, 'databases');
    mkdirSync(this.databases, { recursive: true });
    writeFileSync(join(this.databases, 'test.ndb'), signature('Test.Eicar', EICAR));
    for (const path of [this.directory, this.databases]) chownSync(path, USER?.uid ?? 0, USER?.gid ?? 0);
    const configuration = [
      'Foreground yes',
      `LocalSocket ${this.socket}`,
      `DatabaseDirectory ${this.databases}`,
      `LogFile ${join(this.directory, 'log')}`,
      `TemporaryDirectory ${this.directory}`,
      'User clamav',
      // It has one thread for each of these, and few are needed.
      'MaxThreads 4',
      ...(options.lines ?? []),
    ];
    writeFileSync(join(this.directory, 'clamd.conf'), `${configuration.join('\n')}\n`);
  }

  /** Starts one; resolves when it listens. */
  static async start(options: ClamdOptions = {}): Promise<Clamd> {
    const clamd = new Clamd(options);
    await clamd.start();
    return clamd;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it, or starts it again. */
  async start(): Promise<void> {
    const child = spawn(PROGRAM, ['--config-file', join(this.directory, 'clamd.conf')], { stdio: 'ignore' });
    this.#child = child;
    const until = Date.now() + START_MS;
    while (!(await this.#listens())) {
      if (child.exitCode !== null || Date.now() > until) {
        throw new Error(`clamd does not start: ${readFileSync(join(this.directory, 'log'), 'utf8')}`);
      }
      await sleep(10);
    }
  }

  /** Ends it by a signal, and waits until it has. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Gives it a signature of {@link WORM}, and of so much besides, and has it read all anew; resolves when it has. */
  async learn(besides: number): Promise<void> {
    writeFileSync(join(this.databases, 'worm.ndb'), signature('Test.Worm', WORM) + others(besides));
    const before = this.#log().split('Activating the newly loaded database').length;
    this.signal('SIGUSR2');
    await waitUntil(() => this.#log().split('Activating the newly loaded database').length > before);
  }

  /** Ends it, and removes what was made. */
  async dispose(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #log(): string {
    return readFileSync(join(this.directory, 'log'), 'utf8');
  }

  async #listens(): Promise<boolean> {
    const socket = connect(this.socket);
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }
}

/** Waits for something that is to come, and fails when it does not. */
export async function waitUntil(is: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const until = Date.now() + withinMs;
  while (!(await is())) {
    if (Date.now() > until) throw new Error(`it is not so within ${withinMs} ms: ${is}`);
    await sleep(20);
  }
}

/** Signatures of what nobody has: that clamd has read anew shows in the memory that its signatures take, to a kilobyte. */
function others(count: number): string {
  return Array.from({ length: count }, (_, number) =>
    signature(`Test.Other-${number}`, `nobody has ${number * 7919}`),
  ).join('');
}

/** A line of an .ndb file: name, any type of file, at any place, these bytes. */
function signature(name: string, text: string): string {
  return `${name}:0:*:${Buffer.from(text).toString('hex')}\n`;
}

function userOf(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const ids = ['-u', '-g'].map((option) => spawnSync('id', [option, name], { encoding: 'utf8' }).stdout.trim());
  const [uid, gid] = ids.map(Number);
  return uid && gid ? { uid, gid } : undefined;
}
