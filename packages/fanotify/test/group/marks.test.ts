// Marks of every scope: what the kernel holds after mark, unmark and flush, and what is heard because of it.

import { mkdirSync, mkdtempSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  FAN_CREATE,
  FAN_DELETE,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_EVICTABLE,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MNT_ATTACH,
  FAN_MODIFY,
  FAN_ONDIR,
  FAN_OPEN,
} from '../../src/abi/index.ts';
import { Group, type GroupMark, NotMarkedError } from '../../src/index.ts';
import { eventsUntil, nextEvents } from '../support/events.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

const isRoot = process.getuid?.() === 0;
const COMPANIONS = FAN_ONDIR | FAN_EVENT_ON_CHILD;

let group: Group<'handle'>;
let directory: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'fanotify-marks-'));
  group = await Group.open();
});
afterEach(async () => {
  await group.close();
  rmSync(directory, { recursive: true });
});

/** What a mark holds, without the numbers of the object. */
const contents = ({ scope, mask, ignoreMask }: GroupMark) => ({ scope, mask, ignoreMask });

/** Where a group reports names, the kernel itself adds FAN_EVENT_ON_CHILD to marks of what is no directory. */
const asked = (mark: GroupMark | undefined) => (mark?.mask ?? 0n) & ~FAN_EVENT_ON_CHILD;

describe('inode marks', () => {
  test('are read back as the kernel holds them, with the handle of the object', async () => {
    await group.mark(directory, { events: ['create'] });
    const [mark, ...others] = group.marks();
    expect(others).toEqual([]);
    expect(mark).toMatchObject({ scope: 'inode', mask: FAN_CREATE | COMPANIONS, ignoreMask: 0n, flags: 0 });
    expect(mark?.ino).toBe(statSync(directory, { bigint: true }).ino);
    expect(mark?.handle?.length).toBeGreaterThan(8);
  });

  test('grow by what is marked later', async () => {
    await group.mark(directory, { events: ['create'] });
    await group.mark(directory, { events: ['delete'] });
    expect(group.marks().map(contents)).toEqual([
      { scope: 'inode', mask: FAN_CREATE | FAN_DELETE | COMPANIONS, ignoreMask: 0n },
    ]);
  });

  test('go with the last event that is unmarked by name', async () => {
    await group.mark(directory, { events: ['create', 'delete'] });
    await group.unmark(directory, { events: ['create'] });
    await group.unmark(directory, { events: ['delete'] });
    expect(group.marks()).toEqual([]);
    await expect(group.unmark(directory, { events: ['delete'] })).rejects.toThrow(NotMarkedError);
  });

  test('lose the events that are unmarked, and go with the last', async () => {
    await group.mark(directory, { events: ['create', 'delete'] });
    await group.unmark(directory, { events: ['create'] });
    expect(group.marks().map(contents)).toEqual([{ scope: 'inode', mask: FAN_DELETE | COMPANIONS, ignoreMask: 0n }]);
    await group.unmark(directory);
    expect(group.marks()).toEqual([]);
  });

  test('of a file hear no directories', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await group.mark(file, { events: ['modify'] });
    expect(asked(group.marks()[0])).toBe(FAN_MODIFY);
    await group.unmark(file);
    expect(group.marks()).toEqual([]);
  });

  test('can leave out children and directories', async () => {
    await group.mark(directory, { events: ['open'], children: false });
    expect(group.marks()[0]?.mask).toBe(FAN_OPEN | FAN_ONDIR);
    await group.unmark(directory);
    await group.mark(directory, { events: ['open'], directories: false });
    expect(group.marks()[0]?.mask).toBe(FAN_OPEN | FAN_EVENT_ON_CHILD);
  });

  test('without directories hear files only', async () => {
    await group.mark(directory, { events: ['create'], directories: false });
    mkdirSync(join(directory, 'directory'));
    writeFileSync(join(directory, 'file'), '');
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ kind: 'file', path: join(directory, 'file'), directory: false });
  });

  test('of a symbolic link are of what it leads to, unless asked otherwise', async () => {
    const link = join(directory, 'link');
    symlinkSync(directory, link);
    await group.mark(link, { events: ['open'] });
    expect(group.marks()[0]?.ino).toBe(statSync(directory, { bigint: true }).ino);
    await group.flush('inode');
    await group.mark(link, { events: ['attrib'], noFollow: true });
    expect(group.marks()[0]?.ino).not.toBe(statSync(directory, { bigint: true }).ino);
    await group.unmark(link, { noFollow: true });
    expect(group.marks()).toEqual([]);
  });

  test('can be evictable, and a lasting mark takes that away', async () => {
    await group.mark(directory, { events: ['open'], evictable: true });
    expect(group.marks()[0]?.flags).toBe(FAN_MARK_EVICTABLE);
    await group.mark(directory, { events: ['open'] });
    expect(group.marks()[0]?.flags).toBe(0);
  });

  test('take paths as bytes, and descriptors', async () => {
    await group.mark(Buffer.from(directory), { events: ['open'] });
    const { openSync, closeSync } = await import('node:fs');
    const fd = openSync(directory, 'r');
    try {
      await group.mark({ fd }, { events: ['create'], noFollow: true });
    } finally {
      closeSync(fd);
    }
    expect(group.marks()).toHaveLength(1);
    expect((group.marks()[0]?.mask ?? 0n) & (FAN_OPEN | FAN_CREATE)).toBe(FAN_OPEN | FAN_CREATE);
    await eventsUntil(group, (event) => event.kind === 'file' && event.kinds.includes('open'));
    writeFileSync(join(directory, 'file'), '');
    const events = await eventsUntil(group, (event) => event.kind === 'file' && event.kinds.includes('create'));
    expect(events.at(-1)).toMatchObject({ path: join(directory, 'file') });
  });
});

