// Which broker a connection is for, and how it is refused.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeEvents,
  FAN_CLASS_CONTENT,
  FAN_REPORT_DFID_NAME,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FID,
} from '../../src/abi/index.ts';
import { FIRST_REQUEST_BYTES, readFirstRequest, refusalMessage } from '../../src/broker/index.ts';
import { ANSWER_TYPE, PROTOCOL_VERSION, REQUEST, RequestWriter } from '../../src/core/process/wire.ts';
import { ERRNO } from '../../src/kernel/index.ts';

const RUNS = Number(process.env.FANOTIFY_FUZZ_RUNS ?? 1_500);

function bind(flags: number, version = PROTOCOL_VERSION): Buffer {
  return Buffer.from(new RequestWriter().bind({ mask: 0n, priority: 0, eventFlags: 0, flags }, version));
}

test('what reports names or handles is for the one broker, all else for the other', () => {
  const of = (flags: number) => readFirstRequest(bind(flags), FIRST_REQUEST_BYTES);
  expect([FAN_REPORT_DFID_NAME, FAN_REPORT_FID, FAN_REPORT_DIR_FID].map(of)).toEqual(['names', 'names', 'names']);
  expect([0, FAN_CLASS_CONTENT].map(of)).toEqual(['descriptors', 'descriptors']);
});

describe('what is refused', () => {
  test('another version, with the number of the request', () => {
    const refusal = readFirstRequest(bind(0, 7), FIRST_REQUEST_BYTES);
    expect(refusal).toEqual({
      number: 1,
      errno: ERRNO.EPROTONOSUPPORT,
      reason: 'protocol version 7: this daemon speaks 1',
    });
  });

  test('a message that is longer than what was read of it', () => {
    expect(readFirstRequest(bind(0), 5_000)).toMatchObject({ number: 1, errno: ERRNO.EINVAL });
  });

  test('anything that is no bind, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const first = readFirstRequest(bytes.subarray(0, FIRST_REQUEST_BYTES), bytes.length);
        const isBind = bytes.length === FIRST_REQUEST_BYTES && Buffer.from(bytes).readUInt32LE(0) === REQUEST.bind;
        if (!isBind) expect(first).toMatchObject({ errno: ERRNO.EINVAL });
      }),
      { numRuns: RUNS },
    );
  });
});

test('a refusal is an event without bits that has an answer', () => {
  const message = refusalMessage({ number: 9, errno: ERRNO.EMFILE, reason: 'zu viele: ü' });
  const [event, ...others] = decodeEvents(message);
  expect(others).toEqual([]);
  expect([event?.mask, event?.fd]).toEqual([0n, -1]);
  const [record] = event?.records ?? [];
  expect(record).toMatchObject({ type: 'UNKNOWN', infoType: ANSWER_TYPE });
  expect([message.readUInt32LE(28), message.readUInt32LE(32)]).toEqual([9, ERRNO.EMFILE]);
  expect(message.toString('utf8', 36)).toBe('zu viele: ü');
});
