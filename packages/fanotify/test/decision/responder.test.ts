// The responder's loop over a kernel that says what a test wrote down: what comes of an error that nobody foresaw.

import { expect, test } from 'vitest';
import { type EncodableEvent, FAN_ALLOW, FAN_DENY, FAN_OPEN_PERM } from '../../src/abi/index.ts';
import type { ResponderConfig } from '../../src/decision/config.ts';
import { Responder } from '../../src/decision/responder.ts';
import { MountTable } from '../../src/identity/mount-table.ts';
import { ProcFiles } from '../../src/identity/proc-files.ts';
import { scriptedKernel } from '../support/scripted-kernel.ts';

const GROUP = 1_000_000;
const OWNER = 10;
const config: ResponderConfig = {
  ownerPid: OWNER,
  targets: [],
  on: ['open'],
  isPreContent: false,
  scope: 'filesystem',
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
};

test('what was read with it gets its policy, once, when the loop comes to grief over one access', () => {
  const event = (fd: number, pid: number): EncodableEvent => ({ mask: FAN_OPEN_PERM, fd, pid, records: [] });
  const answers: [number, number][] = [];
  const kernel = {
    ...scriptedKernel([[event(21, 1), event(22, 2), event(23, 3), event(24, OWNER)]]),
    poll: (entries: { fd: number; revents: number }[]) => {
      for (const entry of entries) entry.revents = entry.fd === GROUP ? 1 : 0;
      return 1;
    },
    write: (fd: number, bytes: Uint8Array) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      if (fd === GROUP) answers.push([view.getInt32(0, true), view.getUint32(4, true)]);
      return bytes.byteLength;
    },
  };
  const mounts = new MountTable(kernel);
  const files = new ProcFiles(kernel, mounts, () => undefined);
  files.user = (pid) => {
    if (pid === 2) throw new TypeError('a bug');
    return { uid: 7 };
  };
  const responder = new Responder({
    kernel,
    config,
    group: { fd: GROUP, abilities: { audit: false, errno: false }, hearsWriters: true, hasInodeMarks: false },
    socket: 3,
    ownerPidfd: 4,
    mounts,
    files,
    maxPending: 100,
    decideHere: undefined,
    watchdog: undefined,
  });
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
