// Takes connections in: who is it, may there be one more of that user, and which broker is it for. Whoever connects and says nothing, says
// something else, or connects without end, is ended; nobody else waits for it.

import {
  type BrokerKind,
  type ClientPeer,
  countedUid,
  FIRST_REQUEST_BYTES,
  type Refusal,
  type Rights,
  readFirstRequest,
  refusalMessage,
} from 'fanotify/broker';
import { ERRNO, type Kernel, KernelError, type Readiness } from 'fanotify/kernel';
import type { Log } from './log.ts';

/** So many are taken in one turn: others have their turn, too. */
const BATCH = 64;
/** How long the first request may take, and whoever is refused to go. */
const FIRST_REQUEST_MS = 5_000;
const LEAVE_MS = 500;
/** Connections of one user that have not said yet what they are for, and of all. */
const MOST_WAITING_OF_USER = 16;
const MOST_WAITING = 512;
/** Connections of one user in a second: root restarts a thousand clients at once. */
const RATE = { perSecond: 50, burst: 200, ofRoot: 2_000 } as const;
/** When no descriptor is left, the next look comes after so long. */
const PAUSE_MS = 200;
const MOST_DROPPED = 64;
/** Where the number of a request ends. */
const NUMBER_END = 8;
/** Grants and groups go into one message, whose room is limited. */
const MOST_RIGHTS_BYTES = 64 * 1024;

export type RefusalCause = 'rate' | 'waiting' | 'malformed' | 'silent' | 'limit' | 'restarting';

export interface AdmissionParts {
  readonly kernel: Kernel;
  readonly log: Log;
  /** The user whose limits are those of a uid. */
  readonly countedAs: (uid: number) => number;
  /** What a client may do, and how many groups its user may have. */
  readonly rightsOf: (peer: ClientPeer) => { readonly rights: Rights; readonly groups: number };
  /** Hands a connection to a broker, which closes it here; false when there is none now. */
  readonly admit: (kind: BrokerKind, fd: number, rights: Rights) => boolean;
  /** Closes a connection, in another process: with what its client has put into it that might take long. */
  readonly letGo: (peer: ClientPeer, fd: number) => void;
  /** Whether so much is being let go that there is to be no more: then nobody is let in. */
  readonly isFull: () => boolean;
}

/** What is known of a user as long as it matters. */
interface User {
  groups: number;
  waiting: number;
  tokens: number;
  filledMs: number;
}

interface Waiting {
  readonly fd: number;
  readonly peer: ClientPeer;
  readonly readiness: Readiness;
  readonly timer: NodeJS.Timeout;
}

