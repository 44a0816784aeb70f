// Asks visitors, and waits for none: each has a time limit, and whoever made it wait is asked nothing for a while.

import { fileURLToPath } from 'node:url';
import { nowMs } from '../decision/clock.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { GoneVisitors, openProcess } from './gone-visitors.ts';
import { Penalties } from './penalties.ts';
import { type ClientPeer, countedUid } from './rights.ts';
import {
  decodeAnswer,
  encodeVisit,
  isRepeatable,
  MAY_READ,
  MAY_SEARCH,
  MOST_VISIT_BYTES,
  SAID,
  VISIT,
  type VisitAnswer,
  writeHeard,
} from './visit-wire.ts';
import type { Access, Received, Then, Visits } from './visits.ts';
import { WaitingVisits } from './waiting-visits.ts';

/** `node` runs it, with its end of a connection on descriptor 3. */
export const VISITOR_PROGRAM: string = fileURLToPath(new URL('./visitor-main.js', import.meta.url));

const F_DUPFD_CLOEXEC = 1030;
/** How many requests one visitor has at most: enough to keep it busy. */
const MOST_OUT = 8;
/** On a machine with more to do than it can, a visit takes a second and more, and whoever's it is would lose its connection. */
const LIMIT_MS = 4_000;
/** A start takes a tenth of a second on an idle machine. */
const START_MS = 30_000;
/** Whose visit got stuck waits for so many limits. */
const PENALTY = 5;
/** What crashes a visitor is asked of so many. */
const MOST_TRIES = 2;
/** What waits because its user's visits are slow waits for so many limits at most. */
const LONGEST_WAIT = 5;
const NOTHING: Buffer = Buffer.alloc(0);

export interface VisitorsOptions {
  readonly kernel: Kernel;
  /** A visitor does not answer in time, or has ended: it is to be killed, and another given. Its pid is null when it never said it. */
  readonly onStuck: (pid: number | null) => void;
  /** Nothing is asked for a user until then: what happens meanwhile is not what begins it. */
  readonly onOut?: (user: number, untilMs: number) => void;
  /** How long a visitor may take for one thing: 1 s. */
  readonly limitMs?: number;
  /** What hear() is told, too. */
  readonly clock?: () => number;
}

/** What is to be told, or undefined when that is no answer to it. */
type Telling = (() => void) | undefined;

interface Ask {
  readonly type: number;
  readonly number: number;
  readonly peer: ClientPeer;
  readonly message: Buffer;
  /** They go with it. */
  readonly descriptors: readonly number[];
  readonly askedMs: number;
  readonly tell: (answer: VisitAnswer | 'stuck', descriptor: number | undefined) => Telling;
  tries: number;
}

interface Connection {
  readonly fd: number;
  readonly addedMs: number;
  /** Null until it has said that it is ready. */
  pid: number | null;
  /** Undefined where the process could not be opened. */
  pidfd: number | undefined;
  /** What it was asked and has not answered, in order. */
  readonly out: Ask[];
  /** How much it has answered. */
  heard: number;
  /** Since when it is at the first of those. */
  sinceMs: number;
  /** It ends, or has ended. `clean`: it has begun nothing that is out. */
  over: 'no' | 'yes' | 'clean';
}

export class Visitors implements Visits {
  asked = 0;
  stuck = 0;
  readonly #kernel: Kernel;
  readonly #onStuck: (pid: number | null) => void;
  readonly #onOut: (user: number, untilMs: number) => void;
  readonly #limitMs: number;
  readonly #clock: () => number;
  readonly #penalties: Penalties;
  readonly #connections: Connection[] = [];
  readonly #waiting: WaitingVisits<Ask>;
  /** What the next hear() says. */
  #tellings: (() => void)[] = [];
  /** Connections that are received from; with somebody when they are to be let go then. */
  readonly #receiving = new Map<number, ClientPeer | undefined>();
  readonly #gone: GoneVisitors;
  readonly #inbox = Buffer.allocUnsafeSlow(MOST_VISIT_BYTES);
  /** Since when there is no visitor that is ready. */
  #aloneSinceMs: number;
  #number = 0;

