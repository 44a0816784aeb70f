// Reads the fields of records in place, at the offsets that EventCursor has validated. Nothing is checked a second time.

import {
  FAN_EVENT_INFO_TYPE_DFID_NAME,
  FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
  FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
} from './constants.ts';
import type { FileHandle, Fsid } from './handle.ts';
import {
  ERROR_RECORD,
  FID_RECORD,
  HOST_IS_LITTLE_ENDIAN as LE,
  MNT_RECORD,
  PIDFD_RECORD,
  RANGE_RECORD,
  RECORD,
} from './layout.ts';

/** The bytes of events, as an {@link EventCursor} holds them: the buffer, and a view of the same bytes. */
export interface EventBytes {
  readonly buffer: Buffer;
  readonly view: DataView;
}

/**
 * The `info_type` of the record at `at`: one of FAN_EVENT_INFO_TYPE_*, or one that this version does not know.
 *
 * @param at The offset of a record in bytes, as an {@link EventCursor} leaves it in its fields; so in all that follow.
 * @example
 * import { EventCursor, encodeEvent, FAN_EVENT_INFO_TYPE_PIDFD, FAN_OPEN, recordType } from 'fanotify/abi';
 * const record = { type: 'PIDFD', pidfd: 8 };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: 7, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordType(cursor, cursor.pidfd) === FAN_EVENT_INFO_TYPE_PIDFD); // true
 */
export function recordType({ view }: EventBytes, at: number): number {
  return view.getUint8(at + RECORD.infoType);
}

/**
 * The file system of a FID, DFID or *_NAME record.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_OPEN, recordFsid } from 'fanotify/abi';
 * const record = { type: 'FID', fsid: [7, -1], handle: { type: 1, bytes: Buffer.from('inode') } };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordFsid(cursor, cursor.fid)); // [ 7, -1 ]
 */
export function recordFsid({ view }: EventBytes, at: number): Fsid {
  return [view.getInt32(at + FID_RECORD.fsid, LE), view.getInt32(at + FID_RECORD.fsid + 4, LE)];
}

/**
 * The handle in a FID, DFID or *_NAME record. It owns its bytes.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_OPEN, recordHandle } from 'fanotify/abi';
 * const record = { type: 'FID', fsid: [7, 0], handle: { type: 1, bytes: Buffer.from('inode') } };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordHandle(cursor, cursor.fid).bytes.toString()); // inode
 */
export function recordHandle({ buffer, view }: EventBytes, at: number): FileHandle {
  return {
    type: view.getInt32(at + FID_RECORD.handleType, LE),
    bytes: Buffer.from(buffer.subarray(at + FID_RECORD.opaque, handleEnd(view, at))),
  };
}

/**
 * The `struct file_handle` in a FID, DFID or *_NAME record: part of the buffer, good until the buffer is read into
 * again.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_OPEN, recordHandleStruct } from 'fanotify/abi';
 * const record = { type: 'DFID', fsid: [7, 0], handle: { type: 1, bytes: Buffer.from('inode') } };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordHandleStruct(cursor, cursor.dfid).length); // 13
 */
export function recordHandleStruct({ buffer, view }: EventBytes, at: number): Buffer {
  return buffer.subarray(at + FID_RECORD.handle, handleEnd(view, at));
}

/**
 * What {@link handleKey} makes of the file system and handle of a FID, DFID or *_NAME record.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_OPEN, handleKey, recordKey } from 'fanotify/abi';
 * const record = { type: 'FID', fsid: [7, 0], handle: { type: 1, bytes: Buffer.from('inode') } };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordKey(cursor, cursor.fid) === handleKey(record.fsid, record.handle)); // true
 */
export function recordKey({ buffer, view }: EventBytes, at: number): string {
  return buffer.toString('latin1', at + FID_RECORD.fsid, handleEnd(view, at));
}

/**
 * The name in a *_NAME record, without its NUL: part of the buffer, good until the buffer is read into again. Empty for
 * a record of a type that has no name.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_RENAME, recordName } from 'fanotify/abi';
 * const handle = { type: 1, bytes: Buffer.from('inode') };
 * const record = { type: 'OLD_DFID_NAME', fsid: [7, 0], handle, name: Buffer.from('a') };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_RENAME, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordName(cursor, cursor.oldDfid).toString()); // a
 */
export function recordName({ buffer, view }: EventBytes, at: number): Buffer {
  const start = handleEnd(view, at);
  let end = start;
  if (isNamed(view.getUint8(at + RECORD.infoType))) while (view.getUint8(end) !== 0) end++;
  return buffer.subarray(start, end);
}

