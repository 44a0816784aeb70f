// The difference is applied to the old state by somebody who holds a map from path to entry and believes every word; what comes out has
// to be the new state, and no step may be impossible.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Baseline, Known, Listed } from '../../src/watch/baseline.ts';
import { type DifferenceOptions, difference } from '../../src/watch/difference.ts';
import { FileBaseline } from '../../src/watch/file-baseline.ts';
import { MemoryBaseline } from '../../src/watch/memory-baseline.ts';
import type { Step } from '../../src/watch/step.ts';
import { change, known, ModelTree, ROOT } from './model-tree.ts';

type State = Map<string, Known>;

const state = (listed: readonly Listed[]): State =>
  new Map(listed.map(({ path, known }) => [path.toString('latin1'), known]));

function parts<T>(whole: readonly T[], size: number): T[][] {
  const all: T[][] = [];
  for (let start = 0; start < whole.length; start += size) all.push(whole.slice(start, start + size));
  return all;
}

function stepsOf(told: readonly Listed[], disk: readonly Listed[], options?: DifferenceOptions, size = 3): Step[] {
  return [...difference(told, parts(disk, size), options)].flat();
}

const isBelow = (path: string, directory: string) => path.startsWith(`${directory}/`);
const above = (path: string) => path.slice(0, path.lastIndexOf('/'));

/** Takes the steps, each of which has to be possible. */
function take(old: State, steps: readonly Step[]): State {
  const now = new Map(old);
  const remove = (path: string) => {
    for (const other of [...now.keys()]) if (other === path || isBelow(other, path)) now.delete(other);
  };
  const hasParent = (path: string) => path === ROOT || now.get(above(path))?.type === 'directory';
  for (const step of steps) {
    const path = step.path.toString('latin1');
    if (step.type === 'delete') {
      expect(now.get(path)).toEqual(step.known);
      remove(path);
      continue;
    }
    if (step.type === 'create') {
      expect(now.has(path)).toBe(false);
      expect(hasParent(path)).toBe(true);
    } else if (step.type === 'rename') {
      const from = step.from.toString('latin1');
      expect(now.get(from)).toMatchObject({ ino: step.known.ino, type: step.known.type, born: step.known.born });
      expect(isBelow(path, from) || isBelow(from, path) || path === from).toBe(false);
      expect(hasParent(path)).toBe(true);
      remove(path);
      for (const [other, entry] of [...now]) {
        if (other !== from && !isBelow(other, from)) continue;
        now.delete(other);
        now.set(path + other.slice(from.length), entry);
      }
    } else expect(now.get(path)?.type).toBe(step.known.type);
    now.set(path, step.known);
  }
  return now;
}

const told = (steps: readonly Step[]) =>
  steps
    .filter(({ type }) => type !== 'refresh')
    .map((step) => {
      const path = step.path.toString('latin1').slice(ROOT.length + 1);
      return step.type === 'rename'
        ? `rename ${step.from.toString('latin1').slice(ROOT.length + 1)} ${path}`
        : `${step.type} ${path}`;
    });

it('what was told below something that never was is not lost when another is moved there', () => {
  const listed = (path: string, type: Known['type'], ino: bigint): Listed => {
    return { path: Buffer.from(ROOT + path), known: known(type, ino, 1, 1n) };
  };
  const old = [listed('', 'directory', 1n), listed('/a/file', 'file', 5n), listed('/b', 'directory', 2n)];
  old.push(listed('/b/a', 'directory', 3n));
  const disk = [listed('', 'directory', 1n), listed('/a', 'directory', 3n), listed('/a/file', 'file', 5n)];
  disk.push(listed('/b', 'directory', 2n));
  // '/a' was never told: it is made, and what is below stays, or is told anew.
  expect(take(state(old), stepsOf(old, disk))).toEqual(state(disk));
});

