// The owner's end of a group of the core. Calls are synchronous: a request goes out on the group's socket, and its answer is waited for.

import { EventCursor, FAN_CLOEXEC, FAN_NONBLOCK, O_CLOEXEC, O_NONBLOCK } from '../../abi/index.ts';
import { type Kernel, KernelError, linuxKernel } from '../../kernel/index.ts';
import { CallError } from '../errors.ts';
import type { CoreEvent, GroupSettings, GroupStatistics, MarkChange } from '../types.ts';
import { readAnswer, readEvents, readStatistics } from './event-wire.ts';
import { privateCore } from './private-core.ts';
import { MOST_ANSWER_BYTES, MOST_MESSAGE_BYTES, REQUEST, RequestWriter } from './wire.ts';

/** A group of a core, at its owner's end. Whatever is refused throws a CallError. */
export interface GroupConnection {
  /** The group's number: a real descriptor, readable when there are events. */
  readonly fd: number;
  /** Called when events have come that the number does not tell of any more: while an answer was waited for. */
  onAhead?: (() => void) | undefined;
  /** Marks what `target` is open on (O_PATH will do), or adds to its mark. */
  addMark(target: number, change: MarkChange): void;
  /** Takes bits out of a mark; one that is empty then is no more. ENOENT when there is none. */
  removeMark(target: number, change: Pick<MarkChange, 'scope' | 'mask' | 'ignored'>): void;
  /** Takes all marks back; the init mask and the exclusions stay. */
  clearMarks(): void;
  /** FAN_ALLOW or FAN_DENY. ENOENT for a cookie that is unknown, or answered. */
  respond(cookie: bigint, response: number): void;
  /** Narrows the init mask by a type of file system: `f_type` of statfs(2). */
  ignoreType(type: number): void;
  /** Narrows the init mask by a file system: the two 32-bit numbers of its fsid. */
  ignoreFsid(fsid: readonly [number, number]): void;
  /** For how long an access waits for this group, from 1 to 3,600,000 ms, and what it gets then. */
  setTimeout(deadlineMs: number, onTimeout: 'allow' | 'deny'): void;
  statistics(): GroupStatistics;
  /** What has happened: waits for an event, unless the group was opened with FAN_NONBLOCK; then EAGAIN. */
  read(): CoreEvent[];
  /** Accesses that wait for this group get what `onTimeout` says. */
  close(): void;
  /** The number was closed by other means, which ended the group: gives back the rest, and leaves the number to whoever has it now. */
  abandon(): void;
}

/** A group that has its number and nothing else yet: what socket() makes, before bind(). */
export interface UnboundGroup {
  /** The number that the group will have: a real descriptor. Nothing is ever to be read from it before {@link bind}. */
  readonly fd: number;
  /** Makes the group, on this number. What is refused leaves the number unbound. */
  bind(settings: Omit<GroupSettings, 'flags'> & Partial<Pick<GroupSettings, 'flags'>>): GroupConnection;
  close(): void;
  /** As {@link GroupConnection.abandon}. */
  abandon(): void;
}

/** The core that groups are of, at their owner's end. */
export interface OwnersCore {
  readonly pid: number | undefined;
  /** The sockets of a new group: for requests and events, and for answers. */
  connect(): { readonly fd: number; readonly answers: number };
  /** A group is closed. */
  release(): void;
  /** What to throw when it is gone. */
  ended(): CallError;
}

const POLLIN = 1;
const F_SETFD = 2;
const F_SETFL = 4;
/** The core's loop never waits: one that does not answer for so long is stopped. */
const PATIENCE_MS = 10_000;

// Read to before they are written to again: every call is synchronous.
const answerBuffer = Buffer.allocUnsafeSlow(MOST_ANSWER_BYTES);
const eventBuffer = Buffer.allocUnsafeSlow(MOST_MESSAGE_BYTES);
const cursor = new EventCursor(eventBuffer, 0);

class SocketGroup implements GroupConnection {
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #core: OwnersCore;
  readonly #answers: number;
  readonly #flags: number;
  readonly #requests = new RequestWriter();
  #eventFlags = 0;
  #isClosed = false;

  constructor(kernel: Kernel, core: OwnersCore, flags: number) {
    this.#kernel = kernel;
    this.#flags = flags;
    this.#core = core;
    try {
      const { fd, answers } = this.#core.connect();
      this.fd = fd;
      this.#answers = answers;
    } catch (error) {
      this.#core.release();
      throw error;
    }
    if ((flags & FAN_CLOEXEC) === 0) kernel.fcntl(this.fd, F_SETFD, 0);
    // For those who read the number themselves: here nothing waits for it.
    if ((flags & FAN_NONBLOCK) !== 0) kernel.fcntl(this.fd, F_SETFL, O_NONBLOCK);
  }

