import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linuxKernel } from '../../src/kernel/index.ts';
import type { Listed } from '../../src/watch/baseline.ts';
import { knownOf } from '../../src/watch/known.ts';
import { type ListingOptions, list } from '../../src/watch/listing.ts';
import { comparePaths } from '../../src/watch/path-order.ts';
import { canMake, canMount, mountBind, mountImage, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

const kernel = linuxKernel();
const mounts: ScratchMount[] = [];
let root: string;

const keep = (mount: ScratchMount) => {
  mounts.push(mount);
  return mount;
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fanotify-listing-'));
});

afterEach(() => {
  for (const mount of mounts.splice(0).reverse()) mount.unmount();
  // Paths may be too long for node:fs.
  execFileSync('rm', ['-rf', root]);
});

const listAll = (path: string, options?: ListingOptions): Listed[] =>
  [...list(kernel, Buffer.from(path), options)].flat();
const names = (listed: readonly Listed[], below = root) =>
  listed.map(({ path }) => path.toString('latin1').slice(below.length + 1));

/** The same with node:fs. */
function expected(path: Buffer): Buffer[] {
  const below = readdirSync(path, { withFileTypes: true, encoding: 'buffer' as 'utf8' });
  return [
    path,
    ...below.flatMap(({ name }) => {
      const there = Buffer.concat([path, Buffer.from('/'), name as unknown as Buffer]);
      return lstatSync(there).isDirectory() ? expected(there) : [there];
    }),
  ];
}

