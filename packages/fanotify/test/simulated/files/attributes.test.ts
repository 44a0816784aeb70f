// What is told of a file beside its content, and which hook fires: seen on Linux 6.18 with fanotify on tmpfs and ext4.

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/kernel/error.ts';
import {
  chmod,
  chown,
  fchmod,
  fchown,
  futimes,
  getxattr,
  removexattr,
  setxattr,
  utimes,
} from '../../../src/simulated/files/attributes.ts';
import { copyRange, sendfile } from '../../../src/simulated/files/copy.ts';
import { link, mkdir, symlink } from '../../../src/simulated/files/create.ts';
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/simulated/files/flags.ts';
import { map, touchMapping, unmap, writeMapping } from '../../../src/simulated/files/mapping.ts';
import { mount } from '../../../src/simulated/files/mount-call.ts';
import { read, write } from '../../../src/simulated/files/read-write.ts';
import { readdir } from '../../../src/simulated/files/readdir.ts';
import { unlink } from '../../../src/simulated/files/remove.ts';
import { stat } from '../../../src/simulated/files/status.ts';
import { fallocate, truncate } from '../../../src/simulated/files/truncate.ts';
import { close } from '../../../src/simulated/tasks/descriptors.ts';
import { now } from '../recording.ts';
import { refusal, type SmallMachine, smallMachine } from './small-machine.ts';

let small: SmallMachine;
const system = () => small.machine;
const fired = () => small.recording.take();

beforeEach(() => {
  small = smallMachine();
  small.put('/a', 'hello');
  fired();
});

describe('attributes', () => {
  it('tell FAN_ATTRIB, also when they were so already', () => {
    chmod(system(), '/a', 0o600);
    chmod(system(), '/a', 0o600);
    chown(system(), '/a', 0, -1);
    setxattr(system(), '/a', 'user.x', Buffer.from('1'));
    expect([...getxattr(system(), '/a', 'user.x')]).toEqual([0x31]);
    removexattr(system(), '/a', 'user.x');
    expect(fired()).toEqual(Array.from({ length: 5 }, () => 'ATTRIB /a'));
  });

  it('tell nothing when nothing was asked for, or refused', () => {
    chown(system(), '/a', -1, -1);
    expect(refusal(() => removexattr(system(), '/a', 'user.x'))).toBe(61);
    expect(refusal(() => setxattr(system(), '/a', 'user.x', Buffer.from('1'), 2))).toBe(61);
    expect(refusal(() => setxattr(system(), '/a', 'none.x', Buffer.from('1')))).toBe(ERRNO.EOPNOTSUPP);
    small.as(1000, () => expect(refusal(() => chmod(system(), '/a', 0o777))).toBe(ERRNO.EPERM));
    expect(fired()).toEqual([]);
  });

  it('a new owner takes set-user-id away, which is told even if nobody changed', () => {
    chmod(system(), '/a', 0o4755);
    fired();
    chown(system(), '/a', -1, -1);
    expect(fired()).toEqual(['ATTRIB /a']);
    expect(stat(system(), '/a').mode).toBe(0o10_0755);
  });

  it('only its owner takes set-user-id away by that', () => {
    chmod(system(), '/a', 0o4755);
    fired();
    small.as(1000, () => expect(refusal(() => chown(system(), '/a', -1, -1))).toBe(ERRNO.EPERM));
    expect(fired()).toEqual([]);
    expect(stat(system(), '/a').mode).toBe(0o10_4755);
  });

  it('a write by root leaves set-user-id', () => {
    chmod(system(), '/a', 0o4755);
    now(write(system(), small.open('/a', O_WRONLY), Buffer.from('x')));
    expect(stat(system(), '/a').mode).toBe(0o10_4755);
  });

  it('times tell by which of them it was', () => {
    const fd = small.open('/a', O_RDWR);
    fired();
    utimes(system(), '/a', 5n, 'omit');
    utimes(system(), '/a', 'omit', 7n);
    futimes(system(), fd, 'now', 'now');
    utimes(system(), '/a', 'omit', 'omit');
    expect(fired()).toEqual(['ACCESS /a', 'MODIFY /a', 'ATTRIB /a']);
  });

  it('are changed by descriptor as by path', () => {
    const fd = small.open('/a', O_RDONLY);
    fired();
    fchmod(system(), fd, 0o640);
    fchown(system(), fd, 5, 6);
    expect(fired()).toEqual(['ATTRIB /a', 'ATTRIB /a']);
    expect(stat(system(), '/a')).toMatchObject({ mode: 0o10_0640, inode: { uid: 5, gid: 6 } });
  });

  it('a write by others takes set-user-id away first', () => {
    chmod(system(), '/a', 0o4777);
    small.as(1000, () => {
      const fd = small.open('/a', O_WRONLY);
      fired();
      now(write(system(), fd, Buffer.from('x')));
    });
    expect(fired()).toEqual(['AREA write 0+1 /a', 'ATTRIB /a', 'MODIFY /a']);
  });

  it('truncation tells both in one', () => {
    chmod(system(), '/a', 0o4777);
    fired();
    small.as(1000, () => now(truncate(system(), '/a', 1)));
    expect(fired()).toEqual(['AREA truncate 1 /a', 'MODIFY|ATTRIB /a']);
  });
});

