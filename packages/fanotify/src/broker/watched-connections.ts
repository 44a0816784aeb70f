// Which connections are ready, however many there are: by an epoll(7), so that those who say nothing cost nothing.

import type { Kernel, PollEntry } from '../kernel/index.ts';
import type { Connection } from './connection.ts';

const POLLIN = 1;
/** How many are heard in one turn: the others are ready still. */
const MOST_READY = 256;

export class WatchedConnections {
  readonly #kernel: Kernel;
  readonly #epoll: number;
  readonly #entry: PollEntry;
  readonly #byFd = new Map<number, Connection>();
  /** What the kernel was told that is waited for. */
  readonly #told = new Map<Connection, number>();
  /** Those that may wait for something else than that. */
  readonly #changed = new Set<Connection>();
  /** When those are to be heard that wait for their time. */
  readonly #due = new Map<Connection, number>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#epoll = kernel.epollCreate();
    this.#entry = { fd: this.#epoll, events: POLLIN, revents: 0 };
  }

  add(connection: Connection): void {
    this.#byFd.set(connection.fd, connection);
    this.#changed.add(connection);
  }

  /** Before its descriptor is closed, or lent for longer: it would be ready for ever. */
  remove(connection: Connection): void {
    if (this.#told.delete(connection)) this.#kernel.epollControl(this.#epoll, connection.fd, undefined, true);
    this.#byFd.delete(connection.fd);
    this.#changed.delete(connection);
    this.#due.delete(connection);
  }

  changed(connection: Connection): void {
    if (this.#byFd.get(connection.fd) === connection) this.#changed.add(connection);
  }

  /** Adds what is waited for; returns when {@link hear} is to be called at the latest. */
  prepare(polled: PollEntry[], nowMs: number): number {
    for (const connection of this.#changed) this.#prepareOne(connection, nowMs);
    this.#changed.clear();
    polled.push(this.#entry);
    let due = Number.POSITIVE_INFINITY;
    for (const dueMs of this.#due.values()) if (dueMs < due) due = dueMs;
    return due;
  }

  /** Hears those that are ready, or due. */
  hear(nowMs: number): void {
    for (const [connection, dueMs] of this.#due) {
      if (dueMs > nowMs) continue;
      this.#due.delete(connection);
      connection.hear(0, nowMs);
    }
    if (this.#entry.revents === 0) return;
    this.#kernel.epollReady(this.#epoll, MOST_READY, (fd, revents) => this.#byFd.get(fd)?.hear(revents, nowMs));
  }

  #prepareOne(connection: Connection, nowMs: number): void {
    const dueMs = connection.prepare(nowMs);
    if (dueMs < Number.POSITIVE_INFINITY) this.#due.set(connection, dueMs);
    else this.#due.delete(connection);
    const told = this.#told.get(connection);
    if (told === connection.events) return;
    this.#kernel.epollControl(this.#epoll, connection.fd, connection.events, told !== undefined);
    this.#told.set(connection, connection.events);
  }
}