describe('any difference', () => {
  it('turns the old state into the new one, step by step', () => {
    const runs = Number(process.env.FANOTIFY_DIFFERENCE_RUNS ?? 3000);
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60, size: 'max' }),
        fc.array(change, { maxLength: 30, size: 'max' }),
        fc.boolean(),
        fc.boolean(),
        (first, then, tellsBirth, attributes) => {
          const tree = new ModelTree(tellsBirth);
          for (const one of first) tree.apply(one);
          const before = tree.list();
          for (const one of then) tree.apply(one);
          const after = tree.list();
          const steps = stepsOf(before, after, { attributes });
          expect(take(state(before), steps)).toEqual(state(after));
        },
      ),
      { numRuns: runs },
    );
  });

  it.each([
    ['memory', () => new MemoryBaseline()],
    ['a file', () => new FileBaseline({ mostChanges: 8, blockBytes: 100 })],
  ] as [string, () => Baseline][])('turns the baseline in %s into what is on disk', (_name, make) => {
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 25, size: 'max' }), { maxLength: 6 }), (rounds) => {
        const tree = new ModelTree(true);
        const baseline = make();
        try {
          for (const changes of rounds) {
            for (const one of changes) tree.apply(one);
            for (const step of stepsOf([...baseline.entries(Buffer.from(ROOT))], tree.list())) {
              if (step.type === 'delete') baseline.delete(step.path);
              else if (step.type === 'rename') baseline.move(step.from, step.path);
              if (step.type !== 'delete') baseline.set(step.path, step.known);
            }
            expect([...baseline.entries(Buffer.from(ROOT))]).toEqual(tree.list());
          }
        } finally {
          baseline.close();
        }
      }),
      { numRuns: 300 },
    );
  });

  it('between trees that have nothing to do with each other, but inode numbers', () => {
    const tree = fc.array(change, { maxLength: 40, size: 'max' }).map((changes) => {
      const made = new ModelTree(false);
      for (const one of changes) made.apply(one);
      return made.list();
    });
    fc.assert(
      fc.property(tree, tree, (before, after) => {
        expect(take(state(before), stepsOf(before, after))).toEqual(state(after));
      }),
      { numRuns: 1000 },
    );
  });

  it('is nothing when nothing changed', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const tree = new ModelTree(true);
        for (const one of changes) tree.apply(one);
        expect(stepsOf(tree.list(), tree.list())).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('what is told', () => {
  /** Entries by path below the root: a number is a file with that inode number, one in a list a directory. */
  const tree = (entries: Record<string, number | [number]>, timeNs = 5n): Listed[] => [
    { path: Buffer.from(ROOT), known: known('directory', 1n, 1, 5n) },
    ...Object.entries(entries).map(([path, ino]) => ({
      path: Buffer.from(`${ROOT}/${path}`, 'latin1'),
      known: Array.isArray(ino)
        ? known('directory', BigInt(ino[0]), ino[0], timeNs)
        : known('file', BigInt(ino), ino, 5n, ino),
    })),
  ];
  type Entries = Parameters<typeof tree>[0];
  const difference = (before: Entries, after: Entries) => {
    const [old, now] = [tree(before), tree(after, 6n)];
    const steps = stepsOf(old, now);
    expect(take(state(old), steps)).toEqual(state(now));
    return told(steps);
  };

  it('a renamed directory is one rename, and what is below is compared with what was below', () => {
    expect(
      difference(
        { a: [2], 'a/b': [3], 'a/b/f': 10, 'a/b/g': 11, 'a/h': 12 },
        { z: [2], 'z/b': [3], 'z/b/g': 11, 'z/b/n': 13, 'z/h': 12 },
      ),
    ).toEqual(['rename a z', 'create z/b/n', 'delete z/b/f']);
  });

  it('a chain of renames is told from its end', () => {
    expect(difference({ a: [2], 'a/f': 10, b: [3], 'b/g': 11 }, { b: [2], 'b/f': 10, c: [3], 'c/g': 11 })).toEqual([
      'rename b c',
      'rename a b',
    ]);
  });

  it('a chain in the other direction', () => {
    expect(difference({ b: [2], 'b/f': 10, c: [3], 'c/g': 11 }, { a: [2], 'a/f': 10, b: [3], 'b/g': 11 })).toEqual([
      'rename b a',
      'rename c b',
    ]);
  });

  it('two that changed places: one is renamed, the other is told as new', () => {
    expect(difference({ a: [2], 'a/f': 10, b: [3], 'b/g': 11 }, { a: [3], 'a/g': 11, b: [2], 'b/f': 10 })).toEqual([
      'rename a b',
      'create a',
      'create a/g',
    ]);
    expect(difference({ a: 2, b: 3 }, { a: 3, b: 2 })).toEqual(['rename a b', 'create a']);
  });

  it('a rename into a new directory', () => {
    expect(difference({ a: 10, z: 11 }, { m: [2], 'm/a': 10, 'm/z': 11 })).toEqual([
      'create m',
      'rename a m/a',
      'rename z m/z',
    ]);
  });

  it('a rename out of a directory that is gone', () => {
    expect(difference({ a: [2], 'a/b': [3], 'a/b/f': 10 }, { c: [3], 'c/f': 10 })).toEqual([
      'rename a/b c',
      'delete a',
    ]);
  });

  it('a rename over another file', () => {
    expect(difference({ a: 10, b: 11 }, { a: 11 })).toEqual(['rename b a']);
  });

  it('a new file at the same path is an update', () => {
    expect(difference({ a: 10 }, { a: 11 })).toEqual(['update a']);
  });

  it('a replaced directory: what is below is compared by path', () => {
    expect(difference({ a: [2], 'a/f': 10, 'a/g': 11 }, { a: [3], 'a/f': 20, 'a/h': 21 })).toEqual([
      'update a/f',
      'create a/h',
      'delete a/g',
    ]);
  });

  it('another type is delete and create', () => {
    expect(difference({ a: [2], 'a/f': 10 }, { a: 11 })).toEqual(['delete a', 'create a']);
    expect(difference({ a: 11 }, { a: [2], 'a/f': 10 })).toEqual(['delete a', 'create a', 'create a/f']);
  });

  it('another hard link is no rename, unless the old one is gone', () => {
    expect(difference({ a: 10 }, { a: 10, b: 10 })).toEqual(['create b']);
    expect(difference({ b: 10 }, { a: 10, b: 10 })).toEqual(['create a']);
    expect(difference({ a: 10, b: 10 }, { b: 10, c: 10 })).toEqual(['rename a c']);
  });

  it('a renamed and changed file is a rename and an update', () => {
    const [root] = tree({});
    const before = { path: Buffer.from(`${ROOT}/a`), known: known('file', 10n, 1, 5n, 1) };
    const after = { path: Buffer.from(`${ROOT}/b`), known: { ...before.known, size: 2, mtimeNs: 9n, ctimeNs: 9n } };
    expect(told(stepsOf([root as Listed, before], [root as Listed, after]))).toEqual(['rename a b', 'update b']);
    // Nobody knows whether it is the same where the time of birth is not told and the content changed.
    const unborn = ({ path, known }: Listed) => ({ path, known: { ...known, born: 0 } });
    expect(told(stepsOf([unborn(before)], [unborn(after)]))).toEqual(['create b', 'delete a']);
    // A number that is used again.
    const reused = { path: after.path, known: { ...after.known, born: 2 } };
    expect(told(stepsOf([before], [reused]))).toEqual(['create b', 'delete a']);
  });

  it('a change of status alone is an update of a file, if asked for, and never one of a directory', () => {
    for (const type of ['file', 'directory', 'symlink'] as const) {
      const before = { path: Buffer.from(ROOT), known: known(type, 1n, 1, 5n) };
      const after = { ...before, known: { ...before.known, ctimeNs: 6n } };
      const kept = { path: before.path, known: after.known };
      const expected = type === 'directory' ? 'refresh' : 'update';
      expect(stepsOf([before], [after])).toEqual([{ type: expected, ...kept }]);
      expect(stepsOf([before], [after], { attributes: false })).toEqual([{ type: 'refresh', ...kept }]);
    }
  });

  it('nothing, when devices have other numbers after a restart', () => {
    const before = tree({ a: [2], 'a/f': 10, b: 11 });
    const after = before.map(({ path, known }) => ({ path, known: { ...known, device: 77n } }));
    const steps = stepsOf(before, after);
    expect(told(steps)).toEqual([]);
    expect(take(state(before), steps)).toEqual(state(after));
  });

  it('nothing of what is below a directory that cannot be read', () => {
    const before = tree({ a: [2], 'a/f': 10, 'a/s': [3], 'a/s/g': 11, 'a-b': 12, z: 13 });
    const unreadable = (entries: Entries, which: string) =>
      tree(entries, 6n).map((entry) => ({ ...entry, unreadable: entry.path.equals(Buffer.from(`${ROOT}/${which}`)) }));
    expect(told(stepsOf(before, unreadable({ a: [2], z: 13 }, 'a')))).toEqual(['delete a-b']);
    const unknown = unreadable({ a: [9], z: 13 }, 'a').map((entry) =>
      entry.unreadable ? { ...entry, known: known('unknown', 0n, 0, 0n) } : entry,
    );
    expect(told(stepsOf(before, unknown))).toEqual(['delete a-b']);
    // Also where it has another name by now.
    expect(told(stepsOf(before, unreadable({ b: [2], z: 13 }, 'b')))).toEqual(['rename a b', 'delete a-b']);
    // Of another directory that took the place nothing is known.
    expect(told(stepsOf(before, unreadable({ a: [9], z: 13 }, 'a')))).toEqual(['delete a', 'create a', 'delete a-b']);
  });
});