/** Whether {@link recordName} is not empty. */
export function hasRecordName({ view }: EventBytes, at: number): boolean {
  return isNamed(view.getUint8(at + RECORD.infoType)) && view.getUint8(handleEnd(view, at)) !== 0;
}

/** {@link recordName} as a string when it is of ASCII alone, as nearly all are: without a Buffer of its own. */
export function recordAsciiName({ buffer, view }: EventBytes, at: number): string | undefined {
  const start = handleEnd(view, at);
  let end = start;
  if (isNamed(view.getUint8(at + RECORD.infoType))) {
    for (let byte = view.getUint8(end); byte !== 0; byte = view.getUint8(++end)) if (byte > 0x7f) return undefined;
  }
  return buffer.toString('latin1', start, end);
}

/**
 * The pidfd in a PIDFD record, or FAN_NOPIDFD or FAN_EPIDFD, or since Linux 6.13 with FAN_REPORT_FD_ERROR a negative
 * errno. Since Linux 5.15.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_NOPIDFD, FAN_OPEN, recordPidfd } from 'fanotify/abi';
 * const record = { type: 'PIDFD', pidfd: -1 };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: 7, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordPidfd(cursor, cursor.pidfd) === FAN_NOPIDFD); // true
 */
export function recordPidfd({ view }: EventBytes, at: number): number {
  return view.getInt32(at + PIDFD_RECORD.pidfd, LE);
}

/**
 * The errno in an ERROR record: of the first error since the last event. Since Linux 5.16.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_FS_ERROR, recordError } from 'fanotify/abi';
 * const record = { type: 'ERROR', error: 117, errorCount: 3 };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_FS_ERROR, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordError(cursor, cursor.error)); // 117
 */
export function recordError({ view }: EventBytes, at: number): number {
  return view.getInt32(at + ERROR_RECORD.error, LE);
}

/**
 * How many errors an ERROR record stands for. Since Linux 5.16.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_FS_ERROR, recordErrorCount } from 'fanotify/abi';
 * const record = { type: 'ERROR', error: 117, errorCount: 3 };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_FS_ERROR, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordErrorCount(cursor, cursor.error)); // 3
 */
export function recordErrorCount({ view }: EventBytes, at: number): number {
  return view.getUint32(at + ERROR_RECORD.errorCount, LE);
}

/**
 * Where the access in a RANGE record starts, in bytes. Since Linux 6.14.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_PRE_ACCESS, recordRangeOffset } from 'fanotify/abi';
 * const record = { type: 'RANGE', offset: 8192n, count: 4096n };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_PRE_ACCESS, fd: 7, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordRangeOffset(cursor, cursor.range)); // 8192n
 */
export function recordRangeOffset({ view }: EventBytes, at: number): bigint {
  return view.getBigUint64(at + RANGE_RECORD.offset, LE);
}

/**
 * How many bytes the access in a RANGE record is for. Since Linux 6.14.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_PRE_ACCESS, recordRangeCount } from 'fanotify/abi';
 * const record = { type: 'RANGE', offset: 8192n, count: 4096n };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_PRE_ACCESS, fd: 7, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordRangeCount(cursor, cursor.range)); // 4096n
 */
export function recordRangeCount({ view }: EventBytes, at: number): bigint {
  return view.getBigUint64(at + RANGE_RECORD.count, LE);
}

/**
 * The unique mount id in a MNT record, as statmount(2) takes it. Since Linux 6.15.
 *
 * @example
 * import { EventCursor, encodeEvent, FAN_MNT_ATTACH, recordMountId } from 'fanotify/abi';
 * const record = { type: 'MNT', mountId: 0x8000_0001n };
 * const cursor = new EventCursor(encodeEvent({ mask: FAN_MNT_ATTACH, fd: -1, pid: 42, records: [record] }));
 * cursor.next();
 * console.log(recordMountId(cursor, cursor.mnt)); // 2147483649n
 */
export function recordMountId({ view }: EventBytes, at: number): bigint {
  return view.getBigUint64(at + MNT_RECORD.mntId, LE);
}

function handleEnd(view: DataView, at: number): number {
  return at + FID_RECORD.opaque + view.getUint32(at + FID_RECORD.handleBytes, LE);
}

function isNamed(type: number): boolean {
  return (
    type === FAN_EVENT_INFO_TYPE_DFID_NAME ||
    type === FAN_EVENT_INFO_TYPE_OLD_DFID_NAME ||
    type === FAN_EVENT_INFO_TYPE_NEW_DFID_NAME
  );
}
