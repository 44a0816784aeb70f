// EventCursor: what it leaves in its fields, and how it is used again.

import { describe, expect, it } from 'vitest';
import {
  AbiError,
  EventCursor,
  encodeEvent,
  FAN_NOFD,
  FAN_OPEN,
  handleKey,
  type InfoRecord,
  recordError,
  recordErrorCount,
  recordFsid,
  recordHandle,
  recordHandleStruct,
  recordKey,
  recordMountId,
  recordName,
  recordPidfd,
  recordRangeCount,
  recordRangeOffset,
  recordType,
} from '../../src/abi/index.ts';

const fsid = [-7, 8] as const;
const handle = { type: 0x81, bytes: Buffer.from('handle') };
const name = Buffer.from('name');

const ALL: InfoRecord[] = [
  { type: 'MNT', mountId: 2n ** 63n },
  { type: 'RANGE', offset: 4096n, count: 2n ** 40n },
  { type: 'ERROR', error: 117, errorCount: 4_000_000_000 },
  { type: 'PIDFD', pidfd: -24 },
  { type: 'NEW_DFID_NAME', fsid, handle, name: Buffer.from('new') },
  { type: 'OLD_DFID_NAME', fsid, handle, name: Buffer.from('old') },
  { type: 'DFID_NAME', fsid, handle, name },
  { type: 'FID', fsid, handle },
  { type: 'UNKNOWN', infoType: 11, bytes: Buffer.from('1') },
  { type: 'UNKNOWN', infoType: 255, bytes: Buffer.alloc(0) },
];

it('finds a record of each type, in any order', () => {
  const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: -13, pid: 42, records: ALL }));
  expect(cursor.next()).toBe(true);
  expect([cursor.fd, cursor.pid, cursor.offset, cursor.unknownRecords]).toEqual([-13, 42, 0, 2]);
  expect(recordMountId(cursor, cursor.mnt)).toBe(2n ** 63n);
  expect(recordRangeOffset(cursor, cursor.range)).toBe(4096n);
  expect(recordRangeCount(cursor, cursor.range)).toBe(2n ** 40n);
  expect(recordError(cursor, cursor.error)).toBe(117);
  expect(recordErrorCount(cursor, cursor.error)).toBe(4_000_000_000);
  expect(recordPidfd(cursor, cursor.pidfd)).toBe(-24);
  expect(recordName(cursor, cursor.newDfid).toString()).toBe('new');
  expect(recordName(cursor, cursor.oldDfid).toString()).toBe('old');
  expect(recordName(cursor, cursor.dfid)).toEqual(name);
  expect(recordType(cursor, cursor.dfid)).toBe(2);
  expect(recordFsid(cursor, cursor.fid)).toEqual(fsid);
  expect(recordHandle(cursor, cursor.fid)).toEqual(handle);
  expect(cursor.next()).toBe(false);
});

it('says 0 for what is absent, also after an event that had it', () => {
  const full = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: ALL });
  const bare = encodeEvent({ mask: FAN_OPEN, fd: 4, pid: 2, records: [] });
  const cursor = new EventCursor(Buffer.concat([full, bare]));
  cursor.next();
  expect(cursor.next()).toBe(true);
  const { fid, dfid, oldDfid, newDfid, pidfd, error, range, mnt, unknownRecords } = cursor;
  expect([fid, dfid, oldDfid, newDfid, pidfd, error, range, mnt, unknownRecords]).toEqual(Array(9).fill(0));
  expect([cursor.offset, cursor.end, cursor.fd]).toEqual([full.length, full.length + bare.length, 4]);
});

it('keeps the first of two records of a type', () => {
  const records: InfoRecord[] = [
    { type: 'DFID', fsid, handle },
    { type: 'DFID_NAME', fsid, handle, name },
    { type: 'PIDFD', pidfd: 5 },
    { type: 'PIDFD', pidfd: 6 },
  ];
  const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: FAN_NOFD, pid: 1, records }));
  cursor.next();
  expect(recordType(cursor, cursor.dfid)).toBe(3);
  expect(recordPidfd(cursor, cursor.pidfd)).toBe(5);
});

it('has no name for a record that has none, even at the end of the buffer', () => {
  const cursor = new EventCursor(
    encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: [{ type: 'DFID', fsid, handle }] }),
  );
  cursor.next();
  expect(recordName(cursor, cursor.dfid)).toHaveLength(0);
});

it('gives the halves of the mask unsigned', () => {
  const cursor = new EventCursor(encodeEvent({ mask: 0x8000_0001_c000_0002n, fd: 3, pid: 1, records: [] }));
  cursor.next();
  expect([cursor.maskHigh, cursor.maskLow]).toEqual([0x8000_0001, 0xc000_0002]);
});

it('makes the key that handleKey makes', () => {
  const cursor = new EventCursor(encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: ALL }));
  cursor.next();
  expect(recordKey(cursor, cursor.dfid)).toBe(handleKey(fsid, handle));
  expect(recordHandleStruct(cursor, cursor.dfid).subarray(8)).toEqual(handle.bytes);
});

describe('reset', () => {
  const one = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: [] });

  it('reads the same buffer again, up to the length that was filled', () => {
    const buffer = Buffer.alloc(4096, 0xff);
    const cursor = new EventCursor(buffer, 0);
    expect(cursor.next()).toBe(false);
    buffer.set(one);
    cursor.reset(buffer, one.length);
    expect([cursor.next(), cursor.pid, cursor.next()]).toEqual([true, 1, false]);
  });

  it('goes on with another buffer', () => {
    const cursor = new EventCursor(one);
    cursor.next();
    const other = encodeEvent({ mask: FAN_OPEN, fd: 9, pid: 2, records: [] });
    cursor.reset(other, other.length);
    expect([cursor.next(), cursor.fd]).toEqual([true, 9]);
  });

  it.each([-1, 25, Number.NaN, 1.5])('refuses a length of %s in a buffer of 24', (length) => {
    expect(() => new EventCursor(one, length)).toThrow(expect.objectContaining({ code: 'BUFFER_LENGTH' }));
  });
});

it('throws the same again where it could not go on', () => {
  const one = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: [] });
  const cursor = new EventCursor(Buffer.concat([one, Buffer.alloc(30)]));
  expect(cursor.next()).toBe(true);
  expect(() => cursor.next()).toThrow(AbiError);
  expect(() => cursor.next()).toThrow(expect.objectContaining({ offset: 24 }));
});
