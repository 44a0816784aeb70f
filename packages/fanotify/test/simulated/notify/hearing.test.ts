// Which marks hear what, and what the events say of it.

import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '../../../src/abi/index.ts';
import { link, mkdir } from '../../../src/simulated/files/create.ts';
import type { OpenFile } from '../../../src/simulated/files/objects.ts';
import { write } from '../../../src/simulated/files/read-write.ts';
import { rmdir, unlink } from '../../../src/simulated/files/remove.ts';
import { rename } from '../../../src/simulated/files/rename.ts';
import { now } from '../recording.ts';
import { World } from './world.ts';

const { FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_MARK_MOUNT, FAN_NONBLOCK, FAN_ONDIR, FAN_EVENT_ON_CHILD } = abi;
const { FAN_OPEN, FAN_MODIFY, FAN_CLOSE_NOWRITE, FAN_CREATE, FAN_DELETE, FAN_ATTRIB, FAN_RENAME, FAN_DELETE_SELF } =
  abi;
const { FAN_REPORT_FID, FAN_REPORT_DIR_FID, FAN_REPORT_DFID_NAME, FAN_REPORT_DFID_NAME_TARGET } = abi;
const O_WRONLY = 1;

let world: World;
beforeEach(() => {
  world = new World();
});

/** Each event as 'OPEN|ONDIR DFID_NAME name', as short as it can be told apart. */
function told(group: OpenFile): string[] {
  return world.events(group).map(({ mask, records }) => {
    const names = abi.maskNames(mask).map((name) => name.slice('FAN_'.length));
    const infos = records.map((record) => ('name' in record ? `${record.type}:${record.name}` : record.type));
    return [names.join('|'), ...infos].join(' ');
  });
}

describe('a directory', () => {
  it('hears what is in it only with FAN_EVENT_ON_CHILD, and no deeper', () => {
    world.directory('/m/d');
    world.directory('/m/d/e');
    world.file('/m/d/a');
    world.file('/m/d/e/b');
    const without = world.group(FAN_NONBLOCK);
    const with_ = world.group(FAN_NONBLOCK);
    world.mark(without, FAN_MARK_ADD, FAN_OPEN, '/m/d');
    world.mark(with_, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, '/m/d');
    world.touch('/m/d/a');
    world.touch('/m/d/e/b');
    world.touch('/m/d/e');
    expect(told(without)).toEqual([]);
    expect(told(with_)).toEqual(['OPEN']);
  });

  it('hears of directories only with FAN_ONDIR, and only groups with handles are told that it is one', () => {
    world.directory('/m/d');
    const descriptors = world.group(FAN_NONBLOCK);
    const handles = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
    const neither = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
    for (const group of [descriptors, handles]) world.mark(group, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, '/m/d');
    world.mark(neither, FAN_MARK_ADD, FAN_OPEN, '/m/d');
    world.touch('/m/d');
    expect(told(descriptors)).toEqual(['OPEN']);
    expect(told(handles)).toEqual(['OPEN|ONDIR FID']);
    expect(told(neither)).toEqual([]);
  });

  it('is named "." where events of its own are told with names', () => {
    world.directory('/m/d');
    const group = world.group(FAN_REPORT_DFID_NAME | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, '/m/d');
    world.touch('/m/d');
    expect(told(group)).toEqual(['OPEN|ONDIR DFID_NAME:.']);
  });
});

describe('a mount', () => {
  it('hears what happens through it, and nothing without a path', () => {
    const group = world.group(FAN_NONBLOCK);
    world.file('/m/a');
    world.mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_MODIFY, '/m');
    world.touch('/m/a');
    // An attribute is of the inode, wherever it was changed through.
    world.fsnotify.changed(world.at('/m/a').dentry, Number(FAN_MODIFY));
    expect(told(group)).toEqual(['OPEN']);
  });
});

