// read(2) of a group: what fits, merging, overflow, descriptors and what happens without them, and the bytes.

import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '../../../src/abi/index.ts';
import { unmount } from '../../../src/simulated/files/mount.ts';
import { makeSuperblock } from '../../../src/simulated/files/superblock.ts';
import { tmpfs } from '../../../src/simulated/files/types.ts';
import type { Event } from '../../../src/simulated/notify/event.ts';
import { Queue } from '../../../src/simulated/notify/queue.ts';
import { endProcess, reap } from '../../../src/simulated/tasks/process.ts';
import { Call, outcome, World } from './world.ts';

const { FAN_MARK_ADD, FAN_NONBLOCK, FAN_OPEN, FAN_CLOSE_NOWRITE, FAN_EVENT_ON_CHILD, FAN_Q_OVERFLOW } = abi;
const { FAN_REPORT_FID, FAN_REPORT_PIDFD, FAN_REPORT_FD_ERROR, FAN_REPORT_TID, FAN_REPORT_DFID_NAME } = abi;
const EMFILE = 24;
const EBADF = 9;
const ESRCH = 3;

let world: World;
beforeEach(() => {
  world = new World();
  world.file('/m/a');
  world.file('/m/b');
});

function heard(flags: number, path = '/m/a', mask = FAN_OPEN) {
  const group = world.group(flags | FAN_NONBLOCK);
  world.mark(group, FAN_MARK_ADD, mask, path);
  return group;
}

describe('merging', () => {
  it('is by process, and by thread with FAN_REPORT_TID', () => {
    const groups = [heard(0), heard(FAN_REPORT_TID)];
    world.touch('/m/a');
    world.touch('/m/a');
    world.as(world.child(), () => world.touch('/m/a'));
    expect(groups.map((group) => world.events(group).length)).toEqual([2, 2]);
  });

  it.each([
    [127, 'merged'],
    [128, 'queued'],
  ])('looks past %i others of its bucket: %s', (others, expected) => {
    const queue = new Queue(Number.POSITIVE_INFINITY, false, () => {});
    const { inode } = world.at('/m/a').dentry;
    // There are 128 buckets, by the lowest bits.
    const eventOf = (hash: number): Event => ({
      kind: 'fid',
      mask: Number(FAN_OPEN),
      task: world.machine.current,
      hash,
      next: undefined,
      previous: undefined,
      newer: undefined,
      older: undefined,
      fsid: [1, hash],
      object: inode,
    });
    queue.insert(eventOf(3));
    for (let i = 1; i <= others; i++) queue.insert(eventOf(3 + i * 128));
    for (let i = 0; i < 1000; i++) queue.insert(eventOf(4 + i * 128));
    expect(queue.insert(eventOf(3))).toBe(expected);
  });
});

describe('a full queue', () => {
  it('tells of the loss once, at its end, whatever could still be merged', () => {
    world.machine.limits.maxQueuedEvents = 1;
    const group = heard(0, '/m', FAN_OPEN | FAN_EVENT_ON_CHILD);
    for (const path of ['/m/a', '/m/b', '/m/a', '/m/b']) world.touch(path);
    expect(world.events(group)).toMatchObject([
      { mask: FAN_OPEN },
      { mask: FAN_Q_OVERFLOW, fd: abi.FAN_NOFD, pid: 0, records: [] },
    ]);
    world.touch('/m/a');
    expect(world.events(group)).toMatchObject([{ mask: FAN_OPEN }]);
  });

  it.each([
    [FAN_REPORT_FD_ERROR, -EBADF, []],
    [FAN_REPORT_PIDFD, abi.FAN_NOFD, [{ type: 'PIDFD', pidfd: abi.FAN_NOPIDFD }]],
    [FAN_REPORT_PIDFD | FAN_REPORT_FD_ERROR, -EBADF, [{ type: 'PIDFD', pidfd: -ESRCH }]],
  ])('has no file and nobody who did it (flags %i)', (flags, fd, records) => {
    world.machine.limits.maxQueuedEvents = 0;
    const group = heard(flags);
    world.touch('/m/a');
    expect(world.events(group)).toMatchObject([{ mask: FAN_Q_OVERFLOW, fd, pid: 0, records }]);
  });

  it('is never full with FAN_UNLIMITED_QUEUE', () => {
    world.machine.limits.maxQueuedEvents = 1;
    const group = heard(abi.FAN_UNLIMITED_QUEUE, '/m', FAN_OPEN | FAN_EVENT_ON_CHILD);
    for (const path of ['/m/a', '/m/b']) world.touch(path);
    expect(world.events(group).map(({ mask }) => mask)).toEqual([FAN_OPEN, FAN_OPEN]);
  });

  it('is what an event that there is no memory for looks like', () => {
    const group = heard(0);
    world.machine.faults.failAt('event', 1);
    world.touch('/m/a');
    expect(world.events(group).map(({ mask }) => mask)).toEqual([FAN_Q_OVERFLOW]);
  });
});

