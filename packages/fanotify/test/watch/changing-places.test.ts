// What changes places, leaves, or comes back while nothing of it has been read yet, on a simulated machine: in the end what was told is what
// is on disk. Most of it was found by exploration: test/exploration/README.md.

import { describe, expect, it } from 'vitest';
import type { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import type { Blocking } from '../../src/simulated/wait.ts';
import { createTestSystem } from '../../src/testing.ts';
import { watch } from '../../src/watch/watch.ts';
import { ToldTree } from './told-tree.ts';

interface Case {
  readonly name: string;
  /** What there is when the watch begins, in /srv/root and /srv/outside. */
  before(calls: SystemCalls): Blocking<void>;
  /** All that happens before anything of it is read. */
  change(calls: SystemCalls): Blocking<void>;
}

const ROOT = '/srv/root';
const OUT = '/srv/outside';

const CASES: readonly Case[] = [
  {
    name: 'a file and a directory, with what was made in the directory before that',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/d`);
      yield* calls.writeFile(`${ROOT}/f`, 'f');
    },
    *change(calls) {
      yield* calls.writeFile(`${ROOT}/d/made`, 'made');
      yield* calls.exchange(`${ROOT}/f`, `${ROOT}/d`);
    },
  },
  {
    name: 'a directory and a file, with what is made in the directory after that',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/d`);
      yield* calls.mkdir(`${ROOT}/e`);
      yield* calls.writeFile(`${ROOT}/e/f`, 'f');
    },
    *change(calls) {
      yield* calls.exchange(`${ROOT}/d`, `${ROOT}/e/f`);
      yield* calls.writeFile(`${ROOT}/e/f/made`, 'made');
      yield* calls.mkdir(`${ROOT}/e/f/below`);
    },
  },
  {
    name: 'two directories, one of them in the other before',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.mkdir(`${ROOT}/a/x`);
      yield* calls.mkdir(`${ROOT}/b`);
    },
    *change(calls) {
      yield* calls.writeFile(`${ROOT}/a/x/1`, '1');
      yield* calls.exchange(`${ROOT}/a/x`, `${ROOT}/b`);
      yield* calls.writeFile(`${ROOT}/b/2`, '2');
      yield* calls.exchange(`${ROOT}/a`, `${ROOT}/b`);
    },
  },
  {
    name: 'a directory from outside and one inside',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.writeFile(`${ROOT}/a/inside`, 'inside');
      yield* calls.mkdir(`${OUT}/a`);
      yield* calls.writeFile(`${OUT}/a/outside`, 'outside');
    },
    *change(calls) {
      yield* calls.exchange(`${OUT}/a`, `${ROOT}/a`);
    },
  },
  {
    name: 'a directory that goes out of sight three times, under other names',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.mkdir(`${ROOT}/a/below`);
      yield* calls.mkdir(`${ROOT}/b`);
    },
    *change(calls) {
      yield* calls.rename(`${ROOT}/a`, `${OUT}/a`);
      yield* calls.writeFile(`${OUT}/a/1`, '1');
      yield* calls.rename(`${OUT}/a`, `${ROOT}/b/a`);
      yield* calls.rename(`${ROOT}/b/a`, `${OUT}/a`);
      yield* calls.writeFile(`${OUT}/a/below/2`, '2');
      yield* calls.rename(`${OUT}/a`, `${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${OUT}/a`);
      yield* calls.rename(`${OUT}/a`, `${ROOT}/b/a`);
    },
  },
  {
    name: 'a file out of a directory that goes elsewhere itself, when nobody can tell any more where that was',
    *before(calls) {
      for (const path of ['b', 'b/d', 'c', 'e']) yield* calls.mkdir(`${ROOT}/${path}`);
      yield* calls.writeFile(`${ROOT}/b/d/f`, 'f');
    },
    *change(calls) {
      // The kernel merges the second time with the first.
      for (const _ of ['once', 'twice']) {
        yield* calls.rename(`${ROOT}/b`, `${ROOT}/c/a`);
        yield* calls.rename(`${ROOT}/c/a`, `${ROOT}/b`);
      }
      yield* calls.rename(`${ROOT}/b/d/f`, `${ROOT}/c/f`);
      yield* calls.rename(`${ROOT}/b/d`, `${ROOT}/e/d`);
    },
  },
  {
    name: 'a directory in the place of one that was removed, which is renamed then',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.mkdir(`${ROOT}/b`);
      yield* calls.mkdir(`${ROOT}/b/below`);
    },
    *change(calls) {
      yield* calls.rmdir(`${ROOT}/a`);
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/c`);
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/c/below/a`);
    },
  },
  {
    name: 'a directory that comes into one of which nobody can tell where it was, and which is in another of its name by now',
    *before(calls) {
      for (const path of ['b', 'c', 'e']) yield* calls.mkdir(`${ROOT}/${path}`);
      yield* calls.writeFile(`${ROOT}/c/1`, '1');
    },
    *change(calls) {
      // The kernel merges the second time with the first.
      for (const _ of ['once', 'twice']) {
        yield* calls.rename(`${ROOT}/b`, `${ROOT}/e/a`);
        yield* calls.rename(`${ROOT}/e/a`, `${ROOT}/b`);
      }
      yield* calls.rename(`${ROOT}/c`, `${ROOT}/b/c`);
      yield* calls.mkdir(`${ROOT}/c`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/c/b`);
    },
  },
  {
    name: 'a directory that comes out of one of which nobody can tell where it was, and which is in it by now',
    *before(calls) {
      for (const path of ['b', 'b/d', 'e']) yield* calls.mkdir(`${ROOT}/${path}`);
      yield* calls.writeFile(`${ROOT}/b/d/1`, '1');
    },
    *change(calls) {
      for (const _ of ['once', 'twice']) {
        yield* calls.rename(`${ROOT}/b`, `${ROOT}/e/a`);
        yield* calls.rename(`${ROOT}/e/a`, `${ROOT}/b`);
      }
      yield* calls.rename(`${ROOT}/b/d`, `${ROOT}/d`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/d/b`);
    },
  },
  {
    name: 'a new directory, and another that has its name by the time it is looked at',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
    },
    *change(calls) {
      yield* calls.mkdir(`${ROOT}/b`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a/b`);
      yield* calls.mkdir(`${ROOT}/c`);
      yield* calls.writeFile(`${ROOT}/c/1`, '1');
      yield* calls.rename(`${ROOT}/c`, `${ROOT}/b`);
    },
  },
  {
    name: 'a directory that goes out of sight from where it was not heard to go, and comes back',
    *before(calls) {
      for (const path of ['a', 'a/below']) yield* calls.mkdir(`${ROOT}/${path}`);
      yield* calls.writeFile(`${ROOT}/a/1`, '1');
    },
    *change(calls) {
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      // The kernel merges it with the first.
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.rename(`${ROOT}/b`, `${OUT}/b`);
      yield* calls.writeFile(`${OUT}/b/below/2`, '2');
      yield* calls.rename(`${OUT}/b`, `${ROOT}/b`);
    },
  },
  {
    name: 'an empty directory in whose place one comes that has gone by then',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
    },
    *change(calls) {
      yield* calls.mkdir(`${ROOT}/b`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.rmdir(`${ROOT}/b`);
    },
  },
  {
    name: 'a directory that goes from where it was not heard to go, and another that comes there',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
    },
    *change(calls) {
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.rmdir(`${ROOT}/b`);
      yield* calls.mkdir(`${ROOT}/b`);
    },
  },
  {
    name: 'a file that comes into a directory in place of one that has gone with its directory',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/a`);
      for (const path of ['a/1', '1']) yield* calls.writeFile(`${ROOT}/${path}`, path);
    },
    *change(calls) {
      yield* calls.writeFile(`${ROOT}/1`, 'written');
      yield* calls.unlink(`${ROOT}/a/1`);
      yield* calls.rmdir(`${ROOT}/a`);
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.rename(`${ROOT}/1`, `${ROOT}/a/1`);
    },
  },
  {
    name: 'files that were looked at, for what happened to them before, when they had changed places already',
    *before(calls) {
      for (const path of ['1', '2']) yield* calls.writeFile(`${ROOT}/${path}`, path);
      yield* calls.mkdir(`${ROOT}/a`);
    },
    *change(calls) {
      for (const path of ['1', '2']) yield* calls.writeFile(`${ROOT}/${path}`, 'written');
      // What was heard before it is looked at by then.
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.rename(`${ROOT}/1`, `${ROOT}/2`);
      yield* calls.writeFile(`${ROOT}/3`, 'three');
      yield* calls.rename(`${ROOT}/3`, `${ROOT}/1`);
    },
  },
  {
    name: 'a file that goes by one name and comes by another until nothing is left of it',
    *before(calls) {
      yield* calls.writeFile(`${ROOT}/a`, 'a');
    },
    *change(calls) {
      for (const _ of ['once', 'twice']) {
        yield* calls.link(`${ROOT}/a`, `${ROOT}/b`);
        yield* calls.unlink(`${ROOT}/a`);
        yield* calls.link(`${ROOT}/b`, `${ROOT}/a`);
        yield* calls.unlink(`${ROOT}/b`);
      }
      yield* calls.unlink(`${ROOT}/a`);
    },
  },
  {
    name: 'a file that had another name before, and goes by both after it has come again by one',
    *before(calls) {
      yield* calls.writeFile(`${ROOT}/a`, 'a');
      yield* calls.link(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.mkdir(`${ROOT}/c`);
    },
    *change(calls) {
      yield* calls.unlink(`${ROOT}/a`);
      yield* calls.link(`${ROOT}/b`, `${ROOT}/a`);
      yield* calls.unlink(`${ROOT}/a`);
      // What was heard before it is looked at by then.
      yield* calls.rename(`${ROOT}/c`, `${ROOT}/d`);
      yield* calls.unlink(`${ROOT}/b`);
    },
  },
  {
    name: 'a file that is there and back, and then, unheard, in the place of a directory that goes out of sight for it',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/d`);
      yield* calls.writeFile(`${ROOT}/d/f`, 'f');
    },
    *change(calls) {
      yield* calls.rename(`${ROOT}/d/f`, `${ROOT}/b`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/d/f`);
      yield* calls.rename(`${ROOT}/d`, `${OUT}/d`);
      yield* calls.mkdir(`${ROOT}/b`);
      // The kernel merges what becomes of the file with what came first.
      yield* calls.exchange(`${OUT}/d/f`, `${ROOT}/b`);
    },
  },
  {
    name: 'a new directory in whose place one comes, and goes again, by renames that are not heard',
    *before(calls) {
      yield* calls.mkdir(`${ROOT}/b`);
    },
    *change(calls) {
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
      yield* calls.mkdir(`${ROOT}/a`);
      yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      yield* calls.rename(`${ROOT}/a`, `${ROOT}/b`);
    },
  },
];

