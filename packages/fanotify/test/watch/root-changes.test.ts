// The paths of a watch themselves: what they are, what becomes of them, and by which names they are told.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Change, type Watcher, watch } from '../../src/index.ts';

const PATIENCE_MS = 20_000;

let top: string;
let watcher: Watcher | undefined;

beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'fanotify-roots-')));
});
afterEach(async () => {
  await watcher?.close();
  rmSync(top, { recursive: true });
});

const at = (...names: string[]) => join(top, ...names);
const told = (change: Change) => `${change.type} ${change.path?.slice(top.length + 1)}`;

async function watching(...names: string[]): Promise<Watcher> {
  watcher = watch(
    names.map((name) => at(name)),
    { baseline: 'none' },
  );
  await watcher.ready;
  return watcher;
}

/** What is told until `last` is, in the order in which it is told. */
async function until(last: string): Promise<string[]> {
  const all: string[] = [];
  const late = setTimeout(() => {
    void watcher?.close();
  }, PATIENCE_MS);
  const changes = watcher?.[Symbol.asyncIterator]();
  for (let next = await changes?.next(); next && !next.done; next = await changes?.next()) {
    all.push(told(next.value));
    if (all.at(-1) === last) break;
  }
  clearTimeout(late);
  expect(all).toContain(last);
  return all;
}

describe.skipIf(process.platform !== 'linux')('a path that does not exist yet', () => {
  test('is told once it is there, with what is below, and heard from then on', async () => {
    await watching('a/b/c');
    mkdirSync(at('a/b/c/d'), { recursive: true });
    writeFileSync(at('a/b/c/d/file'), '1');
    expect(await until('create a/b/c/d/file')).toEqual(['create a/b/c', 'create a/b/c/d', 'create a/b/c/d/file']);
    writeFileSync(at('a/b/c/later'), '1');
    expect(await until('create a/b/c/later')).toEqual(['create a/b/c/later']);
  });

  test('comes by a rename of what is above', async () => {
    mkdirSync(at('x/b/c'), { recursive: true });
    await watching('a/b/c');
    renameSync(at('x'), at('a'));
    await until('create a/b/c');
  });

  test('comes and goes', async () => {
    await watching('a/b');
    for (let round = 0; round < 5; round++) {
      mkdirSync(at('a/b'), { recursive: true });
      await until('create a/b');
      rmSync(at('a'), { recursive: true });
      await until('delete a/b');
    }
  });

  test('may be a file, or become one', async () => {
    await watching('dir/file');
    mkdirSync(at('dir'));
    writeFileSync(at('dir/file'), 'one');
    await until('create dir/file');
    writeFileSync(at('dir/file'), 'two');
    await until('update dir/file');
    rmSync(at('dir'), { recursive: true });
    await until('delete dir/file');
    mkdirSync(at('dir/file/below'), { recursive: true });
    await until('create dir/file/below');
  });

  test('may be the target of a link', async () => {
    symlinkSync('target', at('link'));
    await watching('link');
    mkdirSync(at('target'));
    await until('create link');
    writeFileSync(at('target/file'), '');
    expect(await until('create link/file')).toEqual(['create link/file']);
  });

  test('many steps, made as fast as can be, are not missed', async () => {
    const deep = Array.from({ length: 60 }, (_, index) => `d${index}`).join('/');
    await watching(deep);
    mkdirSync(at(deep), { recursive: true });
    await until(`create ${deep}`);
  });
});

