// A kernel whose groups are the daemon's: it acts as the kernel does for those without privilege, byte for byte.

import { expect, it } from 'vitest';
import {
  encodeEvent,
  FAN_CREATE,
  FAN_MARK_ADD,
  FAN_MARK_MOUNT,
  FAN_NOFD,
  FAN_NONBLOCK,
  FAN_Q_OVERFLOW,
  FAN_REPORT_DFID_NAME,
  FAN_REPORT_DFID_NAME_TARGET,
  FAN_REPORT_FID,
  FAN_REPORT_PIDFD,
  FAN_UNLIMITED_QUEUE,
} from '../../src/abi/index.ts';
import { brokeredKernel } from '../../src/client/index.ts';
import { PATH_TYPE, REQUEST, RequestReader, SEQUENCE_TYPE } from '../../src/core/process/wire.ts';
import { ERRNO } from '../../src/kernel/index.ts';
import { answer, event, scratchSocket, scripted } from './scripted.ts';

const handle = { type: 1, bytes: Buffer.from('12345678') };
/** A file was made, as the kernel would say it. */
const MADE = Buffer.from(
  encodeEvent({
    mask: FAN_CREATE,
    fd: FAN_NOFD,
    pid: 77,
    records: [
      { type: 'DFID_NAME', fsid: [1, 2], handle, name: Buffer.from('made') },
      { type: 'FID', fsid: [1, 2], handle },
    ],
  }),
);

/** The same, with records of ours behind those of the kernel. */
function withRecords(said: Buffer, ...records: Buffer[]): Buffer {
  const all = Buffer.concat([said, ...records]);
  all.writeUInt32LE(all.length);
  return all;
}

function record(type: number, data: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt8(type);
  header.writeUInt16LE(4 + data.length, 2);
  return Buffer.concat([header, data]);
}

const PATH = record(PATH_TYPE, Buffer.concat([Buffer.of(7, 0, 0, 0), Buffer.from('a/b')]));
const SEQUENCE = record(SEQUENCE_TYPE, Buffer.alloc(12));
const FLAGS = FAN_REPORT_DFID_NAME_TARGET | FAN_NONBLOCK;

