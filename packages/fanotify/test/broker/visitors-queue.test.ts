// Who asks visitors, against visitors that say what the test writes down: limits, order, who is asked again, and who waits.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  decodeVisit,
  encodeAnswer,
  MAY_READ,
  MAY_SEARCH,
  SAID,
  VISIT,
  type VisitAnswer,
  type VisitRequest,
} from '../../src/broker/visit-wire.ts';
import { Visitors } from '../../src/broker/visitors.ts';
import { KernelError, linuxKernel } from '../../src/kernel/index.ts';
import { userOf } from '../support/visitors.ts';

const LIMIT_MS = 1_000;
const START_MS = 30_000;
const GONE_MS = 10_000;
/** Larger than any. */
const NO_PID = 0x4000_0001;
const alice = userOf(12_345, [5, 6]);
const bob = userOf(23_456);
const NOWHERE = Buffer.from('nowhere');

describe.skipIf(process.platform !== 'linux')('visitors', () => {
  const kernel = linuxKernel();
  let visitors: Visitors;
  let root: number;
  let lost: (number | null)[];
  let answers: unknown[];
  let ends: number[];
  let now: number;

  /** The other end of a visitor's connection, which the test plays. */
  class Played {
    readonly fd: number;
    readonly #buffer = Buffer.alloc(65_536);

    constructor(pid?: number) {
      const [fd, theirs] = kernel.socketPair();
      this.fd = fd;
      ends.push(fd);
      visitors.add(theirs);
      if (pid === undefined) return;
      this.say(encodeAnswer(SAID.hello, 0, { first: pid }));
      hear();
    }

    /** What it is asked next; undefined when nothing is. */
    next(): (VisitRequest & { descriptors: readonly number[] }) | undefined {
      try {
        const { bytes, descriptors } = kernel.receiveMessage(this.fd, this.#buffer, true);
        ends.push(...descriptors);
        const request = decodeVisit(Buffer.from(this.#buffer.subarray(0, bytes)));
        return request && { ...request, descriptors };
      } catch (error) {
        if (error instanceof KernelError && error.code === 'EAGAIN') return undefined;
        throw error;
      }
    }

    /** The paths of all that it is asked. */
    paths(): string[] {
      const paths: string[] = [];
      for (let next = this.next(); next; next = this.next()) paths.push(next.path.toString());
      return paths;
    }

    say(message: Buffer, descriptors: readonly number[] = []): void {
      kernel.sendMessage(this.fd, message, descriptors);
    }

    /** Answers the next request. */
    answer(kind: number, parts: Partial<VisitAnswer> = {}, descriptors: readonly number[] = []): void {
      this.say(encodeAnswer(kind, this.next()?.number ?? 0, parts), descriptors);
      hear();
    }

    end(): void {
      const [fd = -1] = ends.splice(ends.indexOf(this.fd), 1);
      kernel.close(fd);
      hear();
    }
  }

  const hear = () => visitors.hear(now);
  const then = (answer: unknown) => void answers.push(answer);
  const walk = (name: string, peer = alice) => visitors.walk(peer, root, Buffer.from(name), NOWHERE, then);
  const heard = () => {
    hear();
    return answers.splice(0);
  };

  beforeEach(() => {
    lost = [];
    answers = [];
    ends = [];
    now = 5_000;
    visitors = new Visitors({ kernel, limitMs: LIMIT_MS, clock: () => now, onStuck: (pid) => lost.push(pid) });
    root = openSync('/', 'r');
  });
  afterEach(() => {
    for (const fd of [...visitors.fds, ...ends, root]) closeSync(fd);
  });

  test('are asked as the user, with a descriptor that may be closed at once, and answer', () => {
    const visitor = new Played(77);
    const own = openSync('/proc', 'r');
    visitors.walk(alice, own, Buffer.from('a/b'), Buffer.from('handle'), then);
    closeSync(own);
    const asked = visitor.next();
    expect(asked).toMatchObject({ type: VISIT.walk, identity: { uid: 12_345, gid: 12_345, groups: [5, 6] } });
    expect([asked?.path.toString(), asked?.handle.toString()]).toEqual(['a/b', 'handle']);
    expect(asked?.descriptors.map((fd) => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(['/proc']);
    expect([visitors.asked, visitors.waiting, visitors.stuck]).toEqual([1, 1, 0]);
    visitor.say(encodeAnswer(SAID.reached, asked?.number ?? 0, { first: MAY_SEARCH }));
    expect(answers).toEqual([]);
    expect(heard()).toEqual([{ canSearch: true, canRead: false }]);
    expect([visitors.asked, visitors.waiting, visitors.stuck]).toEqual([1, 0, 0]);
  });

  test('have at most eight requests each, in order; the rest waits', () => {
    const visitor = new Played(77);
    for (let count = 1; count <= 10; count++) walk(`${count}`);
    const first = visitor.next();
    expect(visitor.paths()).toEqual(['2', '3', '4', '5', '6', '7', '8']);
    visitor.say(encodeAnswer(SAID.unreached, first?.number ?? 0));
    expect(heard()).toEqual([undefined]);
    expect(visitor.paths()).toEqual(['9']);
    expect(visitors.waiting).toBe(9);
  });

  test('share what there is to do, and users take turns', () => {
    const [one, other] = [new Played(77), new Played(78)];
    for (let count = 1; count <= 20; count++) walk(`a${count}`);
    for (let count = 1; count <= 2; count++) walk(`b${count}`, bob);
    const [oneFirst, otherFirst] = [one.next(), other.next()];
    expect([oneFirst?.path.toString(), otherFirst?.path.toString()]).toEqual(['a1', 'a2']);
    expect([...one.paths(), ...other.paths()]).toHaveLength(14);
    one.say(encodeAnswer(SAID.unreached, oneFirst?.number ?? 0));
    other.say(encodeAnswer(SAID.unreached, otherFirst?.number ?? 0));
    hear();
    expect([...one.paths(), ...other.paths()]).toEqual(['a17', 'b1']);
  });

  test('take all uids of an owner for one user: in turns, and where one got stuck', () => {
    const owned = [100_000, 100_001].map((uid) => ({ ...userOf(uid), countedAs: bob.uid }));
    for (const peer of [...owned, bob]) for (const time of ['1', '2']) walk(`${peer.uid} ${time}`, peer);
    for (const time of ['1', '2']) walk(time);
    const slow = new Played(77);
    expect(slow.paths()).toEqual(['100000 1', '1', '100000 2', '2', '100001 1', '100001 2', '23456 1', '23456 2']);
    now += LIMIT_MS;
    hear();
    answers = [];
    for (const peer of [...owned, bob, alice]) walk('again', peer);
    expect(heard()).toEqual(['stuck', 'stuck', 'stuck']);
  });

  test('who is slow waits four times as long, and others do not', () => {
    const visitor = new Played(77);
    walk('a');
    for (const name of ['b1', 'b2', 'b3']) walk(name, bob);
    expect(visitor.next()?.path.toString()).toBe('a');
    visitor.say(encodeAnswer(SAID.unreached, 1));
    visitor.answer(SAID.unreached, { tookMs: 900 });
    // They were sent before that was known.
    visitor.answer(SAID.later);
    visitor.answer(SAID.later);
    walk('again');
    expect(visitor.paths()).toEqual(['again']);
    expect(visitors.dueMs).toBe(now + LIMIT_MS);
    now += LIMIT_MS - 1;
    visitor.say(encodeAnswer(SAID.unreached, 5));
    hear();
    expect([visitor.paths(), visitors.dueMs]).toEqual([[], now + 3_600 - LIMIT_MS + 1]);
    now += 3_600 - LIMIT_MS;
    hear();
    expect(visitor.paths()).toEqual([]);
    now += 1;
    hear();
    // In their order.
    expect(visitor.paths()).toEqual(['b2', 'b3']);
    expect([visitors.stuck, lost]).toEqual([0, []]);
  });

  test('what a slow user waits for is given up in the end, but for what is received and what is closed', () => {
    const visitor = new Played(77);
    const [connection, client] = kernel.socketPair();
    ends.push(connection, client);
    walk('a');
    visitor.answer(SAID.unreached);
    walk('slow', bob);
    visitor.answer(SAID.unreached, { tookMs: 4_000 });
    walk('waits', bob);
    visitors.receive(bob, connection, then);
    visitors.letGo(bob, openSync('/', 'r'));
    expect(visitor.next()?.type).toBe(VISIT.letGo);
    visitor.say(encodeAnswer(SAID.letGo, 5));
    now += 5 * LIMIT_MS - 1;
    expect(heard()).toEqual([undefined, undefined]);
    now += 1;
    expect(heard()).toEqual(['stuck']);
  });

  test('where nobody else has asked for anything for a minute, who is slow waits for nothing', () => {
    const visitor = new Played(77);
    walk('a');
    visitor.answer(SAID.unreached);
    walk('b1', bob);
    visitor.answer(SAID.unreached, { tookMs: 900 });
    walk('b2', bob);
    expect(visitor.paths()).toEqual([]);
    now += 3_600;
    hear();
    visitor.answer(SAID.unreached, { tookMs: 900 });
    now += 60_000 - 3_600;
    walk('b3', bob);
    visitor.answer(SAID.unreached, { tookMs: 900 });
    walk('b4', bob);
    expect(visitor.paths()).toEqual(['b4']);
  });

  test('that answer to nothing, or otherwise than they were asked, are ended', () => {
    for (const garbage of [
      () => Buffer.from('garbage'),
      () => encodeAnswer(SAID.hello, 0, { first: 5 }),
      (number: number) => encodeAnswer(SAID.unreached, number + 1),
      (number: number) => encodeAnswer(SAID.opened, number),
      (number: number) => encodeAnswer(99, number),
    ]) {
      const visitor = new Played(77);
      walk('a');
      const number = visitor.next()?.number ?? 0;
      visitor.say(garbage(number), [root]);
      hear();
      expect(lost.splice(0)).toEqual([77]);
      // Another is asked.
      const better = new Played(78);
      expect(better.next()?.path.toString()).toBe('a');
      better.say(encodeAnswer(SAID.reached, number, { first: MAY_READ }));
      expect(heard()).toEqual([{ canSearch: false, canRead: true }]);
      better.end();
      expect(lost.splice(0)).toEqual([78]);
    }
  });

  test('that take too long are ended: what they were at is stuck, and another is asked the rest', () => {
    const slow = new Played(77);
    walk('slow', bob);
    walk('b', bob);
    walk('1');
    walk('2');
    expect(slow.paths()).toEqual(['slow', 'b', '1', '2']);
    expect(visitors.dueMs).toBe(now + LIMIT_MS);
    now += LIMIT_MS - 1;
    expect(heard()).toEqual([]);
    now += 1;
    // What else that user has asked for is not begun.
    expect(heard()).toEqual(['stuck', 'stuck']);
    expect(lost).toEqual([77]);
    expect([visitors.stuck, visitors.waiting]).toEqual([2, 2]);
    const next = new Played(78);
    expect(next.paths()).toEqual(['1', '2']);
  });

  test('say who is answered nothing, and until when, as that begins', () => {
    const out: [number, number][] = [];
    const onOut = (uid: number, untilMs: number) => out.push([uid, untilMs]);
    const others = new Visitors({ kernel, limitMs: LIMIT_MS, clock: () => now, onStuck: () => undefined, onOut });
    const [ours, theirs] = kernel.socketPair();
    others.add(ours);
    kernel.sendMessage(theirs, encodeAnswer(SAID.hello, 0, { first: 77 }));
    others.hear(now);
    others.walk(bob, root, Buffer.from('slow'), Buffer.alloc(0), then);
    now += LIMIT_MS;
    expect([out, others.outUntilMs(bob.uid)]).toEqual([[], 0]);
    others.hear(now);
    expect(out).toEqual([[bob.uid, now + 5 * LIMIT_MS]]);
    expect([others.outUntilMs(bob.uid), others.outUntilMs(alice.uid)]).toEqual([now + 5 * LIMIT_MS, 0]);
    // Whatever it asks for then changes nothing.
    others.walk(bob, root, Buffer.from('again'), Buffer.alloc(0), then);
    others.hear(now);
    expect(out).toHaveLength(1);
    closeSync(theirs);
  });

  test('who got stuck is answered at once for a while, longer each time, and others are not', () => {
    for (const lastsMs of [5 * LIMIT_MS, 20 * LIMIT_MS, 80 * LIMIT_MS]) {
      const slow = new Played(77);
      walk('slow', bob);
      now += LIMIT_MS;
      expect(heard()).toEqual(['stuck']);
      slow.end();
      const visitor = new Played(78);
      for (const waitMs of [0, lastsMs - 1]) {
        now += waitMs;
        walk('again', bob);
        expect(visitors.dueMs).toBe(0);
        walk('a');
        expect(heard()).toEqual(['stuck']);
        visitor.answer(SAID.unreached);
        expect(answers.splice(0)).toEqual([undefined]);
      }
      now += 1;
      walk('after', bob);
      visitor.answer(SAID.unreached);
      expect(answers.splice(0)).toEqual([undefined]);
      visitor.end();
    }
  });

  test('without any, requests wait as long as one may take', () => {
    now += 10 * LIMIT_MS;
    walk('a');
    expect(visitors.dueMs).toBe(now + LIMIT_MS);
    const late = new Played();
    now += LIMIT_MS - 1;
    expect(heard()).toEqual([]);
    late.say(encodeAnswer(SAID.hello, 0, { first: 77 }));
    now += LIMIT_MS - 1;
    expect(heard()).toEqual([]);
    expect(late.paths()).toEqual(['a']);
    late.end();
    walk('b');
    // Counted from when the last one has gone.
    expect(visitors.dueMs).toBe(now + LIMIT_MS);
    now += LIMIT_MS;
    expect(heard()).toEqual(['stuck', 'stuck']);
    // Nobody is to blame.
    const next = new Played(78);
    walk('c');
    expect(next.paths()).toEqual(['c']);
  });

  test('that end are replaced: what one was at is asked once more, and then no more', () => {
    walk('poison', bob);
    walk('a');
    new Played(77).end();
    expect(lost).toEqual([77]);
    const second = new Played(78);
    expect(second.paths()).toEqual(['poison', 'a']);
    second.end();
    expect(heard()).toEqual(['stuck']);
    expect(new Played(79).paths()).toEqual(['a']);
  });

  test('what has received, or may have, is not asked to again', () => {
    const [connection, client] = kernel.socketPair();
    ends.push(connection, client);
    visitors.receive(bob, connection, then);
    visitors.receive(alice, client, then);
    const visitor = new Played(77);
    expect(visitor.next()?.type).toBe(VISIT.receive);
    visitor.end();
    expect(heard()).toEqual(['stuck']);
    const next = new Played(78);
    const target = openSync('/proc', 'r');
    next.answer(SAID.received, { first: 1, second: 42, bytes: Buffer.from('request') }, [target]);
    closeSync(target);
    const [received] = answers.splice(0) as [{ target: number }];
    ends.push(received.target);
    expect(received).toMatchObject({ bytes: Buffer.from('request'), problem: undefined, canRead: true });
    expect(received).toMatchObject({ filesystemType: 42 });
    expect(readlinkSync(`/proc/self/fd/${received.target}`)).toBe('/proc');
  });

  test('that end for what they were given have not begun the rest, and who gave it waits', () => {
    const [connection, client] = kernel.socketPair();
    ends.push(connection, client);
    const visitor = new Played(77);
    visitors.receive(bob, connection, then);
    visitors.receive(alice, client, then);
    visitor.answer(SAID.received, { problem: 'bad', isLast: true });
    expect(answers.splice(0)).toMatchObject([{ problem: 'bad', target: undefined }]);
    expect(lost).toEqual([77]);
    const next = new Played(78);
    expect(next.next()?.identity.uid).toBe(alice.uid);
    walk('b', bob);
    expect(heard()).toEqual(['stuck']);
  });

  test('let go of what they alone have then, after what is received from it', () => {
    const visitor = new Played(77);
    const [connection, client] = kernel.socketPair();
    ends.push(client);
    visitors.receive(bob, connection, then);
    visitors.letGo(bob, connection);
    expect(readlinkSync(`/proc/self/fd/${connection}`)).toMatch(/^socket:/);
    visitor.answer(SAID.received, { bytes: Buffer.from('x') });
    expect(answers).toHaveLength(1);
    const asked = visitor.next();
    expect(asked?.type).toBe(VISIT.letGo);
    // The copy to receive from, and this one.
    for (const fd of ends.splice(-2)) kernel.close(fd);
    expect(kernel.receiveMessage(client, Buffer.alloc(8), true).bytes).toBe(0);
    visitor.say(encodeAnswer(SAID.letGo, asked?.number ?? 0));
    expect(visitors.waiting).toBe(1);
    expect(heard()).toHaveLength(1);
    expect(visitors.waiting).toBe(0);
  });

  test('what is to be let go waits for as long as it takes, of whomever it is', () => {
    const [connection, client] = kernel.socketPair();
    ends.push(client);
    visitors.letGo(bob, connection);
    now += 10 * LIMIT_MS;
    hear();
    expect([visitors.waiting, visitors.dueMs]).toEqual([1, Number.POSITIVE_INFINITY]);
    expect(new Played(77).next()?.type).toBe(VISIT.letGo);
  });

  test('give a descriptor, none, or nothing, of the files of events', () => {
    const visitor = new Played(77);
    const event = openSync('/proc', 'r');
    for (let count = 0; count < 4; count++) visitors.visit(alice, root, event, 0o2, then);
    closeSync(event);
    const asked = visitor.next();
    expect(asked).toMatchObject({ type: VISIT.visit, flags: 0o2 });
    expect(asked?.descriptors.map((fd) => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(['/', '/proc']);
    visitor.say(encodeAnswer(SAID.opened, asked?.number ?? 0), [root]);
    visitor.answer(SAID.refused);
    visitor.answer(SAID.unreached);
    visitor.answer(SAID.failed);
    const [opened, ...others] = answers as [number];
    ends.push(opened);
    expect(readlinkSync(`/proc/self/fd/${opened}`)).toBe('/');
    expect(others).toEqual([null, undefined, 'stuck']);
    expect([visitors.stuck, lost]).toEqual([1, []]);
  });

  test('are known by their pids, also when they have gone', () => {
    const visitor = new Played(77);
    expect([visitors.isVisitor(77), visitors.isVisitor(78)]).toEqual([true, false]);
    visitor.end();
    expect(visitors.isVisitor(77)).toBe(true);
  });

  test('are not known any more when their pids may be those of others', () => {
    new Played(NO_PID).end();
    now += GONE_MS - 1;
    expect(visitors.isVisitor(NO_PID)).toBe(true);
    now += 1;
    expect(visitors.isVisitor(NO_PID)).toBe(false);
  });

  test('are known for as long as they run, however long they have been stuck', async () => {
    const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    const before = new Set(openNow());
    new Played(pid).end();
    now += 10 * GONE_MS;
    expect(visitors.isVisitor(pid)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(visitors.isVisitor(pid)).toBe(false);
    new Played(NO_PID).end();
    expect(openNow().filter((fd) => !before.has(fd) && !ends.includes(Number(fd)))).toEqual([]);
  });

  test('that never say that they are ready are given up', () => {
    const never = new Played();
    expect(visitors.fds).toHaveLength(1);
    now += START_MS;
    hear();
    expect([lost, visitors.fds]).toEqual([[null], []]);
    expect(kernel.receiveMessage(never.fd, Buffer.alloc(8), true).bytes).toBe(0);
  });

  test('leave nothing open', () => {
    const before = new Set(openNow());
    const visitor = new Played(NO_PID);
    for (let count = 0; count < 20; count++) walk(`${count}`, count % 2 === 0 ? alice : bob);
    for (let count = 0; count < 3; count++) visitor.answer(SAID.unreached);
    now += LIMIT_MS;
    hear();
    new Played(NO_PID).end();
    now += LIMIT_MS;
    hear();
    expect(visitors.waiting).toBe(0);
    expect(openNow().filter((fd) => !before.has(fd) && !ends.includes(Number(fd)))).toEqual([]);
  });
});

function openNow(): string[] {
  const kernel = linuxKernel();
  const all = kernel.readDirectory('/proc/self/fd').map(({ name }) => name.toString());
  // The one of the listing has gone.
  return all.filter((fd) => {
    try {
      return kernel.readlink(`/proc/self/fd/${fd}`).length > 0;
    } catch {
      return false;
    }
  });
}
