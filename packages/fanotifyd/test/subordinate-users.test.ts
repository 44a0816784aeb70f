// Users who own others by subuid(5), and what they get by that: no more than one user.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO } from 'fanotify/kernel';
import { describe, expect, test } from 'vitest';
import { Accounts } from '../src/config/values.ts';
import { SubordinateUsers } from '../src/subordinate-users.ts';
import { canServe, Peer, RunningDaemon, scratchDirectory, USER, until } from './support/daemon.ts';
import { bind } from './support/frames.ts';

const FILE = `
# a comment
anna:100000:65536
2000:300000:2
root:500000:1000
nobody-knows:600000:1000
anna:700000:0
anna:x:5
800000:10
`;

test('a uid in a range counts as who owns that, by name or number; others as themselves', () => {
  const directory = scratchDirectory();
  writeFileSync(join(directory, 'passwd'), 'root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/:/bin/sh\n');
  const users = new SubordinateUsers(FILE, new Accounts(join(directory, 'passwd'), '/dev/null'));
  for (const [uid, owner] of [
    [99_999, 99_999],
    [100_000, 1000],
    [165_535, 1000],
    [165_536, 165_536],
    [300_001, 2000],
    [300_002, 300_002],
    [1000, 1000],
    [0, 0],
    [600_000, 600_000],
    [700_000, 700_000],
    [800_000, 800_000],
  ] as const) {
    expect([uid, users.countedAs(uid)]).toEqual([uid, owner]);
  }
});

test('what root lends is one user, which is not root', () => {
  const users = new SubordinateUsers('root:500000:1000\n0:700000:10\n');
  expect([500_000, 500_999, 700_003].map((uid) => users.countedAs(uid))).toEqual([500_000, 500_000, 700_000]);
});

test('where there is no file nobody owns anything', () => {
  expect(SubordinateUsers.read(join(scratchDirectory(), 'subuid')).countedAs(100_000)).toBe(100_000);
});

describe.runIf(canServe)('the daemon', () => {
  test('gives all uids of one owner what it gives one user, as /etc/subuid says then', async () => {
    const etc = join(scratchDirectory(), 'etc');
    mkdirSync(etc);
    const say = (owner: number) => writeFileSync(join(etc, 'subuid'), `${owner}:100000:10\n`);
    say(USER);
    const before = ['unshare', '--mount', 'sh', '-c', `mount --bind '${etc}' /etc && exec "$@"`, 'sh'];
    const daemon = await RunningDaemon.start('limits: { groups: 2 }\n', { before });
    const [own, first, second] = await Promise.all(
      [USER, 100_000, 100_009].map((uid) => Peer.start(daemon.socket, uid)),
    );
    const errno = async (peer: Peer | undefined, heard: number) => {
      peer?.connect([bind()]);
      return (await peer?.hears(heard))?.at(-1)?.answer?.errno;
    };
    expect([await errno(first, 1), await errno(second, 1)]).toEqual([0, 0]);
    expect([await errno(own, 1), await errno(first, 2)]).toEqual([ERRNO.EMFILE, ERRNO.EMFILE]);
    expect((await daemon.status()).users).toEqual([{ uid: USER, groups: 2 }]);
    say(USER + 1);
    daemon.child.kill('SIGHUP');
    await daemon.says('the configuration was read again');
    expect([await errno(second, 2), await errno(first, 3)]).toEqual([0, 0]);
    // Who was let in before counts as before, and to its end.
    expect((await daemon.status()).users).toHaveLength(2);
    for (const peer of [own, first, second]) peer?.child.kill('SIGKILL');
    await until(async () => ((await daemon.status()).users.length === 0 ? true : undefined), 'their groups to go');
  });
});
