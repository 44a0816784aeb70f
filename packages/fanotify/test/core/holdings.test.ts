// What groups of one user may hold together: of places among the undecided accesses, of descriptors, and of others' time.

import { expect, test } from 'vitest';
import { FAN_OPEN, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import type { CoreGroup } from '../../src/core/group.ts';
import { Holdings } from '../../src/core/holdings.ts';
import { OWNER, Scene } from './fake-feed.ts';

const FILE = 7;
const SETTINGS = { mask: 0n, priority: 0, flags: 0, eventFlags: 0 };

/** Groups that are asked about a file, and told of it. */
function sceneOf(users: readonly Holdings[], bounds: { longestMs?: number; maxPending?: number } = {}) {
  const scene = new Scene();
  scene.thing({ ino: FILE });
  const groups = users.map((holdings) => {
    const group = scene.core.open(SETTINGS, OWNER, { maxQueued: 100, maxPending: 100, ...bounds, holdings });
    scene.mark(group, FILE, FAN_OPEN | FAN_OPEN_PERM);
    return group;
  });
  return { scene, groups };
}

const waiting = (groups: readonly CoreGroup[]) => groups.map(({ statistics }) => statistics.pending);

test('an access waits for all groups of a user no longer than it may for one', () => {
  const [anna, bert] = [new Holdings(), new Holdings()];
  const { scene, groups } = sceneOf([anna, anna, bert, anna, anna], { longestMs: 1_000 });
  for (const group of groups) scene.core.setTimeout(group, 600, 'allow');
  const fd = scene.hold(FILE, FAN_OPEN_PERM);
  expect(waiting(groups)).toEqual([1, 0, 0, 0, 0]);
  scene.pass(600);
  expect(waiting(groups)).toEqual([0, 1, 0, 0, 0]);
  scene.pass(399);
  expect(waiting(groups)).toEqual([0, 1, 0, 0, 0]);
  scene.pass(1);
  // The other user has all of his time; the first one's other groups have none left.
  expect(waiting(groups)).toEqual([0, 0, 1, 0, 0]);
  scene.pass(599);
  expect(scene.left).toEqual([]);
  scene.pass(1);
  expect(scene.left).toEqual([[fd, true]]);
  expect(groups.map(({ statistics }) => statistics.timedOut)).toEqual([1, 1, 1, 1, 1]);
});

test('what is answered in time leaves the rest of it to the others, and one that has none left its policy', () => {
  const anna = new Holdings();
  const { scene, groups } = sceneOf([anna, anna, anna], { longestMs: 1_000 });
  for (const group of groups) scene.core.setTimeout(group, 900, 'deny');
  const fd = scene.hold(FILE, FAN_OPEN_PERM);
  const [first, second] = groups as [CoreGroup, CoreGroup, CoreGroup];
  scene.pass(500);
  scene.core.respond(first, scene.read(first)[0]?.cookie ?? 0n, 1);
  scene.pass(499);
  scene.core.respond(second, scene.read(second)[0]?.cookie ?? 0n, 1);
  expect(scene.left).toEqual([]);
  scene.pass(1);
  expect(scene.left).toEqual([[fd, false]]);
  // The next has all of it.
  scene.hold(FILE, FAN_OPEN_PERM);
  scene.pass(899);
  expect(waiting(groups)).toEqual([1, 0, 0]);
});

test('accesses and notifications that wait are counted for all groups of a user, until nothing is left of them', () => {
  const anna = new Holdings();
  const { scene, groups } = sceneOf([anna, anna]);
  const [first, second] = groups as [CoreGroup, CoreGroup];
  for (let count = 0; count < 3; count++) scene.hold(FILE, FAN_OPEN_PERM);
  scene.happen(FILE, FAN_OPEN);
  expect([anna.pending, anna.queued]).toEqual([3, 2]);
  scene.core.respond(first, scene.read(first)[0]?.cookie ?? 0n, 1);
  expect([anna.pending, anna.queued]).toEqual([3, 1]);
  scene.core.close(second);
  expect([anna.pending, anna.queued]).toEqual([2, 0]);
  scene.pass(60_000);
  scene.core.close(first);
  expect([anna.pending, anna.queued]).toEqual([0, 0]);
});
