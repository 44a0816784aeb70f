// What the loops of both brokers share: orders from the daemon's main process and news for it, the clients' connections, and the visitors.
// A loop calls, in each of its turns: prepare, poll(2) of what that has added, hear, and at its end flush.

import { nowMs } from '../decision/clock.ts';
import { type Kernel, KernelError, type PollEntry } from '../kernel/index.ts';
import { Connection } from './connection.ts';
import type { GroupStatus, Order } from './control.ts';
import { NewsDesk } from './news.ts';
import type { Broker } from './served.ts';
import { UserHoldings } from './user-holdings.ts';
import type { OpenVisits, Visits } from './visits.ts';
import { WatchedConnections } from './watched-connections.ts';

const POLLIN = 1;
const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;
/** Longer than any order: supplementary groups are 65,536 at most, and a message no longer than the socket's buffer. */
const ORDER_BYTES = 256 * 1024;
const ORDERS_PER_TURN = 64;
/** A message is shorter than 64 KiB. */
const GROUPS_PER_PAGE = 64;

export interface DeskParts {
  readonly kernel: Kernel;
  /** The socket to the main process. Its end is the end of everything. */
  readonly control: number;
  /** The main process: readable once it has ended. */
  readonly mainPidfd: number;
  readonly mainPid: number;
  readonly visits: OpenVisits;
  readonly broker: Broker;
  /** How many descriptors all groups of a user may hold; none where events have none. */
  readonly mostDescriptors?: number | undefined;
}

