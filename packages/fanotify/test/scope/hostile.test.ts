// Directories that somebody else made, and that the kernel has something against: they end nobody's watch.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AT_FDCWD } from '../../src/abi/index.ts';
import { ERRNO, type Kernel, KernelError, type KernelPath, linuxKernel } from '../../src/kernel/index.ts';
import { canMount } from '../support/mounts.ts';
import { at, listen, withoutPrivilege } from './listen.ts';

const CALLS = ['openAt', 'readEntries', 'fanotifyMark', 'nameToHandleAt', 'statfs', 'statAt'] as const;
const ERRNOS = ['EIO', 'ESTALE', 'ENODEV', 'ENAMETOOLONG', 'EINVAL', 'ENOMEM', 'ENOTCONN', 'EPERM', 'EMFILE'] as const;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fanotify-hostile-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** What a call is about: `dirfd` where no path is given. */
function callOf(call: (typeof CALLS)[number], args: unknown[]): { dirfd: unknown; path: unknown } {
  if (call === 'fanotifyMark') return { dirfd: args[3], path: args[4] };
  return { dirfd: args[0], path: typeof args[1] === 'number' ? undefined : args[1] };
}

/** Linux without privilege, where one call fails for directories that are called `odd`. */
function refusing(call: (typeof CALLS)[number], errno: (typeof ERRNOS)[number]): Kernel {
  const kernel = linuxKernel();
  const isOdd = (argument: unknown) => {
    const path = typeof argument === 'number' ? `/proc/self/fd/${argument}` : argument;
    if (typeof path !== 'string' && !Buffer.isBuffer(path)) return false;
    const text = path.toString();
    return /(^|\/)odd$/.test(text.startsWith('/proc/self/fd/') ? kernel.readlink(text).toString() : text);
  };
  const refuse = (...args: unknown[]) => {
    const { dirfd, path } = callOf(call, args);
    if ((dirfd !== AT_FDCWD && isOdd(dirfd)) || isOdd(path)) {
      throw new KernelError(call, ERRNO[errno]);
    }
    return (kernel[call] as (...args: unknown[]) => unknown).apply(kernel, args);
  };
  const odd = new Proxy(kernel, {
    get: (target, name: keyof Kernel) => {
      if (name === call) return refuse;
      const value = target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return withoutPrivilege(odd);
}

const hasAutofs = canMount && readFileSync('/proc/filesystems', 'latin1').includes('autofs');

describe.skipIf(!hasAutofs)('where an automounter waits', () => {
  it('nothing is opened, since that would have something mounted, and waits until it is', async () => {
    const place = join(root, 'automounted');
    mkdirSync(place);
    // What is written to the pipe asks the automounter, which nobody is here.
    const mount =
      'mkfifo "$0.pipe" && exec 3<>"$0.pipe" && mount -t autofs -o "fd=3,pgrp=$$,minproto=5,maxproto=5,direct" none "$0"';
    expect(spawnSync('sh', ['-c', mount, place], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    try {
      const kernel = linuxKernel();
      const opened: string[] = [];
      const careful: Kernel = new Proxy(kernel, {
        get: (target, name: keyof Kernel) => {
          const value = target[name];
          if (name !== 'openAt') return typeof value === 'function' ? value.bind(target) : value;
          return (dirfd: number, path: KernelPath, flags: number) => {
            if (!path.toString().endsWith('automounted')) return kernel.openAt(dirfd, path, flags);
            opened.push(path.toString());
            throw new KernelError('openat', ERRNO.EIO);
          };
        },
      });
      const { until, subtrees } = await listen(root, withoutPrivilege(careful), { events: ['create'] });
      writeFileSync(join(root, 'last'), '');
      await until(at(join(root, 'last')));
      expect(opened).toEqual([]);
      expect([...subtrees.unreadable]).toEqual([place]);
      // Once something is mounted there it is a directory like any.
      const options = { timeout: 5000, killSignal: 'SIGKILL' } as const;
      expect(spawnSync('mount', ['-t', 'tmpfs', 'none', place], options).status).toBe(0);
      const later = await listen(root, withoutPrivilege(), { events: ['create'] });
      writeFileSync(join(place, 'inside'), '');
      await later.until(at(join(place, 'inside')));
      expect([...later.subtrees.unreadable]).toEqual([]);
    } finally {
      spawnSync('umount', ['--lazy', place]);
      spawnSync('umount', [place]);
    }
  });
});

describe.each(CALLS)('%s of a directory', (call) => {
  it.each(ERRNOS)('may fail with %s', async (errno) => {
    mkdirSync(join(root, 'before/odd/sub'), { recursive: true });
    const { until, subtrees } = await listen(root, refusing(call, errno), { events: ['create'] });
    mkdirSync(join(root, 'odd/sub'), { recursive: true });
    mkdirSync(join(root, 'even'));
    writeFileSync(join(root, 'first'), '');
    await until(at(join(root, 'first')));
    writeFileSync(join(root, 'even/last'), '');
    await until(at(join(root, 'even/last')));
    const [before, after] = [join(root, 'before/odd'), join(root, 'odd')];
    // With statAt only a name that is not there is looked up, to wait for a rename: it says nothing when it fails. Whoever goes down
    // from directory to directory on one mount knows the file system.
    const expected = call === 'statAt' ? [] : call === 'statfs' ? [after] : [before, after];
    expect([...subtrees.unreadable].sort()).toEqual(expected);
  });
});

it('what is found is told once, also where a file system does not say which entries are directories', async () => {
  const kernel = withoutPrivilege();
  const vague: Kernel = new Proxy(kernel, {
    get: (target, name: keyof Kernel) => {
      const value = target[name];
      if (name !== 'readEntries') return typeof value === 'function' ? value.bind(target) : value;
      return (fd: number) => kernel.readEntries(fd)?.map((entry) => ({ ...entry, type: 'unknown' }));
    },
  });
  const { until } = await listen(root, vague, { events: ['create'] });
  mkdirSync(join(root, 'a/b/c'), { recursive: true });
  writeFileSync(join(root, 'a/b/c/file'), '');
  const told = await until(at(join(root, 'a/b/c/file')));
  const expected = ['a', 'a/b', 'a/b/c', 'a/b/c/file'].map((path) => join(root, path));
  expect(told.map((event) => 'path' in event && event.path)).toEqual(expected);
});
