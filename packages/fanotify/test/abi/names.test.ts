// Masks as names and back.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EVENT_BITS, maskNames, parseMask } from '../../src/abi/index.ts';

it('names each bit, lowest first', () => {
  expect(maskNames(0x5000_0060n)).toEqual(['FAN_OPEN', 'FAN_MOVED_FROM', 'FAN_RENAME', 'FAN_ONDIR']);
  expect(maskNames(0n)).toEqual([]);
});

it('keeps bits that have no name as one number', () => {
  expect(maskNames(0x8000_0000_2000_0020n)).toEqual(['FAN_OPEN', '0x8000000020000000']);
});

it('reads back what it wrote, for any mask', () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (mask) => parseMask(maskNames(mask)) === mask));
});

it('reads every name, and the two that stand for two bits', () => {
  for (const { name, value } of EVENT_BITS) expect(parseMask([name])).toBe(value);
  expect(parseMask(['FAN_CLOSE', 'FAN_MOVE'])).toBe(0xd8n);
});

it.each(['FAN_OPENED', 'fan_open', '', '0x', '32', '0x10000000000000000', '-0x1'])('refuses %j', (name) => {
  expect(() => parseMask([name])).toThrow(expect.objectContaining({ code: 'NAME_UNKNOWN' }));
});
