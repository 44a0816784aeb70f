// A client's connection at the daemon's end: its requests come in one by one, no faster than it may, and answers and events go out in one
// order. Whatever comes, nothing here waits, and nothing that is said in answer is lost while the client is there.

import { Carried } from '../core/carried.ts';
import { CallError } from '../core/errors.ts';
import { asCallError } from '../core/feed/kernel-group.ts';
import type { Holdings } from '../core/holdings.ts';
import { answerEvent } from '../core/process/event-wire.ts';
import { PROTOCOL_VERSION, REQUEST, RequestReader, requestNumber } from '../core/process/wire.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { Allowance } from './allowance.ts';
import type { GroupStatus } from './control.ts';
import type { Rights } from './rights.ts';
import type { Broker, ClientConnection, Served, Target } from './served.ts';
import { Undelivered } from './undelivered.ts';
import type { Received, Visits } from './visits.ts';

const POLLIN = 1;
const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;
/** How many requests of one client are done in one turn. */
const REQUESTS_PER_TURN = 16;
/** Whoever sends so many messages that are no requests does not mean to. */
const MOST_MALFORMED = 16;
/** Longer than any request. */
const INBOX_BYTES = 4096;

/** There is no room now, but there will be: too many descriptors are under way, or the kernel has no memory. */
const NO_ROOM: readonly string[] = ['EAGAIN', 'ENOBUFS', 'ENOMEM', 'ETOOMANYREFS'];

const inbox = Buffer.allocUnsafeSlow(INBOX_BYTES);

export interface ConnectionParts {
  readonly kernel: Kernel;
  readonly broker: Broker;
  readonly visits: Visits;
  /** What all groups of its user hold. */
  readonly holdings: Holdings;
  /** How many descriptors all groups of a user may hold. */
  readonly mostDescriptors: number;
  /** The client has done something wrong: said once. */
  complain(text: string): void;
  /** What it waits for may have changed: {@link Connection.prepare}. */
  changed(): void;
  /** It has gone. Its descriptor is still open. */
  ended(why: string): void;
}

export class Connection implements ClientConnection {
  readonly id: number;
  readonly fd: number;
  rights: Rights;
  readonly holdings: Holdings;
  /** What is waited for, as poll(2) has it. */
  events: number = POLLIN;
  readonly #parts: ConnectionParts;
  readonly #kernel: Kernel;
  #requests: Allowance;
  #served: Served | undefined;
  /** Answers that there was no room for. */
  #unsent: Uint8Array[] = [];
  /** There is no room in the socket. */
  #isBlocked = false;
  /** A request is being done, or received by a visitor: the next is not read. */
  #isBusy = false;
  /** A visitor has the connection, or is to get it: its descriptor must stay open. */
  #isLent = false;
  /** Why it ends as soon as its last answer is out. */
  #ending: string | undefined;
  #isEnded = false;
  /** Why nothing can be sent any more: it ends when it is heard next, as whoever sends may be in the midst of something. */
  #broken: string | undefined;
  #hasHungUp = false;
  #malformed = 0;
  #hasComplained = false;
  #refused = 0;
  readonly #undelivered: Undelivered;

