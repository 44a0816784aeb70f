// What holds a task without fanotify: leases, pipes, FIFOs.

import { beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from '../../../src/kernel/error.ts';
import { mknod } from '../../../src/simulated/files/create.ts';
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/simulated/files/flags.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK, getLease, setLease } from '../../../src/simulated/files/lease.ts';
import { open } from '../../../src/simulated/files/open.ts';
import { pollPipe } from '../../../src/simulated/files/pipe.ts';
import { pipe } from '../../../src/simulated/files/pipe-call.ts';
import { lseek, read, write } from '../../../src/simulated/files/read-write.ts';
import { close, fileOf } from '../../../src/simulated/tasks/descriptors.ts';
import { now } from '../recording.ts';
import { refusal, type SmallMachine, smallMachine } from './small-machine.ts';

let small: SmallMachine;
const system = () => small.machine;

beforeEach(() => {
  small = smallMachine();
  small.put('/f', '1');
});

describe('a lease', () => {
  it('is had while nobody has the file open in its way', () => {
    const writer = small.open('/f', O_RDWR);
    const reader = small.open('/f', O_RDONLY);
    const file = fileOf(system(), reader);
    expect(refusal(() => setLease(system(), file, F_RDLCK))).toBe(ERRNO.EAGAIN);
    close(system(), writer);
    setLease(system(), file, F_RDLCK);
    expect(getLease(file)).toBe(F_RDLCK);
    setLease(system(), file, F_WRLCK);
    expect(getLease(file)).toBe(F_WRLCK);
    setLease(system(), file, F_UNLCK);
    expect(getLease(file)).toBe(F_UNLCK);
    small.as(1000, () => expect(refusal(() => setLease(system(), file, F_RDLCK))).toBe(ERRNO.EACCES));
  });

  it('holds whoever wants to write until it is given up', () => {
    const file = fileOf(system(), small.open('/f', O_RDONLY));
    setLease(system(), file, F_RDLCK);
    expect(refusal(() => small.open('/f', O_WRONLY | O_NONBLOCK))).toBe(ERRNO.EAGAIN);
    const call = open(system(), AT_FDCWD, '/f', O_WRONLY);
    expect(call.next().done).toBe(false);
    expect(getLease(file)).toBe(F_UNLCK);
    setLease(system(), file, F_UNLCK);
    expect(call.next().done).toBe(true);
  });

  it('is taken away after 45 s', () => {
    const file = fileOf(system(), small.open('/f', O_RDONLY));
    setLease(system(), file, F_RDLCK);
    const call = open(system(), AT_FDCWD, '/f', O_WRONLY);
    const step = call.next();
    system().clock.advance(44_999);
    expect(step.done === true || step.value.isOver).toBe(false);
    system().clock.advance(1);
    expect(call.next().done).toBe(true);
  });
});

describe('a pipe', () => {
  it('gives what was written, then its end', () => {
    const [reader, writer] = pipe(system());
    const buffer = Buffer.alloc(8);
    const call = read(system(), reader, buffer);
    expect(call.next().done).toBe(false);
    now(write(system(), writer, Buffer.from('hello')));
    expect(call.next().value).toBe(5);
    close(system(), writer);
    expect(now(read(system(), reader, buffer))).toBe(0);
    expect(pollPipe(fileOf(system(), reader).path.dentry.inode.pipe ?? expect.fail(), fileOf(system(), reader))).toBe(
      16,
    );
    expect(refusal(() => lseek(system(), reader, 0))).toBe(ERRNO.ESPIPE);
  });

  it('holds the writer while it is full, and refuses one without a reader', () => {
    const [reader, writer] = pipe(system());
    const call = write(system(), writer, Buffer.alloc(70_000));
    expect(call.next().done).toBe(false);
    expect(now(read(system(), reader, Buffer.alloc(65_536)))).toBe(65_536);
    expect(call.next().value).toBe(70_000);
    close(system(), reader);
    expect(refusal(() => now(write(system(), writer, Buffer.from('x'))))).toBe(ERRNO.EPIPE);
  });

  it('with a name waits for the other side to open it', () => {
    mknod(system(), '/p', 'fifo');
    expect(refusal(() => small.open('/p', O_WRONLY | O_NONBLOCK))).toBe(ERRNO.ENXIO);
    const call = open(system(), AT_FDCWD, '/p', O_RDONLY);
    expect(call.next().done).toBe(false);
    const writer = small.open('/p', O_WRONLY);
    const step = call.next();
    now(write(system(), writer, Buffer.from('x')));
    if (step.done !== true) throw new Error('still held');
    expect(now(read(system(), step.value, Buffer.alloc(4)))).toBe(1);
  });
});
