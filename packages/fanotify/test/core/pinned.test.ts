// While an access is held, the kernel keeps the marks of the core's other groups that it would have come to, and a release of such a group waits:
// nobody may be left held for it, whoever goes.

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAN_MARK_SUBTREE } from 'fanotify/syscalls';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOSE_WRITE,
  FAN_MARK_FILESYSTEM,
  FAN_OPEN_PERM,
  O_RDWR,
} from '../../src/abi/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { corePid, type Listener, Listening, succeeds } from './listening.ts';

const FILESYSTEM = { flags: FAN_MARK_FILESYSTEM };

describe.skipIf(!canMount)('who is held by a mark of a file', () => {
  let mount: ScratchMount;
  let all: Listening;
  let file: string;

  beforeEach(() => {
    mount = mountTmpfs();
    file = join(mount.path, 'file');
    writeFileSync(file, 'text');
    mkdirSync(join(mount.path, 'sub'));
    all = new Listening();
  });
  afterEach(() => mount.unmount());

  /** Who hears of the same file in another way, by a kernel group of the same process. */
  const OTHERS: readonly (readonly [string, keeperFlags: number, () => Listener])[] = [
    ['the file system is heard', 0, () => all.open('other').mark(mount.path, FAN_CLOSE_WRITE, FILESYSTEM)],
    [
      'the file system is heard with other descriptors',
      0,
      () => all.open('other', 0, 0n, 0, O_RDWR).mark(mount.path, FAN_CLOSE_WRITE, FILESYSTEM),
    ],
    [
      'a directory is asked about with all that is in it',
      0,
      () => all.open('other').mark(join(mount.path, 'sub'), FAN_OPEN_PERM, { flags: FAN_MARK_SUBTREE }),
    ],
    [
      'the file system is asked about after it',
      FAN_CLASS_PRE_CONTENT,
      () => all.open('other').mark(mount.path, FAN_OPEN_PERM, FILESYSTEM),
    ],
  ];

  /** Whether the open that is held comes to a good end. */
  function held(keeperFlags: number): { keeper: Listener; opening: Promise<boolean> } {
    const keeper = all.open('keeper', 100, 0n, keeperFlags).mark(file, FAN_OPEN_PERM);
    keeper.verdict = 'wait';
    return { keeper, opening: opens() };
  }

  async function opens(): Promise<boolean> {
    const child = spawn('cat', [file], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    return succeeds(child);
  }

  test.each(OTHERS)('goes on when the core is killed, while %s', async (_who, keeperFlags, other) => {
    const { keeper, opening } = held(keeperFlags);
    other();
    await all.until(() => keeper.held.length > 0, 'it is held');
    const again = opens();
    await all.until(() => keeper.held.length > 1, 'it is held again');
    process.kill(corePid(), 'SIGKILL');
    expect(await Promise.all([opening, again])).toEqual([true, true]);
  });

  test.each(OTHERS)('is answered when the other goes, while %s', async (_who, keeperFlags, other) => {
    const others = other();
    const { keeper, opening } = held(keeperFlags);
    await all.until(() => keeper.held.length > 0, 'it is held');
    others.close();
    keeper.verdict = 'deny';
    for (const event of keeper.held) keeper.answer(event, 'deny');
    expect(await opening).toBe(false);
    expect(await all.reads(file)).toBe(false);
  });
});
