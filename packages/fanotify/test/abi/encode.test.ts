// encodeResponse against the bytes that write(2) takes; encodeEvent where it must refuse.

import { describe, expect, it } from 'vitest';
import {
  type EncodableEvent,
  encodeEvent,
  encodeResponse,
  FAN_ALLOW,
  FAN_DENY,
  FAN_NOFD,
  FAN_OPEN,
  HOST_IS_LITTLE_ENDIAN,
} from '../../src/abi/index.ts';

describe.skipIf(!HOST_IS_LITTLE_ENDIAN)('encodeResponse', () => {
  it.each([
    ['allow', encodeResponse(7, FAN_ALLOW), '0700000001000000'],
    ['deny', encodeResponse(0x1234, FAN_DENY), '3412000002000000'],
    ['deny, and audit it', encodeResponse(7, FAN_DENY, { audit: true }), '0700000012000000'],
    ['deny with EBUSY', encodeResponse(7, FAN_DENY, { errno: 16 }), '0700000002000010'],
    ['deny with the largest errno', encodeResponse(7, FAN_DENY, { errno: 255 }), '07000000020000ff'],
    [
      'deny by a rule',
      encodeResponse(7, FAN_DENY, { audit: true, auditRule: { ruleNumber: 3, subjectTrust: 0, objectTrust: 2 } }),
      '0700000032000000' + '01001000030000000000000002000000',
    ],
    [
      'no event: whether the kernel takes rules',
      encodeResponse(FAN_NOFD, FAN_ALLOW, { auditRule: { ruleNumber: 0, subjectTrust: 2, objectTrust: 2 } }),
      'ffffffff21000000' + '01001000000000000200000002000000',
    ],
  ])('%s', (_what, bytes, hex) => {
    expect(bytes.toString('hex')).toBe(hex);
  });
});

it.each([
  ['a negative errno', () => encodeResponse(7, FAN_DENY, { errno: -1 })],
  ['an errno of nine bits', () => encodeResponse(7, FAN_DENY, { errno: 256 })],
  ['no descriptor at all', () => encodeResponse(Number.NaN, FAN_DENY)],
  ['a pid of 33 bits', () => encodeEvent(event({ pid: 2 ** 31 }))],
  ['a mask of 65 bits', () => encodeEvent(event({ mask: 2n ** 64n }))],
  ['a negative mask', () => encodeEvent(event({ mask: -1n }))],
  ['metadata over 65,535 bytes', () => encodeEvent(event({ extension: Buffer.alloc(65_535) }))],
  [
    'a record over 65,535 bytes',
    () => encodeEvent(event({ records: [{ type: 'UNKNOWN', infoType: 99, bytes: Buffer.alloc(65_535) }] })),
  ],
  [
    'a known record as an unknown one',
    () => encodeEvent(event({ records: [{ type: 'UNKNOWN', infoType: 4, bytes: Buffer.alloc(4) }] })),
  ],
  [
    'a NUL in a name',
    () =>
      encodeEvent(
        event({
          records: [
            { type: 'DFID_NAME', fsid: [0, 0], handle: { type: 1, bytes: Buffer.alloc(8) }, name: Buffer.from('a\0b') },
          ],
        }),
      ),
  ],
])('refuses %s', (_what, encode) => {
  expect(encode).toThrow(expect.objectContaining({ name: 'AbiError', code: 'VALUE_RANGE' }));
});

function event(parts: Partial<EncodableEvent>): EncodableEvent {
  return { mask: FAN_OPEN, fd: 3, pid: 1, records: [], ...parts };
}
