// The border of subtrees, with and without privilege: moves, links, mounts below, and the end of a root.

import { spawnSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LimitError } from '../../src/group/errors.ts';
import { type Kernel, linuxKernel } from '../../src/kernel/index.ts';
import {
  type DirectedListener,
  type ListenEvent,
  type ListenOptions,
  listen,
} from '../../src/scope/directed-listener.ts';
import type { MountChange } from '../../src/scope/mounts-below.ts';
import { canMount, mountBind, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { withoutPrivilege } from './listen.ts';

const isRoot = process.getuid?.() === 0;
const WAYS: [string, () => Kernel][] = [['inode marks', () => withoutPrivilege()]];
if (isRoot) WAYS.unshift(['a filesystem mark', linuxKernel]);

let base: string;
const at = (path: string) => join(base, path);
const listeners: DirectedListener[] = [];
const mounts: ScratchMount[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fanotify-border-'));
  for (const path of ['root/inside/deep', 'outside/other/deep']) mkdirSync(at(path), { recursive: true });
  for (const path of ['root/inside/file', 'outside/file', 'outside/other/deep/file']) writeFileSync(at(path), '');
});

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
  for (const mount of mounts.splice(0).reverse()) mount.unmount();
  for (const path of ['root/inside/deep', 'root/inside', 'root']) spawnSync('umount', ['--lazy', at(path)]);
  rmSync(base, { recursive: true, force: true });
});

