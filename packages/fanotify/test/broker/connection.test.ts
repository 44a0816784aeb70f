// A connection that is told something which its socket does not take, or that takes more than is its user's.

import { describe, expect, onTestFinished, test } from 'vitest';
import { Connection, type ConnectionParts } from '../../src/broker/connection.ts';
import { Holdings } from '../../src/core/holdings.ts';
import { PROTOCOL_VERSION, RequestWriter } from '../../src/core/process/wire.ts';
import { ERRNO, KernelError } from '../../src/kernel/index.ts';
import { rightsOf } from './house.ts';

const FD = 12_345;
const POLLIN = 1;
const POLLOUT = 4;

/** A connection to whose socket sending fails so. */
function failing(errno: number) {
  const ended: string[] = [];
  const parts = {
    kernel: {
      sendMessage: () => {
        throw new KernelError('sendmsg', errno);
      },
    },
    visits: { letGo: (_: unknown, fd: number) => void ended.push(`let go of ${fd}`) },
    holdings: new Holdings(),
    mostDescriptors: 0,
    changed: () => undefined,
    ended: (why: string) => void ended.push(why),
  } as unknown as ConnectionParts;
  const connection = new Connection(parts, 1, FD, rightsOf([]), 0);
  onTestFinished(() => connection.end(''));
  return { connection, ended };
}

describe('a connection', () => {
  test.each(['EAGAIN', 'ENOBUFS', 'ENOMEM', 'ETOOMANYREFS'] as const)('waits for room after %s', (code) => {
    const { connection, ended } = failing(ERRNO[code]);
    connection.answer(1, 0, 'said');
    connection.prepare(0);
    expect([connection.events, connection.isWritable, ended]).toEqual([POLLOUT, false, []]);
    connection.hear(POLLOUT, 0);
    expect(ended).toEqual([]);
  });

  test('has room for as many descriptors as all those of its user leave it', () => {
    const holdings = new Holdings();
    const of = (received: () => boolean) => {
      const kernel = { sendMessage: () => 1, unsentBytes: () => (received() ? 0 : 1) };
      const visits = { letGo: () => undefined };
      const nothing = () => undefined;
      const parts = { kernel, visits, holdings, mostDescriptors: 120, changed: nothing, ended: nothing };
      return new Connection(parts as unknown as ConnectionParts, 1, FD, rightsOf([], { descriptors: 100 }), 0);
    };
    let hasReceived = false;
    const [first, second] = [of(() => hasReceived), of(() => false)];
    expect([first.roomForDescriptors(0), second.roomForDescriptors(0)]).toEqual([100, 100]);
    first.send(Buffer.of(1), Array(100).fill(FD));
    expect([first.roomForDescriptors(0), second.roomForDescriptors(0)]).toEqual([0, 20]);
    second.send(Buffer.of(1), Array(20).fill(FD));
    expect(second.roomForDescriptors(0)).toBe(0);
    // It looks again by itself.
    expect(second.prepare(0)).toBeLessThan(10);
    hasReceived = true;
    expect([first.roomForDescriptors(0), second.roomForDescriptors(0)]).toEqual([100, 80]);
    second.end('');
    expect(holdings.undelivered).toBe(0);
  });

  test('counts what is refused later among what is refused', () => {
    const bind = new RequestWriter().bind({ mask: 0n, priority: 0, eventFlags: 0, flags: 0 }, PROTOCOL_VERSION);
    const unread = [bind];
    const kernel = {
      peekMessage: () => ({ bytes: bind.length, hasDescriptors: false }),
      receiveBytes: (_: number, buffer: Uint8Array) => {
        const request = unread.shift();
        if (!request) throw new KernelError('recv', ERRNO.EAGAIN);
        buffer.set(request);
        return request.length;
      },
      sendMessage: () => 1,
    };
    const nothing = () => undefined;
    const broker = { bind: () => ({ status: () => ({}), close: nothing }) };
    const rest = { visits: { letGo: nothing }, holdings: new Holdings(), mostDescriptors: 0, changed: nothing };
    const parts = { kernel, broker, ended: nothing, ...rest };
    const connection = new Connection(parts as unknown as ConnectionParts, 1, FD, rightsOf([]), 0);
    connection.hear(POLLIN, 0);
    expect(connection.status()?.refused).toBe(0);
    connection.answer(2, ERRNO.EACCES, 'not now');
    connection.answer(3, 0, 'well');
    expect(connection.status()?.refused).toBe(1);
  });

  test('ends when what there is to say can never be said', () => {
    const { connection, ended } = failing(ERRNO.EMSGSIZE);
    connection.answer(1, 0, 'said');
    expect(connection.isWritable).toBe(false);
    expect(ended).toEqual([]);
    // At once, and not while somebody sends.
    expect(connection.prepare(0)).toBe(0);
    connection.hear(0, 0);
    expect(ended).toEqual([expect.stringContaining('EMSGSIZE'), `let go of ${FD}`]);
    expect(connection.isEnded).toBe(true);
  });
});
