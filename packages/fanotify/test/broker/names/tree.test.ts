// Where directories are, as the broker has it: held against the disk, whatever was renamed.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAN_CREATE, FAN_ONDIR, FAN_RENAME } from '../../../src/abi/index.ts';
import type { DirectoryNode } from '../../../src/broker/names/model.ts';
import { DirectoryTree, pathBelow } from '../../../src/broker/names/tree.ts';
import { canMount } from '../../support/mounts.ts';
import { NamesHouse } from './names-house.ts';

const NAMES = FAN_CREATE | FAN_RENAME | FAN_ONDIR;

describe('the tree', () => {
  // Nothing of a file system is needed here.
  const filesystem = {} as DirectoryNode['filesystem'];

  test('keeps to its limit, and lets go first of what was not needed lately', () => {
    const tree = new DirectoryTree(100);
    const top = tree.add('top', filesystem, true);
    for (let at = 0; at < 1000; at++) {
      const parent = tree.add(`p${at}`, filesystem, false);
      tree.place(parent, top, `p${at}`);
      const node = tree.add(`c${at}`, filesystem, false);
      tree.place(node, parent, 'c');
      tree.find('c0');
      tree.tidy();
      expect(tree.size).toBeLessThanOrEqual(100);
    }
    expect(tree.find('c0')).toBeDefined();
    expect(tree.find('p0')).toBeDefined();
    expect(tree.find('c1')).toBeUndefined();
    expect(tree.find('c999')).toBeDefined();
  });

  test('does not look in vain again and again for what it may let go of', () => {
    const tree = new DirectoryTree(100);
    const top = tree.add('top', filesystem, true);
    const nodes = Array.from({ length: 150 }, (_, at) => tree.add(`p${at}`, filesystem, false));
    for (const node of nodes) {
      tree.place(node, top, node.key);
      node.held = 1;
    }
    const before = tree.removals;
    for (let event = 0; event < 1000; event++) tree.tidy();
    expect(tree.removals - before).toBe(1);
    // Later it keeps to its limit again.
    for (const node of nodes) node.held = 0;
    for (let at = 0; at < 500; at++) {
      tree.place(tree.add(`q${at}`, filesystem, false), top, `q${at}`);
      tree.tidy();
    }
    expect(tree.size).toBeLessThanOrEqual(100);
  });

  test('forgets a file system without looking at the directories of others', () => {
    const tree = new DirectoryTree();
    const [top, gone] = [tree.add('top', filesystem, true), {} as DirectoryNode['filesystem']];
    const kept = tree.add('kept', filesystem, false);
    tree.place(kept, top, 'kept');
    let looks = 0;
    for (const node of [top, kept]) {
      Object.defineProperty(node, 'filesystem', {
        get: () => {
          looks++;
          return filesystem;
        },
      });
    }
    tree.add('other', gone, true);
    tree.forget(gone);
    expect([looks, tree.size, kept.above]).toEqual([0, 2, top]);
    tree.forget();
    expect(tree.size).toBe(0);
  });

  test('takes no directory to be in itself', () => {
    const tree = new DirectoryTree();
    const top = tree.add('top', filesystem, true);
    const [a, b] = [tree.add('a', filesystem, false), tree.add('b', filesystem, false)];
    tree.place(a, top, 'a');
    tree.place(b, a, 'b');
    // As it comes when only one of two renamings is known.
    tree.place(a, b, 'a');
    expect(a.isPlaced).toBe(false);
    tree.place(b, top, 'b');
    tree.place(a, b, 'a');
    expect(pathBelow(a, top)).toBe('b/a');
    expect([top.below, a.below, b.below]).toEqual([1, 0, 1]);
  });
});

/** One renaming, making or removing: numbers choose among the directories that there are. */
const step = fc.record({
  kind: fc.constantFrom('make' as const, 'rename' as const, 'exchange' as const, 'remove' as const),
  one: fc.nat(1000),
  other: fc.nat(1000),
  name: fc.constantFrom('a', 'b', 'c'),
});

