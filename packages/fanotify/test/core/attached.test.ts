// What whoever marks has put with a mark: it comes with what is heard by that mark, and is let go of once nothing needs it.

import { describe, expect, test } from 'vitest';
import { FAN_CLOSE_WRITE, FAN_ONDIR, FAN_OPEN, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import type { CoreGroup } from '../../src/core/group.ts';
import type { Attached } from '../../src/core/marks.ts';
import type { MarkScope } from '../../src/core/types.ts';
import { OWNER, Scene } from './fake-feed.ts';

const FILE = 7;

class Counted implements Attached {
  readonly weight: number;
  holders = 0;

  constructor(weight = 0) {
    this.weight = weight;
  }

  hold(): this {
    this.holders++;
    return this;
  }

  release(): void {
    this.holders--;
  }
}

function sceneWith(bounds: { maxQueued?: number; maxPending?: number } = {}, isDirectory = false) {
  const scene = new Scene();
  scene.thing({ ino: FILE, isDirectory });
  const settings = { mask: 0n, priority: 0, flags: 0, eventFlags: 0 };
  const group = scene.core.open(settings, OWNER, { maxQueued: 100, maxPending: 100, ...bounds });
  const mark = (mask: bigint, attached: Attached, scope: MarkScope = 'inode') =>
    scene.core.addMark(group, FILE, { scope, mask, ignored: 0n, survivesModify: false }, attached);
  return { scene, group, mark };
}

const attachedTo = (group: CoreGroup) => group.queue.peek(100).map(({ attached }) => attached);

test('is held by its mark, and by what was heard by that, until it is told', () => {
  const { scene, group, mark } = sceneWith();
  const attached = new Counted();
  mark(FAN_OPEN | FAN_OPEN_PERM, attached);
  expect(attached.holders).toBe(1);
  scene.happen(FILE, FAN_OPEN);
  scene.hold(FILE, FAN_OPEN_PERM);
  expect(attachedTo(group)).toEqual([attached, attached]);
  // The mark, the event, the access, and that it is asked about.
  expect(attached.holders).toBe(4);
  scene.core.clearMarks(group);
  expect(attached.holders).toBe(3);
  const [, asked] = scene.read(group);
  expect(attached.holders).toBe(1);
  scene.core.respond(group, asked?.cookie ?? 0n, 1);
  expect(attached.holders).toBe(0);
});

test('is let go of with a mark that was refused, and with a group that is closed', () => {
  const { scene, group, mark } = sceneWith();
  const attached = new Counted();
  scene.feed.refused = 'syncObject';
  expect(() => mark(FAN_OPEN, attached)).toThrow('no marks are left');
  expect(attached.holders).toBe(0);
  mark(FAN_OPEN | FAN_OPEN_PERM, attached);
  scene.happen(FILE, FAN_OPEN);
  scene.hold(FILE, FAN_OPEN_PERM);
  scene.core.close(group);
  expect(attached.holders).toBe(0);
});

test('of several marks counts that of the one with the highest weight which asked for it', () => {
  const { scene, group, mark } = sceneWith();
  const [light, heavy] = [new Counted(0), new Counted(1)];
  mark(FAN_OPEN | FAN_CLOSE_WRITE, light);
  mark(FAN_OPEN, heavy, 'filesystem');
  scene.happen(FILE, FAN_OPEN);
  scene.read(group);
  scene.happen(FILE, FAN_OPEN);
  expect(attachedTo(group)).toEqual([heavy]);
  scene.read(group);
  scene.happen(FILE, FAN_CLOSE_WRITE);
  expect(attachedTo(group)).toEqual([light]);
});

describe('a group that is asked', () => {
  test('too much at a time has its policy decide at once', () => {
    const { scene, group, mark } = sceneWith({ maxPending: 1 });
    mark(FAN_OPEN_PERM, new Counted());
    scene.core.setTimeout(group, 1_000, 'deny');
    const [first, second] = [scene.hold(FILE, FAN_OPEN_PERM), scene.hold(FILE, FAN_OPEN_PERM)];
    expect(scene.left).toEqual([[second, false]]);
    expect(group.statistics).toMatchObject({ pending: 1, timedOut: 1 });
    scene.core.respond(group, scene.read(group)[0]?.cookie ?? 0n, 1);
    expect(scene.left).toEqual([
      [second, false],
      [first, true],
    ]);
  });

  test('what it may not hear leaves it to the others; what it cannot hear, to its policy', () => {
    const { scene, group, mark } = sceneWith();
    mark(FAN_OPEN_PERM, new Counted());
    scene.core.setTimeout(group, 1_000, 'deny');
    const [first, second] = [scene.hold(FILE, FAN_OPEN_PERM), scene.hold(FILE, FAN_OPEN_PERM)];
    const [one, other] = group.queue.peek(2);
    scene.core.passOver(group, one?.ask ?? -1);
    scene.core.giveUp(group, other?.ask ?? -1);
    expect(scene.left).toEqual([
      [first, true],
      [second, false],
    ]);
    expect(group.statistics).toMatchObject({ queued: 0, pending: 0, allowed: 0, denied: 0, timedOut: 1 });
  });
});

test('an event that waits can be dropped, or be lost in its place', () => {
  const { scene, group, mark } = sceneWith();
  const attached = new Counted();
  mark(FAN_OPEN, attached, 'filesystem');
  const descriptors = [1, 2, 3].map((ino) => {
    scene.thing({ ino });
    return scene.happen(ino, FAN_OPEN);
  });
  const [first, second] = group.queue.peek(3);
  if (first) group.queue.drop(first);
  if (second) group.queue.lose(second);
  expect(descriptors.map((fd) => scene.closed.get(fd))).toEqual([1, 1, 0]);
  expect(attached.holders).toBe(2);
  expect(scene.read(group).map(({ mask, fd }) => [mask, fd])).toEqual([
    [0x4000n, undefined],
    [FAN_OPEN, descriptors[2]],
  ]);
  expect(group.statistics).toMatchObject({ queued: 0, lost: 1, overflows: 1 });
  expect(group.queue.notifications).toBe(0);
});

test('a request is answered behind what waited when it came, and nothing is merged across it', () => {
  const { scene, group, mark } = sceneWith({ maxQueued: 2 });
  mark(FAN_OPEN | FAN_CLOSE_WRITE, new Counted());
  scene.happen(FILE, FAN_OPEN);
  group.queue.answerBehind(42);
  scene.happen(FILE, FAN_CLOSE_WRITE);
  expect(group.queue.peek(10).map(({ bits, request }) => [bits, request])).toEqual([
    [Number(FAN_OPEN), undefined],
    [0, 42],
    [Number(FAN_CLOSE_WRITE), undefined],
  ]);
  // It is no event: it takes nobody's place, and is never lost.
  group.queue.shorten(0);
  expect(group.queue.peek(10).map(({ request }) => request)).toEqual([42, undefined]);
});

test('has another stand for it where nothing tells whether it was heard there', () => {
  const { scene, group, mark } = sceneWith({}, true);
  const [perhaps, attached] = [new Counted(), Object.assign(new Counted(1), { perhaps: new Counted() })];
  mark(FAN_OPEN | FAN_ONDIR, attached, 'subtree');
  const [subtree] = scene.core.dispatcher.subtrees;
  if (!subtree) throw new Error('there is none');
  Object.assign(attached, { perhaps });
  const happening = scene.happening(FILE, FAN_OPEN, group.notification);
  scene.core.happened({ ...happening, perhapsIn: () => [subtree] }, 1, undefined);
  expect(attachedTo(group)).toEqual([perhaps]);
  group.queue.taken(group.queue.peek(1));
  // Where one mark tells for certain, that counts.
  scene.core.happened({ ...happening, subtrees: () => [subtree], perhapsIn: () => [subtree] }, 1, undefined);
  expect(attachedTo(group)).toEqual([attached]);
});
