// A connection that is told something which its socket does not take.

import { describe, expect, onTestFinished, test } from 'vitest';
import { Connection, type ConnectionParts } from '../../src/broker/connection.ts';
import { ERRNO, KernelError } from '../../src/kernel/index.ts';
import { rightsOf } from './house.ts';

const FD = 12_345;
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
