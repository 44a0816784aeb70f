// Each error provoked for real: its class and code, a sentence that says what to do, and nothing left marked.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  Group,
  GroupClosedError,
  InvalidOptionsError,
  LimitError,
  NoSuchPathError,
  NotDirectoryError,
  NotMarkedError,
  NotPermittedError,
  UnknownEventError,
  UnsupportedError,
  UnsupportedFilesystemError,
} from '../../src/index.ts';
import { KernelError, limitKernel, linuxKernel } from '../../src/kernel/index.ts';

const isRoot = process.getuid?.() === 0;

let group: Group<'handle'>;
let directory: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'fanotify-errors-'));
  group = await Group.open();
});
afterEach(async () => {
  await group.close();
  rmSync(directory, { recursive: true });
});

async function failureOf(operation: () => Promise<unknown>): Promise<Error> {
  try {
    await operation();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return error as Error;
  }
  throw new Error('it did not fail');
}

// Nobody else's, so that nobody's limits are used up but its own.
const USER = 61_234;

/** Runs as an ordinary user. The effective user is what the kernel looks at, and what marks and groups are counted for. */
async function asUser<Result>(operation: () => Promise<Result>): Promise<Result> {
  if (!isRoot) return operation();
  process.seteuid?.(USER);
  try {
    return await operation();
  } finally {
    process.seteuid?.(0);
  }
}

describe('what a path leads to', () => {
  test('NoSuchPathError: nothing is there', async () => {
    const path = join(directory, 'missing');
    const error = await failureOf(() => group.mark(path, { events: ['open'] }));
    expect(error).toBeInstanceOf(NoSuchPathError);
    expect(error).toMatchObject({ code: 'NO_SUCH_PATH', path, name: 'NoSuchPathError' });
    expect(error.message).toContain(JSON.stringify(path));
    expect(error.cause).toBeInstanceOf(KernelError);
    expect(group.marks()).toEqual([]);
  });

  test.each([
    ['a circle of links', 'circle', 'circle'],
    ['a name that is too long', 'x'.repeat(300), 'too long'],
    ['a NUL', 'a\0b', 'NUL'],
  ])('NoSuchPathError: %s', async (_, name, says) => {
    symlinkSync(join(directory, 'circle'), join(directory, 'circle'));
    const error = await failureOf(() => group.mark(join(directory, name), { events: ['open'] }));
    expect(error).toBeInstanceOf(NoSuchPathError);
    expect(error.message).toContain(says);
  });

  test('NotDirectoryError: create is not of a file', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const error = await failureOf(() => group.mark(file, { events: ['create'] }));
    expect(error).toBeInstanceOf(NotDirectoryError);
    expect(error).toMatchObject({ code: 'NOT_DIRECTORY', path: file });
    expect(error.message).toContain('mark the directory that it is in');
    const below = await failureOf(() => group.mark(join(file, 'below'), { events: ['open'] }));
    expect(below).toBeInstanceOf(NotDirectoryError);
    expect(below.message).toContain('a part of');
    expect(group.marks()).toEqual([]);
  });

  test('InvalidOptionsError: a descriptor that is not open', async () => {
    const error = await failureOf(() => group.mark({ fd: 12_345 }, { events: ['open'] }));
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error.message).toBe('"descriptor 12345" is not open in this process');
  });

  test('NotMarkedError: there is no such mark', async () => {
    expect(await failureOf(() => group.unmark(directory))).toBeInstanceOf(NotMarkedError);
    await group.mark(directory, { events: ['open'] });
    const error = await failureOf(() => group.unmark(tmpdir(), { events: ['open'] }));
    expect(error).toBeInstanceOf(NotMarkedError);
    expect(error).toMatchObject({ code: 'NOT_MARKED', path: tmpdir() });
    expect(group.marks()).toHaveLength(1);
  });
});

