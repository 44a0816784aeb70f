// Events are lost: the kernel's queue is full while the consumer does not take, or the process is stopped. What is told in the end is
// what is on disk.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/watch/change.ts';
import type { BaselineKind } from '../../src/watch/options.ts';
import { watch } from '../../src/watch/watch.ts';
import { ToldTree, toldAll } from './told-tree.ts';
import { linesOf, WAYS, watching } from './watching.ts';

const QUEUE = Number(readFileSync('/proc/sys/fs/fanotify/max_queued_events', 'utf8'));
/** Where making that many files takes no minute. */
const FAST = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const BASELINES: BaselineKind[] = ['none', 'memory', 'file'];

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(FAST, 'fanotify-loss-')));
  mkdirSync(join(root, 'burst'));
  for (let i = 0; i < 20; i++) {
    mkdirSync(join(root, `${i}/sub`), { recursive: true });
    for (let j = 0; j < 20; j++) writeFileSync(join(root, `${i}/sub/${j}`), `${j}`);
  }
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** More events than the queue holds, on the main thread: nobody reads meanwhile. Each of another file, so that none are merged. */
function overflow(): void {
  for (let i = 0; i < QUEUE; i++) writeFileSync(join(root, 'burst', `${i}`), '');
  for (let i = 0; i < QUEUE; i += 2) unlinkSync(join(root, 'burst', `${i}`));
}

/** Changes that are lost. */
function changeUnheard(): void {
  renameSync(join(root, '1'), join(root, 'renamed'));
  rmSync(join(root, '2'), { recursive: true });
  appendFileSync(join(root, '3/sub/3'), 'more');
  renameSync(join(root, '4/sub/4'), join(root, '4/four'));
  mkdirSync(join(root, 'new/below'), { recursive: true });
  writeFileSync(join(root, 'new/below/file'), 'new');
  rmSync(join(root, '5/sub/5'));
  mkdirSync(join(root, '5/sub/5'));
}

const known = async (watcher: { readonly counters: { readonly baseline: string } }) => {
  while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
};

describe.each(WAYS)('by %s', (_way, kernelOf) => {
  describe.each(BASELINES)('with baseline %s', (baseline) => {
    it('the state told is the state on disk after more events than the queue holds', { timeout: 60_000 }, async () => {
      const watcher = watch(root, { baseline, kernel: kernelOf(), fallback: false });
      const told = new ToldTree();
      try {
        await watcher.ready;
        await known(watcher);
        told.list(root);
        overflow();
        changeUnheard();
        writeFileSync(join(root, 'end'), '');
        await toldAll(watcher, told, root, Promise.resolve(), 20_000);
        expect(told.differences(root)).toEqual([]);
        expect(told.rescans).toBeGreaterThan(0);
        // And goes on.
        rmSync(join(root, 'end'));
        writeFileSync(join(root, 'renamed/sub/after'), 'x');
        writeFileSync(join(root, 'new/below/after'), 'x');
        writeFileSync(join(root, 'end'), '');
        await toldAll(watcher, told, root, Promise.resolve());
        expect(told.differences(root)).toEqual([]);
      } finally {
        await watcher.close();
      }
    });
  });

  it('with a baseline the difference is told: renames as such, and only what changed', async () => {
    const { watcher, until, told } = await watching(root, { baseline: 'memory', kernel: kernelOf() });
    await known(watcher);
    overflow();
    changeUnheard();
    await until((change) => change.type === 'create' && change.path === join(root, 'new/below/file'));
    const from = told.findIndex((change) => change.type === 'rescan');
    expect(told[from]).toMatchObject({ complete: true, why: 'overflow', path: root });
    const lines = linesOf(told.slice(from), root).filter((line) => !line.includes('burst'));
    expect(lines).toContain('rename 1 → renamed');
    expect(lines).toContain('delete 2');
    expect(lines).toContain('update 3/sub/3');
    expect(lines).toContain('rename 4/sub/4 → 4/four');
    expect(lines.some((line) => /\b(6|7|8)\b/.test(line.replace('5/sub/5', '')))).toBe(false);
  });

  it('without a baseline nothing is told that may be false', async () => {
    const { until, told } = await watching(root, { baseline: 'none', kernel: kernelOf() });
    overflow();
    await until((change) => change.type === 'rescan');
    expect(told.find((change) => change.type === 'rescan')).toMatchObject({ complete: false, path: root });
  });

  it('a consumer that does not take loses nothing for it: changes are merged, and wait', async () => {
    const watcher = watch(root, { baseline: 'none', kernel: kernelOf(), fallback: false });
    try {
      await watcher.ready;
      // Each file is written many times, while the loop is free and nobody takes.
      for (let round = 0; round < 200; round++) {
        for (let i = 0; i < 100; i++) appendFileSync(join(root, `0/sub/${i}`), 'x');
        await new Promise((resolve) => setImmediate(resolve));
      }
      writeFileSync(join(root, 'end'), '');
      const told: Change[] = [];
      for await (const batch of watcher.batches()) {
        told.push(...batch);
        if (told.some(({ path }) => path === join(root, 'end'))) break;
      }
      expect(told.some(({ type }) => type === 'rescan')).toBe(false);
      const last = new Map(told.map((change) => [change.path, change]));
      for (let i = 0; i < 100; i++) {
        const before = i < 20 ? `${i}`.length : 0;
        expect(last.get(join(root, `0/sub/${i}`))).toMatchObject({ size: before + 200 });
      }
      // Far fewer than the 20,000 that happened.
      expect(told.length).toBeLessThan(10_000);
    } finally {
      await watcher.close();
    }
  });
});

describe.each(BASELINES)('a process that is stopped, with baseline %s', (baseline) => {
  it('tells what happened meanwhile when it goes on', async () => {
    const child = fork(new URL('stopped.mjs', import.meta.url).pathname, [root, baseline], {
      serialization: 'advanced',
    });
    const told = new ToldTree();
    try {
      await once(child, 'message');
      told.list(root);
      child.kill('SIGSTOP');
      overflow();
      changeUnheard();
      writeFileSync(join(root, 'end'), '');
      child.kill('SIGCONT');
      const batches = async function* () {
        for (;;) {
          const [{ changes }] = (await once(child, 'message')) as [{ changes: Change[] }];
          yield changes.map((change) => ({
            ...change,
            rawPath: Buffer.from(String(change.path)),
            ...('from' in change && { rawFrom: Buffer.from(String(change.from)) }),
          })) as Change[];
        }
      };
      await toldAll({ batches, close: async () => void child.kill('SIGKILL') }, told, root, Promise.resolve(), 15_000);
      expect(told.differences(root)).toEqual([]);
      expect(told.rescans).toBeGreaterThan(0);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
