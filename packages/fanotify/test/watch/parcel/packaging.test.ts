// A program changes one import, whichever way it imports.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const library = join(import.meta.dirname, '../../..');
const home = mkdtempSync(join(tmpdir(), 'fanotify-imports-'));
mkdirSync(join(home, 'node_modules'));
symlinkSync(library, join(home, 'node_modules/fanotify'));
afterAll(() => rmSync(home, { recursive: true }));

const use = `watcher.subscribe(${JSON.stringify(home)}, () => {}).then(async (subscription) => {
  await subscription.unsubscribe();
  console.log(['getEventsSince', 'subscribe', 'unsubscribe', 'writeSnapshot'].map((name) => typeof watcher[name]).join());
});`;

it.each([
  ['a default import', 'program.mjs', `import watcher from 'fanotify/parcel-watcher';`],
  ['a namespace import', 'program.mjs', `import * as watcher from 'fanotify/parcel-watcher';`],
  [
    'named imports',
    'program.mjs',
    `import { getEventsSince, subscribe, unsubscribe, writeSnapshot } from 'fanotify/parcel-watcher';
    const watcher = { getEventsSince, subscribe, unsubscribe, writeSnapshot };`,
  ],
  ['require()', 'program.cjs', `const watcher = require('fanotify/parcel-watcher');`],
  ['a default that require() gave', 'program.cjs', `const { default: watcher } = require('fanotify/parcel-watcher');`],
])('%s', (_, name, line) => {
  const program = join(home, name);
  writeFileSync(program, `${line}\n${use}`);
  const output = execFileSync(process.execPath, [program], { encoding: 'utf8' });
  expect(output).toBe('function,function,function,function\n');
});
