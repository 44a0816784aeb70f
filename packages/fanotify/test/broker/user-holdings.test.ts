// How much a group may hold, as what else its user holds leaves it.

import { expect, test } from 'vitest';
import { LEAST_OF_GROUP, mostHeld, UserHoldings } from '../../src/broker/user-holdings.ts';

test('a group alone holds what it may, and with others of its user no more than its user may', () => {
  const held = Array.from({ length: 32 }, () => 0);
  const ofUser = () => held.reduce((sum, own) => sum + own, 0);
  for (let round = 0; round < 256; round++) {
    for (const [at, own] of held.entries()) if (own < mostHeld(own, 256, ofUser(), 1_000)) held[at] = own + 1;
  }
  // Each has the least, and all together what they may.
  expect(Math.min(...held)).toBeGreaterThanOrEqual(LEAST_OF_GROUP);
  expect(ofUser()).toBe(1_000);
  expect(mostHeld(255, 256, 255, 1_000)).toBe(256);
});

test('one that holds everything leaves the others of its user the least, and whoever is granted more has that', () => {
  expect(mostHeld(0, 256, 1_000, 1_000)).toBe(LEAST_OF_GROUP);
  expect(mostHeld(256, 256, 1_000, 1_000)).toBe(256);
  expect(mostHeld(0, 4, 1_000, 1_000)).toBe(4);
  expect(mostHeld(3_000, 4_096, 3_000, 1_000)).toBe(4_096);
});

test('all uids of one owner are one user, of whom nothing is kept once all have left', () => {
  const users = new UserHoldings();
  const peer = (uid: number, countedAs?: number) => ({ pid: 1, uid, gid: uid, groups: [], countedAs });
  const first = users.joined(peer(1000));
  expect(users.joined(peer(100_000, 1000))).toBe(first);
  expect(users.joined(peer(1001))).not.toBe(first);
  users.left(peer(1000));
  expect(users.joined(peer(1000))).toBe(first);
  for (const each of [peer(1000), peer(100_000, 1000)]) users.left(each);
  expect(users.joined(peer(1000))).not.toBe(first);
});
