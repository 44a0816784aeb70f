// A broker as the daemon's main process sees it: a child process, the socket to it, and its visitors. Nothing here waits for it.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Kernel, KernelError, linuxKernel, type Readiness } from '../kernel/index.ts';
import type { BrokerTotals, GroupStatus, News, Order, StatusPage } from './control.ts';
import type { BrokerKind } from './first-request.ts';
import { OrderQueue } from './order-queue.ts';
import type { Rights } from './rights.ts';
import { VisitorProcesses } from './visitor-processes.ts';

const PROGRAM = fileURLToPath(new URL('./broker-main.js', import.meta.url));
/** A start takes a tenth of a second on an idle machine. */
const START_MS = 30_000;
/** How long it may take to give what is held its policy, and go. */
const END_MS = 5_000;
const STATUS_MS = 5_000;
const INBOX_BYTES = 256 * 1024;
/** So much is heard in one turn. */
const MOST_NEWS = 64;

/** What a broker tells. */
export interface BrokerListener {
  /** A client has gone, or was made to: `why` is for the log, empty where it closed its connection. */
  ended(id: number, why: string): void;
  /** Something for the log. `id`: which client it is about. */
  log(level: 'info' | 'warn' | 'error', id: number | null, text: string): void;
  /** It has ended though nobody asked it to: its clients' connections have ended, and the kernel has allowed what it held. */
  died(how: string): void;
  /** {@link Broker.pids} are others now. */
  processesChanged(): void;
}

/** All pages of a broker's status. */
export interface BrokerStatus {
  /** In order of priority: who is asked first comes first. */
  readonly groups: readonly GroupStatus[];
  readonly totals: BrokerTotals;
}

/**
 * A broker could not be started, or has ended while something was asked of it.
 *
 * @example
 * import { BrokerDiedError } from 'fanotify/broker';
 * console.log(new BrokerDiedError('the names broker ended').code); // BROKER_DIED
 */
export class BrokerDiedError extends Error {
  static {
    BrokerDiedError.prototype.name = 'BrokerDiedError';
  }
  readonly code = 'BROKER_DIED';
}

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/**
 * One broker of a daemon: the process that owns the kernel's groups and serves clients, whose connections are handed to it. Privilege:
 * CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, and CAP_SETUID and CAP_SETGID for its visitors.
 *
 * @example
 * // Privilege: root
 * import { Broker } from 'fanotify/broker';
 * const listener = { ended() {}, log() {}, died: (how) => console.error(how), processesChanged() {} };
 * const broker = await Broker.start('names', listener);
 * await broker.ping();
 * console.log((await broker.status()).groups.length); // 0
 * await broker.close();
 */
export class Broker {
  readonly kind: BrokerKind;
  readonly #kernel: Kernel;
  readonly #listener: BrokerListener;
  readonly #child: ChildProcess;
  readonly #readiness: Readiness;
  readonly #exited: Promise<void>;
  readonly #ready: Promise<void>;
  readonly #inbox = Buffer.allocUnsafeSlow(INBOX_BYTES);
  readonly #orders: OrderQueue;
  readonly #pings = new Map<number, Waiting<void>>();
  readonly #pages = new Map<number, Waiting<StatusPage>>();
  #settleReady: Waiting<void> = { resolve: () => undefined, reject: () => undefined };
  #visitors: VisitorProcesses | undefined;
  #control: number;
  #lastId = 0;
  #lastNumber = 0;
  #isReady = false;
  #isClosing = false;