  constructor({ kernel, onStuck, onOut = () => undefined, limitMs = LIMIT_MS, clock = nowMs }: VisitorsOptions) {
    this.#kernel = kernel;
    this.#gone = new GoneVisitors(kernel);
    this.#onStuck = onStuck;
    this.#onOut = onOut;
    this.#limitMs = limitMs;
    this.#waiting = new WaitingVisits(LONGEST_WAIT * limitMs);
    this.#clock = clock;
    this.#aloneSinceMs = clock();
    this.#penalties = new Penalties(PENALTY * limitMs);
  }

  get fds(): readonly number[] {
    return this.#connections.map(({ fd }) => fd);
  }

  get waiting(): number {
    return this.#connections.reduce((sum, { out }) => sum + out.length, this.#waiting.length);
  }

  /** What waits to be handed to a visitor: of one user, and of all. */
  unsent(peer: ClientPeer): { readonly ofUser: number; readonly ofAll: number } {
    return { ofUser: this.#waiting.of(peer), ofAll: this.#waiting.length };
  }

  get dueMs(): number {
    if (this.#tellings.length > 0) return 0;
    let due = Number.POSITIVE_INFINITY;
    for (const { over, pid, addedMs, out, sinceMs } of this.#connections) {
      if (over !== 'no') return 0;
      if (pid === null) due = Math.min(due, addedMs + START_MS);
      else if (out.length > 0) due = Math.min(due, sinceMs + this.#limitMs);
    }
    if (this.#isAlone) for (const ask of this.#waiting) due = Math.min(due, this.#patienceMs(ask));
    return Math.min(due, this.#waiting.dueMs);
  }

  outUntilMs(user: number): number {
    return this.#penalties.outUntilMs(user);
  }

  hear(nowMs: number): void {
    // The next visitor's first word comes here, after the last has ended.
    this.#gone.tidy();
    const wasAlone = this.#isAlone;
    for (const connection of [...this.#connections]) {
      this.#listen(connection, nowMs);
      this.#judge(connection, nowMs);
    }
    if (!wasAlone && this.#isAlone) this.#aloneSinceMs = nowMs;
    this.#send(nowMs);
    for (const ask of this.#waiting.takeOverdue(nowMs)) this.#giveUp(ask);
    if (this.#isAlone) {
      for (const ask of this.#waiting.take((ask) => this.#patienceMs(ask) <= nowMs)) this.#giveUp(ask);
    }
    const tellings = this.#tellings;
    this.#tellings = [];
    for (const tell of tellings) tell();
  }

  add(fd: number): void {
    this.#connections.push({
      fd,
      addedMs: this.#clock(),
      pid: null,
      pidfd: undefined,
      out: [],
      heard: 0,
      sinceMs: 0,
      over: 'no',
    });
  }

  isVisitor(pid: number): boolean {
    if (this.#connections.some((connection) => connection.pid === pid)) return true;
    return this.#gone.has(pid, this.#clock());
  }

  receive(peer: ClientPeer, connection: number, then: Then<Received>): void {
    this.#receiving.set(connection, undefined);
    this.#ask(VISIT.receive, peer, {}, [connection], (answer, target) => {
      if (answer !== 'stuck' && answer.kind !== SAID.received) return undefined;
      return () => {
        const owner = this.#receiving.get(connection);
        this.#receiving.delete(connection);
        if (answer === 'stuck') then('stuck');
        else {
          const { bytes, problem, first, second } = answer;
          then({ bytes, target, problem: problem || undefined, canRead: first !== 0, filesystemType: second });
        }
        if (owner) this.letGo(owner, connection);
      };
    });
  }

  letGo(peer: ClientPeer, fd: number): void {
    if (this.#receiving.has(fd)) this.#receiving.set(fd, peer);
    else this.#ask(VISIT.letGo, peer, {}, [fd], () => () => undefined);
  }

  walk(peer: ClientPeer, root: number, path: Buffer, handle: Buffer, then: Then<Access>): void {
    this.#ask(VISIT.walk, peer, { path, handle }, [root], (answer) => {
      if (answer === 'stuck') return () => then('stuck');
      if (answer.kind === SAID.unreached) return () => then(undefined);
      if (answer.kind !== SAID.reached) return undefined;
      const [canSearch, canRead] = [(answer.first & MAY_SEARCH) !== 0, (answer.first & MAY_READ) !== 0];
      return () => then({ canSearch, canRead });
    });
  }

  visit(peer: ClientPeer, root: number, event: number, flags: number, then: Then<number | null | undefined>): void {
    this.#ask(VISIT.visit, peer, { flags }, [root, event], (answer, descriptor) => {
      if (answer === 'stuck') return () => then('stuck');
      if (answer.kind === SAID.unreached) return () => then(undefined);
      if (answer.kind === SAID.refused) return () => then(null);
      // It was opened, and there was no number left here for it.
      return answer.kind === SAID.opened ? () => then(descriptor ?? 'stuck') : undefined;
    });
  }

  #ask(
    type: number,
    peer: ClientPeer,
    parts: { readonly flags?: number; readonly path?: Buffer; readonly handle?: Buffer },
    descriptors: readonly number[],
    tell: Ask['tell'],
  ): void {
    const now = this.#clock();
    this.#number = (this.#number + 1) >>> 0;
    const number = this.#number;
    const { flags = 0, path = NOTHING, handle = NOTHING } = parts;
    const message = encodeVisit({ type, number, identity: peer, user: countedUid(peer), flags, path, handle });
    const ask = { type, number, peer, message, askedMs: now, tell, tries: 0 };
    if (type !== VISIT.letGo) {
      this.asked++;
      this.#waiting.asks(peer, now);
      if (this.#penalties.isOut(countedUid(peer), now)) {
        this.#giveUp({ ...ask, descriptors: [] });
        return;
      }
    }
    const own = isRepeatable(type) ? this.#duplicate(descriptors) : descriptors;
    if (own) {
      this.#waiting.push({ ...ask, descriptors: own });
      this.#send(now);
    } else {
      this.#giveUp({ ...ask, descriptors: [] });
    }
  }

  /** Undefined when there are no numbers left. */
  #duplicate(descriptors: readonly number[]): number[] | undefined {
    const own: number[] = [];
    try {
      for (const fd of descriptors) own.push(this.#kernel.fcntl(fd, F_DUPFD_CLOEXEC, 0));
      return own;
    } catch (error) {
      for (const fd of own) this.#kernel.close(fd);
      if (error instanceof KernelError && error.code === 'EMFILE') return undefined;
      throw error;
    }
  }

  get #isAlone(): boolean {
    return !this.#connections.some(({ pid }) => pid !== null);
  }

  /** Until when something waits for a visitor, where there is none. What is to be closed waits for as long as it takes. */
  #patienceMs({ type, askedMs }: Ask): number {
    if (type === VISIT.letGo) return Number.POSITIVE_INFINITY;
    return Math.max(askedMs, this.#aloneSinceMs) + this.#limitMs;
  }

  /** Hands out what waits, to those who have least to do. */
  #send(now: number): void {
    while (this.#waiting.length > 0) {
      const connection = this.#freest();
      const ask = connection && this.#waiting.shift(now);
      if (!ask) return;
      writeHeard(ask.message, connection.heard);
      try {
        this.#kernel.sendMessage(connection.fd, ask.message, ask.descriptors);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'EAGAIN' || hasEnded(error)) this.#waiting.unshift(ask);
        if (error.code === 'EAGAIN') return;
        if (hasEnded(error)) connection.over = 'yes';
        else this.#giveUp(ask);
        continue;
      }
      if (connection.out.length === 0) connection.sinceMs = now;
      connection.out.push(ask);
      // It is the visitor's alone now.
      if (ask.type === VISIT.letGo) this.#close(ask);
    }
  }