function makeTree(path: string): void {
  for (const name of ['a', 'a/b', 'a/b/c', 'a-b', 'a.', 'z', 'z/empty']) mkdirSync(join(path, name));
  for (const name of ['a/b/c/f', 'a/b-c', 'a-b/f', 'a.f', 'aa', 'z/ f']) writeFileSync(join(path, name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${path}/z/`), Buffer.from([0xff, 0xfe, 1])]), '');
  symlinkSync('../a', join(path, 'z/link'));
  symlinkSync('nowhere', join(path, 'dangling'));
  execFileSync('mkfifo', [join(path, 'pipe')]);
}

const FILESYSTEMS: readonly [name: string, can: boolean, mount: () => ScratchMount][] = [
  ['tmpfs', canMount, () => mountTmpfs()],
  ['ext4', canMount && canMake('ext4'), () => mountImage('ext4')],
];

describe.each(FILESYSTEMS)('on %s', (_name, can, mount) => {
  it.skipIf(!can)('what is there, in order, with what stat tells', () => {
    const { path } = keep(mount());
    makeTree(path);
    const listed = listAll(path);
    expect(listed.map(({ path }) => path)).toEqual(expected(Buffer.from(path)).sort(comparePaths));
    for (const { path, known, unreadable } of listed) {
      expect(unreadable).toBeUndefined();
      const status = lstatSync(path, { bigint: true });
      expect(known).toEqual({
        type: status.isFile()
          ? 'file'
          : status.isDirectory()
            ? 'directory'
            : status.isSymbolicLink()
              ? 'symlink'
              : 'other',
        ino: status.ino,
        device: status.dev,
        born: expect.any(Number),
        size: Number(status.size),
        mtimeNs: status.mtimeNs,
        ctimeNs: status.ctimeNs,
      });
    }
  });

  it.skipIf(!can)('the time of birth tells an inode number that is used again', () => {
    const { path } = keep(mount());
    const bornAt = () => {
      writeFileSync(join(path, 'f'), '');
      const { btimeNs } = kernel.statAt(-100, join(path, 'f'), 0);
      const [{ known } = {}] = listAll(join(path, 'f'));
      rmSync(join(path, 'f'));
      return { btimeNs, known };
    };
    const first = bornAt();
    expect(first.btimeNs).toBeGreaterThan(0n);
    for (;;) {
      const next = bornAt();
      // The kernel's clock ticks every few milliseconds.
      if (next.btimeNs === first.btimeNs) continue;
      expect(next.known?.born).not.toBe(first.known?.born);
      break;
    }
  });
});

it('a file, nothing, a symbolic link', () => {
  writeFileSync(join(root, 'f'), 'abc');
  symlinkSync('f', join(root, 'link'));
  expect(listAll(join(root, 'f'))).toMatchObject([
    { path: Buffer.from(join(root, 'f')), known: { type: 'file', size: 3 } },
  ]);
  expect(listAll(join(root, 'link'))).toMatchObject([{ known: { type: 'symlink' } }]);
  expect(listAll(join(root, 'none'))).toEqual([]);
});

it('without recursion the entries of the root', () => {
  makeTree(root);
  expect(names(listAll(root, { recursive: false }))).toEqual([
    '',
    'a',
    'a-b',
    'a.',
    'a.f',
    'aa',
    'dangling',
    'pipe',
    'z',
  ]);
});

it('looks at nothing that is excluded', () => {
  makeTree(root);
  const asked: string[] = [];
  const looked: string[] = [];
  const watched = new Proxy(kernel, {
    get: (target, name: keyof typeof kernel) => {
      const value = target[name];
      if (name === 'statAt' || name === 'openAt') {
        return (dirfd: number, path: Buffer, flags: number) => {
          looked.push(path.toString());
          return target[name](dirfd, path, flags);
        };
      }
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const isExcluded = (path: Buffer) => {
    asked.push(path.toString().slice(root.length + 1));
    return /\/(b|z)$/.test(path.toString());
  };
  const listed = [...list(watched, Buffer.from(root), { isExcluded })].flat();
  expect(names(listed)).toEqual(['', 'a', 'a/b-c', 'a-b', 'a-b/f', 'a.', 'a.f', 'aa', 'dangling', 'pipe']);
  expect(asked).toEqual(['a', 'a/b', 'a/b-c', 'a-b', 'a-b/f', 'a.', 'a.f', 'aa', 'dangling', 'pipe', 'z']);
  expect(looked).not.toContain('b');
  expect(looked).not.toContain('z');
});

it('gives the loop back every few hundred entries, and closes what it opened when nobody goes on', () => {
  mkdirSync(join(root, 'many/below'), { recursive: true });
  for (let index = 0; index < 2000; index++) writeFileSync(join(root, 'many/below', `f${index}`), '');
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const parts = list(kernel, Buffer.from(root));
  for (const part of parts) {
    expect(part.length).toBeLessThan(1000);
    expect(descriptors()).toBeGreaterThan(before);
    break;
  }
  expect(descriptors()).toBe(before);
});

it('what is renamed or vanishes meanwhile leads nowhere else', () => {
  for (const name of ['a/b/c', 'elsewhere/b/c']) mkdirSync(join(root, name), { recursive: true });
  for (let index = 0; index < 600; index++) writeFileSync(join(root, 'a', `f${index}`), '');
  writeFileSync(join(root, 'a/z'), '');
  writeFileSync(join(root, 'elsewhere/secret'), '');
  const parts = list(kernel, Buffer.from(join(root, 'a')));
  const first = parts.next().value as Listed[];
  renameSync(join(root, 'a'), join(root, 'moved'));
  renameSync(join(root, 'elsewhere'), join(root, 'a'));
  rmSync(join(root, 'moved/z'));
  const rest = names([...first, ...[...parts].flat()]);
  expect(rest).toHaveLength(603);
  expect(rest).not.toContain('a/secret');
  expect(rest).not.toContain('a/z');
});

it('paths longer than the kernel takes', () => {
  const name = 'n'.repeat(200);
  const depth = 30;
  const numbers = Array.from({ length: depth }, (_, number) => number).join(' ');
  const script = `for i in ${numbers}; do mkdir ${name} && cd -P ${name} || exit 1; done; echo deep > f`;
  execFileSync('sh', ['-c', script], { cwd: root });
  const listed = listAll(root);
  expect(listed).toHaveLength(depth + 2);
  expect(listed.at(-1)?.path.toString()).toBe(`${root}${`/${name}`.repeat(depth)}/f`);
});

describe('directories that may not be read', () => {
  const user = { uid: 65534, gid: 65534 };

  /** Lists as an ordinary user: in another process, since privilege is not given up and taken back. */
  function listAsUser(path: string): { path: string; unreadable?: boolean }[] {
    const script = `
      import { linuxKernel } from '${new URL('../../src/kernel/index.ts', import.meta.url)}';
      import { list } from '${new URL('../../src/watch/listing.ts', import.meta.url)}';
      const listed = [...list(linuxKernel(), Buffer.from(process.argv[1]))].flat();
      console.log(JSON.stringify(listed.map(({ path, unreadable }) => ({ path: path.toString(), unreadable }))));
    `
      .replaceAll('/src/', '/dist/')
      .replaceAll('.ts', '.js');
    const arguments_ = ['--input-type=module', '--eval', script, path];
    return JSON.parse(execFileSync(process.execPath, arguments_, { ...user, encoding: 'utf8', cwd: '/' }));
  }

  const onlyRoot = process.getuid?.() !== 0;

  it.skipIf(onlyRoot)('are listed and marked, with nothing below', () => {
    makeTree(root);
    chmodSync(root, 0o755);
    chmodSync(join(root, 'a'), 0o700);
    // May be read but not searched: the names are known, and nothing else.
    chmodSync(join(root, 'z'), 0o744);
    const listed = listAsUser(root).map(({ path, unreadable }) => [path.slice(root.length + 1), unreadable ?? false]);
    expect(listed).toEqual([
      ['', false],
      ['a', true],
      ['a-b', false],
      ['a-b/f', false],
      ['a.', false],
      ['a.f', false],
      ['aa', false],
      ['dangling', false],
      ['pipe', false],
      ['z', true],
    ]);
  });
});

describe.skipIf(!canMount)('what is mounted below', () => {
  it('is entered, or not', () => {
    makeTree(root);
    const { path } = keep(mountTmpfs(undefined, join(root, 'a')));
    writeFileSync(join(path, 'inside'), '');
    const point = path.slice(root.length + 1);
    const across = names(listAll(root));
    expect(across).toContain(`${point}/inside`);
    const within = names(listAll(root, { crossMounts: false }));
    expect(within).toContain(point);
    expect(within).not.toContain(`${point}/inside`);
    expect(within).toContain('a/b/c/f');
  });

  it('is not entered when it is the kernel’s own state', () => {
    const path = join(root, 'proc');
    mkdirSync(path);
    execFileSync('mount', ['-t', 'proc', 'proc', path]);
    try {
      expect(names(listAll(root))).toEqual(['', 'proc']);
      // But for who asks for it.
      expect(listAll(join(path, 'self/ns')).length).toBeGreaterThan(0);
    } finally {
      execFileSync('umount', [path]);
    }
  });

  it('a bind mount of what is above does not go on for ever', () => {
    mkdirSync(join(root, 'tree/sub'), { recursive: true });
    writeFileSync(join(root, 'tree/f'), '');
    const bound = keep(mountBind(join(root, 'tree')));
    const listed = listAll(bound.path);
    expect(names(listed, bound.path)).toEqual(['', 'f', 'sub']);
    expect(listed[1]?.known).toEqual(knownOf(kernel.statAt(-100, join(root, 'tree/f'), 0)));
  });
});
