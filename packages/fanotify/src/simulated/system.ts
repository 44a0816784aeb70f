// The whole of a simulated machine, as its parts see it.

import type { FilesState } from './files/state.ts';
import type { FsnotifyHooks } from './notify/hooks.ts';
import type { TaskState } from './tasks/state.ts';
import type { Task } from './tasks/task.ts';

export interface System {
  /** Who runs now. */
  current: Task;
  readonly fsnotify: FsnotifyHooks;
  /** Superblocks, mounts, namespaces. */
  readonly files: FilesState;
  /** Processes. */
  readonly tasks: TaskState;
  readonly clock: Clock;
  /** Asked before what can fail for want of something; throws the Refusal that a test asked for. */
  readonly faults: Faults;
  /** Something that poll(2) waits for may have changed: groups, sockets, eventfds, pidfds. */
  readonly readiness: { changed(): void };
  /** The limits of /proc/sys/fs/fanotify, which can be written. */
  readonly limits: { maxQueuedEvents: number; maxUserGroups: number; maxUserMarks: number };
}

export interface Clock {
  /** Since 1970, in nanoseconds: of files. Never the same twice. */
  realtimeNs(): bigint;
  /** CLOCK_BOOTTIME, in milliseconds. */
  bootTimeMs(): number;
  /** Calls `listener` once that many milliseconds have passed; never from inside this call. Returns what takes it back. */
  after(delayMs: number, listener: () => void): () => void;
}

/** Where something can run out. */
export type FaultPoint = 'descriptor' | 'memory' | 'event' | 'mark' | 'read';

export interface Faults {
  /** @throws Refusal when a fault is due here. */
  at(point: FaultPoint): void;
  /** How many of `count` bytes a read or write may have at most: fewer when a fault is due here. */
  shortened(count: number): number;
}
