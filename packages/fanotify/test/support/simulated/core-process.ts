// The core's process there (src/core/process/core-main.ts): a process of the machine, whose loop takes its turn as others do.

import { EventEmitter } from 'node:events';
import { CallError } from '../../../src/core/errors.ts';
import { CoreHost } from '../../../src/core/process/host.ts';
import { assertMayListen, limitsOf } from '../../../src/core/process/means.ts';
import { OwnersGroups } from '../../../src/core/process/owners-groups.ts';
import { by } from '../../../src/decision/clock.ts';
import { MountTable } from '../../../src/identity/mount-table.ts';
import { ProcFiles } from '../../../src/identity/proc-files.ts';
import type { Kernel } from '../../../src/kernel/kernel.ts';
import { O_CLOEXEC } from '../../../src/simulated/files/flags.ts';
import { pipe } from '../../../src/simulated/files/pipe-call.ts';
import { findDescriptor } from '../../../src/simulated/tasks/descriptors.ts';
import { core } from './core.ts';
import { as, kernel, machine, self } from './machine.ts';
import { signal } from './signal.ts';

const PROGRAM = /core-main\.(js|ts)$/;
/** Its loop waits in one call for whatever comes; here it looks whenever anything happens, and after so long. */
const LONGEST_WAIT_MS = 1;

core.start = startCore;

function startCore(
  command: string,
  [program = '']: readonly string[],
  stdio: readonly unknown[] | undefined,
): EventEmitter | undefined {
  const control = stdio?.[3];
  if (command !== process.execPath || !PROGRAM.test(program) || typeof control !== 'number') return undefined;
  const [ownerThread, ownEnd] = as(self, () => pipe(machine, O_CLOEXEC));
  const child = kernel.simulation.fork('fanotify-core');
  kernel.close(ownerThread);
  closeAllBut(child.kernel, new Set([0, 1, 2, control, ownerThread]));
  const loop = new CoreProcess(child.kernel, control, ownerThread);
  child.run(() => by(kernel.simulation, () => loop.turn()));
  const { pid } = child.kernel;
  const stdin = { destroy: () => kernel.close(ownEnd), on: () => undefined, unref: () => undefined };
  const kill = (which: NodeJS.Signals) => signal(pid, which);
  return Object.assign(new EventEmitter(), { pid, stdin, kill, unref: () => undefined });
}

/** What execve(2) does, for all are close-on-exec. */
function closeAllBut(child: Kernel, kept: ReadonlySet<number>): void {
  for (const fd of self.process.descriptors.slots.keys()) {
    if (kept.has(fd) || findDescriptor(self.process, fd) === undefined) continue;
    child.close(fd);
  }
}

class CoreProcess {
  readonly #kernel: Kernel;
  readonly #control: number;
  readonly #ownerThread: number;
  #host: CoreHost | undefined;
  #isOver = false;

  constructor(kernel: Kernel, control: number, ownerThread: number) {
    this.#kernel = kernel;
    this.#control = control;
    this.#ownerThread = ownerThread;
  }

  /** In how many milliseconds the next is due; undefined: it has ended. */
  turn(): number | undefined {
    this.#host ??= this.#begin();
    this.#host?.step(0);
    return this.#isOver ? undefined : LONGEST_WAIT_MS;
  }

  #begin(): CoreHost | undefined {
    const kernel = this.#kernel;
    try {
      const owner = { ownerPidfd: kernel.pidfdOpen(self.process.pid), ownerPid: self.process.pid };
      assertMayListen(kernel);
      const mounts = new MountTable(kernel);
      const files = new ProcFiles(kernel, mounts, () => undefined);
      const ends = { control: this.#control, ownerThread: this.#ownerThread };
      const host = new CoreHost({
        kernel,
        mounts,
        files,
        clientele: (core) => this.#tellingItsEnd(new OwnersGroups({ kernel, core, ...ends, ...owner })),
        ...limitsOf(kernel),
      });
      this.#greet(0, '');
      return host;
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      this.#greet(error.errno, error.reason);
      this.#isOver = true;
      return undefined;
    }
  }

  /** The loop closes them when it ends. */
  #tellingItsEnd(groups: OwnersGroups): OwnersGroups {
    const close = groups.close.bind(groups);
    return Object.assign(groups, {
      close: () => {
        this.#isOver = true;
        close();
      },
    });
  }

  #greet(errno: number, reason: string): void {
    this.#kernel.sendMessage(this.#control, Buffer.from(JSON.stringify({ errno, reason })));
  }
}
