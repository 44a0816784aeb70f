// A process of a test system: what it is told to do it does when the machine lets it run, one thing after the other.

import type { Kernel } from '../../kernel/kernel.ts';
import { Exit } from '../seam/programs.ts';
import type { SimulatedSystem } from '../seam/simulated-system.ts';
import { SystemCalls } from '../seam/system-calls.ts';
import { CLD_EXITED } from '../tasks/process.ts';
import type { Program } from '../tasks/scheduler.ts';
import { SIGKILL, sendSignal } from '../tasks/signal.ts';
import type { Task } from '../tasks/task.ts';
import { type Blocking, Wait } from '../wait.ts';
import { ProcessEndedError } from './errors.ts';
import { stepsOf, type TestProgram } from './programs.ts';

/** Who a process is. */
export interface ProcessOptions {
  /** Its user. Default root, who may do everything. */
  readonly uid?: number | undefined;
  /** Its group. Default that of the same number. */
  readonly gid?: number | undefined;
  /** Supplementary groups. */
  readonly groups?: readonly number[] | undefined;
  /** What /proc/pid/comm says: 15 characters at most. Default the name of its executable, else 'process'. */
  readonly comm?: string | undefined;
  /** Its executable, which is put there if there is none. Default /usr/bin/ and its comm. */
  readonly exe?: string | undefined;
  /** Its arguments. Default its comm. */
  readonly argv?: readonly string[] | undefined;
}

/** How a process has ended: by itself, or by a signal. */
export interface ProcessEnd {
  /** What it exited with; undefined when a signal has ended it. */
  readonly status?: number;
  readonly signal?: number;
}

/** Each system call as a promise that resolves when the call is over, however long it is held. */
export type AsyncCalls = {
  [Name in keyof SystemCalls]: SystemCalls[Name] extends (...args: infer Arguments) => Blocking<infer Result>
    ? (...args: Arguments) => Promise<Result>
    : never;
};

/**
 * A process: has every call of {@link SystemCalls}, which resolves when it is over. It does one thing after the other, as one thread does:
 * what is asked for while it is held waits its turn.
 *
 * @example
 * import { createTestSystem } from 'fanotify/testing';
 * const system = createTestSystem();
 * system.fs.file('/srv/a', 'text', { mode: 0o600 });
 * const root = system.process({ comm: 'cat' });
 * console.log((await root.readFile('/srv/a')).toString()); // text
 * const user = system.process({ uid: 1000 });
 * console.log((await user.open('/srv/a').catch((error) => error)).code); // EACCES
 */
export interface TestProcess extends AsyncCalls {
  readonly pid: number;
  /** The machine as this process sees it: for `Group.open({ kernel })` without privilege, say. Its calls are done when they return. */
  readonly kernel: Kernel;
  /** Resolves when it has ended. */
  readonly ended: Promise<ProcessEnd>;
  /**
   * Does what a program says: a generator function that makes calls with `yield*`. The scheduler, by its seed, lets others run in between
   * whenever a call is held, and at each bare `yield`.
   *
   * @returns What the program returns. Rejects with a TestOptionsError when it is no generator function, or makes a call without `yield*`.
   * @example
   * import { createTestSystem } from 'fanotify/testing';
   * const system = createTestSystem();
   * const bytes = await system.process().run(function* (calls) {
   *   const fd = yield* calls.open('/tmp/a', 'w');
   *   const written = yield* calls.write(fd, 'text');
   *   yield* calls.close(fd);
   *   return written;
   * });
   * console.log(bytes, system.fs.read('/tmp/a')); // 4 text
   */
  run<Result>(program: (calls: SystemCalls) => Generator<Wait | undefined, Result, void>): Promise<Result>;
  /** Sends a signal, by its number: SIGKILL unless another is named. It ends it also while it is held. */
  kill(signal?: number): void;
}

interface Job {
  readonly body: Generator<Wait | undefined, unknown, void>;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Gives a task something to do whenever it is told to. */
export function testProcess(system: SimulatedSystem, task: Task): TestProcess {
  const calls = new SystemCalls(system);
  const worker = new Worker(system, task);
  const control = {
    pid: task.process.pid,
    kernel: system.kernelOf(task),
    ended: worker.ended,
    run: <Result>(program: TestProgram<Result>): Promise<Result> =>
      worker.add(() => stepsOf(program, calls)) as Promise<Result>,
    kill: (signal = SIGKILL): void => system.asInit(() => sendSignal(system.machine, task.process, signal)),
  };
  const asynchronous: Record<string, unknown> = {};
  for (const name of Object.getOwnPropertyNames(SystemCalls.prototype)) {
    if (name === 'constructor') continue;
    const call = calls[name as keyof SystemCalls] as (...args: unknown[]) => Blocking<unknown>;
    asynchronous[name] = (...args: unknown[]) => worker.add(() => call.apply(calls, args));
  }
  return { ...(asynchronous as AsyncCalls), ...control };
}

class Worker {
  readonly ended: Promise<ProcessEnd>;
  readonly #system: SimulatedSystem;
  readonly #task: Task;
  readonly #jobs: Job[] = [];
  #current: Job | undefined;
  #idle: Wait | undefined;

  constructor(system: SimulatedSystem, task: Task) {
    this.#system = system;
    this.#task = task;
    const { process } = task;
    this.ended = new Promise((resolve) => {
      system.onEnd(process, () => {
        const { code, status } = process.ended ?? { code: 0, status: 0 };
        resolve(code === CLD_EXITED ? { status } : { signal: status });
      });
    });
    system.scheduler.start(task, this.#program());
  }

  add(body: () => Generator<Wait | undefined, unknown, void>): Promise<unknown> {
    const { process } = this.#task;
    if (process.ended !== undefined) return Promise.reject(new ProcessEndedError(process.pid, process.comm));
    return new Promise((resolve, reject) => {
      this.#jobs.push({ body: body(), resolve, reject });
      this.#idle?.end();
      this.#system.loop.wake();
    });
  }

  *#program(): Program {
    try {
      for (;;) {
        const job = this.#jobs.shift();
        if (job === undefined) {
          this.#idle = new Wait('something to do');
          yield this.#idle;
          continue;
        }
        this.#current = job;
        try {
          job.resolve(yield* job.body);
        } catch (error) {
          if (error instanceof Exit) {
            job.resolve(undefined);
            return error.status;
          }
          job.reject(error);
        }
        this.#current = undefined;
      }
    } finally {
      // Killed, or it has exited: nobody does the rest.
      const { pid, comm } = this.#task.process;
      for (const job of [this.#current, ...this.#jobs.splice(0)]) job?.reject(new ProcessEndedError(pid, comm));
    }
  }
}