describe('ignore masks', () => {
  test('that last are shown with their flags, and what they hold is not heard', async () => {
    await group.mark(directory, { events: ['create', 'delete'] });
    await group.mark(directory, { events: ['create'], ignore: 'always' });
    expect(group.marks()).toMatchObject([
      { ignoreMask: FAN_CREATE | COMPANIONS, flags: FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY },
    ]);
    const file = join(directory, 'file');
    writeFileSync(file, '');
    rmSync(file);
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ kinds: ['delete'] });
  });

  test('end when the file is modified, if asked to', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await group.mark(file, { events: ['open'], ignore: 'untilModified' });
    expect(group.marks()).toMatchObject([{ ignoreMask: FAN_OPEN }]);
    writeFileSync(file, 'modified');
    expect(group.marks().filter(({ ignoreMask }) => ignoreMask !== 0n)).toEqual([]);
  });

  test.each([false, true])('are taken away again (legacyIgnore: %s)', async (legacyIgnore) => {
    await group.mark(directory, { events: ['delete'] });
    await group.mark(directory, { events: ['create', 'open'], ignore: 'always', legacyIgnore });
    await group.unmark(directory, { events: ['create'], ignore: true });
    expect((group.marks()[0]?.ignoreMask ?? 0n) & (FAN_CREATE | FAN_OPEN)).toBe(FAN_OPEN);
    await group.unmark(directory, { ignore: true });
    expect(group.marks().map(contents)).toEqual([{ scope: 'inode', mask: FAN_DELETE | COMPANIONS, ignoreMask: 0n }]);
  });
});

test('flush removes all marks of a scope', async () => {
  const other = join(directory, 'other');
  mkdirSync(other);
  await group.mark(directory, { events: ['create'] });
  await group.mark(other, { events: ['create'] });
  await group.flush('inode');
  expect(group.marks()).toEqual([]);
  await expect(group.unmark(other, { events: ['create'] })).rejects.toThrow(NotMarkedError);
});

describe.skipIf(!canMount)('marks of mounts and file systems', () => {
  let mount: ScratchMount;
  beforeEach(() => {
    mount = mountTmpfs();
  });
  afterEach(() => mount.unmount());

  test.each(['mount', 'filesystem'] as const)('%s: marked, unmarked, flushed', async (scope) => {
    const open = { scope, events: ['open', 'modify'] } as const;
    await group.mark(mount.path, open as { scope: 'mount'; events: ['open', 'modify'] });
    expect(group.marks()).toMatchObject([{ scope, ignoreMask: 0n }]);
    expect(asked(group.marks()[0])).toBe(FAN_OPEN | FAN_MODIFY | FAN_ONDIR);
    await group.unmark(mount.path, { scope, events: ['open'] });
    expect(asked(group.marks()[0])).toBe(FAN_MODIFY | FAN_ONDIR);
    await group.unmark(mount.path, { scope });
    expect(group.marks()).toEqual([]);
    await group.mark(mount.path, open as { scope: 'mount'; events: ['open', 'modify'] });
    await group.flush(scope);
    expect(group.marks()).toEqual([]);
  });

  test('a file system mark hears every mount of it and every directory, a mount mark its own', async () => {
    await group.mark(mount.path, { scope: 'filesystem', events: ['create'] });
    mkdirSync(join(mount.path, 'a/b'), { recursive: true });
    writeFileSync(join(mount.path, 'a/b/file'), '');
    const events = await nextEvents(group, 3);
    expect(events.map((event) => event.kind === 'file' && event.path)).toEqual(
      ['a', 'a/b', 'a/b/file'].map((name) => join(mount.path, name)),
    );
  });

  test('only directories, where asked: nothing is marked otherwise', async () => {
    const file = join(mount.path, 'file');
    writeFileSync(file, '');
    await group.mark(mount.path, { events: ['open'], onlyDirectory: true });
    await expect(group.mark(file, { events: ['open'], onlyDirectory: true })).rejects.toThrow('is not a directory');
    expect(group.marks()).toHaveLength(1);
  });
});

describe.skipIf(!isRoot)('mount namespace marks', () => {
  test('are read back with the number of the namespace', async () => {
    const mounts = await Group.open({ report: ['mount'] });
    try {
      await mounts.mark('/proc/self/ns/mnt', { scope: 'mountNamespace', events: ['mountAttach'] });
      const namespace = Number(/\d+/.exec(readlinkSync('/proc/self/ns/mnt'))?.[0]);
      expect(mounts.marks()).toMatchObject([{ scope: 'mountNamespace', mask: FAN_MNT_ATTACH, namespace }]);
      await mounts.unmark('/proc/self/ns/mnt', { scope: 'mountNamespace' });
      expect(mounts.marks()).toEqual([]);
    } finally {
      await mounts.close();
    }
  });
});