  constructor(parts: ConnectionParts, id: number, fd: number, rights: Rights, nowMs: number) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
    this.holdings = parts.holdings;
    this.id = id;
    this.fd = fd;
    this.rights = rights;
    this.#requests = new Allowance(rights.limits.requestsPerSecond, nowMs);
    this.#undelivered = new Undelivered(parts.kernel, fd, parts.holdings, parts.mostDescriptors);
  }

  /** Whether its end was told, and it is only kept until a visitor gives it back. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  get isWritable(): boolean {
    return !this.#isEnded && this.#broken === undefined && !this.#isBlocked && this.#unsent.length === 0;
  }

  get undelivered(): number {
    return this.#undelivered.count;
  }

  countUndelivered(): number {
    if (!this.#isEnded) this.#undelivered.look();
    return this.#undelivered.count;
  }

  roomForDescriptors(nowMs: number): number {
    const room = this.#undelivered.room(this.rights.limits, nowMs);
    if (room === 0) this.#parts.changed();
    return room;
  }

  send(events: Uint8Array, descriptors: readonly number[] = []): boolean {
    if (this.#isEnded) return true;
    if (!this.isWritable || !this.#trySend(events, descriptors)) return false;
    this.#undelivered.sent(descriptors.length);
    return true;
  }

  answer(number: number, errno: number, said: string | Uint8Array = ''): void {
    this.#isBusy = false;
    if (errno !== 0) this.#refused++;
    this.#parts.changed();
    this.#reply(number, errno, said);
  }

  /** Sets {@link events}; returns when the connection is to be heard at the latest. */
  prepare(nowMs: number): number {
    let due = this.#undelivered.nextLookMs;
    if (this.#broken !== undefined) {
      this.events = 0;
      due = nowMs;
    } else if (this.#isBlocked) {
      this.events = POLLOUT;
    } else if (this.#isBusy || this.#ending !== undefined) {
      this.events = 0;
    } else {
      const nextMs = this.#requests.nextMs(nowMs);
      this.events = nextMs <= nowMs ? POLLIN : 0;
      if (nextMs > nowMs) due = Math.min(due, nextMs);
    }
    return due;
  }

  /** Does what there is to do, as poll(2) says, or as it is due. */
  hear(revents: number, nowMs: number): void {
    this.#parts.changed();
    if (this.#broken !== undefined) {
      this.end(this.#broken);
      return;
    }
    if ((revents & POLLOUT) !== 0) this.#unblock();
    if (this.#undelivered.takeLook(nowMs) && this.isWritable) this.#served?.writable();
    if ((revents & (POLLHUP | POLLERR)) !== 0) this.#hungUp();
    else if ((revents & POLLIN) !== 0) this.#listen(nowMs);
  }

  setRights(rights: Rights, nowMs: number): void {
    if (rights.limits.requestsPerSecond !== this.rights.limits.requestsPerSecond) {
      this.#requests = new Allowance(rights.limits.requestsPerSecond, nowMs);
    }
    this.rights = rights;
    this.#parts.changed();
    this.#served?.rightsChanged();
  }

  status(): GroupStatus | undefined {
    const { peer, limits } = this.rights;
    const status = this.#served?.status();
    return status && { id: this.id, uid: peer.uid, pid: peer.pid, ...status, refused: this.#refused, limits };
  }

  end(why: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#undelivered.forget();
    this.#served?.close();
    this.#parts.ended(why);
    if (!this.#isLent) this.#letGo();
  }

  /** What was sent here and not received may make whoever closes it wait. */
  #letGo(): void {
    this.#parts.visits.letGo(this.rights.peer, this.fd);
  }

  #unblock(): void {
    this.#isBlocked = false;
    while (this.#unsent.length > 0) {
      const [answer] = this.#unsent;
      if (!answer || !this.#trySend(answer, [])) return;
      this.#unsent.shift();
    }
    if (this.#ending !== undefined) this.end(this.#ending);
    else this.#served?.writable();
  }

  /** The other end is closed: what it has said before counts, as far as nothing has to be received for it. */
  #hungUp(): void {
    this.#hasHungUp = true;
    // No more can be said than there is.
    while (!this.#isEnded && !this.#isBusy && this.#ending === undefined && this.#listenOnce());
    this.end('');
  }

  #listen(nowMs: number): void {
    for (let done = 0; done < REQUESTS_PER_TURN; done++) {
      if (
        this.#isEnded ||
        this.#isBusy ||
        this.#ending !== undefined ||
        this.#isBlocked ||
        this.#broken !== undefined
      ) {
        return;
      }
      if (!this.#requests.take(nowMs) || !this.#listenOnce()) return;
    }
  }

  /** Hears one request; false when there is none. */
  #listenOnce(): boolean {
    let bytes: number;
    try {
      if (this.#kernel.peekMessage(this.fd, inbox).hasDescriptors) {
        // Of whoever has gone nothing is marked any more.
        if (this.#hasHungUp) return false;
        this.#lend();
        return true;
      }
      bytes = this.#kernel.receiveBytes(this.fd, inbox, false);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN') return false;
      this.end('');
      return false;
    }
    if (bytes === 0) {
      this.end('');
      return false;
    }
    this.#take(inbox.subarray(0, Math.min(bytes, INBOX_BYTES)), undefined);
    return true;
  }

  /** Has a visitor receive what comes with descriptors. */
  #lend(): void {
    this.#isLent = true;
    this.#isBusy = true;
    this.#parts.visits.receive(this.rights.peer, this.fd, (answer) => {
      this.#isLent = false;
      this.#isBusy = false;
      this.#parts.changed();
      if (this.#isEnded) {
        if (answer !== 'stuck' && answer.target !== undefined) this.#kernel.close(answer.target);
        this.#letGo();
      } else if (answer === 'stuck') {
        // Whoever has it may receive the request yet.
        this.end('nobody could receive its descriptor in time');
      } else {
        this.#received(answer);
      }
    });
  }

  #received(received: Received): void {
    const { bytes, target, problem, canRead, filesystemType } = received;
    const carried = target === undefined ? undefined : new Carried(target, (fd) => this.#kernel.close(fd));
    try {
      if (bytes.length === 0) this.end(problem ?? '');
      else this.#take(bytes, carried && { carried, canRead, filesystemType }, problem);
    } finally {
      carried?.release();
    }
  }

  /** @param problem What is wrong with the descriptor that came with it. */
  #take(message: Uint8Array, target: Target | undefined, problem?: string): void {
    let request: RequestReader;
    try {
      request = new RequestReader(message);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      this.#malformedRequest(message, error);
      return;
    }
    const { number } = request;
    try {
      if (problem !== undefined) throw new CallError('EINVAL', problem);
      const said = this.#do(request, target);
      if (said === undefined) this.#isBusy = true;
      else this.#reply(number, 0, said);
    } catch (error) {
      // What the kernel refuses somebody is to end nobody else's groups.
      const refusal = asCallError(error);
      if (!(refusal instanceof CallError)) throw error;
      this.#refused++;
      this.#reply(number, refusal.errno, refusal.reason);
    }
    if (this.#ending !== undefined && this.isWritable) this.end(this.#ending);
  }

  #do(request: RequestReader, target: Target | undefined): string | Uint8Array | undefined {
    if (request.type === REQUEST.close) {
      this.#ending = '';
      // Answered when it is done: whoever has the answer may unmount what was marked.
      this.#served?.close();
      this.#served = undefined;
      return '';
    }
    if (request.type === REQUEST.bind) {
      if (this.#served) throw new CallError('EINVAL', 'it is bound already');
      if (request.version !== PROTOCOL_VERSION) {
        this.#ending = 'it speaks another version of the protocol';
        throw new CallError(
          'EPROTONOSUPPORT',
          `this daemon speaks version ${PROTOCOL_VERSION} of the protocol, not ${request.version}`,
        );
      }
      this.#served = this.#parts.broker.bind(this, request);
      return '';
    }
    if (!this.#served) throw new CallError('EDESTADDRREQ', 'it is not bound yet');
    if (!target && (request.type === REQUEST.addMark || request.type === REQUEST.removeMark)) {
      throw new CallError('EINVAL', 'a mark takes a descriptor of what it is of: open it with O_PATH');
    }
    return this.#served.request(request, target);
  }

  #malformedRequest(message: Uint8Array, error: CallError): void {
    this.#malformed++;
    this.#refused++;
    if (!this.#hasComplained) {
      this.#hasComplained = true;
      this.#parts.complain(`${error.reason}, from process ${this.rights.peer.pid} of user ${this.rights.peer.uid}`);
    }
    const number = requestNumber(message);
    if (number === undefined) {
      this.end('it sent what is no request');
      return;
    }
    this.#reply(number, error.errno, error.reason);
    if (this.#malformed >= MOST_MALFORMED) this.end(`it sent ${MOST_MALFORMED} messages that are no requests`);
  }

  #reply(number: number, errno: number, said: string | Uint8Array): void {
    if (this.#isEnded) return;
    const event = answerEvent(number, errno, said);
    if (!this.isWritable || !this.#trySend(event, [])) this.#unsent.push(event);
  }

  /** False when there is no room, or it will never go out. */
  #trySend(message: Uint8Array, descriptors: readonly number[]): boolean {
    try {
      this.#kernel.sendMessage(this.fd, message, descriptors);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Closed at the other end: poll(2) says so next.
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return true;
      // Tried again, it would be refused again, and poll(2) would say at once that there is room.
      if (NO_ROOM.includes(error.code)) this.#isBlocked = true;
      else this.#broken = `it cannot be told what there is to say: ${error.message}`;
      this.#parts.changed();
      return false;
    }
  }
}
