// What a client sees of events while it is being looked at whether it may: they keep their order, and what cannot be found out is lost and
// told.

import { expect, test } from 'vitest';
import { FAN_OPEN, FAN_OPEN_PERM, FAN_Q_OVERFLOW } from '../../src/abi/index.ts';
import { MarkedPlace } from '../../src/broker/descriptors/marked-place.ts';
import { Sight } from '../../src/broker/descriptors/sight.ts';
import { UngrantedSubtrees } from '../../src/broker/descriptors/ungranted-subtrees.ts';
import { Keep } from '../../src/broker/keep.ts';
import { UNGRANTED } from '../../src/broker/rights.ts';
import type { ClientConnection } from '../../src/broker/served.ts';
import type { Then, Visits } from '../../src/broker/visits.ts';
import { Carried } from '../../src/core/carried.ts';
import type { Kernel } from '../../src/kernel/index.ts';
import { Scene } from '../core/fake-feed.ts';
import { rightsOf } from './house.ts';

type Answer = number | null | undefined | 'stuck';

/** A client with a mark of a file system, and visits that are answered by hand. */
function look(all = false, lose?: () => boolean) {
  const scene = new Scene();
  const closed: number[] = [];
  const asked: { readonly event: number; readonly then: Then<number | null | undefined> }[] = [];
  const kernel = {
    close: (fd: number) => closed.push(fd),
    statAt: () => ({ uid: 0 }),
  } as unknown as Kernel;
  const visits = {
    visit: (_peer: object, _root: number, event: number, _flags: number, then: Then<number | null | undefined>) =>
      asked.push({ event, then }),
  } as unknown as Visits;
  const group = scene.open();
  let looked = 0;
  const sight = new Sight({
    kernel,
    core: scene.core,
    group,
    visits,
    connection: { rights: rightsOf([], { uid: 1 }) } as unknown as ClientConnection,
    eventFlags: 0,
    looked: () => looked++,
    ...(lose && { lose }),
  });
  const carried = new Carried(50, () => undefined);
  const counts = { keep: new Keep(10), subtrees: new UngrantedSubtrees() };
  const place = new MarkedPlace(
    { carried, canRead: true, filesystemType: 1 },
    'filesystem',
    { ...UNGRANTED, all },
    1,
    counts,
  );
  scene.thing({ ino: 1 });
  const change = { scope: 'filesystem', mask: FAN_OPEN | FAN_OPEN_PERM, ignored: 0n, survivesModify: false } as const;
  scene.core.addMark(group, 1, change, place);
  return {
    scene,
    group,
    sight,
    closed,
    asked,
    happen: (ino: number) => {
      scene.thing({ ino });
      return scene.happen(ino, FAN_OPEN);
    },
    answer(event: number, answer: Answer) {
      const at = asked.findIndex((one) => one.event === event);
      asked.splice(at, 1)[0]?.then(answer);
    },
    /** What can be told now, and then is. */
    told() {
      const { told, of } = sight.visible(group.queue.peek(100));
      const descriptors = told.map(({ bits, carried: fd }) => (BigInt(bits) === FAN_Q_OVERFLOW ? 'lost' : fd?.fd));
      group.queue.taken(of);
      sight.taken(of);
      return descriptors;
    },
    get looked() {
      return looked;
    },
  };
}

test('events are told in their order, whichever is found out first', () => {
  const client = look();
  const [first, second, third] = [client.happen(1), client.happen(2), client.happen(3)] as [number, number, number];
  expect(client.told()).toEqual([]);
  client.answer(second, 202);
  expect(client.told()).toEqual([]);
  client.answer(first, null);
  expect(client.told()).toEqual([undefined, 202]);
  client.answer(third, undefined);
  expect(client.told()).toEqual([]);
  expect(client.group.queue.length).toBe(0);
  // Each descriptor of the client's own was closed when it was told.
  expect(client.closed).toEqual([202]);
  expect(client.looked).toBe(3);
});

test('what takes too long is lost, and told in its place', () => {
  const client = look();
  const [first, second] = [client.happen(1), client.happen(2)] as [number, number];
  client.told();
  client.answer(second, 202);
  client.answer(first, 'stuck');
  expect(client.told()).toEqual(['lost', 202]);
  expect(client.group.statistics).toMatchObject({ lost: 1, overflows: 1 });
});

test('what nobody could look at is a loss where that may be said, and else nothing', () => {
  const told = [true, false, false];
  const client = look(false, () => told.shift() ?? false);
  const events = [client.happen(1), client.happen(2), client.happen(3), client.happen(4)] as const;
  client.told();
  for (const event of events.slice(0, 3)) client.answer(event ?? 0, 'stuck');
  client.answer(events[3] ?? 0, 204);
  client.scene.core.happenedSomewhere(client.group.notification, Number(FAN_OPEN), 1);
  expect(client.told()).toEqual(['lost', 204]);
  expect(client.group.statistics).toMatchObject({ lost: 1, overflows: 1, queued: 0 });
});

test('only what is told for certain is counted', () => {
  const client = look();
  const [first, second] = [client.happen(1), client.happen(2)] as [number, number];
  const { queue } = client.group;
  client.told();
  expect([queue.length, client.sight.certain(queue.peek(100))]).toEqual([2, 0]);
  client.answer(second, 202);
  expect(client.sight.certain(queue.peek(100))).toBe(1);
  client.answer(first, undefined);
  expect([queue.length, client.sight.certain(queue.peek(100))]).toEqual([1, 1]);
});

test('an event that is being looked at takes no other in: that would need another look', () => {
  const client = look();
  const first = client.happen(1);
  client.told();
  const again = client.happen(1);
  client.answer(first, 201);
  expect(client.told()).toEqual([201]);
  client.answer(again, undefined);
  expect(client.told()).toEqual([]);
});

test('of one client no more is looked at than a little at a time', () => {
  const client = look();
  for (let ino = 1; ino <= 100; ino++) client.happen(ino);
  client.told();
  expect(client.asked).toHaveLength(32);
  for (const { event } of [...client.asked]) client.answer(event, 1_000 + event);
  expect(client.told()).toHaveLength(32);
  expect(client.asked).toHaveLength(32);
});

test('whoever may hear all has nothing looked at', () => {
  const client = look(true);
  const fd = client.happen(1);
  expect(client.told()).toEqual([fd]);
  expect(client.asked).toEqual([]);
});

test('an access that it may not hear of is not its to decide; one that nobody could look at gets its policy', () => {
  const client = look();
  client.scene.core.setTimeout(client.group, 1_000, 'deny');
  const [first, second] = [client.scene.hold(1, FAN_OPEN_PERM), client.scene.hold(1, FAN_OPEN_PERM)];
  client.told();
  client.answer(first, undefined);
  client.answer(second, 'stuck');
  expect(client.scene.left).toEqual([
    [first, true],
    [second, false],
  ]);
  expect(client.told()).toEqual([]);
});

test('what is found out too late is closed', () => {
  const client = look();
  const [first, second] = [client.scene.hold(1, FAN_OPEN_PERM), client.happen(2)];
  client.told();
  client.scene.pass(60_000);
  client.answer(first, 201);
  expect(client.closed).toEqual([201]);
  client.scene.core.close(client.group);
  client.sight.close();
  client.answer(second, 202);
  expect(client.closed).toEqual([201, 202]);
});

test('an event of which nothing tells what it is of is lost, to whoever may not hear all', () => {
  const client = look();
  client.scene.core.happenedSomewhere(client.group.notification, Number(FAN_OPEN), 1);
  expect(client.told()).toEqual(['lost']);
});
