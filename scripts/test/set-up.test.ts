// Set-up in a checkout of somebody else: whoever comes first, root or the owner, the other one can go on.
// The checkout is a small one whose only dependency is a stand-in for tsc inside it: no network, and quick.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
// `nobody` also has no home directory, so npm's cache has to go elsewhere.
const ordinary = 65534;

let checkout: string;
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'fanotify-checkout-'));
  chmodSync(checkout, 0o755);
  const library = { name: 'fanotify', version: '0.0.0', engines: { node: '>=20' } };
  const compiler = { name: 'typescript', version: '0.0.0' };
  const files = {
    'package.json': { workspaces: ['packages/*'], dependencies: { typescript: 'file:tsc' } },
    'package-lock.json': {
      lockfileVersion: 3,
      packages: {
        '': { workspaces: ['packages/*'], dependencies: { typescript: 'file:tsc' } },
        'node_modules/fanotify': { resolved: 'packages/fanotify', link: true },
        'node_modules/typescript': { resolved: 'tsc', link: true },
        'packages/fanotify': library,
        tsc: compiler,
      },
    },
    'tsconfig.base.json': {},
    'tsc/package.json': compiler,
    'packages/fanotify/package.json': library,
    'packages/fanotify/tsconfig.json': {},
  };
  for (const [name, content] of Object.entries(files)) write(name, JSON.stringify(content));
  write('packages/fanotify/src/cli/main.ts', '');
  const main = 'console.log(process.getuid(), ...process.argv.slice(2)); process.exitCode = 3;';
  write(
    'tsc/bin/tsc',
    `const fs = require('node:fs');
    fs.mkdirSync('packages/fanotify/dist/cli', { recursive: true });
    fs.writeFileSync('packages/fanotify/dist/cli/main.js', ${JSON.stringify(main)});
    if (fs.existsSync('edit-meanwhile')) {
      fs.rmSync('edit-meanwhile');
      fs.writeFileSync('packages/fanotify/src/cli/main.ts', '// edited');
    }`,
  );
  for (const name of ['scripts/run.cjs', 'scripts/start.cjs', 'scripts/set-up.cjs', 'packages/fanotify/bin'])
    cpSync(join(root, name), join(checkout, name), { recursive: true });
});
afterEach(() => rmSync(checkout, { recursive: true }));

function write(name: string, text: string): void {
  mkdirSync(dirname(join(checkout, name)), { recursive: true });
  writeFileSync(join(checkout, name), text);
}

function giveTo(uid: number): void {
  for (const file of everyFile()) chownSync(file, uid, uid);
}

function everyFile(): string[] {
  const inside = readdirSync(checkout, { recursive: true, encoding: 'utf8' });
  return [checkout, ...inside.map((name) => join(checkout, name))];
}

function owners(): number[] {
  return [...new Set(everyFile().map((file) => lstatSync(file).uid))];
}

/** `npm start` as a user: what it printed and its exit code. */
function start(uid: number | undefined, ...args: string[]) {
  const { npm_config_cache: _, ...env } = process.env;
  const home = mkdtempSync(join(tmpdir(), 'fanotify-home-'));
  if (uid !== undefined) chownSync(home, uid, uid);
  const done = spawnSync(process.execPath, ['scripts/run.cjs', 'start', ...args], {
    cwd: checkout,
    encoding: 'utf8',
    env: { ...env, HOME: home, INIT_CWD: '/' },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  rmSync(home, { recursive: true });
  return { said: done.stderr.trim(), printed: done.stdout.trim(), code: done.status };
}

const me = process.getuid?.();
// Root in a container may be without CAP_SYS_ADMIN, the 21st.
const capabilities = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
const mayTrace = ((BigInt(`0x${capabilities}`) >> 21n) & 1n) === 1n;
const jobOfRoot = mayTrace ? 'trace' : 'watch -r /';

test('the first start sets up, the second starts at once, and the exit code is the command’s', () => {
  const printed = `${me} ${me === 0 ? jobOfRoot : 'watch -r /'}`;
  expect(start(undefined)).toEqual({ said: 'Setting up (once)…', printed, code: 3 });
  expect(start(undefined)).toEqual({ said: '', printed, code: 3 });
  expect(start(undefined, 'a b', '-c')).toEqual({ said: '', printed: `${me} a b -c`, code: 3 });
});

test('a source that is changed, added or removed is built again, once', () => {
  start(undefined);
  const source = join(checkout, 'packages/fanotify/src/cli/main.ts');
  const changes = [
    () => writeFileSync(source, '//'),
    () => writeFileSync(join(dirname(source), 'new.ts'), ''),
    () => rmSync(join(dirname(source), 'new.ts')),
  ];
  for (const change of changes) {
    change();
    expect(start(undefined).said).toBe('Building…');
    expect(start(undefined).said).toBe('');
  }
});

test('a source edited while tsc runs is built by the next start', () => {
  write('edit-meanwhile', '');
  expect(start(undefined).said).toBe('Setting up (once)…');
  expect(start(undefined).said).toBe('Building…');
  expect(start(undefined).said).toBe('');
});

test('when a step fails, its own words and one sentence are said', () => {
  write('tsc/bin/tsc', 'console.log("main.ts(1,1): error"); process.exit(2);');
  const { said, code } = start(undefined);
  expect(said).toMatch(/main\.ts\(1,1\): error\nfanotify: set-up stopped, since tsc failed \(exit code 2\)\.$/);
  expect(code).toBe(1);
});

describe.skipIf(me !== 0)('in a checkout of another user', () => {
  test('root first, then the owner: everything made is the owner’s', () => {
    giveTo(ordinary);
    expect(start(undefined)).toMatchObject({ said: 'Setting up (once)…', printed: `0 ${jobOfRoot}`, code: 3 });
    expect(owners()).toEqual([ordinary]);
    expect(start(ordinary)).toMatchObject({ said: '', printed: `${ordinary} watch -r /`, code: 3 });
    writeFileSync(join(checkout, 'packages/fanotify/src/cli/main.ts'), '//');
    expect(start(ordinary).said).toBe('Building…');
  });

  test('the owner first, then root: everything stays the owner’s', () => {
    giveTo(ordinary);
    expect(start(ordinary).said).toBe('Setting up (once)…');
    expect(start(undefined)).toMatchObject({ said: '', code: 3 });
    writeFileSync(join(checkout, 'packages/fanotify/src/cli/main.ts'), '//');
    expect(start(undefined)).toMatchObject({ said: 'Building…', code: 3 });
    expect(owners()).toEqual([ordinary]);
  });

  test('an ordinary user runs what root has set up, and is told what to do where that is missing', () => {
    const refused = start(ordinary);
    expect(refused.said).toContain(`run "npm --prefix ${checkout} run set-up" as root`);
    expect(refused.code).toBe(1);
    start(undefined);
    expect(start(ordinary)).toMatchObject({ said: '', code: 3 });
  });

  test('node_modules that root left in a user’s checkout is named, with the command that mends it', () => {
    giveTo(ordinary);
    mkdirSync(join(checkout, 'node_modules'));
    expect(start(ordinary).said).toContain('chown -R nobody: ');
    expect(start(undefined).said).toContain('chown -R nobody: ');
  });
});
