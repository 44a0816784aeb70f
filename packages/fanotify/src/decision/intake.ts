// Where accesses come in from a permission group, and their answers go out: what a loop that answers the kernel must get right,
// whoever decides.

import { EventCursor, FAN_EVENT_METADATA_LEN, HOST_IS_LITTLE_ENDIAN } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { nowMs } from './clock.ts';
import type { OpenedGroup } from './opening.ts';
import { ALLOW, DENY, type Ruling, responseOf } from './permission.ts';
import { answerByPolicy } from './policy-answers.ts';

const READ_EVENTS = 256;
/** Of a group that tells ranges: with their record, which is as long. */
const RANGED_EVENT_BYTES = 2 * FAN_EVENT_METADATA_LEN;
/** Who waits in poll for longer than this was woken by what came then. */
const WOKEN_MS = 1;

/**
 * Takes the event that the cursor is at, and its descriptor.
 *
 * @param sinceMs Since when it may have been waiting: clock.ts.
 * @param readMs When it was read: clock.ts.
 */
export type Take = (cursor: EventCursor, sinceMs: number, readMs: number) => void;

/** What an intake works with. */
export interface IntakeParts {
  readonly kernel: Kernel;
  /** Does not block; whoever has opened it closes it. */
  readonly group: Pick<OpenedGroup, 'fd' | 'reportsFdErrors'>;
  /** Whether its events have a range: those of FAN_PRE_ACCESS. */
  readonly hasRanges: boolean;
  /** For what is read at a time: of {@link readBytes}, where another thread is to see it. */
  readonly buffer?: Buffer | undefined;
  /** A read told by an error that the kernel has denied an access: it could not open the file. Before Linux 6.13. */
  deniedByKernel(errno: number): void;
}

/** How much is read of a group at a time. */
export function readBytes(hasRanges: boolean): number {
  return READ_EVENTS * eventBytes(hasRanges);
}

function eventBytes(hasRanges: boolean): number {
  return hasRanges ? RANGED_EVENT_BYTES : FAN_EVENT_METADATA_LEN;
}

export class Intake {
  readonly #parts: IntakeParts;
  readonly #kernel: Kernel;
  readonly #groupFd: number;
  readonly #eventBytes: number;
  readonly #buffer: Buffer;
  readonly #cursor: EventCursor;
  #length = 0;
  #lastCount = 0;
  #emptyAtMs = nowMs();
  #emptied = 0;
  readonly #response: Buffer = Buffer.alloc(8);
  readonly #responseView = new DataView(this.#response.buffer, this.#response.byteOffset, 8);

  constructor(parts: IntakeParts) {
    const { kernel, group, hasRanges, buffer = Buffer.allocUnsafeSlow(readBytes(hasRanges)) } = parts;
    this.#parts = parts;
    this.#kernel = kernel;
    this.#groupFd = group.fd;
    this.#eventBytes = eventBytes(hasRanges);
    this.#buffer = buffer;
    this.#cursor = new EventCursor(buffer, 0);
  }

  /** When the queue of the group was last known to be empty: whatever is in it came later. */
  get emptyAtMs(): number {
    return this.#emptyAtMs;
  }

  /** How often the queue was found to be empty. */
  get emptied(): number {
    return this.#emptied;
  }

  /** Where the event that is being taken begins in the buffer. */
  get offset(): number {
    return this.#cursor.offset;
  }

  /** Where the events end that are read and not gone through yet: 0 when there are none. */
  get length(): number {
    return this.#length;
  }

  /** How many events the last read brought. */
  get lastCount(): number {
    return this.#lastCount;
  }

  #empty(atMs: number): void {
    this.#emptyAtMs = atMs;
    this.#emptied++;
  }

  /** The loop has looked at the group, or waited for it, from `startedMs` to `endedMs`. */
  polled(isReadable: boolean, startedMs: number, endedMs: number): void {
    if (!isReadable || endedMs - startedMs > WOKEN_MS) this.#empty(endedMs);
  }

  /**
   * Reads events once. There must be some: without FAN_REPORT_FD_ERROR, none is not told from one that the kernel has denied.
   *
   * @param most How many at most: as many as there are descriptors reserved for.
   * @param take Is called for each, also for one without a descriptor.
   * @returns How many there were.
   */
  read(most: number, take: Take): number {
    const startedMs = nowMs();
    const buffer = most >= READ_EVENTS ? this.#buffer : this.#buffer.subarray(0, most * this.#eventBytes);
    let length: number;
    try {
      length = this.#kernel.read(this.#groupFd, buffer);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN' && this.#parts.group.reportsFdErrors) {
        this.#empty(startedMs);
        return 0;
      }
      // Before Linux 6.13 an event without a descriptor is an error, and the kernel denies the access. EAGAIN is one, too: of a file that
      // somebody has a write lease on, since there was something to read. (Or whoever was held has been killed since.)
      this.#parts.deniedByKernel(error.errno);
      return 1;
    }
    const sinceMs = this.#emptyAtMs;
    // The last event may have had a record that the rest of the buffer had no room for.
    if (length <= buffer.byteLength - this.#eventBytes) this.#empty(startedMs);
    const cursor = this.#cursor;
    cursor.reset(this.#buffer, length);
    this.#length = length;
    let events = 0;
    for (; cursor.next(); events++) take(cursor, sinceMs, startedMs);
    this.#length = 0;
    this.#lastCount = events;
    return events;
  }

  /**
   * Reads everything that is in the queue now, and nothing that comes meanwhile.
   *
   * @param take Is to answer each event at once.
   * @param afterRead Is called after each read that brought something: others may be due.
   */
  drain(take: Take, afterRead: () => void): void {
    const startedMs = nowMs();
    for (let left = this.#kernel.waitingBytes(this.#groupFd) / FAN_EVENT_METADATA_LEN; left > 0; ) {
      const events = this.read(READ_EVENTS, take);
      if (events === 0) break;
      left -= events;
      afterRead();
    }
    this.#empty(Math.max(this.#emptyAtMs, startedMs));
  }

  /**
   * Answers an access, with the verdict alone where the kernel does not take the rest of the ruling.
   *
   * @param closes Whether its descriptor is closed, too.
   */
  answer(fd: number, ruling: Ruling, closes = true): void {
    if (!this.#respond(fd, responseOf(ruling))) this.#respond(fd, responseOf(ruling.allowed ? ALLOW : DENY));
    if (closes) this.#kernel.close(fd);
  }

  /**
   * Answers what was read and not gone through, once: the loop has come to grief over one of these.
   *
   * @param isHeld Whether the event of a descriptor was taken, and is answered elsewhere.
   * @param isAllowed Whether an access is allowed in any case: by its process, and the file's descriptor.
   * @param policy The word of the response that the others get.
   */
  giveUp(isHeld: (fd: number) => boolean, isAllowed: (pid: number, fd: number) => boolean, policy: number): void {
    const { fd, offset, end } = this.#cursor;
    const rest = this.#buffer.subarray(isHeld(fd) ? end : offset, this.#length);
    this.#length = 0;
    answerByPolicy(this.#kernel, this.#groupFd, rest, isAllowed, policy);
  }

  /** False when the kernel takes no such answer; one that nobody waits for any more is as good as taken. */
  #respond(fd: number, response: number): boolean {
    this.#responseView.setInt32(0, fd, HOST_IS_LITTLE_ENDIAN);
    this.#responseView.setUint32(4, response, HOST_IS_LITTLE_ENDIAN);
    try {
      this.#kernel.write(this.#groupFd, this.#response);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code === 'ENOENT';
    }
  }
}
