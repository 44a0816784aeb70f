// Subtrees on a real file system: as root through a filesystem mark, without privilege through inode marks, on the kernel that
// runs and on older ones (emulated).

import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LimitError, NotDirectoryError } from '../../src/group/errors.ts';
import type { FileEventName } from '../../src/group/names.ts';
import { type Kernel, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import type { SubtreeOptions } from '../../src/scope/subtree.ts';
import { canMount, mountTmpfs } from '../support/mounts.ts';
import { at, lines, listen, withoutPrivilege } from './listen.ts';

const isRoot = process.getuid?.() === 0;
const KERNELS: [string, () => Kernel][] = ['6.12', '6.8', '6.1', '5.15'].map((version) => [
  `Linux ${version} (emulated)`,
  () => limitKernel(linuxKernel(), version),
]);
KERNELS.unshift(['this Linux', linuxKernel]);

const WAYS: [string, (kernel: Kernel) => Kernel][] = [
  ['inode marks', (kernel) => withoutPrivilege(kernel)],
  ...(isRoot ? ([['a filesystem mark', (kernel) => kernel]] as [string, (kernel: Kernel) => Kernel][]) : []),
];

let base: string;
let root: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fanotify-subtree-'));
  root = join(base, 'root');
  mkdirSync(root);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

const write = (path: string) => writeFileSync(join(root, path), 'x');
const CREATE: SubtreeOptions = { events: ['create'] };

describe.each(KERNELS)('subtrees on %s', (version, kernelOf) => {
  describe.each(WAYS)('by %s', (_way, limit) => {
    const kernel = () => limit(kernelOf());
    // Linux 5.17: a group can report targets, and hear renames as one event.
    const hasRename = !version.includes('5.15');

    it('tell what happens below, however deep, and nothing of what is beside', async () => {
      mkdirSync(join(root, 'a/b/c'), { recursive: true });
      mkdirSync(join(base, 'root2'));
      const { until } = await listen(root, kernel(), CREATE);
      writeFileSync(join(base, 'root2/beside'), '');
      writeFileSync(join(base, 'above'), '');
      write('a/b/c/deep');
      write('end');
      expect(lines(await until(at(join(root, 'end'))), root)).toEqual(['create a/b/c/deep', 'create end']);
    });

    it('tell of everything in new directories, once, although they are written to at once', async () => {
      const { until } = await listen(root, kernel(), CREATE);
      const made = [];
      for (let i = 0; i < 30; i++) {
        mkdirSync(join(root, `${i}/sub/sub`), { recursive: true });
        for (const directory of [`${i}`, `${i}/sub`, `${i}/sub/sub`]) {
          made.push(directory);
          for (let j = 0; j < 10; j++) {
            made.push(`${directory}/f${j}`);
            write(`${directory}/f${j}`);
          }
        }
      }
      write('end');
      const told = await until(at(join(root, 'end')));
      expect(lines(told, root).sort()).toEqual([...made, 'end'].map((path) => `create ${path}`).sort());
      expect(told.map(({ seq }) => seq)).toEqual(told.map((_event, index) => index + 1));
    });

    it('follow directories that are renamed inside, and give up those that leave', async () => {
      mkdirSync(join(root, 'a/b'), { recursive: true });
      mkdirSync(join(root, 'leaver/below'), { recursive: true });
      const { until, told } = await listen(root, kernel(), CREATE);
      renameSync(join(root, 'a'), join(root, 'z'));
      write('z/1');
      await until(at(join(root, 'z/1')));
      write('z/b/2');
      await until(at(join(root, 'z/b/2')));
      renameSync(join(root, 'leaver'), join(base, 'leaver'));
      writeFileSync(join(base, 'leaver/3'), '');
      writeFileSync(join(base, 'leaver/below/4'), '');
      write('end');
      await until(at(join(root, 'end')));
      // Nobody asked for renames.
      expect(lines(told, root)).toEqual(['create z/1', 'create z/b/2', 'create end']);
    });

    it('hear what happens in directories that are moved in', async () => {
      mkdirSync(join(base, 'joiner/below'), { recursive: true });
      const { until } = await listen(root, kernel(), CREATE);
      renameSync(join(base, 'joiner'), join(root, 'joiner'));
      write('mark');
      await until(at(join(root, 'mark')));
      write('joiner/below/new');
      await until(at(join(root, 'joiner/below/new')));
    });

    it('leave out what a glob excludes, renames across the border apart', async () => {
      mkdirSync(join(root, 'cache/below'), { recursive: true });
      const rename: FileEventName[] = hasRename ? ['rename'] : ['movedFrom', 'movedTo'];
      const { until } = await listen(root, kernel(), { events: ['create', ...rename], exclude: ['cache', '*.tmp'] });
      write('cache/below/1');
      write('a.tmp');
      renameSync(join(root, 'a.tmp'), join(root, 'a'));
      mkdirSync(join(root, 'new/cache'), { recursive: true });
      write('new/cache/2');
      write('end');
      const expected = hasRename ? 'rename a.tmp → a' : 'movedTo a';
      expect(lines(await until(at(join(root, 'end'))), root)).toEqual([expected, 'create new', 'create end']);
    });

    it('follow the root when it is renamed', async () => {
      mkdirSync(join(root, 'a'));
      const { until, subtrees } = await listen(root, kernel(), CREATE);
      const moved = join(base, 'moved');
      renameSync(root, moved);
      writeFileSync(join(moved, 'a/b'), '');
      await until(at(join(moved, 'a/b')));
      expect(subtrees.roots).toMatchObject([{ path: moved, directory: true }]);
    });

    it('end when the root is deleted, with all that happened in it', async () => {
      write('file');
      const { toTheEnd, subtrees } = await listen(root, kernel(), { events: ['create', 'delete'] });
      write('last');
      rmSync(root, { recursive: true });
      const told = lines(await toTheEnd(), root);
      expect(told).toEqual(expect.arrayContaining(['create last', 'delete last', 'delete file']));
      expect(subtrees.roots).toMatchObject([{ gone: 'deleted' }]);
    });

    it('hear of one root in another only once', async () => {
      mkdirSync(join(root, 'inner'));
      const { until } = await listen([root, join(root, 'inner')], kernel(), CREATE);
      write('inner/a');
      write('end');
      expect(lines(await until(at(join(root, 'end'))), root)).toEqual(['create inner/a', 'create end']);
    });

    it('tell of a file as of a directory without what is below, when not recursive', async () => {
      mkdirSync(join(root, 'sub'));
      write('file');
      const { until } = await listen([root, join(root, 'file')], kernel(), {
        events: ['create', 'modify'],
        recursive: false,
      });
      write('sub/unheard');
      write('file');
      write('end');
      const told = lines(await until(at(join(root, 'end'))), root);
      expect(new Set(told)).toEqual(new Set(['modify file', 'create end', 'modify end']));
    });

    it('refuse a file as the root of a tree', async () => {
      write('file');
      await expect(listen(join(root, 'file'), kernel(), CREATE)).rejects.toThrow(NotDirectoryError);
    });
  });
});

describe('inode marks', () => {
  it('say how many are needed when there are not enough, and which setting is to be raised', async () => {
    for (let i = 0; i < 8; i++) mkdirSync(join(root, `${i}`));
    const error = await listen(root, withoutPrivilege(linuxKernel(), 4), CREATE).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LimitError);
    const current = linuxKernel().readFile('/proc/sys/fs/fanotify/max_user_marks').toString().trim();
    expect((error as LimitError).message).toContain(`each of the 9 directories needs a mark`);
    expect((error as LimitError).message).toContain(`fs.fanotify.max_user_marks = ${current}`);
  });

  it('fail rather than go on half blind when they run out later', async () => {
    const { toTheEnd } = await listen(root, withoutPrivilege(linuxKernel(), 3), CREATE);
    mkdirSync(join(root, 'a/b/c/d'), { recursive: true });
    await expect(toTheEnd()).rejects.toThrow(/each of the 5 directories/);
  });

  it('are not spent on what is excluded', async () => {
    mkdirSync(join(root, 'node_modules/a/b'), { recursive: true });
    mkdirSync(join(root, 'src'));
    const { subtrees } = await listen(root, withoutPrivilege(), { ...CREATE, exclude: ['node_modules'] });
    expect(subtrees.markedDirectories).toBe(2);
  });

  it('stay with a root that leaves another together with the directory that it is in', async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const inner = join(root, 'a/b');
    const { until } = await listen([root, inner], withoutPrivilege(), { ...CREATE, exclude: ['out'] });
    renameSync(join(root, 'a'), join(root, 'out'));
    write('moved');
    await until(at(join(root, 'moved')));
    write('out/b/new');
    write('end');
    const told = await until(at(join(root, 'end')));
    expect(told.flatMap((event) => ('rawName' in event ? `${event.rawName}` : []))).toContain('new');
  });

  it('are taken back from directories that leave the tree where their new place is known', async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const other = join(base, 'other');
    mkdirSync(other);
    const { subtrees, until } = await listen([root, other], withoutPrivilege(), { ...CREATE, exclude: ['out'] });
    expect(subtrees.markedDirectories).toBe(4);
    renameSync(join(root, 'a'), join(other, 'out'));
    write('end');
    await until(at(join(root, 'end')));
    expect(subtrees.markedDirectories).toBe(2);
  });

  it('reach a directory that had another path when it was made', async () => {
    mkdirSync(join(root, 'a'));
    const { until } = await listen(root, withoutPrivilege(), CREATE);
    mkdirSync(join(root, 'a/new'));
    renameSync(join(root, 'a'), join(root, 'b'));
    write('end');
    await until(at(join(root, 'end')));
    write('b/new/file');
    await until(at(join(root, 'b/new/file')));
  });

  it('say how far marking is', async () => {
    for (let i = 0; i < 600; i++) mkdirSync(join(root, `${i}`));
    const told: number[] = [];
    await listen(root, withoutPrivilege(), { ...CREATE, progress: (directories) => told.push(directories) });
    expect(told).toEqual([255, 511]);
  });

  it('follow no symbolic link out of the tree', async () => {
    mkdirSync(join(base, 'elsewhere/sub'), { recursive: true });

    symlinkSync(join(base, 'elsewhere'), join(root, 'link'));
    const { until, subtrees } = await listen(root, withoutPrivilege(), CREATE);
    symlinkSync(join(base, 'elsewhere'), join(root, 'later'));
    write('end');
    await until(at(join(root, 'end')));
    expect(subtrees.markedDirectories).toBe(1);
  });

  it('are made good after an overflow, and what was missed is found', async () => {
    const { until } = await listen(root, withoutPrivilege(), { events: ['create'] });
    const limit = Number(linuxKernel().readFile('/proc/sys/fs/fanotify/max_queued_events').toString());
    mkdirSync(join(root, 'many'));
    for (let i = 0; i <= limit; i++) mkdirSync(join(root, `${i}`));
    mkdirSync(join(root, 'lost'));
    write('lost/inside');
    const told = await until(at(join(root, 'lost/inside')));
    expect(told.some(({ kind }) => kind === 'overflow')).toBe(true);
    write('lost/later');
    await until(at(join(root, 'lost/later')));
    expect(readdirSync(root)).toHaveLength(limit + 3);
  }, 60_000);
});

describe.skipIf(!canMount)('file systems mounted below a root', () => {
  it('are heard too', async () => {
    const tmpfs = mountTmpfs();
    mkdirSync(join(tmpfs.path, 'sub'));
    try {
      const { until } = await listen(tmpdir(), linuxKernel(), CREATE);
      writeFileSync(join(tmpfs.path, 'sub/a'), '');
      await until(at(join(tmpfs.path, 'sub/a')));
    } finally {
      tmpfs.unmount();
    }
  });
});
