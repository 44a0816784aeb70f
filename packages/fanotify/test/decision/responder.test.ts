// The responder's loop over a kernel that says what a test wrote down: what comes of an error that nobody foresaw.

import { describe, expect, test } from 'vitest';
import {
  type EncodableEvent,
  FAN_ALLOW,
  FAN_DENY,
  FAN_EVENT_METADATA_LEN,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
} from '../../src/abi/index.ts';
import type { ResponderConfig } from '../../src/decision/config.ts';
import { FileLocator } from '../../src/decision/file-locator.ts';
import { ALLOW } from '../../src/decision/permission.ts';
import { PlaceFinder } from '../../src/decision/policy/places.ts';
import { drainByPolicy } from '../../src/decision/policy-answers.ts';
import { Responder, type ResponderParts } from '../../src/decision/responder.ts';
import { MountTable } from '../../src/identity/mount-table.ts';
import { ProcFiles } from '../../src/identity/proc-files.ts';
import { ERRNO, type Kernel, KernelError } from '../../src/kernel/index.ts';
import { scriptedKernel } from '../support/scripted-kernel.ts';

const GROUP = 1_000_000;
const OWNER = 10;
const config: ResponderConfig = {
  ownerPid: OWNER,
  targets: [],
  on: ['open'],
  isPreContent: false,
  scope: 'filesystem',
  crossMounts: true,
  limits: { types: [], fsids: [], mountPoints: [], only: null },
  directories: false,
  deadlineMs: 1_000,
  onTimeout: 'deny',
  onError: 'deny',
  exempt: [{ uid: 5 }],
  trustsRoot: false,
  maxCached: 0,
  maxPending: 100,
  audit: false,
  busyPollUs: 0,
  module: null,
  policy: null,
  scan: null,
  records: 'none',
};

type Answers = [fd: number, response: number][];

/** A kernel whose group has these reads to give; `ready` is what poll finds ready. */
function kernelOf(reads: Parameters<typeof scriptedKernel>[0], ready: number, answers: Answers): Kernel {
  return {
    ...scriptedKernel(reads),
    readlink: () => Buffer.from('4711'),
    // An event each, also where it is told by an error.
    waitingBytes: () => FAN_EVENT_METADATA_LEN * reads.length,
    poll: (entries) => {
      for (const entry of entries) entry.revents = entry.fd === ready ? 1 : 0;
      return 1;
    },
    write: (fd, bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      if (fd === GROUP) answers.push([view.getInt32(0, true), view.getUint32(4, true)]);
      return bytes.byteLength;
    },
  };
}

const OWNER_PIDFD = 4;

function responderOf(
  kernel: Kernel,
  files: ProcFiles,
  mounts: MountTable,
  reportsFdErrors: boolean,
  others: Partial<ResponderParts> = {},
): Responder {
  return new Responder({
    kernel,
    config,
    group: {
      fd: GROUP,
      mask: FAN_OPEN_PERM,
      abilities: { audit: false, errno: 'none' },
      hearsWriters: true,
      hasInodeMarks: false,
      reportsFdErrors,
    },
    socket: 3,
    ownerPidfd: OWNER_PIDFD,
    mounts,
    files,
    marks: undefined,
    gate: undefined,
    maxPending: 100,
    decideHere: undefined,
    watchdog: undefined,
    sight: { kernel, files, places: new PlaceFinder(kernel, mounts, new FileLocator(kernel, mounts)) },
    digests: undefined,
    scanner: undefined,
    ...others,
  });
}

const event = (fd: number, pid: number): EncodableEvent => ({ mask: FAN_OPEN_PERM, fd, pid, records: [] });

test('what was read with it gets its policy, once, when the loop comes to grief over one access', () => {
  const answers: Answers = [];
  const kernel = kernelOf([[event(21, 1), event(22, 2), event(23, 3), event(24, OWNER)]], GROUP, answers);
  const mounts = new MountTable(kernel);
  const files = new ProcFiles(kernel, mounts, () => undefined);
  files.user = (pid) => {
    if (pid === 2) throw new TypeError('a bug');
    return { uid: 7 };
  };
  const responder = responderOf(kernel, files, mounts, true);
  expect(() => responder.step(0)).toThrow('a bug');
  expect(answers).toEqual([]);
  responder.giveUp();
  expect(answers.sort()).toEqual([
    [21, FAN_DENY],
    [22, FAN_DENY],
    [23, FAN_DENY],
    [24, FAN_ALLOW],
  ]);
});

// Before Linux 6.13 an event whose file cannot be opened is told by an error of read(2), EAGAIN where somebody has a write lease.
describe('what waits behind an event without a descriptor gets its policy', () => {
  const reads = () => ['EAGAIN', [event(21, 1)], 'EMFILE', [event(22, OWNER)]] as const;
  const expected = [
    [21, FAN_DENY],
    [22, FAN_ALLOW],
  ];

  test('when the owner has ended', () => {
    const answers: Answers = [];
    const kernel = kernelOf(reads(), OWNER_PIDFD, answers);
    const mounts = new MountTable(kernel);
    const responder = responderOf(kernel, new ProcFiles(kernel, mounts, () => undefined), mounts, false);
    responder.step(0);
    expect(answers).toEqual(expected);
    expect(responder.status).toMatchObject({ kernelDenied: 2, timedOut: 1, own: 1 });
  });

  test('when the watchdog takes over', () => {
    const answers: Answers = [];
    const kernel = kernelOf(reads(), -1, answers);
    drainByPolicy(kernel, GROUP, Buffer.alloc(1024), (pid) => pid === OWNER, FAN_DENY);
    expect(answers).toEqual(expected);
  });
});

test('the others get their policy also when it comes to grief over one that was answered', () => {
  const event = (fd: number): EncodableEvent => ({ mask: FAN_PRE_ACCESS, fd, pid: fd, records: [] });
  const answers: Answers = [];
  const open = new Set([21, 22]);
  const kernel: Kernel = {
    ...kernelOf([[event(21), event(22)]], GROUP, []),
    write: (fd, bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const answered = view.getInt32(0, true);
      if (fd === GROUP && !open.has(answered)) throw new KernelError('write', ERRNO.ENOENT);
      if (fd === GROUP) answers.push([answered, view.getUint32(4, true)]);
      return bytes.byteLength;
    },
    close: (fd) => {
      if (!open.delete(fd)) throw new KernelError('close', ERRNO.EBADF);
    },
    fanotifyMark: () => {
      throw new TypeError('a bug');
    },
  };
  const mounts = new MountTable(kernel);
  const files = new ProcFiles(kernel, mounts, () => undefined);
  const responder = responderOf(kernel, files, mounts, true, {
    config: { ...config, on: ['preAccess'], exempt: [], module: 'file:///decide.mjs' },
    decideHere: () => ({ ...ALLOW, always: true }),
  });
  expect(() => responder.step(0)).toThrow('a bug');
  responder.giveUp();
  expect(answers).toEqual([
    [21, FAN_ALLOW],
    [22, FAN_DENY],
  ]);
});
