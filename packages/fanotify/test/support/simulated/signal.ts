// Signals that a test sends to processes of the simulated machine.

import { constants } from 'node:os';
import { sendSignal } from '../../../src/simulated/tasks/signal.ts';
import { as, machine, self, system } from './machine.ts';

export function signalName(number: number): NodeJS.Signals {
  const [name = 'SIGKILL'] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [];
  return name as NodeJS.Signals;
}

/** kill(2). False when there is no such process. */
export function signal(pid: number, which: NodeJS.Signals | number = 'SIGTERM'): boolean {
  const process = machine.tasks.processes.get(pid);
  if (process === undefined || process.isReaped) return false;
  as(self, () => sendSignal(machine, process, typeof which === 'number' ? which : constants.signals[which]));
  system.loop.wake();
  return true;
}
