// What is heard, kind by kind: the shape of each event, what merging makes of them, and the loss contract.

import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FAN_CREATE, FAN_NOFD, FAN_OPEN, FAN_Q_OVERFLOW } from '../../src/abi/index.ts';
import { Group } from '../../src/index.ts';
import { limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import { eventsUntil, nextEvents } from '../support/events.ts';
import { canMount, mountBind, mountTmpfs } from '../support/mounts.ts';
import { scriptedKernel } from '../support/scripted-kernel.ts';

let group: Group<'handle'>;
let directory: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'fanotify-events-'));
  group = await Group.open();
});
afterEach(async () => {
  await group.close();
  rmSync(directory, { recursive: true });
});

describe('files', () => {
  test('one event for what the kernel merged lists all its kinds', async () => {
    await group.mark(directory, { events: ['create', 'open', 'modify', 'closeWrite'] });
    const file = join(directory, 'file');
    const startedMs = Date.now();
    writeFileSync(file, 'content');
    const events = await eventsUntil(group, (event) => event.kind === 'file' && event.kinds.includes('closeWrite'));
    const kinds = events.flatMap((event) => (event.kind === 'file' ? event.kinds : []));
    expect([...kinds].sort()).toEqual(['closeWrite', 'create', 'modify', 'open']);
    for (const event of events) {
      expect(event).toMatchObject({
        kind: 'file',
        path: file,
        directory: false,
        deleted: false,
        fd: null,
        pidfd: null,
      });
      expect(event.kind === 'file' && event.rawName?.toString()).toBe('file');
      expect(event.kind === 'file' && event.pid).toBe(process.pid);
      expect(event.timeMs).toBeGreaterThanOrEqual(startedMs);
    }
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  });

  test('the event of a directory itself has its path', async () => {
    await group.mark(directory, { events: ['attrib'] });
    chmodSync(directory, 0o711);
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ kinds: ['attrib'], path: directory, directory: true });
  });

  test('the JSON of an event is one line of the command', async () => {
    await group.mark(directory, { events: ['create'] });
    mkdirSync(join(directory, 'made'));
    const [event] = await nextEvents(group, 1);
    expect(JSON.parse(JSON.stringify(event))).toEqual({
      seq: 1,
      time: new Date(event?.timeMs ?? 0).toISOString(),
      kinds: ['create'],
      path: join(directory, 'made'),
      pathAsOf: expect.stringMatching(/^(event|reading)$/),
      directory: true,
      pid: process.pid,
    });
  });

  test.each([
    ['is not UTF-8', Buffer.from('b\xff', 'latin1'), null],
    ['has a newline', Buffer.from('a\nb'), 'a\nb'],
    ['looks like another form', Buffer.from('é (deleted)'), 'é (deleted)'],
    ['is as long as names can be', Buffer.alloc(255, 'n'), 'n'.repeat(255)],
  ])('a name that %s', async (_, name, text) => {
    await group.mark(directory, { events: ['create'] });
    const file = Buffer.concat([Buffer.from(`${directory}/`), name]);
    writeFileSync(file, '');
    const [event] = await nextEvents(group, 1);
    if (event?.kind !== 'file') throw new Error('not a file');
    expect(event.path).toBe(text === null ? null : `${directory}/${text}`);
    expect(event.rawPath).toEqual(file);
    expect(event.rawName).toEqual(name);
    expect(event.toJSON().rawPath).toBe(text === null ? file.toString('base64') : undefined);
  });

  test('a directory whose name is not UTF-8 hides the text of paths below it, not their bytes', async () => {
    const made = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff])]);
    mkdirSync(made);
    await group.mark(made, { events: ['create'] });
    const file = Buffer.concat([made, Buffer.from('/file')]);
    writeFileSync(file, '');
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ path: null, rawPath: file });
  });

  test('delete says deleted', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await group.mark(directory, { events: ['delete'] });
    rmSync(file);
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ kinds: ['delete'], path: file, deleted: true });
  });
});

