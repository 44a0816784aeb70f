// The core's end of a group's sockets.

import { type Kernel, KernelError } from '../../kernel/index.ts';
import type { Core } from '../core.ts';
import { CallError } from '../errors.ts';
import { asCallError } from '../feed/kernel-group.ts';
import type { CoreGroup } from '../group.ts';
import { answerOf, EventWriter } from './event-wire.ts';
import { requestOf } from './requests.ts';
import { MOST_EVENTS, REQUEST, RequestReader } from './wire.ts';

const writer = new EventWriter();
const POLLIN = 1;

export class ServedGroup {
  readonly fd: number;
  /** For poll(2). */
  readonly entry: { readonly fd: number; events: number; revents: number };
  group: CoreGroup | undefined;
  /** It takes no more events until it has read some. */
  isBlocked = false;
  readonly #kernel: Kernel;
  readonly #core: Core;
  readonly #answers: number;
  readonly #ownerPid: number;
  /** It was asked to. */
  #isEnded = false;

  constructor(kernel: Kernel, core: Core, fd: number, answers: number, ownerPid: number) {
    this.#kernel = kernel;
    this.#core = core;
    this.fd = fd;
    this.entry = { fd, events: POLLIN, revents: 0 };
    this.#answers = answers;
    this.#ownerPid = ownerPid;
  }

  /** Does one thing that it is asked for: its owner waits for the answer before it asks again. False when the other end is closed. */
  listen(inbox: Buffer): boolean {
    let bytes: number;
    let descriptors: readonly number[];
    try {
      ({ bytes, descriptors } = this.#kernel.receiveMessage(this.fd, inbox, true));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code === 'EAGAIN';
    }
    if (bytes === 0) return false;
    this.#answer(inbox.subarray(0, bytes), descriptors);
    return !this.#isEnded;
  }

  /** Tells what waits; false when not all of it went. */
  tell(): boolean {
    const { group } = this;
    if (!group) return true;
    const { queue } = group;
    while (queue.length > 0) {
      const events = queue.peek(MOST_EVENTS);
      if (events.length === 0) return true;
      const message = writer.write(events, (ask) => this.#core.cookieOf(ask));
      try {
        this.#kernel.sendMessage(this.fd, message, writer.descriptors);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        // Closed at the other end: that is read next.
        if (error.code === 'EPIPE' || error.code === 'ECONNRESET') return true;
        this.isBlocked = true;
        return false;
      }
      group.delivered += events.length;
      queue.taken(events);
    }
    return true;
  }

  close(): void {
    this.#closeGroup();
    this.#kernel.close(this.fd);
    this.#kernel.close(this.#answers);
  }

  /** It is gone then: that the kernel's marks could not be brought in line with that is to end nobody else's groups. */
  #closeGroup(): void {
    try {
      if (this.group) this.#core.close(this.group);
    } catch (error) {
      if (!(asCallError(error) instanceof CallError)) throw error;
    }
  }

  #answer(message: Buffer, descriptors: readonly number[]): void {
    let number = 0;
    let errno = 0;
    let text = '';
    try {
      const request = new RequestReader(message);
      number = request.number;
      text = this.#do(request, descriptors) ?? '';
    } catch (error) {
      // What the kernel refuses somebody, such as another descriptor, is to end nobody else's groups.
      const refusal = asCallError(error);
      if (!(refusal instanceof CallError)) throw error;
      errno = refusal.errno;
      text = refusal.reason;
    } finally {
      // Before the answer: whoever has it may unmount what they are open on.
      for (const descriptor of descriptors) this.#kernel.close(descriptor);
    }
    try {
      this.#kernel.sendMessage(this.#answers, answerOf(number, errno, text));
    } catch (error) {
      // Who does not wait for answers has none.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  #do(request: RequestReader, [target]: readonly number[]): string | undefined {
    const core = this.#core;
    if (request.type === REQUEST.close) {
      this.#isEnded = true;
      this.#closeGroup();
      return undefined;
    }
    if (request.type === REQUEST.bind) {
      if (this.group) throw new CallError('EINVAL', 'it is bound already');
      this.group = core.open(request.settings, this.#ownerPid);
      return undefined;
    }
    if (!this.group) throw new CallError('EDESTADDRREQ', 'it is not bound yet');
    return requestOf(core, this.group, request, target);
  }
}
