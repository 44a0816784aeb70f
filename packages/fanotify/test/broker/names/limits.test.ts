// What one client does or leaves undone is no matter to the others.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FAN_CREATE,
  FAN_DELETE,
  FAN_ONDIR,
  FAN_RENAME,
  FAN_REPORT_DFID_NAME,
  FAN_REPORT_DFID_NAME_TARGET,
  FAN_REPORT_TID,
} from '../../../src/abi/index.ts';
import { PROTOCOL_VERSION, REQUEST, REQUEST_BYTES } from '../../../src/core/process/wire.ts';
import { ERRNO } from '../../../src/kernel/index.ts';
import { canMount } from '../../support/mounts.ts';
import { ALL, handleOf, lineOf, NamesHouse, rightsOf, USER } from './names-house.ts';

const NAMES = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_ONDIR;

describe.runIf(canMount)('a client that does not read', () => {
  test('loses what its queue has no room for, is told where, and nobody else loses anything', () => {
    const house = new NamesHouse();
    const slow = house.client(rightsOf([ALL], { queueBytes: 20_000 }));
    const quick = house.client();
    for (const client of [slow, quick]) client.mark('.', NAMES);
    slow.isStopped = true;
    house.do('for i in $(seq 6000); do : > f$i; done');
    expect(quick.sync()).toHaveLength(6000);
    house.until(() => Number(house.status().groups[0]?.lost) > 0, 'something is lost');
    const [status] = house.status().groups;
    expect(status?.queuedBytes).toBeLessThanOrEqual(20_024);
    slow.isStopped = false;
    const heard = slow.sync();
    // Wherever some are missing there is an overflow, and nowhere else.
    const told = heard.map(({ kinds, names }) => (kinds === 'Q_OVERFLOW' ? undefined : Number(names[0]?.slice(1))));
    let next = 1;
    for (const [at, number] of told.entries()) {
      if (number === undefined) continue;
      expect(number > next).toBe(at > 0 && told[at - 1] === undefined);
      next = number + 1;
    }
    expect(told.at(-1) === undefined).toBe(next <= 6000);
    const after = house.status().groups[0];
    const losses = told.filter((number) => number === undefined).length;
    expect(heard.length - losses + Number(after?.lost)).toBe(6000);
    expect(after).toMatchObject({ overflows: losses, queued: 0, queuedBytes: 0 });
    house.do('echo > later');
    expect(slow.lines()).toEqual(['CREATE later @1:']);
  });

  test('gets its answers, in order, when it does', () => {
    const house = new NamesHouse();
    const client = house.client();
    client.mark('.', FAN_CREATE);
    client.isStopped = true;
    const other = house.client();
    other.mark('.', FAN_CREATE);
    house.do('for i in $(seq 4000); do : > f$i; done');
    other.sync();
    const numbers = [REQUEST.sync, REQUEST.statistics, REQUEST.clearMarks].map((type) =>
      client.send(client.writer.plain(type as typeof REQUEST.sync)),
    );
    house.do('  : > last');
    other.sync();
    expect(numbers.map((number) => client.answers.has(number))).toEqual([false, false, false]);
    client.isStopped = false;
    house.until(() => numbers.every((number) => client.answers.has(number)), 'all are answered');
    expect(client.take().map(({ names }) => names[0])).toEqual([
      ...Array.from({ length: 4000 }, (_, at) => `f${at + 1}`),
      'last',
    ]);
    // Nothing is read of a client that there is no room for, so that this happened before it was asked.
    expect(client.answers.get(numbers[0] ?? 0)?.behind).toBe(4001);
    const statistics = JSON.parse(client.answers.get(numbers[1] ?? 0)?.data.toString() ?? '');
    expect(statistics).toMatchObject({ marks: 1, lost: 0 });
    house.do('echo > unheard');
    expect(client.sync()).toEqual([]);
  });
});

