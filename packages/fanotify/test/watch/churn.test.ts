// Several processes change a tree at random, as fast as they can: what was told in the end is what is on disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import { watch } from '../../src/watch/watch.ts';
import { withoutPrivilege } from '../scope/listen.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { ToldTree, toldAll } from './told-tree.ts';

const SEEDS = Number(process.env.FANOTIFY_CHURN_RUNS ?? 3);
const FIRST = Number(process.env.FANOTIFY_CHURN_SEED ?? Math.floor(Math.random() * 1e9));
const PROCESSES = Number(process.env.FANOTIFY_CHURN_PROCESSES ?? 3);
const STEPS = Number(process.env.FANOTIFY_CHURN_STEPS ?? 2000);
const churn = new URL('churn.mjs', import.meta.url).pathname;

const WAYS = {
  'a filesystem mark': linuxKernel(),
  'inode marks': withoutPrivilege(),
  'a filesystem mark, as Linux 5.15': limitKernel(linuxKernel(), '5.15'),
  'inode marks, as Linux 5.15': withoutPrivilege(limitKernel(linuxKernel(), '5.15')),
};
const BASELINES = ['none', 'memory', 'file'] as const;
const CASES = Object.keys(WAYS)
  .flatMap((way) => Array.from({ length: SEEDS }, (_, index) => [way as keyof typeof WAYS, FIRST + index] as const))
  .filter(([way]) => canMount || way.startsWith('inode'));

it.each(CASES)('by %s, seed %i: the state told is the state on disk', async (way, seed) => {
  const mount = canMount ? mountTmpfs() : temporary();
  const tree = join(mount.path, 'tree');
  const outside = join(mount.path, 'outside');
  mkdirSync(tree);
  mkdirSync(outside);
  const baseline = BASELINES[seed % BASELINES.length];
  const watcher = watch(tree, { baseline, kernel: WAYS[way], fallback: false });
  try {
    await watcher.ready;
    const told = new ToldTree();
    told.list(tree);
    const done = Promise.all(
      Array.from({ length: PROCESSES }, (_, number) => number).map(async (number) => {
        const child = spawn(process.execPath, [churn, tree, outside, `${seed * 3 + number}`, `${STEPS}`], {
          stdio: 'inherit',
        });
        expect((await once(child, 'exit'))[0]).toBe(0);
      }),
    ).then(() => writeFileSync(join(tree, 'end'), ''));
    await toldAll(watcher, told, tree, done);
    expect(told.differences(tree)).toEqual([]);
  } finally {
    await watcher.close();
    mount.unmount();
  }
});

function temporary() {
  const path = mkdtempSync(join(tmpdir(), 'fanotify-churn-'));
  return { path, unmount: () => rmSync(path, { recursive: true, force: true }) };
}