function attempt(operation: () => unknown): unknown {
  try {
    return operation();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

it.each([
  ['pidfds', FLAGS | FAN_REPORT_PIDFD, 'EPERM'],
  ['an unlimited queue', FLAGS | FAN_UNLIMITED_QUEUE, 'EPERM'],
  ['descriptors', FAN_NONBLOCK, 'EPERM'],
  ['handles without names', FAN_REPORT_FID, 'EINVAL'],
  ['what there is not', FLAGS | 0x4000_0000, 'EINVAL'],
])('a group with %s is refused as to those without privilege', (_, flags, code) => {
  const kernel = brokeredKernel({ socket: scratchSocket() });
  expect(attempt(() => kernel.fanotifyInit(flags, 0))).toBe(code);
});

it('reads the bytes of the kernel, less what is ours, and EAGAIN once the daemon has nothing more', async () => {
  const sync = [answer()];
  const daemon = await scripted([
    [[answer()], [withRecords(MADE, PATH, SEQUENCE), withRecords(MADE, PATH), answer()], sync, sync],
  ]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FLAGS, 0);
  const buffer = Buffer.alloc(4096);
  expect(attempt(() => kernel.read(fd, buffer))).toBe('EAGAIN');
  expect(kernel.waitingBytes(fd)).toBe(2 * 24);
  expect(buffer.subarray(0, kernel.read(fd, buffer))).toEqual(Buffer.concat([MADE, MADE]));
  expect(attempt(() => kernel.read(fd, buffer))).toBe('EAGAIN');
  expect(kernel.isBehind?.(fd)).toBe(false);
  kernel.close(fd);
  await daemon.end;
  const asked = daemon.asked.map((line) => new RequestReader(Buffer.from(line.split(' ')[0] ?? '', 'hex')).type);
  expect(asked).toEqual([REQUEST.bind, REQUEST.sync, REQUEST.sync]);
});

it('events that do not fit into a buffer are read by the next read', async () => {
  const daemon = await scripted([[[answer()], [MADE, MADE, MADE, answer()]]]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FLAGS, 0);
  kernel.waitingBytes(fd);
  expect(attempt(() => kernel.read(fd, Buffer.alloc(8)))).toBe('EINVAL');
  const buffer = Buffer.alloc(MADE.length * 2 + 5);
  expect(kernel.read(fd, buffer)).toBe(MADE.length * 2);
  expect(kernel.read(fd, buffer)).toBe(MADE.length);
  kernel.close(fd);
});

it('without FAN_REPORT_TARGET_FID nothing names what was made', async () => {
  const daemon = await scripted([[[answer()], [MADE, answer()]]]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FAN_REPORT_DFID_NAME | FAN_REPORT_FID, 0);
  kernel.waitingBytes(fd);
  const buffer = Buffer.alloc(4096);
  const records = [{ type: 'DFID_NAME' as const, fsid: [1, 2] as const, handle, name: Buffer.from('made') }];
  const plain = encodeEvent({ mask: FAN_CREATE, fd: FAN_NOFD, pid: 77, records });
  expect(buffer.subarray(0, kernel.read(fd, buffer))).toEqual(Buffer.from(plain));
  kernel.close(fd);
});

it('tells that there is something to read, also of what came with an answer', async () => {
  const daemon = await scripted([[[answer()], [event(1), answer()]]]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FLAGS, 0);
  let readiness: ReturnType<typeof kernel.onReadable> | undefined;
  const told = new Promise((resolve) => {
    readiness = kernel.onReadable(fd, () => {
      readiness?.stop();
      resolve('told');
    });
  });
  kernel.waitingBytes(fd);
  expect(await told).toBe('told');
  kernel.close(fd);
});

it('marks are shown as the kernel shows them, and a mark of a mount is refused', async () => {
  const daemon = await scripted([[[answer()], [answer()]]]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FLAGS, 0);
  kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, -100, '/');
  const shown = kernel.readFile(`/proc/self/fdinfo/${fd}`).toString();
  expect(shown).toMatch(/^fanotify ino:[0-9a-f]+ sdev:[0-9a-f]+ mflags:0 mask:100 ignored_mask:0 fhandle-bytes:/m);
  const mount = () => kernel.fanotifyMark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CREATE, -100, '/');
  expect(attempt(mount)).toBe('EPERM');
  kernel.close(fd);
  await daemon.end;
  // With a descriptor.
  expect(daemon.asked[1]?.split(' ')[1]).toBe('1');
});

it('what the daemon refuses is an error of the kernel, with its words', async () => {
  const daemon = await scripted([[[answer()], [answer(ERRNO.ENOSPC, 'as many marks as it may have')]]]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FLAGS, 0);
  expect(() => kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, -100, '/')).toThrow(
    expect.objectContaining({ code: 'ENOSPC', message: expect.stringContaining('as many marks as it may have') }),
  );
  kernel.close(fd);
});

it('connects and marks again when the daemon has ended, and tells a loss', async () => {
  const daemon = await scripted([
    [[answer()], [answer()], null],
    [[answer()], [answer()]],
  ]);
  const kernel = brokeredKernel({ socket: daemon.socket });
  const fd = kernel.fanotifyInit(FLAGS, 0);
  kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, -100, '/');
  expect(kernel.waitingBytes(fd)).toBe(0);
  const buffer = Buffer.alloc(4096);
  expect(attempt(() => kernel.read(fd, buffer))).toBe('EAGAIN');
  await new Promise<void>((resolve) => {
    const readiness = kernel.onReadable(fd, () => {
      readiness.stop();
      resolve();
    });
  });
  const overflow = encodeEvent({ mask: FAN_Q_OVERFLOW, fd: FAN_NOFD, pid: 0, records: [] });
  expect(buffer.subarray(0, kernel.read(fd, buffer))).toEqual(Buffer.from(overflow));
  kernel.close(fd);
  await daemon.end;
  const asked = daemon.asked.map((line) => new RequestReader(Buffer.from(line.split(' ')[0] ?? '', 'hex')).type);
  expect(asked).toEqual([REQUEST.bind, REQUEST.addMark, REQUEST.sync, REQUEST.bind, REQUEST.addMark]);
});
