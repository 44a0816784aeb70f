// What owner and core say to each other: it comes out as it went in, and what is none of it is refused.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbiError, EventCursor, FAN_NOFD } from '../../src/abi/index.ts';
import { Carried } from '../../src/core/carried.ts';
import { answerOf, EventWriter, readAnswer, readEvents } from '../../src/core/process/event-wire.ts';
import { ServedGroup } from '../../src/core/process/served-group.ts';
import {
  MOST_ANSWER_BYTES,
  MOST_EVENTS,
  MOST_MESSAGE_BYTES,
  REQUEST,
  REQUEST_BYTES,
  RequestReader,
  RequestWriter,
} from '../../src/core/process/wire.ts';
import type { MarkScope } from '../../src/core/types.ts';
import { fsidNumber } from '../../src/identity/handle-at.ts';
import { ERRNO, type Kernel } from '../../src/kernel/index.ts';
import { codeOf, OWNER, Scene } from './fake-feed.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe('a request', () => {
  const writer = new RequestWriter();
  const sent = (request: Buffer) => new RequestReader(Buffer.from(request));

  test('to open a group', () => {
    const settings = fc.record({ mask: u64, priority: u32, eventFlags: u32, flags: u32 });
    fc.assert(
      fc.property(settings, (given) => {
        expect(sent(writer.bind(given)).settings).toEqual(given);
      }),
    );
  });

  test('to mark, and to take marks back', () => {
    const change = fc.record({
      scope: fc.constantFrom<MarkScope>('inode', 'filesystem', 'subtree'),
      mask: u64,
      ignored: u64,
      survivesModify: fc.boolean(),
    });
    fc.assert(
      fc.property(change, fc.constantFrom(REQUEST.addMark, REQUEST.removeMark), (given, type) => {
        const request = sent(writer.mark(type, given));
        expect([request.type, request.number, request.mark]).toEqual([type, writer.number, given]);
      }),
    );
  });

  test('to respond, to narrow a mask, and to wait no longer than so', () => {
    fc.assert(
      fc.property(u64, u32, i32, i32, (cookie, number, high, low) => {
        expect(sent(writer.respond(cookie, number)).response).toEqual({ cookie, response: number });
        expect(sent(writer.ignoreType(number)).filesystemType).toBe(number);
        const fsid = sent(writer.ignoreFsid([high, low])).fsid;
        expect(fsid).toBe(fsidNumber([high, low]));
        expect([BigInt.asIntN(32, fsid >> 32n), BigInt.asIntN(32, fsid)].map(Number)).toEqual([high, low]);
        for (const onTimeout of ['allow', 'deny'] as const) {
          expect(sent(writer.setTimeout(number, onTimeout)).timeout).toEqual({ deadlineMs: number, onTimeout });
        }
      }),
    );
  });

  test('has nothing in it of the one before', () => {
    writer.bind({ mask: (1n << 64n) - 1n, priority: 1, eventFlags: 1, flags: 1 });
    const { length } = writer.plain(REQUEST.clearMarks);
    expect(length).toBe(REQUEST_BYTES);
    expect(writer.bytes.subarray(8).every((byte) => byte === 0)).toBe(true);
  });

  test('of another length is none', () => {
    for (const length of [0, 1, REQUEST_BYTES - 1, REQUEST_BYTES + 1]) {
      expect(codeOf(() => new RequestReader(Buffer.alloc(length)))).toBe('EINVAL');
    }
  });
});

describe('an answer', () => {
  test('says what it was asked for', () => {
    fc.assert(
      fc.property(u32, u32, fc.string(), (number, errno, text) => {
        const answer = answerOf(number, errno, text);
        expect(readAnswer(answer, number)).toEqual({ errno, text: Buffer.from(text).toString() });
        expect(readAnswer(answer, (number + 1) >>> 0)).toBeUndefined();
      }),
    );
  });

  test('fits, however much there is to say', () => {
    expect(answerOf(1, 22, 'x'.repeat(10_000))).toHaveLength(MOST_ANSWER_BYTES);
    for (let length = 0; length < 8; length++) expect(readAnswer(Buffer.alloc(length), 0)).toBeUndefined();
  });
});

