// The command line of the bench: what cannot be meant is answered with a sentence.

import { describe, expect, it } from 'vitest';
import { parseOptions } from '../src/options.ts';

const SCENARIOS = ['event-cost', 'storm'];

describe('the options of the bench', () => {
  it('are five rounds of whole loads without any', () => {
    expect(parseOptions([], SCENARIOS)).toMatchObject({ rounds: 5, scale: 1, only: undefined, long: false });
  });

  it('take scenarios by name', () => {
    expect(parseOptions(['--only', 'storm,event-cost'], SCENARIOS).only).toEqual(['storm', 'event-cost']);
  });

  it('take contestants by a part of their name, as many as are given', () => {
    expect(parseOptions(['--who', 'nsfw', '--who', 'watch(), baseline'], SCENARIOS).who).toEqual([
      'nsfw',
      'watch(), baseline',
    ]);
  });

  it.each([
    [['--only', 'speed'], '--only: there is no scenario speed: event-cost, storm'],
    [['--only', ''], '--only: name a scenario: event-cost, storm'],
    [['--rounds', '0'], '--rounds: 0 is no whole number above 0'],
    [['--scale', 'big'], '--scale: big is no number above 0 and up to 2'],
    [['--round', '3'], "Unknown option '--round'. Try --help."],
  ])('refuse %j', (args, sentence) => {
    expect(() => parseOptions(args, SCENARIOS)).toThrow(sentence);
  });
});