describe('a read', () => {
  it('fails with EINVAL when the first event does not fit, and takes as many as do', () => {
    const group = heard(FAN_REPORT_DFID_NAME, '/m', FAN_OPEN | FAN_EVENT_ON_CHILD);
    for (const path of ['/m/a', '/m/b']) world.touch(path);
    // 24, and 4 + 8 + 8 + 8 bytes of handle + 'a' and its NUL, in fours.
    expect(outcome(() => world.read(group, 24 + 32 - 1))).toBe('EINVAL');
    expect(world.read(group, 24 + 32 + 31).length).toBe(24 + 32);
    expect(world.read(group).length).toBe(24 + 32);
    expect(outcome(() => world.read(group))).toBe('EAGAIN');
  });

  it('waits for an event when it may', () => {
    const group = heard(0);
    const reading = new Call(group.operations?.read?.(Buffer.alloc(100), true));
    expect(reading.heldBy?.isOver).toBe(false);
    world.touch('/m/a');
    expect(reading.heldBy?.isOver).toBe(true);
    reading.resume();
    expect(reading.result).toBe(24);
  });

  it('writes NULs where it pads, whatever was there', () => {
    const group = heard(FAN_REPORT_DFID_NAME, '/m', FAN_OPEN | FAN_EVENT_ON_CHILD);
    world.touch('/m/a');
    const bytes = world.read(group);
    expect(bytes.subarray(-4).toString('hex')).toBe('61000000');
    expect(bytes[5]).toBe(0);
  });
});

describe('descriptors', () => {
  it('that there are none for cost the event, but not those before it', () => {
    const group = heard(0, '/m', FAN_OPEN | FAN_EVENT_ON_CHILD);
    for (const path of ['/m/a', '/m/b']) world.touch(path);
    world.spareDescriptors = 1;
    expect(world.read(group).length).toBe(24);
    expect(outcome(() => world.read(group))).toBe('EAGAIN');
  });

  it('that there are none for are told as an errno with FAN_REPORT_FD_ERROR', () => {
    const group = heard(FAN_REPORT_FD_ERROR);
    world.touch('/m/a');
    world.spareDescriptors = 0;
    expect(world.events(group)).toMatchObject([{ fd: -EMFILE }]);
  });

  it('keep what they are of busy while they wait to be made', () => {
    const mount = world.mounted('other', makeSuperblock(world.machine, tmpfs));
    world.file('/other/a');
    const group = heard(0, '/other/a');
    world.touch('/other/a');
    const place = { mount, dentry: mount.root };
    expect(outcome(() => unmount(world.machine, place, 0))).toBe('EBUSY');
    world.events(group);
    expect(outcome(() => unmount(world.machine, place, 0))).toBe('ok');
  });
});

describe('who did it', () => {
  it('is the thread with FAN_REPORT_TID, and nobody else in an unprivileged group', () => {
    world.become(65534);
    const unprivileged = heard(FAN_REPORT_FID);
    world.become(0);
    const plain = heard(FAN_REPORT_FID);
    const child = world.child();
    world.as(child, () => world.touch('/m/a'));
    world.touch('/m/a');
    expect(world.events(plain).map(({ pid }) => pid)).toEqual([child.process.pid, 1]);
    expect(world.events(unprivileged).map(({ pid }) => pid)).toEqual([0, 1]);
  });

  it.each([
    [0, abi.FAN_NOPIDFD, abi.FAN_EPIDFD, abi.FAN_NOFD],
    [FAN_REPORT_FD_ERROR, -ESRCH, -EMFILE, -EBADF],
  ])('is a pidfd until it was waited for (with flag %i)', (flag, gone, none, noFile) => {
    const group = heard(FAN_REPORT_FID | FAN_REPORT_PIDFD | flag);
    const [ended, alive] = [world.child(), world.child()];
    for (const task of [ended, alive]) world.as(task, () => world.touch('/m/a'));
    endProcess(world.machine, ended.process, 1, 0);
    reap(world.machine, ended.process);
    const [first] = world.events(group);
    expect(first).toMatchObject({ fd: noFile, records: [{ type: 'FID' }, { type: 'PIDFD', pidfd: gone }] });
    world.as(alive, () => world.touch('/m/a'));
    world.spareDescriptors = 0;
    expect(world.events(group)).toMatchObject([{ records: [{ type: 'FID' }, { type: 'PIDFD', pidfd: none }] }]);
    expect([...world.opened.values()]).toEqual([alive.process]);
  });
});

describe('readiness', () => {
  it('is told once for an event, and not for one that was merged', () => {
    const group = heard(0, '/m/a', FAN_OPEN | FAN_CLOSE_NOWRITE);
    const before = world.readiness;
    world.touch('/m/a');
    expect(world.readiness).toBe(before + 1);
    expect(group.operations?.poll()).toBe(1);
    world.events(group);
    expect(group.operations?.poll()).toBe(0);
  });
});