describe('events', () => {
  const event = fc.record({
    bits: fc.integer({ min: 1, max: 0x7fff_ffff }),
    pid: fc.nat(2 ** 31 - 1),
    hasFd: fc.boolean(),
    ask: fc.option(u32, { nil: undefined }),
    range: fc.option(
      fc.record({
        offset: fc.nat(Number.MAX_SAFE_INTEGER),
        bytes: fc.nat(Number.MAX_SAFE_INTEGER),
      }),
    ),
  });

  test('come out as they went in, each with its descriptor', () => {
    const writer = new EventWriter();
    fc.assert(
      fc.property(fc.array(event, { maxLength: MOST_EVENTS }), (events) => {
        const waiting = events.map(({ bits, pid, hasFd, ask, range }, at) => {
          const carried = hasFd ? new Carried(1_000 + at, () => undefined) : undefined;
          return { bits, pid, carried, ask, range };
        });
        const bytes = Buffer.from(writer.write(waiting, (ask) => (5n << 32n) + BigInt(ask)));
        expect(bytes.length).toBeLessThanOrEqual(MOST_MESSAGE_BYTES);
        const read = readEvents(new EventCursor(bytes), writer.descriptors);
        expect(read).toEqual(
          events.map(({ bits, pid, hasFd, ask, range }, at) => ({
            mask: BigInt(bits),
            fd: hasFd ? 1_000 + at : FAN_NOFD,
            pid,
            cookie: ask === undefined ? 0n : (5n << 32n) + BigInt(ask),
            range: range ? { offset: BigInt(range.offset), count: BigInt(range.bytes) } : undefined,
          })),
        );
        // Descriptors that there was no number left for.
        const few = readEvents(new EventCursor(bytes), writer.descriptors.slice(0, 1));
        expect(few.filter(({ fd }) => fd !== FAN_NOFD).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 200 },
    );
  });

  test('of arbitrary bytes are read or refused', () => {
    const damaged = fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.boolean()).map(([bytes, looksRight]) => {
      if (looksRight && bytes.length > 5) bytes[4] = 3;
      return Buffer.from(bytes);
    });
    fc.assert(
      fc.property(damaged, (bytes) => {
        try {
          readEvents(new EventCursor(bytes), []);
        } catch (error) {
          expect(error).toBeInstanceOf(AbiError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the core', () => {
  /** A group's sockets: messages go in, answers come out. */
  function serve() {
    const scene = new Scene();
    const inbox: Buffer[] = [];
    const answers: Buffer[] = [];
    const closed: number[] = [];
    const kernel = {
      receiveMessage(_fd: number, buffer: Buffer) {
        const message = inbox.shift();
        return { bytes: message?.copy(buffer) ?? 0, descriptors: message ? [77] : [] };
      },
      sendMessage: (_fd: number, message: Uint8Array) => answers.push(Buffer.from(message)),
      close: (fd: number) => closed.push(fd),
    } as unknown as Kernel;
    scene.thing({ ino: 77 });
    const group = new ServedGroup(kernel, scene.core, 3, 4, OWNER);
    const buffer = Buffer.alloc(4096);
    return {
      scene,
      group,
      closed,
      ask(message: Uint8Array): number {
        inbox.push(Buffer.from(message));
        group.listen(buffer);
        expect(inbox).toEqual([]);
        return answers.pop()?.readUInt32LE(4) ?? -1;
      },
    };
  }

  test('answers whatever it is asked, and goes on', () => {
    const writer = new RequestWriter();
    const request = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.uint8Array({ minLength: REQUEST_BYTES, maxLength: REQUEST_BYTES }),
      fc
        .tuple(fc.nat(10), fc.uint8Array({ minLength: REQUEST_BYTES, maxLength: REQUEST_BYTES }))
        .map(([type, bytes]) => {
          new DataView(bytes.buffer).setUint32(0, type, true);
          return bytes;
        }),
    );
    fc.assert(
      fc.property(fc.array(request, { maxLength: 10 }), fc.boolean(), (requests, isBound) => {
        const core = serve();
        const bind = writer.bind({ mask: 0n, priority: 1, eventFlags: 0, flags: 0 });
        if (isBound) expect(core.ask(bind)).toBe(0);
        for (const message of requests) {
          const errno = core.ask(message);
          expect(errno).toBeGreaterThanOrEqual(0);
          if (message.length !== REQUEST_BYTES) expect(errno).toBe(ERRNO.EINVAL);
        }
        if (isBound) expect(core.ask(writer.plain(REQUEST.statistics))).toBe(0);
        // Every descriptor that came in is closed.
        expect(core.closed.length).toBe(requests.length + (isBound ? 2 : 0));
      }),
      { numRuns: 500 },
    );
  });

  test('refuses what comes out of turn, what there is not, and a mark of nothing', () => {
    const [core, writer] = [serve(), new RequestWriter()];
    expect(core.ask(writer.plain(REQUEST.clearMarks))).toBe(ERRNO.EDESTADDRREQ);
    const settings = { mask: 0n, priority: 1, eventFlags: 0, flags: 0 };
    expect(core.ask(writer.bind({ ...settings, mask: 1n << 40n }))).toBe(ERRNO.EINVAL);
    expect(core.ask(writer.bind(settings))).toBe(0);
    expect(core.ask(writer.bind(settings))).toBe(ERRNO.EINVAL);
    const change = { scope: 'inode', mask: 0x20n, ignored: 0n, survivesModify: false } as const;
    expect(core.ask(writer.mark(REQUEST.addMark, change))).toBe(0);
    const wrong = Buffer.from(writer.mark(REQUEST.addMark, change));
    wrong.writeUInt32LE(9, 24);
    expect(core.ask(wrong)).toBe(ERRNO.EINVAL);
    wrong.writeUInt32LE(99, 0);
    expect(core.ask(wrong)).toBe(ERRNO.EOPNOTSUPP);
    expect(core.group.group?.statistics.marks).toBe(1);
    core.group.close();
    expect(core.scene.core.groups).toEqual([]);
  });
});
