// Ordinary users who try to open what is in a guarded subtree without being asked about: by renames at the same time (c/slip.c), links,
// and mounts of their own. Everything in it is denied, so that whoever succeeds has slipped by.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { canMake, canMount, type ImageType } from '../support/mounts.ts';
import { hasCompiler, NOBODY, reads } from './changing.ts';
import { denying, isRootsPlace, Tree } from './guarded-tree.ts';

const DURATION_MS = Number(process.env.FANOTIFY_SLIP_MS ?? 1500);

interface Tried {
  readonly tries: number;
  readonly denied: number;
  readonly slips: number;
  readonly moves: number;
}

let program: string;
beforeAll(() => {
  if (!hasCompiler || !canMount) return;
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-slip-'));
  chmodSync(directory, 0o755);
  program = join(directory, 'slip');
  execFileSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'c/slip.c')]);
});
afterAll(() => {
  if (program) rmSync(join(program, '..'), { recursive: true });
});

/** A tree that belongs to the one who tries. */
function ownTree(type: 'tmpfs' | ImageType, under: string): Tree {
  const tree = new Tree(type);
  onTestFinished(() => tree.mount.unmount());
  const files = ['sub/d/f', 'sub/a/d/f', 'out/other/f', 'out/m/x', 'out/s/x', 'out/x/y/x'];
  for (const file of files) tree.make(join(under, file));
  execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, tree.path()]);
  return tree;
}

async function tryToSlip(way: string, directory: string): Promise<Tried> {
  const child = spawn(program, [way, directory, String(DURATION_MS)], {
    uid: NOBODY,
    gid: NOBODY,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  return JSON.parse(output) as Tried;
}

const WAYS = [
  'file',
  'directory',
  'ancestor',
  'deep',
  'exchange',
  'swap',
  'link',
  'root',
  'root-ancestor',
  'idle-file',
  'idle-deep',
] as const;
const CASES = [
  ...WAYS.map((way) => ['tmpfs', way, 'root'] as const),
  ...(['directory', 'deep'] as const).map((way) => ['tmpfs', way, 'nobody'] as const),
  ...(['ext4', 'xfs', 'btrfs'] as const).map((type) => [type, 'deep', 'root'] as const),
];

describe.skipIf(!isRootsPlace || !hasCompiler)('an ordinary user does not slip by', () => {
  test.each(CASES)('on %s: %s, trusting %s', { timeout: 60_000 }, async (type, way, trust) => {
    if (type !== 'tmpfs' && !canMake(type)) return;
    const isBelow = way === 'root-ancestor';
    const tree = ownTree(type, isBelow ? 'up' : '.');
    const { gate, errors } = await denying(tree.path(isBelow ? 'up/sub' : 'sub'), { trust, onTimeout: 'deny' });
    const { tries, slips, moves } = await tryToSlip(way, tree.path());
    expect({ slips, errors }).toEqual({ slips: 0, errors: [] });
    expect(Math.min(tries, moves)).toBeGreaterThan(0);
    // It still is as it was: what is inside is denied, and what is not is let in.
    expect(await reads(tree.path(isBelow ? 'up/sub/d/f' : 'sub/file'), NOBODY)).toBe(false);
    expect(await reads(tree.path('user/file'), NOBODY)).toBe(true);
    await gate.close();
  });

  test.skipIf(!mayMakeNamespaces())('by mounts of his own', { timeout: 60_000 }, async () => {
    const tree = ownTree('tmpfs', '.');
    const { gate, errors } = await denying(tree.path('sub'), { onTimeout: 'deny' });
    const { denied, slips, moves } = await tryToSlip('namespace', tree.path());
    expect({ slips, errors }).toEqual({ slips: 0, errors: [] });
    expect(Math.min(denied, moves)).toBeGreaterThan(0);
    await gate.close();
  });

  test('and opens what is outside through mounts of his own', { timeout: 60_000 }, async ({ skip }) => {
    if (!mayMakeNamespaces()) return skip('no user namespaces');
    const tree = ownTree('tmpfs', '.');
    writeFileSync(tree.path('out/m/x'), '');
    const { gate, asked } = await denying(tree.path('sub'), { onTimeout: 'deny' });
    const script = `mount --bind "$1" "$1/out/m" && cat "$1/out/m/user/file" && ! cat "$1/out/m/sub/file" 2> /dev/null`;
    const child = spawn(
      'setpriv',
      [
        `--reuid=${NOBODY}`,
        `--regid=${NOBODY}`,
        '--clear-groups',
        'unshare',
        '-Urm',
        'sh',
        '-ec',
        script,
        'sh',
        tree.path(),
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(asked).toEqual(['open null']);
    expect((await gate.status()).outside).toBeGreaterThan(0);
    await gate.close();
  });
});

function mayMakeNamespaces(): boolean {
  if (!canMount) return false;
  return spawnSync('unshare', ['-Urm', 'true'], { uid: NOBODY, gid: NOBODY }).status === 0;
}
