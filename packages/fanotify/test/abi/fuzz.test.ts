// Properties of the two readers over made-up events, and a short fuzz run. A longer one:
// FUZZ_ITERATIONS=3000000 npx vitest run packages/fanotify/test/abi/fuzz.test.ts

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AbiError, decodeEvents, EventCursor, encodeEvent } from '../../src/abi/index.ts';
import { events } from './arbitraries.ts';
import { fuzz } from './fuzz.ts';

const iterations = Number(process.env.FUZZ_ITERATIONS ?? 20_000);
const seed = Number(process.env.FUZZ_SEED ?? 1);

it('reads back every event that can be written', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 4 }), (written) => {
      const read = decodeEvents(Buffer.concat(written.map(encodeEvent)));
      expect(read).toEqual(written.map((event) => ({ version: 3, ...event })));
    }),
  );
});

it('walks the same events as it decodes', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 4 }), (written) => {
      const cursor = new EventCursor(Buffer.concat(written.map(encodeEvent)));
      for (const { mask, fd, pid, records } of written) {
        expect(cursor.next()).toBe(true);
        expect((BigInt(cursor.maskHigh) << 32n) | BigInt(cursor.maskLow)).toBe(mask);
        expect([cursor.fd, cursor.pid]).toEqual([fd, pid]);
        expect(cursor.fid !== 0).toBe(records.some(({ type }) => type === 'FID'));
        expect(cursor.unknownRecords).toBe(records.filter(({ type }) => type === 'UNKNOWN').length);
      }
      expect(cursor.next()).toBe(false);
    }),
  );
});

it('refuses every event that is cut short', () => {
  fc.assert(
    fc.property(events, fc.nat(), (event, cut) => {
      const bytes = encodeEvent(event);
      const length = 1 + (cut % (bytes.length - 1));
      expect(() => decodeEvents(bytes.subarray(0, length))).toThrow(AbiError);
    }),
  );
});

it(`neither reads outside, nor disagrees, nor throws anything but AbiError (${iterations} inputs)`, {
  timeout: 20_000 + iterations,
}, () => {
  const counts = fuzz(iterations, seed);
  if (process.env.FUZZ_ITERATIONS !== undefined) console.log(counts);
  // Each kind of refusal was met, so that the run has been everywhere.
  for (const outcome of [
    'taken',
    'EVENT_TRUNCATED',
    'EVENT_LENGTH',
    'VERSION_UNSUPPORTED',
    'RECORD_TRUNCATED',
    'RECORD_LENGTH',
    'HANDLE_LENGTH',
    'NAME_UNTERMINATED',
  ]) {
    expect([outcome, counts[outcome]]).toEqual([outcome, expect.any(Number)]);
  }
});
