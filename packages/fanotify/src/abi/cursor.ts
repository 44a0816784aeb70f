// Walks the events of one read(2) without allocating: the hot path under Group. decode.ts makes typed values of the same bytes.

import { FANOTIFY_METADATA_VERSION } from './constants.ts';
import { AbiError, type AbiErrorCode } from './error.ts';
import {
  ERROR_RECORD,
  EVENT,
  FID_RECORD,
  HOST_IS_LITTLE_ENDIAN as LE,
  MNT_RECORD,
  PIDFD_RECORD,
  RANGE_RECORD,
  RECORD,
} from './layout.ts';

/**
 * A position in a buffer of events. `next()` moves on and validates the event and all of its records first, so every
 * offset that it leaves in its fields can be read without a further check: with `view`, or with `recordName` and its
 * siblings. One cursor serves any number of reads (see {@link reset}).
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_OPEN, FAN_NOFD, recordName } from 'fanotify/abi';
 * const handle = { type: 1, bytes: Buffer.from('an inode') };
 * const record = { type: 'DFID_NAME', fsid: [1, 2], handle, name: Buffer.from('notes.txt') };
 * const bytes = encodeEvent({ mask: FAN_OPEN, fd: FAN_NOFD, pid: 42, records: [record] });
 *
 * const cursor = new EventCursor(bytes);
 * while (cursor.next()) {
 *   console.log(cursor.pid, recordName(cursor, cursor.dfid).toString()); // 42 notes.txt
 * }
 */
export class EventCursor {
  /** The bytes that the offsets below point into, and a view of the same. */
  buffer: Buffer;
  view: DataView;
  /** Where the event starts and ends in the buffer. */
  offset = 0;
  end = 0;
  /** Low and high 32 bits of the mask, unsigned. */
  maskLow = 0;
  maskHigh = 0;
  /** A descriptor, FAN_NOFD, or since Linux 6.13 with FAN_REPORT_FD_ERROR a negative errno. */
  fd = 0;
  /** The process; the thread with FAN_REPORT_TID. */
  pid = 0;
  /** Offsets of the first record of each type in the buffer; 0 when there is none. */
  fid = 0;
  /** DFID or DFID_NAME. */
  dfid = 0;
  /** OLD_DFID_NAME and NEW_DFID_NAME. Since Linux 5.17. */
  oldDfid = 0;
  newDfid = 0;
  pidfd = 0;
  error = 0;
  range = 0;
  mnt = 0;
  /** How many records of types that this version does not know. */
  unknownRecords = 0;

  #length = 0;

  /** @param length How many bytes of `buffer` the read filled; all of them when left out. */
  constructor(buffer: Buffer, length = buffer.length) {
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.reset(buffer, length);
  }