describe.runIf(canMount)('the broker', () => {
  test('serves a thousand clients with a subtree each by one mark in the kernel', () => {
    const house = new NamesHouse();
    house.do('for i in $(seq 1000); do mkdir -p t$i/sub; done');
    const clients = house.clientsOf(
      Array.from({ length: 1000 }, (_, at) => `t${at + 1}`),
      NAMES,
    );
    expect(house.status()).toMatchObject({ totals: { kernelMarks: 1 }, more: true });
    house.do('for i in $(seq 1000); do echo > t$i/sub/file; done; mv t1/sub/file t1000/moved');
    const last = clients[999]?.sync().map(lineOf);
    for (const client of clients) client.read();
    expect(last).toEqual(['CREATE file @999:sub', 'RENAME moved @999:']);
    for (const [at, client] of clients.slice(0, 999).entries()) {
      expect(client.take().map(lineOf)).toEqual([
        `CREATE file @${at}:sub`,
        ...(at === 0 ? ['RENAME file @0:sub'] : []),
      ]);
    }
    for (const client of clients) client.close();
    house.until(() => house.status().groups.length === 0, 'they have gone');
    expect(house.status().totals.kernelMarks).toBe(0);
  });

  test('keeps a quarter of all marks for one user at most, and the others have theirs', () => {
    const house = new NamesHouse({ mostKept: 8 });
    house.do('mkdir a b c');
    const [one, two, other] = [12_345, 12_345, 12_346].map((uid) => house.client(rightsOf([], { uid })));
    one?.mark('a', NAMES);
    two?.mark('b', NAMES);
    for (const client of [one, two]) {
      expect(() => client?.mark('c', NAMES)).toThrow('the marks of user 12345 keep 2 descriptors of the daemon');
    }
    other?.mark('c', NAMES);
    one?.unmark('a', NAMES);
    two?.mark('c', NAMES);
  });

  test('tells everybody of a loss when it has to give up what waits in the kernel', () => {
    const house = new NamesHouse({ mostWaiting: 1000 });
    house.do('mkdir -p a/b');
    const [one, other] = [house.client(), house.client()];
    one.mark('a', NAMES);
    other.mark('a/b', NAMES);
    const unmarked = house.client();
    house.do('for i in $(seq 30000); do : > a/$i; done; mv a/b a/c');
    const heard = one.sync();
    expect(heard.at(-1)?.kinds).toBe('Q_OVERFLOW');
    expect(heard.length).toBeLessThan(30_000);
    expect([other.lines(), unmarked.lines()]).toEqual([['Q_OVERFLOW'], []]);
    expect(house.status().totals.kernelOverflows).toBe(1);
    // Where everything is by now is looked for again.
    house.do('echo > a/c/file');
    expect([one.lines(), other.lines()]).toEqual([['CREATE file @1:c'], ['CREATE file @1:']]);
  });

  test('hears others while it has much to tell, and answers behind all that has happened before', () => {
    const house = new NamesHouse();
    const path = Array(300).fill('d');
    const deep = path.join('/');
    house.do(`mkdir -p ${deep}`);
    const slow = house.client(rightsOf([], { uid: USER, marks: 1000 }), FAN_REPORT_DFID_NAME_TARGET);
    for (const at of path.keys()) slow.mark(path.slice(0, at + 1).join('/'), FAN_CREATE);
    house.do(`: > ${deep}/first`);
    expect(slow.sync()).toHaveLength(1);
    const other = house.client();
    house.do(`cd ${deep}; for i in $(seq 3000); do : > f$i; done`);
    const sync = slow.send(slow.writer.plain(REQUEST.sync));
    let turns = 0;
    let longestMs = 0;
    for (; !slow.answers.has(sync); turns++) {
      const startedMs = performance.now();
      house.loop.step(0);
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      // Whoever marks something meanwhile hears nothing that has happened before.
      if (turns === 0) other.sendMark('.', FAN_CREATE);
      slow.read();
    }
    expect(turns).toBeGreaterThan(3);
    expect(longestMs).toBeLessThan(500);
    expect(slow.answers.get(sync)?.behind).toBe(3001);
    expect(slow.take().map(({ names }) => names[0])).toEqual(Array.from({ length: 3000 }, (_, at) => `f${at + 1}`));
    house.do(': > after');
    expect(other.lines()).toEqual(['CREATE after @1:']);
  });

  test('says so where a path is too long for an answer', () => {
    const house = new NamesHouse();
    const client = house.client();
    client.mark('.', NAMES);
    const path = Array(10).fill('n'.repeat(250)).join('/');
    house.do(`mkdir -p top/${path}`);
    const deepest = handleOf(`${house.mount.path}/top/${path}`);
    const deepen = 'mkdir -p next/$0; mv top next/$0/top; mv next top';
    const deeper = (times: number) => house.do(`for i in $(seq ${times}); do sh -ec '${deepen}' ${path}; done`);
    deeper(24);
    // As long as it fits it is said.
    expect(client.resolve(deepest).length).toBeGreaterThan(60_000);
    deeper(5);
    expect(() => client.resolve(deepest)).toThrow(expect.objectContaining({ errno: ERRNO.ENAMETOOLONG }));
    deeper(60);
    expect(() => client.resolve(deepest)).toThrow(expect.objectContaining({ errno: ERRNO.ENAMETOOLONG }));
  });

  test('answers what it does not know, or what makes no sense, with an errno', () => {
    const house = new NamesHouse();
    const client = house.admit(rightsOf([]));
    const errnoOf = (request: Buffer) => {
      try {
        client.call(request);
      } catch (error) {
        return (error as { errno: number }).errno;
      }
      return 0;
    };
    const settings = { mask: 0n, priority: 0, eventFlags: 0, flags: FAN_REPORT_DFID_NAME };
    const { writer } = client;
    expect(errnoOf(writer.plain(REQUEST.sync))).toBe(89);
    expect(errnoOf(writer.bind({ ...settings, flags: FAN_REPORT_TID | FAN_REPORT_DFID_NAME }, PROTOCOL_VERSION))).toBe(
      22,
    );
    expect(errnoOf(writer.bind({ ...settings, flags: 0x800 }, PROTOCOL_VERSION))).toBe(22);
    expect(errnoOf(writer.bind({ ...settings, mask: FAN_CREATE }, PROTOCOL_VERSION))).toBe(22);
    expect(errnoOf(writer.bind(settings, PROTOCOL_VERSION))).toBe(0);
    expect(errnoOf(writer.respond(1n, 1))).toBe(95);
    expect(errnoOf(writer.setTimeout(1000, 'deny'))).toBe(95);
    expect(errnoOf(writer.plain(99 as typeof REQUEST.sync))).toBe(95);
    expect(errnoOf(writer.plain(REQUEST.close))).toBe(0);
    house.until(() => client.isOver, 'it is closed');
  });

  test("answers each of a client's requests or ends it, whatever they are, and the others hear what they did", () => {
    const house = new NamesHouse();
    house.do('mkdir d');
    const other = house.client();
    other.mark('d', FAN_CREATE);
    const request = fc
      .tuple(
        fc.nat(13),
        fc.uint8Array({ minLength: REQUEST_BYTES, maxLength: REQUEST_BYTES + 40 }),
        fc.boolean(),
        fc.nat(3),
      )
      .map(([type, bytes, isExact, scope]) => {
        const message = Buffer.from(isExact ? bytes.subarray(0, REQUEST_BYTES) : bytes);
        message.writeUInt32LE(type, 0);
        // Marks of some sense, or none would be placed.
        if (isExact && scope < 3) {
          message.writeBigUInt64LE(BigInt(message.readUInt32LE(8) & 0x5800_0fff), 8);
          message.writeBigUInt64LE(0n, 16);
          message.writeUInt32LE(scope, 24);
        }
        return message;
      });
    let made = 0;
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 12 }), (requests) => {
        const client = house.client(rightsOf([]));
        for (const message of requests) {
          const type = message.readUInt32LE(0);
          const isMark = type === REQUEST.addMark || type === REQUEST.removeMark;
          client.sendFor('d', message, isMark);
          const number = message.readUInt32LE(4);
          house.until(() => client.answers.has(number) || client.isOver, `request ${type} is answered`);
          if (client.isOver) break;
          client.answers.delete(number);
        }
        client.close();
        house.do(`echo > d/f${made++}`);
        expect(other.lines()).toEqual([`CREATE f${made - 1} @1:`]);
      }),
      { numRuns: 60 },
    );
  });
});
