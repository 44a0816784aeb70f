// The groups of a private core: all of one owner, which is taken at its word.

import { type Kernel, KernelError, type PollEntry } from '../../kernel/index.ts';
import type { Core } from '../core.ts';
import type { CoreGroup } from '../group.ts';
import type { Clientele } from './clientele.ts';
import { ServedGroup } from './served-group.ts';

const POLLIN = 1;
const POLLOUT = 4;
const INBOX_BYTES = 4096;

export interface OwnersGroupsParts {
  readonly kernel: Kernel;
  readonly core: Core;
  /** Where new groups come in; the end of it is the end of everything. */
  readonly control: number;
  /** Readable once the owner has ended. */
  readonly ownerPidfd: number;
  /** Readable once the owner's thread has ended: there is never something to read. */
  readonly ownerThread: number;
  readonly ownerPid: number;
}

export class OwnersGroups implements Clientele {
  readonly #parts: OwnersGroupsParts;
  readonly #kernel: Kernel;
  readonly #connections = new Map<number, ServedGroup>();
  readonly #byGroup = new Map<CoreGroup, ServedGroup>();
  /** Groups that something waits for. */
  readonly #woken = new Set<CoreGroup>();
  readonly #inbox = Buffer.allocUnsafeSlow(INBOX_BYTES);
  readonly #owner: PollEntry;
  readonly #ownerThread: PollEntry;
  readonly #control: PollEntry;

  constructor(parts: OwnersGroupsParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
    this.#owner = { fd: parts.ownerPidfd, events: POLLIN, revents: 0 };
    this.#ownerThread = { fd: parts.ownerThread, events: POLLIN, revents: 0 };
    this.#control = { fd: parts.control, events: POLLIN, revents: 0 };
  }

  get isOver(): boolean {
    return this.#owner.revents !== 0 || this.#ownerThread.revents !== 0;
  }

  isOwn(pid: number): boolean {
    return pid === this.#kernel.pid;
  }

  /** There may be hundreds of connections: each keeps its entry. */
  prepare(polled: PollEntry[]): number {
    polled.push(this.#owner, this.#ownerThread, this.#control);
    for (const { entry, isBlocked } of this.#connections.values()) {
      entry.events = isBlocked ? POLLIN | POLLOUT : POLLIN;
      polled.push(entry);
    }
    return Number.POSITIVE_INFINITY;
  }

  hear(): boolean {
    for (const connection of this.#connections.values()) {
      const { revents } = connection.entry;
      if ((revents & POLLOUT) !== 0) connection.isBlocked = false;
      if ((revents & ~POLLOUT) !== 0) this.#listen(connection);
    }
    return this.#control.revents === 0 || this.#accept();
  }

  wake(group: CoreGroup): void {
    this.#woken.add(group);
  }

  tell(): void {
    for (const group of this.#woken) {
      const connection = this.#byGroup.get(group);
      if (connection?.isBlocked) continue;
      if (!connection || connection.tell()) this.#woken.delete(group);
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  /** Takes in a group: its socket, and the one for answers. False when there will be none any more. */
  #accept(): boolean {
    try {
      const { bytes, descriptors } = this.#kernel.receiveMessage(this.#parts.control, this.#inbox, true);
      if (bytes === 0) return false;
      const [fd, answers, ...others] = descriptors;
      for (const other of others) this.#kernel.close(other);
      if (fd === undefined || answers === undefined) {
        if (fd !== undefined) this.#kernel.close(fd);
        return true;
      }
      const { core, ownerPid } = this.#parts;
      this.#connections.set(fd, new ServedGroup(this.#kernel, core, fd, answers, ownerPid));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'ECONNRESET') return false;
    }
    return true;
  }

  #listen(connection: ServedGroup): void {
    if (connection.listen(this.#inbox)) {
      if (connection.group) this.#byGroup.set(connection.group, connection);
      return;
    }
    this.#connections.delete(connection.fd);
    if (connection.group) {
      this.#byGroup.delete(connection.group);
      this.#woken.delete(connection.group);
    }
    connection.close();
  }
}
