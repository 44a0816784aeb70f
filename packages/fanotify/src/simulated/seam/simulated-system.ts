// A simulated machine at the seam: what its processes share, wired together, and a first process besides init that sees it as a kernel.

import type { SimulatedChild, Simulation } from '../../kernel/kernel.ts';
import { boot, type Machine } from '../boot.ts';
import { chmod } from '../files/attributes.ts';
import { mkdir, mknod } from '../files/create.ts';
import { NULL_DEVICE } from '../files/devices.ts';
import type { FilesystemType } from '../files/filesystem-type.ts';
import { O_RDONLY } from '../files/flags.ts';
import { mount, mountSuperblock } from '../files/mount-call.ts';
import { openQuietly } from '../files/open-file.ts';
import { capable } from '../files/permission.ts';
import { dropCaches } from '../files/reclaim.ts';
import { Fsnotify } from '../notify/fsnotify.ts';
import { refuse } from '../refusal.ts';
import { fork, reap } from '../tasks/process.ts';
import { Scheduler } from '../tasks/scheduler.ts';
import { SIGKILL, sendSignal } from '../tasks/signal.ts';
import type { Process, Task } from '../tasks/task.ts';
import { Wait } from '../wait.ts';
import { EventLoop } from './event-loop.ts';
import { FanotifyCalls } from './fanotify-calls.ts';
import { installProgram } from './install.ts';
import { SimulatedKernel } from './kernel.ts';
import type { SeamParts } from './parts.ts';
import { makeProc } from './proc/procfs.ts';
import { makeSysfs } from './proc/sysfs.ts';
import { turning } from './programs.ts';
import { UnixCalls } from './unix-calls.ts';
import { Wakeups } from './wakeups.ts';

export interface SimulatedSystemOptions {
  readonly seed?: number | undefined;
  /** Of the root directory. */
  readonly rootType?: FilesystemType | undefined;
}

/** Who a process is that the first process has forked. */
interface NewProcess {
  readonly comm: string;
  /** Its executable, which is put there if there is none; undefined: it has none, as a kernel thread. */
  readonly exe?: string | undefined;
  readonly argv?: readonly string[] | undefined;
}

export class SimulatedSystem implements SeamParts {
  readonly machine: Machine;
  readonly scheduler: Scheduler;
  readonly wakeups = new Wakeups();
  readonly loop: EventLoop;
  readonly fanotify: FanotifyCalls;
  readonly unix: UnixCalls;
  /** The first process. */
  readonly init: Task;
  /** How many system calls were made at the seam: while it grows, somebody is at work. */
  calls = 0;
  readonly others = {
    runUntil: (wait: Wait, task: Task) => this.#runUntil(wait, task),
    called: () => {
      this.calls++;
      if (this.scheduler.canRun) this.loop.wake();
    },
  };

  constructor({ seed = 1, rootType }: SimulatedSystemOptions = {}) {
    let fsnotify: Fsnotify | undefined;
    const machine = boot({
      fsnotify: (system) => {
        fsnotify = new Fsnotify(system);
        return fsnotify;
      },
      ...(rootType && { rootType }),
      onReadiness: () => this.wakeups.changed(),
    });
    this.machine = machine;
    this.init = machine.current;
    this.scheduler = new Scheduler(machine, seed);
    const { clock } = machine;
    this.loop = new EventLoop({
      run: () => this.#run(),
      get nextAlarmMs() {
        return clock.nextDueMs();
      },
      pass: (ms) => clock.advance(ms),
    });
    this.wakeups.listener = () => {
      if (this.loop.isWatching || this.scheduler.canRun) this.loop.wake();
    };
    if (fsnotify === undefined) throw new Error('a machine without fsnotify');
    this.fanotify = new FanotifyCalls(machine, fsnotify);
    this.unix = new UnixCalls(machine, this.wakeups);
    this.#furnish();
  }

