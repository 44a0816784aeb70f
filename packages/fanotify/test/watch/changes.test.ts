// What watch() tells of each kind of change, on a real file system, by either way of hearing.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/kernel/index.ts';
import type { EntryChange } from '../../src/watch/change.ts';
import { exchange } from '../support/exchange.ts';
import { ToldTree, toldAll } from './told-tree.ts';
import { OLD_WAYS, WAYS, watching } from './watching.ts';

let base: string;
let root: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fanotify-watch-'));
  root = join(base, 'root');
  mkdirSync(root);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

const at = (path: string) => join(root, path);
const write = (path: string, text = 'x') => writeFileSync(at(path), text);

describe.each(WAYS)('by %s', (_way, kernelOf) => {
  const start = (options = {}) => watching(root, { kernel: kernelOf(), ...options });

  it('files come, change and go', async () => {
    const { untilAt, until, lines, told } = await start();
    write('file', 'four');
    await untilAt(at('file'));
    expect(lines(root)).toEqual(['create file']);
    expect(told.at(-1)).toMatchObject({ fileType: 'file', size: 4, seq: 1 });
    appendFileSync(at('file'), 'five5');
    await until((change) => change.type === 'update');
    expect(lines(root)).toEqual(['update file']);
    expect(told.at(-1)).toMatchObject({ fileType: 'file', size: 9, seq: 2 });
    chmodSync(at('file'), 0o600);
    await until(({ seq }) => seq === 3);
    expect(lines(root)).toEqual(['update file']);
    unlinkSync(at('file'));
    await until((change) => change.type === 'delete');
    expect(lines(root)).toEqual(['delete file']);
  });

  it('an update of what is renamed before anybody looks is told, and says what it was', async () => {
    write('file');
    const kernel = kernelOf();
    let isArmed = false;
    const late: Kernel = new Proxy(kernel, {
      get: (target, name: keyof Kernel) => {
        const value = target[name];
        if (name !== 'statAt') return typeof value === 'function' ? value.bind(target) : value;
        return (...args: Parameters<Kernel['statAt']>) => {
          if (isArmed && args[1].toString() === 'file') {
            isArmed = false;
            renameSync(at('file'), at('renamed'));
          }
          return kernel.statAt(...args);
        };
      },
    });
    const { watcher, until, lines, told } = await watching(root, { kernel: late, baseline: 'memory' });
    while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
    isArmed = true;
    // One event, which cannot be read in two parts.
    chmodSync(at('file'), 0o600);
    await until(({ type }) => type === 'rename');
    expect(lines(root)).toEqual(['update file', 'rename file → renamed']);
    expect(told).toMatchObject([{ fileType: 'file' }, { fileType: 'file', size: 1 }]);
  });

  it('types are told: directories, links that are not followed, and others', async () => {
    const { untilAt, told } = await start();
    mkdirSync(at('directory'));
    symlinkSync('/etc', at('link'));
    spawnSync('mkfifo', [at('fifo')]);
    write('end');
    await untilAt(at('end'));
    const types = Object.fromEntries(told.map((change) => [change.path, (change as EntryChange).fileType]));
    expect(types).toEqual({
      [at('directory')]: 'directory',
      [at('link')]: 'symlink',
      [at('fifo')]: 'other',
      [at('end')]: 'file',
    });
  });

  it('several changes of one entry become one', async () => {
    write('old');
    write('replaced');
    const { untilAt, lines, told } = await start({ delayMs: 500 });
    write('new', 'a');
    appendFileSync(at('new'), 'b');
    appendFileSync(at('new'), 'c');
    appendFileSync(at('old'), 'b');
    appendFileSync(at('old'), 'c');
    write('brief');
    unlinkSync(at('brief'));
    unlinkSync(at('replaced'));
    write('replaced', 'other');
    write('end');
    await untilAt(at('end'));
    expect(lines(root).sort()).toEqual(['create end', 'create new', 'update old', 'update replaced']);
    expect(told.find(({ path }) => path === at('new'))).toMatchObject({ size: 3 });
    expect(told.find(({ path }) => path === at('replaced'))).toMatchObject({ size: 5 });
  });

  it('a file that becomes a directory goes first', async () => {
    write('one');
    const { untilAt, lines } = await start({ delayMs: 200 });
    unlinkSync(at('one'));
    mkdirSync(at('one'));
    write('one/below');
    write('end');
    await untilAt(at('end'));
    expect(lines(root)).toEqual(['delete one', 'create one', 'create one/below', 'create end']);
  });

  it('a file that becomes a directory is told to, also behind so much that it is told in parts', async () => {
    write('entry');
    mkdirSync(at('many'));
    const { untilAt, told } = await start();
    for (let i = 0; i < 3000; i++) write(`many/${i}`, '');
    unlinkSync(at('entry'));
    mkdirSync(at('entry'));
    write('end');
    await untilAt(at('end'));
    expect(told.filter(({ path }) => path === at('entry'))).toMatchObject([
      { type: 'delete' },
      { type: 'create', fileType: 'directory' },
    ]);
  });

  it('a rename is one change with both paths, also of what was changed before', async () => {
    write('a', '1');
    mkdirSync(at('sub'));
    const { untilAt, lines, told } = await start({ delayMs: 200 });
    renameSync(at('a'), at('sub/b'));
    await untilAt(at('sub/b'));
    expect(lines(root)).toEqual(['rename a → sub/b']);
    expect(told.at(-1)).toMatchObject({ from: at('a'), path: at('sub/b'), fileType: 'file', size: 1 });
    appendFileSync(at('sub/b'), '2');
    renameSync(at('sub/b'), at('c'));
    write('end');
    await untilAt(at('end'));
    expect(lines(root)).toEqual(['rename sub/b → c', 'update c', 'create end']);
  });

  it('a file that is written beside and renamed over another is there as a whole', async () => {
    write('config', 'old');
    const { untilAt, lines, told } = await start({ delayMs: 200, baseline: 'memory', initial: true });
    await untilAt(at('config'));
    lines(root);
    write('config.tmp', 'newer');
    renameSync(at('config.tmp'), at('config'));
    write('end');
    await untilAt(at('end'));
    expect(lines(root)).toEqual(['update config', 'create end']);
    expect(told.at(-2)).toMatchObject({ size: 5 });
  });

  it('directories that are renamed take along what is below', async () => {
    mkdirSync(at('a/b/c'), { recursive: true });
    const { untilAt, lines } = await start();
    renameSync(at('a'), at('z'));
    write('z/b/c/file');
    await untilAt(at('z/b/c/file'));
    renameSync(at('z/b'), at('y'));
    write('y/c/other');
    await untilAt(at('y/c/other'));
    expect(lines(root)).toEqual(['rename a → z', 'create z/b/c/file', 'rename z/b → y', 'create y/c/other']);
  });

  it('what is moved in comes with all below, and goes as one when it is moved out', async () => {
    mkdirSync(join(base, 'beside/below'), { recursive: true });
    writeFileSync(join(base, 'beside/below/file'), 'three');
    const { untilAt, until, lines, told } = await start();
    renameSync(join(base, 'beside'), at('in'));
    await untilAt(at('in/below/file'));
    expect(lines(root).slice(0, 3)).toEqual(['create in', 'create in/below', 'create in/below/file']);
    expect(told.find(({ path }) => path === at('in/below/file'))).toMatchObject({ size: 5, found: 'newDirectory' });
    write('in/below/later');
    await untilAt(at('in/below/later'));
    lines(root);
    renameSync(at('in'), join(base, 'out'));
    await until((change) => change.type === 'delete' && change.path === at('in'));
    writeFileSync(join(base, 'out/below/beside'), '');
    write('end');
    await untilAt(at('end'));
    expect(told.some(({ path }) => path?.endsWith('beside'))).toBe(false);
  });

  it('two that change places are told as they are', async () => {
    mkdirSync(at('a'));
    mkdirSync(at('b'));
    write('a/of-a');
    write('b/of-b', 'twice');
    const { watcher } = await start();
    const told = new ToldTree();
    told.list(root);
    expect(exchange(at('a'), at('b'))).toBe(true);
    write('end');
    await toldAll(watcher, told, root, Promise.resolve());
    expect(told.differences(root)).toEqual([]);
    expect(existsSync(at('a/of-b'))).toBe(true);
  });

  it('a tree that is made and written at once is told as a whole, and heard later', async () => {
    const { watcher } = await start();
    const told = new ToldTree();
    told.list(root);
    let later = 0;
    for (let i = 0; i < 300; i++) {
      mkdirSync(at(`${i}/a/b`), { recursive: true });
      for (const below of ['', 'a/', 'a/b/']) write(`${i}/${below}file`);
    }
    write('end');
    await toldAll(watcher, told, root, Promise.resolve());
    expect(told.differences(root)).toEqual([]);
    expect([...told.below(root).keys()].filter((path) => path.endsWith('/file')).length).toBe(900);
    for (let i = 0; i < 300; i++) write(`${i}/a/b/file`, 'later');
    unlinkSync(at('end'));
    write('end');
    for await (const batch of watcher.batches()) {
      told.apply(batch);
      later += batch.filter(({ type, path }) => type === 'update' && path?.endsWith('/a/b/file')).length;
      if (later === 300) break;
    }
    expect(later).toBe(300);
  });

  it('a directory that is deleted is told with what was below', async () => {
    mkdirSync(at('a/b'), { recursive: true });
    write('a/b/file');
    const { until, lines } = await start();
    rmSync(at('a'), { recursive: true });
    await until(({ type, path }) => type === 'delete' && path === at('a'));
    expect(lines(root)).toEqual(['delete a/b/file', 'delete a/b', 'delete a']);
  });

  it('what is ignored is not told, and not what is below', async () => {
    mkdirSync(at('node_modules/x'), { recursive: true });
    const { untilAt, lines } = await start({ ignore: ['node_modules', '*.tmp', 'a/b'] });
    write('node_modules/x/file');
    write('one.tmp');
    mkdirSync(at('a/b/c'), { recursive: true });
    write('a/b/c/file');
    write('a/file');
    // Across the border of what is ignored.
    renameSync(at('one.tmp'), at('one'));
    renameSync(at('a/file'), at('two.tmp'));
    write('end');
    await untilAt(at('end'));
    const told = lines(root);
    expect(told).toContain('create a');
    expect(told).toContain('create one');
    expect(told.join('\n')).not.toMatch(/node_modules|tmp|a\/b/);
  });

  it('without recursion only the entries of the root are told', async () => {
    mkdirSync(at('a'));
    const { untilAt, lines } = await start({ recursive: false });
    write('a/below');
    write('entry');
    renameSync(at('entry'), at('renamed'));
    write('end');
    await untilAt(at('end'));
    expect(lines(root).filter((line) => !line.includes('update'))).toEqual(['create renamed', 'create end']);
  });

  it('names that are no UTF-8 are told as bytes', async () => {
    const { until } = await start();
    const path = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x2d])]);
    writeFileSync(path, '');
    const told = await until((change) => change.type === 'create');
    expect(told[0]?.path).toBeNull();
    expect(told[0]?.rawPath.equals(path)).toBe(true);
  });

  it('hard links are entries of their own', async () => {
    write('one', 'abc');
    const { untilAt, lines } = await start({ delayMs: 200 });
    linkSync(at('one'), at('two'));
    unlinkSync(at('one'));
    write('end');
    await untilAt(at('end'));
    const told = lines(root);
    expect(told).toContain('create two');
    expect(told).toContain('delete one');
  });

  it('sequence numbers count without gaps', async () => {
    const { untilAt, told } = await start({ delayMs: 0 });
    for (let i = 0; i < 50; i++) {
      mkdirSync(at(`${i}`));
      write(`${i}/file`);
      rmSync(at(`${i}`), { recursive: true });
    }
    write('end');
    await untilAt(at('end'));
    expect(told.map(({ seq }) => seq)).toEqual(told.map((_change, index) => index + 1));
  });
});

describe.each(OLD_WAYS)('by %s', (_way, kernelOf) => {
  it('renames are told as what comes and goes', async () => {
    mkdirSync(at('a/b'), { recursive: true });
    write('a/b/file', 'three');
    const { watcher } = await watching(root, { kernel: kernelOf() });
    const told = new ToldTree();
    told.list(root);
    renameSync(at('a'), at('z'));
    write('z/b/more');
    renameSync(at('z/b/file'), at('y'));
    write('end');
    await toldAll(watcher, told, root, Promise.resolve());
    expect(told.differences(root)).toEqual([]);
  });
});
