// Those who wait to be let in, in a process of the test's own, whose clock it turns on.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Rights } from 'fanotify/broker';
import { ERRNO, type Kernel, linuxKernel, type Peer } from 'fanotify/kernel';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Admission } from '../src/admission.ts';
import { Log } from '../src/log.ts';
import { until } from './support/daemon.ts';
import { bind } from './support/frames.ts';

const kernel: Kernel = linuxKernel();
const limits = { marks: 1, queueBytes: 1, descriptors: 1, pending: 1, requestsPerSecond: 1 };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fanotifyd-waiting-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

function admissionOf({
  isServing = true,
  grants = 0,
  countedAs = (uid: number) => uid,
  isFull = (): boolean => false,
} = {}) {
  const lines: string[] = [];
  const admitted: number[] = [];
  const log = new Log(
    { level: 'debug', format: 'text' },
    { write: (line) => void lines.push(line), hasPriorities: false, nowMs: () => 0 },
  );
  const rightsOf = (peer: Peer): { rights: Rights; groups: number } => {
    const grant = { under: ['/x'.repeat(50)], all: true, decide: false, system: false, pids: false };
    return { rights: { peer, grants: Array.from({ length: grants }, () => grant), limits }, groups: 10 };
  };
  const admit = (_: string, fd: number) => {
    if (isServing) admitted.push(fd);
    return isServing;
  };
  const letGo = (_: Peer, fd: number) => kernel.close(fd);
  const admission = new Admission({ kernel, log, countedAs, rightsOf, admit, letGo, isFull });
  const path = join(directory, 'socket');
  const entrance = kernel.listenUnix(path, 0o600);
  admission.open(entrance);
  onTestFinished(() => {
    admission.close();
    for (const fd of [entrance, ...admitted]) kernel.close(fd);
  });
  const connect = () => {
    const fd = kernel.connectUnix(path, 'seqpacket');
    onTestFinished(() => kernel.close(fd));
    return fd;
  };
  return { admission, lines, admitted, connect };
}

/** What has arrived: the errno of an answer, or 'end'. */
async function heardBy(fd: number): Promise<number | 'end'> {
  const buffer = Buffer.alloc(4_096);
  await until(() => (kernel.poll([{ fd, events: 1, revents: 0 }], 0) > 0 ? true : undefined), 'something to hear');
  try {
    const { bytes } = kernel.receiveMessage(fd, buffer, true);
    return bytes === 0 ? 'end' : buffer.readUInt32LE(24 + 8);
  } catch {
    return 'end';
  }
}

test('who says nothing is ended after some seconds, and not before', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { admission, lines, connect } = admissionOf();
  const fd = connect();
  while (admission.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(4_999);
  expect([admission.waiting, lines]).toEqual([1, []]);
  vi.advanceTimersByTime(1);
  expect(admission.waiting).toBe(0);
  expect(admission.refused.silent).toBe(1);
  expect(lines[0]).toMatch(/^warn: a client was refused: it says nothing within 5000 ms uid=\d+ pid=\d+\n$/);
  vi.useRealTimers();
  expect(await heardBy(fd)).toBe('end');
});

test('who finds too many of his own waiting is answered what he has asked for, that he may try again', async () => {
  const { admission, lines, connect } = admissionOf();
  for (let count = 0; count < 16; count++) connect();
  const fd = connect();
  kernel.sendMessage(fd, bind({ number: 3 }));
  expect(await heardBy(fd)).toBe(ERRNO.EAGAIN);
  expect(await heardBy(fd)).toBe('end');
  expect([admission.waiting, admission.refused.waiting, lines.length]).toEqual([16, 1, 1]);
});

test('nobody is let in while too many are still to be closed; then those who have come meanwhile', async () => {
  let isFull = true;
  const { admission, lines, connect } = admissionOf({ isFull: () => isFull });
  connect();
  await until(() => (lines.length > 0 ? true : undefined), 'a line');
  expect([admission.accepted, lines[0]]).toEqual([
    0,
    'error: connections cannot be taken now: more connections are to be closed than can be at once uid=-1\n',
  ]);
  isFull = false;
  await until(() => (admission.waiting === 1 ? true : undefined), 'it to be taken');
});

test('who connects while there is no broker is ended, as those who were served are, and connects again', async () => {
  const { admission, connect } = admissionOf({ isServing: false });
  const fd = connect();
  kernel.sendMessage(fd, bind());
  expect(await heardBy(fd)).toBe('end');
  expect(admission.refused.restarting).toBe(1);
  expect(admission.users).toEqual([]);
});

test('who has more grants than fit into a message is told so', async () => {
  const { admission, connect, admitted } = admissionOf({ grants: 1_000 });
  const fd = connect();
  kernel.sendMessage(fd, bind());
  expect(await heardBy(fd)).toBe(ERRNO.E2BIG);
  expect(admission.refused.limit).toBe(1);
  expect(admitted).toEqual([]);
});

test('what is known of a user is forgotten once nothing is left of it', async () => {
  const { admission, connect, admitted } = admissionOf();
  const fd = connect();
  kernel.sendMessage(fd, bind());
  await until(() => (admitted.length === 1 ? true : undefined), 'its admission');
  const uid = process.getuid?.() ?? 0;
  expect(admission.users).toEqual([{ uid, groups: 1 }]);
  admission.left(kernel.peerOf(fd));
  admission.tidy();
  expect(admission.users).toEqual([]);
});
