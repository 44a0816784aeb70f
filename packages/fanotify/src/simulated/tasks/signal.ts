// Signals, as far as they end, stop and continue processes (kernel/signal.c): none is caught.

import { capable } from '../files/permission.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { Wait } from '../wait.ts';
import type { Process } from './task.ts';

export const SIGKILL = 9;
const SIGCONT = 18;
const SIGSTOP = 19;
const LAST_SIGNAL = 64;
/** signal(7), default action "Ign": SIGCHLD, SIGURG, SIGWINCH. */
const IGNORED = new Set([17, 23, 28]);
/** Default action "Stop": SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU. */
const STOPPING = new Set([SIGSTOP, 20, 21, 22]);

/**
 * kill(2) of one process: 0 sends none. A process that has ended takes no notice, until it is waited for: ESRCH. EPERM for others'. What
 * ends a process ends it as the scheduler comes to it, also when it is held by a permission event.
 */
export function sendSignal(system: System, process: Process, signal: number): void {
  if (process.isReaped) refuse('ESRCH');
  if (signal < 0 || signal > LAST_SIGNAL) refuse('EINVAL');
  if (!maySignal(system, process)) refuse('EPERM');
  if (signal === 0 || process.ended !== undefined || IGNORED.has(signal)) return;
  // Nothing kills the first process but itself.
  if (process.parent === undefined && process.pid === 1) return;
  if (signal === SIGCONT) resume(process);
  else if (STOPPING.has(signal)) process.stopped ??= new Wait(`SIGCONT for process ${process.pid}`);
  else {
    for (const task of process.threads) task.pendingKill ??= signal;
    resume(process);
    for (const listener of process.onKilled.splice(0)) listener();
  }
}

function resume(process: Process): void {
  const { stopped } = process;
  process.stopped = undefined;
  stopped?.end();
}

/** kill_ok_by_cred. */
function maySignal(system: System, process: Process): boolean {
  const { credentials } = system.current;
  const other = process.threads[0]?.credentials;
  if (other === undefined || process === system.current.process || capable(credentials, 'CAP_KILL')) return true;
  return [credentials.euid, credentials.uid].some((id) => id === other.suid || id === other.uid);
}
