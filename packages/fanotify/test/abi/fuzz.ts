// Feeds the cursor and the decoder what no kernel writes, and fails on the first thing they get wrong. Repeatable by its seed.

import { AbiError, decodeEvents, EventCursor, encodeEvent, type InfoRecord } from '../../src/abi/index.ts';
import {
  recordFsid,
  recordHandle,
  recordKey,
  recordMountId,
  recordName,
  recordPidfd,
  recordRangeCount,
} from '../../src/abi/record.ts';

/** How often the bytes were taken and how often refused, by code. */
export type FuzzCounts = Record<string, number>;

/** Numbers that lengths are wrong by. */
const EDGES = [0, 1, 3, 4, 7, 8, 12, 16, 19, 20, 23, 24, 25, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_fffc, 0xffff_ffff];

/**
 * Runs `iterations` inputs through both readers.
 *
 * @throws Error that names seed, iteration and bytes when a reader throws anything but AbiError, when the two disagree, when a
 * result depends on bytes outside the input, or when an offset leaves its event.
 */
export function fuzz(iterations: number, seed: number): FuzzCounts {
  const random = mulberry32(seed);
  const counts: FuzzCounts = { taken: 0 };
  const cursor = new EventCursor(Buffer.alloc(0));
  for (let i = 0; i < iterations; i++) {
    const input = makeInput(random);
    try {
      const outcome = check(input, cursor);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    } catch (cause) {
      throw new Error(`seed ${seed}, iteration ${i}, bytes ${input.toString('hex')}`, { cause });
    }
  }
  return counts;
}

function check(input: Buffer, cursor: EventCursor): string {
  // A buffer that ends with the input: a read beyond it would be a RangeError.
  const exact = Buffer.from(new Uint8Array(input).buffer);
  // The input within other bytes, two ways: a read beyond it would make a difference.
  const low = surround(input, 0x00);
  const high = surround(input, 0xff);
  const outcome = walk(exact, exact.length, cursor);
  equal(walk(low, input.length, cursor), outcome, 'followed by 0x00');
  equal(walk(high, input.length, cursor), outcome, 'followed by 0xff');

  let decoded: string;
  try {
    const events = decodeEvents(exact);
    decoded = 'taken';
    if (events.length > exact.length / 24) throw new Error('more events than bytes');
    // What was read can be written, and is then read as the same.
    const again = decodeEvents(Buffer.concat(events.map(encodeEvent)));
    equal(JSON.stringify(again, plain), JSON.stringify(events, plain), 'written and read again');
  } catch (error) {
    if (!(error instanceof AbiError)) throw error;
    decoded = error.code;
  }
  equal(decoded, outcome.split(' ', 1)[0] ?? '', 'decoded');
  return decoded;
}

/** Reads all there is, and returns it as text, after 'taken' or the code of the error. */
function walk(buffer: Buffer, length: number, cursor: EventCursor): string {
  let seen = '';
  cursor.reset(buffer, length);
  try {
    while (cursor.next()) {
      const { offset, end, fid, dfid, oldDfid, newDfid, pidfd, error, range, mnt } = cursor;
      if (end > length || end - offset < 24) throw new Error(`an event from ${offset} to ${end}`);
      for (const at of [fid, dfid, oldDfid, newDfid, pidfd, error, range, mnt]) {
        if (at !== 0 && (at < offset + 24 || at >= end)) throw new Error(`a record at ${at}, outside its event`);
      }
      seen += ` ${offset} ${end} ${cursor.maskHigh} ${cursor.maskLow} ${cursor.fd} ${cursor.pid} ${cursor.unknownRecords}`;
      for (const at of [fid, dfid, oldDfid, newDfid]) {
        if (at === 0) continue;
        const bytes = recordHandle(cursor, at).bytes;
        if (at + 20 + bytes.length + recordName(cursor, at).length > end) throw new Error('a handle or name too long');
        seen += ` ${recordFsid(cursor, at)} ${recordKey(cursor, at)} ${recordName(cursor, at).toString('latin1')}`;
      }
      if (pidfd !== 0) seen += ` ${recordPidfd(cursor, pidfd)}`;
      if (range !== 0) seen += ` ${recordRangeCount(cursor, range)}`;
      if (mnt !== 0) seen += ` ${recordMountId(cursor, mnt)}`;
    }
  } catch (error) {
    if (!(error instanceof AbiError)) throw error;
    return `${error.code} ${error.offset}${seen}`;
  }
  return `taken${seen}`;
}

