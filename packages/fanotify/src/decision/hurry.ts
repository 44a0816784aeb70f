// The responder's threads run before everybody else's when many wait for them.

import { type Kernel, KernelError } from '../kernel/index.ts';

/**
 * Priorities of real time: the watchdog comes before the loop that it looks after, also where there is one processor. The loop takes
 * its turn while few are held, since it is woken sooner so.
 */
export const URGENCY = { none: 0, loop: 1, watchdog: 2 } as const;

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
