// The core's process on a simulated machine: a task of it, whose loop takes its turn as the others do. What core-main.ts and private-core.ts
// are in reality.

import { CallError } from '../../src/core/errors.ts';
import type { OwnersCore } from '../../src/core/process/connection.ts';
import { CoreHost, type HostParts } from '../../src/core/process/host.ts';
import { OwnersGroups } from '../../src/core/process/owners-groups.ts';
import { by } from '../../src/decision/clock.ts';
import { MountTable } from '../../src/identity/mount-table.ts';
import { ProcFiles } from '../../src/identity/proc-files.ts';
import type { SimulatedKernel } from '../../src/simulated/seam/kernel.ts';
import { turning } from '../../src/simulated/seam/programs.ts';
import type { Process } from '../../src/simulated/tasks/task.ts';
import type { World } from './world.ts';

const POLLIN = 1;

export type CoreBounds = Pick<HostParts, 'maxPending' | 'maxCarried' | 'maxQueued'>;

export class SimulatedCore implements OwnersCore {
  readonly host: CoreHost;
  readonly process: Process;
  readonly #kernel: SimulatedKernel;
  readonly #control: number;
  /** Stands for the owner's thread: what ends with it. */
  readonly #thread: number;
  #users = 0;

  constructor(world: World, owner: SimulatedKernel, bounds: CoreBounds) {
    const { task, kernel } = world.process('fanotify-core');
    this.#kernel = owner;
    this.process = task.process;
    const [control, theirControl] = owner.socketPair();
    const [thread, theirThread] = owner.socketPair();
    this.#control = control;
    this.#thread = thread;
    const ownerPidfd = kernel.pidfdOpen(owner.pid);
    const place = {
      control: kernel.pidfdGetfd(ownerPidfd, theirControl),
      ownerThread: kernel.pidfdGetfd(ownerPidfd, theirThread),
      ownerPidfd,
      ownerPid: owner.pid,
    };
    owner.close(theirControl);
    owner.close(theirThread);
    const mounts = new MountTable(kernel);
    const files = new ProcFiles(kernel, mounts, () => undefined);
    const host = new CoreHost({
      kernel,
      mounts,
      files,
      clientele: (core) => new OwnersGroups({ kernel, core, ...place }),
      ...bounds,
    });
    this.host = host;
    world.system.scheduler.start(
      task,
      turning(world.system, () => by(kernel.simulation, () => host.turn())),
    );
  }

  get pid(): number {
    return this.process.pid;
  }

  get isRunning(): boolean {
    const entry = { fd: this.#control, events: POLLIN, revents: 0 };
    return this.#users > 0 && this.#kernel.poll([entry], 0) === 0;
  }

  /** How many descriptors it has open. */
  get open(): number {
    return this.process.descriptors.slots.filter((slot) => slot !== undefined && slot !== null).length;
  }

  /** The names of the files that it has open. */
  get files(): string[] {
    return this.process.descriptors.slots.flatMap((slot) =>
      slot && slot.file.operations === undefined ? [slot.file.path.dentry.name] : [],
    );
  }

  use(): this {
    this.#users++;
    return this;
  }

  connect(): { readonly fd: number; readonly answers: number } {
    const kernel = this.#kernel;
    const opened: number[] = [];
    try {
      opened.push(...kernel.socketPair());
      opened.push(...kernel.socketPair());
      const [fd, theirs, answers, theirAnswers] = opened as [number, number, number, number];
      kernel.sendMessage(this.#control, Buffer.of(1), [theirs, theirAnswers]);
      kernel.close(theirs);
      kernel.close(theirAnswers);
      return { fd, answers };
    } catch (error) {
      for (const fd of opened) kernel.close(fd);
      throw error;
    }
  }

  release(): void {
    if (--this.#users > 0) return;
    this.#kernel.close(this.#control);
    this.#kernel.close(this.#thread);
  }

  ended(): CallError {
    return new CallError('ECONNRESET', `the core (process ${this.pid}) has ended`);
  }
}
