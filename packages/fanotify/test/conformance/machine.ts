// What a case needs of the machine beside fanotify itself: a scratch file system, operations on it, other processes.
// LinuxMachine (linux-machine.ts) is the real one; one over the simulated kernel can stand in.

import type { Kernel } from '../../src/kernel/index.ts';
import type { Fixture, Operation, Outcome } from './case.ts';

/** Operations that another process carries out; it may be held by a permission event on the way. */
export interface ChildRun {
  readonly pid: number;
  /**
   * Waits until the child has done everything or goes no further by itself, or the deadline passes: 'readable' when then one of `groups` is.
   * What it does until then may be merged.
   */
  wait(groups: readonly number[], timeoutMs: number): 'readable' | 'ended' | 'late';
  /** What it has done until now: one outcome for each operation finished. */
  outcomes(): readonly Outcome[];
  /** SIGKILL; returns when it is gone. */
  kill(): void;
}

export interface Machine {
  readonly kernel: Kernel;
  /** The scratch file system's type, as in `observed`. */
  readonly filesystem: string;
  /** Why a case that `requires` this cannot run here; undefined when it can. */
  missing(requirement: string): string | undefined;
  /** Wipes the scratch file systems, makes the fixture and has `children` other processes ready. */
  begin(fixture: readonly Fixture[], children: number): void;
  /** Puts back what steps changed: user, limits, descriptors, mounts. Safe to call at any time. */
  end(): void;
  /** A path with its placeholders ($M, $B, $T, $D) filled in. */
  resolve(path: string): string;
  /** The other way round, for reports and comparison. */
  label(path: string): string;
  /** Carries out an operation in the listening process. */
  operate(operation: Operation): Outcome;
  /** The descriptor that an operation opened `as` this name. */
  descriptor(name: string): number;
  /** `name`: the same process as before by that name, unless that has ended. */
  startChild(operations: readonly Operation[], userns?: Readonly<Record<string, number>>, name?: string): ChildRun;
  /** By number; by name it is a user that nobody else is. */
  setEffectiveUid(uid: number | string): void;
  /** With a limit of /proc/sys/fs/fanotify changed for the time of `call`. */
  withLimit<T>(name: string, value: number, call: () => T): T;
  /** Lets the listening process open only `spare` more descriptors. */
  limitDescriptors(spare: number): void;
}