const WAYS = [
  ['root', 0],
  ['a user', 1000],
] as const;

describe.each(WAYS)('as %s', (_who, uid) => {
  describe.each(['none', 'memory'] as const)('with baseline %s', (baseline) => {
    it.each(CASES.map((each) => [each.name, each] as const))('%s', async (_name, { before, change }) => {
      const { system, churn } = machine(uid);
      await churn.run(before);
      const { kernel } = system.process({ uid });
      const told = new ToldTree((root) => onDisk(system.fs, root));
      await using watcher = watch(ROOT, { kernel, baseline, fallback: false });
      await watcher.ready;
      while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
      told.list(ROOT);
      await churn.run(change);
      await churn.writeFile(`${ROOT}/end`, '');
      await takeAll(watcher, told);
      expect(told.differences(ROOT)).toEqual([]);
    });
  });

  it('a directory that was last heard to come into one that is removed then, and what is made in it later', async () => {
    const { system, churn } = machine(uid);
    await churn.run(function* (calls) {
      for (const path of ['b', 'b/a', 'd']) yield* calls.mkdir(`${ROOT}/${path}`);
    });
    const { kernel } = system.process({ uid });
    const told = new ToldTree((root) => onDisk(system.fs, root));
    await using watcher = watch(ROOT, { kernel, baseline: 'none', fallback: false });
    await watcher.ready;
    told.list(ROOT);
    await churn.run(function* (calls) {
      yield* calls.rename(`${ROOT}/b/a`, `${ROOT}/d/a`);
      yield* calls.rename(`${ROOT}/d/a`, `${ROOT}/b/a`);
      // The kernel merges it with the first.
      yield* calls.rename(`${ROOT}/b/a`, `${ROOT}/d/a`);
      yield* calls.rmdir(`${ROOT}/b`);
    });
    await takeAll(watcher, told, '/d/a');
    await churn.run(function* (calls) {
      yield* calls.mkdir(`${ROOT}/b`);
      yield* calls.mkdir(`${ROOT}/d/a/made`);
      yield* calls.exchange(`${ROOT}/d`, `${ROOT}/b`);
    });
    await takeAll(watcher, told, '/b/a/made');
    await churn.run(function* (calls) {
      yield* calls.mkdir(`${ROOT}/b/a/made/below`);
    });
    await churn.writeFile(`${ROOT}/end`, '');
    await takeAll(watcher, told);
    expect(told.differences(ROOT)).toEqual([]);
  });

  // Each of them another moment: what was listed before is known by where it was then.
  it.each(Array.from({ length: 16 }, (_, turns) => turns))(
    'a directory that is there and back, and then goes with the one above it, %i turns after the baseline began to be listed',
    async (turns) => {
      const { system, churn } = machine(uid);
      await churn.run(function* (calls) {
        for (const path of ['b', 'b/a', 'd', 'd/e']) yield* calls.mkdir(`${ROOT}/${path}`);
        for (const name of '12345') yield* calls.writeFile(`${ROOT}/d/${name}`, name);
      });
      const { kernel } = system.process({ uid });
      const told = new ToldTree((root) => onDisk(system.fs, root));
      await using watcher = watch(ROOT, { kernel, baseline: 'memory', fallback: false });
      await watcher.ready;
      told.list(ROOT);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await churn.run(function* (calls) {
        yield* calls.rename(`${ROOT}/b/a`, `${ROOT}/c`);
        yield* calls.rename(`${ROOT}/c`, `${ROOT}/b/a`);
      });
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await churn.run(function* (calls) {
        yield* calls.rename(`${ROOT}/b`, `${ROOT}/a`);
      });
      while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
      await churn.run(function* (calls) {
        yield* calls.rmdir(`${ROOT}/a/a`);
      });
      await churn.writeFile(`${ROOT}/end`, '');
      await takeAll(watcher, told);
      expect(told.differences(ROOT)).toEqual([]);
    },
  );
});

