// One connection to the daemon, which is one group. Requests are synchronous: what comes before the answer is kept, in its order.

import { FAN_EVENT_METADATA_LEN, FANOTIFY_METADATA_VERSION, HOST_IS_LITTLE_ENDIAN as LE } from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import { ANSWER_TYPE, PROTOCOL_VERSION, RequestWriter } from '../core/process/wire.ts';
import type { GroupSettings } from '../core/types.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { DaemonEndedError, DaemonUnavailableError, DaemonVersionError } from './errors.ts';

/** Where the daemon listens, unless it is told otherwise. */
const DEFAULT_SOCKET = '/run/fanotifyd/socket';
const POLLIN = 1;
const POLLOUT = 4;
/** The daemon's loops never wait: one that does not answer for so long is stopped, or holds this client back. */
const PATIENCE_MS = 10_000;
/** docs/PROTOCOL.md. */
const MOST_MESSAGE_BYTES = 64 * 1024;
const MASK = 8;
const RECORD_HEADER = 4;
const ANSWER_HEADER = RECORD_HEADER + 8;

/** Events as they came: whole ones, and the descriptors that their `fd` are places of. */
export interface EventMessage {
  readonly bytes: Buffer;
  /** How many events. */
  readonly count: number;
  readonly descriptors: readonly number[];
}

/** Where the daemon's socket is: as said, as the environment says (FANOTIFY_SOCKET), or where it is by default. */
export function socketPath(named: string | undefined): string {
  const { FANOTIFY_SOCKET: fromEnvironment } = process.env;
  return named ?? (fromEnvironment || DEFAULT_SOCKET);
}

// Read to before it is written to again: every call is synchronous.
const inbox = Buffer.allocUnsafeSlow(MOST_MESSAGE_BYTES);
const inboxView = new DataView(inbox.buffer, inbox.byteOffset, inbox.byteLength);

/** A group's connection, at the client's end. */
export class DaemonConnection {
  readonly fd: number;
  readonly socket: string;
  readonly requests: RequestWriter = new RequestWriter();
  /** Called when events have come that nobody asked for: while an answer was waited for. */
  onBacklog: (() => void) | undefined;
  readonly #kernel: Kernel;
  readonly #closesOnExec: boolean;
  #backlog: EventMessage[] = [];
  #isClosed = false;

  /**
   * Connects.
   *
   * @param closesOnExec Of descriptors that come with events.
   * @throws DaemonUnavailableError
   */
  constructor(kernel: Kernel, socket: string, closesOnExec = true) {
    this.#kernel = kernel;
    this.#closesOnExec = closesOnExec;
    this.socket = socket;
    try {
      this.fd = kernel.connectUnix(socket, 'seqpacket');
    } catch (error) {
      throw unavailable(socket, error);
    }
  }

