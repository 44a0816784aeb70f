// What is said between the owner of a group and the core: one socket a group (SOCK_SEQPACKET), whose messages are requests one way and
// events the other; answers come on a socket of their own, so that events are never in their way. Numbers are in the byte order of
// the machine.

import {
  type EventCursor,
  FAN_EVENT_INFO_TYPE_RANGE,
  FAN_EVENT_METADATA_LEN,
  FAN_NOFD,
  FANOTIFY_METADATA_VERSION,
  HOST_IS_LITTLE_ENDIAN as LE,
  recordRangeCount,
  recordRangeOffset,
} from '../../abi/index.ts';
import { fsidNumber } from '../../identity/handle-at.ts';
import { CallError } from '../errors.ts';
import type { Waiting } from '../queue.ts';
import type { CoreEvent, GroupSettings, GroupStatistics, MarkChange, MarkScope } from '../types.ts';

/** What a group is asked for. */
export const REQUEST = {
  bind: 1,
  addMark: 2,
  removeMark: 3,
  clearMarks: 4,
  respond: 5,
  ignoreType: 6,
  ignoreFsid: 7,
  setTimeout: 8,
  statistics: 9,
  /** Ends the group; answered when that is done. */
  close: 10,
} as const;

export type Request = (typeof REQUEST)[keyof typeof REQUEST];

const SCOPES: readonly MarkScope[] = ['inode', 'filesystem', 'subtree'];
/** A request: its type, its number, and its arguments. */
export const REQUEST_BYTES = 40;
const TYPE = 0;
const NUMBER = 4;
/** Where arguments begin. */
const FIRST = 8;
/** An answer: the number of the request, an errno or 0, and what there is to say. */
const ANSWER_BYTES = 8;
export const MOST_ANSWER_BYTES = 4096;

/** How many events go into a message: each may have a descriptor, of which a message takes 253. */
export const MOST_EVENTS = 128;
// Records of ours come after the kernel's types.
const COOKIE_TYPE = 0xc0;
const COOKIE_BYTES = 16;
const RANGE_BYTES = 24;
export const MOST_MESSAGE_BYTES: number = MOST_EVENTS * (FAN_EVENT_METADATA_LEN + COOKIE_BYTES + RANGE_BYTES);

/** Writes requests, one after the other, into a buffer of its own. */
export class RequestWriter {
  readonly bytes: Buffer = Buffer.alloc(REQUEST_BYTES);
  readonly #view: DataView = viewOf(this.bytes);
  #number = 0;

  /** The number of the last request. */
  get number(): number {
    return this.#number;
  }

  bind({ mask, priority, eventFlags, flags }: GroupSettings): Buffer {
    this.#begin(REQUEST.bind);
    this.#view.setBigUint64(FIRST, mask, LE);
    this.#view.setUint32(FIRST + 8, priority, LE);
    this.#view.setUint32(FIRST + 12, eventFlags, LE);
    this.#view.setUint32(FIRST + 16, flags, LE);
    return this.bytes;
  }

  mark(
    request: typeof REQUEST.addMark | typeof REQUEST.removeMark,
    { scope, mask, ignored, survivesModify }: MarkChange,
  ): Buffer {
    this.#begin(request);
    this.#view.setBigUint64(FIRST, mask, LE);
    this.#view.setBigUint64(FIRST + 8, ignored, LE);
    this.#view.setUint32(FIRST + 16, SCOPES.indexOf(scope), LE);
    this.#view.setUint32(FIRST + 20, survivesModify ? 1 : 0, LE);
    return this.bytes;
  }

  /** What has no arguments. */
  plain(request: typeof REQUEST.clearMarks | typeof REQUEST.statistics | typeof REQUEST.close): Buffer {
    return this.#begin(request);
  }

