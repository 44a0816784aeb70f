// Who fills files comes before who scans them: FAN_PRE_ACCESS through the core, on a file system with content on disk.

import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Listener } from 'fanotify/core';
import {
  AF_FANOTIFY,
  bind,
  close,
  FANOTIFY_ADD_MARK,
  PF_FANOTIFY,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_FANOTIFY,
  setsockopt,
  socket,
} from 'fanotify/socket';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { FAN_CLASS_PRE_CONTENT, FAN_PRE_ACCESS, O_CLOEXEC } from '../../src/abi/index.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { compareVersions, parseVersion } from '../../src/kernel/version.ts';
import { canMount, mountImage, type ScratchMount } from '../support/mounts.ts';

const isNewEnough = canMount && compareVersions(parseVersion(linuxKernel().release), parseVersion('6.14')) >= 0;

describe.skipIf(!isNewEnough)('content on first access', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountImage('ext4');
  });
  afterAll(() => mount.unmount());

  test('is filled by the storage before the scanner has its say, and read as filled', async () => {
    const path = join(mount.path, 'film');
    const film = openSync(path, 'w');
    ftruncateSync(film, 8192);
    closeSync(film);
    const order: string[] = [];
    const storage = await Listener.open({ priority: 200, class: 'preContent', deadlineMs: 15_000 });
    const scanner = await Listener.open({ priority: 100, deadlineMs: 15_000 });
    onTestFinished(async () => {
      await storage.close();
      await scanner.close();
    });
    await storage.mark(path, { events: ['preAccess'] });
    await scanner.mark(path, { events: ['openPerm', 'accessPerm'] });
    const fill = async () => {
      for await (const event of storage) {
        if (event.kind !== 'held') continue;
        order.push(`${event.kinds.join()} ${event.range?.offset}`);
        // To write, it is opened again: the listener's own accesses are not held.
        const writable = openSync(`/proc/self/fd/${event.fd}`, 'r+');
        writeSync(writable, 'from far away', 0);
        closeSync(writable);
        event.allow();
      }
    };
    const scan = async () => {
      for await (const event of scanner) {
        if (event.kind !== 'held') continue;
        order.push(event.kinds.join());
        event.allow();
      }
    };
    void fill();
    void scan();
    expect(await head(path, 13)).toBe('from far away');
    expect(order.slice(0, 3)).toEqual(['openPerm', 'preAccess 0', 'accessPerm']);
  });

  test('is heard by a socket whose address says so, and by no other', () => {
    const path = join(mount.path, 'file');
    writeFileSync(path, 'text');
    const address = { family: AF_FANOTIFY, mask: 0n, priority: 0, f_flags: O_CLOEXEC };
    const mark = { path, mask: FAN_PRE_ACCESS, ignored_mask: 0n };
    const groups = [address, { ...address, flags: FAN_CLASS_PRE_CONTENT }].map((one) => {
      const group = socket(PF_FANOTIFY, SOCK_RAW | SOCK_CLOEXEC, 0);
      onTestFinished(() => close(group));
      bind(group, one);
      return group;
    });
    const marking = groups.map((group) => () => setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_MARK, mark));
    expect(marking[0]).toThrow('FAN_PRE_ACCESS takes a group of FAN_CLASS_PRE_CONTENT');
    expect(marking[1]).not.toThrow();
  });
});

/** The first bytes of a file, as another process reads them. */
function head(path: string, bytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('head', ['-c', String(bytes), path], { timeout: 15_000 }, (error, stdout) => {
      if (error) reject(error);
      else resolve(stdout);
    });
  });
}