describe('renames', () => {
  test('have both paths in one event', async () => {
    await group.mark(directory, { events: ['rename'] });
    writeFileSync(join(directory, 'old'), '');
    renameSync(join(directory, 'old'), join(directory, 'new'));
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({
      kind: 'rename',
      kinds: ['rename'],
      from: join(directory, 'old'),
      path: join(directory, 'new'),
      directory: false,
    });
  });

  test('have the side that is marked, where only one is', async () => {
    const [marked, other] = [join(directory, 'marked'), join(directory, 'other')];
    mkdirSync(marked);
    mkdirSync(other);
    writeFileSync(join(marked, 'a'), '');
    await group.mark(marked, { events: ['rename'] });
    renameSync(join(marked, 'a'), join(other, 'b'));
    renameSync(join(other, 'b'), join(marked, 'c'));
    const [out, back] = await nextEvents(group, 2);
    expect(out).toMatchObject({ kind: 'rename', from: join(marked, 'a'), path: null, rawPath: null });
    expect(back).toMatchObject({ kind: 'rename', from: null, path: join(marked, 'c') });
  });

  test('of directories with one side marked are followed when they come back', async () => {
    const [marked, other] = [join(directory, 'marked'), join(directory, 'other')];
    mkdirSync(join(marked, 'd'), { recursive: true });
    mkdirSync(other);
    await group.mark(marked, { events: ['rename'] });
    await group.mark(join(marked, 'd'), { events: ['create'] });
    renameSync(join(marked, 'd'), join(other, 'd'));
    renameSync(join(other, 'd'), join(marked, 'e'));
    writeFileSync(join(marked, 'e/file'), '');
    const events = await nextEvents(group, 3);
    expect(events[2]).toMatchObject({ kind: 'file', path: join(marked, 'e/file') });
  });
});