/** A machine with the directories, of which `churn` is a process. */
function machine(uid: number) {
  const system = createTestSystem();
  system.fs.dir(ROOT).dir(OUT);
  for (const path of ['/srv', ROOT, OUT]) system.fs.chown(path, uid, uid);
  return { system, churn: system.process({ uid }) };
}

type Told = AsyncIterable<Parameters<ToldTree['apply']>[0]>;

/** Takes what is told until that is what is on disk and the last of it is told, or nothing is told for a while. */
async function takeAll(
  watcher: { batches(): Told; close(): Promise<void> },
  told: ToldTree,
  last = '/end',
): Promise<void> {
  // What is in doubt is looked at again when nothing is queued: many times later than that, nothing comes any more.
  const deadline = setTimeout(() => void watcher.close(), 1_000);
  for await (const batch of watcher.batches()) {
    told.apply(batch);
    if (told.below(ROOT).has(ROOT + last) && told.differences(ROOT).length === 0) break;
  }
  clearTimeout(deadline);
}

/** Everything at and below a path. */
function onDisk(fs: ReturnType<typeof createTestSystem>['fs'], root: string): ReturnType<ToldTree['below']> {
  const found: ReturnType<ToldTree['below']> = new Map();
  if (!fs.exists(root)) return found;
  const isDirectory = (fs.stat(root).mode & 0o170000) === 0o040000;
  found.set(root, isDirectory ? { type: 'directory', size: null } : { type: 'file', size: fs.readBytes(root).length });
  if (!isDirectory) return found;
  for (const name of fs.list(root)) {
    for (const [path, entry] of onDisk(fs, `${root}/${name}`)) found.set(path, entry);
  }
  return found;
}