describe.skipIf(process.platform !== 'linux')('a directory', () => {
  beforeEach(() => {
    mkdirSync(at('root/sub'), { recursive: true });
  });

  test('that is deleted is told, and heard again when it is back', async () => {
    await watching('root');
    rmSync(at('root'), { recursive: true });
    expect(await until('delete root')).toContain('delete root/sub');
    mkdirSync(at('root'));
    await until('create root');
    writeFileSync(at('root/file'), '');
    expect(await until('create root/file')).toEqual(['create root/file']);
  });

  test('that is renamed has gone: another can take its place', async () => {
    await watching('root');
    renameSync(at('root'), at('elsewhere'));
    expect(await until('delete root')).toEqual(['delete root']);
    writeFileSync(at('elsewhere/unheard'), '');
    mkdirSync(at('root'));
    writeFileSync(at('root/heard'), '');
    expect(await until('create root/heard')).toEqual(['create root', 'create root/heard']);
  });

  test('that is replaced in an instant is told as gone and come', async () => {
    mkdirSync(at('next'));
    writeFileSync(at('next/file'), '');
    await watching('root');
    renameSync(at('root'), at('old'));
    renameSync(at('next'), at('root'));
    expect(await until('create root/file')).toEqual(['delete root', 'create root', 'create root/file']);
  });

  test('that a link names is told by the name of the link', async () => {
    symlinkSync('root', at('link'));
    await watching('link');
    writeFileSync(at('root/sub/file'), '');
    expect(await until('create link/sub/file')).toEqual(['create link/sub/file']);
    renameSync(at('root/sub'), at('root/other'));
    expect(await until('rename link/other')).toEqual(['rename link/other']);
  });

  // Root may read everything.
  test.skipIf(process.getuid?.() === 0)('below that cannot be read at first is heard once it can', async () => {
    await watching('root');
    mkdirSync(at('root/shut'), { mode: 0o300 });
    mkdirSync(at('root/shut/below'));
    writeFileSync(at('root/shut/below/file'), '');
    await until('create root/shut');
    chmodSync(at('root/shut'), 0o700);
    await until('create root/shut/below/file');
    writeFileSync(at('root/shut/later'), '');
    await until('create root/shut/later');
  });

  test('within another is told once', async () => {
    await watching('root', 'root/sub');
    writeFileSync(at('root/sub/file'), '');
    writeFileSync(at('root/last'), '');
    expect(await until('create root/last')).toEqual(['create root/sub/file', 'create root/last']);
  });

  test('beside others that come and go is heard all the while', async () => {
    mkdirSync(at('other'));
    await watching('root', 'other', 'third');
    rmSync(at('other'), { recursive: true });
    await until('delete other');
    mkdirSync(at('third'));
    await until('create third');
    writeFileSync(at('root/file'), '');
    await until('create root/file');
    mkdirSync(at('other'));
    await until('create other');
    rmSync(at('root'), { recursive: true });
    await until('delete root');
  });
});

describe.skipIf(process.platform !== 'linux')('a file', () => {
  beforeEach(() => {
    mkdirSync(at('dir'));
    writeFileSync(at('dir/file'), 'one');
    writeFileSync(at('dir/beside'), 'one');
  });

  test('is told alone, and replaced by a rename is still heard', async () => {
    await watching('dir/file');
    writeFileSync(at('dir/beside'), 'two');
    writeFileSync(at('dir/new'), 'two');
    renameSync(at('dir/new'), at('dir/file'));
    expect(await until('create dir/file')).toEqual(['create dir/file']);
    writeFileSync(at('dir/file'), 'three');
    await until('update dir/file');
    rmSync(at('dir/file'));
    await until('delete dir/file');
    writeFileSync(at('dir/file'), 'four');
    await until('create dir/file');
  });

  test('whose directory goes is gone, and comes back', async () => {
    await watching('dir/file');
    renameSync(at('dir'), at('away'));
    await until('delete dir/file');
    renameSync(at('away'), at('dir'));
    await until('create dir/file');
    expect(existsSync(at('dir/file'))).toBe(true);
  });

  test('that a link names is told by the name of the link', async () => {
    symlinkSync('dir/file', at('link'));
    await watching('link');
    writeFileSync(at('dir/file'), 'two');
    expect(await until('update link')).toEqual(['update link']);
  });
});
