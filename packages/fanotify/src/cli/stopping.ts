// What ends a command from outside: a signal, or its time-out.

type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

const SIGNALS: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** How long a reader that takes nothing may hold up the end. */
const GRACE_MS = 300;

/** Hears signals until {@link end}. */
export class Stopping {
  /** The first reason to stop. */
  why: Signal | 'timeout' | 'quit' | undefined;
  /** Resolves when what was going on should have ended and has not. */
  readonly overdue: Promise<void>;
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #abort: AbortSignal | undefined;
  #isOverdue: () => void = () => undefined;
  #grace: NodeJS.Timeout | undefined;

  /** `stop` is called once. */
  constructor(stop: () => void, timeoutSeconds?: number, abort?: AbortSignal) {
    this.#stop = stop;
    this.#abort = abort;
    this.overdue = new Promise((resolve) => {
      this.#isOverdue = resolve;
    });
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    abort?.addEventListener('abort', this.#onAbort, { once: true });
    if (timeoutSeconds !== undefined) this.#timer = setTimeout(() => this.#because('timeout'), timeoutSeconds * 1000);
  }

  /** From here on a signal does what it does by default. */
  end(): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.#onSignal);
    this.#abort?.removeEventListener('abort', this.#onAbort);
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => this.#because(signal as Signal);
  readonly #onAbort = (): void => this.interrupt();

  /** The user asked for it by a key. */
  quit(): void {
    this.#because('quit');
  }

  /** As the signal of Ctrl-C would. */
  interrupt(): void {
    this.#because('SIGINT');
  }

  #because(why: Signal | 'timeout' | 'quit'): void {
    if (this.why !== undefined) return;
    this.why = why;
    this.#stop();
    this.#grace = setTimeout(this.#isOverdue, GRACE_MS);
  }
}
