// The process table.

import type { PidNamespace, Process, UserNamespace } from './task.ts';

export interface TaskState {
  readonly initialPidNamespace: PidNamespace;
  readonly initialUserNamespace: UserNamespace;
  /** Of those not reaped, by pid in the initial namespace. */
  readonly processes: Map<number, Process>;
}
