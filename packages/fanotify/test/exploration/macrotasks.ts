// The macrotasks of the library, in the hands of the exploration: setTimeout, setInterval and setImmediate of this process are queues while
// it lasts, timers are due by the clock of the simulated machine, and so is the time that Date and performance tell. Promises are left alone:
// between two macrotasks all of them are settled, as Node.js has it.

import type { SimulatedClock } from '../../src/simulated/tasks/clock.ts';

/** As long as that a timer only keeps a process alive. */
const NEVER_MS = 0x7fff_ffff;
const NAMES = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'] as const;
const real = { setImmediate, now: Date.now, performanceNow: performance.now };

type Callback = (...given: unknown[]) => void;

/** What setTimeout and the others give. */
class Handle {
  isOver = false;
  cancel: () => void = () => undefined;

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  stop(): void {
    this.isOver = true;
    this.cancel();
  }
}

export class Macrotasks {
  readonly #clock: SimulatedClock;
  readonly #due: (() => void)[] = [];
  #next = 0;
  readonly #before = new Map<string, unknown>();

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  /** Whether one could run now. */
  get canRun(): boolean {
    return this.#next < this.#due.length;
  }

  /** Runs the next, and what its promises lead to. */
  async run(): Promise<void> {
    const task = this.#due[this.#next++];
    if (this.#next > 1024) {
      this.#due.splice(0, this.#next);
      this.#next = 0;
    }
    task?.();
    await settled();
  }

  /** From now on nothing is due by itself. */
  install(): void {
    const scope = globalThis as unknown as Record<string, unknown>;
    const made: Record<(typeof NAMES)[number], unknown> = {
      setTimeout: (callback: Callback, ms = 0, ...given: unknown[]) => {
        const handle = new Handle();
        if (ms < NEVER_MS) this.#after(handle, Math.max(1, ms), () => callback(...given));
        return handle;
      },
      setInterval: (callback: Callback, ms = 0, ...given: unknown[]) => {
        const handle = new Handle();
        const again = () =>
          this.#after(handle, Math.max(1, ms), () => {
            again();
            callback(...given);
          });
        again();
        return handle;
      },
      setImmediate: (callback: Callback, ...given: unknown[]) => {
        const handle = new Handle();
        this.#queue(handle, () => callback(...given));
        return handle;
      },
      clearTimeout: stop,
      clearInterval: stop,
      clearImmediate: stop,
    };
    for (const name of NAMES) {
      this.#before.set(name, scope[name]);
      scope[name] = made[name];
    }
    Date.now = () => Math.floor(Number(this.#clock.realtimeNs()) / 1e6);
    performance.now = () => this.#clock.bootTimeMs();
  }

  uninstall(): void {
    const scope = globalThis as unknown as Record<string, unknown>;
    for (const [name, before] of this.#before) scope[name] = before;
    this.#before.clear();
    Date.now = real.now;
    performance.now = real.performanceNow;
  }

  #after(handle: Handle, ms: number, task: () => void): void {
    handle.cancel = this.#clock.after(ms, () => this.#queue(handle, task));
  }

  #queue(handle: Handle, task: () => void): void {
    this.#due.push(() => {
      if (!handle.isOver) task();
    });
  }
}

function stop(handle: unknown): void {
  if (handle instanceof Handle) handle.stop();
}

/** Over when no promise is left that is settled by itself. */
export function settled(): Promise<void> {
  return new Promise((resolve) => real.setImmediate(resolve));
}
