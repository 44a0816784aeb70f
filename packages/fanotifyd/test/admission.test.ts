// Who is let in, and what becomes of those who are not: over real sockets, and as users of their own.

import { ERRNO } from 'fanotify/kernel';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canServe, OTHER_USER, Peer, RunningDaemon, USER, until } from './support/daemon.ts';
import { bind, bindNames, request, statistics } from './support/frames.ts';

// One daemon for most: each test is of a user of its own.
const [MALFORMED, SILENT, HASTY, REPEATING] = [30_001, 30_002, 30_003, 30_004];

describe.runIf(canServe)('the daemon', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    daemon = await RunningDaemon.start('', { whenOver: afterAll });
  });

  test('hands clients to the broker that their first request is for', async () => {
    const peer = await Peer.start(daemon.socket, USER);
    peer.connect([bind({ number: 7 })]);
    peer.connect([bindNames({ number: 9 })]);
    peer.connect([bind({ number: 11, priority: 5 })]);
    const heard = await peer.hears(3);
    expect(heard.map(({ answer }) => [answer?.number, answer?.errno]).sort()).toEqual([
      [11, 0],
      [7, 0],
      [9, 0],
    ]);
    const { groups, users, brokers } = await daemon.status();
    expect(groups.map(({ kind, uid, pid, priority }) => ({ kind, uid, pid, priority }))).toEqual([
      { kind: 'descriptors', uid: USER, pid: peer.pid, priority: 5 },
      { kind: 'descriptors', uid: USER, pid: peer.pid, priority: 0 },
      { kind: 'names', uid: USER, pid: peer.pid, priority: 0 },
    ]);
    expect(users).toEqual([{ uid: USER, groups: 3 }]);
    expect(brokers.map(({ clients }) => clients)).toEqual([2, 1]);
    peer.child.kill('SIGKILL');
    await until(async () => ((await daemon.status()).users.length === 0 ? true : undefined), 'its groups to go');
  });

  test('answers a first request that is none, and serves others on', async () => {
    const peer = await Peer.start(daemon.socket, MALFORMED);
    const bad: [Uint8Array, number, string][] = [
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), ERRNO.EINVAL, 'a first request of 18 bytes: it has 40'],
      [Buffer.from('x'), ERRNO.EINVAL, 'a first request of 1 bytes: it has 40'],
      [bind().subarray(0, 39), ERRNO.EINVAL, 'a first request of 39 bytes: it has 40'],
      [Buffer.concat([bind(), Buffer.alloc(1)]), ERRNO.EINVAL, 'a first request of 41 bytes: it has 40'],
      [Buffer.alloc(60_000, 1), ERRNO.EINVAL, 'a first request of 60000 bytes: it has 40'],
      [request(0, 3), ERRNO.EINVAL, 'a first request of type 0: it is bind'],
      [request(0xffff_ffff, 3), ERRNO.EINVAL, 'a first request of type 4294967295: it is bind'],
      [statistics(3), ERRNO.EINVAL, 'a first request of type 9: it is bind'],
      [bind({ version: 0 }), ERRNO.EPROTONOSUPPORT, 'protocol version 0: this daemon speaks 1'],
      [bind({ version: 2 }), ERRNO.EPROTONOSUPPORT, 'protocol version 2: this daemon speaks 1'],
    ];
    for (const [index, [frame, errno, text]] of bad.entries()) {
      peer.connect([frame]);
      expect((await peer.hears(index + 1)).at(-1)?.answer).toMatchObject({ errno, text });
    }
    peer.connect([bind()]);
    expect((await peer.hears(bad.length + 1)).at(-1)?.answer?.errno).toBe(0);
    const { connections } = await daemon.status();
    expect(connections.refused).toMatchObject({ malformed: bad.length });
    expect(daemon.stderr).toContain(
      `a client was refused: it begins with a first request of type 9: it is bind uid=${MALFORMED}`,
    );
  });

  test('refuses more groups than a user may have, and nobody else', async () => {
    const daemon = await RunningDaemon.start(
      `limits: { groups: 2 }\ngrants:\n  - { groups: ${OTHER_USER}, limits: { groups: 3 } }\n`,
    );
    const peer = await Peer.start(daemon.socket, USER);
    for (let count = 1; count <= 2; count++) {
      peer.connect([bind()]);
      await peer.hears(count);
    }
    // One that does not go is ended. What follows its first request does not keep the answer from being heard.
    peer.connect([bind({ number: 5 }), statistics(6), statistics(7)], { stays: true });
    const refused = (await peer.hears(4)).slice(2);
    expect(refused).toEqual([
      {
        connection: 2,
        answer: {
          number: 5,
          errno: ERRNO.EMFILE,
          text: `user ${USER} has 2 groups, and may have 2: close others, or have 'limits' granted`,
        },
      },
      { connection: 2, ended: 'end' },
    ]);
    const other = await Peer.start(daemon.socket, OTHER_USER);
    for (let count = 1; count <= 3; count++) {
      other.connect([bind()]);
      expect((await other.hears(count)).at(-1)?.answer?.errno).toBe(0);
    }
    peer.child.stdin?.end();
    await peer.ended;
    await until(async () => ((await daemon.status()).users.length === 1 ? true : undefined), 'room for others');
    const again = await Peer.start(daemon.socket, USER);
    again.connect([bind()]);
    expect((await again.hears(1))[0]?.answer?.errno).toBe(0);
  });

  test('lets only so many wait that have said nothing, of one user', async () => {
    const peer = await Peer.start(daemon.socket, SILENT);
    peer.connect([], { count: 20 });
    expect((await peer.hears(4)).every(({ ended }) => ended !== undefined)).toBe(true);
    const { connections } = await daemon.status();
    expect([connections.waiting, connections.refused.waiting]).toEqual([16, 4]);
    const other = await Peer.start(daemon.socket, OTHER_USER);
    other.connect([bind()]);
    expect((await other.hears(1))[0]?.answer?.errno).toBe(0);
  });

  test('slows down who connects too often, and nobody else', async () => {
    const peer = await Peer.start(daemon.socket, HASTY);
    peer.connect([request(0, 1)], { count: 400 });
    const other = await Peer.start(daemon.socket, OTHER_USER);
    other.connect([bind()]);
    expect((await other.hears(1))[0]?.answer?.errno).toBe(0);
    await until(async () => ((await daemon.status()).connections.refused.rate > 0 ? true : undefined), 'a refusal');
  });

  test('says once in the log what a client does again and again', async () => {
    const peer = await Peer.start(daemon.socket, REPEATING);
    const malformed = async () => (await daemon.status()).connections.refused.malformed;
    const before = await malformed();
    for (let round = 1; round <= 3; round++) {
      peer.connect([request(0, 1)], { count: 10 });
      await peer.hears(10 * round);
    }
    expect(daemon.stderr.match(new RegExp(`a client was refused.* uid=${REPEATING} `, 'g'))).toHaveLength(10);
    expect(await malformed()).toBe(before + 30);
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    expect(daemon.stderr).toContain(`warn: 20 more lines about user ${REPEATING} were left out`);
  });
});
