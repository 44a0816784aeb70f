// What a broker has to say to the daemon's main process: sent when nobody waits for anything else, and never waited for.

import { type Kernel, KernelError } from '../kernel/index.ts';
import { Allowance } from './allowance.ts';
import type { News } from './control.ts';

/** So many lines for the log wait at most; more are dropped, and counted. */
const MOST_LOGS = 256;
/** So much else waits at most before no more orders are read. */
const MOST_WAITING = 64;
/** Lines about what clients did wrong: so many a second, and at a stretch. */
const COMPLAINTS_PER_SECOND = 1;
const MOST_COMPLAINTS = 20;

export class NewsDesk {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #complaints: Allowance;
  #waiting: News[] = [];
  #logs = 0;
  #dropped = 0;
  #unsaid = 0;
  /** The main process has room for no more now. */
  isBlocked = false;

  constructor(kernel: Kernel, fd: number, nowMs: number) {
    this.#kernel = kernel;
    this.#fd = fd;
    this.#complaints = new Allowance(COMPLAINTS_PER_SECOND, nowMs, MOST_COMPLAINTS);
  }

  /** Whether so much waits that whoever asks for more is not to be heard. */
  get isFull(): boolean {
    return this.#waiting.length - this.#logs >= MOST_WAITING;
  }

  add(news: News): void {
    if (news.is === 'log') {
      if (this.#logs >= MOST_LOGS) {
        this.#dropped++;
        return;
      }
      this.#logs++;
    }
    this.#waiting.push(news);
  }

  /** Says for the log that a client has done something wrong, unless too many have lately. */
  complain(id: number, text: string, nowMs: number): void {
    if (!this.#complaints.take(nowMs)) {
      this.#unsaid++;
      return;
    }
    const others = this.#unsaid === 0 ? '' : ` (and ${this.#unsaid} such lines that were left out)`;
    this.#unsaid = 0;
    this.add({ is: 'log', level: 'warn', id, text: text + others });
  }

  /** Sends what waits, as far as there is room. False when nobody is there to read it. */
  flush(): boolean {
    if (this.isBlocked) return true;
    if (this.#dropped > 0 && this.#logs < MOST_LOGS) {
      const text = `${this.#dropped} lines were left out: the main process did not read them in time`;
      this.#dropped = 0;
      this.add({ is: 'log', level: 'warn', id: null, text });
    }
    let sent = 0;
    try {
      for (const news of this.#waiting) {
        this.#kernel.sendMessage(this.#fd, Buffer.from(JSON.stringify(news)));
        if (news.is === 'log') this.#logs--;
        sent++;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return false;
      this.isBlocked = true;
    }
    if (sent > 0) this.#waiting = this.#waiting.slice(sent);
    return true;
  }
}