export class Desk {
  readonly news: NewsDesk;
  readonly #parts: DeskParts;
  readonly #kernel: Kernel;
  readonly visits: Visits;
  readonly #connections = new Map<number, Connection>();
  readonly #holdings = new UserHoldings();
  readonly #watched: WatchedConnections;
  readonly #control: PollEntry & { events: number };
  readonly #main: PollEntry;
  #visitorEntries: PollEntry[] = [];
  /** Processes of the daemon, as the main process has named them. */
  #named: readonly number[] = [];
  readonly #own = new Set<number>();
  #orders: Buffer | undefined;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
    this.#watched = new WatchedConnections(parts.kernel);
    this.#control = { fd: parts.control, events: POLLIN, revents: 0 };
    this.#main = { fd: parts.mainPidfd, events: POLLIN, revents: 0 };
    this.news = new NewsDesk(parts.kernel, parts.control, nowMs());
    this.visits = parts.visits(
      (pid) => this.news.add({ is: 'visitorStuck', pid }),
      (user, untilMs) => parts.broker.userIsOut(user, untilMs),
    );
    this.#nameOwn();
  }

  /** Whether a process is the daemon's own: nobody hears what it does, nor is asked about it. */
  isOwn(pid: number): boolean {
    return this.#own.has(pid) || this.visits.isVisitor(pid);
  }

  /** Whether the main process has ended, as the last poll(2) says. */
  get isOver(): boolean {
    return this.#main.revents !== 0;
  }

  /**
   * Adds what is waited for; returns when {@link hear} is to be called at the latest.
   *
   * @param polled They get their `revents`.
   */
  prepare(polled: PollEntry[], now: number): number {
    this.#control.events = (this.news.isFull ? 0 : POLLIN) | (this.news.isBlocked ? POLLOUT : 0);
    polled.push(this.#main, this.#control);
    const { fds } = this.visits;
    if (fds.length !== this.#visitorEntries.length || fds.some((fd, at) => fd !== this.#visitorEntries[at]?.fd)) {
      this.#visitorEntries = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
    }
    for (const entry of this.#visitorEntries) polled.push(entry);
    return Math.min(this.visits.dueMs, this.#watched.prepare(polled, now));
  }

  /** Hears visitors, clients, and the main process; false when that has ended: then everything ends. */
  hear(now: number): boolean {
    if (this.isOver) return false;
    const { dueMs } = this.visits;
    if (now >= dueMs || this.#visitorEntries.some(({ revents }) => revents !== 0)) this.visits.hear(now);
    this.#watched.hear(now);
    if ((this.#control.revents & POLLOUT) !== 0) this.news.isBlocked = false;
    // Closed at the other end: whatever there still is to say, or to do, is for nobody.
    if ((this.#control.revents & (POLLERR | POLLHUP)) !== 0) return false;
    return (this.#control.revents & POLLIN) === 0 || this.#hearOrders(now);
  }

  /** Says what there is to say to the main process; false when that is not there any more. */
  flush(): boolean {
    return this.news.flush();
  }

  /** Ends all connections. */
  close(): void {
    for (const connection of this.#connections.values()) connection.end('the daemon ends');
  }

  #hearOrders(now: number): boolean {
    this.#orders ??= Buffer.allocUnsafeSlow(ORDER_BYTES);
    for (let heard = 0; heard < ORDERS_PER_TURN && !this.news.isFull; heard++) {
      try {
        const { bytes, descriptors } = this.#kernel.receiveMessage(this.#parts.control, this.#orders, true);
        if (bytes === 0) return false;
        this.#obey(JSON.parse(this.#orders.toString('utf8', 0, bytes)) as Order, descriptors, now);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        return error.code === 'EAGAIN';
      }
    }
    return true;
  }

  #obey(order: Order, descriptors: readonly number[], now: number): void {
    const [fd, ...others] = descriptors;
    for (const other of others) this.#kernel.close(other);
    switch (order.do) {
      case 'admit':
        if (fd === undefined) this.news.add({ is: 'ended', id: order.id, why: 'there was no descriptor left for it' });
        else this.#admit(order, fd, now);
        return;
      case 'visitor':
        if (fd === undefined) this.news.add({ is: 'visitorStuck', pid: null });
        else this.visits.add(fd);
        return;
      case 'rights':
        this.#connections.get(order.id)?.setRights(order.rights, now);
        return;
      case 'end':
        this.#connections.get(order.id)?.end('');
        return;
      case 'processes':
        this.#named = order.pids;
        this.#nameOwn();
        return;
      case 'ping':
        this.news.add({ is: 'pong', number: order.number });
        return;
      case 'status':
        this.#tellStatus(order.number, order.after);
    }
  }

  #admit({ id, rights }: Extract<Order, { do: 'admit' }>, fd: number, now: number): void {
    const { kernel, broker, mostDescriptors = 0 } = this.#parts;
    const { peer } = rights;
    const parts = {
      kernel,
      broker,
      visits: this.visits,
      holdings: this.#holdings.joined(peer),
      mostDescriptors,
      complain: (text: string) => this.news.complain(id, text, nowMs()),
      changed: () => this.#watched.changed(connection),
      ended: (why: string) => {
        this.#connections.delete(id);
        this.#holdings.left(peer);
        this.#watched.remove(connection);
        this.news.add({ is: 'ended', id, why });
      },
    };
    const connection: Connection = new Connection(parts, id, fd, rights, now);
    this.#connections.set(id, connection);
    this.#watched.add(connection);
  }

  #tellStatus(number: number, after: number): void {
    const groups: GroupStatus[] = [];
    let more = false;
    for (const connection of [...this.#connections.values()].sort((one, other) => one.id - other.id)) {
      const status = connection.id > after ? connection.status() : undefined;
      if (!status) continue;
      more = groups.length === GROUPS_PER_PAGE;
      if (more) break;
      groups.push(status);
    }
    const { asked, stuck } = this.visits;
    const totals = { ...this.#parts.broker.totals(), visits: asked, visitsStuck: stuck };
    this.news.add({ is: 'status', number, groups, more, totals });
  }

  #nameOwn(): void {
    this.#own.clear();
    for (const pid of [this.#kernel.pid, this.#parts.mainPid, ...this.#named]) this.#own.add(pid);
  }
}
