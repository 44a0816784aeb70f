// The clients of the daemon whose groups carry descriptors, as the core's host has them.

import type { Core } from '../../core/core.ts';
import type { CoreGroup } from '../../core/group.ts';
import type { Clientele } from '../../core/process/clientele.ts';
import type { CoreHost } from '../../core/process/host.ts';
import type { RequestReader } from '../../core/process/wire.ts';
import { nowMs } from '../../decision/clock.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import type { PollEntry } from '../../kernel/index.ts';
import { Desk } from '../desk.ts';
import type { LoopParts } from '../loop.ts';
import { Losses } from '../losses.ts';
import { countedUid } from '../rights.ts';
import type { Broker, ClientConnection, Served } from '../served.ts';
import { mostHeld } from '../user-holdings.ts';
import type { OpenVisits } from '../visits.ts';
import { DescriptorsGroup, longestMsOf, QUEUED_EVENT_BYTES } from './descriptors-group.ts';
import type { Counts } from './marked-place.ts';
import { assertMayBind } from './permitted.ts';
import { Sight } from './sight.ts';

export interface ClientGroupsParts extends LoopParts {
  readonly core: Core;
  readonly mounts: MountTable;
  readonly visits: OpenVisits;
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
  readonly #losses = new Losses<DescriptorsGroup>();
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
    return Math.min(this.#desk.prepare(polled, nowMs), this.#losses.dueMs);
  }

  hear(nowMs: number): boolean {
    for (const group of this.#losses.due(nowMs)) group.tellLoss();
    return this.#desk.hear(nowMs);
  }

  userIsOut(user: number, untilMs: number): void {
    const now = nowMs();
    for (const group of this.#byGroup.values()) {
      if (group.user === user && this.#losses.loseUntil(group, untilMs, now)) group.tellLoss();
    }
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
      tellsLoss: () => !served.isLookedAt || lose(),
    });
    const lose = () => this.#losses.lose(served, nowMs());
    const wake = () => this.wake(group);
    const sight = new Sight({ kernel, core, group, visits, connection, eventFlags, looked: wake, lose });
    const served: DescriptorsGroup = new DescriptorsGroup({
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
        this.#losses.forget(served);
      },
    });
    this.#byGroup.set(group, served);
    const user = countedUid(rights.peer);
    const outUntilMs = visits.outUntilMs(user);
    if (outUntilMs > nowMs()) this.userIsOut(user, outUntilMs);
    return served;
  }

  totals(): ReturnType<Broker['totals']> {
    const { held, heard } = this.#parts.host();
    let timedOut = this.#timedOut;
    for (const group of this.#byGroup.keys()) timedOut += group.statistics.timedOut;
    return { ...heard, answered: held.total, timedOut, heldSeconds: held.histogram, unplaced: 0 };
  }
}
