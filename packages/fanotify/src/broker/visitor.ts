// What a visitor does: it goes where a user can go, as that user, and takes from clients what only it may take. Everything here may wait.

import { AT_EMPTY_PATH, O_DIRECTORY, O_PATH } from '../abi/index.ts';
import { nowMs } from '../decision/clock.ts';
import { handleAt } from '../identity/handle-at.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { findEventFile, reopen } from './event-file.ts';
import { isSlow } from './slowness.ts';
import { Taking } from './taking.ts';
import { isForWantOfRoom, R_OK, User, X_OK } from './user.ts';
import { encodeAnswer, MAY_READ, MAY_SEARCH, SAID, VISIT, type VisitAnswer, type VisitRequest } from './visit-wire.ts';

const POLLOUT = 4;
const HOW_TO_OPEN = 'a mark takes one descriptor, opened with O_PATH';

export class Visitor {
  readonly #kernel: Kernel;
  /** The connection to the broker. */
  readonly #control: number;
  readonly #user: User;
  readonly #taking: Taking;
  /** Since when it is at the present request. */
  #sinceMs = 0;
  /** How much it has answered. */
  #answered = 0;
  /** By user: up to which answer he was slow. */
  readonly #slow = new Map<number, number>();

  constructor(kernel: Kernel, control: number) {
    this.#kernel = kernel;
    this.#control = control;
    this.#user = new User(kernel);
    this.#taking = new Taking(this.#user);
  }

  /**
   * Does what it is asked for, says what came of it, and closes the descriptors that it was given. False when this process is to end:
   * what was asked made no sense, or there is something open that may not be closed. As a process ends it closes everything as well; but
   * then nobody waits for it, sockets do not linger, and its memory is given back first.
   */
  serve(request: VisitRequest, descriptors: readonly number[]): boolean {
    this.#sinceMs = nowMs();
    const isAgain = request.type !== VISIT.letGo && this.#isPostponed(request);
    if (isAgain) this.#reply(SAID.later, request.number);
    const goesOn = isAgain ? this.#close(descriptors) : this.#serve(request, descriptors);
    if (isSlow(nowMs() - this.#sinceMs)) this.#slow.set(request.user, this.#answered);
    return goesOn;
  }

  /** Whether it was sent before anybody could hear that its user is slow: others come first. */
  #isPostponed({ user, heard }: VisitRequest): boolean {
    const slowUntil = this.#slow.get(user);
    if (slowUntil === undefined) return false;
    if (heard < slowUntil) return true;
    this.#slow.delete(user);
    return false;
  }

  #serve(request: VisitRequest, descriptors: readonly number[]): boolean {
    const [first, second] = descriptors;
    if (first === undefined || descriptors.length !== (request.type === VISIT.visit ? 2 : 1)) return false;
    if (request.type === VISIT.receive) return this.#receive(request, first);
    if (request.type === VISIT.letGo) return this.#letGo(request, first);
    if (request.type === VISIT.walk) this.#answer(request, () => this.#walk(request, first));
    else if (request.type === VISIT.visit) this.#answer(request, () => this.#visit(request, first, second as number));
    else return false;
    return this.#close(descriptors);
  }

  #close(descriptors: readonly number[]): true {
    for (const fd of descriptors) this.#kernel.close(fd);
    return true;
  }

  #reply(kind: number, number: number, parts: Partial<VisitAnswer> = {}, descriptors: readonly number[] = []): void {
    this.#answered++;
    this.say(encodeAnswer(kind, number, { ...parts, tookMs: Math.round(nowMs() - this.#sinceMs) }), descriptors);
  }

  say(message: Buffer, descriptors: readonly number[] = []): void {
    // Without capabilities it may not send many that others of its uid have under way: ETOOMANYREFS of unix(7).
    if (descriptors.length > 0) this.#user.be(null);
    for (;;) {
      try {
        this.#kernel.sendMessage(this.#control, message, descriptors);
        return;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        // Gone at the other end: that is read next.
        if (error.code !== 'EAGAIN') return;
      }
      this.#kernel.poll([{ fd: this.#control, events: POLLOUT, revents: 0 }], -1);
    }
  }

  #answer({ number }: VisitRequest, look: () => void): void {
    try {
      look();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#reply(isForWantOfRoom(error) ? SAID.failed : SAID.unreached, number);
    }
  }

  #walk({ identity, number, path, handle }: VisitRequest, root: number): void {
    const user = this.#user;
    user.be(identity);
    const fd = path.length === 0 ? root : user.openBelow(root, path, O_DIRECTORY);
    try {
      if (handleAt(this.#kernel, fd, '', AT_EMPTY_PATH).handle.equals(handle)) {
        const first = (user.may(fd, X_OK) ? MAY_SEARCH : 0) | (user.may(fd, R_OK) ? MAY_READ : 0);
        this.#reply(SAID.reached, number, { first });
      } else {
        this.#reply(SAID.unreached, number);
      }
    } finally {
      if (fd !== root) this.#kernel.close(fd);
    }
  }

  #visit({ identity, number, flags }: VisitRequest, root: number, event: number): void {
    const found = findEventFile(this.#user, identity, root, event);
    if (found === undefined) {
      this.#reply(SAID.unreached, number);
      return;
    }
    try {
      const fd = (flags & O_PATH) !== 0 ? found : reopen(this.#user, found, flags);
      if (fd === null) {
        this.#reply(SAID.refused, number);
        return;
      }
      this.#reply(SAID.opened, number, {}, [fd]);
      if (fd !== found) this.#kernel.close(fd);
    } finally {
      if (found !== root) this.#kernel.close(found);
    }
  }

  #receive({ identity, number }: VisitRequest, connection: number): boolean {
    const taken = this.#taking.take(connection);
    this.#kernel.close(connection);
    if (typeof taken === 'string') {
      this.#reply(SAID.received, number, { problem: taken });
      return true;
    }
    const { bytes, descriptors } = taken;
    const [target] = descriptors;
    if (target === undefined) {
      this.#reply(SAID.received, number, { bytes });
      return true;
    }
    this.#user.be(identity);
    if (descriptors.length === 1 && this.#taking.isPath(target)) {
      const first = this.#taking.canRead(target) ? 1 : 0;
      const second = this.#taking.filesystemType(target);
      this.#reply(SAID.received, number, { first, second, bytes }, [target]);
      this.#kernel.close(target);
      return true;
    }
    const areClosed = descriptors.map((fd) => this.#taking.close(fd)).every(Boolean);
    this.#reply(SAID.received, number, { bytes, problem: HOW_TO_OPEN, isLast: !areClosed });
    return areClosed;
  }

  #letGo({ identity, number }: VisitRequest, fd: number): boolean {
    this.#user.be(identity);
    const isClosed = this.#taking.letGo(fd);
    this.#reply(SAID.letGo, number, { isLast: !isClosed });
    return isClosed;
  }
}
