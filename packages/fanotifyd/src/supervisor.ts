// Keeps one broker running: asks whether it is well, kills one that says nothing any more, and starts another where one has died.

import { Broker, type BrokerKind, type BrokerStatus, type ClientPeer, countedUid, type Rights } from 'fanotify/broker';
import type { Kernel } from 'fanotify/kernel';
import type { Log } from './log.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** One that has run for so long is started anew at once. */
const CALM_MS = 60_000;
const PING_MS = 1_000;
/** Pings in the time after which it counts as stuck. */
const PINGS = 5;

/** A client that a broker serves. */
export interface Client {
  readonly peer: ClientPeer;
}

export interface SupervisorParts {
  readonly kind: BrokerKind;
  readonly kernel: Kernel;
  readonly log: Log;
  /** A client has gone. */
  readonly left: (client: Client) => void;
  /** {@link Supervisor.pids} are others now. */
  readonly processesChanged: () => void;
}

export class Supervisor {
  readonly kind: BrokerKind;
  readonly clients = new Map<number, Client>();
  readonly #parts: SupervisorParts;
  #broker: Broker | undefined;
  #stuckAfterMs: number;
  #restarts = 0;
  #startedMs = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #pinger: NodeJS.Timeout | undefined;
  /** How many pings ago it has answered last. */
  #unanswered = 0;
  #isClosing = false;

  constructor(parts: SupervisorParts, stuckAfterMs: number) {
    this.kind = parts.kind;
    this.#parts = parts;
    this.#stuckAfterMs = stuckAfterMs;
  }

  /** How often it was started anew. */
  get restarts(): number {
    return this.#restarts;
  }

  get pid(): number | undefined {
    return this.#broker?.pid;
  }

  /** The process ids of the broker and its visitors. */
  get pids(): readonly number[] {
    return this.#broker?.pids ?? [];
  }

  /** Whether it runs, and has answered lately. */
  get isWell(): boolean {
    return this.#broker !== undefined && this.#unanswered <= 1;
  }

  set stuckAfterMs(stuckAfterMs: number) {
    this.#stuckAfterMs = stuckAfterMs;
    if (this.#broker) this.#ping();
  }

  /**
   * Starts it for the first time.
   *
   * @throws BrokerDiedError when it cannot begin: then it could not later either.
   */
  async start(): Promise<void> {
    await this.#start();
  }

  /** Hands a client's connection over, which is closed here. False when there is no broker now. */
  admit(fd: number, rights: Rights): boolean {
    if (!this.#broker) return false;
    this.clients.set(this.#broker.admit(fd, rights), { peer: rights.peer });
    return true;
  }

  /** Tells what each client may do from now on. */
  renewRights(rightsOf: (peer: ClientPeer) => Rights): void {
    for (const [id, { peer }] of this.clients) this.#broker?.setRights(id, rightsOf(peer));
  }

  /** Tells which processes are the daemon's own. */
  name(pids: readonly number[]): void {
    this.#broker?.name(pids);
  }

  /** Undefined while there is none, or it does not answer. */
  async status(): Promise<BrokerStatus | undefined> {
    try {
      return await this.#broker?.status();
    } catch {
      return undefined;
    }
  }

  /** Resolves when it has ended, and what it held has its policies. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    clearInterval(this.#pinger);
    await this.#broker?.close();
    this.#forgetClients();
  }

  async #start(): Promise<void> {
    const { kernel, log } = this.#parts;
    const listener = {
      ended: (id: number, why: string) => this.#ended(id, why),
      log: (level: 'info' | 'warn' | 'error', id: number | null, text: string) => this.#say(level, id, text),
      died: (how: string) => this.#died(how),
      // The first ones are known once it has started.
      processesChanged: () => this.#broker && this.#parts.processesChanged(),
    };
    const broker = await Broker.start(this.kind, listener, kernel);
    if (this.#isClosing) {
      await broker.close();
      return;
    }
    this.#broker = broker;
    this.#startedMs = performance.now();
    this.#ping();
    this.#parts.processesChanged();
    log.say('info', `the ${this.kind} broker is ready`, { pid: broker.pid ?? 0 });
  }

  /** Counts answers rather than time: a daemon that was stopped itself must not take its broker for stuck. */
  #ping(): void {
    clearInterval(this.#pinger);
    this.#unanswered = 0;
    const everyMs = Math.min(PING_MS, this.#stuckAfterMs / PINGS);
    const most = Math.ceil(this.#stuckAfterMs / everyMs);
    this.#pinger = setInterval(() => {
      const broker = this.#broker;
      if (!broker) return;
      if (this.#unanswered >= most) {
        this.#parts.log.say('error', `the ${this.kind} broker does not answer, and is killed`, {
          pid: broker.pid ?? 0,
        });
        clearInterval(this.#pinger);
        broker.kill();
        return;
      }
      this.#unanswered++;
      const isCurrent = () => this.#broker === broker;
      broker.ping().then(
        () => {
          if (isCurrent()) this.#unanswered = 0;
        },
        // That it has ended is told by its end.
        () => undefined,
      );
    }, everyMs);
  }

  #ended(id: number, why: string): void {
    const client = this.clients.get(id);
    this.clients.delete(id);
    if (!client) return;
    if (why !== '') {
      const { uid, pid } = client.peer;
      const facts = { uid, pid, broker: this.kind };
      this.#parts.log.ofUser('warn', countedUid(client.peer), `a client was ended: ${why}`, facts);
    }
    this.#parts.left(client);
  }

  #say(level: 'info' | 'warn' | 'error', id: number | null, text: string): void {
    const peer = id === null ? undefined : this.clients.get(id)?.peer;
    if (peer) {
      const facts = { uid: peer.uid, pid: peer.pid, broker: this.kind };
      this.#parts.log.ofUser(level, countedUid(peer), text, facts);
    } else this.#parts.log.say(level, text, { broker: this.kind });
  }

  #died(how: string): void {
    this.#broker = undefined;
    clearInterval(this.#pinger);
    this.#forgetClients();
    this.#parts.log.say('error', `the ${this.kind} broker ${how}: its clients have to connect again`);
    if (performance.now() - this.#startedMs > CALM_MS) this.#pauseMs = FIRST_PAUSE_MS;
    this.#startLater();
  }

  #startLater(): void {
    if (this.#isClosing) return;
    this.#timer = setTimeout(() => {
      this.#restarts++;
      this.#start().catch((error: unknown) => {
        this.#parts.log.say('error', String(error instanceof Error ? error.message : error));
        this.#startLater();
      });
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  #forgetClients(): void {
    const clients = [...this.clients.values()];
    this.clients.clear();
    for (const client of clients) this.#parts.left(client);
  }
}
