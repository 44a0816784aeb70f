// The paths that are watched: files, links, what is not there yet, what goes and comes back, and one below another.

import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { ToldTree, toldAll } from './told-tree.ts';
import { WAYS, watching } from './watching.ts';

let base: string;
let root: string;

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'fanotify-roots-')));
  root = join(base, 'root');
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

describe.each(WAYS)('by %s', (_way, kernelOf) => {
  const start = (paths: string | string[] = root, options = {}) => watching(paths, { kernel: kernelOf(), ...options });

  it('a path that does not exist yet is heard when it comes, with what it brings', async () => {
    const { untilAt, lines } = await start(join(base, 'a/b/c'));
    mkdirSync(join(base, 'a'));
    mkdirSync(join(base, 'a/b/c/d'), { recursive: true });
    writeFileSync(join(base, 'a/b/c/d/file'), '');
    await untilAt(join(base, 'a/b/c/d/file'));
    writeFileSync(join(base, 'a/b/beside'), '');
    writeFileSync(join(base, 'a/b/c/later'), '');
    await untilAt(join(base, 'a/b/c/later'));
    const told = lines(join(base, 'a/b/c'));
    expect([...new Set(told)].filter((line) => line.startsWith('create'))).toEqual([
      'create .',
      'create d',
      'create d/file',
      'create later',
    ]);
  });

  it('a path that does not exist yet may come to be a file, or be moved there', async () => {
    mkdirSync(join(base, 'elsewhere/below'), { recursive: true });
    const { untilAt, until, lines } = await start([root, join(base, 'file')]);
    writeFileSync(join(base, 'file'), 'abc');
    await untilAt(join(base, 'file'));
    renameSync(join(base, 'elsewhere'), root);
    await untilAt(join(root, 'below'));
    appendFileSync(join(base, 'file'), 'd');
    writeFileSync(join(root, 'below/x'), '');
    await until((change) => change.type === 'update' && change.path === join(base, 'file'));
    await untilAt(join(root, 'below/x'));
    expect(lines(base)).toContain('create root/below');
  });

  it('a root that is deleted is told, and heard again when it is made again', async () => {
    mkdirSync(join(root, 'sub'), { recursive: true });
    const { until, untilAt, lines } = await start();
    rmSync(root, { recursive: true });
    await until((change) => change.type === 'delete' && change.path === root);
    expect(lines(root).filter((line) => line.startsWith('delete'))).toEqual(['delete sub', 'delete .']);
    mkdirSync(join(root, 'again'), { recursive: true });
    await untilAt(join(root, 'again'));
    writeFileSync(join(root, 'again/file'), '');
    await untilAt(join(root, 'again/file'));
    expect(lines(root).filter((line) => line.startsWith('create .'))).toEqual(['create .']);
  });

  it('a root that is deleted and made again at once is told as it is', async () => {
    mkdirSync(join(root, 'sub'), { recursive: true });
    const { watcher } = await start();
    const told = new ToldTree();
    told.list(root);
    for (let i = 0; i < 5; i++) {
      rmSync(root, { recursive: true });
      mkdirSync(join(root, `${i}`), { recursive: true });
      writeFileSync(join(root, `${i}/file`), '');
    }
    writeFileSync(join(root, 'end'), '');
    await toldAll(watcher, told, root, Promise.resolve());
    expect(told.differences(root)).toEqual([]);
  });

  it('a root that is moved away is told to have gone, and nothing of where it is; what comes in its place is heard', async () => {
    mkdirSync(join(root, 'sub'), { recursive: true });
    const { until, untilAt, told } = await start();
    renameSync(root, join(base, 'moved'));
    await until((change) => change.type === 'delete' && change.path === root);
    writeFileSync(join(base, 'moved/sub/unheard'), '');
    mkdirSync(root);
    await untilAt(root);
    writeFileSync(join(root, 'heard'), '');
    await untilAt(join(root, 'heard'));
    expect(told.some(({ path }) => path?.includes('moved'))).toBe(false);
  });

  it('a root goes with a directory above it', async () => {
    mkdirSync(join(base, 'a/b/root/sub'), { recursive: true });
    const path = join(base, 'a/b/root');
    const { until, untilAt, told } = await start(path);
    renameSync(join(base, 'a'), join(base, 'z'));
    await until((change) => change.type === 'delete' && change.path === path);
    writeFileSync(join(base, 'z/b/root/sub/unheard'), '');
    renameSync(join(base, 'z'), join(base, 'a'));
    await untilAt(join(path, 'sub'));
    writeFileSync(join(path, 'sub/heard'), '');
    await untilAt(join(path, 'sub/heard'));
    expect(told.some((change) => change.path?.startsWith(join(base, 'z')))).toBe(false);
  });

  it('through a link the tree that it leads to is told below the name of the link', async () => {
    mkdirSync(join(base, 'one/sub'), { recursive: true });
    mkdirSync(join(base, 'two'));
    symlinkSync('one', root);
    const { untilAt, until, lines } = await start();
    writeFileSync(join(base, 'one/sub/file'), '');
    await untilAt(join(root, 'sub/file'));
    expect(lines(root)).toEqual(['create sub/file']);
    // Replaced at once, as deployments do it.
    symlinkSync('two', join(base, 'next'));
    renameSync(join(base, 'next'), root);
    await until((change) => change.type === 'delete' && change.path === root);
    writeFileSync(join(base, 'two/other'), '');
    await untilAt(join(root, 'other'));
    writeFileSync(join(base, 'one/sub/unheard'), '');
    writeFileSync(join(base, 'two/end'), '');
    await untilAt(join(root, 'end'));
    expect(lines(root).some((line) => line.includes('unheard'))).toBe(false);
  });

  it('a link in the middle of a path is followed where it leads next', async () => {
    mkdirSync(join(base, 'v1/data'), { recursive: true });
    mkdirSync(join(base, 'v2/data/new'), { recursive: true });
    symlinkSync('v1', join(base, 'current'));
    const path = join(base, 'current/data');
    const { untilAt } = await start(path);
    writeFileSync(join(base, 'v1/data/a'), '');
    await untilAt(join(path, 'a'));
    unlinkSync(join(base, 'current'));
    symlinkSync('v2', join(base, 'current'));
    await untilAt(join(path, 'new'));
    writeFileSync(join(base, 'v2/data/b'), '');
    await untilAt(join(path, 'b'));
  });

  it('links inside are not followed', async () => {
    mkdirSync(root);
    mkdirSync(join(base, 'outside'));
    const { untilAt, lines } = await start();
    symlinkSync(join(base, 'outside'), join(root, 'link'));
    writeFileSync(join(base, 'outside/file'), '');
    writeFileSync(join(root, 'end'), '');
    await untilAt(join(root, 'end'));
    expect(lines(root)).toEqual(['create link', 'create end']);
  });

  it('a file is heard alone, through writing, replacing and deleting', async () => {
    const file = join(base, 'file');
    writeFileSync(file, 'a');
    const { until, lines } = await start(file);
    writeFileSync(join(base, 'beside'), 'a');
    appendFileSync(file, 'b');
    await until(({ seq }) => seq === 1);
    expect(lines(base)).toEqual(['update file']);
    writeFileSync(join(base, 'temporary'), 'other');
    renameSync(join(base, 'temporary'), file);
    await until(({ seq }) => seq === 2);
    appendFileSync(file, 'b');
    await until(({ seq }) => seq === 3);
    unlinkSync(file);
    await until((change) => change.type === 'delete');
    writeFileSync(file, 'again');
    await until((change) => change.type === 'create' && change.size === 5);
    expect(lines(base).every((line) => line.endsWith(' file'))).toBe(true);
  });

  it('roots that are below another, or the same, are told once', async () => {
    mkdirSync(join(root, 'sub'), { recursive: true });
    symlinkSync('root', join(base, 'link'));
    const { untilAt, lines } = await start([root, join(root, 'sub'), root, join(base, 'link')]);
    writeFileSync(join(root, 'sub/file'), '');
    writeFileSync(join(root, 'end'), '');
    await untilAt(join(root, 'end'));
    expect(lines(root)).toEqual(['create sub/file', 'create end']);
  });

  it('a relative path is told as absolute', async () => {
    mkdirSync(root);
    const { untilAt } = await start(`${relative(process.cwd(), root)}/`);
    writeFileSync(join(root, 'file'), '');
    await untilAt(join(root, 'file'));
  });

  describe.skipIf(!canMount)('mounts', () => {
    it('what is mounted below is told, and what it hides', async () => {
      mkdirSync(join(root, 'at'), { recursive: true });
      const { until, untilAt, watcher } = await start();
      const told = new ToldTree();
      told.list(root);
      const mount = mountTmpfs(1 << 20, join(root, 'at'));
      try {
        await until((change) => change.type === 'rescan' && change.path === mount.path);
        writeFileSync(join(mount.path, 'inside'), '');
        await untilAt(join(mount.path, 'inside'));
        told.list(root);
      } finally {
        mount.unmount();
      }
      await until(
        (change) => change.type === 'rescan' && change.path === mount.path && change.seq > watcher.counters.told - 3,
      );
      await until((change) => change.type === 'delete' && change.path === mount.path);
    });

    it('without crossMounts nothing of what is mounted below is told', async () => {
      mkdirSync(join(root, 'at'), { recursive: true });
      const { untilAt, lines } = await start(root, { crossMounts: false });
      const mount = mountTmpfs(1 << 20, join(root, 'at'));
      writeFileSync(join(mount.path, 'inside'), '');
      writeFileSync(join(root, 'end'), '');
      await untilAt(join(root, 'end'));
      mount.unmount();
      expect(lines(root).some((line) => line.includes('inside'))).toBe(false);
    });
  });
});
