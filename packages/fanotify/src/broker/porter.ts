// Closes connections that are refused. Whoever closes the last descriptor of one gets what its client has put into it, and waits for that: the
// main process leaves it to a visitor of its own.

import { nowMs } from '../decision/clock.ts';
import { type Kernel, linuxKernel, type Readiness } from '../kernel/index.ts';
import { Graves } from './graves.ts';
import { type ClientPeer, countedUid } from './rights.ts';
import { VisitorProcesses } from './visitor-processes.ts';
import { Visitors } from './visitors.ts';

/** So many connections of one user wait for the visitor, and of all: more of them would take descriptors from the main process. */
const MOST_OF_USER = 32;
const MOST_OF_ALL = 256;
/** So many more may wait for a process that they go with. */
const MOST_BURIED = 512;
/** That somebody leaves more is said once in so long. */
const SAID_AGAIN_MS = 60_000;

/**
 * Closes what clients have made, and waits for none of it. Privilege: CAP_SETUID, CAP_SETGID.
 *
 * @example
 * // Privilege: root
 * import { Porter } from 'fanotify/broker';
 * import { linuxKernel } from 'fanotify/kernel';
 * const kernel = linuxKernel();
 * const porter = new Porter({ tell: console.error, processesChanged() {} });
 * const [ours, theirs] = kernel.socketPair();
 * const readiness = kernel.onReadable(ours, () => {
 *   console.log('closed'); // closed
 *   readiness.close();
 *   kernel.close(ours);
 *   void porter.close();
 * });
 * porter.letGo(kernel.peerOf(theirs), theirs);
 */
export class Porter {
  readonly #kernel: Kernel;
  readonly #listener: PorterListener;
  readonly #visitors: Visitors;
  readonly #processes: VisitorProcesses;
  readonly #graves: Graves;
  readonly #listening = new Map<number, Readiness>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #saidMs = Number.NEGATIVE_INFINITY;

  /**
   * @param listener What is told of it.
   * @param kernel The operating system.
   */
  constructor(listener: PorterListener, kernel: Kernel = linuxKernel()) {
    this.#kernel = kernel;
    this.#listener = listener;
    this.#graves = new Graves(kernel, (text) => listener.tell(text));
    this.#visitors = new Visitors({ kernel, onStuck: (pid) => this.#processes.replace(pid) });
    this.#processes = new VisitorProcesses(
      kernel,
      (fd) => {
        this.#visitors.add(fd);
        this.#attend();
      },
      (text) => listener.tell(text),
      () => listener.processesChanged(),
      false,
    );
  }

  /** The process ids of its visitors. */
  get pids(): readonly number[] {
    return this.#processes.pids;
  }

  /** Whether so much waits to be closed that there is to be no more. */
  get isFull(): boolean {
    return this.#graves.waiting >= MOST_BURIED;
  }

  /** Closes a connection, sooner or later. */
  letGo(peer: ClientPeer, fd: number): void {
    const { ofUser, ofAll } = this.#visitors.unsent(peer);
    if (this.#isClosed) this.#kernel.close(fd);
    else if (ofUser >= MOST_OF_USER || ofAll >= MOST_OF_ALL) this.#bury(peer, fd);
    else {
      this.#visitors.letGo(peer, fd);
      this.#attend();
    }
  }

  /** Resolves when its visitors have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const readiness of this.#listening.values()) readiness.close();
    this.#listening.clear();
    this.#graves.close();
    await this.#processes.close();
  }

  #bury(peer: ClientPeer, fd: number): void {
    this.#graves.take(fd);
    if (nowMs() - this.#saidMs < SAID_AGAIN_MS) return;
    this.#saidMs = nowMs();
    this.#listener.tell(
      `connections of user ${countedUid(peer)} come faster than they can be closed one by one: they end with processes`,
    );
  }

  /** Listens to the visitors that there are, and looks again when something is due. */
  #attend(): void {
    if (this.#isClosed) return;
    const fds = new Set(this.#visitors.fds);
    for (const [fd, readiness] of this.#listening) {
      if (fds.has(fd)) continue;
      readiness.close();
      this.#listening.delete(fd);
    }
    for (const fd of fds) {
      if (!this.#listening.has(fd))
        this.#listening.set(
          fd,
          this.#kernel.onReadable(fd, () => this.#hear()),
        );
    }
    clearTimeout(this.#timer);
    const { dueMs } = this.#visitors;
    if (Number.isFinite(dueMs)) this.#timer = setTimeout(() => this.#hear(), Math.max(1, Math.ceil(dueMs - nowMs())));
  }

  #hear(): void {
    this.#visitors.hear(nowMs());
    this.#attend();
  }
}

/** What a {@link Porter} tells. */
export interface PorterListener {
  /** Something for the log. */
  tell(text: string): void;
  /** {@link Porter.pids} are others now. */
  processesChanged(): void;
}