  respond(cookie: bigint, response: number): Buffer {
    this.#begin(REQUEST.respond);
    this.#view.setBigUint64(FIRST, cookie, LE);
    this.#view.setUint32(FIRST + 8, response, LE);
    return this.bytes;
  }

  ignoreType(type: number): Buffer {
    this.#begin(REQUEST.ignoreType);
    this.#view.setFloat64(FIRST, type, LE);
    return this.bytes;
  }

  ignoreFsid([high, low]: readonly [number, number]): Buffer {
    this.#begin(REQUEST.ignoreFsid);
    this.#view.setInt32(FIRST, high | 0, LE);
    this.#view.setInt32(FIRST + 4, low | 0, LE);
    return this.bytes;
  }

  setTimeout(deadlineMs: number, onTimeout: 'allow' | 'deny'): Buffer {
    this.#begin(REQUEST.setTimeout);
    this.#view.setFloat64(FIRST, deadlineMs, LE);
    this.#view.setUint32(FIRST + 8, onTimeout === 'allow' ? 1 : 0, LE);
    return this.bytes;
  }

  #begin(request: Request): Buffer {
    this.bytes.fill(0);
    this.#number = (this.#number + 1) >>> 0;
    this.#view.setUint32(TYPE, request, LE);
    this.#view.setUint32(NUMBER, this.#number, LE);
    return this.bytes;
  }
}

/** A request as it came in. */
export class RequestReader {
  readonly #view: DataView;

  /**
   * @param bytes The message.
   * @throws CallError EINVAL when it is no request.
   */
  constructor(bytes: Uint8Array) {
    if (bytes.byteLength !== REQUEST_BYTES) {
      throw new CallError('EINVAL', `a request of ${bytes.byteLength} bytes, which has ${REQUEST_BYTES}`);
    }
    this.#view = viewOf(bytes);
  }

  get type(): number {
    return this.#view.getUint32(TYPE, LE);
  }

  get number(): number {
    return this.#view.getUint32(NUMBER, LE);
  }

  get settings(): GroupSettings {
    return {
      mask: this.#view.getBigUint64(FIRST, LE),
      priority: this.#view.getUint32(FIRST + 8, LE),
      eventFlags: this.#view.getUint32(FIRST + 12, LE),
      flags: this.#view.getUint32(FIRST + 16, LE),
    };
  }

