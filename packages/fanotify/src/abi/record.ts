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

/** The bytes of events, as an EventCursor holds them. */
export interface EventBytes {
  readonly buffer: Buffer;
  readonly view: DataView;
}

/** The `info_type` of the record at `at`: one of FAN_EVENT_INFO_TYPE_*, or one that this version does not know. */
export function recordType({ view }: EventBytes, at: number): number {
  return view.getUint8(at + RECORD.infoType);
}

/** The file system of a FID, DFID or *_NAME record. */
export function recordFsid({ view }: EventBytes, at: number): Fsid {
  return [view.getInt32(at + FID_RECORD.fsid, LE), view.getInt32(at + FID_RECORD.fsid + 4, LE)];
}

/** The handle in a FID, DFID or *_NAME record. It owns its bytes. */
export function recordHandle({ buffer, view }: EventBytes, at: number): FileHandle {
  return {
    type: view.getInt32(at + FID_RECORD.handleType, LE),
    bytes: Buffer.from(buffer.subarray(at + FID_RECORD.opaque, handleEnd(view, at))),
  };
}

/** The `struct file_handle` in a FID, DFID or *_NAME record: part of the buffer, good until the buffer is read into again. */
export function recordHandleStruct({ buffer, view }: EventBytes, at: number): Buffer {
  return buffer.subarray(at + FID_RECORD.handle, handleEnd(view, at));
}

/** What `handleKey` makes of the file system and handle of a FID, DFID or *_NAME record. */
export function recordKey({ buffer, view }: EventBytes, at: number): string {
  return buffer.toString('latin1', at + FID_RECORD.fsid, handleEnd(view, at));
}

/**
 * The name in a *_NAME record, without its NUL: part of the buffer, good until the buffer is read into again. Empty for
 * a record of a type that has no name.
 */
export function recordName({ buffer, view }: EventBytes, at: number): Buffer {
  const start = handleEnd(view, at);
  let end = start;
  if (isNamed(view.getUint8(at + RECORD.infoType))) while (view.getUint8(end) !== 0) end++;
  return buffer.subarray(start, end);
}

/** The pidfd in a PIDFD record, or FAN_NOPIDFD or FAN_EPIDFD, or since Linux 6.13 with FAN_REPORT_FD_ERROR a negative errno. */
export function recordPidfd({ view }: EventBytes, at: number): number {
  return view.getInt32(at + PIDFD_RECORD.pidfd, LE);
}

/** The errno in an ERROR record: of the first error since the last event. */
export function recordError({ view }: EventBytes, at: number): number {
  return view.getInt32(at + ERROR_RECORD.error, LE);
}

/** How many errors an ERROR record stands for. */
export function recordErrorCount({ view }: EventBytes, at: number): number {
  return view.getUint32(at + ERROR_RECORD.errorCount, LE);
}

/** Where the access in a RANGE record starts, in bytes. */
export function recordRangeOffset({ view }: EventBytes, at: number): bigint {
  return view.getBigUint64(at + RANGE_RECORD.offset, LE);
}

/** How many bytes the access in a RANGE record is for. */
export function recordRangeCount({ view }: EventBytes, at: number): bigint {
  return view.getBigUint64(at + RANGE_RECORD.count, LE);
}

/** The unique mount id in a MNT record, as statmount(2) takes it. */
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
