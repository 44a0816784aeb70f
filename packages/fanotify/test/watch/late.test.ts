// Things that happen between two looks of a watch, or before it reads on: what it told in the end is what is on disk.

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FAN_EVENT_METADATA_LEN } from '../../src/abi/index.ts';
import { type Kernel, linuxKernel } from '../../src/kernel/index.ts';
import { watch } from '../../src/watch/watch.ts';
import type { Watcher } from '../../src/watch/watcher.ts';
import { withoutPrivilege } from '../scope/listen.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { ToldTree, toldAll } from './told-tree.ts';
import { WAYS } from './watching.ts';

let root: string;
let beside: string;
let unmount: () => void;
const open: Watcher[] = [];

beforeEach(() => {
  // A mark on a file system hears what others do there: nobody does on this one.
  const mount = canMount ? mountTmpfs() : temporary();
  ({ unmount } = mount);
  root = join(mount.path, 'above/root');
  beside = join(mount.path, 'outside');
  mkdirSync(root, { recursive: true });
  mkdirSync(beside);
});

afterEach(async () => {
  for (const watcher of open.splice(0)) await watcher.close();
  unmount();
});

function temporary() {
  const path = mkdtempSync(join(tmpdir(), 'fanotify-late-'));
  return { path, unmount: () => rmSync(path, { recursive: true, force: true }) };
}

const at = (path: string) => join(root, path);
const outside = (path: string) => join(beside, path);

/** Does `work` once, right before the kernel is asked for something at a path for the first time since it was armed, or so many times later. */
function before(kernel: Kernel, operation: 'openAt' | 'statAt', path: string, work: () => void, later = 0) {
  let isArmed = false;
  let left = later;
  const late: Kernel = new Proxy(kernel, {
    get: (target, name: keyof Kernel) => {
      const value = target[name];
      if (name !== operation) return typeof value === 'function' ? value.bind(target) : value;
      return (...args: Parameters<Kernel['statAt']>) => {
        if (isArmed && args[1].toString() === path && left-- === 0) {
          isArmed = false;
          work();
        }
        return kernel[operation](...args);
      };
    },
  });
  return {
    kernel: late,
    arm: () => {
      isArmed = true;
    },
    get isDone() {
      return !isArmed;
    },
  };
}

async function start(baseline: 'none' | 'memory', kernel: Kernel) {
  const watcher = watch(root, { kernel, baseline, fallback: false });
  open.push(watcher);
  await watcher.ready;
  const told = new ToldTree();
  told.list(root);
  while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
  const batches = watcher.batches();
  return {
    /** Takes changes until a path is told to be there, or not. */
    async until(path: string, isThere: boolean) {
      while (told.below(root).has(at(path)) !== isThere) told.apply((await batches.next()).value ?? []);
    },
    async differences() {
      if (!existsSync(at('end'))) writeFileSync(at('end'), '');
      await toldAll({ batches: () => batches, close: () => watcher.close() }, told, root, Promise.resolve(), 1000);
      return told.differences(root);
    },
  };
}