describe.runIf(canMount)('directories', () => {
  test('are where the disk has them, after whatever was done to them', () => {
    const house = new NamesHouse();
    house.do('mkdir -p root');
    let run = 0;
    fc.assert(
      fc.property(
        fc.array(fc.array(step, { minLength: 1, maxLength: 25 }), { minLength: 1, maxLength: 3 }),
        (rounds) => {
          const root = `root/${run++}`;
          house.do(`mkdir -p ${root}/a/b/c ${root}/b/a`);
          const client = house.client();
          client.mark(root, NAMES);
          for (const steps of rounds) {
            const done = spawnSync(process.execPath, [
              '-e',
              CHANGES,
              `${house.mount.path}/${root}`,
              JSON.stringify(steps),
            ]);
            expect(done.stderr.toString()).toBe('');
            client.sync();
            // Whatever was not told by now is told by what happens in each directory.
            const directories = listed(`${house.mount.path}/${root}`);
            house.do(
              directories.map((path) => `echo > '${root}/${path}/.probe'; rm '${root}/${path}/.probe'`).join('\n'),
            );
            const probed = client.sync().filter(({ names }) => names.includes('.probe'));
            expect(probed.map(({ paths }) => paths[0]).sort()).toEqual(directories.map((path) => `1:${path}`).sort());
          }
          client.close();
        },
      ),
      { numRuns: 8 },
    );
  });

  test('are found where their paths are longer than any call takes', () => {
    const names = Array.from({ length: 30 }, (_, at) => `${at}`.padEnd(250, 'n'));
    // No shell goes there.
    const deep = (house: NamesHouse, script: string) => {
      const down = `const names = ${JSON.stringify(names)}; const made = (name) => { try { fs.mkdirSync(name) } catch {} };`;
      const all = `${down} for (const name of names) { made(name); process.chdir(name) } ${script}`;
      house.do(`'${process.execPath}' -e '${all}'`);
    };
    const house = new NamesHouse();
    deep(house, 'made("other"); made("last")');
    const client = house.client();
    client.mark('.', FAN_CREATE | FAN_RENAME | FAN_ONDIR);
    const touch = (path: string) => `fs.writeFileSync("${path}", "");`;
    deep(house, `${touch('last/file')} fs.renameSync("last", "moved"); ${touch('moved/other')}`);
    const below = names.join('/');
    expect(client.sync().map(({ kinds, names, paths }) => [kinds, ...names, ...paths])).toEqual([
      ['CREATE', 'file', `1:${below}/last`],
      ['RENAME|ONDIR', 'last', 'moved', `1:${below}`, `1:${below}`],
      ['CREATE', 'other', `1:${below}/moved`],
    ]);
    expect(house.status().totals).toMatchObject({ unplaced: 0 });
    // Beside more than are looked at it is said that something was missed.
    const busy = new NamesHouse();
    deep(busy, 'for (let at = 0; at < 9000; at++) made(String(at))');
    const other = busy.client();
    other.mark('.', FAN_CREATE);
    deep(busy, ['0', '4500', '8999'].map((name) => touch(`${name}/file`)).join(''));
    expect(other.sync().map(({ kinds }) => kinds)).toContain('Q_OVERFLOW');
  });

  test('that were let go of are found again', () => {
    const house = new NamesHouse({ mostDirectories: 16 });
    const client = house.client();
    client.mark('.', FAN_CREATE);
    house.do('for i in $(seq 40); do mkdir -p d$i/e/f; done; for i in $(seq 40); do echo > d$i/e/f/file; done');
    const heard = client.sync();
    expect(heard.map(({ paths }) => paths[0])).toEqual(Array.from({ length: 40 }, (_, at) => `1:d${at + 1}/e/f`));
    expect(house.loop.broker.tree.size).toBeLessThanOrEqual(20);
  });
});

/** All directories below one, itself as ''. */
function listed(path: string, below = ''): string[] {
  const entries = readdirSync(below === '' ? path : `${path}/${below}`, { withFileTypes: true });
  const directories = entries.filter((entry) => entry.isDirectory());
  return [below, ...directories.flatMap(({ name }) => listed(path, below === '' ? name : `${below}/${name}`))];
}

/** Run by another process, whose renamings are heard. What cannot be done is left. */
const CHANGES = `
const fs = require('node:fs');
const [root, text] = process.argv.slice(1);
const list = (path) => [path, ...fs.readdirSync(path, { withFileTypes: true }).filter((e) => e.isDirectory()).flatMap((e) => list(path + '/' + e.name))];
for (const { kind, one, other, name } of JSON.parse(text)) {
  const all = list(root);
  const from = all[one % all.length];
  const to = all[other % all.length] + '/' + name;
  try {
    if (kind === 'make') fs.mkdirSync(to);
    else if (kind === 'rename' && from !== root) fs.renameSync(from, to);
    else if (kind === 'remove' && from !== root) fs.rmdirSync(from);
    else if (kind === 'exchange' && from !== root) {
      // By a third name, there and back, as often as the kernel may merge.
      for (let at = 0; at < 3; at++) {
        fs.renameSync(from, root + '/.third');
        fs.renameSync(root + '/.third', from);
      }
      fs.renameSync(from, to);
    }
  } catch {}
}
`;