  #freest(): Connection | undefined {
    let freest: Connection | undefined;
    for (const connection of this.#connections) {
      const { pid, over, out } = connection;
      if (pid === null || over !== 'no' || out.length >= MOST_OUT) continue;
      if (!freest || out.length < freest.out.length) freest = connection;
    }
    return freest;
  }

  /** Takes in what a visitor has said. */
  #listen(connection: Connection, now: number): void {
    while (connection.over === 'no') {
      try {
        const { bytes, descriptors } = this.#kernel.receiveMessage(connection.fd, this.#inbox, true);
        const answer = decodeAnswer(this.#inbox.subarray(0, bytes));
        if (answer && this.#take(connection, answer, descriptors, now)) continue;
        for (const fd of descriptors) this.#kernel.close(fd);
        connection.over = 'yes';
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'EAGAIN') return;
        connection.over = 'yes';
      }
    }
  }

  /** False for what is no answer to what it was asked. */
  #take(connection: Connection, answer: VisitAnswer, descriptors: readonly number[], now: number): boolean {
    const [descriptor] = descriptors;
    if (descriptors.length > 1) return false;
    if (answer.kind === SAID.hello) {
      if (connection.pid !== null || descriptor !== undefined) return false;
      connection.pid = answer.first;
      connection.pidfd = openProcess(this.#kernel, answer.first);
      return true;
    }
    const [ask] = connection.out;
    if (ask?.number !== answer.number) return false;
    connection.heard++;
    if (answer.kind === SAID.later && ask.type !== VISIT.letGo && descriptor === undefined) {
      connection.out.shift();
      connection.sinceMs = now;
      this.#waiting.putBack(ask);
      return true;
    }
    this.#waiting.took(ask.peer, answer.tookMs, now);
    const isStuck = answer.kind === SAID.failed;
    const tell = ask.tell(isStuck ? 'stuck' : answer, descriptor);
    if (!tell) return false;
    connection.out.shift();
    connection.sinceMs = now;
    if (isStuck) this.stuck++;
    this.#tellings.push(tell);
    if (isRepeatable(ask.type)) this.#close(ask);
    if (answer.isLast) {
      connection.over = 'clean';
      this.#punish(ask.peer, now);
    }
    return true;
  }

  /** Whether it goes on with a visitor. */
  #judge(connection: Connection, now: number): void {
    const { over, pid, addedMs, out, sinceMs } = connection;
    const isLate = pid === null ? now - addedMs >= START_MS : out.length > 0 && now - sinceMs >= this.#limitMs;
    if (over === 'no' && !isLate) return;
    this.#connections.splice(this.#connections.indexOf(connection), 1);
    this.#kernel.close(connection.fd);
    if (pid !== null) this.#gone.add(pid, connection.pidfd, now);
    if (over !== 'clean') this.#blame(out.shift(), over === 'no', now);
    for (const ask of out.reverse()) this.#askAnother(ask, now);
    this.#tellings.push(() => this.#onStuck(pid));
  }

  /** What a visitor was at when it did not answer any more, or ended: that is not asked again, unless another might not end of it. */
  #blame(ask: Ask | undefined, isStuck: boolean, now: number): void {
    if (!ask) return;
    if (!isStuck && isRepeatable(ask.type) && ++ask.tries < MOST_TRIES) {
      this.#askAnother(ask, now);
      return;
    }
    this.#punish(ask.peer, now);
    if (ask.type !== VISIT.letGo) this.#giveUp(ask);
  }

  #punish(peer: ClientPeer, now: number): void {
    const user = countedUid(peer);
    this.#penalties.punish(user, now);
    this.#onOut(user, this.#penalties.outUntilMs(user));
  }

  /** What a visitor had not begun. What it was to close is closed by its end. */
  #askAnother(ask: Ask, now: number): void {
    if (ask.type === VISIT.letGo) return;
    if (this.#penalties.isOut(countedUid(ask.peer), now)) this.#giveUp(ask);
    else this.#waiting.unshift(ask);
  }

  #giveUp(ask: Ask): void {
    this.stuck++;
    const tell = ask.tell('stuck', undefined);
    if (tell) this.#tellings.push(tell);
    if (isRepeatable(ask.type) || ask.type === VISIT.letGo) this.#close(ask);
  }

  #close({ descriptors }: Ask): void {
    for (const fd of descriptors) this.#kernel.close(fd);
  }
}

function hasEnded({ code }: KernelError): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET';
}