describe('options', () => {
  test('UnknownEventError suggests the nearest name, or lists them all', async () => {
    const near = await failureOf(() => group.mark(directory, { events: ['closeWrote' as 'closeWrite'] }));
    expect(near).toBeInstanceOf(UnknownEventError);
    expect(near).toMatchObject({ code: 'UNKNOWN_EVENT', event: 'closeWrote', suggestion: 'closeWrite' });
    expect(near.message).toContain('did you mean "closeWrite"?');
    const far = await failureOf(() => group.mark(directory, { events: ['toString' as 'open'] }));
    expect(far).toMatchObject({ suggestion: undefined });
    expect(far.message).toContain('use one of access, modify');
    expect(group.marks()).toEqual([]);
  });

  // What the types refuse too, as a JavaScript caller would pass it.
  const refused: [string, object, string][] = [
    ['no events', { events: [] }, 'name at least one event'],
    ['a scope that does not exist', { scope: 'mounts', events: ['open'] }, 'did you mean "mount"?'],
    ['create on a mount mark', { scope: 'mount', events: ['create'] }, "use scope: 'filesystem' or 'inode'"],
    ['filesystemError on an inode', { events: ['filesystemError'] }, "needs scope: 'filesystem'"],
    ['mountAttach in a group of files', { events: ['mountAttach'] }, 'is not heard by this group'],
    ['an evictable mark of a file system', { scope: 'filesystem', events: ['open'], evictable: true }, "scope 'inode'"],
    ['a mount ignored until modified', { scope: 'mount', events: ['open'], ignore: 'untilModified' }, "use 'always'"],
    ['a directory ignored until modified', { events: ['open'], ignore: 'untilModified' }, "must be ignore: 'always'"],
  ];
  test.each(refused)('InvalidOptionsError: %s', async (_, options, says) => {
    const error = await failureOf(() => group.mark(directory, options as { events: ['open'] }));
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(error.message).toContain(says);
    expect(group.marks()).toEqual([]);
  });

  const refusedGroups: [string, object, string][] = [
    ['a class that needs descriptors', { class: 'content', report: ['name'] }, 'say report: []'],
    ['pidfd with tid', { report: ['name', 'pidfd', 'tid'] }, 'exclude each other'],
    ['mount with others', { report: ['mount', 'name'] }, 'stands alone'],
    ['a report that does not exist', { report: ['names'] }, 'did you mean "name"?'],
    ['own events by thread', { report: ['name', 'tid'], ownEvents: false }, 'exclude each other'],
    ['a small buffer', { bufferBytes: 100 }, 'at least 4096'],
    ['event flags that cannot be', { report: [], eventFlags: 0o100 }, 'eventFlags: 0x40'],
  ];
  test.each(refusedGroups)('InvalidOptionsError: a group of %s', async (_, options, says) => {
    const error = await failureOf(() => Group.open(options as { report: ['name'] }));
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error.message).toContain(says);
  });

  test('InvalidOptionsError: an ignore mask that would end, where there is one that stays', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await group.mark(file, { events: ['open'], ignore: 'always' });
    const error = await failureOf(() => group.mark(file, { events: ['open'], ignore: 'untilModified' }));
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error.message).toContain('already marked');
  });

  test('InvalidOptionsError: rename without names', async () => {
    const fids = await Group.open({ report: ['fid'] });
    try {
      const error = await failureOf(() => fids.mark(directory, { events: ['rename'] }));
      expect(error).toBeInstanceOf(InvalidOptionsError);
      expect(error.message).toContain("open it with report: ['name']");
    } finally {
      await fids.close();
    }
  });
});

describe('privilege', () => {
  test('NotPermittedError: what needs root says what does not', async () => {
    await asUser(async () => {
      const error = await failureOf(() => Group.open({ report: [] }));
      expect(error).toBeInstanceOf(NotPermittedError);
      expect(error).toMatchObject({ code: 'NOT_PERMITTED' });
      expect(error.message).toMatch(/run it as root.*a group can report names and put marks of scope inode/);
    });
  });

  test('NotPermittedError: a file system mark', async () => {
    await asUser(async () => {
      const own = await Group.open();
      const error = await failureOf(() => own.mark('/', { scope: 'filesystem', events: ['open'] }));
      expect(error).toBeInstanceOf(NotPermittedError);
      expect(error).toMatchObject({ path: '/' });
      expect(own.marks()).toEqual([]);
      await own.close();
    });
  });

  test.skipIf(!isRoot)('NotPermittedError: a directory that the user may not read', async () => {
    await asUser(async () => {
      const own = await Group.open();
      const error = await failureOf(() => own.mark(directory, { events: ['open'] }));
      expect(error).toBeInstanceOf(NotPermittedError);
      expect(error.message).toContain('cannot be read by this user');
      await own.close();
    });
  });
});

