// decodeEvents: real bytes of a kernel, each kind of record, and each way to be malformed.

import { describe, expect, it } from 'vitest';
import {
  AbiError,
  type AbiErrorCode,
  decodeEvents,
  EventCursor,
  encodeEvent,
  FAN_MNT_ATTACH,
  FAN_MNT_DETACH,
  FAN_NOFD,
  FAN_OPEN,
  FAN_PRE_ACCESS,
  HOST_IS_LITTLE_ENDIAN,
  type InfoRecord,
  maskNames,
} from '../../src/abi/index.ts';
import { WITH_DESCRIPTOR, WITH_HANDLES, WITH_MOUNTS, WITH_RANGE } from './kernel-bytes.ts';

describe.skipIf(!HOST_IS_LITTLE_ENDIAN)('what a kernel wrote', () => {
  it('reads handles, names that are no UTF-8, and pidfds', () => {
    const seen = decodeEvents(WITH_HANDLES).map(({ mask, fd, pid, records }) => {
      expect([fd, pid]).toEqual([FAN_NOFD, 0x1d49]);
      return [maskNames(mask).join(' '), ...records.map(brief)];
    });
    expect(seen).toEqual([
      ['FAN_CREATE FAN_ONDIR', 'DFID_NAME d', 'FID', 'PIDFD 4'],
      ['FAN_MODIFY FAN_CLOSE_WRITE FAN_CREATE', 'DFID_NAME a', 'FID', 'PIDFD 5'],
      ['FAN_RENAME', 'OLD_DFID_NAME a', 'NEW_DFID_NAME b\xff', 'FID', 'PIDFD 6'],
      ['FAN_ATTRIB FAN_DELETE_SELF FAN_MOVE_SELF', 'FID', 'PIDFD 7'],
      ['FAN_ATTRIB FAN_ONDIR', 'DFID_NAME .', 'PIDFD 8'],
      ['FAN_DELETE', 'DFID_NAME b\xff', 'FID', 'PIDFD 9'],
    ]);
  });

  it('reads the same handle for the same object', () => {
    const [mkdir, create] = decodeEvents(WITH_HANDLES);
    const made = mkdir?.records[1];
    const parent = create?.records[0];
    const handle = { type: 1, bytes: Buffer.from('eb39de740200000000000000', 'hex') };
    expect(made).toMatchObject({ type: 'FID', handle, fsid: [0x560c_eea0, -0x177b_9112] });
    expect(parent).toMatchObject({ type: 'DFID_NAME', handle, fsid: [0x560c_eea0, -0x177b_9112] });
  });

  it('reads mount ids and descriptors', () => {
    expect(decodeEvents(WITH_MOUNTS)).toMatchObject([
      { mask: FAN_MNT_ATTACH, fd: FAN_NOFD, records: [{ type: 'MNT', mountId: 0x8000_0042n }] },
      { mask: FAN_MNT_DETACH, fd: FAN_NOFD, records: [{ type: 'MNT', mountId: 0x8000_0042n }] },
    ]);
    expect(decodeEvents(WITH_DESCRIPTOR)).toMatchObject([{ version: 3, mask: FAN_OPEN, fd: 14, records: [] }]);
  });

  it('reads the range that is about to be accessed', () => {
    expect(decodeEvents(WITH_RANGE)).toMatchObject([
      {
        mask: FAN_PRE_ACCESS,
        fd: 21,
        records: [
          { type: 'PIDFD', pidfd: 22 },
          { type: 'RANGE', offset: 0n, count: 4096n },
        ],
      },
    ]);
  });

  it('writes what it read back to the same bytes', () => {
    for (const bytes of [WITH_HANDLES, WITH_MOUNTS, WITH_RANGE, WITH_DESCRIPTOR]) {
      expect(Buffer.concat(decodeEvents(bytes).map(encodeEvent))).toEqual(bytes);
    }
  });
});

describe('what is not known', () => {
  it('keeps bits without a name', () => {
    const bytes = encodeEvent({ mask: 0x8000_0000_2000_0020n, fd: FAN_NOFD, pid: 1, records: [] });
    expect(decodeEvents(bytes)[0]?.mask).toBe(0x8000_0000_2000_0020n);
  });

  it('keeps records of other types, with their bytes', () => {
    const record: InfoRecord = { type: 'UNKNOWN', infoType: 99, bytes: Buffer.from('what?') };
    const bytes = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: [record] });
    expect(decodeEvents(bytes)[0]?.records).toEqual([record]);
  });

  it('steps over an extension of the metadata, and keeps its bytes', () => {
    const extension = Buffer.from('0123456');
    const records: InfoRecord[] = [{ type: 'PIDFD', pidfd: 5 }];
    const bytes = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, extension, records });
    expect(decodeEvents(bytes)).toMatchObject([{ extension, records }]);
  });

  it('reads the start of a record that has grown', () => {
    const bytes = Buffer.concat([event(24 + 12), record(4, 12, [7, 0, 0, 0, 9, 9, 9, 9])]);
    expect(decodeEvents(bytes)[0]?.records).toEqual([
      { type: 'PIDFD', pidfd: HOST_IS_LITTLE_ENDIAN ? 7 : 0x0700_0000 },
    ]);
  });
});

it('reads at any alignment, from within a larger buffer', () => {
  const bytes = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, records: [{ type: 'RANGE', offset: 1n, count: 2n }] });
  for (let shift = 0; shift < 8; shift++) {
    const larger = Buffer.alloc(bytes.length + 16, 0xff);
    larger.set(bytes, shift);
    expect(decodeEvents(larger.subarray(shift, shift + bytes.length))[0]?.records).toEqual([
      { type: 'RANGE', offset: 1n, count: 2n },
    ]);
  }
});

