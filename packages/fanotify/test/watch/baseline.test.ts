// Every baseline, held to a map from path to entry.

import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Baseline, Known } from '../../src/watch/baseline.ts';
import { BaselineError } from '../../src/watch/errors.ts';
import { FileBaseline } from '../../src/watch/file-baseline.ts';
import { MemoryBaseline } from '../../src/watch/memory-baseline.ts';
import { comparePaths } from '../../src/watch/path-order.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { known, NAMES } from './model-tree.ts';

/** The obvious way. Paths are latin1 strings. */
class Model {
  #entries = new Map<string, Known>();

  set(path: string, known: Known): void {
    this.#entries.set(path, known);
  }

  get(path: string): Known | undefined {
    return this.#entries.get(path);
  }

  delete(path: string): void {
    for (const other of [...this.#entries.keys()]) if (within(other, path)) this.#entries.delete(other);
  }

  move(from: string, to: string): void {
    const moving = [...this.#entries].filter(([path]) => within(path, from));
    if (!this.#entries.has(from)) return;
    this.delete(to);
    this.delete(from);
    for (const [path, known] of moving) this.#entries.set(to + path.slice(from.length), known);
  }

  entries(root: string): [string, Known][] {
    const below = [...this.#entries].filter(([path]) => within(path, root));
    const components = (path: string) => path.split('/').map((name) => Buffer.from(name, 'latin1'));
    return below.sort(([a], [b]) => {
      const [namesA, namesB] = [components(a), components(b)];
      for (const [index, name] of namesA.entries()) {
        const order = namesB[index] ? Buffer.compare(name, namesB[index]) : 1;
        if (order !== 0) return order;
      }
      return namesA.length - namesB.length;
    });
  }
}

const within = (path: string, directory: string) =>
  path === directory || directory === '/' || path.startsWith(`${directory}/`);

const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 5 }).map((names) => `/${names.join('/')}`);
const entry = fc
  .record({
    type: fc.constantFrom('unknown', 'file', 'directory', 'symlink', 'other'),
    ino: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    device: fc.constantFrom(1n, 2049n, (1n << 64n) - 1n),
    born: fc.nat({ max: 0xffff_ffff }),
    size: fc.constantFrom(0, 1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER),
    mtimeNs: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
    ctimeNs: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  })
  .map((entry) => entry as Known);

const operation = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant('set' as const), path, entry) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('delete' as const), path) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('move' as const), path, path) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('entries' as const), path) },
);

const bytes = (path: string) => Buffer.from(path, 'latin1');

const KINDS: readonly [name: string, make: () => Baseline][] = [
  ['memory', () => new MemoryBaseline()],
  ['a file', () => new FileBaseline()],
  ['a file, with a merge after every few changes', () => new FileBaseline({ mostChanges: 5, blockBytes: 60 })],
  ['a file, with more changes', () => new FileBaseline({ mostChanges: 30, blockBytes: 200, mostReadOver: 3 })],
  ['a file, with large blocks', () => new FileBaseline({ mostChanges: 20, mostReadOver: 0 })],
  ['a file, with small blocks', () => new FileBaseline({ mostChanges: 12, blockBytes: 1, mostReadOver: 0 })],
];

