// Descriptors, threads, faults and clocks of the simulated machine.

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../src/kernel/error.ts';
import { mkdir } from '../../src/simulated/files/create.ts';
import { chdir } from '../../src/simulated/files/directories.ts';
import { O_CREAT, O_PATH, O_RDONLY, O_RDWR } from '../../src/simulated/files/flags.ts';
import { unshareMountNamespace } from '../../src/simulated/files/mount-namespace.ts';
import { read } from '../../src/simulated/files/read-write.ts';
import { close, duplicate, duplicateTo, fileOf, fileOrPathOf } from '../../src/simulated/tasks/descriptors.ts';
import { cloneThread, fork } from '../../src/simulated/tasks/process.ts';
import { Scheduler } from '../../src/simulated/tasks/scheduler.ts';
import { refusal, type SmallMachine, smallMachine } from './files/small-machine.ts';
import { now } from './recording.ts';

let small: SmallMachine;
const system = () => small.machine;

beforeEach(() => {
  small = smallMachine();
  small.put('/f', 'hello');
});

describe('descriptors', () => {
  it('are the lowest number that is free, up to the limit', () => {
    system().current.process.descriptorLimit = 3;
    expect([small.open('/f', O_RDONLY), small.open('/f', O_RDONLY), small.open('/f', O_RDONLY)]).toEqual([0, 1, 2]);
    small.recording.take();
    expect(refusal(() => small.open('/new', O_CREAT | O_RDWR))).toBe(ERRNO.EMFILE);
    // Before anything was made or told.
    expect(small.recording.take()).toEqual([]);
    close(system(), 1);
    expect(small.open('/f', O_RDONLY)).toBe(1);
  });

  it('of one open file share its offset, and close it with the last', () => {
    const fd = small.open('/f', O_RDONLY);
    const copy = duplicate(system(), fd);
    now(read(system(), fd, Buffer.alloc(2)));
    const buffer = Buffer.alloc(1);
    now(read(system(), copy, buffer));
    expect(buffer.toString()).toBe('l');
    small.recording.take();
    close(system(), fd);
    expect(small.recording.take()).toEqual([]);
    close(system(), copy);
    expect(small.recording.take()).toEqual(['CLOSE_NOWRITE /f']);
  });

  it('can take the place of another, which closes', () => {
    small.put('/g');
    const [fd, other] = [small.open('/f', O_RDONLY), small.open('/g', O_RDONLY)];
    small.recording.take();
    duplicateTo(system(), fd, other);
    expect(small.recording.take()).toEqual(['CLOSE_NOWRITE /g']);
    expect(fileOf(system(), other)).toBe(fileOf(system(), fd));
    expect(refusal(() => duplicateTo(system(), fd, fd))).toBe(ERRNO.EINVAL);
  });

  it('of O_PATH only say where, and nobody is told', () => {
    small.recording.take();
    const fd = small.open('/f', O_PATH);
    expect(fileOrPathOf(system(), fd).path.dentry.name).toBe('f');
    expect(refusal(() => fileOf(system(), fd))).toBe(ERRNO.EBADF);
    close(system(), fd);
    expect(small.recording.take()).toEqual([]);
  });
});

describe('threads', () => {
  it('share descriptors and directories, until one leaves its mount namespace', () => {
    const { current: main } = system();
    mkdir(system(), '/d');
    const thread = cloneThread(system());
    const fd = small.open('/f', O_RDONLY);
    system().current = thread;
    expect(fileOf(system(), fd).path.dentry.name).toBe('f');
    chdir(system(), '/d');
    expect(main.filesystem.workingDirectory.dentry.name).toBe('d');
    unshareMountNamespace(system());
    chdir(system(), '/');
    expect(main.filesystem.workingDirectory.dentry.name).toBe('d');
    expect(thread.mountNamespace).not.toBe(main.mountNamespace);
  });

  it('end one by one, the process with the last', () => {
    const scheduler = new Scheduler(system(), 3);
    const main = fork(system());
    system().current = main;
    const thread = cloneThread(system());
    scheduler.start(
      main,
      (function* () {
        yield undefined;
      })(),
    );
    scheduler.start(
      thread,
      (function* () {
        yield undefined;
        return 5;
      })(),
    );
    scheduler.run();
    expect([main.hasEnded, thread.hasEnded]).toEqual([true, true]);
    expect(main.process.ended).toMatchObject({ code: 1 });
  });
});

describe('faults', () => {
  it('come at the n-th call, once', () => {
    system().faults.failAt('descriptor', 2);
    small.open('/f', O_RDONLY);
    expect(refusal(() => small.open('/f', O_RDONLY))).toBe(ERRNO.EMFILE);
    small.open('/f', O_RDONLY);
    system().faults.failAt('memory', 1);
    expect(refusal(() => mkdir(system(), '/x'))).toBe(ERRNO.ENOMEM);
    mkdir(system(), '/x');
  });

  it('shorten a read', () => {
    const fd = small.open('/f', O_RDONLY);
    system().faults.shortenAt(1, 2);
    const buffer = Buffer.alloc(9);
    expect(now(read(system(), fd, buffer))).toBe(2);
    expect(now(read(system(), fd, buffer))).toBe(3);
  });
});

describe('the clock', () => {
  it('goes on when it is told to, calling what is due in order, and can jump', () => {
    const { clock } = system();
    const called: string[] = [];
    clock.after(20, () => called.push(`late ${clock.bootTimeMs()}`));
    clock.after(10, () => called.push(`early ${clock.bootTimeMs()}`));
    clock.after(15, () => called.push('never'))();
    const start = clock.bootTimeMs();
    expect(clock.nextDueMs()).toBe(10);
    clock.advance(25);
    expect(called).toEqual([`early ${start + 10}`, `late ${start + 20}`]);
    const before = clock.realtimeNs();
    clock.jump(-60_000);
    expect(clock.realtimeNs()).toBeLessThan(before);
    expect(clock.bootTimeMs()).toBe(start + 25);
  });
});
