// Handles as the real types make them (seen with name_to_handle_at on Linux 6.18), and what they lead to.

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/kernel/error.ts';
import { createSubvolume, mkdir } from '../../../src/simulated/files/create.ts';
import type { Handle } from '../../../src/simulated/files/filesystem-type.ts';
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR } from '../../../src/simulated/files/flags.ts';
import { nameToHandle, openByHandle } from '../../../src/simulated/files/handle.ts';
import { mount } from '../../../src/simulated/files/mount-call.ts';
import { rmdir, unlink } from '../../../src/simulated/files/remove.ts';
import { rename } from '../../../src/simulated/files/rename.ts';
import { stat, statfs } from '../../../src/simulated/files/status.ts';
import { makeSuperblock } from '../../../src/simulated/files/superblock.ts';
import { cgroup2, overlay, pidfs, proc, sysfs } from '../../../src/simulated/files/types.ts';
import { close, fileOf } from '../../../src/simulated/tasks/descriptors.ts';
import { now } from '../recording.ts';
import { refusal, type SmallMachine, smallMachine } from './small-machine.ts';

const AT_HANDLE_FID = 0x200;

let small: SmallMachine;
const system = () => small.machine;
const handleOf = (path: string, flags = 0): Handle => nameToHandle(system(), AT_FDCWD, path, flags).handle;
const openHandle = (handle: Handle) => now(openByHandle(system(), AT_FDCWD, handle, O_RDONLY));

beforeEach(() => {
  small = smallMachine();
  mkdir(system(), '/m');
});

describe('a handle', () => {
  it.each([
    ['tmpfs', 1, 12],
    ['ext4', 1, 8],
    ['ext2', 1, 8],
    ['xfs', 129, 12],
    ['btrfs', 77, 20],
  ])('of %s has type %i and %i bytes', (type, handleType, bytes) => {
    mount(system(), 'x', '/m', type);
    small.put('/m/f', '1');
    const handle = handleOf('/m/f');
    expect([handle.type, handle.bytes.length]).toEqual([handleType, bytes]);
    expect(handle).not.toEqual(handleOf('/m'));
    const view = new DataView(handle.bytes.buffer);
    expect(view.getUint32(type === 'tmpfs' ? 4 : 0, true)).toBe(stat(system(), '/m/f').inode.number);
  });

  it('of the root of ext4 is the number 2 without a generation', () => {
    mount(system(), 'x', '/m', 'ext4');
    expect(Buffer.from(handleOf('/m').bytes).toString('hex')).toBe('0200000000000000');
  });

  it('of what cannot be opened again is only a name', () => {
    const root = (type: typeof proc) => makeSuperblock(system(), type).root.inode;
    expect(proc.encode(root(proc))).toMatchObject({ type: 129 });
    expect(sysfs.encode(root(sysfs)).bytes).toHaveLength(12);
    expect(cgroup2.encode(root(cgroup2))).toMatchObject({ type: 254 });
    expect(pidfs.encode(root(pidfs)).bytes).toHaveLength(8);
    expect(overlay.encode(root(overlay))).toMatchObject({ type: 248 });
    mount(system(), 'proc', '/m', 'proc');
    expect(refusal(() => handleOf('/m'))).toBe(ERRNO.EOPNOTSUPP);
    expect(handleOf('/m', AT_HANDLE_FID).bytes).toHaveLength(12);
  });

  it('leads to its file wherever that was moved, and to nothing once it is gone', () => {
    mkdir(system(), '/d');
    small.put('/f', '1');
    const [handle, directory] = [handleOf('/f'), handleOf('/d')];
    rename(system(), '/f', '/d/g');
    const fd = openHandle(handle);
    expect(fileOf(system(), fd).path.dentry.name).toBe('g');
    unlink(system(), '/d/g');
    // It is open, so it is there.
    close(system(), openHandle(handle));
    close(system(), fd);
    expect(refusal(() => openHandle(handle))).toBe(ERRNO.ESTALE);
    rmdir(system(), '/d');
    expect(refusal(() => openHandle(directory))).toBe(ERRNO.ESTALE);
  });

  it('is opened by whoever may read everything', () => {
    small.put('/f', '1');
    const handle = handleOf('/f');
    small.as(1000, () => expect(refusal(() => openHandle(handle))).toBe(ERRNO.EPERM));
    expect(refusal(() => openHandle({ type: 1, bytes: new Uint8Array(0) }))).toBe(ERRNO.EINVAL);
    expect(refusal(() => openHandle({ type: 1, bytes: new Uint8Array(12) }))).toBe(ERRNO.ESTALE);
  });
});

describe('subvolumes of btrfs', () => {
  it('have numbers, devices and an f_fsid of their own', () => {
    mount(system(), 'x', '/m', 'btrfs');
    createSubvolume(system(), '/m/s');
    small.open('/m/s/f', O_CREAT | O_RDWR);
    small.open('/m/f', O_CREAT | O_RDWR);
    expect(stat(system(), '/m/s').inode.number).toBe(stat(system(), '/m').inode.number);
    expect(stat(system(), '/m/s').device).not.toBe(stat(system(), '/m').device);
    expect(statfs(system(), '/m/s').fsid[0]).toBe(statfs(system(), '/m').fsid[0]);
    expect(statfs(system(), '/m/s/f').fsid[1]).not.toBe(statfs(system(), '/m/f').fsid[1]);
    expect(handleOf('/m/s/f')).not.toEqual(handleOf('/m/f'));
    const fd = openOnMount(handleOf('/m/s/f'));
    expect(fileOf(system(), fd).path.dentry.parent.name).toBe('s');
    expect(refusal(() => rename(system(), '/m/f', '/m/s/g'))).toBe(ERRNO.EXDEV);
    expect(refusal(() => createSubvolume(system(), '/s'))).toBe(ERRNO.EOPNOTSUPP);
  });

  const openOnMount = (handle: Handle) => {
    const mountFd = small.open('/m', O_RDONLY);
    return now(openByHandle(system(), mountFd, handle, O_RDONLY));
  };
});
