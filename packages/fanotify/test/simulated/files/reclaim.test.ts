// /proc/sys/vm/drop_caches: which inodes leave memory.

import { beforeEach, expect, it } from 'vitest';
import { link, mkdir } from '../../../src/simulated/files/create.ts';
import { AT_FDCWD, O_RDONLY } from '../../../src/simulated/files/flags.ts';
import { mount } from '../../../src/simulated/files/mount-call.ts';
import { dropCaches } from '../../../src/simulated/files/reclaim.ts';
import { walk } from '../../../src/simulated/files/walk.ts';
import { close } from '../../../src/simulated/tasks/descriptors.ts';
import { type SmallMachine, smallMachine } from './small-machine.ts';

let small: SmallMachine;

/** Marks are told of what is evicted: any connector will do. */
function mark(path: string): number {
  const { inode } = walk(small.machine, AT_FDCWD, path).dentry;
  inode.connector = { inode } as never;
  return inode.number;
}

function evicted(): string[] {
  small.recording.take();
  dropCaches(small.machine);
  return small.recording.take();
}

beforeEach(() => {
  small = smallMachine();
  mkdir(small.machine, '/m');
});

it('those of a disk that nobody uses, nor anything below them', () => {
  mount(small.machine, 'x', '/m', 'ext4');
  mkdir(small.machine, '/m/d');
  small.put('/m/d/f');
  small.put('/m/g');
  const [directory, file, other] = [mark('/m/d'), mark('/m/d/f'), mark('/m/g')];
  const fd = small.open('/m/d/f', O_RDONLY);
  expect(evicted()).toEqual([`evicted #${other}`]);
  close(small.machine, fd);
  expect(evicted()).toEqual([directory, file, other].map((number) => `evicted #${number}`));
});

it('a directory of a disk whose file is used by a name elsewhere', () => {
  mount(small.machine, 'x', '/m', 'ext4');
  mkdir(small.machine, '/m/d');
  mkdir(small.machine, '/m/e');
  small.put('/m/d/f');
  link(small.machine, '/m/d/f', '/m/e/g');
  const [directory, file] = [mark('/m/d'), mark('/m/d/f')];
  mark('/m/e');
  const fd = small.open('/m/e/g', O_RDONLY);
  expect(evicted()).toEqual([`evicted #${directory}`]);
  close(small.machine, fd);
  expect(evicted()).toContain(`evicted #${file}`);
});

it('none of tmpfs', () => {
  mount(small.machine, 'x', '/m', 'tmpfs');
  small.put('/m/f');
  mark('/m/f');
  expect(evicted()).toEqual([]);
});