it('gives values that own their bytes', () => {
  const extension = Buffer.from('extension');
  const records: InfoRecord[] = [
    { type: 'DFID_NAME', fsid: [1, 2], handle: { type: 1, bytes: Buffer.from('handle') }, name: Buffer.from('name') },
    { type: 'UNKNOWN', infoType: 99, bytes: Buffer.from('bytes') },
  ];
  const bytes = encodeEvent({ mask: FAN_OPEN, fd: 3, pid: 1, extension, records });
  const [decoded] = decodeEvents(bytes);
  bytes.fill(0xff);
  expect(decoded).toMatchObject({ extension, records });
});

describe('malformed bytes are refused, by cursor and decoder alike', () => {
  const whole = event(24);
  const cases: [what: string, bytes: Buffer, code: AbiErrorCode, offset: number][] = [
    ['less than an event', Buffer.alloc(23), 'EVENT_TRUNCATED', 0],
    ['a tail after an event', Buffer.concat([whole, Buffer.alloc(3)]), 'EVENT_TRUNCATED', 24],
    ['an event longer than the buffer', event(25), 'EVENT_TRUNCATED', 0],
    ['an event shorter than its metadata', event(23), 'EVENT_LENGTH', 0],
    ['an event of no length', event(0), 'EVENT_LENGTH', 0],
    ['short metadata', event(24, { metadataLen: 23 }), 'EVENT_LENGTH', 0],
    ['metadata beyond the event', event(24, { metadataLen: 25 }), 'EVENT_LENGTH', 0],
    ['another version', Buffer.concat([whole, event(24, { vers: 4 })]), 'VERSION_UNSUPPORTED', 24],
    ['half a record header', Buffer.concat([event(26), Buffer.alloc(2)]), 'RECORD_TRUNCATED', 24],
    ['a record of no length', Buffer.concat([event(28), record(4, 0)]), 'RECORD_LENGTH', 24],
    ['an unknown record of less than its header', Buffer.concat([event(28), record(99, 3)]), 'RECORD_LENGTH', 24],
    ['a record beyond the event', Buffer.concat([event(28), record(99, 8), whole]), 'RECORD_TRUNCATED', 24],
    ['a short PIDFD', Buffer.concat([event(28), record(4, 4)]), 'RECORD_LENGTH', 24],
    ['a short ERROR', Buffer.concat([event(32), record(5, 8, Array(4).fill(0))]), 'RECORD_LENGTH', 24],
    ['a short RANGE', Buffer.concat([event(44), record(6, 20, Array(16).fill(0))]), 'RECORD_LENGTH', 24],
    ['a short MNT', Buffer.concat([event(36), record(7, 12, Array(8).fill(0))]), 'RECORD_LENGTH', 24],
    ['a short FID', Buffer.concat([event(40), record(1, 16, Array(12).fill(0))]), 'RECORD_LENGTH', 24],
    ['a handle beyond its record', Buffer.concat([event(44), fid(1, 20, 1)]), 'HANDLE_LENGTH', 24],
    ['a handle of 4 GiB', Buffer.concat([event(44), fid(3, 20, 0xffff_ffff)]), 'HANDLE_LENGTH', 24],
    ['a name of no bytes', Buffer.concat([event(44), fid(2, 20, 0)]), 'NAME_UNTERMINATED', 24],
    ['a name without NUL', Buffer.concat([event(48), fid(10, 24, 0, [1, 2, 3, 4])]), 'NAME_UNTERMINATED', 24],
    ['a new name without NUL', Buffer.concat([event(48), fid(12, 24, 0, [1, 2, 3, 4])]), 'NAME_UNTERMINATED', 24],
  ];
  it.each(cases)('%s', (_what, bytes, code, offset) => {
    for (const read of [() => decodeEvents(bytes), () => walk(bytes)]) {
      expect(read).toThrow(AbiError);
      expect(read).toThrow(expect.objectContaining({ code, offset }));
    }
  });

  it('a NUL before the end of a name ends it, whatever follows', () => {
    const bytes = Buffer.concat([event(48), fid(2, 24, 0, [0x61, 0, 0x62, 0x63])]);
    expect(decodeEvents(bytes)[0]?.records[0]).toMatchObject({ name: Buffer.from('a') });
  });
});

function walk(bytes: Buffer): void {
  const cursor = new EventCursor(bytes);
  while (cursor.next());
}

function brief(record: InfoRecord): string {
  if (record.type === 'PIDFD') return `PIDFD ${record.pidfd}`;
  return 'name' in record ? `${record.type} ${record.name.toString('latin1')}` : record.type;
}

function event(eventLen: number, { metadataLen = 24, vers = 3 } = {}): Buffer {
  const bytes = Buffer.alloc(24);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, eventLen, HOST_IS_LITTLE_ENDIAN);
  view.setUint8(4, vers);
  view.setUint16(6, metadataLen, HOST_IS_LITTLE_ENDIAN);
  return bytes;
}

function record(infoType: number, len: number, rest: number[] = []): Buffer {
  const bytes = Buffer.from([infoType, 0, 0, 0, ...rest]);
  new DataView(bytes.buffer, bytes.byteOffset).setUint16(2, len, HOST_IS_LITTLE_ENDIAN);
  return bytes;
}

function fid(infoType: number, len: number, handleBytes: number, rest: number[] = []): Buffer {
  const bytes = record(infoType, len, [...Array(16).fill(0), ...rest]);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(12, handleBytes, HOST_IS_LITTLE_ENDIAN);
  return bytes;
}
