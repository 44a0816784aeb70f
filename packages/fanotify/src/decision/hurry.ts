// The responder's threads run before everybody else's when many wait for them.

import { type Kernel, KernelError } from '../kernel/index.ts';

/**
 * Priorities of real time: the watchdog comes before the loop that it looks after, also where there is one processor. The loop takes
 * its turn while few are held, since it is woken sooner so.
 */
export const URGENCY = { none: 0, loop: 1, watchdog: 2 } as const;

/** From more than so many held on until there are fewer than so few, it runs in real time. */
const MANY = 64;
const FEW = 16;

/**
 * Schedules the calling thread in real time. Every answer wakes everybody who is held in the group, to look whether it was meant
 * (fanotify_get_response() in the kernel): when thousands are, the loop would wait for them all before it could give the next one.
 */
export function hurry(kernel: Kernel, urgency: number): void {
  try {
    kernel.scheduleInRealTime(urgency);
  } catch (error) {
    // Without the privilege, and where control groups have no time for that (cpu.rt_runtime_us), it takes its turn.
    if (!(error instanceof KernelError)) throw error;
  }
}

/** A loop that comes before those who are woken in vain by each of its answers, while there are many of them. */
export class Hurry {
  readonly #kernel: Kernel;
  #isHurrying = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** So many are held now. */
  mind(held: number): void {
    if (this.#isHurrying ? held >= FEW : held <= MANY) return;
    this.#isHurrying = !this.#isHurrying;
    hurry(this.#kernel, this.#isHurrying ? URGENCY.loop : URGENCY.none);
  }
}