describe('content', () => {
  it('copied tells of both files, unless there was nothing', () => {
    small.put('/b');
    const [a, b] = [small.open('/a', O_RDONLY), small.open('/b', O_RDWR)];
    fired();
    expect(now(copyRange(system(), a, undefined, b, undefined, 3))).toBe(3);
    expect(now(sendfile(system(), b, a, undefined, 9))).toBe(2);
    expect(now(sendfile(system(), b, a, undefined, 9))).toBe(0);
    expect(fired()).toEqual([
      'AREA read 0+3 /a',
      'AREA write 0+3 /b',
      'ACCESS /a',
      'MODIFY /b',
      'AREA read 3+9 /a',
      'AREA write 3+9 /b',
      'ACCESS /a',
      'MODIFY /b',
      'AREA read 5+9 /a',
      'AREA write 5+9 /b',
    ]);
    const buffer = Buffer.alloc(9);
    expect(now(read(system(), b, buffer, 0))).toBe(5);
    expect(buffer.toString('latin1', 0, 5)).toBe('hello');
  });

  it('is copied within one file system alone', () => {
    mkdir(system(), '/m');
    mount(system(), 'tmpfs', '/m', 'tmpfs');
    small.put('/m/b');
    const [a, b] = [small.open('/a', O_RDONLY), small.open('/m/b', O_RDWR)];
    expect(refusal(() => now(copyRange(system(), a, undefined, b, undefined, 3)))).toBe(ERRNO.EXDEV);
    expect(now(sendfile(system(), b, a, undefined, 3))).toBe(3);
  });

  it('sent in several parts is told of once', () => {
    small.put('/big', Buffer.alloc(200_000));
    const [from, to] = [small.open('/big', O_RDONLY), small.open('/a', O_RDWR)];
    fired();
    expect(now(sendfile(system(), to, from, undefined, 200_000))).toBe(200_000);
    expect(fired()).toEqual(['AREA read 0+200000 /big', 'AREA write 0+200000 /a', 'ACCESS /big', 'MODIFY /a']);
  });

  it('reserved tells FAN_MODIFY', () => {
    const fd = small.open('/a', O_RDWR);
    fired();
    now(fallocate(system(), fd, 0, 0, 10));
    expect(fired()).toEqual(['AREA write 0+10 /a', 'MODIFY /a']);
    expect(stat(system(), '/a').sizeBytes).toBe(10);
    expect(refusal(() => now(fallocate(system(), fd, 0x10, 0, 10)))).toBe(ERRNO.EOPNOTSUPP);
  });

  it('mapped is asked for once, then read and written unheard; the file closes with the mapping', () => {
    const fd = small.open('/a', O_RDWR);
    fired();
    const mapping = now(map(system(), fd, 0, 4096, { isWritable: true, isShared: true }));
    close(system(), fd);
    writeMapping(system(), mapping, 1, Buffer.from('EL'));
    expect(String.fromCharCode(touchMapping(mapping, 1))).toBe('E');
    expect(refusal(() => touchMapping(mapping, 4096))).toBe(ERRNO.EFAULT);
    expect(fired()).toEqual(['AREA map 0+4096 /a']);
    unmap(system(), mapping);
    expect(fired()).toEqual(['CLOSE_WRITE /a']);
    const buffer = Buffer.alloc(5);
    now(read(system(), small.open('/a', O_RDONLY), buffer));
    expect(buffer.toString()).toBe('hELlo');
  });

  it('cut off and grown again is zeros', () => {
    now(truncate(system(), '/a', 2));
    now(truncate(system(), '/a', 4));
    const buffer = Buffer.alloc(9, 'x');
    expect(now(read(system(), small.open('/a', O_RDONLY), buffer))).toBe(4);
    expect(buffer.toString('latin1', 0, 4)).toBe('he\0\0');
  });
});

describe('a directory', () => {
  it('is listed with dots, and tells each time it is asked', () => {
    mkdir(system(), '/d');
    for (const name of ['x', 'y', 'z']) small.put(`/d/${name}`);
    symlink(system(), 'x', '/d/l');
    const fd = small.open('/d', O_RDONLY);
    fired();
    expect(now(readdir(system(), fd, 3 * 24)).map(({ name }) => name)).toEqual(['.', '..', 'x']);
    unlink(system(), '/d/y');
    fired();
    expect(now(readdir(system(), fd)).map(({ name, type }) => `${name} ${type}`)).toEqual(['z file', 'l symlink']);
    expect(now(readdir(system(), fd))).toEqual([]);
    expect(fired()).toEqual(['AREA readdir 0+0 /d', 'ACCESS /d', 'AREA readdir 0+0 /d', 'ACCESS /d']);
    expect(refusal(() => now(readdir(system(), small.open('/a', O_RDONLY))))).toBe(ERRNO.ENOTDIR);
  });

  it('counts the links of what is in it', () => {
    mkdir(system(), '/d');
    mkdir(system(), '/d/e');
    link(system(), '/a', '/d/a');
    expect([stat(system(), '/d').links, stat(system(), '/a').links]).toEqual([3, 2]);
    small.open('/d/new', O_CREAT | O_RDWR);
    expect(stat(system(), '/d').links).toBe(3);
  });
});
