// Mounts, their namespaces and what ends with them: mount(2), umount2(2), mount_namespaces(7).

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/kernel/error.ts';
import { link, mkdir } from '../../../src/simulated/files/create.ts';
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR } from '../../../src/simulated/files/flags.ts';
import { MNT_DETACH, mountsOf } from '../../../src/simulated/files/mount.ts';
import {
  MS_BIND,
  MS_MOVE,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  mount,
  umount,
} from '../../../src/simulated/files/mount-call.ts';
import { enterMountNamespace, unshareMountNamespace } from '../../../src/simulated/files/mount-namespace.ts';
import { rmdir, unlink } from '../../../src/simulated/files/remove.ts';
import { rename } from '../../../src/simulated/files/rename.ts';
import { stat } from '../../../src/simulated/files/status.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import { close } from '../../../src/simulated/tasks/descriptors.ts';
import { endProcess, fork } from '../../../src/simulated/tasks/process.ts';
import { refusal, type SmallMachine, smallMachine } from './small-machine.ts';

let small: SmallMachine;
const system = () => small.machine;
const fired = () => small.recording.take();
const mountAt = (path: string) => walk(system(), AT_FDCWD, path).mount;

beforeEach(() => {
  small = smallMachine();
  for (const path of ['/m', '/b', '/d']) mkdir(system(), path);
  mount(system(), 'tmpfs', '/m', 'tmpfs');
  fired();
});

describe('umount', () => {
  it('ends the file system with its last mount', () => {
    umount(system(), '/m');
    expect(fired()).toEqual(['MNT_DETACH tmpfs', 'mount gone tmpfs', 'superblock gone tmpfs']);
    expect(refusal(() => umount(system(), '/m'))).toBe(ERRNO.EINVAL);
  });

  it('is refused while a file of it is open, unless lazy: then it ends with that', () => {
    const fd = small.open('/m/f', O_CREAT | O_RDWR);
    fired();
    expect(refusal(() => umount(system(), '/m'))).toBe(ERRNO.EBUSY);
    umount(system(), '/m', MNT_DETACH);
    expect(fired()).toEqual(['MNT_DETACH tmpfs']);
    close(system(), fd);
    expect(fired()).toEqual(['CLOSE_WRITE /f', 'mount gone tmpfs', 'superblock gone tmpfs']);
  });

  it('is refused while something is mounted below, and takes that along when lazy', () => {
    mkdir(system(), '/m/in');
    mount(system(), 'tmpfs', '/m/in', 'tmpfs');
    expect(refusal(() => umount(system(), '/m'))).toBe(ERRNO.EBUSY);
    fired();
    umount(system(), '/m', MNT_DETACH);
    expect(fired().filter((line) => line.startsWith('MNT'))).toEqual(['MNT_DETACH tmpfs', 'MNT_DETACH tmpfs']);
  });

  it('gives back the id, but not the unique one', () => {
    const { id, uniqueId } = mountAt('/m');
    umount(system(), '/m');
    mount(system(), 'tmpfs', '/m', 'tmpfs');
    expect(mountAt('/m').id).toBe(id);
    expect(mountAt('/m').uniqueId).toBeGreaterThan(uniqueId);
  });
});

