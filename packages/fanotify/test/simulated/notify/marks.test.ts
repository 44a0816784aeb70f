// What becomes of marks: limits, eviction, the end of what they are on, and how fdinfo shows them.

import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '../../../src/abi/index.ts';
import type { FilesystemType } from '../../../src/simulated/files/filesystem-type.ts';
import { detachTree } from '../../../src/simulated/files/mount.ts';
import { makeSuperblock } from '../../../src/simulated/files/superblock.ts';
import { tmpfs } from '../../../src/simulated/files/types.ts';
import type { UserNamespace } from '../../../src/simulated/tasks/task.ts';
import { outcome, World } from './world.ts';

const { FAN_MARK_ADD, FAN_MARK_EVICTABLE, FAN_MARK_FILESYSTEM, FAN_MARK_MOUNT, FAN_MARK_REMOVE } = abi;
const { FAN_NONBLOCK, FAN_OPEN, FAN_CLOSE, FAN_REPORT_FID, FAN_REPORT_DFID_NAME } = abi;

let world: World;
beforeEach(() => {
  world = new World();
  for (const name of ['a', 'b', 'c']) world.file(`/m/${name}`);
});

describe('limits', () => {
  it('are by user: EMFILE for groups, ENOSPC for marks; what ends is free again', () => {
    Object.assign(world.machine.limits, { maxUserGroups: 2, maxUserMarks: 1 });
    world.become(1000);
    const [one, two] = [world.group(FAN_REPORT_FID), world.group(FAN_REPORT_FID)];
    expect(outcome(() => world.group(FAN_REPORT_FID))).toBe('EMFILE');
    world.mark(one, FAN_MARK_ADD, FAN_OPEN, '/m/a');
    expect(outcome(() => world.mark(two, FAN_MARK_ADD, FAN_OPEN, '/m/b'))).toBe('ENOSPC');
    expect(outcome(() => world.mark(one, FAN_MARK_ADD, FAN_CLOSE, '/m/a'))).toBe('ok');
    world.become(1001);
    expect(outcome(() => world.closeGroup(world.group(FAN_REPORT_FID)))).toBe('ok');
    world.become(1000);
    world.closeGroup(one);
    expect(outcome(() => world.mark(two, FAN_MARK_ADD, FAN_OPEN, '/m/b'))).toBe('ok');
    expect(outcome(() => void world.group(FAN_REPORT_FID))).toBe('ok');
  });

  it('of a user namespace count there and for whoever has made it', () => {
    const { credentials } = world.machine.current;
    const namespace: UserNamespace = {
      parent: credentials.userNamespace,
      ownerUid: 1000,
      mappedIds: new Set([1000]),
      limits: { maxFanotifyGroups: 2, maxFanotifyMarks: 10 },
    };
    world.machine.limits.maxUserGroups = 3;
    world.become(1000);
    world.machine.current.credentials.userNamespace = namespace;
    const first = world.group(FAN_REPORT_FID);
    world.group(FAN_REPORT_FID);
    expect(outcome(() => world.group(FAN_REPORT_FID))).toBe('EMFILE');
    world.become(1000);
    world.group(FAN_REPORT_FID);
    expect(outcome(() => world.group(FAN_REPORT_FID))).toBe('EMFILE');
    world.closeGroup(first);
    expect(outcome(() => world.closeGroup(world.group(FAN_REPORT_FID)))).toBe('ok');
  });

  it('are not counted down by a mark that could not be made', () => {
    world.machine.limits.maxUserMarks = 1;
    const group = world.group(0);
    world.machine.faults.failAt('mark', 1);
    expect(outcome(() => world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/m/a'))).toBe('ENOMEM');
    expect(outcome(() => world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/m/a'))).toBe('ok');
  });
});

describe('eviction', () => {
  it('takes evictable marks, unless another keeps the inode', () => {
    const group = world.group(0);
    const other = world.group(0);
    for (const path of ['/m/a', '/m/b']) world.mark(group, FAN_MARK_ADD | FAN_MARK_EVICTABLE, FAN_OPEN, path);
    world.mark(other, FAN_MARK_ADD, FAN_OPEN, '/m/b');
    for (const path of ['/m/a', '/m/b']) world.fsnotify.inodeEvicted(world.at(path).dentry.inode);
    expect([world.marksOf(group).size, world.marksOf(other).size]).toEqual([1, 1]);
  });
});

describe('the end of a file system', () => {
  it('takes the marks of its mounts, of itself, and of what is in it', () => {
    const mount = world.mounted('other', makeSuperblock(world.machine, tmpfs));
    world.file('/other/a');
    const group = world.group(0);
    world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/other/a');
    world.mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, '/other');
    world.mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, '/other');
    detachTree(world.machine, mount);
    expect(world.marksOf(group).size).toBe(0);
  });
});

describe('handles that name two things', () => {
  const withoutId: FilesystemType = { ...tmpfs, fsidOf: () => [0, 0] };

  it('are refused for a file system without an id, but for inodes of it alone', () => {
    world.mounted('none', makeSuperblock(world.machine, withoutId));
    world.file('/none/a');
    const group = world.group(FAN_REPORT_FID);
    expect(outcome(() => world.mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, '/none'))).toBe('ENODEV');
    expect(outcome(() => world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/none/a'))).toBe('ok');
    expect(outcome(() => world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/m/a'))).toBe('EXDEV');
    expect(outcome(() => world.mark(world.group(0), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, '/none'))).toBe('ok');
  });

  it('are refused for a part of a file system with an id of its own', () => {
    const varying: FilesystemType = { ...tmpfs, fsidOf: ({ type }) => (type === 'file' ? [1, 1] : [1, 2]) };
    world.mounted('parts', makeSuperblock(world.machine, varying));
    world.file('/parts/a');
    const group = world.group(FAN_REPORT_FID);
    expect(outcome(() => world.mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, '/parts/a'))).toBe('EXDEV');
    expect(outcome(() => world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/parts/a'))).toBe('ok');
    expect(outcome(() => world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/parts'))).toBe('EXDEV');
  });
});

describe('fdinfo', () => {
  it('has a line for the group, and one for each mark, the newest first', () => {
    const group = world.group(FAN_REPORT_DFID_NAME | FAN_NONBLOCK, 0o2000000);
    world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/m/a');
    world.mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, '/m');
    world.mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CLOSE, '/m');
    world.mark(
      group,
      FAN_MARK_ADD | abi.FAN_MARK_IGNORE | abi.FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_EVICTABLE,
      FAN_OPEN,
      '/m/b',
    );
    const { inode } = world.at('/m/b').dentry;
    const device = world.mount.superblock.device;
    const sdev = (((device >> 8) << 20) | (device & 0xff)).toString(16);
    const lines = (group.operations?.fdinfo?.() ?? '').split('\n');
    const handle = Buffer.from(inode.superblock.type.encode(inode).bytes).toString('hex');
    const file = world.at('/m/a').dentry.inode;
    expect(lines).toEqual([
      `fanotify flags:${(FAN_REPORT_DFID_NAME | FAN_NONBLOCK).toString(16)} event-flags:88000`,
      `fanotify ino:${inode.number.toString(16)} sdev:${sdev} mflags:640 mask:0 ignored_mask:20 fhandle-bytes:8 fhandle-type:1 f_handle:${handle}`,
      `fanotify sdev:${sdev} mflags:0 mask:8000018 ignored_mask:0`,
      `fanotify mnt_id:${world.mount.id.toString(16)} mflags:0 mask:8000020 ignored_mask:0`,
      expect.stringMatching(
        `^fanotify ino:${file.number.toString(16)} sdev:${sdev} mflags:0 mask:8000020 ignored_mask:0 `,
      ),
      '',
    ]);
  });
});

describe('removing', () => {
  it('bit by bit ends the mark with the last', () => {
    const group = world.group(0);
    world.mark(group, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE, '/m/a');
    world.mark(group, FAN_MARK_REMOVE, FAN_OPEN, '/m/a');
    expect(world.marksOf(group).size).toBe(1);
    world.mark(group, FAN_MARK_REMOVE, FAN_CLOSE, '/m/a');
    expect(world.marksOf(group).size).toBe(0);
    expect(world.at('/m/a').dentry.inode.connector).toBeUndefined();
    expect(outcome(() => world.mark(group, FAN_MARK_REMOVE, FAN_CLOSE, '/m/a'))).toBe('ENOENT');
  });
});