describe('paths', () => {
  const events = ['create', 'rename'] as const;

  test('are as of reading where renames are not heard', async () => {
    const made = join(directory, 'a');
    mkdirSync(made);
    await group.mark(made, { events: ['create'] });
    writeFileSync(join(made, 'file'), '');
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ path: join(made, 'file'), pathAsOf: 'reading' });
  });

  test('of a marked directory that was away are right again when it is back', async () => {
    const [here, there] = [join(directory, 'here'), join(directory, 'there')];
    mkdirSync(here);
    await group.mark(here, { events: ['create'] });
    renameSync(here, there);
    writeFileSync(join(there, '1'), '');
    const [away] = await nextEvents(group, 1);
    // An ordinary user cannot find it.
    if (process.getuid?.() !== 0) expect(away).toMatchObject({ path: null });
    renameSync(there, here);
    writeFileSync(join(here, '2'), '');
    const [back] = await nextEvents(group, 1);
    expect(back).toMatchObject({ path: join(here, '2') });
  });

  test.skipIf(!canMount)('are as of the event on a file system whose renames are heard', async () => {
    const mount = mountTmpfs();
    try {
      mkdirSync(join(mount.path, 'a/b/c'), { recursive: true });
      await group.mark(mount.path, { scope: 'filesystem', events });
      writeFileSync(join(mount.path, 'a/b/c/1'), '');
      renameSync(join(mount.path, 'a/b'), join(mount.path, 'B'));
      writeFileSync(join(mount.path, 'B/c/2'), '');
      renameSync(join(mount.path, 'a'), join(mount.path, 'B/a'));
      writeFileSync(join(mount.path, 'B/a/3'), '');
      const read = await nextEvents(group, 5);
      expect(read.map((event) => 'path' in event && [event.path, 'pathAsOf' in event && event.pathAsOf])).toEqual(
        ['a/b/c/1', 'B', 'B/c/2', 'B/a', 'B/a/3'].map((path) => [join(mount.path, path), 'event']),
      );
    } finally {
      mount.unmount();
    }
  });

  test.skipIf(!canMount)('are as of reading once renames are ignored somewhere', async () => {
    const mount = mountTmpfs();
    try {
      mkdirSync(join(mount.path, 'a'));
      await group.mark(mount.path, { scope: 'filesystem', events });
      await group.mark(join(mount.path, 'a'), { events: ['rename'], ignore: 'always' });
      writeFileSync(join(mount.path, 'file'), '');
      const [event] = await nextEvents(group, 1);
      expect(event).toMatchObject({ path: join(mount.path, 'file'), pathAsOf: 'reading' });
    } finally {
      mount.unmount();
    }
  });

  test.skipIf(!canMount)('hold with a cache of eight directories and a thousand of them', async () => {
    const mount = mountTmpfs();
    const small = await Group.open({ maxDirectories: 8 });
    try {
      const paths = Array.from({ length: 1000 }, (_, index) => join(mount.path, `${index % 30}`, `${index}`));
      for (const path of paths) mkdirSync(path, { recursive: true });
      await small.mark(mount.path, { scope: 'filesystem', events });
      for (const path of paths) writeFileSync(join(path, 'file'), '');
      const read = await nextEvents(small, 1000);
      expect(read.map((event) => event.kind === 'file' && event.path)).toEqual(paths.map((path) => join(path, 'file')));
    } finally {
      await small.close();
      mount.unmount();
    }
  });

  test.skipIf(!canMount)('are found through another mount when the first is gone or covered', async () => {
    const mount = mountTmpfs();
    const bind = mountBind(mount.path);
    try {
      mkdirSync(join(mount.path, 'a'));
      await group.mark(mount.path, { scope: 'filesystem', events: ['create'] });
      mount.unmount();
      writeFileSync(join(bind.path, 'a/1'), '');
      expect(await nextEvents(group, 1)).toMatchObject([{ path: join(bind.path, 'a/1') }]);
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', bind.path]);
      execFileSync('umount', [bind.path]);
      writeFileSync(join(bind.path, 'a/2'), '');
      expect(await nextEvents(group, 1)).toMatchObject([{ path: join(bind.path, 'a/2') }]);
    } finally {
      bind.unmount();
      mount.unmount();
    }
  });

  test.skipIf(!canMount)(
    'below a bind mount of a part begin with where that is mounted, also if its root is renamed',
    async () => {
      const mount = mountTmpfs();
      mkdirSync(join(mount.path, 'part/a'), { recursive: true });
      const bind = mountBind(join(mount.path, 'part'));
      try {
        renameSync(join(mount.path, 'part'), join(mount.path, 'whole'));
        mount.unmount();
        await group.mark(bind.path, { scope: 'filesystem', events });
        writeFileSync(join(bind.path, 'a/1'), '');
        renameSync(join(bind.path, 'a'), join(bind.path, 'b'));
        writeFileSync(join(bind.path, 'b/2'), '');
        const read = await nextEvents(group, 3);
        expect(read.map((event) => 'path' in event && event.path)).toEqual(
          ['a/1', 'b', 'b/2'].map((path) => join(bind.path, path)),
        );
      } finally {
        bind.unmount();
        mount.unmount();
      }
    },
  );
});

