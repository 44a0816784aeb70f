// Events as property tests make them up: all records, all numbers that their fields can hold, a bias to the small.

import fc from 'fast-check';
import type { EncodableEvent, FileHandle, Fsid, InfoRecord } from '../../src/abi/index.ts';
import { INFO_TYPES } from '../../src/abi/index.ts';

const KNOWN = new Set(INFO_TYPES.map(({ value }) => value));

const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

export const fsids: fc.Arbitrary<Fsid> = fc.tuple(int32, int32);
export const handles: fc.Arbitrary<FileHandle> = fc.record({ type: int32, bytes: bytes(0, 128) });
const names = fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 255 }).map((codes) => Buffer.from(codes));

export const records: fc.Arbitrary<InfoRecord> = fc.oneof(
  fc.record({ type: fc.constantFrom('FID', 'DFID'), fsid: fsids, handle: handles }),
  fc.record({
    type: fc.constantFrom('DFID_NAME', 'OLD_DFID_NAME', 'NEW_DFID_NAME'),
    fsid: fsids,
    handle: handles,
    name: names,
  }),
  fc.record({ type: fc.constant('PIDFD' as const), pidfd: int32 }),
  fc.record({ type: fc.constant('ERROR' as const), error: int32, errorCount: uint32 }),
  fc.record({ type: fc.constant('RANGE' as const), offset: uint64, count: uint64 }),
  fc.record({ type: fc.constant('MNT' as const), mountId: uint64 }),
  fc.record({
    type: fc.constant('UNKNOWN' as const),
    infoType: fc.integer({ min: 0, max: 255 }).filter((type) => !KNOWN.has(type)),
    bytes: bytes(0, 64),
  }),
);

export const events: fc.Arbitrary<Required<EncodableEvent>> = fc.record({
  mask: uint64,
  fd: int32,
  pid: int32,
  extension: bytes(0, 40),
  records: fc.array(records, { maxLength: 6 }),
});

function bytes(minLength: number, maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
}