function makeInput(random: () => number): Buffer {
  if (random() < 0.1) return randomBytes(random, below(random, 200));
  const events = Array.from({ length: 1 + below(random, 3) }, () => randomEvent(random));
  let bytes: Buffer = Buffer.concat(events);
  for (let mutations = below(random, 4); mutations > 0 && bytes.length > 0; mutations--) bytes = mutate(random, bytes);
  return bytes;
}

function mutate(random: () => number, bytes: Buffer): Buffer {
  const at = below(random, bytes.length);
  const edge = EDGES[below(random, EDGES.length)] ?? 0;
  switch (below(random, 7)) {
    case 0:
      bytes[at] = below(random, 256);
      return bytes;
    case 1:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
      return bytes;
    case 2:
      if (at + 2 <= bytes.length) bytes.writeUInt16LE(edge & 0xffff, at);
      return bytes;
    case 3:
      if ((at & ~3) + 4 <= bytes.length) bytes.writeUInt32LE(edge, at & ~3);
      return bytes;
    case 4:
      return bytes.subarray(0, at);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), randomBytes(random, below(random, 9)), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + below(random, 9)))]);
  }
}

function randomEvent(random: () => number): Buffer {
  const records = Array.from({ length: below(random, 4) }, () => randomRecord(random));
  const extension = randomBytes(random, random() < 0.1 ? below(random, 9) : 0);
  return encodeEvent({ mask: BigInt(below(random, 2 ** 32)), fd: below(random, 9) - 1, pid: 7, records, extension });
}

function randomRecord(random: () => number): InfoRecord {
  const fsid = [below(random, 9), below(random, 9)] as const;
  const handle = { type: below(random, 256), bytes: randomBytes(random, below(random, 24)) };
  const name = Buffer.from(randomBytes(random, below(random, 12)).map((byte) => byte || 1));
  switch (below(random, 10)) {
    case 0:
      return { type: 'PIDFD', pidfd: below(random, 99) };
    case 1:
      return { type: 'ERROR', error: 5, errorCount: below(random, 99) };
    case 2:
      return { type: 'RANGE', offset: 0n, count: BigInt(below(random, 2 ** 32)) };
    case 3:
      return { type: 'MNT', mountId: BigInt(below(random, 2 ** 32)) };
    case 4:
      return { type: 'UNKNOWN', infoType: 100 + below(random, 9), bytes: randomBytes(random, below(random, 9)) };
    case 5:
      return { type: 'FID', fsid, handle };
    case 6:
      return { type: 'DFID', fsid, handle };
    case 7:
      return { type: 'OLD_DFID_NAME', fsid, handle, name };
    case 8:
      return { type: 'NEW_DFID_NAME', fsid, handle, name };
    default:
      return { type: 'DFID_NAME', fsid, handle, name };
  }
}

function surround(input: Buffer, fill: number): Buffer {
  const larger = Buffer.alloc(input.length + 64, fill);
  larger.set(input);
  return larger;
}

function equal(actual: string, expected: string, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual}, not ${expected}`);
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function randomBytes(random: () => number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = below(random, 256);
  return bytes;
}

function below(random: () => number, limit: number): number {
  return Math.floor(random() * limit);
}

/** A small generator of pseudo-random numbers from 0 to 1. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
