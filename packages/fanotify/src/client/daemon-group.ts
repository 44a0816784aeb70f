// A group of the daemon whose events carry descriptors, as the core's listeners take one.

import { EventCursor, FAN_CLOEXEC, FAN_NONBLOCK, O_CLOEXEC } from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import type { GroupConnection } from '../core/process/connection.ts';
import { readEvents, readStatistics } from '../core/process/event-wire.ts';
import { REQUEST } from '../core/process/wire.ts';
import type { CoreEvent, GroupSettings, GroupStatistics, MarkChange } from '../core/types.ts';
import type { Kernel } from '../kernel/index.ts';
import { DaemonConnection } from './connection.ts';
import { DaemonEndedError } from './errors.ts';

const F_SETFD = 2;
const POLLIN = 1;

/** Opens one. Whatever is refused throws a CallError; DaemonUnavailableError, DaemonVersionError and DaemonEndedError besides. */
export function openDaemonGroup(kernel: Kernel, socket: string, settings: GroupSettings): GroupConnection {
  const connection = new DaemonConnection(kernel, socket, (settings.eventFlags & O_CLOEXEC) !== 0);
  try {
    connection.bind(settings);
    if ((settings.flags & FAN_CLOEXEC) === 0) kernel.fcntl(connection.fd, F_SETFD, 0);
    return new DaemonGroup(kernel, connection, (settings.flags & FAN_NONBLOCK) === 0);
  } catch (error) {
    connection.close();
    throw error;
  }
}

class DaemonGroup implements GroupConnection {
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #connection: DaemonConnection;
  readonly #waits: boolean;
  #isClosed = false;

  constructor(kernel: Kernel, connection: DaemonConnection, waits: boolean) {
    this.#kernel = kernel;
    this.#connection = connection;
    this.#waits = waits;
    this.fd = connection.fd;
  }

  set onAhead(ahead: (() => void) | undefined) {
    this.#connection.onBacklog = ahead;
  }

  addMark(target: number, change: MarkChange): void {
    const { requests } = this.#connection;
    this.#connection.request(requests.mark(REQUEST.addMark, change), [target]);
  }

  removeMark(target: number, change: Pick<MarkChange, 'scope' | 'mask' | 'ignored'>): void {
    const { requests } = this.#connection;
    const whole = { ...change, survivesModify: false };
    this.#connection.request(requests.mark(REQUEST.removeMark, whole), [target]);
  }

  clearMarks(): void {
    this.#connection.request(this.#connection.requests.plain(REQUEST.clearMarks));
  }

  respond(cookie: bigint, response: number): void {
    this.#connection.request(this.#connection.requests.respond(cookie, response));
  }

  ignoreType(type: number): void {
    this.#connection.request(this.#connection.requests.ignoreType(type));
  }

  ignoreFsid(fsid: readonly [number, number]): void {
    this.#connection.request(this.#connection.requests.ignoreFsid(fsid));
  }

  setTimeout(deadlineMs: number, onTimeout: 'allow' | 'deny'): void {
    this.#connection.request(this.#connection.requests.setTimeout(deadlineMs, onTimeout));
  }

  statistics(): GroupStatistics {
    return readStatistics(this.#connection.request(this.#connection.requests.plain(REQUEST.statistics)).toString());
  }

  read(): CoreEvent[] {
    for (;;) {
      const message = this.#connection.receive();
      if (message) return readEvents(new EventCursor(message.bytes), message.descriptors);
      if (!this.#waits) throw new CallError('EAGAIN', 'nothing has happened', 'read');
      this.#kernel.poll([{ fd: this.fd, events: POLLIN, revents: 0 }], -1);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      // Whoever has the answer may unmount what was marked.
      this.#connection.request(this.#connection.requests.plain(REQUEST.close));
    } catch (error) {
      if (!(error instanceof CallError) && !(error instanceof DaemonEndedError)) throw error;
    } finally {
      this.#connection.close();
    }
  }

  abandon(): void {
    this.#isClosed = true;
    this.#connection.abandon();
  }
}
