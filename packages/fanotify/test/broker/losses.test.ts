// When clients are told of losses of which nobody knows whether they are theirs: at times that say nothing of what has happened.

import { expect, test } from 'vitest';
import { Losses } from '../../src/broker/losses.ts';

test('the first is told at once, those that follow all together, and behind them', () => {
  const losses = new Losses<object>();
  const [one, other] = [{}, {}];
  expect(losses.dueMs).toBe(Number.POSITIVE_INFINITY);
  expect([losses.lose(one, 1_000), losses.lose(one, 1_001), losses.lose(one, 5_999)]).toEqual([true, false, false]);
  expect(losses.lose(other, 2_000)).toBe(true);
  expect(losses.dueMs).toBe(6_000);
  expect(losses.due(5_999)).toEqual([]);
  expect(losses.due(6_000)).toEqual([one]);
  expect(losses.due(6_001)).toEqual([]);
  expect(losses.dueMs).toBe(7_000);
  losses.forget(other);
  expect(losses.dueMs).toBe(Number.POSITIVE_INFINITY);
  expect(losses.lose(one, 6_002)).toBe(true);
});

test('while nobody looks for a user they are told again and again, whether or not anything happens', () => {
  const tell = (isBusy: boolean) => {
    const losses = new Losses<object>();
    const group = {};
    const told = losses.loseUntil(group, 21_000, 1_000) ? [1_000] : [];
    for (let now = 1_000; now <= 40_000; now += 500) {
      if (isBusy && now < 21_000 && losses.lose(group, now)) told.push(now);
      for (const _ of losses.due(now)) told.push(now);
    }
    return told;
  };
  expect(tell(false)).toEqual([1_000, 6_000, 11_000, 16_000, 21_000]);
  expect(tell(true)).toEqual(tell(false));
});
