// A system call of one task: done as that task, whoever was running before, and its refusal told as the seam tells it.

import { KernelError } from '../../kernel/error.ts';
import type { KernelPath } from '../../kernel/kernel.ts';
import { Refusal } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Task } from '../tasks/task.ts';
import type { Blocking, Wait } from '../wait.ts';

/** Lets the rest of the machine run. */
export interface Others {
  /**
   * Until `wait` is over.
   *
   * @throws Error when nothing is left that could end it.
   */
  runUntil(wait: Wait, task: Task): void;
  /** A call has been made: whoever can run by now is to run soon. */
  called(): void;
}

export class Caller {
  readonly task: Task;
  readonly #system: System;
  readonly #others: Others;

  constructor(system: System, task: Task, others: Others) {
    this.#system = system;
    this.task = task;
    this.#others = others;
  }

  /** A call that never waits. */
  call<T>(syscall: string, operation: () => T, path?: KernelPath | null): T {
    const system = this.#system;
    const before = system.current;
    system.current = this.task;
    try {
      return operation();
    } catch (error) {
      throw toldBySeam(error, syscall, path);
    } finally {
      system.current = before;
      this.#others.called();
    }
  }

  /** A call that may be held: meanwhile the others run. */
  wait<T>(syscall: string, operation: () => Blocking<T>, path?: KernelPath | null): T {
    const system = this.#system;
    const before = system.current;
    system.current = this.task;
    try {
      const call = operation();
      for (let step = call.next(); ; step = call.next()) {
        if (step.done === true) return step.value;
        if (!step.value.isOver) this.#letOthersRun(step.value, call);
        system.current = this.task;
      }
    } catch (error) {
      throw toldBySeam(error, syscall, path);
    } finally {
      system.current = before;
      this.#others.called();
    }
  }

  #letOthersRun(wait: Wait, call: Blocking<unknown>): void {
    const { task } = this;
    // Its program may wait for something of its own, now or by then, while what it has begun makes this call: that wait goes on.
    task.heldBy ??= wait;
    try {
      this.#others.runUntil(wait, task);
    } catch (error) {
      // What it holds is given back: descriptors that were to be, and the like.
      this.#system.current = task;
      call.return(undefined as never);
      throw error;
    } finally {
      if (task.heldBy === wait) task.heldBy = undefined;
    }
  }
}

/** As the seam throws it. */
export function toldBySeam(error: unknown, syscall: string, path?: KernelPath | null): unknown {
  return error instanceof Refusal ? new KernelError(syscall, error.errno, path) : error;
}

/** A path as the machine has it: a binary string. EINVAL for one with a NUL inside, as the seam over Linux has it. */
export function pathOf(path: KernelPath): string {
  const binary = typeof path === 'string' ? binaryOf(path) : Buffer.from(path).toString('latin1');
  if (binary.includes('\0')) throw new Refusal(EINVAL);
  return binary;
}

const EINVAL = 22;

/** UTF-8 as a binary string. Most paths are ASCII, and are that already. */
export function binaryOf(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 0x7f) return Buffer.from(text).toString('latin1');
  }
  return text;
}
