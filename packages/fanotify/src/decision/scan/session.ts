// One connection to clamd over which files are scanned: several at a time, each answered as it is done. Never waits.

import { type Credentials, type Kernel, KernelError, type PollEntry } from '../../kernel/index.ts';
import { connectTo } from './connect.ts';
import { GREETING, PING, type Reply, ReplyReader, SCAN } from './protocol.ts';

const POLLIN = 1;
const POLLOUT = 4;
const READ_BYTES = 16 * 1024;
/** The command that {@link GREETING} ends with. */
const GREETING_PING = 1;
/** Silent for so long, a session is asked for a sign of life: clamd closes those that say nothing (`ReadTimeout`, 120 s). */
const QUIET_MS = 10_000;
/** The same while something is being scanned. */
const BUSY_QUIET_MS = 2_000;
/** A sign of life takes no longer, unless clamd is stopped. */
const PONG_MS = 5_000;

/** Why there is no session. */
export type Loss =
  /** Nobody listens, or not to us. */
  | { readonly why: 'refused'; readonly message: string }
  /** It was closed, or says nothing any more: it may be back at once. */
  | { readonly why: 'lost'; readonly message: string }
  | { readonly why: 'nonsense'; readonly message: string };

/** What a session tells, from within {@link ClamdSession.attend}. */
export interface SessionListener {
  /** It has answered for the first time: from now on it scans. Returns why it must not, if it must not. */
  greeted(sender: Credentials): string | undefined;
  answered(id: number, reply: Extract<Reply, { kind: 'clean' | 'found' | 'error' }>): void;
}

export class ClamdSession {
  readonly #kernel: Kernel;
  readonly #path: string;
  readonly #listener: SessionListener;
  readonly #entry: { fd: number; events: number; revents: number } = { fd: -1, events: POLLIN, revents: 0 };
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #replies = new ReplyReader((reply) => this.#hear(reply));
  /** Commands that were sent. */
  #sent = 0;
  #isGreeted = false;
  #sender: Credentials | undefined;
  /** When something was last heard, or the connection made: clock.ts. */
  #heardMs = 0;
  /** Since when a sign of life is waited for. */
  #pingedMs: number | undefined;
  #loss: Loss | undefined;
  /** Scans that are not answered. */
  #scanning = 0;

  constructor(kernel: Kernel, path: string, listener: SessionListener) {
    this.#kernel = kernel;
    this.#path = path;
    this.#listener = listener;
  }

  /** For poll(2): its descriptor is -1 while there is no connection. */
  get entry(): PollEntry {
    return this.#entry;
  }

  get isOpen(): boolean {
    return this.#entry.fd >= 0;
  }

  /** Whether it scans. */
  get isReady(): boolean {
    return this.isOpen && this.#isGreeted;
  }

  /** How many scans clamd has been given and not answered. */
  get scanning(): number {
    return this.#scanning;
  }

