// When to try again to reach a daemon that has ended.

/** The first time soon: a service is started again at once. */
const FIRST_MS = 50;
const LONGEST_MS = 5_000;

/** Tries, in longer and longer intervals. */
export class Reconnection {
  readonly #attempt: () => boolean;
  readonly #socket: string;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = FIRST_MS;
  #keepsAlive = false;
  #isSaid = false;

  /** @param attempt True when it was reached, or never will be. */
  constructor(socket: string, attempt: () => boolean) {
    this.#socket = socket;
    this.#attempt = attempt;
  }

  /** Begins. */
  start(): void {
    this.#waitMs = FIRST_MS;
    this.#schedule();
  }

  /** It was not reached, after all. */
  again(): void {
    this.#waitMs = Math.min(LONGEST_MS, this.#waitMs * 2);
    if (this.#waitMs === LONGEST_MS) this.#sayOnce();
    this.#schedule();
  }

  /** Whether waiting keeps the process alive. */
  keepAlive(keepsAlive: boolean): void {
    this.#keepsAlive = keepsAlive;
    if (keepsAlive) this.#timer?.ref();
    else this.#timer?.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#attempt()) this.again();
    }, this.#waitMs);
    if (!this.#keepsAlive) this.#timer.unref();
  }

  #sayOnce(): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    process.emitWarning(
      `the daemon at ${JSON.stringify(this.#socket)} has ended and does not come back: nothing is heard until it does, and then a loss is told`,
      { code: 'FANOTIFY_DAEMON' },
    );
  }
}