describe('names', () => {
  it('are told by marks of the file, its file system, and its directory alike', () => {
    world.file('/m/a');
    for (const [flags, path] of [
      [FAN_MARK_ADD, '/m/a'],
      [FAN_MARK_ADD | FAN_MARK_FILESYSTEM, '/m'],
      [FAN_MARK_ADD | FAN_MARK_MOUNT, '/m'],
    ] as const) {
      const group = world.group(FAN_REPORT_DFID_NAME | FAN_REPORT_FID | FAN_NONBLOCK);
      world.mark(group, flags, FAN_OPEN, path);
      world.touch('/m/a');
      expect(told(group)).toEqual(['OPEN DFID_NAME:a FID']);
      world.closeGroup(group);
    }
  });

  it('are not told with FAN_REPORT_DIR_FID alone, but the directory is: by a record that says it is an object', () => {
    world.file('/m/a');
    const group = world.group(FAN_REPORT_DIR_FID | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/m/a');
    world.touch('/m/a');
    expect(told(group)).toEqual(['OPEN FID']);
    world.touch('/m/a');
    const [record] = world.events(group)[0]?.records ?? [];
    const { inode } = world.root;
    expect(record).toMatchObject({ handle: { bytes: Buffer.from(inode.superblock.type.encode(inode).bytes) } });
  });

  it('are told of an entry with what has it only with FAN_REPORT_TARGET_FID', () => {
    const plain = world.group(FAN_REPORT_DFID_NAME | FAN_REPORT_FID | FAN_NONBLOCK);
    const target = world.group(FAN_REPORT_DFID_NAME_TARGET | FAN_NONBLOCK);
    for (const group of [plain, target]) world.mark(group, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE | FAN_ONDIR, '/m');
    mkdir(world.machine, '/m/d');
    rmdir(world.machine, '/m/d');
    expect(told(plain)).toEqual(['CREATE|DELETE|ONDIR DFID_NAME:d']);
    expect(told(target)).toEqual(['CREATE|DELETE|ONDIR DFID_NAME:d FID']);
  });
});

describe('a rename', () => {
  it('is told by the directories that are marked: the old one, the new one, or both', () => {
    world.directory('/m/old');
    world.directory('/m/new');
    world.file('/m/old/a');
    const groups = [['/m/old'], ['/m/new'], ['/m/old', '/m/new']].map((paths) => {
      const group = world.group(FAN_REPORT_DFID_NAME | FAN_NONBLOCK);
      for (const path of paths) world.mark(group, FAN_MARK_ADD, FAN_RENAME, path);
      return group;
    });
    rename(world.machine, '/m/old/a', '/m/new/b');
    expect(groups.map(told)).toEqual([
      ['RENAME OLD_DFID_NAME:a'],
      ['RENAME NEW_DFID_NAME:b'],
      ['RENAME OLD_DFID_NAME:a NEW_DFID_NAME:b'],
    ]);
  });

  it('within a directory is told with both names', () => {
    world.file('/m/a');
    const group = world.group(FAN_REPORT_DFID_NAME | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD, FAN_RENAME, '/m');
    rename(world.machine, '/m/a', '/m/b');
    expect(told(group)).toEqual(['RENAME OLD_DFID_NAME:a NEW_DFID_NAME:b']);
  });
});

describe('the end of a file', () => {
  it('takes its marks with it', () => {
    world.file('/m/a');
    const group = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD, FAN_DELETE_SELF | FAN_ATTRIB, '/m/a');
    unlink(world.machine, '/m/a');
    expect(told(group)).toEqual(['ATTRIB|DELETE_SELF FID']);
    expect(world.marksOf(group).size).toBe(0);
  });

  it('waits for the event that has it open', () => {
    world.file('/m/a');
    const descriptors = world.group(FAN_NONBLOCK);
    const handles = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
    world.mark(descriptors, FAN_MARK_ADD, FAN_OPEN, '/m/a');
    world.mark(handles, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_DELETE_SELF, '/m');
    world.touch('/m/a');
    unlink(world.machine, '/m/a');
    expect(told(handles)).toEqual([]);
    world.spareDescriptors = 0;
    expect(() => world.read(descriptors)).toThrow('errno 24');
    expect(told(handles)).toEqual(['DELETE_SELF FID']);
  });

  it('is told by a hard link that is left as a change of attributes', () => {
    world.file('/m/a');
    link(world.machine, '/m/a', '/m/b');
    const group = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD, FAN_DELETE_SELF | FAN_ATTRIB, '/m/b');
    unlink(world.machine, '/m/a');
    expect(told(group)).toEqual(['ATTRIB FID']);
  });
});

