// Medians, ratios, and when a difference is none.

import { expect, it } from 'vitest';
import { ratiosOf, spreadOf, tellsApart } from '../src/statistics.ts';

it('takes the middle of an odd number of figures, and between the two of an even one', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
});

it('compares round by round, so that a slow round is slow for both', () => {
  expect(ratiosOf([2, 20], [1, 10])).toEqual([2, 2]);
});

it('calls a difference below the spread no result', () => {
  expect(tellsApart({ median: 0.5, min: 0.4, max: 0.7 })).toBe(true);
  expect(tellsApart({ median: 2, min: 1.5, max: 2.5 })).toBe(true);
  expect(tellsApart({ median: 0.9, min: 0.8, max: 1.1 })).toBe(false);
  expect(tellsApart({ median: 1, min: 1, max: 1 })).toBe(false);
});
