// The journal of a run: what is in it is not measured again.

import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openJournal } from '../src/journal.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bench-journal-'));
  file = join(directory, 'journal');
});

afterEach(() => rmSync(directory, { recursive: true }));

it('finds what was kept, by scenario, contestant and round', () => {
  const sample = { figures: { ms: 1.5 }, remark: 'slow' };
  openJournal(file, 1).keep('start', 'peer', 2, sample);
  const journal = openJournal(file, 1);
  expect(journal.find('start', 'peer', 2)).toEqual(sample);
  expect(journal.find('start', 'peer', 1)).toBeUndefined();
  expect(journal.find('storm', 'peer', 2)).toBeUndefined();
});

it('does not take what was measured with other loads', () => {
  openJournal(file, 0.1).keep('start', 'peer', 0, { figures: { ms: 1 } });
  expect(openJournal(file, 1).find('start', 'peer', 0)).toBeUndefined();
});

it('goes on behind a line that was not written to its end', () => {
  openJournal(file, 1).keep('start', 'peer', 0, { figures: { ms: 1 } });
  appendFileSync(file, '{"scale":1,"scen');
  openJournal(file, 1).keep('start', 'peer', 1, { figures: { ms: 2 } });
  const journal = openJournal(file, 1);
  expect([0, 1].map((round) => journal.find('start', 'peer', round)?.figures.ms)).toEqual([1, 2]);
});

it('keeps nothing without a file', () => {
  const journal = openJournal(undefined, 1);
  journal.keep('start', 'peer', 0, { figures: {} });
  expect(journal.find('start', 'peer', 0)).toBeUndefined();
  expect(() => readFileSync(file)).toThrow('ENOENT');
});