describe.each(['none', 'memory'] as const)('with baseline %s', (baseline) => {
  describe.each(WAYS)('by %s', (_way, kernelOf) => {
    it('a directory that goes out again, as it did before it came back', async () => {
      mkdirSync(at('a/b'), { recursive: true });
      const { differences } = await start(baseline, kernelOf());
      // The kernel merges the last rename with the first.
      renameSync(at('a'), outside('a'));
      renameSync(outside('a'), at('a'));
      renameSync(at('a'), outside('a'));
      expect(await differences()).toEqual([]);
    });

    it('a directory that comes in again, as it did before it went', async () => {
      mkdirSync(outside('a/b'), { recursive: true });
      const { differences } = await start(baseline, kernelOf());
      renameSync(outside('a'), at('a'));
      renameSync(at('a'), outside('a'));
      renameSync(outside('a'), at('a'));
      expect(await differences()).toEqual([]);
    });
  });

  // Only it hears what happens in a root that is away.
  it.skipIf(!canMount)(
    'a root that is back with what is above it, before it is read where it was meanwhile',
    async () => {
      mkdirSync(at('sub'));
      const above = dirname(root);
      const away = outside('away');
      const comeBack = () => {
        writeFileSync(join(away, 'root/sub/file'), '');
        renameSync(away, above);
      };
      // It is looked for, is not there, and is looked for once more.
      const late = before(linuxKernel(), 'openAt', root, comeBack, 1);
      const { until, differences } = await start(baseline, late.kernel);
      late.arm();
      renameSync(above, away);
      await until('sub/file', true);
      expect(late.isDone).toBe(true);
      expect(await differences()).toEqual([]);
    },
  );

  it.skipIf(!canMount)('a root that was elsewhere for a moment with what is above it', async () => {
    mkdirSync(at('sub'));
    writeFileSync(at('sub/old'), '');
    const away = outside('away');
    const { until, differences } = await start(baseline, linuxKernel());
    renameSync(dirname(root), away);
    writeFileSync(join(away, 'root/sub/file'), '');
    rmSync(join(away, 'root/sub/old'));
    renameSync(away, dirname(root));
    await until('sub/file', true);
    expect(await differences()).toEqual([]);
  });

  // A mark on a file system hears all of it in order.
  describe('by inode marks', () => {
    it('what happens in a directory that was seen in a new one before it was heard to go there', async () => {
      mkdirSync(at('old'));
      const late = before(withoutPrivilege(), 'openAt', 'new', () => renameSync(at('old'), at('new/old')));
      const { until, differences } = await start(baseline, late.kernel);
      late.arm();
      mkdirSync(at('new'));
      await until('new/old', true);
      await until('old', false);
      mkdirSync(at('new/old/directory'));
      writeFileSync(at('new/old/file'), '');
      expect(await differences()).toEqual([]);
      expect(late.isDone).toBe(true);
    });

    it('what is below a directory that has come back in place of a new one', async () => {
      mkdirSync(at('old/directory'), { recursive: true });
      const late = before(withoutPrivilege(), 'openAt', 'new', () => {
        rmdirSync(at('new'));
        renameSync(outside('old'), at('new'));
      });
      const { until, differences } = await start(baseline, late.kernel);
      renameSync(at('old'), outside('old'));
      await until('old', false);
      writeFileSync(outside('old/directory/file'), '');
      late.arm();
      mkdirSync(at('new'));
      expect(await differences()).toEqual([]);
      expect(late.isDone).toBe(true);
    });

    it('what is below a directory that has come back from one that went out', async () => {
      mkdirSync(at('old/directory/below'), { recursive: true });
      const { until, differences } = await start(baseline, withoutPrivilege());
      renameSync(at('old'), outside('old'));
      await until('old', false);
      renameSync(outside('old/directory'), at('directory'));
      expect(await differences()).toEqual([]);
    });

    it('what is to be looked at again, while something is heard that is not told', async () => {
      mkdirSync(at('a'));
      let isBusy = false;
      const kernel = withoutPrivilege();
      const busy: Kernel = new Proxy(kernel, {
        get: (target, name: keyof Kernel) => {
          const value = target[name];
          if (name !== 'waitingBytes') return typeof value === 'function' ? value.bind(target) : value;
          // As if there were always one more: of a directory that has left the tree, for one.
          return (fd: number) => kernel.waitingBytes(fd) + (isBusy ? FAN_EVENT_METADATA_LEN : 0);
        },
      });
      const { until, differences } = await start(baseline, busy);
      isBusy = true;
      // The kernel merges the last rename with the first.
      renameSync(at('a'), outside('a'));
      renameSync(outside('a'), at('a'));
      renameSync(at('a'), outside('a'));
      writeFileSync(at('end'), '');
      await until('end', true);
      isBusy = false;
      expect(await differences()).toEqual([]);
    });

    it('what is looked at where it was told, when what is above has been renamed just now', async () => {
      mkdirSync(at('above'));
      const rename = () => renameSync(at('above'), at('renamed'));
      // By its whole path it is asked for only when it is looked at again.
      const late = before(withoutPrivilege(), baseline === 'none' ? 'statAt' : 'openAt', at('above/new'), () => {
        if (existsSync(at('above/new'))) rename();
      });
      const { differences } = await start(baseline, late.kernel);
      late.arm();
      mkdirSync(at('above/new/below'), { recursive: true });
      expect(await differences()).toEqual([]);
      expect(late.isDone).toBe(true);
    });
  });
});
