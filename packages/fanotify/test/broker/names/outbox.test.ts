// What waits for a group goes out in messages, whatever it is.

import { describe, expect, test } from 'vitest';
import { decodeEvents, FAN_CREATE, FAN_Q_OVERFLOW } from '../../../src/abi/index.ts';
import { type Entry, MOST_RECORDS_BYTES, Outbox } from '../../../src/broker/names/outbox.ts';

const MOST_TURNS = 100;
const PLENTY = 1 << 24;

function outlet() {
  const masks: bigint[] = [];
  let turns = 0;
  return {
    masks,
    get isWritable() {
      if (++turns > MOST_TURNS) throw new Error('it sends for ever');
      return true;
    },
    send: (message: Uint8Array) => {
      for (const { mask } of decodeEvents(Buffer.from(message))) masks.push(mask);
      return true;
    },
  };
}

/** An event with one record of ours, as long as a record may be, and others of no meaning behind it. */
function entryOf(bytes: number, isUndecided = false): Entry {
  let records = '';
  for (let left = bytes; left > 0; ) {
    const length = left > 60_000 ? 30_000 : left;
    const header = Buffer.from([0xc1, 0, 0, 0]);
    new Uint16Array(header.buffer, header.byteOffset + 2, 1)[0] = length;
    records += header.toString('latin1').padEnd(length, '\0');
    left -= length;
  }
  return { mask: Number(FAN_CREATE), pid: 1, records, isUndecided, turn: undefined };
}

describe('an event that fits no message', () => {
  test('is a loss in its place, and what comes behind it is told', () => {
    const to = outlet();
    const outbox = new Outbox(to);
    expect(outbox.push(entryOf(100), PLENTY)).toBe(true);
    expect(outbox.push(entryOf(MOST_RECORDS_BYTES + 1), PLENTY)).toBe(false);
    expect(outbox.push(entryOf(MOST_RECORDS_BYTES), PLENTY)).toBe(true);
    outbox.flush();
    expect(to.masks).toEqual([FAN_CREATE, FAN_Q_OVERFLOW, FAN_CREATE]);
    expect(outbox).toMatchObject({ lost: 1, overflows: 1, delivered: 3, bytes: 0, length: 0 });
  });

  test('is one also when that is known late', () => {
    const to = outlet();
    const outbox = new Outbox(to);
    const late = entryOf(100, true);
    outbox.push(late, PLENTY);
    outbox.push(entryOf(100), PLENTY);
    const { mask, records } = entryOf(MOST_RECORDS_BYTES + 1);
    outbox.change(late, mask, records);
    outbox.flush();
    expect(to.masks).toEqual([FAN_Q_OVERFLOW, FAN_CREATE]);
    expect(outbox).toMatchObject({ lost: 1, overflows: 1, delivered: 2, bytes: 0, length: 0 });
  });
});