describe('limits', () => {
  test.skipIf(!isRoot)('LimitError: no group is left', async () => {
    await asUser(async () => {
      const groups: Group[] = [];
      const error = await failureOf(async () => {
        for (;;) groups.push(await Group.open());
      });
      for (const open of groups) await open.close();
      expect(error).toBeInstanceOf(LimitError);
      expect(error).toMatchObject({ code: 'LIMIT', setting: 'user.max_fanotify_groups' });
      expect((error as LimitError).current).toBe(Number(readFileSync('/proc/sys/user/max_fanotify_groups', 'utf8')));
      expect(error.message).toContain('sysctl');
    });
  });

  // In a user namespace the limit is one's own to lower.
  const inNamespace = [
    '--user',
    '--map-root-user',
    'sh',
    '-c',
    'echo 0 >/proc/sys/user/max_fanotify_marks && exec "$@"',
    'sh',
  ];
  const canLower = spawnSync('unshare', [...inNamespace, 'true']).status === 0;
  test.skipIf(!canLower)('LimitError: no mark is left', () => {
    const program = `
      import { Group } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href)};
      const group = await Group.open();
      const error = await group.mark(${JSON.stringify(tmpdir())}, { events: ['open'] }).catch((error) => error);
      const { name, message, setting, current } = error;
      console.log(JSON.stringify({ name, message, setting, current, marks: group.marks().length }));`;
    const node = [process.execPath, '--input-type=module', '-e', program];
    const { stdout, stderr } = spawnSync('unshare', [...inNamespace, ...node], { encoding: 'utf8' });
    expect(JSON.parse(stdout || JSON.stringify(stderr))).toEqual({
      name: 'LimitError',
      message: expect.stringContaining('(user.max_fanotify_marks = 0): raise it with sysctl'),
      setting: 'user.max_fanotify_marks',
      current: 0,
      marks: 0,
    });
  });
});

describe('old kernels (emulated)', () => {
  test('UnsupportedError: what was asked for came later', async () => {
    const kernel = limitKernel(linuxKernel(), '5.15');
    const error = await failureOf(() => Group.open({ kernel, report: ['name', 'targetFid'] }));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error).toMatchObject({ code: 'UNSUPPORTED', since: '5.17' });
    expect(error.message).toContain('FAN_REPORT_TARGET_FID needs Linux 5.17 or later, and this is Linux');
  });

  test.each([
    ['5.15', 'rename', '5.17'],
    ['5.15', 'filesystemError', '5.16'],
  ] as const)('UnsupportedError: Linux %s has no %s', async (version, event, since) => {
    const old = await Group.open({ kernel: limitKernel(linuxKernel(), version) });
    const options = { scope: 'filesystem', events: [event] } as const;
    const error = await failureOf(() => old.mark(directory, options));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error).toMatchObject({ since });
    expect(old.marks()).toEqual([]);
    await old.close();
  });

  test.each([
    ['5.15', { events: ['open'], evictable: true }, '5.19'],
    ['5.15', { events: ['open'], ignore: 'always' }, '6.0'],
  ] as const)('UnsupportedError: on Linux %s a mark of %o', async (version, options, since) => {
    const old = await Group.open({ kernel: limitKernel(linuxKernel(), version) });
    const error = await failureOf(() => old.mark(directory, options));
    expect(error).toMatchObject({ code: 'UNSUPPORTED', since });
    expect(old.marks()).toEqual([]);
    await old.close();
  });
});

test.skipIf(!isRoot).each(['/proc', '/sys'])('UnsupportedFilesystemError: a file system mark of %s', async (path) => {
  const error = await failureOf(() => group.mark(path, { scope: 'filesystem', events: ['open'] }));
  expect(error).toBeInstanceOf(UnsupportedFilesystemError);
  expect(error).toMatchObject({ code: 'UNSUPPORTED_FILESYSTEM', path });
  expect(error.message).toContain('a mount mark may work');
  expect(group.marks()).toEqual([]);
});

test('GroupClosedError: after close', async () => {
  await group.close();
  for (const operation of [
    () => group.mark(directory, { events: ['open'] }),
    () => group.unmark(directory),
    () => group.flush('inode'),
    async () => group.marks(),
  ]) {
    expect(await failureOf(operation)).toBeInstanceOf(GroupClosedError);
  }
});

describe('what a JavaScript caller gets wrong', () => {
  // The types refuse all of these: so they go in as what they are to JavaScript.
  const open = Group.open as (options: unknown) => Promise<Group>;

  test('a misspelt option of a group is told, not passed over', async () => {
    await expect(open({ ownEvent: false })).rejects.toThrow(
      'Group.open() has no option "ownEvent": did you mean "ownEvents"?',
    );
  });

  test('so is one of a mark, and a mark without options', async () => {
    const mark = group.mark.bind(group) as (path: string, options?: unknown) => Promise<void>;
    await expect(mark('/tmp', { events: ['create'], recursive: true })).rejects.toThrow('has no option "recursive"');
    await expect(mark('/tmp')).rejects.toThrow(InvalidOptionsError);
    await expect(mark('/tmp', { event: ['create'] })).rejects.toThrow('did you mean "events"?');
    expect(group.marks()).toEqual([]);
  });

  test('events of entries on a file name the events', async () => {
    await expect(group.mark('/etc/passwd', { events: ['create', 'modify'] })).rejects.toThrow(
      'events such as create ask for one',
    );
  });
});
