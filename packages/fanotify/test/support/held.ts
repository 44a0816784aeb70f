// Whoever is held: seen from outside, whether or not anybody has read of it.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LONGEST_MS = 10_000;

/** Resolves once a process sleeps in the kernel in an open that is held. */
export async function untilHeld(pid: number): Promise<void> {
  const started = Date.now();
  for (;;) {
    // Held in fanotify_handle_event, as far as wchan tells; in state S or D in any case.
    const wchan = readFileSync(`/proc/${pid}/wchan`, 'latin1');
    const syscall = readFileSync(`/proc/${pid}/syscall`, 'latin1');
    if (/fanotify/.test(wchan) || (/^257 /.test(syscall) && /^(?:0|fanotify.*)$/.test(wchan) === false)) return;
    if (Date.now() - started > LONGEST_MS) throw new Error(`process ${pid} is not held: ${wchan} ${syscall}`);
    await sleep(1);
  }
}