  begin({ flags = 0, ...settings }: Parameters<UnboundGroup['bind']>[0]): this {
    this.#call(this.#requests.bind({ ...settings, flags: this.#flags | flags }));
    this.#eventFlags = settings.eventFlags;
    return this;
  }

  addMark(target: number, change: MarkChange): void {
    this.#call(this.#requests.mark(REQUEST.addMark, change), [target]);
  }

  removeMark(target: number, change: Pick<MarkChange, 'scope' | 'mask' | 'ignored'>): void {
    this.#call(this.#requests.mark(REQUEST.removeMark, { ...change, survivesModify: false }), [target]);
  }

  clearMarks(): void {
    this.#call(this.#requests.plain(REQUEST.clearMarks));
  }

  respond(cookie: bigint, response: number): void {
    this.#call(this.#requests.respond(cookie, response));
  }

  ignoreType(type: number): void {
    this.#call(this.#requests.ignoreType(type));
  }

  ignoreFsid(fsid: readonly [number, number]): void {
    this.#call(this.#requests.ignoreFsid(fsid));
  }

  setTimeout(deadlineMs: number, onTimeout: 'allow' | 'deny'): void {
    this.#call(this.#requests.setTimeout(deadlineMs, onTimeout));
  }

  statistics(): GroupStatistics {
    return readStatistics(this.#call(this.#requests.plain(REQUEST.statistics)));
  }

  read(): CoreEvent[] {
    for (;;) {
      try {
        const { bytes, descriptors } = this.#kernel.receiveMessage(
          this.fd,
          eventBuffer,
          (this.#eventFlags & O_CLOEXEC) !== 0,
        );
        if (bytes === 0) throw this.#core.ended();
        cursor.reset(eventBuffer, bytes);
        return readEvents(cursor, descriptors);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'ECONNRESET') throw this.#core.ended();
        if (error.code !== 'EAGAIN') throw new CallError(error.errno, 'its events cannot be read', 'read');
        if ((this.#flags & FAN_NONBLOCK) !== 0) throw new CallError('EAGAIN', 'nothing has happened', 'read');
      }
      this.#kernel.poll([{ fd: this.fd, events: POLLIN, revents: 0 }], -1);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    try {
      // A child that has inherited the number keeps it open, and not the group.
      this.#call(this.#requests.plain(REQUEST.close));
    } catch (error) {
      // It is gone already.
      if (!(error instanceof CallError)) throw error;
    }
    this.#isClosed = true;
    this.#kernel.close(this.fd);
    this.#letGo();
  }

  abandon(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#letGo();
  }

  #letGo(): void {
    this.#kernel.close(this.#answers);
    this.#core.release();
  }

  #call(request: Buffer, descriptors?: readonly number[]): string {
    // The number may be another's by now.
    if (this.#isClosed) throw new CallError('EBADF', 'it is closed');
    const { number } = this.#requests;
    try {
      this.#kernel.sendMessage(this.fd, request, descriptors);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') throw this.#core.ended();
      throw new CallError(
        error.errno,
        descriptors
          ? `the descriptor ${descriptors[0]} is not open, or cannot be passed on`
          : 'it takes no more requests',
      );
    }
    const answer = this.#await(number);
    if (answer.errno !== 0) throw new CallError(answer.errno, answer.text);
    return answer.text;
  }

  #await(number: number): { readonly errno: number; readonly text: string } {
    for (;;) {
      const entry = { fd: this.#answers, events: POLLIN, revents: 0 };
      if (this.#kernel.poll([entry], PATIENCE_MS) === 0) {
        throw new CallError(
          'ETIMEDOUT',
          `the core (process ${this.#core.pid}) does not answer: it is stopped, or overloaded`,
        );
      }
      let bytes = 0;
      try {
        ({ bytes } = this.#kernel.receiveMessage(this.#answers, answerBuffer, true));
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
      if (bytes === 0) throw this.#core.ended();
      const answer = readAnswer(answerBuffer.subarray(0, bytes), number);
      // Else it is the answer to one that was given up.
      if (answer) return answer;
    }
  }
}

/** Takes the number of a group that is yet to be made, in the private core of this process, which is started when there is none. */
export function openUnbound(flags: GroupSettings['flags']): UnboundGroup {
  const kernel = linuxKernel();
  const group = new SocketGroup(kernel, privateCore(kernel), flags);
  return {
    fd: group.fd,
    bind: (settings) => group.begin(settings),
    close: () => group.close(),
    abandon: () => group.abandon(),
  };
}

/** Opens a group at once: {@link openUnbound} and `bind`. `core` is taken to be used once more. */
export function openGroup(
  { flags, ...settings }: GroupSettings,
  kernel: Kernel = linuxKernel(),
  core: OwnersCore = privateCore(kernel),
): GroupConnection {
  const group = new SocketGroup(kernel, core, flags);
  try {
    return group.begin(settings);
  } catch (error) {
    group.close();
    throw error;
  }
}
