// What the core says on a group's sockets: events as the kernel's own bytes, with records of ours, and answers. Numbers and places are in
// wire.ts.

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
import type { Waiting } from '../queue.ts';
import type { CoreEvent, GroupStatistics } from '../types.ts';
import {
  ANSWER_BYTES,
  ANSWER_RECORD_BYTES,
  ANSWER_TYPE,
  COOKIE_BYTES,
  COOKIE_TYPE,
  MOST_ANSWER_BYTES,
  MOST_MESSAGE_BYTES,
  RANGE_BYTES,
  SEQUENCE_BYTES,
  SEQUENCE_TYPE,
  viewOf,
} from './wire.ts';

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
