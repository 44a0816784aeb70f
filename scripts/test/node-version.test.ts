// A Node older than "engines" is told so in one sentence, before anything it could stumble over is loaded.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** Runs a script in a Node that gives itself out as another, and ends with 99 where it would load anything but the check. */
function runAs(version: string, file: string, args: readonly string[]) {
  const pretend = `
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });
    process.argv.push(...${JSON.stringify(args)});
    const Module = require('node:module');
    const load = Module._load;
    Module._load = function (name, ...rest) {
      if (!['node-version.cjs', 'package.json', '${file}'].some((known) => name.endsWith(known))) process.exit(99);
      return load.call(this, name, ...rest);
    };
    require(${JSON.stringify(join(root, file))});`;
  return spawnSync(process.execPath, ['--eval', pretend, '--', file], { encoding: 'utf8' });
}

const ways: [string, string[]][] = [
  ['scripts/run.cjs', ['start']],
  ['scripts/run.cjs', ['test']],
  ['packages/fanotify/bin/fanotify.cjs', ['watch', '.']],
  ['packages/fanotifyd/bin/fanotifyd.cjs', ['check']],
];

test.each(ways)('%s %s tells an old Node', (file, args) => {
  for (const version of ['8.17.0', '18.20.4', '20.18.9']) {
    const { status, stderr, stdout } = runAs(version, file, args);
    expect(stderr).toMatch(
      new RegExp(`^fanotifyd? needs Node 20\\.19\\.0 or newer, and this is Node ${version} \\(.*\\)\\.\n$`),
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  }
});

test('a Node that is new enough goes on to load the rest', () => {
  for (const version of ['20.19.0', '20.100.0', '21.0.0', '100.0.0'])
    expect(runAs(version, 'scripts/run.cjs', ['start']).status).toBe(99);
});
