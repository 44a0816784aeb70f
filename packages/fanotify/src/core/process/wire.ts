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
  /** Of a daemon's names group: where a directory is, below which mark. A struct file_handle follows. */
  resolve: 11,
  /** Of a daemon's group: answered behind everything that has happened until now. */
  sync: 12,
} as const;

export type Request = (typeof REQUEST)[keyof typeof REQUEST];

const SCOPES: readonly MarkScope[] = ['inode', 'filesystem', 'subtree'];
/** Which protocol a daemon speaks: the last argument of bind. 0 is that of a private core, which has the version of its owner. */
export const PROTOCOL_VERSION = 1;
/** Bind: a names group's events are to say where their directory is, by a PATH record. Beyond the kernel's flags. */
export const REPORT_PATH = 0x0100_0000;
/** A request: its type, its number, and its arguments. */
export const REQUEST_BYTES = 40;
/** The two words of a struct file_handle, and MAX_HANDLE_SZ. */
export const MOST_HANDLE_BYTES = 8 + 128;
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
/**
 * The number of a mark (u32), and where the event's directory is below what that marks: no slash at its start, '' for the mark itself,
 * and no padding. One for each record of a directory, in their order; behind those, of other marks that hold the first, too.
 */
export const PATH_TYPE = 0xc1;
/** Behind four bytes of zero, the number of an event (u64, from 1) among those that the group was told; those behind it count on. */
export const SEQUENCE_TYPE = 0xc2;
/** Alone in an event without bits: the number of a request (u32), an errno or 0 (u32), and what there is to say. */
export const ANSWER_TYPE = 0xc3;
const COOKIE_BYTES = 16;
const RANGE_BYTES = 24;
const SEQUENCE_BYTES = 16;
/** Of an answer's record: its head, the number and the errno. */
const ANSWER_RECORD_BYTES = 12;
/** What an answer in line with events may say: a message is no longer than 64 KiB, and a record says how long it is in 16 bits. */
export const MOST_SAID_BYTES: number = 65_536 - FAN_EVENT_METADATA_LEN - ANSWER_RECORD_BYTES;
export const MOST_MESSAGE_BYTES: number =
  MOST_EVENTS * (FAN_EVENT_METADATA_LEN + COOKIE_BYTES + RANGE_BYTES) + SEQUENCE_BYTES;

/** Writes requests, one after the other, into a buffer of its own. */
export class RequestWriter {
  readonly bytes: Buffer = Buffer.alloc(REQUEST_BYTES);
  readonly #view: DataView = viewOf(this.bytes);
  #number = 0;

  /** The number of the last request. */
  get number(): number {
    return this.#number;
  }

  /** @param version Of a daemon: {@link PROTOCOL_VERSION}. */
  bind({ mask, priority, eventFlags, flags }: GroupSettings, version = 0): Buffer {
    this.#begin(REQUEST.bind);
    this.#view.setBigUint64(FIRST, mask, LE);
    this.#view.setUint32(FIRST + 8, priority, LE);
    this.#view.setUint32(FIRST + 12, eventFlags, LE);
    this.#view.setUint32(FIRST + 16, flags, LE);
    this.#view.setUint32(FIRST + 20, version, LE);
    return this.bytes;
  }

  mark(
    request: typeof REQUEST.addMark | typeof REQUEST.removeMark,
    { scope, mask, ignored, survivesModify }: MarkChange,
    number = 0,
  ): Buffer {
    this.#begin(request);
    this.#view.setBigUint64(FIRST, mask, LE);
    this.#view.setBigUint64(FIRST + 8, ignored, LE);
    this.#view.setUint32(FIRST + 16, SCOPES.indexOf(scope), LE);
    this.#view.setUint32(FIRST + 20, survivesModify ? 1 : 0, LE);
    this.#view.setUint32(FIRST + 24, number, LE);
    return this.bytes;
  }

  /** What has no arguments. */
  plain(
    request: typeof REQUEST.clearMarks | typeof REQUEST.statistics | typeof REQUEST.close | typeof REQUEST.sync,
  ): Buffer {
    return this.#begin(request);
  }

  respond(cookie: bigint, response: number): Buffer {
    this.#begin(REQUEST.respond);
    this.#view.setBigUint64(FIRST, cookie, LE);
    this.#view.setUint32(FIRST + 8, response, LE);
    return this.bytes;
  }

