// What clients of the descriptors broker may have of it, on a real kernel: whoever stalls, floods or sends garbage is slowed down, told of a
// loss or refused, and nobody else notices.

import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAN_CLOSE_WRITE, FAN_OPEN_PERM, FAN_Q_OVERFLOW, O_PATH } from '../../src/abi/index.ts';
import type { News } from '../../src/broker/control.ts';
import { QUEUED_EVENT_BYTES } from '../../src/broker/descriptors/descriptors-group.ts';
import { PROTOCOL_VERSION, REQUEST, REQUEST_BYTES } from '../../src/core/process/wire.ts';
import { ERRNO, linuxKernel } from '../../src/kernel/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { frameOf, randomOf } from './garbage.ts';
import { type Client, House, NOBODY, opened, rightsOf, SCANNER, touched } from './house.ts';

// But for close, which would be the end of it.
const REQUESTS = Object.values(REQUEST).filter((request) => request !== REQUEST.close);
/** More than so many are too many for every run of the tests: `FUZZ_FRAMES=5000000 npm test -- limits`. */
const FRAMES = Number(process.env.FUZZ_FRAMES ?? 10_000);

describe.skipIf(!canMount)('a client', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  function place(...files: string[]): string {
    const path = mkdtempSync(join(mount.path, 'place-'));
    for (const name of files) writeFileSync(join(path, name), 'content');
    return path;
  }

  /** Another client, whose decisions are to go on. */
  async function undisturbed(house: House): Promise<string> {
    const path = join(place('file'), 'file');
    const client = await house.scanner();
    await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    return path;
  }

  test('has as many marks as it may, and is refused more', async () => {
    const house = await House.open();
    const client = await house.scanner({}, rightsOf([SCANNER], { marks: 2 }));
    const path = place('a', 'b', 'c');
    for (const name of ['a', 'b', 'b']) await client.mark(join(path, name), FAN_CLOSE_WRITE, { scope: 'inode' });
    const refused = client.mark(join(path, 'c'), FAN_CLOSE_WRITE, { scope: 'inode' });
    await expect(refused).rejects.toMatchObject({
      errno: ERRNO.ENOSPC,
      message: "a group of user 0 may have 2 marks: remove some, or have 'limits' granted",
    });
    await client.call(client.writer.plain(REQUEST.clearMarks));
    await client.mark(join(path, 'c'), FAN_CLOSE_WRITE, { scope: 'inode' });
    expect((await house.status()).groups[0]).toMatchObject({ marks: 1, refused: 1 });
  });

  test('of a user that was granted nothing has 64 subtrees, in all groups of that user, and others have theirs', async () => {
    const house = await House.open();
    const path = place();
    for (let at = 0; at < 66; at++) mkdirSync(join(path, String(at)));
    chmodSync(path, 0o755);
    const client = async (grants: Parameters<typeof rightsOf>[0], uid: number) => {
      const one = house.admit(rightsOf(grants, { uid }));
      await one.bind();
      return one;
    };
    const mark = (one: Client, at: number) => one.mark(join(path, String(at)), FAN_CLOSE_WRITE, { scope: 'subtree' });
    const [first, second] = [await client([], NOBODY), await client([], NOBODY)];
    for (let at = 0; at < 64; at++) await mark(at < 32 ? first : second, at);
    for (const one of [first, second]) {
      await expect(mark(one, 64)).rejects.toMatchObject({
        errno: ERRNO.ENOSPC,
        message: expect.stringContaining('a group of names takes more'),
      });
    }
    // Adding to one is no other.
    await mark(first, 0);
    await mark(await client([], NOBODY - 1), 64);
    await mark(await client([SCANNER], NOBODY), 64);
    await first.call(first.writer.plain(REQUEST.clearMarks));
    await mark(second, 64);
  });

  test('lets nobody wait longer than it may, whether it says so or not, as of when its rights change', async () => {
    const house = await House.open();
    const path = join(place('file'), 'file');
    const rights = (longestMs: number) => rightsOf([SCANNER], { longestMs });
    const client = await house.scanner({}, rights(300));
    client.verdict = undefined;
    await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    const wait = async () => {
      const started = Date.now();
      await house.reads(path);
      return Date.now() - started;
    };
    expect(await wait()).toBeLessThan(2_500);
    house.order({ do: 'rights', id: client.id, rights: rights(60_000) });
    await house.status();
    await client.waits(30_000, 'allow');
    house.order({ do: 'rights', id: client.id, rights: rights(300) });
    await house.status();
    expect(await wait()).toBeLessThan(2_500);
  });

  test('that does not read is told that it has lost something, in its place', async () => {
    const house = await House.open();
    const client = await house.scanner({}, rightsOf([SCANNER], { queueBytes: 20 * QUEUED_EVENT_BYTES }));
    await client.mark(mount.path, FAN_CLOSE_WRITE);
    const other = await undisturbed(house);
    await client.stall();
    await house.during(touched(place(), 50));
    expect(await house.reads(other)).toBe(true);
    await house.clients[1]?.sync();
    expect((await house.status()).groups[0]).toMatchObject({ queued: 21, lost: 30, overflows: 1 });
    client.isStopped = false;
    await client.sync();
    const events = client.take();
    expect(events.map(({ mask }) => mask)).toEqual([...Array(20).fill(FAN_CLOSE_WRITE), FAN_Q_OVERFLOW]);
    expect(events.map(({ path }) => basename(path))).toEqual([...Array(20).keys()].map(String).concat(''));
    await house.during(touched(place(), 1));
    await client.sync();
    // Every event has its number.
    expect([...events, ...client.take()].map(({ sequence }) => sequence)).toEqual(
      [...Array(22).keys()].map((at) => BigInt(at + 1)),
    );
  });

  test('has no more descriptors under way than it may', async () => {
    const house = await House.open();
    const client = await house.scanner({}, rightsOf([SCANNER], { descriptors: 10 }));
    await client.mark(mount.path, FAN_CLOSE_WRITE);
    const other = await house.scanner();
    client.isStopped = true;
    const path = place();
    await house.during(touched(path, 100));
    await other.sync();
    const before = (await house.status()).groups[0];
    // Those that wait count as well.
    expect(before?.delivered).toBe(10);
    client.isStopped = false;
    await client.sync();
    expect(client.take().map(({ mask }) => mask)).toEqual([...Array(10).fill(FAN_CLOSE_WRITE), FAN_Q_OVERFLOW]);
    expect((await house.status()).groups[0]).toMatchObject({ delivered: 11, lost: 90 });
    // It goes on when they were received.
    await house.during(touched(path, 5));
    await client.sync();
    expect(client.take().map(({ mask }) => mask)).toEqual(Array(5).fill(FAN_CLOSE_WRITE));
  });

  test('holds no more than its descriptors allow at a time, and all in the end', async () => {
    const house = await House.open();
    const path = join(place('file'), 'file');
    const client = await house.scanner({}, rightsOf([SCANNER], { descriptors: 3 }));
    await client.mark(path, FAN_OPEN_PERM, { scope: 'inode' });
    expect(await house.during(Promise.all(Array.from({ length: 20 }, () => opened(path))))).toEqual(
      Array(20).fill(true),
    );
  });

  test('that asks too often is heard later, and others meanwhile', async () => {
    const house = await House.open();
    const other = await undisturbed(house);
    // Bind takes the one that it has.
    const rights = rightsOf([SCANNER], { requestsPerSecond: 0.001 });
    const client = await house.scanner({}, rights);
    const numbers = Array.from({ length: 50 }, () => {
      client.send(client.writer.plain(REQUEST.statistics));
      return client.writer.number;
    });
    for (let count = 0; count < 5; count++) expect(await house.reads(other)).toBe(true);
    expect(client.answers.size).toBe(1);
    house.order({ do: 'rights', id: client.id, rights: rightsOf([SCANNER]) });
    await house.until(() => numbers.every((number) => client.answers.get(number)?.errno === 0), 'all are answered');
  });

  test('that does not read its answers is asked for no more requests, and loses none', async () => {
    const house = await House.open();
    const other = await undisturbed(house);
    const client = await house.scanner();
    await client.stall();
    expect(await house.reads(other)).toBe(true);
    const sent = client.writer.number;
    client.isStopped = false;
    // Those at the end there was no room for.
    await house.until(() => client.answers.size === sent - 20, 'all are answered');
    expect([...client.answers.values()].every(({ errno }) => errno === 0)).toBe(true);
  });

  test('is answered in line with events: sync behind all that has happened before', async () => {
    const house = await House.open();
    const client = await house.scanner();
    await client.mark(mount.path, FAN_CLOSE_WRITE);
    await house.during(touched(place(), 300));
    client.take();
    client.order.length = 0;
    const path = place();
    client.isStopped = true;
    await house.during(touched(path, 150));
    client.isStopped = false;
    await client.sync();
    const paths = new Set(client.events.map((event) => event.path).filter((name) => name.startsWith(path)));
    expect(paths.size).toBe(150);
    expect(client.order.at(-1)).toBe('answer');
    expect(client.order.indexOf('answer')).toBe(client.order.length - 1);
  });

  test('is refused what is out of order, and what there is not', async () => {
    const house = await House.open();
    const client = house.admit(rightsOf([SCANNER]));
    const { writer } = client;
    await expect(client.call(writer.plain(REQUEST.clearMarks))).rejects.toMatchObject({ errno: ERRNO.EDESTADDRREQ });
    await client.bind();
    await expect(client.bind()).rejects.toMatchObject({ errno: ERRNO.EINVAL });
    await expect(client.call(client.markRequest(FAN_CLOSE_WRITE))).rejects.toThrow('open it with O_PATH');
    const fd = openSync(mount.path, 'r');
    await expect(client.call(client.markRequest(FAN_CLOSE_WRITE), [fd])).rejects.toMatchObject({ errno: ERRNO.EINVAL });
    closeSync(fd);
    const unknown = Buffer.from(writer.plain(REQUEST.sync));
    unknown.writeUInt32LE(77, 0);
    await expect(client.call(unknown)).rejects.toMatchObject({ errno: ERRNO.EOPNOTSUPP });
    const old = house.admit(rightsOf([SCANNER]));
    await expect(old.bind({}, PROTOCOL_VERSION + 1)).rejects.toMatchObject({ errno: ERRNO.EPROTONOSUPPORT });
    expect(await house.whyEnded(old)).toBe('it speaks another version of the protocol');
    await client.call(writer.plain(REQUEST.close));
    expect(await house.whyEnded(client)).toBe('');
  });

  test('is one of many in the status, which comes in pages', async () => {
    const house = await House.open();
    for (let count = 0; count < 70; count++) await house.admit(rightsOf([], { uid: count })).bind();
    // Whoever has no group yet is none of them.
    house.admit(rightsOf([]));
    const [first, second] = [await house.status(), await house.status(64)];
    expect(first.groups.map(({ uid }) => uid)).toEqual([...Array(64).keys()]);
    expect(second.groups.map(({ uid }) => uid)).toEqual([64, 65, 66, 67, 68, 69]);
    expect([first.more, second.more]).toEqual([true, false]);
    house.order({ do: 'end', id: 1 });
    expect(await house.whyEnded(house.clients[0] as Client)).toBe('');
    await house.until(() => house.clients[0]?.isOver === true, 'the client is told');
    house.order({ do: 'ping', number: 7 });
    await house.until(() => house.news.some((news) => news.is === 'pong' && news.number === 7), 'it lives');
  });

  test('that sends what is no request is answered, and then not heard any more', async () => {
    const house = await House.open();
    const client = await house.scanner();
    for (let count = 0; count < 16; count++) client.send(Buffer.alloc(REQUEST_BYTES + 1, count));
    expect(await house.whyEnded(client)).toBe('it sent 16 messages that are no requests');
    expect([...client.answers.values()].filter(({ errno }) => errno === ERRNO.EINVAL)).toHaveLength(16);
    const short = await house.scanner();
    short.send(Buffer.from('GET /'));
    expect(await house.whyEnded(short)).toBe('it sent what is no request');
    // Once for each.
    expect(complaints(house).map(({ id }) => id)).toEqual([client.id, short.id]);
  });

  test(`that sends ${FRAMES} frames of garbage disturbs nobody`, { timeout: 60_000 + FRAMES }, async () => {
    const house = await House.open();
    const path = await undisturbed(house);
    const random = randomOf(4711);
    const kernel = linuxKernel();
    const targets = [openSync(path, O_PATH), openSync(mount.path, O_PATH)];
    const dangerous = kernel.socketPair();
    await house.reads(path);
    await house.status();
    const openBefore = readdirSync(`/proc/${house.pid}/fd`).length;
    let sent = 0;
    let garbler: Client | undefined;
    let connections = 0;
    while (sent < FRAMES) {
      if (!garbler || garbler.isOver) {
        garbler?.close();
        if (garbler) house.clients.splice(house.clients.indexOf(garbler), 1);
        garbler = house.admit(rightsOf([], { uid: 12_345 }));
        connections++;
        if (random(2) === 0) await garbler.bind();
      }
      for (let burst = random(64); burst > 0 && sent < FRAMES; burst--) {
        const with_ = Array.from({ length: random(512) === 0 ? 1 + random(2) : 0 }, () => targets[random(2)] as number);
        if (!garbler.send(frameOf(random, REQUESTS), with_)) break;
        sent++;
      }
      if (random(64) === 0) expect(await house.reads(path)).toBe(true);
      else await house.until(() => true, '');
    }
    expect(await house.reads(path)).toBe(true);
    garbler?.close();
    if (garbler) await house.whyEnded(garbler);
    // What came with garbage is closed.
    const openNow = () => readdirSync(`/proc/${house.pid}/fd`).length;
    await house.until(() => openNow() <= openBefore, 'nothing is left open');
    // What comes with something that may make whoever closes it wait costs a visitor.
    const last = house.admit(rightsOf([], { uid: 12_345 }));
    for (let count = 0; count < 3; count++) last.send(frameOf(random, REQUESTS), dangerous);
    for (let count = 0; count < 3; count++) expect(await house.reads(path)).toBe(true);
    for (const fd of targets) closeSync(fd);
    for (const fd of dangerous) kernel.close(fd);
    expect(complaints(house).length).toBeLessThan(Math.min(connections, 25) + FRAMES / 1_000);
  });
});

function complaints({ news }: House): Extract<News, { is: 'log' }>[] {
  return news.filter((one) => one.is === 'log');
}
