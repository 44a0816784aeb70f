// The time of the simulated machine. It stands still while nobody asks; each timestamp is later than the one before.

import type { Clock } from '../system.ts';

/** 2026-01-01T00:00:00Z. */
const START_NS = 1_767_225_600_000_000_000n;
const NS_PER_MS = 1_000_000n;
/** Between two timestamps. */
const STEP_NS = 1_000n;

interface Timer {
  readonly dueMs: number;
  readonly listener: () => void;
}

export class SimulatedClock implements Clock {
  #realtimeNs = START_NS;
  #bootTimeMs = 10_000;
  #timers: Timer[] = [];

  realtimeNs(): bigint {
    this.#realtimeNs += STEP_NS;
    return this.#realtimeNs;
  }

  bootTimeMs(): number {
    return this.#bootTimeMs;
  }

  after(delayMs: number, listener: () => void): () => void {
    const timer: Timer = { dueMs: this.#bootTimeMs + delayMs, listener };
    // In the order in which they are due, and of the same time in the order in which they came.
    const at = this.#timers.findIndex((each) => each.dueMs > timer.dueMs);
    if (at < 0) this.#timers.push(timer);
    else this.#timers.splice(at, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** How long until the next timer is due; undefined when there is none. */
  nextDueMs(): number | undefined {
    const [first] = this.#timers;
    return first === undefined ? undefined : Math.max(0, first.dueMs - this.#bootTimeMs);
  }

  /** Time passes, on both clocks; what becomes due on the way is called in its order. */
  advance(ms: number): void {
    const end = this.#bootTimeMs + ms;
    for (let [first] = this.#timers; first !== undefined && first.dueMs <= end; [first] = this.#timers) {
      this.#pass(first.dueMs - this.#bootTimeMs);
      this.#timers.shift();
      first.listener();
    }
    this.#pass(end - this.#bootTimeMs);
  }

  #pass(ms: number): void {
    if (ms <= 0) return;
    this.#bootTimeMs += ms;
    this.#realtimeNs += BigInt(Math.round(ms * 1e6));
  }

  /** Somebody sets the time of day, forwards or backwards: timers and the time since boot do not notice. */
  jump(ms: number): void {
    this.#realtimeNs += BigInt(ms) * NS_PER_MS;
  }
}