  /**
   * Goes to the start of `buffer`, before its first event.
   *
   * @param length How many bytes of `buffer` the read filled.
   * @throws AbiError BUFFER_LENGTH when the buffer is not that long.
   */
  reset(buffer: Buffer, length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= buffer.length)) {
      throw new AbiError('BUFFER_LENGTH', `${length} bytes of events in a buffer of ${buffer.length}`);
    }
    if (this.buffer !== buffer) {
      this.buffer = buffer;
      this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    }
    this.#length = length;
    this.offset = 0;
    this.end = 0;
  }

  /**
   * Moves to the next event. False at the end of the buffer.
   *
   * @throws AbiError when the bytes there are no event. The position is kept, so that each further call throws the same;
   * the other fields mean nothing then.
   */
  next(): boolean {
    const { view } = this;
    const start = this.end;
    const left = this.#length - start;
    if (left < EVENT.size) {
      if (left === 0) return false;
      throw malformed('EVENT_TRUNCATED', `${left} bytes left where an event needs ${EVENT.size}`, start);
    }
    const version = view.getUint8(start + EVENT.vers);
    if (version !== FANOTIFY_METADATA_VERSION) {
      throw malformed(
        'VERSION_UNSUPPORTED',
        `the event has layout version ${version}, only ${FANOTIFY_METADATA_VERSION} can be read`,
        start,
      );
    }
    const eventLen = view.getUint32(start + EVENT.eventLen, LE);
    const metadataLen = view.getUint16(start + EVENT.metadataLen, LE);
    if (metadataLen < EVENT.size || eventLen < metadataLen) {
      throw malformed('EVENT_LENGTH', `event_len ${eventLen} with metadata_len ${metadataLen}`, start);
    }
    if (eventLen > left) {
      throw malformed('EVENT_TRUNCATED', `an event of ${eventLen} bytes where ${left} are left`, start);
    }
    const end = start + eventLen;

    this.fid = 0;
    this.dfid = 0;
    this.oldDfid = 0;
    this.newDfid = 0;
    this.pidfd = 0;
    this.error = 0;
    this.range = 0;
    this.mnt = 0;
    this.unknownRecords = 0;
    let at = start + metadataLen;
    while (at < end) at = this.#record(view, at, end);

    this.offset = start;
    this.end = end;
    this.maskLow = view.getUint32(start + EVENT.mask + (LE ? 0 : 4), LE);
    this.maskHigh = view.getUint32(start + EVENT.mask + (LE ? 4 : 0), LE);
    this.fd = view.getInt32(start + EVENT.fd, LE);
    this.pid = view.getInt32(start + EVENT.pid, LE);
    return true;
  }

  /** Validates the record at `at`, notes where it is, and returns where it ends. */
  #record(view: DataView, at: number, end: number): number {
    if (end - at < RECORD.size) {
      throw malformed('RECORD_TRUNCATED', `${end - at} bytes left where a record needs ${RECORD.size}`, at);
    }
    const type = view.getUint8(at + RECORD.infoType);
    const len = view.getUint16(at + RECORD.len, LE);
    if (len < RECORD.size) throw malformed('RECORD_LENGTH', `a record of ${len} bytes`, at);
    if (len > end - at) {
      throw malformed('RECORD_TRUNCATED', `a record of ${len} bytes where ${end - at} are left`, at);
    }
    // Literal numbers, held against FAN_EVENT_INFO_TYPE_* by a test: V8 makes a jump table of them.
    switch (type) {
      case 1:
        checkFid(view, at, len, false);
        if (this.fid === 0) this.fid = at;
        break;
      case 2:
        checkFid(view, at, len, true);
        if (this.dfid === 0) this.dfid = at;
        break;
      case 3:
        checkFid(view, at, len, false);
        if (this.dfid === 0) this.dfid = at;
        break;
      case 4:
        checkSize(at, len, PIDFD_RECORD.size, 'PIDFD');
        if (this.pidfd === 0) this.pidfd = at;
        break;
      case 5:
        checkSize(at, len, ERROR_RECORD.size, 'ERROR');
        if (this.error === 0) this.error = at;
        break;
      case 6:
        checkSize(at, len, RANGE_RECORD.size, 'RANGE');
        if (this.range === 0) this.range = at;
        break;
      case 7:
        checkSize(at, len, MNT_RECORD.size, 'MNT');
        if (this.mnt === 0) this.mnt = at;
        break;
      case 10:
        checkFid(view, at, len, true);
        if (this.oldDfid === 0) this.oldDfid = at;
        break;
      case 12:
        checkFid(view, at, len, true);
        if (this.newDfid === 0) this.newDfid = at;
        break;
      default:
        this.unknownRecords++;
    }
    return at + len;
  }
}

/** A record may be longer than it was when this was written, never shorter. */
function checkSize(at: number, len: number, size: number, name: string): void {
  if (len < size) throw malformed('RECORD_LENGTH', `a ${name} record of ${len} bytes, less than ${size}`, at);
}

function checkFid(view: DataView, at: number, len: number, named: boolean): void {
  checkSize(at, len, FID_RECORD.size, 'file handle');
  const handleBytes = view.getUint32(at + FID_RECORD.handleBytes, LE);
  if (handleBytes > len - FID_RECORD.size) {
    throw malformed('HANDLE_LENGTH', `a handle of ${handleBytes} bytes in a record of ${len}`, at);
  }
  if (!named) return;
  const name = at + FID_RECORD.opaque + handleBytes;
  // From the end: the kernel's padding is NULs, so the first look nearly always finds one.
  let last = at + len - 1;
  while (last >= name && view.getUint8(last) !== 0) last--;
  if (last < name) throw malformed('NAME_UNTERMINATED', 'the name of a record has no NUL at its end', at);
}

function malformed(code: AbiErrorCode, what: string, offset: number): AbiError {
  return new AbiError(code, `not a fanotify event at byte ${offset}: ${what}`, offset);
}