describe.each(KINDS)('the baseline in %s', (_name, make) => {
  const listed = (baseline: Baseline, root: string) =>
    [...baseline.entries(bytes(root))].map(({ path, known }): [string, Known] => [path.toString('latin1'), known]);

  it('knows what it was told, in the order of a walk', () => {
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 120, size: 'max' }),
        fc.array(path, { maxLength: 5 }),
        (operations, asked) => {
          const baseline = make();
          const model = new Model();
          try {
            for (const operation of operations) {
              if (operation[0] === 'set') {
                baseline.set(bytes(operation[1]), operation[2]);
                model.set(operation[1], operation[2]);
              } else if (operation[0] === 'delete') {
                baseline.delete(bytes(operation[1]));
                model.delete(operation[1]);
              } else if (operation[0] === 'move') {
                if (within(operation[1], operation[2]) || within(operation[2], operation[1])) continue;
                baseline.move(bytes(operation[1]), bytes(operation[2]));
                model.move(operation[1], operation[2]);
              } else expect(listed(baseline, operation[1])).toEqual(model.entries(operation[1]));
              expect(baseline.get(bytes(operation[1]))).toEqual(model.get(operation[1]));
            }
            for (const path of asked) expect(baseline.get(bytes(path))).toEqual(model.get(path));
            expect(listed(baseline, '/')).toEqual(model.entries('/'));
          } finally {
            baseline.close();
          }
        },
      ),
      { numRuns: Number(process.env.FANOTIFY_BASELINE_RUNS ?? 200) },
    );
  });

  it('knows what it was told in order, as a listing tells it', () => {
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 200, size: 'max' }), entry, (paths, entry) => {
        const baseline = make();
        try {
          const sorted = paths.map(bytes).sort(comparePaths);
          for (const path of sorted) baseline.set(path, entry);
          expect([...baseline.entries(bytes('/'))].map(({ path }) => path)).toEqual(sorted);
        } finally {
          baseline.close();
        }
      }),
      { numRuns: 100 },
    );
  });

  it('takes names of any length, and paths of any depth', () => {
    const baseline = make();
    const deep = Buffer.from('/d'.repeat(20_000));
    const long = Buffer.from(`/${'n'.repeat(1024)}`);
    const entry = known('directory', 1n, 1, 1n);
    baseline.set(bytes('/d'), entry);
    baseline.set(deep, entry);
    baseline.set(long, entry);
    expect(baseline.get(deep)).toEqual(entry);
    baseline.move(bytes('/d'), Buffer.concat([long, bytes('/moved')]));
    const moved = Buffer.concat([long, bytes('/moved'), deep.subarray(2)]);
    const top = Buffer.concat([long, bytes('/moved')]);
    // Not the paths themselves, which nobody could read.
    expect(
      [...baseline.entries(bytes('/'))].map(({ path }) => [long, top, moved].findIndex((one) => one.equals(path))),
    ).toEqual([0, 1, 2]);
    expect(baseline.get(moved)).toEqual(entry);
    baseline.delete(long);
    expect(listed(baseline, '/')).toEqual([]);
    baseline.close();
    baseline.close();
  });
});

describe('the baseline in memory', () => {
  it('gives back the room of what is gone', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const baseline = new MemoryBaseline();
    const round = (number: number) => {
      for (let index = 0; index < 2000; index++) {
        baseline.set(bytes(`/r/${index % 7}/${number}-${index}`), known('file', BigInt(index), 1, 1n));
      }
      baseline.move(bytes('/r/1'), bytes('/r/a-longer-name'));
      baseline.delete(bytes('/r'));
      collect();
      return process.memoryUsage().arrayBuffers;
    };
    for (let number = 0; number < 5; number++) round(number);
    const before = round(5);
    for (let number = 6; number < 100; number++) round(number);
    expect(round(100)).toBeLessThan(before + 100_000);
    baseline.close();
  });
});

describe('the baseline in a file', () => {
  it('leaves no name behind, and no descriptor', () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-baseline-'));
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const baseline = new FileBaseline({ directory, mostChanges: 3, blockBytes: 60 });
    for (let index = 20; index > 0; index--) baseline.set(bytes(`/${index}`), known('file', 1n, 1, 1n));
    expect(readdirSync(directory)).toEqual([]);
    expect(descriptors()).toBeGreaterThan(before);
    baseline.close();
    expect(descriptors()).toBe(before);
    expect(() => baseline.get(bytes('/1'))).toThrow(BaselineError);
    rmdirSync(directory);
  });

  it('says where there is no room for it', () => {
    expect(() => new FileBaseline({ directory: '/no/where' })).toThrow(/in \/no\/where: .*TMPDIR/);
  });

  it.skipIf(!canMount)('is lost as a whole when the disk is full', () => {
    const { path, unmount } = mountTmpfs(64 * 1024);
    const baseline = new FileBaseline({ directory: path });
    try {
      const fill = () => {
        for (let index = 10_000; index < 20_000; index++) baseline.set(bytes(`/${index}`), known('file', 1n, 1, 1n));
      };
      expect(fill).toThrow(BaselineError);
      expect(fill).toThrow(/ENOSPC/);
      for (const method of [
        () => baseline.get(bytes('/10000')),
        () => baseline.delete(bytes('/10000')),
        () => baseline.move(bytes('/10000'), bytes('/1')),
        () => [...baseline.entries(bytes('/'))],
      ]) {
        expect(method).toThrow(BaselineError);
      }
      baseline.close();
    } finally {
      unmount();
    }
  });
});

describe('comparePaths', () => {
  it('orders by names, not by bytes', () => {
    const ordered = ['/', '/\x01', '/a', '/a/b', '/a b', '/a-b', '/a-b/c', '/a.', '/a0', '/aa', '/\xff'].map(bytes);
    expect([...ordered].reverse().sort(comparePaths)).toEqual(ordered);
  });
});
