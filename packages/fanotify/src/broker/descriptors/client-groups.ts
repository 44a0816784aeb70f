// The clients of the daemon whose groups carry descriptors, as the core's host has them.

import type { Core } from '../../core/core.ts';
import type { CoreGroup } from '../../core/group.ts';
import type { Clientele } from '../../core/process/clientele.ts';
import type { CoreHost } from '../../core/process/host.ts';
import type { RequestReader } from '../../core/process/wire.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import type { PollEntry } from '../../kernel/index.ts';
import { Desk } from '../desk.ts';
import type { LoopParts } from '../loop.ts';
import type { Broker, ClientConnection, Served } from '../served.ts';
import { mostHeld } from '../user-holdings.ts';
import type { Visits } from '../visits.ts';
import { DescriptorsGroup, longestMsOf, QUEUED_EVENT_BYTES } from './descriptors-group.ts';
import type { Counts } from './marked-place.ts';
import { assertMayBind } from './permitted.ts';
import { Sight } from './sight.ts';

export interface ClientGroupsParts extends LoopParts {
  readonly core: Core;
  readonly mounts: MountTable;
  visits(onStuck: (pid: number | null) => void): Visits;
  readonly counts: Counts;
  /** How many undecided accesses, and descriptors, all groups of a user may hold. */
  readonly mostPending: number;
  readonly mostDescriptors: number;
  host(): CoreHost;
}

export class ClientGroups implements Clientele, Broker {
  readonly #parts: ClientGroupsParts;
  readonly #desk: Desk;
  readonly #byGroup = new Map<CoreGroup, DescriptorsGroup>();
  /** Groups that something waits for. */
  readonly #woken = new Set<CoreGroup>();
  /** Of groups that are closed. */
  #timedOut = 0;

  constructor(parts: ClientGroupsParts) {
    this.#parts = parts;
    this.#desk = new Desk({ ...parts, broker: this });
  }

  get isOver(): boolean {
    return this.#desk.isOver;
  }

  isOwn(pid: number): boolean {
    return this.#desk.isOwn(pid);
  }

  prepare(polled: PollEntry[], nowMs: number): number {
    return this.#desk.prepare(polled, nowMs);
  }

  hear(nowMs: number): boolean {
    return this.#desk.hear(nowMs);
  }

  wake(group: CoreGroup): void {
    this.#woken.add(group);
  }

  tell(nowMs: number): void {
    for (const group of this.#woken) {
      // Whoever has no room for more, or waits for something to be looked at, is woken again.
      this.#woken.delete(group);
      this.#byGroup.get(group)?.tell(nowMs);
    }
    this.#desk.flush();
  }

  close(): void {
    this.#desk.close();
    this.#desk.flush();
  }

  bind(connection: ClientConnection, request: RequestReader): Served {
    const { core, kernel, mounts, counts, mostPending, mostDescriptors } = this.#parts;
    const { visits } = this.#desk;
    const { settings } = request;
    const { rights, holdings } = connection;
    assertMayBind(rights, settings);
    const { eventFlags } = settings;
    // Where none may be taken as the kernel gives them, they are opened anew: then one kernel group will do for all.
    const kernelFlags = rights.grants.some(({ all }) => all) ? eventFlags : 0;
    // A process that this PID namespace does not have is called 0, as are all others of its kind.
    const ownerPid = rights.peer.pid === 0 ? -1 : rights.peer.pid;
    const group: CoreGroup = core.open({ ...settings, eventFlags: kernelFlags }, ownerPid, {
      holdings,
      get maxQueued() {
        const { queueBytes, descriptors } = connection.rights.limits;
        const { notifications } = group.queue;
        const byBytes = Math.floor(queueBytes / QUEUED_EVENT_BYTES);
        const left = (undelivered: number) => {
          const ofUser = holdings.queued + holdings.undelivered;
          const most = mostHeld(notifications + undelivered, descriptors, ofUser, mostDescriptors);
          return Math.min(byBytes, most - undelivered);
        };
        const byDescriptors = left(connection.undelivered);
        return notifications < byDescriptors ? byDescriptors : left(connection.countUndelivered());
      },
      get maxPending() {
        const { pending } = connection.rights.limits;
        return mostHeld(group.pending, pending, holdings.pending, mostPending);
      },
      get longestMs() {
        return longestMsOf(connection.rights);
      },
    });
    const wake = () => this.wake(group);
    const sight = new Sight({ kernel, core, group, visits, connection, eventFlags, looked: wake });
    const served = new DescriptorsGroup({
      kernel,
      mounts,
      core,
      connection,
      group,
      eventFlags,
      sight,
      counts,
      wake,
      readAll: () => this.#parts.host().readAll(),
      closed: () => {
        this.#timedOut += group.statistics.timedOut;
        this.#byGroup.delete(group);
        this.#woken.delete(group);
      },
    });
    this.#byGroup.set(group, served);
    return served;
  }

  totals(): ReturnType<Broker['totals']> {
    const { held, heard } = this.#parts.host();
    let timedOut = this.#timedOut;
    for (const group of this.#byGroup.keys()) timedOut += group.statistics.timedOut;
    return { ...heard, answered: held.total, timedOut, heldSeconds: held.histogram, unplaced: 0 };
  }
}
