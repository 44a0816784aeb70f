// docs/proposal.md says of each sentence of the proposal which tests show it: they are there, under these names.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const page = readFileSync(join(import.meta.dirname, '../../../../docs/proposal.md'), 'utf8');
const table = page.slice(page.indexOf('| the mail | shown by |')).split('\n').slice(2);
const rows = table.filter((line) => line.startsWith('|')).map((line) => line.slice(2, -2).split(' | '));

const titles = new Map<string, Set<string>>();
for (const name of readdirSync(import.meta.dirname)) {
  const [, face] = /^(syscalls|socket|device)\.test\.ts$/.exec(name) ?? [];
  if (face === undefined) continue;
  const text = readFileSync(join(import.meta.dirname, name), 'utf8');
  // test('title', …), or the first of a row of test.each.
  titles.set(face, new Set([...text.matchAll(/(?:test\(|\[)\s*'([^']*)'/g)].map(([, title = '']) => title)));
}

test('each sentence has tests', () => {
  expect(rows.length).toBeGreaterThan(15);
});

test.each(rows)('%s', (_sentence, shown = '') => {
  const named = [...shown.matchAll(/(syscalls|socket|device): ((?:"[^"]*"(?:, )?)+)/g)].flatMap(
    ([, face = '', list = '']) => [...list.matchAll(/"([^"]*)"/g)].map(([, title = '']) => ({ face, title })),
  );
  expect(named).not.toEqual([]);
  expect(named.filter(({ face, title }) => !titles.get(face)?.has(title))).toEqual([]);
});
