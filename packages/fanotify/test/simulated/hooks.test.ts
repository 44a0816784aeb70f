// Which hook fires when: what Linux 6.18 does was seen with inotify and fanotify on tmpfs and ext4.

import { beforeEach, describe, expect, it } from 'vitest';
import { boot, type Machine } from '../../src/simulated/boot.ts';
import { link, mkdir, symlink } from '../../src/simulated/files/create.ts';
import {
  AT_FDCWD,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
} from '../../src/simulated/files/flags.ts';
import { open } from '../../src/simulated/files/open.ts';
import { read, write } from '../../src/simulated/files/read-write.ts';
import { rmdir, unlink } from '../../src/simulated/files/remove.ts';
import { rename } from '../../src/simulated/files/rename.ts';
import { ftruncate, truncate } from '../../src/simulated/files/truncate.ts';
import { close } from '../../src/simulated/tasks/descriptors.ts';
import { now, type Recording, record } from './recording.ts';

let recording: Recording;
let machine: Machine;

const openNow = (path: string, flags: number, mode = 0o644) => now(open(machine, AT_FDCWD, path, flags, mode));
const make = (path: string) => close(machine, openNow(path, O_CREAT | O_WRONLY));
const numberOf = (path: string) => {
  let dentry = machine.current.filesystem.root.dentry;
  for (const name of path.split('/').filter(Boolean)) {
    const child = dentry.inode.entries?.get(name);
    if (child === undefined) throw new Error(`no ${path}`);
    dentry = child;
  }
  return `#${dentry.inode.number}`;
};

beforeEach(() => {
  recording = record();
  machine = boot({ fsnotify: () => recording.hooks });
});

describe('open', () => {
  it('tells of a new file that it is made, then opened', () => {
    close(machine, openNow('/a', O_CREAT | O_RDWR | O_TRUNC));
    expect(recording.take()).toEqual(['CREATE /a', 'OPEN_PERM /a', 'OPEN /a', 'CLOSE_WRITE /a']);
  });

  it('tells of O_TRUNC after the open, whatever the size', () => {
    make('/a');
    recording.take();
    close(machine, openNow('/a', O_WRONLY | O_TRUNC));
    expect(recording.take()).toEqual(['OPEN_PERM /a', 'OPEN /a', 'MODIFY /a', 'CLOSE_WRITE /a']);
  });

  it('tells of nothing when O_EXCL fails', () => {
    make('/a');
    recording.take();
    expect(() => openNow('/a', O_CREAT | O_EXCL | O_WRONLY)).toThrow('errno 17');
    expect(recording.take()).toEqual([]);
  });

  it('deletes an unnamed file with its last descriptor', () => {
    close(machine, openNow('/', O_TMPFILE | O_RDWR));
    expect(recording.take().map((line) => line.replace(/#\d+/g, '#'))).toEqual([
      'OPEN_PERM /#',
      'OPEN /#',
      'CLOSE_WRITE /#',
      'DELETE_SELF #',
    ]);
  });
});

describe('read and write', () => {
  it('tell of bytes, not of attempts', () => {
    const fd = openNow('/a', O_CREAT | O_RDWR);
    recording.take();
    now(write(machine, fd, Buffer.from('abc')));
    now(write(machine, fd, Buffer.alloc(0)));
    now(read(machine, fd, Buffer.alloc(8)));
    const buffer = Buffer.alloc(8);
    expect(now(read(machine, fd, buffer, 1))).toBe(2);
    expect(buffer.toString('latin1', 0, 2)).toBe('bc');
    expect(recording.take()).toEqual([
      'AREA write 0+3 /a',
      'MODIFY /a',
      'AREA write 3+0 /a',
      'AREA read 3+8 /a',
      'AREA read 1+8 /a',
      'ACCESS /a',
    ]);
  });

  it('truncation tells FAN_MODIFY', () => {
    const fd = openNow('/a', O_CREAT | O_RDWR);
    recording.take();
    now(truncate(machine, '/a', 5));
    now(ftruncate(machine, fd, 2));
    expect(recording.take()).toEqual(['AREA truncate 5 /a', 'MODIFY /a', 'AREA truncate 2 /a', 'MODIFY /a']);
  });
});

describe('names', () => {
  it('unlink tells of links, the end of the inode, and the name', () => {
    make('/a');
    const number = numberOf('/a');
    recording.take();
    unlink(machine, '/a');
    expect(recording.take()).toEqual([`ATTRIB ${number}`, `DELETE_SELF ${number}`, 'DELETE /a']);
  });

  it('a file that is open ends with its last descriptor', () => {
    const fd = openNow('/a', O_CREAT | O_RDWR);
    const number = numberOf('/a');
    recording.take();
    unlink(machine, '/a');
    expect(recording.take()).toEqual([`ATTRIB ${number}`, 'DELETE /a']);
    close(machine, fd);
    expect(recording.take()).toEqual(['CLOSE_WRITE /a', `DELETE_SELF ${number}`]);
  });

  it('each open name of a file without links ends by itself', () => {
    make('/a');
    link(machine, '/a', '/b');
    const number = numberOf('/a');
    const fd = openNow('/a', O_RDONLY);
    unlink(machine, '/a');
    recording.take();
    unlink(machine, '/b');
    expect(recording.take()).toEqual([`ATTRIB ${number}`, `DELETE_SELF ${number}`, 'DELETE /b']);
    close(machine, fd);
    expect(recording.take()).toEqual(['CLOSE_NOWRITE /a', `DELETE_SELF ${number}`]);
  });

  it('a removed directory ends after what is still open of it', () => {
    mkdir(machine, '/d');
    const fd = openNow('/d/f', O_CREAT | O_RDWR);
    const [directory, file] = [numberOf('/d'), numberOf('/d/f')];
    unlink(machine, '/d/f');
    recording.take();
    rmdir(machine, '/d');
    expect(recording.take()).toEqual(['DELETE /d']);
    close(machine, fd);
    expect(recording.take()).toEqual(['CLOSE_WRITE /d/f', `DELETE_SELF ${file}`, `DELETE_SELF ${directory}`]);
  });

  it('rename over a file ends that one last', () => {
    make('/a');
    make('/b');
    const replaced = numberOf('/b');
    recording.take();
    rename(machine, '/a', '/b');
    expect(recording.take()).toEqual([`MOVE /a -> /b over ${replaced}`, `DELETE_SELF ${replaced}`]);
  });

  it('an exchange is two moves; a rename to another name of the same file is none', () => {
    make('/a');
    mkdir(machine, '/d');
    symlink(machine, 'x', '/d/l');
    link(machine, '/a', '/c');
    recording.take();
    rename(machine, '/a', '/d/l', 2);
    expect(recording.take()).toEqual(['MOVE /a -> /d/l', 'MOVE /d/l -> /a']);
    rename(machine, '/d/l', '/c');
    expect(recording.take()).toEqual([]);
  });
});