  /** @param handle A whole struct file_handle. */
  resolve([high, low]: readonly [number, number], handle: Uint8Array): Buffer {
    this.#begin(REQUEST.resolve);
    this.#view.setInt32(FIRST, high | 0, LE);
    this.#view.setInt32(FIRST + 4, low | 0, LE);
    return Buffer.concat([this.bytes, handle]);
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
  /** What follows the fixed part: of resolve alone. */
  readonly rest: Uint8Array;

  /**
   * @param bytes The message.
   * @throws CallError EINVAL when it is no request.
   */
  constructor(bytes: Uint8Array) {
    const isLonger = bytes.byteLength > REQUEST_BYTES && bytes.byteLength <= REQUEST_BYTES + MOST_HANDLE_BYTES;
    const mayBeLonger = isLonger && viewOf(bytes).getUint32(TYPE, LE) === REQUEST.resolve;
    if (bytes.byteLength !== REQUEST_BYTES && !mayBeLonger) {
      throw new CallError('EINVAL', `a request of ${bytes.byteLength} bytes, which has ${REQUEST_BYTES}`);
    }
    this.#view = viewOf(bytes);
    this.rest = bytes.subarray(REQUEST_BYTES);
  }

  /** The same, for as long as it is needed: the message's bytes may be those of the next by then. */
  copy(): RequestReader {
    const { buffer, byteOffset } = this.#view;
    return new RequestReader(new Uint8Array(buffer, byteOffset, REQUEST_BYTES + this.rest.length).slice());
  }

  /** Of bind. */
  get version(): number {
    return this.#view.getUint32(FIRST + 20, LE);
  }

  /** Of a mark: the number that its owner has given it. */
  get markNumber(): number {
    return this.#view.getUint32(FIRST + 24, LE);
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

/**
 * The answer to a request, in line with events: an event without bits, alone in its message.
 *
 * @param said Text, or bytes: of {@link REQUEST.resolve}.
 */
export function answerEvent(number: number, errno: number, said: string | Uint8Array): Buffer {
  const data = typeof said === 'string' ? Buffer.from(said) : said;
  const recordBytes = ANSWER_RECORD_BYTES + data.length;
  const event = Buffer.alloc(FAN_EVENT_METADATA_LEN + recordBytes);
  const view = viewOf(event);
  writeMetadata(view, 0, event.length, 0n, FAN_NOFD, 0);
  writeRecord(view, FAN_EVENT_METADATA_LEN, ANSWER_TYPE, recordBytes);
  view.setUint32(FAN_EVENT_METADATA_LEN + 4, number, LE);
  view.setUint32(FAN_EVENT_METADATA_LEN + 8, errno, LE);
  event.set(data, FAN_EVENT_METADATA_LEN + ANSWER_RECORD_BYTES);
  return event;
}

/** The number of a request, also of one that is none otherwise; undefined where a message is too short for it. */
export function requestNumber(bytes: Uint8Array): number | undefined {
  return bytes.byteLength < FIRST ? undefined : viewOf(bytes).getUint32(NUMBER, LE);
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

/** What of an event is told. */
export interface Told extends Pick<Waiting, 'bits' | 'pid' | 'ask' | 'range'> {
  readonly carried: { readonly fd: number } | undefined;
}

/** Writes events as the kernel's own bytes; `fd` is the place of its descriptor among those of the message. */
export class EventWriter {
  readonly #buffer: Buffer = Buffer.alloc(MOST_MESSAGE_BYTES);
  readonly #view: DataView = viewOf(this.#buffer);
  readonly descriptors: number[] = [];

  /**
   * The message; `descriptors` go with it.
   *
   * @param sequence The number of the first event, where it is to be told.
   */
  write<T extends Told>(events: readonly T[], cookieOf: (ask: number) => bigint, sequence?: number): Uint8Array {
    this.descriptors.length = 0;
    let at = 0;
    for (const event of events) at = this.#event(at, event, cookieOf, at === 0 ? sequence : undefined);
    return this.#buffer.subarray(0, at);
  }

  #event(
    start: number,
    { bits, pid, carried, ask, range }: Told,
    cookieOf: (ask: number) => bigint,
    sequence: number | undefined,
  ): number {
    const view = this.#view;
    let end = start + FAN_EVENT_METADATA_LEN;
    if (sequence !== undefined) {
      writeRecord(view, end, SEQUENCE_TYPE, SEQUENCE_BYTES);
      view.setBigUint64(end + 8, BigInt(sequence), LE);
      end += SEQUENCE_BYTES;
    }
    if (ask !== undefined) {
      writeRecord(view, end, COOKIE_TYPE, COOKIE_BYTES);
      view.setBigUint64(end + 8, cookieOf(ask), LE);
      end += COOKIE_BYTES;
    }
    if (range) {
      writeRecord(view, end, FAN_EVENT_INFO_TYPE_RANGE, RANGE_BYTES);
      view.setBigUint64(end + 8, BigInt(range.offset), LE);
      view.setBigUint64(end + 16, BigInt(range.bytes), LE);
      end += RANGE_BYTES;
    }
    writeMetadata(view, start, end - start, BigInt(bits), carried ? this.descriptors.length : FAN_NOFD, pid);
    if (carried) this.descriptors.push(carried.fd);
    return end;
  }
}

/** Writes a struct fanotify_event_metadata. */
function writeMetadata(view: DataView, at: number, bytes: number, mask: bigint, fd: number, pid: number): void {
  view.setUint32(at, bytes, LE);
  view.setUint8(at + 4, FANOTIFY_METADATA_VERSION);
  view.setUint8(at + 5, 0);
  view.setUint16(at + 6, FAN_EVENT_METADATA_LEN, LE);
  view.setBigUint64(at + 8, mask, LE);
  view.setInt32(at + 16, fd, LE);
  view.setInt32(at + 20, pid, LE);
}

/** Writes the head of a record, and zero behind it. */
function writeRecord(view: DataView, at: number, type: number, bytes: number): void {
  view.setUint8(at, type);
  view.setUint8(at + 1, 0);
  view.setUint16(at + 2, bytes, LE);
  view.setUint32(at + 4, 0, LE);
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