describe('mount', () => {
  it('binds what is at one place to another', () => {
    small.put('/m/f', 'x');
    mount(system(), '/m', '/b', undefined, MS_BIND);
    expect(stat(system(), '/b/f').inode).toBe(stat(system(), '/m/f').inode);
    umount(system(), '/m');
    expect(stat(system(), '/b/f').sizeBytes).toBe(1);
    expect(refusal(() => link(system(), '/b/f', '/d/f'))).toBe(ERRNO.EXDEV);
  });

  it('binds with what is below only when asked to', () => {
    mkdir(system(), '/m/in');
    mount(system(), 'tmpfs', '/m/in', 'tmpfs');
    mount(system(), '/m', '/b', undefined, MS_BIND);
    mount(system(), '/m', '/d', undefined, MS_BIND | MS_REC);
    expect(mountAt('/b/in')).toBe(mountAt('/b'));
    expect(mountAt('/d/in')).not.toBe(mountAt('/d'));
  });

  it('binds a file to a file', () => {
    small.put('/m/f', 'there');
    small.put('/f', 'here');
    expect(refusal(() => mount(system(), '/m/f', '/b', undefined, MS_BIND))).toBe(ERRNO.ENOTDIR);
    mount(system(), '/m/f', '/f', undefined, MS_BIND);
    expect(stat(system(), '/f').sizeBytes).toBe(5);
    expect(refusal(() => unlink(system(), '/f'))).toBe(ERRNO.EBUSY);
    expect(refusal(() => rename(system(), '/f', '/g'))).toBe(ERRNO.EBUSY);
  });

  it('moves, and makes read-only', () => {
    fired();
    mount(system(), '/m', '/b', undefined, MS_MOVE);
    expect(fired()).toEqual(['MNT_MOVE tmpfs']);
    mount(system(), '', '/b', undefined, MS_REMOUNT | MS_BIND | MS_RDONLY);
    expect(refusal(() => small.put('/b/f'))).toBe(ERRNO.EROFS);
    expect(refusal(() => mount(system(), '', '/', undefined, MS_PRIVATE | MS_REC))).toBeUndefined();
  });

  it('needs privilege, a type, and a directory', () => {
    expect(refusal(() => mount(system(), 'x', '/b', 'nonefs'))).toBe(ERRNO.ENODEV);
    expect(refusal(() => mount(system(), 'x', '/none', 'tmpfs'))).toBe(ERRNO.ENOENT);
    small.as(1000, () => {
      expect(refusal(() => mount(system(), 'x', '/b', 'tmpfs'))).toBe(ERRNO.EPERM);
      expect(refusal(() => umount(system(), '/m'))).toBe(ERRNO.EPERM);
    });
  });
});

describe('a mount namespace', () => {
  it('has its own mounts, and ends with the last task in it', () => {
    const { current: init } = system();
    const task = fork(system());
    system().current = task;
    const namespace = unshareMountNamespace(system());
    fired();
    umount(system(), '/m');
    expect(fired()).toEqual(['MNT_DETACH tmpfs', 'mount gone tmpfs']);
    expect(mountsOf(namespace)).toHaveLength(1);
    system().current = init;
    expect(mountAt('/m')).not.toBe(mountAt('/'));
    endProcess(system(), task.process, 1, 0);
    expect(fired()).toContain('namespace gone');
    expect(mountsOf(init.mountNamespace)).toHaveLength(2);
  });

  it('can be entered by whoever may', () => {
    const { current: init } = system();
    const task = fork(system());
    system().current = task;
    unshareMountNamespace(system());
    mount(system(), 'tmpfs', '/d', 'tmpfs');
    enterMountNamespace(system(), init.mountNamespace);
    expect(mountAt('/d')).toBe(mountAt('/'));
    small.as(1000, () => expect(refusal(() => enterMountNamespace(system(), init.mountNamespace))).toBe(ERRNO.EPERM));
  });

  it('a directory that another one has something mounted on can be removed, and that goes', () => {
    const task = fork(system());
    const { current: init } = system();
    system().current = task;
    unshareMountNamespace(system());
    mount(system(), 'tmpfs', '/d', 'tmpfs');
    expect(refusal(() => rmdir(system(), '/d'))).toBe(ERRNO.EBUSY);
    system().current = init;
    fired();
    rmdir(system(), '/d');
    expect(fired().slice(0, 3)).toEqual(['MNT_DETACH tmpfs', 'mount gone tmpfs', 'superblock gone tmpfs']);
    expect(refusal(() => small.open('/d', O_RDONLY))).toBe(ERRNO.ENOENT);
  });
});
