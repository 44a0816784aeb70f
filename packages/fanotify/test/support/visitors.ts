// Visitors as a broker has them: the program, and who asks it and waits for an answer.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Visitors } from '../../src/broker/visitors.ts';
import type { Then } from '../../src/broker/visits.ts';
import { nowMs } from '../../src/decision/clock.ts';
import { type Kernel, linuxKernel, type Peer } from '../../src/kernel/index.ts';

/** As built: it is a program of its own. */
const PROGRAM = join(import.meta.dirname, '../../dist/broker/visitor-main.js');
const POLLIN = 1;
const DEADLINE_MS = 15_000;

/** An ordinary user, who need not exist. */
export function userOf(uid: number, groups: readonly number[] = [], gid: number = uid): Peer {
  return { pid: process.pid, uid, gid, groups };
}

export interface VisitorProcess {
  /** The broker's end of its connection. */
  readonly fd: number;
  readonly pid: number;
  readonly process: ChildProcess;
  /** What it wrote when it ended, and its exit status. */
  readonly ended: Promise<{ readonly status: number | null; readonly output: string }>;
}

export function startVisitor(kernel: Kernel = linuxKernel()): VisitorProcess {
  const [fd, theirs] = kernel.socketPair();
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, [PROGRAM], { cwd: '/', env, stdio: ['ignore', 'ignore', 'pipe', theirs] });
  kernel.close(theirs);
  let output = '';
  child.stderr?.on('data', (chunk) => {
    output += chunk;
  });
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, output }));
  return { fd, pid: child.pid ?? 0, process: child, ended };
}

/** Asks visitors, and hears what they say. */
export class Asking {
  readonly kernel: Kernel = linuxKernel();
  /** The pids of those that got stuck, or ended. */
  readonly lost: (number | null)[] = [];
  readonly visitors: Visitors;
  readonly processes: VisitorProcess[] = [];

  constructor(count: number, limitMs = 60_000) {
    this.visitors = new Visitors({ kernel: this.kernel, limitMs, onStuck: (pid) => this.lost.push(pid) });
    for (let added = 0; added < count; added++) this.start();
  }

  start(): VisitorProcess {
    const visitor = startVisitor(this.kernel);
    this.processes.push(visitor);
    this.visitors.add(visitor.fd);
    return visitor;
  }

  /** Until something is so. */
  async until(isSo: () => boolean): Promise<void> {
    const giveUpMs = nowMs() + DEADLINE_MS;
    while (!isSo()) {
      if (nowMs() > giveUpMs) throw new Error('it does not come to be');
      const entries = this.visitors.fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
      // Not for long: other things happen in this process, too.
      this.kernel.poll(entries, Math.min(5, Math.max(0, this.visitors.dueMs - nowMs())));
      this.visitors.hear(nowMs());
      await setImmediate();
    }
  }

  async answer<T>(ask: (then: Then<T>) => void): Promise<T | 'stuck'> {
    const answers: (T | 'stuck')[] = [];
    ask((answer) => answers.push(answer));
    await this.until(() => answers.length > 0);
    return answers[0] as T | 'stuck';
  }

  /** Ends all that was started, also what is stuck. */
  async end(): Promise<void> {
    for (const fd of this.visitors.fds) this.kernel.close(fd);
    for (const { process } of this.processes) process.kill('SIGKILL');
    await Promise.all(this.processes.map(({ ended }) => ended));
  }
}