  /** @throws CallError EINVAL for a scope that there is not. */
  get mark(): MarkChange {
    const scope = SCOPES[this.#view.getUint32(FIRST + 16, LE)];
    if (!scope) throw new CallError('EINVAL', 'there is no such scope');
    return {
      scope,
      mask: this.#view.getBigUint64(FIRST, LE),
      ignored: this.#view.getBigUint64(FIRST + 8, LE),
      survivesModify: this.#view.getUint32(FIRST + 20, LE) !== 0,
    };
  }

  get response(): { readonly cookie: bigint; readonly response: number } {
    return { cookie: this.#view.getBigUint64(FIRST, LE), response: this.#view.getUint32(FIRST + 8, LE) };
  }

  get filesystemType(): number {
    return this.#view.getFloat64(FIRST, LE);
  }

  get fsid(): bigint {
    return fsidNumber([this.#view.getInt32(FIRST, LE), this.#view.getInt32(FIRST + 4, LE)]);
  }

  get timeout(): { readonly deadlineMs: number; readonly onTimeout: 'allow' | 'deny' } {
    const onTimeout = this.#view.getUint32(FIRST + 8, LE) === 0 ? 'deny' : 'allow';
    return { deadlineMs: this.#view.getFloat64(FIRST, LE), onTimeout };
  }
}

const answer = Buffer.alloc(MOST_ANSWER_BYTES);
const answerView = viewOf(answer);

/** The answer to a request: good until the next. */
export function answerOf(number: number, errno: number, text: string): Buffer {
  answerView.setUint32(0, number, LE);
  answerView.setUint32(4, errno, LE);
  const length = text === '' ? 0 : answer.write(text, ANSWER_BYTES);
  return answer.subarray(0, ANSWER_BYTES + length);
}

/** What an answer says; undefined for the answer to another request. */
export function readAnswer(
  bytes: Buffer,
  number: number,
): { readonly errno: number; readonly text: string } | undefined {
  const view = viewOf(bytes);
  if (bytes.length < ANSWER_BYTES || view.getUint32(0, LE) !== number) return undefined;
  return { errno: view.getUint32(4, LE), text: bytes.toString('utf8', ANSWER_BYTES) };
}

/** What statistics say, as an answer's text. */
export function readStatistics(text: string): GroupStatistics {
  return JSON.parse(text) as GroupStatistics;
}

/** Writes events as the kernel's own bytes; `fd` is the place of its descriptor among those of the message. */
export class EventWriter {
  readonly #buffer: Buffer = Buffer.alloc(MOST_MESSAGE_BYTES);
  readonly #view: DataView = viewOf(this.#buffer);
  readonly descriptors: number[] = [];

  /** The message; `descriptors` go with it. */
  write(events: readonly Waiting[], cookieOf: (ask: number) => bigint): Uint8Array {
    this.descriptors.length = 0;
    let at = 0;
    for (const event of events) at = this.#event(at, event, cookieOf);
    return this.#buffer.subarray(0, at);
  }

  #event(start: number, { bits, pid, carried, ask, range }: Waiting, cookieOf: (ask: number) => bigint): number {
    const view = this.#view;
    let end = start + FAN_EVENT_METADATA_LEN;
    if (ask !== undefined) {
      this.#record(end, COOKIE_TYPE, COOKIE_BYTES);
      view.setBigUint64(end + 8, cookieOf(ask), LE);
      end += COOKIE_BYTES;
    }
    if (range) {
      this.#record(end, FAN_EVENT_INFO_TYPE_RANGE, RANGE_BYTES);
      view.setBigUint64(end + 8, BigInt(range.offset), LE);
      view.setBigUint64(end + 16, BigInt(range.bytes), LE);
      end += RANGE_BYTES;
    }
    view.setUint32(start, end - start, LE);
    view.setUint8(start + 4, FANOTIFY_METADATA_VERSION);
    view.setUint8(start + 5, 0);
    view.setUint16(start + 6, FAN_EVENT_METADATA_LEN, LE);
    view.setBigUint64(start + 8, BigInt(bits), LE);
    view.setInt32(start + 16, carried ? this.descriptors.length : FAN_NOFD, LE);
    view.setInt32(start + 20, pid, LE);
    if (carried) this.descriptors.push(carried.fd);
    return end;
  }

  #record(at: number, type: number, length: number): void {
    this.#view.setUint8(at, type);
    this.#view.setUint8(at + 1, 0);
    this.#view.setUint16(at + 2, length, LE);
    this.#view.setUint32(at + 4, 0, LE);
  }
}

/** The events of a message, with its descriptors. Those that there was no number left for are FAN_NOFD. */
export function readEvents(cursor: EventCursor, descriptors: readonly number[]): CoreEvent[] {
  const events: CoreEvent[] = [];
  const { view } = cursor;
  while (cursor.next()) {
    const { offset, end, maskLow, fd, pid, range } = cursor;
    let cookie = 0n;
    for (let at = offset + FAN_EVENT_METADATA_LEN; at < end; at += view.getUint16(at + 2, LE)) {
      if (view.getUint8(at) === COOKIE_TYPE) cookie = view.getBigUint64(at + 8, LE);
    }
    events.push({
      mask: BigInt(maskLow),
      fd: fd < 0 ? FAN_NOFD : (descriptors[fd] ?? FAN_NOFD),
      pid,
      cookie,
      range:
        range === 0 ? undefined : { offset: recordRangeOffset(cursor, range), count: recordRangeCount(cursor, range) },
    });
  }
  return events;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
