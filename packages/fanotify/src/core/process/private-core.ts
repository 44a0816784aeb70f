// The core of this process alone, or of one of its worker threads: a child in a session of its own, which ends with its owner, or with the
// last of its groups.

import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { debuglog } from 'node:util';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { CallError } from '../errors.ts';

const PROGRAM = fileURLToPath(new URL('./core-main.js', import.meta.url));
const POLLIN = 1;
const POLLOUT = 4;
const POLLHUP = 16;
/** A start takes a tenth of a second on an idle machine. */
const START_MS = 30_000;

/** What the core says when it has started. */
export interface CoreGreeting {
  readonly errno: number;
  readonly reason: string;
}

let current: PrivateCore | undefined;

/** The core of this process, started when there is none; {@link PrivateCore.release} gives it back. */
export function privateCore(kernel: Kernel): PrivateCore {
  if (!current?.isRunning) current = new PrivateCore(kernel);
  current.users++;
  return current;
}

export class PrivateCore {
  /** How many groups there are. */
  users = 0;
  readonly #kernel: Kernel;
  readonly #control: number;
  readonly #child: ChildProcess;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const [control, theirs] = kernel.socketPair();
    this.#control = control;
    const { NODE_OPTIONS: _, NODE_CHANNEL_FD: __, ...env } = process.env;
    // Its own output could block it. NODE_DEBUG=fanotify shows it all the same.
    const errors = debuglog('fanotify').enabled ? 'inherit' : 'ignore';
    try {
      this.#child = spawn(process.execPath, [PROGRAM, String(process.pid)], {
        detached: true,
        cwd: '/',
        env,
        // A worker thread that ends, or is ended, leaves all open but what Node has opened for it: the pipe.
        stdio: ['pipe', errors, errors, theirs],
      });
    } catch (error) {
      kernel.close(control);
      throw error;
    } finally {
      kernel.close(theirs);
    }
    this.#child.unref();
    this.#child.once('error', () => undefined);
    const { stdin } = this.#child;
    if (stdin instanceof Socket) stdin.unref();
    stdin?.on('error', () => undefined);
    try {
      this.#greet();
    } catch (error) {
      kernel.close(control);
      stdin?.destroy();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    const entry = { fd: this.#control, events: POLLIN, revents: 0 };
    return this.users > 0 && this.#kernel.poll([entry], 0) === 0;
  }

  /** The sockets of a new group: for requests and events, and for answers. */
  connect(): { readonly fd: number; readonly answers: number } {
    const [fd, theirs] = this.#kernel.socketPair();
    const [answers, theirAnswers] = this.#kernel.socketPair();
    try {
      this.#send(Buffer.of(1), [theirs, theirAnswers]);
      return { fd, answers };
    } catch (error) {
      this.#kernel.close(fd);
      this.#kernel.close(answers);
      throw error;
    } finally {
      this.#kernel.close(theirs);
      this.#kernel.close(theirAnswers);
    }
  }

  /** A group is closed. With the last the core ends. */
  release(): void {
    if (--this.users > 0) return;
    this.#kernel.close(this.#control);
    this.#child.stdin?.destroy();
  }

  /** What to throw when it is gone. */
  ended(): CallError {
    return new CallError(
      'ECONNRESET',
      `the core (process ${this.pid}) has ended: the kernel has allowed what it held, and this group hears nothing any more; close it and open another`,
    );
  }

  #send(message: Buffer, descriptors: readonly number[]): void {
    for (;;) {
      try {
        this.#kernel.sendMessage(this.#control, message, descriptors);
        return;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code !== 'EAGAIN') throw this.ended();
      }
      this.#kernel.poll([{ fd: this.#control, events: POLLOUT, revents: 0 }], START_MS);
    }
  }

  /** Waits until it has started. */
  #greet(): void {
    const entry = { fd: this.#control, events: POLLIN, revents: 0 };
    const buffer = Buffer.alloc(4096);
    const isReady = this.#kernel.poll([entry], START_MS) > 0;
    const bytes = isReady ? this.#receive(buffer) : 0;
    if (bytes === 0) {
      throw new CallError(
        'ECONNRESET',
        `the core ${isReady || (entry.revents & POLLHUP) !== 0 ? 'ended before it was ready' : 'does not start'} (NODE_DEBUG=fanotify shows what it says)`,
      );
    }
    const { errno, reason } = JSON.parse(buffer.toString('utf8', 0, bytes)) as CoreGreeting;
    if (errno !== 0) throw new CallError(errno, reason);
  }

  #receive(buffer: Buffer): number {
    try {
      return this.#kernel.receiveMessage(this.#control, buffer, true).bytes;
    } catch (error) {
      if (error instanceof KernelError) return 0;
      throw error;
    }
  }
}