describe('loss', () => {
  // The limit is everybody's, so the queue is filled rather than the limit lowered.
  const limit = Number(readFileSync('/proc/sys/fs/fanotify/max_queued_events', 'utf8'));

  test.skipIf(limit > 50_000)('an overflow is an event of its own that says what came before it', async () => {
    mkdirSync(join(directory, 'a'));
    await group.mark(directory, { events: ['create', 'rename'] });
    await group.mark(join(directory, 'a'), { events: ['create'] });
    for (let file = 0; file < limit + 10; file++) closeSync(openSync(join(directory, `file${file}`), 'w'));
    renameSync(join(directory, 'a'), join(directory, 'lost'));
    const read = await eventsUntil(group, (event) => event.kind === 'overflow');
    expect(read.at(-1)).toMatchObject({ kind: 'overflow', seq: limit + 1, lastSeq: limit });
    expect(read.every(({ seq }, index) => seq === index + 1)).toBe(true);
    expect(group.counters).toMatchObject({ delivered: limit + 1, overflows: 1 });
    // The rename was lost. Whoever may open handles knows all the same; nobody tells the old path.
    writeFileSync(join(directory, 'lost/found'), '');
    const [found] = await nextEvents(group, 1);
    const known = process.getuid?.() === 0 ? join(directory, 'lost/found') : null;
    expect(found).toMatchObject({ kind: 'file', seq: limit + 2, path: known });
    writeFileSync(join(directory, 'after'), '');
    expect(await nextEvents(group, 1)).toMatchObject([{ path: join(directory, 'after') }]);
  });

  test('sequence numbers have no gaps, whatever is left out', async () => {
    const others = await Group.open({ ownEvents: false });
    try {
      await others.mark(directory, { events: ['create'] });
      for (let round = 0; round < 5; round++) {
        writeFileSync(join(directory, `own${round}`), '');
        execFileSync('touch', [join(directory, `other${round}`)]);
      }
      const read = await nextEvents(others, 5);
      expect(read.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
      expect(read.map((event) => event.kind === 'file' && event.rawName?.toString())).toEqual(
        [0, 1, 2, 3, 4].map((round) => `other${round}`),
      );
      expect(others.counters).toEqual({ delivered: 5, overflows: 0, own: 5, discarded: 0 });
    } finally {
      await others.close();
    }
  });

  test('what was read and not asked for is counted when the group is closed', async () => {
    await group.mark(directory, { events: ['create'] });
    for (let file = 0; file < 10; file++) writeFileSync(join(directory, `${file}`), '');
    await nextEvents(group, 3);
    expect(group.counters).toMatchObject({ delivered: 3, discarded: 0 });
    await group.close();
    expect(group.counters).toMatchObject({ delivered: 3, discarded: 7 });
  });

  test('bits and records that nobody knows yet are kept', async () => {
    const unknown = { type: 'UNKNOWN', infoType: 200, bytes: Buffer.from('news') } as const;
    const kernel = scriptedKernel([[{ mask: FAN_OPEN | (1n << 60n), fd: FAN_NOFD, pid: 7, records: [unknown] }]]);
    const future = await Group.open({ kernel });
    const [event] = await nextEvents(future, 1);
    expect(event).toMatchObject({ kind: 'file', kinds: ['open'], mask: FAN_OPEN | (1n << 60n), path: null, pid: 7 });
    expect(event?.decode().records).toEqual([unknown]);
    await future.close();
  });

  test('what was read before a read failed is told first, also when it failed while reading ahead', async () => {
    const handle = { type: 1, bytes: Buffer.from('a directory') };
    const create = (name: string) => ({
      mask: FAN_CREATE,
      fd: FAN_NOFD,
      pid: 1,
      records: [{ type: 'DFID_NAME' as const, fsid: [1, 2] as const, handle, name: Buffer.from(name) }],
    });
    const kernel = scriptedKernel([[create('a'), create('b')], 'ENOMEM', [create('c')]]);
    const scripted = await Group.open({ kernel });
    const names: (string | undefined)[] = [];
    const read = async (count: number) => {
      for (const event of await nextEvents(scripted, count))
        names.push('rawName' in event ? event.rawName?.toString() : '');
    };
    await read(2);
    await expect(read(1)).rejects.toMatchObject({ code: 'ENOMEM' });
    await read(1);
    expect(names).toEqual(['a', 'b', 'c']);
    await scripted.close();
  });

  test('what lies before an overflow is not placed by a rename behind it', async () => {
    const fsid: [number, number] = [1, 2];
    const handle = (name: string) => ({ type: 1, bytes: Buffer.from(name) });
    const create = {
      mask: FAN_CREATE,
      fd: FAN_NOFD,
      pid: 1,
      records: [{ type: 'DFID_NAME' as const, fsid, handle: handle('dir'), name: Buffer.from('f') }],
    };
    const overflow = { mask: FAN_Q_OVERFLOW, fd: FAN_NOFD, pid: 0, records: [] };
    const scripted = await Group.open({ kernel: scriptedKernel([[create, overflow, create]]) });
    const read = await nextEvents(scripted, 3);
    expect(read.map(({ kind, seq }) => [kind, seq])).toEqual([
      ['file', 1],
      ['overflow', 2],
      ['file', 3],
    ]);
    expect(read[1]).toMatchObject({ lastSeq: 1 });
    await scripted.close();
  });
});

describe.skipIf(!canMount)('mounts', () => {
  test('come, move and go', async () => {
    const mounts = await Group.open({ report: ['mount'] });
    const base = mountTmpfs();
    try {
      for (const name of ['from', 'to']) mkdirSync(join(base.path, name));
      await mounts.mark('/proc/self/ns/mnt', { scope: 'mountNamespace', events: ['mountAttach', 'mountDetach'] });
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(base.path, 'from')]);
      const [attached] = await nextEvents(mounts, 1);
      expect(attached).toMatchObject({ kind: 'mount', kinds: ['mountAttach'], mountId: expect.any(BigInt) });
      execFileSync('mount', ['--move', join(base.path, 'from'), join(base.path, 'to')]);
      const [moved] = await nextEvents(mounts, 1);
      const id = attached?.kind === 'mount' ? attached.mountId : 0n;
      expect(moved).toMatchObject({ kind: 'mount', kinds: ['mountAttach', 'mountDetach'], mountId: id });
      execFileSync('umount', [join(base.path, 'to')]);
      expect(await nextEvents(mounts, 1)).toMatchObject([{ kinds: ['mountDetach'], mountId: id }]);
    } finally {
      await mounts.close();
      base.unmount();
    }
  });
});

