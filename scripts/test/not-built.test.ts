// A command of a checkout that nobody has built says what to do.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const checkout = mkdtempSync(join(tmpdir(), 'not-built-'));
afterAll(() => rmSync(checkout, { recursive: true }));

test.each(['fanotify', 'fanotifyd'])('%s', (name) => {
  const its = join('packages', name);
  for (const part of ['bin', 'package.json'])
    cpSync(join(root, its, part), join(checkout, its, part), { recursive: true });
  const command = spawnSync(process.execPath, [join(checkout, its, 'bin', `${name}.cjs`)], { encoding: 'utf8' });
  expect(command.stderr).toBe(`${name} is not built yet: run 'npm run set-up' in ${checkout}.\n`);
  expect(command.status).toBe(1);
});
