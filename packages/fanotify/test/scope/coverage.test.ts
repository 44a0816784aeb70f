// How much is seen, from what places answered: also of file systems that this machine cannot mount.

import { describe, expect, it } from 'vitest';
import type { Mount } from '../../src/identity/mounts.ts';
import { hanging } from '../../src/identity/mounts.ts';
import { ERRNO, KernelError } from '../../src/kernel/index.ts';
import { coverageOf, type Tried } from '../../src/scope/coverage.ts';
import { lookAtMounts, lookAtPaths } from '../../src/scope/looking.ts';
import type { Trial } from '../../src/scope/trial.ts';
import { scriptedKernel } from '../support/scripted-kernel.ts';

let lastId = 0;

function mountOf(type: string, mountPoint: string, more: Partial<Mount> = {}): Mount {
  lastId++;
  const root = Buffer.from('/');
  return {
    mountId: lastId,
    parentId: 0,
    device: `0:${lastId}`,
    root,
    mountPoint: Buffer.from(mountPoint),
    type,
    source: 'x',
    isIdmapped: false,
    ...more,
  };
}

const whole: Trial = { mountId: 0, filesystem: 'yes', inode: 'yes', descriptors: 'yes' };
const place = (mount: Mount, tried: Tried) => ({ path: mount.mountPoint, mount, tried });
const only = (type: string, tried: Tried) => coverageOf([place(mountOf(type, '/m'), tried)])[0];

describe('a file system', () => {
  it.each([
    ['ext4', whole, 'covered', []],
    ['nfs4', whole, 'partly', ['remote']],
    ['9p', { ...whole, filesystem: 'EOPNOTSUPP' }, 'partly', ['noHandles', 'remote']],
    ['fuse.sshfs', { ...whole, filesystem: 'ENODEV' }, 'partly', ['noFsid', 'daemon']],
    ['ext4', { ...whole, filesystem: 'EPERM', descriptors: 'EPERM' }, 'covered', []],
    ['fuse', { ...whole, filesystem: 'ENODEV', inode: 'ENODEV' }, 'partly', ['noFsid', 'daemon']],
    ['ext4', { ...whole, filesystem: 'EPERM', inode: 'EACCES', descriptors: 'EPERM' }, 'blind', ['unreadable']],
    ['fuse', { ...whole, filesystem: 'ENOTCONN', inode: 'ENOTCONN' }, 'blind', ['dead']],
    ['nfs', 'silent', 'blind', ['silent']],
    ['nfs', new KernelError('openat', ERRNO.ESTALE), 'blind', ['refused']],
    ['tmpfs', 'gone', 'blind', ['hidden']],
  ] as [string, Tried, string, string[]][])('of type %s that answers %j is %s, %j', (type, tried, seen, reasons) => {
    expect(only(type, tried)).toMatchObject({ seen, reasons });
  });

  it('is one, however often it is mounted, and as seen as its best place', () => {
    const first = mountOf('ext4', '/a');
    const second = mountOf('ext4', '/b', { device: first.device });
    const unreadable: Tried = { ...whole, filesystem: 'EPERM', inode: 'EACCES', descriptors: 'EPERM' };
    const coverage = coverageOf([
      place(first, unreadable),
      place(second, { ...unreadable, inode: 'yes' }),
      place(mountOf('ext4', '/c'), whole),
    ]);
    expect(coverage.map(({ seen, how, places }) => [seen, how, places.length])).toEqual([
      ['covered', 'inode', 2],
      ['covered', 'filesystem', 1],
    ]);
  });
});

describe('what may not answer', () => {
  const root = mountOf('ext4', '/');
  const nfs = mountOf('nfs', '/n', { parentId: root.mountId });
  const again = mountOf('nfs', '/again', { parentId: root.mountId, device: nfs.device });
  const below = mountOf('tmpfs', '/n/below', { parentId: nfs.mountId });

  it('is a network file system, FUSE, and all that is reached through one', () => {
    const mayHang = hanging([root, nfs, below, mountOf('fuseblk', '/f')]);
    expect([root, nfs, below].map(mayHang)).toEqual([false, true, true]);
    // A table read while it changes.
    const loop = { ...root, parentId: root.mountId };
    expect(hanging([loop])(loop)).toBe(false);
  });

  it('is tried elsewhere, once for each file system', async () => {
    const asked: string[] = [];
    const places = await lookAtMounts(
      scriptedKernel([]),
      [root, nfs, again, below],
      () => true,
      async (path) => {
        asked.push(path.toString());
        return 'silent';
      },
    );
    expect(asked).toEqual(['/n', '/n/below']);
    expect(places.map(({ tried }) => (tried instanceof KernelError ? tried.code : tried))).toEqual([
      'ENOENT',
      'silent',
      'silent',
      'silent',
    ]);
  });

  it('makes every path one to try elsewhere: a link may lead there', async () => {
    const kernel = { ...scriptedKernel([]), readlink: () => Buffer.from('/n/deep') };
    const places = await lookAtPaths(
      kernel,
      [root, nfs],
      [Buffer.from('/etc'), Buffer.from('x')],
      async () => 'silent',
    );
    expect(places.map(({ mount }) => mount.type)).toEqual(['ext4', 'nfs']);
  });
});