export class Admission {
  accepted = 0;
  readonly refused: Record<RefusalCause, number> = {
    rate: 0,
    waiting: 0,
    malformed: 0,
    silent: 0,
    limit: 0,
    restarting: 0,
  };
  readonly #parts: AdmissionParts;
  readonly #kernel: Kernel;
  readonly #users = new Map<number, User>();
  readonly #waiting = new Set<Waiting>();
  readonly #inbox = Buffer.alloc(FIRST_REQUEST_BYTES);
  #entrance: { readonly fd: number; readonly readiness: Readiness } | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
  }

  /** Connections that have not said yet what they are for. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Users that have groups, and how many. */
  get users(): { readonly uid: number; readonly groups: number }[] {
    return [...this.#users].flatMap(([uid, { groups }]) => (groups > 0 ? [{ uid, groups }] : []));
  }

  /** Begins to take connections from a socket. */
  open(fd: number): void {
    this.#entrance = { fd, readiness: this.#kernel.onReadable(fd, () => this.#accept(fd)) };
  }

  /** Takes no more, and ends those that wait. The socket stays open. */
  close(): void {
    clearTimeout(this.#pause);
    this.#entrance?.readiness.close();
    this.#entrance = undefined;
    for (const waiting of this.#waiting) this.#end(waiting);
  }

  /** A client that was admitted has gone. */
  left(peer: ClientPeer): void {
    const user = this.#users.get(countedUid(peer));
    if (user) user.groups--;
  }

  /** Forgets users of whom nothing is left to be known. */
  tidy(): void {
    const now = performance.now();
    for (const [uid, user] of this.#users) {
      this.#fill(uid, user, now);
      if (user.groups === 0 && user.waiting === 0 && user.tokens >= burstOf(uid)) this.#users.delete(uid);
    }
  }

  #accept(entrance: number): void {
    for (let count = 0; count < BATCH; count++) {
      let fd: number;
      if (this.#parts.isFull()) {
        this.#rest('more connections are to be closed than can be at once');
        return;
      }
      try {
        fd = this.#kernel.acceptUnix(entrance);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'EAGAIN') return;
        this.#rest(error.message);
        return;
      }
      this.accepted++;
      try {
        const peer = this.#kernel.peerOf(fd);
        this.#greet(fd, { ...peer, countedAs: this.#parts.countedAs(peer.uid) });
      } catch (error) {
        this.#kernel.close(fd);
        if (!(error instanceof KernelError)) throw error;
      }
    }
  }

  /** No descriptor or memory is left, or soon would be: whoever connects waits in the socket's own queue. */
  #rest(why: string): void {
    this.#parts.log.ofUser('error', -1, `connections cannot be taken now: ${why}`);
    this.#entrance?.readiness.stop();
    this.#pause = setTimeout(() => this.#entrance?.readiness.start(), PAUSE_MS);
  }

  #greet(fd: number, peer: ClientPeer): void {
    const user = this.#userOf(peer);
    this.#fill(countedUid(peer), user, performance.now());
    if (user.tokens < 1) {
      this.#drop(fd, peer, 'rate', 'connects too often');
      return;
    }
    user.tokens--;
    if (user.waiting >= MOST_WAITING_OF_USER || this.#waiting.size >= MOST_WAITING) {
      this.#drop(fd, peer, 'waiting', 'has too many connections that say nothing');
      return;
    }
    const readiness = this.#kernel.onReadable(fd, () => this.#hear(waiting));
    user.waiting++;
    const waiting: Waiting = {
      fd,
      peer,
      readiness,
      timer: setTimeout(() => {
        this.#tell(peer, 'silent', `says nothing within ${FIRST_REQUEST_MS} ms`);
        this.#end(waiting);
      }, FIRST_REQUEST_MS),
    };
    this.#waiting.add(waiting);
  }

  #hear(waiting: Waiting): void {
    const { fd, peer } = waiting;
    const length = this.#peek(fd);
    if (length === undefined) return;
    if (length === 0) {
      this.#end(waiting);
      return;
    }
    const first = readFirstRequest(this.#inbox.subarray(0, Math.min(length, FIRST_REQUEST_BYTES)), length);
    if (typeof first !== 'string') {
      this.#tell(peer, 'malformed', `begins with ${first.reason}`);
      this.#refuse(waiting, first);
      return;
    }
    const { rights, groups } = this.#parts.rightsOf(peer);
    const user = this.#userOf(peer);
    const number = this.#inbox.readUInt32LE(4);
    if (user.groups >= groups) {
      const reason = `user ${countedUid(peer)} has ${user.groups} groups, and may have ${groups}: close others, or have 'limits' granted`;
      this.#tell(peer, 'limit', 'has as many groups as it may');
      this.#refuse(waiting, { number, errno: ERRNO.EMFILE, reason });
      return;
    }
    if (JSON.stringify(rights).length > MOST_RIGHTS_BYTES) {
      this.#tell(peer, 'limit', 'has more groups and grants than fit into a message');
      this.#refuse(waiting, { number, errno: ERRNO.E2BIG, reason: 'this process is in too many groups' });
      return;
    }
    this.#forget(waiting);
    if (this.#parts.admit(first, fd, rights)) user.groups++;
    else {
      // As those who were served until now: it connects again.
      this.#parts.letGo(peer, fd);
      this.refused.restarting++;
    }
  }

  /** Answers, and waits for it to go: who is ended with something unread may not hear the answer. */
  #refuse(waiting: Waiting, refusal: Refusal): void {
    const { fd, peer } = waiting;
    this.#forget(waiting);
    this.#answer(fd, refusal);
    this.#userOf(peer).waiting++;
    const leaving: Waiting = {
      fd,
      peer,
      readiness: this.#kernel.onReadable(fd, () => {
        if (this.#dropAll(fd)) this.#end(leaving);
      }),
      timer: setTimeout(() => this.#end(leaving), LEAVE_MS),
    };
    this.#waiting.add(leaving);
  }

  #answer(fd: number, refusal: Refusal): void {
    this.#dropAll(fd);
    try {
      this.#kernel.sendMessage(fd, refusalMessage(refusal));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** Drops what it says, but for what comes with descriptors, which is not closed here; whether that was all. */
  #dropAll(fd: number): boolean {
    for (let count = 0; count < MOST_DROPPED; count++) {
      try {
        const { bytes, hasDescriptors } = this.#kernel.peekMessage(fd, this.#inbox);
        if (bytes === 0 || hasDescriptors) return true;
        this.#kernel.receiveBytes(fd, this.#inbox, false);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        return error.code !== 'EAGAIN';
      }
    }
    return true;
  }

  /** How long the first request is, which stays; 0 at the end, undefined when there is none. */
  #peek(fd: number): number | undefined {
    try {
      return this.#kernel.receiveBytes(fd, this.#inbox, true);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code === 'EAGAIN' ? undefined : 0;
    }
  }

  /** Refuses somebody whom there is no time to hear: it is answered what has come with it, and may try again. */
  #drop(fd: number, peer: ClientPeer, cause: RefusalCause, what: string): void {
    this.#tell(peer, cause, what);
    if ((this.#peek(fd) ?? 0) >= NUMBER_END) {
      const number = this.#inbox.readUInt32LE(4);
      this.#answer(fd, { number, errno: ERRNO.EAGAIN, reason: `user ${countedUid(peer)} ${what}: try again later` });
    }
    this.#parts.letGo(peer, fd);
  }

  #tell(peer: ClientPeer, cause: RefusalCause, what: string): void {
    this.refused[cause]++;
    const { uid, pid } = peer;
    this.#parts.log.ofUser('warn', countedUid(peer), `a client was refused: it ${what}`, { uid, pid });
  }

  #end(waiting: Waiting): void {
    this.#forget(waiting);
    this.#parts.letGo(waiting.peer, waiting.fd);
  }

  /** It waits no more, and its connection is still open. */
  #forget(waiting: Waiting): void {
    clearTimeout(waiting.timer);
    waiting.readiness.close();
    this.#waiting.delete(waiting);
    this.#userOf(waiting.peer).waiting--;
  }

  #userOf(peer: ClientPeer): User {
    const uid = countedUid(peer);
    let user = this.#users.get(uid);
    if (!user) {
      user = { groups: 0, waiting: 0, tokens: burstOf(uid), filledMs: performance.now() };
      this.#users.set(uid, user);
    }
    return user;
  }

  #fill(uid: number, user: User, nowMs: number): void {
    const perMs = (uid === 0 ? RATE.ofRoot : RATE.perSecond) / 1_000;
    user.tokens = Math.min(burstOf(uid), user.tokens + (nowMs - user.filledMs) * perMs);
    user.filledMs = nowMs;
  }
}

function burstOf(uid: number): number {
  return uid === 0 ? RATE.ofRoot : RATE.burst;
}
