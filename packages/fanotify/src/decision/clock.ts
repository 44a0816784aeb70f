// CLOCK_MONOTONIC in milliseconds: the same in the responder and its owner, so that a deadline means the same to both. A simulated
// machine has a clock of its own.

import type { Kernel } from '../kernel/index.ts';

const [seconds, nanoseconds] = process.hrtime();
// Both count the same clock; performance.now() is the cheaper to ask, and starts at the process's start.
const ORIGIN_MS = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** Where {@link nowMs} has it from; undefined: from this machine. */
let source: Clock | undefined;

/** Time as a guard has it. */
export interface Clock {
  nowMs(): number;
  /** Calls `listener` when so many milliseconds have passed, unless what is returned is called before. */
  after(delayMs: number, listener: () => void): () => void;
}

export function nowMs(): number {
  return source ? source.nowMs() : monotonicMs();
}

function monotonicMs(): number {
  return ORIGIN_MS + performance.now();
}

/** The clock of the machine that a kernel is of. */
export function clockOf(kernel: Pick<Kernel, 'simulation'>): Clock {
  return kernel.simulation ?? OF_THIS_MACHINE;
}

/** Does something by the clock of a simulated machine: a responder that is in this process. */
export function by<T>(clock: Clock, something: () => T): T {
  const before = source;
  source = clock;
  try {
    return something();
  } finally {
    source = before;
  }
}

const OF_THIS_MACHINE: Clock = {
  nowMs: monotonicMs,
  after: (delayMs, listener) => {
    const timer = setTimeout(listener, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
