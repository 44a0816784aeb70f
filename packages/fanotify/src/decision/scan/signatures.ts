// Asks clamd which signatures it has, now and then: what it found clean by others may not be clean any more. Never waits.

import { type Kernel, KernelError, type PollEntry } from '../../kernel/index.ts';
import { connectTo } from './connect.ts';
import { DESCRIBE, describedSignatures } from './protocol.ts';

const POLLIN = 1;
const READ_BYTES = 16 * 1024;
/** The answer has a line for each thread. */
const MOST_BYTES = 256 * 1024;
/** How soon a reload of the signatures is noticed. */
const EVERY_MS = 10_000;
/** It is asked again when it does not answer in so long. */
const ANSWER_MS = 10_000;

export class Signatures {
  readonly #kernel: Kernel;
  readonly #path: string;
  readonly #changed: () => void;
  readonly #entry: { fd: number; readonly events: number; revents: number } = { fd: -1, events: POLLIN, revents: 0 };
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #answer = '';
  #identity: string | undefined;
  #version: string | null = null;
  /** When to ask, or to give up asking: clock.ts. */
  #dueMs = Number.POSITIVE_INFINITY;
  readonly #keepMs: number;
  /** When what clamd does not tell of may have changed: clock.ts. */
  #staleMs: number;

  /**
   * @param keepMs For how long they are taken for the same at most.
   * @param changed The signatures are others than they were, or may be.
   */
  constructor(kernel: Kernel, path: string, keepMs: number, nowMs: number, changed: () => void) {
    this.#kernel = kernel;
    this.#path = path;
    this.#changed = changed;
    this.#keepMs = keepMs;
    this.#staleMs = nowMs + keepMs;
  }

  /** For poll(2): its descriptor is -1 while nothing is asked. */
  get entry(): PollEntry {
    return this.#entry;
  }

  get nextDueMs(): number {
    return Math.min(this.#dueMs, this.#staleMs);
  }

  /** What clamd calls its version and that of its signatures; null before it has said so. */
  get version(): string | null {
    return this.#version;
  }

  /** Asks now. */
  ask(nowMs: number): void {
    this.#close();
    this.#dueMs = nowMs + ANSWER_MS;
    try {
      this.#entry.fd = connectTo(this.#kernel, this.#path);
      this.#kernel.sendMessage(this.#entry.fd, DESCRIBE);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Whether there is a clamd is told by the session.
      this.#close();
    }
  }

  /** Asks no more until it is told to. */
  stop(): void {
    this.#close();
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  attend(nowMs: number): void {
    if (this.#entry.fd >= 0 && this.#entry.revents !== 0) this.#read(nowMs);
    if (this.#dueMs <= nowMs) this.ask(nowMs);
    if (this.#staleMs <= nowMs) this.#change(nowMs);
  }

  #read(nowMs: number): void {
    this.#entry.revents = 0;
    try {
      const length = this.#kernel.read(this.#entry.fd, this.#buffer);
      this.#answer += this.#buffer.toString('latin1', 0, length);
      if (length > 0 && this.#answer.length < MOST_BYTES) return;
      this.#understand(nowMs);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN') return;
    }
    this.#close();
    this.#dueMs = nowMs + EVERY_MS;
  }

  #understand(nowMs: number): void {
    const described = describedSignatures(this.#answer);
    if (!described) return;
    this.#version = described.version;
    const before = this.#identity;
    this.#identity = described.identity;
    if (before !== undefined && before !== described.identity) this.#change(nowMs);
  }

  #change(nowMs: number): void {
    this.#staleMs = nowMs + this.#keepMs;
    this.#changed();
  }

  #close(): void {
    if (this.#entry.fd >= 0) this.#kernel.close(this.#entry.fd);
    this.#entry.fd = -1;
    this.#entry.revents = 0;
    this.#answer = '';
  }
}