  /** A child of the first process, root, with nothing open: it has executed a program, and goes when it has ended. */
  newProcess({ comm, exe, argv }: NewProcess): Task {
    const { machine } = this;
    const task = this.asInit(() => fork(machine));
    const { process } = task;
    process.comm = comm;
    process.argv = argv ?? [comm];
    process.programs = 1;
    if (exe !== undefined) {
      process.executable = openQuietly(installProgram(machine, this.init.filesystem.root, exe), O_RDONLY);
      process.executable.path.dentry.inode.executing++;
      process.deniesWriting = true;
    }
    // The first process waits for all that are its children.
    this.onEnd(process, () => reap(machine, process));
    return task;
  }

  /** Calls `then` as a process ends. */
  onEnd(process: Process, then: () => void): void {
    const end = new Wait(`the end of process ${process.pid}`);
    // It may be the end of a child of it.
    end.onOver(() => (process.ended === undefined ? this.onEnd(process, then) : then()));
    process.endWaits.push(end);
  }

  /** Does something as the first process. */
  asInit<T>(something: () => T): T {
    const { machine } = this;
    const before = machine.current;
    machine.current = this.init;
    try {
      return something();
    } finally {
      machine.current = before;
      this.others.called();
    }
  }

  kernelOf(task: Task): SimulatedKernel {
    return new SimulatedKernel(this, task);
  }

  mount(source: string, target: string, type: string | null, flags: number): void {
    const { machine } = this;
    if (type !== 'proc' && type !== 'sysfs') {
      mount(machine, source, target, type ?? undefined, flags);
      return;
    }
    if (!capable(machine.current.credentials, 'CAP_SYS_ADMIN')) refuse('EPERM');
    const made = type === 'proc' ? makeProc(machine, { dropCaches: () => dropCaches(machine) }) : makeSysfs(machine);
    mountSuperblock(machine, made, source, target);
  }

  simulationOf(task: Task): Simulation {
    const { clock } = this.machine;
    return {
      nowMs: () => clock.bootTimeMs(),
      after: (delayMs, listener) => {
        const cancel = clock.after(delayMs, listener);
        this.loop.wake();
        return cancel;
      },
      fork: (comm) => this.#fork(task, comm),
    };
  }

  /** Runs what can run. False when nothing could. */
  #run(): boolean {
    if (!this.scheduler.canRun) return false;
    this.scheduler.run();
    return true;
  }

  #runUntil(wait: Wait, task: Task): void {
    if (this.scheduler.runUntil(wait)) return;
    const { comm, pid } = task.process;
    throw new DeadlockError(
      `process ${pid} (${comm}) waits for ${wait.why}, and nothing is left that could end that: whoever could is this very call's caller. Let another process do it, and wait for that with await`,
    );
  }

  #fork(parent: Task, comm: string): SimulatedChild {
    const { machine, scheduler } = this;
    const before = machine.current;
    machine.current = parent;
    let task: Task;
    try {
      task = fork(machine);
    } finally {
      machine.current = before;
    }
    task.process.comm = comm;
    return {
      kernel: this.kernelOf(task),
      run: (turn) => {
        scheduler.start(task, turning(this, turn));
        this.loop.wake();
      },
      kill: () => this.asInit(() => sendSignal(machine, task.process, SIGKILL)),
    };
  }

  /** What every machine has, before anybody listens. */
  #furnish(): void {
    const { machine } = this;
    machine.current = this.init;
    for (const directory of ['dev', 'proc', 'sys']) mkdir(machine, `/${directory}`, 0o755);
    mkdir(machine, '/tmp', 0o755);
    // mkdir(2) takes the umask.
    chmod(machine, '/tmp', 0o1777);
    this.mount('proc', '/proc', 'proc', 0);
    this.mount('sysfs', '/sys', 'sysfs', 0);
    this.mount('cgroup2', '/sys/fs/cgroup/unified', 'cgroup2', 0);
    this.mount('devtmpfs', '/dev', 'tmpfs', 0);
    mknod(machine, '/dev/null', 'device', 0o666, NULL_DEVICE).inode.mode = 0o666;
  }
}

/** A call waits for what nobody can do any more: its caller is who should. */
export class DeadlockError extends Error {
  static {
    DeadlockError.prototype.name = 'DeadlockError';
  }
  readonly code = 'DEADLOCK';
}
