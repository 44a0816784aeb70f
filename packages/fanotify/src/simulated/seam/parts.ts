// What the processes of one simulated machine share at the seam.

import type { Simulation } from '../../kernel/kernel.ts';
import type { Machine } from '../boot.ts';
import type { Scheduler } from '../tasks/scheduler.ts';
import type { Task } from '../tasks/task.ts';
import type { Others } from './caller.ts';
import type { EventLoop } from './event-loop.ts';
import type { FanotifyCalls } from './fanotify-calls.ts';
import type { UnixCalls } from './unix-calls.ts';
import type { Wakeups } from './wakeups.ts';

export interface SeamParts {
  readonly machine: Machine;
  readonly scheduler: Scheduler;
  readonly wakeups: Wakeups;
  readonly others: Others;
  readonly loop: EventLoop;
  readonly fanotify: FanotifyCalls;
  readonly unix: UnixCalls;
  /** mount(2): proc and sysfs too. */
  mount(source: string, target: string, type: string | null, flags: number): void;
  simulationOf(task: Task): Simulation;
}
