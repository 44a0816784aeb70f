// Events with descriptors: their paths, who closes them and when, and that none is ever left.

import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FAN_NOFD, FAN_OPEN } from '../../src/abi/index.ts';
import { Group } from '../../src/index.ts';
import { nextEvents } from '../support/events.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { scriptedKernel } from '../support/scripted-kernel.ts';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!canMount)('descriptors', () => {
  let mount: ScratchMount;
  let group: Group<'descriptor'>;
  let file: string;
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());
  beforeEach(async () => {
    file = join(mount.path, 'file');
    writeFileSync(file, 'content');
    group = await Group.open({ report: [] });
  });
  afterEach(() => group.close());

  const touch = (path = file) => closeSync(openSync(path, 'r'));

  test('lead to the file, and its path', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    touch();
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ kind: 'file', kinds: ['open'], path: file, pathAsOf: 'reading', deleted: false });
  });

  test('can be read, and are closed when the next event is asked for', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    touch();
    const events = group[Symbol.asyncIterator]();
    const first = (await events.next()).value;
    if (first?.kind !== 'file' || first.fd === null) throw new Error('no descriptor');
    const { fd } = first;
    const bytes = Buffer.alloc(7);
    readSync(fd, bytes, 0, 7, 0);
    expect(bytes.toString()).toBe('content');
    execFileSync('cat', [file]);
    await events.next();
    expect(first.fd).toBeNull();
    await events.return();
  });

  test('stay with whoever takes them', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    touch();
    let taken: number | null = null;
    for await (const event of group) {
      if (event.kind === 'file') taken = event.take('fd');
      expect(event.kind === 'file' && event.take('fd')).toBeNull();
      break;
    }
    await group.close();
    expect(taken === null || isOpen(taken)).toBe(true);
    closeSync(taken ?? -1);
  });

  test('are closed by break, by a throw, and by close', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    const before = openDescriptors();
    for (let opened = 0; opened < 10; opened++) execFileSync('cat', [file]);
    for await (const _ of group) break;
    await expect(
      (async () => {
        for await (const _ of group) throw new Error('thrown');
      })(),
    ).rejects.toThrow('thrown');
    for await (const event of group) {
      expect(event.seq).toBe(3);
      await group.close();
    }
    expect(openDescriptors()).toBe(before - 1);
  });

  test('that two consumers hold are closed by each for itself', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    const [one, other] = [group[Symbol.asyncIterator](), group[Symbol.asyncIterator]()];
    execFileSync('cat', [file]);
    execFileSync('head', [file]);
    const first = (await one.next()).value;
    const second = (await other.next()).value;
    if (first?.kind !== 'file' || second?.kind !== 'file') throw new Error('no events');
    execFileSync('cat', [file]);
    await other.next();
    expect(second.fd).toBeNull();
    expect(first.fd !== null && isOpen(first.fd)).toBe(true);
    await one.return();
    expect(first.fd).toBeNull();
    await other.return();
  });

  test('of a deleted file say so, with the path that it had', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    touch();
    unlinkSync(file);
    expect(await nextEvents(group, 1)).toMatchObject([{ path: file, deleted: true }]);
  });

  test("of a file whose name ends in ' (deleted)' do not", async () => {
    const named = join(mount.path, 'x (deleted)');
    writeFileSync(named, '');
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    touch(named);
    expect(await nextEvents(group, 1)).toMatchObject([{ path: named, deleted: false }]);
    // Deleted, while another file has the name that the kernel then shows.
    const lookalike = join(mount.path, 'y (deleted)');
    writeFileSync(join(mount.path, 'y'), '');
    writeFileSync(lookalike, '');
    await group.flush('mount');
    await group.mark(join(mount.path, 'y'), { events: ['open'] });
    touch(join(mount.path, 'y'));
    unlinkSync(join(mount.path, 'y'));
    expect(await nextEvents(group, 1)).toMatchObject([{ path: join(mount.path, 'y'), deleted: true }]);
  });

  test('follow renames up to when they are read', async () => {
    await group.mark(mount.path, { scope: 'mount', events: ['open'] });
    mkdirSync(join(mount.path, 'd'), { recursive: true });
    touch();
    renameSync(file, join(mount.path, 'd/renamed'));
    linkSync(join(mount.path, 'd/renamed'), file);
    expect(await nextEvents(group, 1)).toMatchObject([{ path: join(mount.path, 'd/renamed') }]);
  });

  test('do not run out: an event for which there is none says so, and nothing is lost', async () => {
    const kernel = scriptedKernel([
      [
        { mask: FAN_OPEN, fd: -24, pid: 1, records: [] },
        { mask: FAN_OPEN, fd: FAN_NOFD, pid: 1, records: [] },
      ],
    ]);
    const scripted = await Group.open({ report: [], kernel });
    const [without, none] = await nextEvents(scripted, 2);
    expect(without).toMatchObject({ fd: null, fdError: 'EMFILE', path: null });
    expect(none).toMatchObject({ fd: null, fdError: null });
    await scripted.close();
    expect(kernel.closed).toEqual([scripted.fd]);
  });

  test('of processes refer to who did it', async () => {
    const processes = await Group.open({ report: ['name', 'pidfd'], ownEvents: false });
    await processes.mark(mount.path, { events: ['open'], directories: false });
    const before = openDescriptors();
    touch();
    const child = execFileSync('sh', ['-c', `cat "$1" >/dev/null; echo $$`, 'sh', file]).toString();
    expect(Number(child)).toBeGreaterThan(0);
    for await (const event of processes) {
      if (event.kind !== 'file') throw new Error('not a file');
      expect(event.pid).not.toBe(process.pid);
      // The process is gone: a descriptor of it may still be had, and says so.
      if (event.pidfd !== null) expect(readFileSync(`/proc/self/fdinfo/${event.pidfd}`, 'utf8')).toContain('Pid:\t-1');
      break;
    }
    expect(openDescriptors()).toBe(before);
    await processes.close();
  });

  test('threads are told with tid', async () => {
    const threads = await Group.open({ report: ['name', 'tid'] });
    await threads.mark(mount.path, { events: ['open'], directories: false });
    touch();
    expect(await nextEvents(threads, 1)).toMatchObject([{ pid: process.pid }]);
    await threads.close();
  });

  test.each([[['name', 'pidfd']], [[]], [['pidfd']]] as const)(
    'none is left after thousands of events: report %j',
    async (report) => {
      const EVENTS = 20_000;
      const atStart = openDescriptors();
      const busy = await Group.open({ report: report as readonly ['name', 'pidfd'] });
      await busy.mark(mount.path, { events: ['open'], directories: false });
      const files = Array.from({ length: 200 }, (_, index) => join(mount.path, `${index}`));
      for (const path of files) writeFileSync(path, '');
      const before = openDescriptors();
      let seen = 0;
      let most = 0;
      const events = busy.batches();
      while (seen < EVENTS) {
        for (const path of files) touch(path);
        const { value } = await events.next();
        seen += value?.length ?? 0;
        most = Math.max(most, openDescriptors());
      }
      await busy.close();
      expect(openDescriptors()).toBe(atStart);
      expect(most - before).toBeLessThan(1200);
    },
    30_000,
  );
});
