// Where simulated time and the event loop of Node.js meet: listeners of Kernel.onReadable are called from it, as libuv calls them, and whatever
// is runnable in the simulated machine runs in it, whoever started it.

import type { Readiness } from '../../kernel/kernel.ts';

/** One watched descriptor. */
interface Watcher {
  isActive: boolean;
  isReferenced: boolean;
  /** It is called in any case. */
  isDue: boolean;
  readonly watched: Watched;
}

export interface Watched {
  /** What is the case now. Of news, asking takes it out. */
  isReady(): boolean;
  listener(): void;
  /** Whether it is about news, which is told once, and in any case at the start; else about what stays until it is dealt with. */
  readonly isNews: boolean;
}

/** What is to be done when nobody else does anything. */
export interface Machine {
  /** Runs what is runnable, until nothing is. False when nothing was. */
  run(): boolean;
  /** In how many milliseconds something is due; undefined: never. */
  readonly nextAlarmMs: number | undefined;
  /** So much time has passed. */
  pass(ms: number): void;
}

/** Longer than any test: keeps the event loop alive, and is never due. */
const NEVER_MS = 0x7fff_ffff;

export class EventLoop {
  readonly #machine: Machine;
  readonly #watchers = new Set<Watcher>();
  #scheduled: NodeJS.Immediate | undefined;
  #keepAlive: NodeJS.Timeout | undefined;
  #alarm: NodeJS.Timeout | undefined;
  #isTurning = false;
  #onQuiet: (() => void)[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Something has changed, or is runnable: there is a turn soon. */
  wake(): void {
    this.#scheduled ??= setImmediate(this.#turn);
  }

  /** Calls its listener from a macrotask while it is ready, until it is closed. */
  watch(watched: Watched): Readiness {
    const watcher: Watcher = { isActive: true, isReferenced: true, isDue: watched.isNews, watched };
    this.#watchers.add(watcher);
    this.#mind();
    this.wake();
    let isClosed = false;
    return {
      ref: () => {
        watcher.isReferenced = true;
        this.#mind();
      },
      unref: () => {
        watcher.isReferenced = false;
        this.#mind();
      },
      start: () => {
        if (isClosed || watcher.isActive) return;
        watcher.isActive = true;
        watcher.isDue = watched.isNews;
        this.#mind();
        this.wake();
      },
      stop: () => {
        watcher.isActive = false;
        this.#mind();
      },
      close: () => {
        isClosed = true;
        watcher.isActive = false;
        this.#watchers.delete(watcher);
        this.#mind();
      },
    };
  }

  /** Whether something waits to be dealt with by whoever watches it, now or once it watches again. */
  get isAwaited(): boolean {
    for (const { watched } of this.#watchers) if (!watched.isNews && watched.isReady()) return true;
    return false;
  }

  /** Whether anybody watches anything. */
  get isWatching(): boolean {
    return this.#watchers.size > 0;
  }

  /** Over when a turn has found nothing to do. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#onQuiet.push(resolve);
      this.wake();
    });
  }

  readonly #turn = (): void => {
    this.#scheduled = undefined;
    if (this.#isTurning) return;
    this.#isTurning = true;
    let isBusy: boolean;
    try {
      isBusy = this.#machine.run();
      // A listener may close others, and start what was stopped: those are looked at in the next turn.
      for (const watcher of [...this.#watchers]) {
        if (!watcher.isActive || !(watcher.watched.isReady() || watcher.isDue)) continue;
        watcher.isDue = false;
        isBusy = true;
        // Before: a listener that throws is no concern of the others.
        this.wake();
        watcher.watched.listener();
      }
    } finally {
      this.#isTurning = false;
      this.#setAlarm();
    }
    if (isBusy) this.wake();
    else for (const resolve of this.#onQuiet.splice(0)) resolve();
  };

  /** What is due by the clock of the machine is due by the clock of this one: time passes for it only so. */
  #setAlarm(): void {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    const { nextAlarmMs } = this.#machine;
    if (nextAlarmMs === undefined) return;
    this.#alarm = setTimeout(() => {
      this.#alarm = undefined;
      this.#machine.pass(nextAlarmMs);
      this.wake();
    }, nextAlarmMs);
    this.#alarm.unref();
  }

  #mind(): void {
    let isNeeded = false;
    for (const { isActive, isReferenced } of this.#watchers) if (isActive && isReferenced) isNeeded = true;
    if (!isNeeded) {
      clearTimeout(this.#keepAlive);
      this.#keepAlive = undefined;
    } else this.#keepAlive ??= setTimeout(() => undefined, NEVER_MS);
  }
}
