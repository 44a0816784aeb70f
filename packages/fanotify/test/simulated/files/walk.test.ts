// The way from a path to a place: path_resolution(7), openat2(2).

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/kernel/error.ts';
import { mkdir, symlink } from '../../../src/simulated/files/create.ts';
import { attach } from '../../../src/simulated/files/dentry.ts';
import { chdir, chroot, fchdir } from '../../../src/simulated/files/directories.ts';
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../../src/simulated/files/flags.ts';
import { mount } from '../../../src/simulated/files/mount-call.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { bareText, pathText } from '../../../src/simulated/files/paths.ts';
import { unlink } from '../../../src/simulated/files/remove.ts';
import { readlink } from '../../../src/simulated/files/status.ts';
import { makeInode } from '../../../src/simulated/files/superblock.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import { fileOrPathOf } from '../../../src/simulated/tasks/descriptors.ts';
import { now } from '../recording.ts';
import { refusal, type SmallMachine, smallMachine } from './small-machine.ts';

let small: SmallMachine;
const system = () => small.machine;
const textOf = (path: string, resolve = 0) => {
  const place = walk(system(), AT_FDCWD, path, { follows: true, resolve });
  return pathText(place, system().current.filesystem.root);
};

beforeEach(() => {
  small = smallMachine();
  mkdir(system(), '/d');
  mkdir(system(), '/d/e');
  small.put('/d/f', '1');
  small.put('/a', '1');
});

describe('a path', () => {
  it('goes by names, dots, and more slashes than it needs', () => {
    expect(textOf('/d//e/./../f')).toBe('/d/f');
    expect(textOf('/../../d')).toBe('/d');
    chdir(system(), '/d/e');
    expect(textOf('../f')).toBe('/d/f');
  });

  it('has to lead through directories', () => {
    expect(refusal(() => textOf('/a/x'))).toBe(ERRNO.ENOTDIR);
    expect(refusal(() => textOf('/a/'))).toBe(ERRNO.ENOTDIR);
    expect(refusal(() => textOf('/none/x'))).toBe(ERRNO.ENOENT);
    expect(refusal(() => textOf(''))).toBe(ERRNO.ENOENT);
    expect(refusal(() => textOf(`/${'x'.repeat(256)}`))).toBe(ERRNO.ENAMETOOLONG);
    expect(refusal(() => textOf('/x'.repeat(2048)))).toBe(ERRNO.ENAMETOOLONG);
  });

  it('follows symlinks, and gives up after 40', () => {
    symlink(system(), 'd/f', '/l');
    symlink(system(), '/d', '/d/up');
    symlink(system(), 'loop', '/loop');
    expect(textOf('/l')).toBe('/d/f');
    expect(textOf('/d/up/up/up/f')).toBe('/d/f');
    expect(refusal(() => textOf('/loop'))).toBe(ERRNO.ELOOP);
    expect(refusal(() => textOf(`/d${'/up'.repeat(41)}`))).toBe(ERRNO.ELOOP);
    expect(readlink(system(), '/l')).toBe('d/f');
    expect(refusal(() => readlink(system(), '/a'))).toBe(ERRNO.EINVAL);
  });

  it('makes what a symlink at its end leads to, unless it must be new', () => {
    symlink(system(), 'd/new', '/l');
    expect(refusal(() => small.open('/l', O_CREAT | O_EXCL | O_WRONLY))).toBe(ERRNO.EEXIST);
    expect(refusal(() => small.open('/l', O_RDONLY | O_NOFOLLOW))).toBe(ERRNO.ELOOP);
    small.open('/l', O_CREAT | O_WRONLY);
    expect(textOf('/l')).toBe('/d/new');
  });

  it('is told of what is gone as such', () => {
    const fd = small.open('/d/f', O_RDONLY);
    const { path } = fileOrPathOf(system(), fd);
    unlink(system(), '/d/f');
    expect(pathText(path, system().current.filesystem.root)).toBe('/d/f (deleted)');
  });
});

describe('mounts and roots', () => {
  beforeEach(() => mount(system(), 'tmpfs', '/d/e', 'tmpfs'));

  it('are gone into and out of', () => {
    mkdir(system(), '/d/e/in');
    expect(textOf('/d/e/in/../../f')).toBe('/d/f');
    expect(walk(system(), AT_FDCWD, '/d/e').mount.superblock).not.toBe(walk(system(), AT_FDCWD, '/d').mount.superblock);
  });

  it('a root directory is not left', () => {
    const before = system().current.filesystem.root;
    chroot(system(), '/d');
    chdir(system(), '/');
    expect(textOf('/../..')).toBe('/');
    expect(textOf('../f')).toBe('/f');
    const place = walk(system(), AT_FDCWD, '/e');
    expect(bareText(place, before)).toEqual({ text: '/d/e', isReachable: true });
  });
});

describe('openat2', () => {
  const resolved = (path: string, resolve: number, dirfd = AT_FDCWD) =>
    refusal(() => now(open(system(), dirfd, path, O_PATH, 0, resolve)));

  it('stays beneath, in a root, or on a mount, as it is told', () => {
    mount(system(), 'tmpfs', '/d/e', 'tmpfs');
    const dirfd = small.open('/d', O_RDONLY | O_DIRECTORY);
    expect(resolved('f', RESOLVE_BENEATH, dirfd)).toBeUndefined();
    expect(resolved('../a', RESOLVE_BENEATH, dirfd)).toBe(ERRNO.EXDEV);
    expect(resolved('/d/f', RESOLVE_BENEATH, dirfd)).toBe(ERRNO.EXDEV);
    expect(resolved('/../f', RESOLVE_IN_ROOT, dirfd)).toBeUndefined();
    expect(resolved('/a', RESOLVE_IN_ROOT, dirfd)).toBe(ERRNO.ENOENT);
    expect(resolved('e', RESOLVE_NO_XDEV, dirfd)).toBe(ERRNO.EXDEV);
    expect(resolved('f', RESOLVE_NO_XDEV, dirfd)).toBeUndefined();
    expect(resolved('f', 0x8000, dirfd)).toBe(ERRNO.EINVAL);
  });

  it('takes no symlinks when it is told so', () => {
    symlink(system(), '/d', '/l');
    expect(resolved('/l/f', RESOLVE_NO_SYMLINKS)).toBe(ERRNO.ELOOP);
    expect(resolved('/l/f', RESOLVE_BENEATH)).toBe(ERRNO.EXDEV);
  });

  it('takes magic links unless it is told not to', () => {
    const { root } = system().current.filesystem;
    const elsewhere = walk(system(), AT_FDCWD, '/d/f');
    const inode = makeInode(system(), root.mount.superblock, 'symlink', {
      mode: 0o777,
      operations: { readlink: () => 'no such path', follow: () => elsewhere },
    });
    attach(root.dentry, 'magic', inode);
    expect(textOf('/magic')).toBe('/d/f');
    expect(readlink(system(), '/magic')).toBe('no such path');
    expect(resolved('/magic', RESOLVE_NO_MAGICLINKS)).toBe(ERRNO.ELOOP);
  });
});

describe('a working directory', () => {
  it('may be gone: nothing is made in it', () => {
    const fd = small.open('/d', O_RDONLY | O_DIRECTORY);
    fchdir(system(), fd);
    mkdir(system(), 'x');
    expect(textOf('/d/x')).toBe('/d/x');
    expect(refusal(() => fchdir(system(), small.open('/a', O_RDONLY)))).toBe(ERRNO.ENOTDIR);
  });
});