  private constructor(kind: BrokerKind, listener: BrokerListener, kernel: Kernel) {
    this.kind = kind;
    this.#kernel = kernel;
    this.#listener = listener;
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    const [control, theirs] = kernel.socketPair();
    this.#control = control;
    this.#orders = new OrderQueue(kernel, control);
    const { NODE_OPTIONS: _, NODE_CHANNEL_FD: __, ...env } = process.env;
    try {
      this.#child = spawn(process.execPath, [PROGRAM, kind], {
        detached: true,
        cwd: '/',
        env,
        // It says nothing there but why it crashes.
        stdio: ['ignore', 'ignore', 'pipe', theirs],
      });
    } catch (error) {
      kernel.close(control);
      throw error;
    } finally {
      kernel.close(theirs);
    }
    const { stderr } = this.#child;
    if (stderr) createInterface({ input: stderr }).on('line', (line) => listener.log('error', null, line));
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (status, signal) => {
        this.#hasEnded(signal ? `was ended by ${signal}` : `ended with status ${status}`);
        resolve();
      });
      this.#child.once('error', ({ message }) => {
        this.#hasEnded(`could not be started: ${message}`);
        resolve();
      });
    });
    this.#readiness = kernel.onReadable(control, () => this.#hear());
  }

  /**
   * Starts a broker; resolves when it can take clients.
   *
   * @param kind Which one.
   * @throws BrokerDiedError when it cannot begin, with its reason.
   */
  static async start(kind: BrokerKind, listener: BrokerListener, kernel: Kernel = linuxKernel()): Promise<Broker> {
    const broker = new Broker(kind, listener, kernel);
    const late = setTimeout(() => broker.kill(), START_MS);
    try {
      await broker.#ready;
    } catch (error) {
      await broker.close();
      throw error;
    } finally {
      clearTimeout(late);
    }
    broker.#visitors = new VisitorProcesses(
      kernel,
      (fd) => broker.#orders.push({ do: 'visitor' }, [fd]),
      (text) => listener.log('error', null, text),
      () => listener.processesChanged(),
      true,
    );
    listener.processesChanged();
    return broker;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The process ids of it and its visitors. */
  get pids(): readonly number[] {
    return [...(this.#child.pid === undefined ? [] : [this.#child.pid]), ...(this.#visitors?.pids ?? [])];
  }

  /** Which processes are the daemon's own: nobody hears what they do, nor is asked about it. */
  name(pids: readonly number[]): void {
    this.#orders.push({ do: 'processes', pids });
  }

  /**
   * Hands a client over.
   *
   * @param fd Its connection, with the first request unread. Closed here.
   * @param rights Who it is, and what it may do.
   * @returns Its number, by which {@link BrokerListener.ended} tells of its end.
   */
  admit(fd: number, rights: Rights): number {
    const id = ++this.#lastId;
    this.#orders.push({ do: 'admit', id, rights }, [fd]);
    return id;
  }

  /** What a client may do from now on. Marks that would not be granted any more go, and its group hears an overflow. */
  setRights(id: number, rights: Rights): void {
    this.#orders.push({ do: 'rights', id, rights });
  }

  /** Ends a client's connection. */
  end(id: number): void {
    this.#orders.push({ do: 'end', id });
  }

  /**
   * Resolves when it answers.
   *
   * @throws BrokerDiedError when it ends before.
   */
  ping(): Promise<void> {
    return this.#ask(this.#pings, (number) => ({ do: 'ping', number }));
  }

  /**
   * What its groups are, and what it has done.
   *
   * @throws BrokerDiedError when it ends before, or does not answer within some seconds.
   */
  async status(): Promise<BrokerStatus> {
    const groups: GroupStatus[] = [];
    for (let after = 0; ; ) {
      const page = await this.#page(after);
      groups.push(...page.groups);
      const last = page.groups.at(-1)?.id;
      if (!page.more || last === undefined || last <= after) {
        return { groups: groups.toSorted((a, b) => b.priority - a.priority || a.id - b.id), totals: page.totals };
      }
      after = last;
    }
  }

  /** Ends it in order: what is held gets its policy. One that does not go is killed. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#hangUp();
    const kill = setTimeout(() => this.kill(), END_MS);
    await this.#exited;
    clearTimeout(kill);
    await this.#visitors?.close();
  }

  /** Ends it at once: the kernel allows what it held. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #page(after: number): Promise<StatusPage> {
    const asked = this.#ask(this.#pages, (number) => ({ do: 'status', number, after }));
    const number = this.#lastNumber;
    const late = setTimeout(() => {
      const waiting = this.#pages.get(number);
      this.#pages.delete(number);
      waiting?.reject(new BrokerDiedError(`the ${this.kind} broker does not tell its status within ${STATUS_MS} ms`));
    }, STATUS_MS);
    try {
      return await asked;
    } finally {
      clearTimeout(late);
    }
  }

  #ask<T>(waiting: Map<number, Waiting<T>>, order: (number: number) => Order): Promise<T> {
    if (this.#control < 0) return Promise.reject(new BrokerDiedError(`the ${this.kind} broker has ended`));
    this.#lastNumber = (this.#lastNumber + 1) >>> 0;
    const number = this.#lastNumber;
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject });
      this.#orders.push(order(number));
    });
  }

  #hear(): void {
    for (let heard = 0; heard < MOST_NEWS && this.#control >= 0; heard++) {
      let bytes: number;
      try {
        const message = this.#kernel.receiveMessage(this.#control, this.#inbox, true);
        bytes = message.bytes;
        for (const descriptor of message.descriptors) this.#kernel.close(descriptor);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'EAGAIN') return;
        bytes = 0;
      }
      if (bytes === 0) {
        // It has ended, or will never say anything more: its exit tells the rest.
        this.#hangUp();
        setTimeout(() => this.kill(), END_MS).unref();
        return;
      }
      this.#take(JSON.parse(this.#inbox.toString('utf8', 0, bytes)) as News);
    }
  }

  #take(news: News): void {
    switch (news.is) {
      case 'ready':
        this.#isReady = true;
        this.#settleReady.resolve();
        break;
      case 'failed':
        this.#settleReady.reject(new BrokerDiedError(`the ${this.kind} broker cannot begin: ${news.reason}`));
        break;
      case 'ended':
        this.#listener.ended(news.id, news.why);
        break;
      case 'log':
        this.#listener.log(news.level, news.id, news.text);
        break;
      case 'pong':
        this.#pings.get(news.number)?.resolve();
        this.#pings.delete(news.number);
        break;
      case 'status':
        this.#pages.get(news.number)?.resolve(news);
        this.#pages.delete(news.number);
        break;
      case 'visitorStuck':
        this.#visitors?.replace(news.pid);
        break;
    }
  }

  #hangUp(): void {
    if (this.#control < 0) return;
    this.#readiness.close();
    this.#orders.close();
    this.#kernel.close(this.#control);
    this.#control = -1;
  }

  #hasEnded(how: string): void {
    // What it has said last.
    if (this.#control >= 0) this.#hear();
    this.#hangUp();
    const error = new BrokerDiedError(`the ${this.kind} broker ${how}`);
    this.#settleReady.reject(error);
    for (const asked of [this.#pings, this.#pages]) {
      for (const { reject } of asked.values()) reject(error);
      asked.clear();
    }
    if (!this.#isReady || this.#isClosing) return;
    void this.#visitors?.close();
    this.#listener.died(how);
  }
}
