// watch() through the daemon: what it tells is what is on disk, whatever happens, the end of the daemon included.

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { brokeredKernel, connect } from '../../src/client/index.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { ToldTree, toldAll } from '../watch/told-tree.ts';
import { watching } from '../watch/watching.ts';
import { isRoot, LittleDaemon } from './daemon.ts';

describe.skipIf(!isRoot)('through the daemon', () => {
  let daemon: LittleDaemon;
  let base: string;
  let root: string;

  beforeAll(async () => {
    daemon = await LittleDaemon.start();
  });
  afterAll(() => daemon?.stop());
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'fanotify-through-'));
    root = join(base, 'root');
    mkdirSync(root);
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const at = (path: string) => join(root, path);
  const write = (path: string, text = 'x') => writeFileSync(at(path), text);
  const kernel = () => brokeredKernel({ socket: daemon.socket });
  const start = (options = {}) => watching(root, { kernel: kernel(), ...options });

  it('hears a whole tree by one mark, and says so', async () => {
    for (let i = 0; i < 50; i++) mkdirSync(at(`${i}/below`), { recursive: true });
    const { watcher, untilAt, lines } = await start();
    expect([watcher.how, watcher.because, watcher.counters.markedDirectories]).toEqual(['daemon', undefined, 0]);
    write('49/below/file');
    await untilAt(at('49/below/file'));
    expect(lines(root)).toEqual(['create 49/below/file']);
  });

  it('directories are followed where they are renamed to', async () => {
    mkdirSync(at('a/b'), { recursive: true });
    const { untilAt, lines } = await start();
    write('a/b/one');
    await untilAt(at('a/b/one'));
    renameSync(at('a'), at('z'));
    renameSync(at('z/b'), at('c'));
    write('c/two');
    await untilAt(at('c/two'));
    expect(lines(root)).toEqual(['create a/b/one', 'rename a → z', 'rename z/b → c', 'create c/two']);
  });

  it('what is moved in comes with all below, and goes as one when it is moved out', async () => {
    mkdirSync(join(base, 'outside/deep'), { recursive: true });
    writeFileSync(join(base, 'outside/deep/file'), '');
    const { untilAt, until, lines } = await start();
    renameSync(join(base, 'outside'), at('inside'));
    await untilAt(at('inside/deep/file'));
    expect(lines(root)).toEqual(['create inside', 'create inside/deep', 'create inside/deep/file']);
    renameSync(at('inside'), join(base, 'out'));
    await until(({ type, path }) => type === 'delete' && path === at('inside'));
    writeFileSync(join(base, 'out/deep/unheard'), '');
    write('end');
    await untilAt(at('end'));
    expect(lines(root)).toEqual(['delete inside', 'create end']);
  });

  it('bursts of trees that are made, moved as git does, and deleted are told as they end', async () => {
    const { watcher } = await start();
    const told = new ToldTree();
    told.list(root);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 60; i++) {
        mkdirSync(at(`${round}/${i}/deep`), { recursive: true });
        write(`${round}/${i}/deep/file.lock`);
        renameSync(at(`${round}/${i}/deep/file.lock`), at(`${round}/${i}/deep/file`));
      }
      if (round > 0) rmSync(at(`${round - 1}`), { recursive: true, force: true });
      renameSync(at(`${round}`), at(`moved-${round}`));
      if (round % 2 === 0) renameSync(at(`moved-${round}`), at(`${round}`));
    }
    write('end');
    await toldAll(watcher, told, root, Promise.resolve());
    expect(told.differences(root)).toEqual([]);
  });

  it('a root that is moved away is told to have gone, and what comes in its place is heard', async () => {
    mkdirSync(at('sub'));
    const { until, untilAt, told } = await start();
    renameSync(root, join(base, 'moved'));
    await until(({ type, path }) => type === 'delete' && path === root);
    writeFileSync(join(base, 'moved/sub/unheard'), '');
    mkdirSync(root);
    await untilAt(root);
    write('heard');
    await untilAt(at('heard'));
    expect(told.some(({ path }) => path?.includes('moved'))).toBe(false);
  });

  it('a root that is deleted and made again is told, and heard again', async () => {
    const { until, untilAt } = await start();
    rmSync(root, { recursive: true });
    await until(({ type, path }) => type === 'delete' && path === root);
    mkdirSync(at('again'), { recursive: true });
    await untilAt(at('again'));
    write('again/file');
    await untilAt(at('again/file'));
  });

  it.skipIf(!canMount)('what is mounted below is heard, too', async () => {
    mkdirSync(at('at'));
    const { until, untilAt } = await start();
    const mount = mountTmpfs(1 << 20, at('at'));
    try {
      await until(({ type, path }) => type === 'rescan' && path === mount.path);
      writeFileSync(join(mount.path, 'inside'), '');
      await untilAt(join(mount.path, 'inside'));
    } finally {
      mount.unmount();
    }
  });

  it('listen() follows a root that is renamed', async () => {
    mkdirSync(at('sub'));
    const listener = await connect({ socket: daemon.socket }).listen(root, { events: ['create'] });
    const batches = listener.batches();
    renameSync(root, join(base, 'renamed'));
    writeFileSync(join(base, 'renamed/sub/file'), '');
    const { value } = await batches.next();
    expect(value?.map((event) => ('path' in event ? event.path : event.kind))).toEqual([
      join(base, 'renamed/sub/file'),
    ]);
    expect(listener.coverage().roots[0]).toMatchObject({ path: join(base, 'renamed'), how: 'filesystem' });
    await listener.close();
  });

  it('after the daemon was started again a loss is told, and everything is heard as before', async () => {
    mkdirSync(at('a/b'), { recursive: true });
    write('a/b/old');
    const { untilAt, lines, watcher } = await start({ baseline: 'memory' });
    while (watcher.counters.baseline === 'listing') await new Promise((resolve) => setImmediate(resolve));
    const restarted = daemon.restart(100);
    // Nobody hears these.
    write('a/b/missed');
    rmSync(at('a/b/old'));
    await restarted;
    await untilAt(at('a/b/missed'));
    expect(lines(root)).toContain('delete a/b/old');
    mkdirSync(at('a/later'));
    await untilAt(at('a/later'));
    write('a/later/file');
    await untilAt(at('a/later/file'));
    expect(watcher.counters.rescans).toBeGreaterThan(0);
  });
});