  /**
   * Makes the group: the first request.
   *
   * @throws DaemonVersionError, DaemonEndedError; DaemonUnavailableError when it is to be tried again; CallError for what the daemon refuses.
   */
  bind(settings: GroupSettings): void {
    try {
      this.request(this.requests.bind(settings, PROTOCOL_VERSION));
    } catch (error) {
      if (error instanceof CallError && error.code === 'EPROTONOSUPPORT') {
        throw new DaemonVersionError(this.socket, error.reason);
      }
      if (error instanceof CallError && error.code === 'EAGAIN') {
        throw new DaemonUnavailableError(`the daemon is not to be had now: ${error.reason}`, this.socket, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /**
   * Asks, and waits for the answer.
   *
   * @param request What {@link requests} has written last.
   * @returns What the answer says.
   * @throws CallError for what is refused; DaemonEndedError, also for a daemon that does not answer in time.
   */
  request(request: Uint8Array, descriptors?: readonly number[]): Buffer {
    if (this.#isClosed) throw new CallError('EBADF', 'it is closed');
    const { number } = this.requests;
    this.#send(request, descriptors);
    const had = this.#backlog.length;
    try {
      for (;;) {
        this.#wait(POLLIN);
        const answer = this.#receive(number);
        if (!answer) continue;
        if (answer.errno !== 0) throw new CallError(answer.errno, answer.data.toString());
        return answer.data;
      }
    } finally {
      if (had === 0 && this.#backlog.length > 0) this.onBacklog?.();
    }
  }

  /**
   * The next events; undefined when there are none now. Their descriptors are for the caller to close.
   *
   * @throws DaemonEndedError
   */
  receive(): EventMessage | undefined {
    while (this.#backlog.length === 0) {
      try {
        this.#receive(undefined);
      } catch (error) {
        if (error instanceof KernelError && error.code === 'EAGAIN') return undefined;
        throw error;
      }
    }
    return this.#backlog.shift();
  }

  /** Whether {@link receive} has something without asking the kernel. */
  get hasBacklog(): boolean {
    return this.#backlog.length > 0;
  }

  /** Closes it, and what nobody has received. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { descriptors } of this.#backlog) for (const fd of descriptors) this.#kernel.close(fd);
    this.#backlog = [];
    this.#kernel.close(this.fd);
  }

  /** The number was closed by other means: leaves it to whoever has it now. */
  abandon(): void {
    this.#isClosed = true;
    for (const { descriptors } of this.#backlog) for (const fd of descriptors) this.#kernel.close(fd);
    this.#backlog = [];
  }

  #send(request: Uint8Array, descriptors: readonly number[] | undefined): void {
    for (;;) {
      try {
        this.#kernel.sendMessage(this.fd, request, descriptors);
        return;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code !== 'EAGAIN') throw this.#failed(error, descriptors);
      }
      this.#wait(POLLOUT);
    }
  }

  #failed(error: KernelError, descriptors: readonly number[] | undefined): Error {
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') {
      return new DaemonEndedError(this.socket, { cause: error });
    }
    return new CallError(
      error.errno,
      descriptors
        ? `the descriptor ${descriptors[0]} is not open, or cannot be passed on`
        : 'it takes no more requests',
    );
  }

  #wait(events: number): void {
    const entry = { fd: this.fd, events, revents: 0 };
    if (this.#kernel.poll([entry], PATIENCE_MS) > 0) return;
    throw new DaemonEndedError(this.socket, { isSilent: true });
  }

  /**
   * Receives one message: keeps its events, and gives the answer with that number. Answers with others are to requests that were given
   * up.
   */
  #receive(number: number | undefined): { readonly errno: number; readonly data: Buffer } | undefined {
    let bytes: number;
    let descriptors: readonly number[];
    try {
      ({ bytes, descriptors } = this.#kernel.receiveMessage(this.fd, inbox, this.#closesOnExec));
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ECONNRESET') {
        throw new DaemonEndedError(this.socket, { cause: error });
      }
      throw error;
    }
    if (bytes === 0) throw new DaemonEndedError(this.socket);
    const events: Buffer[] = [];
    let found: { readonly errno: number; readonly data: Buffer } | undefined;
    let start = 0;
    let count = 0;
    for (let at = 0; at < bytes; ) {
      const end = at + eventLength(at, bytes, this.socket);
      if (isAnswer(at, end)) {
        if (at > start) events.push(inbox.subarray(start, at));
        start = end;
        if (inboxView.getUint32(at + FAN_EVENT_METADATA_LEN + RECORD_HEADER, LE) === number) found = answerAt(at, end);
      } else {
        count++;
      }
      at = end;
    }
    if (bytes > start) events.push(inbox.subarray(start, bytes));
    if (count > 0) this.#backlog.push({ bytes: Buffer.concat(events), count, descriptors });
    else for (const descriptor of descriptors) this.#kernel.close(descriptor);
    return found;
  }
}

function eventLength(at: number, end: number, socket: string): number {
  const isWhole = end - at >= FAN_EVENT_METADATA_LEN && inbox[at + 4] === FANOTIFY_METADATA_VERSION;
  const length = isWhole ? inboxView.getUint32(at, LE) : 0;
  if (length >= FAN_EVENT_METADATA_LEN && at + length <= end) return length;
  throw new CallError('EPROTO', `what listens at ${JSON.stringify(socket)} sends no events: is it the daemon?`);
}

function isAnswer(at: number, end: number): boolean {
  return (
    inboxView.getBigUint64(at + MASK, LE) === 0n &&
    end - at >= FAN_EVENT_METADATA_LEN + ANSWER_HEADER &&
    inbox[at + FAN_EVENT_METADATA_LEN] === ANSWER_TYPE
  );
}

function answerAt(at: number, end: number) {
  const record = at + FAN_EVENT_METADATA_LEN;
  const length = Math.min(inboxView.getUint16(record + 2, LE), end - record);
  return {
    errno: inboxView.getUint32(record + RECORD_HEADER + 4, LE),
    data: Buffer.from(inbox.subarray(record + ANSWER_HEADER, record + length)),
  };
}

function unavailable(socket: string, error: unknown): unknown {
  if (!(error instanceof KernelError)) return error;
  const shown = JSON.stringify(socket);
  const why: Readonly<Record<string, string>> = {
    ENOENT: `there is no socket at ${shown}: start fanotifyd, or say where it listens (socket, FANOTIFY_SOCKET)`,
    ECONNREFUSED: `nobody listens at ${shown}: start fanotifyd`,
    EACCES: `this user may not connect to ${shown}: fanotifyd's configuration says who may`,
    EPROTOTYPE: `what listens at ${shown} is not fanotifyd`,
    ENAMETOOLONG: `${shown} is too long for the path of a socket, which has 107 bytes at most`,
    EAGAIN: `too many wait at ${shown} to be let in: try again later`,
  };
  const said = why[error.code] ?? `the daemon at ${shown} cannot be reached (${error.code})`;
  return new DaemonUnavailableError(said, socket, { cause: error });
}