  /** When {@link attend} has to be called, whatever happens: clock.ts. */
  get nextDueMs(): number {
    if (!this.isOpen) return Number.POSITIVE_INFINITY;
    // Who answers anything is alive, though it may not read for a while.
    if (this.#pingedMs !== undefined) return Math.max(this.#pingedMs, this.#heardMs) + PONG_MS;
    return this.#heardMs + (this.#scanning > 0 ? BUSY_QUIET_MS : QUIET_MS);
  }

  /** Connects. What comes of it is told later. */
  connect(nowMs: number): Loss | undefined {
    this.close();
    try {
      this.#entry.fd = connectTo(this.#kernel, this.#path);
      this.#kernel.sendMessage(this.#entry.fd, GREETING);
    } catch (error) {
      this.close();
      return lossOf(error, this.#path);
    }
    this.#heardMs = nowMs;
    this.#pingedMs = nowMs;
    this.#sent = GREETING_PING;
    return undefined;
  }

  /**
   * Has a file scanned.
   *
   * @returns The number of the command, by which {@link SessionListener.answered} tells of it; undefined when there is no room for it
   * now, or no session any more: `attend` tells.
   */
  scan(fd: number, nowMs: number): number | undefined {
    if (this.#scanning === 0 && this.#pingedMs === undefined) this.#heardMs = nowMs;
    if (!this.#send(SCAN, [fd])) return undefined;
    this.#scanning++;
    return this.#sent;
  }

  /** Hears what is to be heard; returns what has become of the session if it has ended. Then it is closed. */
  attend(nowMs: number): Loss | undefined {
    if (!this.isOpen) return undefined;
    if (this.#entry.revents !== 0) {
      this.#entry.events = POLLIN;
      this.#read(nowMs);
    }
    if (!this.#loss && this.nextDueMs <= nowMs) {
      if (this.#pingedMs !== undefined) this.#loss = { why: 'lost', message: 'it says nothing' };
      else if (this.#send(PING)) this.#pingedMs = nowMs;
    }
    const loss = this.#loss;
    if (loss) this.close();
    return loss;
  }

  /** Ends it. What is being scanned is not answered any more. */
  close(): void {
    if (this.isOpen) this.#kernel.close(this.#entry.fd);
    this.#entry.fd = -1;
    this.#entry.events = POLLIN;
    this.#entry.revents = 0;
    this.#replies = new ReplyReader((reply) => this.#hear(reply));
    this.#isGreeted = false;
    this.#sender = undefined;
    this.#pingedMs = undefined;
    this.#loss = undefined;
    this.#scanning = 0;
  }

  #read(nowMs: number): void {
    try {
      let length: number;
      if (this.#isGreeted) length = this.#kernel.read(this.#entry.fd, this.#buffer);
      else {
        const message = this.#kernel.receiveMessage(this.#entry.fd, this.#buffer, true);
        for (const fd of message.descriptors) this.#kernel.close(fd);
        length = message.bytes;
        this.#sender = message.sender;
      }
      if (length === 0) {
        const rest = this.#replies.rest;
        const message =
          rest === '' ? 'it closed the connection' : `it closed the connection after ${JSON.stringify(rest)}`;
        this.#loss = this.#isGreeted || rest === '' ? { why: 'lost', message } : { why: 'nonsense', message };
        return;
      }
      this.#heardMs = nowMs;
      this.#replies.push(this.#buffer.subarray(0, length));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== 'EAGAIN') this.#loss = lossOf(error, this.#path);
    }
  }

  #hear(reply: Reply): void {
    if (this.#loss) return;
    switch (reply.kind) {
      case 'pong':
        this.#pingedMs = undefined;
        if (!this.#isGreeted) this.#greet();
        break;
      case 'ended':
        this.#loss = { why: 'lost', message: reply.message };
        break;
      case 'nonsense':
        this.#loss = { why: 'nonsense', message: `it answers ${JSON.stringify(reply.text)}` };
        break;
      default:
        if (!this.#isGreeted || reply.id > this.#sent) {
          this.#loss = { why: 'nonsense', message: `it answers what it was not asked (${reply.id})` };
          break;
        }
        this.#scanning--;
        this.#listener.answered(reply.id, reply);
    }
  }

  #greet(): void {
    const why = this.#sender ? this.#listener.greeted(this.#sender) : 'the kernel does not say who answers';
    if (why === undefined) this.#isGreeted = true;
    else this.#loss = { why: 'refused', message: why };
  }

  /** False when there is no room, or no connection any more. */
  #send(bytes: Uint8Array, descriptors?: readonly number[]): boolean {
    try {
      this.#kernel.sendMessage(this.#entry.fd, bytes, descriptors);
      this.#sent++;
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN' || error.code === 'ETOOMANYREFS') this.#entry.events = POLLIN | POLLOUT;
      // What came before the end is still to be read: that tells of the end, too.
      return false;
    }
  }
}

function lossOf(error: unknown, path: string): Loss {
  if (!(error instanceof KernelError)) throw error;
  const at = JSON.stringify(path);
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { why: 'refused', message: `there is no socket ${at}` };
    case 'ECONNREFUSED':
      return { why: 'refused', message: `nobody listens at ${at}` };
    case 'EACCES':
    case 'EPERM':
      return { why: 'refused', message: `no privilege to connect to ${at}` };
    case 'EPROTOTYPE':
      return { why: 'refused', message: `${at} is a socket of another type` };
    // So many wait for it to accept them that it must be slow, or stopped.
    case 'EAGAIN':
      return { why: 'lost', message: 'it does not accept connections' };
    case 'EPIPE':
    case 'ECONNRESET':
      return { why: 'lost', message: 'it closed the connection' };
    default:
      return { why: 'refused', message: `${error.syscall} of ${at}: ${error.code}` };
  }
}
