// A group through the daemon that acts as a group of the kernel.

import { FAN_EVENT_METADATA_LEN, FAN_REPORT_FID, FAN_REPORT_TARGET_FID } from '../abi/index.ts';
import { REPORT_PATH, REQUEST } from '../core/process/wire.ts';
import type { HandleKey } from '../identity/locator.ts';
import { ERRNO, type Kernel, KernelError, type KernelPath, type Readiness } from '../kernel/index.ts';
import { BrokeredMarks } from './brokered-marks.ts';
import type { DaemonConnection, EventMessage } from './connection.ts';
import { Inbox } from './inbox.ts';
import { asKernelError, Link } from './link.ts';
import { BrokeredReadiness } from './readiness.ts';

const nothingYet = new KernelError('read', ERRNO.EAGAIN);

/** What fails is a KernelError, as of the kernel, or says what is wrong with the daemon. */
export class BrokeredGroup {
  /** A descriptor of its own, which stays while the connection changes. There is never anything to read from it. */
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #flags: number;
  readonly #eventFlags: number;
  readonly #link: Link;
  readonly #marks: BrokeredMarks;
  readonly #inbox: Inbox;
  /** Whether what was read last may not have been all that had happened. */
  isBehind = false;
  /** Something was read since it was last asked whether that is all. */
  #hasUnsettled = false;
  #readiness: BrokeredReadiness | undefined;
  /** Why it cannot go on. */
  #failure: unknown;

  /**
   * Connects and binds.
   *
   * @throws DaemonUnavailableError, DaemonVersionError, DaemonEndedError; KernelError for what the daemon refuses.
   */
  constructor(kernel: Kernel, socket: string, flags: number, eventFlags: number) {
    this.#kernel = kernel;
    this.#flags = flags;
    this.#eventFlags = eventFlags;
    this.#marks = new BrokeredMarks(kernel, () => this.#link);
    const wanted = { fid: (flags & FAN_REPORT_FID) !== 0, target: (flags & FAN_REPORT_TARGET_FID) !== 0 };
    this.#inbox = new Inbox(wanted, {
      path: (message, from, to, mark, path) => this.#marks.learn(message, from, to, mark, path),
      gone: (message, from, to) => this.#marks.gone(message, from, to),
    });
    try {
      this.#link = new Link({
        kernel,
        socket,
        settings: { mask: 0n, priority: 0, flags: flags | REPORT_PATH, eventFlags },
        onBacklog: () => this.#readiness?.poke(),
        onLost: (connection) => {
          this.#take(connection);
          this.#readiness?.attach(undefined);
        },
        onBack: (connection) => this.#back(connection),
        onFailure: (error) => {
          this.#failure = error;
          this.#readiness?.poke();
        },
      });
    } catch (error) {
      throw asKernelError('fanotify_init', error);
    }
    this.fd = kernel.eventFd();
  }

  /** fanotify_mark(2). */
  mark(flags: number, mask: bigint, dirfd: number, path: KernelPath | null): void {
    this.#marks.mark(flags, mask, dirfd, path);
  }

  /**
   * read(2), of what has arrived. As long as more arrives {@link isBehind} says that it may not be all that has happened. When nothing
   * does any more, the daemon is asked, once, whether there is something on its way: that takes a round trip, in which this thread waits.
   */
  read(buffer: Uint8Array): number {
    this.isBehind = true;
    this.#receive();
    if (this.#inbox.count === 0 && this.#hasUnsettled) this.#sync();
    const bytes = this.#inbox.read(buffer);
    if (bytes > 0) {
      this.#hasUnsettled = this.isBehind;
      return bytes;
    }
    if (this.#inbox.count > 0) throw new KernelError('read', ERRNO.EINVAL);
    if (this.#failure !== undefined) throw this.#failure;
    throw nothingYet;
  }

  /** ioctl(2) FIONREAD: also of what has happened and not arrived. */
  waitingBytes(): number {
    this.#sync();
    return this.#inbox.count * FAN_EVENT_METADATA_LEN;
  }

  /** For poll(2); undefined while there is no connection. */
  get socketFd(): number | undefined {
    return this.#link.connection?.fd;
  }

  /** Whether something has been received and not read. */
  get hasWaiting(): boolean {
    return this.#inbox.count > 0 || this.#link.connection?.hasBacklog === true || this.#failure !== undefined;
  }

  onReadable(listener: () => void): Readiness {
    if (this.#readiness?.isClosed === false) throw new KernelError('epoll_ctl', ERRNO.EEXIST);
    const readiness: BrokeredReadiness = new BrokeredReadiness(
      this.#kernel,
      listener,
      () => this.hasWaiting,
      () => this.#link.keepAlive(readiness.keepsAlive),
    );
    this.#readiness = readiness;
    readiness.attach(this.socketFd);
    this.#link.keepAlive(true);
    return readiness;
  }

  /** open_by_handle_at(2): see {@link BrokeredMarks.open}. */
  open(key: HandleKey, flags: number): number | undefined {
    return this.#marks.open(key, flags);
  }

  /** What the kernel would show in /proc/self/fdinfo. */
  fdinfo(): Buffer {
    const flags = `fanotify flags:${this.#flags.toString(16)} event-flags:${this.#eventFlags.toString(16)}`;
    return Buffer.from(`${flags}\n${this.#marks.fdinfo()}`);
  }

  close(): void {
    this.#readiness?.close();
    this.#link.close();
    this.#kernel.close(this.fd);
  }

  /** Receives what has arrived. */
  #receive(): void {
    this.#link.ask((connection) => {
      for (let message = connection.receive(); message; message = connection.receive()) this.#put(message);
    });
  }

  /** Receives what has happened until now. */
  #sync(): void {
    this.#link.ask((connection) => {
      connection.request(connection.requests.plain(REQUEST.sync));
      this.#take(connection);
      this.isBehind = false;
      this.#hasUnsettled = this.#inbox.count > 0;
    });
  }

  #take(connection: DaemonConnection): void {
    while (connection.hasBacklog) {
      const message = connection.receive();
      if (!message) return;
      this.#put(message);
    }
  }

  #put(message: EventMessage): void {
    this.#inbox.put(message);
    // There are none, and if there were nobody could take them.
    for (const descriptor of message.descriptors) this.#kernel.close(descriptor);
  }

  /** Nobody knows what has happened meanwhile: that is told once it is heard again. */
  #back(connection: DaemonConnection): void {
    this.#marks.placeAgain(connection);
    this.#inbox.putOverflow();
    this.#readiness?.attach(connection.fd);
    this.#readiness?.poke();
  }
}
