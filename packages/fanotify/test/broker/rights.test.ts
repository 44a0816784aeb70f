// What users hear that are granted nothing, or something, by the descriptors broker on a real kernel: no more than they could find out
// themselves, unless it was granted.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOSE_NOWRITE,
  FAN_CLOSE_WRITE,
  FAN_EVENT_ON_CHILD,
  FAN_NOFD,
  FAN_OPEN,
  FAN_OPEN_PERM,
  FAN_Q_OVERFLOW,
  O_APPEND,
  O_RDWR,
} from '../../src/abi/index.ts';
import type { Grant, Rights } from '../../src/broker/rights.ts';
import { ERRNO } from '../../src/kernel/index.ts';
import { canMount, mountBind, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type Client, House, NOBODY, opened, rightsOf, SCANNER, written } from './house.ts';

const NOTHING: Grant = { under: null, all: false, decide: false, system: false, pids: false };

describe.skipIf(!canMount)('by the descriptors broker', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  /** A directory of everybody's. */
  function place(...files: string[]): string {
    const path = mkdtempSync(join(mount.path, 'place-'));
    chmodSync(path, 0o755);
    for (const name of files) writeFileSync(join(path, name), 'content');
    return path;
  }

  async function listener(house: House, rights: Rights, eventFlags = 0): Promise<Client> {
    const client = house.admit(rights);
    await client.bind({ eventFlags });
    return client;
  }

  function user(...grants: Grant[]): Rights {
    return rightsOf(grants, { uid: NOBODY });
  }

  /** Opens a file and closes it, says so, and stays. */
  function opener(path: string, uid: number): ChildProcess {
    const script = 'exec 3< "$0"; exec 3<&-; echo done; read line';
    const child = spawn('sh', ['-c', script, path], { uid, gid: uid, stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill());
    return child;
  }

  const names = (client: Client) => client.take().map(({ path }) => basename(path));

  test('a user that was granted nothing holds nothing, and hears no whole file system', async () => {
    const house = await House.open();
    const path = place('file');
    const refused = (what: string) => ({
      errno: ERRNO.EPERM,
      message: expect.stringMatching(new RegExp(`takes a grant of "${what}" for user ${NOBODY}`)),
    });
    for (const flags of [FAN_CLASS_CONTENT, FAN_CLASS_PRE_CONTENT]) {
      await expect(house.admit(user()).bind({ flags })).rejects.toMatchObject(refused('decide'));
    }
    await expect(house.admit(user()).bind({ mask: FAN_OPEN_PERM })).rejects.toMatchObject(refused('decide'));
    await expect(house.admit(user()).bind({ mask: FAN_OPEN })).rejects.toMatchObject(refused('system" and "all'));
    await expect(house.admit(user()).bind({ eventFlags: O_APPEND })).rejects.toMatchObject({ errno: ERRNO.EINVAL });
    const client = await listener(house, user());
    const decide = client.mark(join(path, 'file'), FAN_OPEN_PERM, { scope: 'inode' });
    await expect(decide).rejects.toMatchObject(refused('decide'));
    await expect(client.mark(path, FAN_OPEN)).rejects.toMatchObject(refused('system'));
    chmodSync(join(path, 'file'), 0o600);
    const unreadable = client.mark(join(path, 'file'), FAN_OPEN, { scope: 'inode' });
    await expect(unreadable).rejects.toMatchObject({ errno: ERRNO.EACCES });
    expect((await house.status()).groups[0]).toMatchObject({ uid: NOBODY, marks: 0, refused: 3 });
  });

  test("a user marks what is the kernel's own only by a grant, and loses that with it", async () => {
    const house = await House.open();
    const client = await listener(house, user());
    for (const path of ['/proc/kallsyms', '/proc', '/sys', '/dev/null', '/dev/pts']) {
      await expect(client.mark(path, FAN_OPEN, { scope: 'inode' })).rejects.toMatchObject({
        errno: ERRNO.EOPNOTSUPP,
        message: expect.stringContaining('grant of "all"'),
      });
    }
    const granted = await listener(house, user({ ...NOTHING, all: true }));
    await granted.mark('/proc/version', FAN_OPEN, { scope: 'inode' });
    house.order({ do: 'rights', id: granted.id, rights: user() });
    await house.until(() => granted.events.some(({ mask }) => (BigInt(mask) & FAN_Q_OVERFLOW) !== 0n), 'it is told');
    expect((await house.status()).groups.map(({ marks }) => marks)).toEqual([0, 0]);
  });

  test('a user hears of what it reaches, with what it could open', async () => {
    const house = await House.open();
    const path = place('readable', 'unreadable');
    chmodSync(join(path, 'unreadable'), 0o600);
    const hidden = join(path, 'hidden');
    mkdirSync(join(hidden, 'open'), { recursive: true });
    for (const name of ['secret', 'open/secret']) writeFileSync(join(hidden, name), 'content', { mode: 0o666 });
    chmodSync(hidden, 0o700);
    const client = await listener(house, user());
    await client.mark(path, FAN_CLOSE_NOWRITE, { scope: 'subtree' });
    const content: string[] = [];
    client.inspect = (fd) => {
      if (fd === FAN_NOFD) return;
      const bytes = Buffer.alloc(20);
      content.push(bytes.toString('utf8', 0, readSync(fd, bytes, 0, 20, 0)));
      // The kernel's own descriptor of root's would be no worse for reading; so what it cannot do is tried.
      expect(() => writeSync(fd, 'x')).toThrow('EBADF');
    };
    for (const name of ['hidden/secret', 'hidden/open/secret', 'unreadable', 'readable', 'hidden/secret']) {
      expect(await opened(join(path, name))).toBe(true);
    }
    await client.sync();
    // In their order; of what it may not open it is told that it happened, and not with what.
    expect(client.events.map(({ path: name, fd }) => [basename(name), fd === FAN_NOFD])).toEqual([
      ['', true],
      ['readable', false],
    ]);
    expect(content).toEqual(['content']);
    client.take();
    // What it may reach from now on it is told of from now on.
    chmodSync(hidden, 0o755);
    await opened(join(hidden, 'secret'));
    await client.sync();
    expect(names(client)).toEqual(['secret']);
  });

  test('a descriptor to write with is one only where the user may write', async () => {
    const house = await House.open();
    const path = place('own', 'readable');
    chownSync(join(path, 'own'), NOBODY, NOBODY);
    const client = await listener(house, user(), O_RDWR);
    await client.mark(path, FAN_CLOSE_NOWRITE | FAN_EVENT_ON_CHILD, { scope: 'inode' });
    client.inspect = (fd) => {
      if (fd !== FAN_NOFD) expect(writeSync(fd, 'written')).toBe(7);
    };
    for (const name of ['own', 'readable']) await opened(join(path, name));
    await client.sync();
    expect(client.events.map(({ path: name, fd }) => [basename(name), fd === FAN_NOFD])).toEqual([
      ['own', false],
      ['', true],
    ]);
  });

  test('pids of other users are hidden, unless they were granted', async () => {
    const house = await House.open();
    const path = place('file');
    const [client, told] = [await listener(house, user()), await listener(house, user({ ...NOTHING, pids: true }))];
    for (const one of [client, told]) await one.mark(path, FAN_CLOSE_NOWRITE, { scope: 'subtree' });
    const [other, own] = [opener(join(path, 'file'), 0), opener(join(path, 'file'), NOBODY)];
    for (const { stdout } of [other, own]) if (stdout) await once(stdout, 'data');
    for (const one of [client, told]) await one.sync();
    const pids = (one: Client) => one.events.map(({ pid }) => pid).sort((a, b) => a - b);
    expect(pids(client)).toEqual([0, own.pid]);
    expect(pids(told)).toEqual([other.pid, own.pid].sort((a = 0, b = 0) => a - b));
  });

  test('whoever decides and may not hear all is asked only of what it reaches, with what it could open', async () => {
    const house = await House.open();
    const path = place('readable', 'unreadable', 'hidden');
    chmodSync(join(path, 'unreadable'), 0o600);
    mkdirSync(join(path, 'closed'), { mode: 0o700 });
    writeFileSync(join(path, 'closed', 'secret'), '');
    const client = await house.scanner({}, user({ ...NOTHING, decide: true }));
    client.verdict = 'deny';
    await client.mark(path, FAN_OPEN_PERM, { scope: 'subtree' });
    expect(await house.reads(join(path, 'readable'))).toBe(false);
    expect(await house.reads(join(path, 'unreadable'))).toBe(false);
    expect(await house.reads(join(path, 'closed', 'secret'))).toBe(true);
    expect(client.asked.map(({ path: name, pid }) => [basename(name), pid])).toEqual([
      ['readable', 0],
      ['', 0],
    ]);
  });

  test('grants are of directories in this mount namespace, and the first that fits counts', async () => {
    const house = await House.open();
    const [granted, other] = [place('file'), place('file')];
    const bound = mountBind(other, granted);
    try {
      const rights = user(
        { ...NOTHING, under: [join(granted, 'file')] },
        { ...SCANNER, under: [granted], system: false },
        { ...NOTHING, under: null },
      );
      const client = await house.scanner({}, rights);
      const mark = (path: string) => client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
      await expect(mark(join(granted, 'file'))).rejects.toMatchObject({ errno: ERRNO.EPERM });
      await expect(mark(join(other, 'file'))).rejects.toMatchObject({ errno: ERRNO.EPERM });
      await expect(mark(`${granted}/../${basename(other)}/file`)).rejects.toMatchObject({ errno: ERRNO.EPERM });
      await mark(join(bound.path, 'file'));
      await mark(granted);
    } finally {
      bound.unmount();
    }
  });

  test('what is not granted any more is taken back, and told; nothing else is lost', async () => {
    const house = await House.open();
    const [kept, lost] = [place('file'), place('file')];
    const everywhere = { ...SCANNER, decide: false, system: false };
    for (const path of [kept, lost]) chmodSync(join(path, 'file'), 0o600);
    const client = await listener(house, user({ ...everywhere, under: [kept, lost] }));
    for (const path of [kept, lost]) await client.mark(join(path, 'file'), FAN_CLOSE_WRITE, { scope: 'inode' });
    const write = (path: string) => written(join(path, 'file'));
    await write(kept);
    house.order({ do: 'rights', id: client.id, rights: user({ ...everywhere, under: [kept] }) });
    await house.status();
    await write(lost);
    await write(kept);
    await client.sync();
    expect(client.events.map(({ mask, path }) => (mask === FAN_Q_OVERFLOW ? 'overflow' : path))).toEqual([
      join(kept, 'file'),
      'overflow',
      join(kept, 'file'),
    ]);
    expect((await house.status()).groups[0]?.marks).toBe(1);
  });

  test('whoever may decide no more is closed, and what it was asked gets its policy', async () => {
    const house = await House.open();
    const path = join(place('file'), 'file');
    const client = await house.scanner();
    await client.waits(60_000, 'deny');
    await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    client.verdict = undefined;
    const opening = opened(path);
    await house.until(() => client.asked.length === 1, 'it is held');
    house.order({ do: 'rights', id: client.id, rights: rightsOf([{ ...SCANNER, decide: false }]) });
    expect(await house.during(opening)).toBe(false);
    expect(await house.whyEnded(client)).toBe('it may not hold accesses any more');
    expect(await opened(path)).toBe(true);
  });
});