describe('what a group ignores', () => {
  const IGNORE = FAN_MARK_ADD | abi.FAN_MARK_IGNORE;
  const SURVIVING = IGNORE | abi.FAN_MARK_IGNORED_SURV_MODIFY;

  const modify = (path: string) => {
    const fd = world.open(path, O_WRONLY);
    now(write(world.machine, fd, Buffer.from('x')));
    world.close(fd);
  };

  it.each([
    ['ends with a modification', IGNORE, ['MODIFY', 'OPEN']],
    ['survives a modification with FAN_MARK_IGNORED_SURV_MODIFY', SURVIVING, []],
  ])('%s', (_name, flags, left) => {
    world.file('/m/a');
    const group = world.group(FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN | FAN_MODIFY, '/m');
    world.mark(group, flags, FAN_OPEN | FAN_MODIFY, '/m/a');
    modify('/m/a');
    world.child();
    world.as(world.child(), () => world.touch('/m/a'));
    expect(told(group)).toEqual(left);
  });

  it('is the children of a directory only with FAN_EVENT_ON_CHILD, and the directory only with FAN_ONDIR', () => {
    world.directory('/m/d');
    world.file('/m/d/a');
    const heard = (flags: bigint) => {
      const group = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
      world.mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN | FAN_ONDIR, '/m');
      world.mark(group, SURVIVING, FAN_OPEN | flags, '/m/d');
      world.touch('/m/d');
      world.touch('/m/d/a');
      const events = told(group);
      world.closeGroup(group);
      return events;
    };
    expect(heard(0n)).toEqual(['OPEN|ONDIR FID', 'OPEN FID']);
    expect(heard(FAN_ONDIR)).toEqual(['OPEN FID']);
    expect(heard(FAN_EVENT_ON_CHILD)).toEqual(['OPEN|ONDIR FID']);
    expect(heard(FAN_ONDIR | FAN_EVENT_ON_CHILD)).toEqual([]);
  });

  it('another group hears', () => {
    world.file('/m/a');
    const one = world.group(FAN_NONBLOCK);
    const other = world.group(FAN_NONBLOCK);
    for (const group of [one, other]) world.mark(group, FAN_MARK_ADD, FAN_OPEN, '/m/a');
    world.mark(one, SURVIVING, FAN_OPEN, '/m/a');
    world.touch('/m/a');
    expect([told(one), told(other)]).toEqual([[], ['OPEN']]);
  });
});

describe('FAN_FS_ERROR', () => {
  it('is told once with the first errno, and how many there were', () => {
    const group = world.group(FAN_REPORT_FID | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, abi.FAN_FS_ERROR, '/m');
    world.fsnotify.filesystemError(world.mount.superblock, undefined, 117);
    world.fsnotify.filesystemError(world.mount.superblock, undefined, 5);
    const [event] = world.events(group);
    expect(event?.records).toMatchObject([
      { type: 'FID', handle: { type: 0xff, bytes: Buffer.alloc(0) } },
      { type: 'ERROR', error: 117, errorCount: 2 },
    ]);
  });
});

describe('what leaves a directory', () => {
  it('is heard by an open file of it under its last name', () => {
    world.file('/m/a');
    const group = world.group(FAN_REPORT_DFID_NAME | FAN_NONBLOCK);
    world.mark(group, FAN_MARK_ADD, FAN_CLOSE_NOWRITE | FAN_EVENT_ON_CHILD, '/m');
    const fd = world.open('/m/a');
    unlink(world.machine, '/m/a');
    world.close(fd);
    expect(told(group)).toEqual(['CLOSE_NOWRITE DFID_NAME:a']);
  });
});