describe.skipIf(!canMount)('file system errors', () => {
  let base: string;
  let device: string;
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), 'fanotify-ext4-'));
    mkdirSync(join(base, 'mnt'));
    writeFileSync(join(base, 'image'), '');
    truncateSync(join(base, 'image'), 16 << 20);
    execFileSync('mkfs.ext4', ['-q', '-F', join(base, 'image')]);
    execFileSync('mount', ['-o', 'loop,errors=continue', join(base, 'image'), join(base, 'mnt')]);
    const { dev } = statSync(join(base, 'mnt'));
    device = `loop${dev & 0xff}`;
  });
  afterAll(() => {
    execFileSync('umount', ['--lazy', join(base, 'mnt')]);
    rmSync(base, { recursive: true });
  });

  test('say what failed and how often', async (context) => {
    const trigger = `/sys/fs/ext4/${device}/trigger_fs_error`;
    if (!existsSync(trigger)) context.skip('no trigger_fs_error');
    await group.mark(join(base, 'mnt'), { scope: 'filesystem', events: ['filesystemError'] });
    writeFileSync(trigger, 'a test');
    const [event] = await nextEvents(group, 1);
    expect(event).toMatchObject({ kind: 'filesystemError', code: 'EUCLEAN', errno: 117, count: 1, path: null });
    expect(event?.toJSON()).toMatchObject({ kinds: ['filesystemError'], error: 'EUCLEAN', count: 1 });
  });
});

describe.each(['5.15', '6.1', '6.8', '6.12'])('on Linux %s (emulated)', (version) => {
  test('the default group tells paths', async () => {
    const old = await Group.open({ kernel: limitKernel(linuxKernel(), version) });
    try {
      await old.mark(directory, { events: ['create', 'delete', 'attrib'] });
      mkdirSync(join(directory, 'made'));
      const fd = openSync(join(directory, 'made/file'), 'w');
      closeSync(fd);
      appendFileSync(join(directory, 'made/file'), 'x');
      const [event] = await nextEvents(old, 1);
      expect(event).toMatchObject({ kinds: ['create'], path: join(directory, 'made'), directory: true });
      // Before 5.17 there are no targets.
      expect(event?.kind === 'file' && event.handle !== null).toBe(version !== '5.15');
    } finally {
      await old.close();
    }
  });

  test.skipIf(!canMount)('paths on a marked file system are true, and say of when', async () => {
    const mount = mountTmpfs();
    const old = await Group.open({ kernel: limitKernel(linuxKernel(), version) });
    try {
      const hasRenames = version !== '5.15';
      mkdirSync(join(mount.path, 'a'));
      await old.mark(mount.path, { scope: 'filesystem', events: hasRenames ? ['create', 'rename'] : ['create'] });
      writeFileSync(join(mount.path, 'a/file'), '');
      renameSync(join(mount.path, 'a'), join(mount.path, 'b'));
      const [event] = await nextEvents(old, 1);
      expect(event).toMatchObject(
        hasRenames
          ? { path: join(mount.path, 'a/file'), pathAsOf: 'event' }
          : { path: join(mount.path, 'b/file'), pathAsOf: 'reading' },
      );
    } finally {
      await old.close();
      mount.unmount();
    }
  });
});