async function open(kernel: Kernel, options: Partial<ListenOptions> = {}, root = at('root')) {
  const changes: MountChange[] = [];
  let wake = () => {};
  const listener = await listen(root, {
    events: ['create', 'delete', 'rename', 'closeWrite', 'attrib'],
    kernel,
    ...options,
    onCoverage: (change) => {
      changes.push(change);
      wake();
    },
  });
  listeners.push(listener);
  const batches = listener.batches();
  const told: ListenEvent[] = [];
  const read = async () => {
    const { done, value } = await batches.next();
    if (value) told.push(...value);
    return !done;
  };
  return {
    listener,
    told,
    /** Everything until a file of this name is closed; told as 'kind path' relative to the base. */
    async until(name: string): Promise<string[]> {
      const isEnd = (event: ListenEvent) => 'path' in event && event.path?.endsWith(`/${name}`) === true;
      const isClosed = (event: ListenEvent) => lines([event]).some((line) => line.startsWith('closeWrite '));
      while (!told.some((event) => isEnd(event) && isClosed(event))) {
        if (!(await read())) throw new Error(`ended before ${name}`);
      }
      return lines(told.splice(0)).filter((line) => !line.endsWith(`/${name}`));
    },
    async toTheEnd(): Promise<string[]> {
      while (await read());
      return lines(told.splice(0));
    },
    async changed(change: MountChange['change'], mountPoint: string): Promise<MountChange> {
      for (;;) {
        const found = changes.find((one) => one.change === change && one.mount.mountPoint === mountPoint);
        if (found) {
          changes.splice(changes.indexOf(found), 1);
          return found;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function lines(events: readonly ListenEvent[]): string[] {
  const short = (path: string | null) => path?.replace(`${base}/`, '') ?? '?';
  return events.flatMap((event) => {
    if (event.kind === 'overflow' || event.kind === 'filesystemError') return [event.kind];
    if (event.kind === 'gone') return [`gone ${event.reason} ${short(event.path)}`];
    if (event.kind === 'rename') return [`rename ${short(event.from)} → ${short(event.path)}`];
    return event.kinds.map((kind) => `${event.kind === 'found' ? 'found' : kind} ${short(event.path)}`);
  });
}

const write = (path: string) => writeFileSync(at(path), 'x');
const tmpfsAt = (path: string) => spawnSync('mount', ['-t', 'tmpfs', 'test', at(path)]);
const umount = (path: string) => spawnSync('umount', [at(path)]);

describe.each(WAYS)('by %s', (way, kernel) => {
  const isPrivileged = way === 'a filesystem mark';

  it('a file that is moved in is told with both paths if they are known, one that is moved out too', async () => {
    const { until } = await open(kernel());
    renameSync(at('outside/file'), at('root/in'));
    renameSync(at('root/inside/file'), at('outside/out'));
    write('root/end');
    const old = isPrivileged ? 'outside/file' : '?';
    const now = isPrivileged ? 'outside/out' : '?';
    const told = await until('end');
    expect(told.filter((line) => line.startsWith('rename'))).toEqual([
      `rename ${old} → root/in`,
      `rename root/inside/file → ${now}`,
    ]);
  });

  it('what is below a directory is heard once that is moved in, and no more once it is moved out', async () => {
    const { until } = await open(kernel());
    renameSync(at('outside/other'), at('root/other'));
    write('root/end1');
    await until('end1');
    write('root/other/deep/file');
    write('root/end2');
    expect(await until('end2')).toContain('closeWrite root/other/deep/file');
    renameSync(at('root/other'), at('outside/back'));
    write('root/end3');
    await until('end3');
    write('outside/back/deep/file');
    write('root/end4');
    expect(await until('end4')).toEqual([]);
  });

  it('of a file with several links what counts is the path by which it is accessed', async () => {
    linkSync(at('root/inside/file'), at('outside/link'));
    const { until } = await open(kernel());
    write('outside/link');
    write('root/inside/file');
    linkSync(at('outside/file'), at('root/new-link'));
    write('outside/file');
    write('root/end');
    const told = (await until('end')).filter((line) => !line.startsWith('attrib'));
    expect(told).toEqual(['closeWrite root/inside/file', 'create root/new-link']);
  });

  it('a link outside that goes is a change of the file itself, which only a filesystem mark hears', async () => {
    linkSync(at('root/inside/file'), at('outside/link'));
    const { until } = await open(kernel());
    unlinkSync(at('outside/link'));
    write('root/end');
    expect(await until('end')).toEqual(isPrivileged ? ['attrib root/inside/file'] : []);
  });

  it('what a symbolic link leads to is not below it', async () => {
    symlinkSync(at('outside'), at('root/link'));
    const { until } = await open(kernel());
    write('outside/file');
    write('root/link/other/deep/file');
    write('root/end');
    expect(await until('end')).toEqual([]);
  });

  it('what happened in a directory that is gone before it is read is told, also if nobody asked for deletions', async () => {
    const { until } = await open(kernel(), { events: ['create', 'closeWrite'] });
    write('root/inside/deep/new');
    rmSync(at('root/inside'), { recursive: true });
    write('root/end');
    expect((await until('end')).sort()).toEqual(['closeWrite root/inside/deep/new', 'create root/inside/deep/new']);
  });

  it('a deleted root is told in its place, and the end', async () => {
    const { toTheEnd } = await open(kernel(), { events: ['delete'] });
    rmSync(at('root'), { recursive: true });
    const told = await toTheEnd();
    expect(told.at(-1)).toBe('gone deleted root');
    expect(told).toContain('delete root/inside/file');
  });

  it('what is made in the place of a deleted root is not in it', async () => {
    const { toTheEnd } = await open(kernel(), { events: ['create', 'delete'] });
    rmSync(at('root'), { recursive: true });
    mkdirSync(at('root/new/below'), { recursive: true });
    write('root/new/below/file');
    const told = await toTheEnd();
    expect(told).toContain('delete root/inside/file');
    expect(told.filter((line) => line.startsWith('create') || line.startsWith('found'))).toEqual([]);
  });

  it('a root that is renamed stays the root', async () => {
    const { until, listener } = await open(kernel());
    renameSync(at('root'), at('moved'));
    write('moved/inside/file');
    write('moved/end');
    expect(await until('end')).toContain('closeWrite moved/inside/file');
    expect(listener.coverage().roots).toMatchObject([{ path: at('moved') }]);
  });

  it('leaves out what this process does itself, and still hears in directories that it makes', async () => {
    const { until, listener } = await open(kernel(), { ownEvents: false });
    mkdirSync(at('root/own'));
    spawnSync('sh', ['-c', `sleep 0.2; echo > ${at('root/own/others')}; echo > ${at('root/end')}`]);
    const told = await until('end');
    // What was there before the mark was: whose it is nobody knows.
    expect(told).toContain(isPrivileged ? 'closeWrite root/own/others' : 'found root/own/others');
    expect(told).not.toContain('create root/own');
    expect(listener.counters.own).toBeGreaterThan(0);
  });

  it('finds 900 of 900 files in directories that are made and written to at once', async () => {
    const { until } = await open(kernel(), { events: ['create', 'closeWrite'] });
    const expected: string[] = [];
    for (let i = 0; i < 300; i++) {
      const path = `root/d${i}/a/b`;
      mkdirSync(at(path), { recursive: true });
      for (const name of ['x', 'y', 'z']) {
        write(`${path}/${name}`);
        expected.push(`${path}/${name}`);
      }
    }
    write('root/end');
    const told = await until('end');
    const created = told.filter((line) => /^(create|found) .*\/[xyz]$/.test(line)).map((line) => line.split(' ')[1]);
    expect(created.sort()).toEqual(expected.sort());
  });

  describe.skipIf(!canMount)('mounts', () => {
    it('below are heard, those there are and those that come; and let go of when they go', async () => {
      tmpfsAt('root/inside');
      mkdirSync(at('root/inside/sub'));
      const { until, changed, listener } = await open(kernel());
      write('root/inside/sub/a');
      tmpfsAt('root/inside/sub');
      expect((await changed('heard', at('root/inside/sub'))).mount).toMatchObject({ type: 'tmpfs', why: null });
      mkdirSync(at('root/inside/sub/new'));
      write('root/inside/sub/new/b');
      write('root/end');
      const told = await until('end');
      expect(told).toContain('closeWrite root/inside/sub/a');
      expect(told.filter((line) => line.endsWith('root/inside/sub/new/b'))).not.toEqual([]);
      umount('root/inside/sub');
      await changed('gone', at('root/inside/sub'));
      write('root/inside/sub/c');
      write('root/end2');
      expect(await until('end2')).toContain('closeWrite root/inside/sub/c');
      umount('root/inside');
      await changed('gone', at('root/inside'));
      expect(listener.coverage().mounts).toEqual([]);
    });

    it('that are still elsewhere are let go of too', async () => {
      const there = mountTmpfs();
      mounts.push(there);
      mkdirSync(join(there.path, 'sub'));
      const { until, changed } = await open(kernel());
      spawnSync('mount', ['--bind', there.path, at('root/inside')]);
      await changed('heard', at('root/inside'));
      writeFileSync(join(there.path, 'sub/a'), '');
      write('root/end');
      expect(await until('end')).toContain('create root/inside/sub/a');
      umount('root/inside');
      await changed('gone', at('root/inside'));
      writeFileSync(join(there.path, 'sub/b'), '');
      write('root/end2');
      expect(await until('end2')).toEqual([]);
    });

    it('of the tree itself elsewhere are inside, told by the path in the tree', async () => {
      const bind = mountBind(at('root/inside'));
      mounts.push(bind);
      const { until } = await open(kernel());
      writeFileSync(join(bind.path, 'deep/through'), '');
      write('root/end');
      expect(await until('end')).toContain('create root/inside/deep/through');
    });

    it('below are heard where they are mounted still, when another mount of them is taken away', async () => {
      tmpfsAt('root/inside');
      mkdirSync(at('root/other'));
      const { until, changed } = await open(kernel());
      spawnSync('mount', ['--bind', at('root/inside'), at('root/other')]);
      await changed('heard', at('root/other'));
      expect(umount('root/other').status).toBe(0);
      await changed('gone', at('root/other'));
      write('root/inside/new');
      write('root/end');
      expect(await until('end')).toContain('create root/inside/new');
    });

    it('of places outside are inside where they are mounted, and told by the path there', async () => {
      spawnSync('mount', ['--bind', at('outside'), at('root/inside')]);
      const { until } = await open(kernel());
      write('outside/other/deep/directly');
      write('root/inside/other/deep/through');
      renameSync(at('outside/other'), at('outside/renamed'));
      write('root/end');
      const told = await until('end');
      expect(told).toContain('create root/inside/other/deep/directly');
      expect(told).toContain('create root/inside/other/deep/through');
      expect(told).toContain('rename root/inside/other → root/inside/renamed');
    });

    it('below are left out with crossMounts: false', async () => {
      tmpfsAt('root/inside');
      mkdirSync(at('root/bound'));
      spawnSync('mount', ['--bind', at('outside'), at('root/bound')]);
      const { until, listener } = await open(kernel(), { crossMounts: false });
      write('root/inside/no');
      write('root/bound/no');
      mkdirSync(at('root/later'));
      tmpfsAt('root/later');
      write('root/later/no');
      write('root/end');
      expect(await until('end')).toEqual(['create root/later']);
      expect(listener.coverage().mounts).toEqual([]);
      for (const path of ['root/bound', 'root/later']) umount(path);
    });

    it('below that a glob excludes are left out, and said to be', async () => {
      const { until, changed } = await open(kernel(), { exclude: ['inside'] });
      tmpfsAt('root/inside');
      expect((await changed('notHeard', at('root/inside'))).mount.why).toBe('excluded');
      write('root/inside/no');
      write('root/end');
      expect(await until('end')).toEqual([]);
    });

    it('of the root: an end with its reason, after what happened there', async () => {
      rmSync(at('root'), { recursive: true });
      mkdirSync(at('root'));
      tmpfsAt('root');
      mkdirSync(at('root/sub'));
      const { toTheEnd } = await open(kernel());
      write('root/sub/last');
      expect(umount('root').status).toBe(0);
      const told = await toTheEnd();
      // Where in it nobody can ask any more, unless the directory was heard of before.
      expect(told.filter((line) => line === 'create root/sub/last' || line === 'create ?')).toHaveLength(1);
      expect(told.at(-1)).toBe('gone unmounted root');
    });
  });
});

describe.skipIf(!canMount)('marks that run out', () => {
  it('for what is mounted below end the listener, with the setting and the number needed', async () => {
    const there = mountTmpfs();
    mounts.push(there);
    for (let i = 0; i < 20; i++) mkdirSync(join(there.path, `d${i}`));
    const { toTheEnd } = await open(withoutPrivilege(linuxKernel(), 10));
    spawnSync('mount', ['--bind', there.path, at('root/inside')]);
    const error = await toTheEnd().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LimitError);
    expect((error as LimitError).setting).toMatch(/max_user_marks|max_fanotify_marks/);
    expect((error as LimitError).message).toMatch(/each of the \d\d directories needs a mark/);
  });
});

describe.skipIf(!canMount)('an unprivileged listener', () => {
  it('is told the end of a root that was moved out of sight', async () => {
    const { toTheEnd } = await open(withoutPrivilege());
    renameSync(at('root'), at('outside/root'));
    const told = await toTheEnd();
    expect(told.at(-1)).toBe('gone moved root');
  });
});

it.each([
  [[], { events: ['create'] }, 'a path at least'],
  ['/tmp', { events: [] }, 'needs events'],
  ['/tmp', { events: ['create'], crossMount: false }, 'did you mean "crossMounts"'],
  ['/tmp', { events: ['created'] }, 'did you mean "create"'],
])('listen(%j, %j) is refused with a sentence', async (paths, options, sentence) => {
  await expect(listen(paths, options as unknown as ListenOptions)).rejects.toThrow(sentence);
});

it('of an absent path says so, and leaves nothing open', async () => {
  const before = readFileSync('/proc/self/limits').length;
  await expect(listen('/no/where', { events: ['create'] })).rejects.toMatchObject({ code: 'NO_SUCH_PATH' });
  expect(readFileSync('/proc/self/limits')).toHaveLength(before);
});
