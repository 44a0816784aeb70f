// Clients of the descriptors broker that decide, on a real kernel: by their priorities, in time or not, and whatever becomes of them or of
// the broker, nobody is held for ever.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAN_OPEN, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { type Client, House, opened, opensAtOnce, rightsOf, SCANNER } from './house.ts';

describe.skipIf(!canMount)('clients that decide', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  function file(): string {
    const path = join(mkdtempSync(join(mount.path, 'place-')), 'file');
    writeFileSync(path, 'content');
    return path;
  }

  /** A client that holds a file, and what it is asked until it answers: for a minute if it may. */
  async function holding(house: House, path: string, policy: 'allow' | 'deny', ms = 60_000): Promise<Client> {
    const client = await house.scanner();
    await client.waits(ms, policy);
    await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    client.verdict = undefined;
    return client;
  }

  test('are asked in the order of their priorities', async () => {
    const house = await House.open();
    const path = file();
    const log: number[] = [];
    for (const priority of [5, 100, 50]) {
      const client = await house.scanner({ priority });
      client.inspect = () => log.push(priority);
      await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    }
    expect(await house.reads(path)).toBe(true);
    expect(log).toEqual([100, 50, 5]);
    expect(house.clients.map(({ asked }) => asked.map((event) => event.path))).toEqual([[path], [path], [path]]);
    expect((await house.status()).groups.map(({ priority, allowed }) => [priority, allowed])).toEqual([
      [5, 1],
      [100, 1],
      [50, 1],
    ]);
  });

  test('deny for all that come after them', async () => {
    const house = await House.open();
    const path = file();
    const [last, first] = [await house.scanner({ priority: 1 }), await house.scanner({ priority: 2 })];
    first.verdict = 'deny';
    for (const client of [first, last]) await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    expect(await house.reads(path)).toBe(false);
    expect(last.asked).toEqual([]);
    const { groups, totals } = await house.status();
    expect(groups.map(({ denied }) => denied)).toEqual([0, 1]);
    expect(totals.heldSeconds.counts.reduce((sum, count) => sum + count)).toBe(totals.answered);
    expect(totals.answered).toBeGreaterThanOrEqual(1);
  });

  test('that do not answer in time get their policy, and others decide meanwhile', async () => {
    const house = await House.open();
    const [path, other] = [file(), file()];
    const slow = await holding(house, path, 'deny', 200);
    slow.isStopped = true;
    const quick = await house.scanner();
    await quick.mark(other, FAN_OPEN_PERM, { scope: 'inode' });
    expect(await house.during(Promise.all([opened(path), opened(other)]))).toEqual([false, true]);
    const { groups, totals } = await house.status();
    expect(groups.map(({ timedOut }) => timedOut)).toEqual([1, 0]);
    expect(totals.timedOut).toBe(1);
  });

  test('that die with accesses pending leave these to their policy at once', async () => {
    const house = await House.open();
    const path = file();
    const client = await holding(house, path, 'deny');
    const opening = opensAtOnce(path, 50);
    await house.until(() => client.asked.length === 50, 'all are held');
    client.close();
    expect(await opening).toBe(0);
    expect(await house.whyEnded(client)).toBe('');
    expect((await house.status()).totals.timedOut).toBe(50);
  });

  test('have the last word that they have sent before they die', async () => {
    const house = await House.open();
    const path = file();
    const client = await holding(house, path, 'deny');
    const opening = opened(path);
    await house.until(() => client.asked.length === 1, 'it is held');
    client.respond(client.asked[0]?.cookie ?? 0n, 'allow');
    client.close();
    expect(await opening).toBe(true);
  });

  test('are asked no more than they may have pending; the rest gets their policy at once', async () => {
    const house = await House.open();
    const path = file();
    const client = await house.scanner({}, rightsOf([SCANNER], { pending: 10 }));
    await client.waits(60_000, 'deny');
    await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    client.verdict = undefined;
    const opening = opensAtOnce(path, 30);
    await house.until(() => client.asked.length === 10, 'as many are held as may be');
    await until(house, async () => (await house.status()).totals.timedOut === 20);
    expect((await house.status()).groups[0]?.pending).toBe(10);
    for (const { cookie } of client.asked) client.respond(cookie, 'allow');
    expect(await opening).toBe(10);
  });

  test('may not make anybody wait for longer than they may', async () => {
    const house = await House.open();
    const client = await house.scanner({}, rightsOf([SCANNER], { longestMs: 500 }));
    await expect(client.waits(501, 'deny')).rejects.toThrow('500 ms at most');
    await client.waits(500, 'deny');
    await expect((await house.scanner()).waits(60_001, 'deny')).rejects.toThrow('60000 ms at most');
  });

  test('and a broker that is killed with two hundred pending: nobody hangs', async () => {
    const house = await House.open();
    const path = file();
    const client = await holding(house, path, 'deny');
    const opening = opensAtOnce(path, 200);
    await house.until(() => client.asked.length === 200, 'all are held');
    house.broker.kill('SIGKILL');
    expect(await opening).toBe(200);
    await house.until(() => client.isOver, 'the client is told');
  });

  test('and a broker that is told to end by a signal: it goes on', async () => {
    const house = await House.open();
    const path = file();
    const client = await holding(house, path, 'deny');
    client.verdict = 'allow';
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGIO'] as const)
      house.broker.kill(signal);
    expect(await house.reads(path)).toBe(true);
    expect(house.broker.exitCode).toBe(null);
  });

  test('and a main process that has gone: what is held gets its policy', async () => {
    const house = await House.open();
    const path = file();
    const client = await holding(house, path, 'deny');
    const opening = opensAtOnce(path, 20);
    await house.until(() => client.asked.length === 20, 'all are held');
    house.closeControl();
    expect(await opening).toBe(0);
    await house.end();
    expect(house.broker.exitCode).toBe(0);
  });

  test('and a main process that has gone with so many clients that there is no telling it: the broker ends', async () => {
    const house = await House.open();
    for (let count = 0; count < 100; count++) await house.admit(rightsOf([])).bind();
    // Before it hears of any of these, the broker has nobody to tell.
    house.broker.kill('SIGSTOP');
    for (const client of house.clients) client.close();
    house.closeControl();
    house.broker.kill('SIGCONT');
    await house.end();
    expect(house.broker.exitCode).toBe(0);
  });

  test('are not asked about what the daemon does, nor told', async () => {
    const house = await House.open();
    const path = file();
    const client = await holding(house, path, 'deny');
    await client.mark(path, FAN_OPEN, { scope: 'inode' });
    const opening = opensAtOnce(path, 1);
    house.order({ do: 'processes', pids: [opening.pid] });
    // The order is there before the process has begun to open.
    expect(await house.during(opening)).toBe(1);
    expect(client.take()).toEqual([]);
  });
});

async function until(house: House, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await house.until(() => true, '');
}
