// The nine calls of the proposal, and the two that four of them could be squashed into: what they refuse, and what they do.

import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  FAN_ACCESS_PERM,
  FAN_ALLOW,
  FAN_CLASS_CONTENT,
  FAN_CLASS_PRE_CONTENT,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DENY,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_ADD,
  FAN_MARK_DONT_FOLLOW,
  FAN_MARK_EVICTABLE,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_FLUSH,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_MNTNS,
  FAN_MARK_MOUNT,
  FAN_MARK_ONLYDIR,
  FAN_MARK_REMOVE,
  FAN_MODIFY,
  FAN_NONBLOCK,
  FAN_OPEN,
  FAN_OPEN_PERM,
  FAN_REPORT_FID,
  FAN_UNLIMITED_QUEUE,
  O_CREAT,
  O_RDWR,
} from 'fanotify/abi';
import { linuxKernel } from 'fanotify/kernel';
import {
  close,
  FAN_MARK_SUBTREE,
  fanotify_add_mark,
  fanotify_add_mark_fd,
  fanotify_clear_marks,
  fanotify_ignore_fsid,
  fanotify_ignore_sb,
  fanotify_init,
  fanotify_mark_fd,
  fanotify_mark_path,
  fanotify_perm_response,
  fanotify_rm_mark,
  fanotify_rm_mark_fd,
  POLLIN,
  POLLNVAL,
  poll,
  read,
} from 'fanotify/syscalls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { reads } from '../decision/changing.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { closing, directed, pathsOf, READING, refusal, toldSoon, toldUntil } from './listening.ts';

const CLOSED = 1_000_000;
const TMPFS = 0x0102_1994;
const PROC = 0x9fa0;

/** What no type lets through. */
const any = (value: unknown) => value as never;
const byNumber = {
  fanotify_add_mark: (fd: number) => fanotify_add_mark(fd, '/', FAN_OPEN, 0n),
  fanotify_add_mark_fd: (fd: number) => fanotify_add_mark_fd(fd, 0, FAN_OPEN, 0n),
  fanotify_rm_mark: (fd: number) => fanotify_rm_mark(fd, '/', FAN_OPEN),
  fanotify_rm_mark_fd: (fd: number) => fanotify_rm_mark_fd(fd, 0, FAN_OPEN),
  fanotify_mark_path: (fd: number) => fanotify_mark_path(fd, FAN_MARK_ADD, '/', FAN_OPEN, 0n),
  fanotify_mark_fd: (fd: number) => fanotify_mark_fd(fd, FAN_MARK_ADD, 0, FAN_OPEN, 0n),
  fanotify_clear_marks: (fd: number) => fanotify_clear_marks(fd),
  fanotify_perm_response: (fd: number) => fanotify_perm_response(fd, 1n, FAN_ALLOW),
  fanotify_ignore_sb: (fd: number) => fanotify_ignore_sb(fd, TMPFS),
  fanotify_ignore_fsid: (fd: number) => fanotify_ignore_fsid(fd, [1, 2]),
  read: (fd: number) => read(fd),
};

describe.skipIf(process.platform !== 'linux')('a number', () => {
  test.each(Object.entries(byNumber))('%s: EBADF when nothing is open under it', (name, call) => {
    for (const fd of [CLOSED, -1, 0.5, any('3'), any(undefined), any(3n)]) {
      const error = refusal(() => call(fd));
      expect(error).toMatchObject({ name: 'CallError', syscall: name, code: 'EBADF', errno: 9 });
    }
    expect(refusal(() => call(CLOSED)).message).toBe(`${name}: EBADF: nothing is open under the number ${CLOSED}`);
    expect(refusal(() => call(any('3'))).reason).toBe('fd is the string "3": give the number of an open descriptor');
  });

  test.each(Object.entries(byNumber))('%s: EINVAL when it is no group', (name, call) => {
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    const error = refusal(() => call(fd));
    expect(error).toMatchObject({ syscall: name, code: 'EINVAL', reason: `${fd} is open, but is no fanotify group` });
  });

  test('close() is for every descriptor', () => {
    const fd = openSync('/dev/null', 'r');
    close(fd);
    expect(refusal(() => close(fd))).toMatchObject({ syscall: 'close', code: 'EBADF' });
    expect(refusal(() => close(any('3')))).toMatchObject({ syscall: 'close', code: 'EBADF' });
  });

  test('poll() is for every descriptor', () => {
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    const entries = [fd, CLOSED].map((each) => ({ fd: each, events: POLLIN, revents: 0 }));
    expect(poll(entries, 0)).toBe(2);
    expect(entries.map(({ revents }) => revents)).toEqual([POLLIN, POLLNVAL]);
    expect(refusal(() => poll(any({ fd }), 0))).toMatchObject({ syscall: 'poll', code: 'EFAULT' });
    expect(refusal(() => poll([any(null)], 0)).code).toBe('EFAULT');
    expect(refusal(() => poll([{ fd, events: any('in'), revents: 0 }], 0)).code).toBe('EFAULT');
    expect(refusal(() => poll([], Number.NaN))).toMatchObject({
      code: 'EINVAL',
      reason: /timeoutMs is the number NaN/,
    });
    expect(refusal(() => poll([], 2 ** 31)).code).toBe('EINVAL');
  });
});

describe('an argument', () => {
  const U64 = 2n ** 64n;
  const mark = (...rest: unknown[]) => fanotify_add_mark(0, ...(rest as [string, bigint, bigint]));
  const squashed = (flags: unknown) => fanotify_mark_path(0, flags as number, '/', FAN_OPEN, 0n);
  const init = (...rest: unknown[]) => fanotify_init(...(rest as [number, number, bigint, number]));
  const respond = (...rest: unknown[]) => fanotify_perm_response(0, ...(rest as [bigint, number]));

  test.each<[name: string, call: () => void, code: string, reason: RegExp]>([
    [
      'a mask that is a number',
      () => mark('/', 32, 0n),
      'EINVAL',
      /^mask is the number 32: give a bigint, such as FAN_OPEN/,
    ],
    ['no mask', () => mark('/'), 'EINVAL', /^mask is undefined: give a bigint/],
    ['a negative mask', () => mark('/', -1n, 0n), 'EINVAL', /^mask is -1n: .* from 0n to 0xffffffffffffffffn$/],
    ['a mask of 65 bits', () => mark('/', U64, 0n), 'EINVAL', /^mask is 0x10000000000000000n/],
    ['an ignored mask that is null', () => mark('/', FAN_OPEN, null), 'EINVAL', /^ignored_mask is null/],
    ['no ignored mask', () => mark('/', FAN_OPEN), 'EINVAL', /^ignored_mask is undefined/],
    ['a path that is a number', () => mark(7, FAN_OPEN, 0n), 'EFAULT', /^path is the number 7: give a string, or/],
    ['no path', () => mark(undefined, FAN_OPEN, 0n), 'EFAULT', /^path is undefined/],
    ['a URL', () => mark(new URL('file:///'), FAN_OPEN, 0n), 'EFAULT', /^path is an object/],
    ['no descriptor', () => fanotify_add_mark_fd(0, any(null), FAN_OPEN, 0n), 'EBADF', /^fd is null/],
    ['a negative one', () => fanotify_rm_mark_fd(0, -100, FAN_OPEN), 'EBADF', /^fd is the number -100/],
    ['a removed mask that is a number', () => fanotify_rm_mark(0, '/', any(1)), 'EINVAL', /^mask is the number 1/],
    ['a cookie that is a number', () => respond(1, FAN_ALLOW), 'EINVAL', /^cookie is the number 1: give the bigint/],
    ['no response', () => respond(1n), 'EINVAL', /^response is undefined: give FAN_ALLOW \(1\) or FAN_DENY \(2\)/],
    ['another response', () => respond(1n, 3), 'EINVAL', /^response is the number 3/],
    ['a type by name', () => fanotify_ignore_sb(0, any('proc')), 'EINVAL', /^f_type is the string "proc": .*0x9fa0/],
    ['a type of 33 bits', () => fanotify_ignore_sb(0, 2 ** 32), 'EINVAL', /^f_type is the number 4294967296/],
    ['an fsid that is one number', () => fanotify_ignore_fsid(0, any(7)), 'EINVAL', /^fsid is the number 7/],
    ['an fsid of three', () => fanotify_ignore_fsid(0, any([1, 2, 3])), 'EINVAL', /^fsid is a list/],
    ['an fsid of halves', () => fanotify_ignore_fsid(0, [0.5, 1]), 'EINVAL', /^fsid is a list/],
    ['neither to add nor to remove', () => squashed(0), 'EINVAL', /has to have FAN_MARK_ADD or FAN_MARK_REMOVE/],
    ['both', () => squashed(FAN_MARK_ADD | FAN_MARK_REMOVE), 'EINVAL', /and not both$/],
    ['flags that are a bigint', () => squashed(1n), 'EINVAL', /^flags is 0x1n: give a whole number of 32 bits/],
    [
      'a mount',
      () => squashed(FAN_MARK_ADD | FAN_MARK_MOUNT),
      'EINVAL',
      /^flags has FAN_MARK_MOUNT: a mount can be gone by/,
    ],
    ['a mount namespace', () => squashed(FAN_MARK_ADD | FAN_MARK_MNTNS), 'EINVAL', /^flags has FAN_MARK_MNTNS/],
    [
      'two scopes',
      () => squashed(FAN_MARK_ADD | FAN_MARK_FILESYSTEM | FAN_MARK_SUBTREE),
      'EINVAL',
      /^flags has more than one scope/,
    ],
    ['a flush', () => squashed(FAN_MARK_ADD | FAN_MARK_FLUSH), 'EINVAL', /FAN_MARK_FLUSH.*fanotify_clear_marks\(\)/],
    ['the ignored mask by flag', () => squashed(FAN_MARK_ADD | FAN_MARK_IGNORED_MASK), 'EINVAL', /argument of its own/],
    ['an evictable mark', () => squashed(FAN_MARK_ADD | FAN_MARK_EVICTABLE), 'EINVAL', /^flags has FAN_MARK_EVICTABLE/],
    ['an unknown flag', () => squashed(FAN_MARK_ADD | 0x8000), 'EINVAL', /^flags has 0x8000, which is no flag here/],
    ['the same by descriptor', () => fanotify_mark_fd(0, 0x8001, 0, FAN_OPEN, 0n), 'EINVAL', /^flags has 0x8000/],
    ['a flag of fanotify_init(2)', () => init(FAN_REPORT_FID, 0, 0n, 0), 'EINVAL', /^flags has 0x200, .* FAN_NONBLOCK/],
    ['several', () => init(FAN_REPORT_FID | FAN_UNLIMITED_QUEUE, 0, 0n, 0), 'EINVAL', /^flags has 0x210/],
    [
      'two classes',
      () => init(FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT, 0, 0n, 0),
      'EINVAL',
      /^flags has two classes/,
    ],
    ['open flags that are none', () => init(0, O_CREAT, 0n, 0), 'EINVAL', /^f_flags has 0x40, .* O_RDONLY/],
    ['to write only and to read too', () => init(0, 3, 0n, 0), 'EINVAL', /^f_flags has O_WRONLY and O_RDWR/],
    ['no mask to open with', () => init(0, 0, 0, 0), 'EINVAL', /^mask is the number 0/],
    ['a negative priority', () => init(0, 0, 0n, -1), 'EINVAL', /^priority is the number -1: .* from 0 to 4294967295/],
    ['a priority of 33 bits', () => init(0, 0, 0n, 2 ** 32), 'EINVAL', /^priority is/],
    ['no priority', () => init(0, 0, 0n), 'EINVAL', /^priority is undefined/],
  ])('%s', (_name, call, code, reason) => {
    expect(refusal(call)).toMatchObject({ code, reason: expect.stringMatching(reason) });
  });
});

test.skipIf(process.platform !== 'linux' || process.getuid?.() === 0)('without privilege a group is EPERM', () => {
  expect(refusal(() => fanotify_init(0, READING, 0n, 0))).toMatchObject({
    syscall: 'fanotify_init',
    code: 'EPERM',
    reason: expect.stringMatching(/CAP_SYS_ADMIN/),
  });
});

describe.skipIf(!canMount)('as root', () => {
  let mount: ScratchMount;
  const at = (...names: string[]) => join(mount.path, ...names);
  const file = (name: string) => {
    writeFileSync(at(name), 'text');
    return at(name);
  };
  const open = (path: string) => closeSync(openSync(path, 'r'));
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  describe('what the core refuses comes under the name of the call', () => {
    test('events that come with no descriptor', () => {
      const group = directed();
      const path = file('refused');
      expect(refusal(() => fanotify_add_mark(group, path, FAN_CREATE, 0n))).toMatchObject({
        syscall: 'fanotify_add_mark',
        code: 'EINVAL',
      });
      expect(refusal(() => fanotify_init(0, READING, FAN_CREATE, 0))).toMatchObject({
        syscall: 'fanotify_init',
        code: 'EINVAL',
      });
    });

    test('nothing to hear', () => {
      expect(refusal(() => fanotify_add_mark(directed(), file('refused'), 0n, 0n)).code).toBe('EINVAL');
    });

    test('to decide with a descriptor that writes', () => {
      const group = closing(fanotify_init(FAN_NONBLOCK, O_RDWR, 0n, 0));
      expect(refusal(() => fanotify_add_mark(group, file('refused'), FAN_OPEN_PERM, 0n))).toMatchObject({
        syscall: 'fanotify_add_mark',
        code: 'EINVAL',
      });
    });

    test('a cookie that nobody has', () => {
      expect(refusal(() => fanotify_perm_response(directed(), 12_345n, FAN_ALLOW))).toMatchObject({
        syscall: 'fanotify_perm_response',
        code: 'ENOENT',
      });
    });

    test('to narrow what a directed listener hears everywhere, which is nothing', () => {
      const group = directed();
      for (const [syscall, call] of Object.entries({
        fanotify_ignore_sb: () => fanotify_ignore_sb(group, TMPFS),
        fanotify_ignore_fsid: () => fanotify_ignore_fsid(group, [1, 2]),
      })) {
        expect(refusal(call)).toMatchObject({ syscall, code: 'EINVAL', reason: expect.stringMatching(/directed/) });
      }
    });

    test('a mark that there is not', () => {
      const group = directed();
      expect(refusal(() => fanotify_rm_mark(group, file('refused'), FAN_OPEN))).toMatchObject({
        syscall: 'fanotify_rm_mark',
        code: 'ENOENT',
      });
    });
  });

  describe('a path', () => {
    test.each([
      ['nothing there', () => at('no', 'where'), 'ENOENT', /nothing is there$/],
      ['empty', () => '', 'ENOENT', /^"": the path is empty$/],
      ['through a file', () => join(file('through'), 'x'), 'ENOTDIR', /something on the way is no directory$/],
      ['too long', () => at('x'.repeat(256)), 'ENAMETOOLONG', /255 bytes/],
      ['with a NUL', () => `${at('a')}\0b`, 'EINVAL', /no NUL byte$/],
    ])('%s', (_name, path, code, reason) => {
      const group = directed();
      const error = refusal(() => fanotify_add_mark(group, path(), FAN_OPEN, 0n));
      expect(error).toMatchObject({ syscall: 'fanotify_add_mark', code, reason: expect.stringMatching(reason) });
      expect(error.reason.startsWith(JSON.stringify(path()))).toBe(true);
    });

    test('links in a circle', () => {
      symlinkSync('circle', at('circle'));
      expect(refusal(() => fanotify_add_mark(directed(), at('circle'), FAN_OPEN, 0n)).code).toBe('ELOOP');
    });

    test('of a file, where only a directory will do', () => {
      const group = directed();
      const path = file('no-directory');
      const marking = (flags: number) => () => fanotify_mark_path(group, FAN_MARK_ADD | flags, path, FAN_OPEN, 0n);
      expect(refusal(marking(FAN_MARK_ONLYDIR)).code).toBe('ENOTDIR');
      expect(refusal(marking(FAN_MARK_SUBTREE)).code).toMatch(/^(ENOTDIR|EINVAL)$/);
      const fd = openSync(path, 'r');
      onTestFinished(() => closeSync(fd));
      const byDescriptor = () => fanotify_mark_fd(group, FAN_MARK_ADD | FAN_MARK_ONLYDIR, fd, FAN_OPEN, 0n);
      expect(refusal(byDescriptor)).toMatchObject({ syscall: 'fanotify_mark_fd', code: 'ENOTDIR' });
    });

    test('leaves no descriptor open', () => {
      const group = directed();
      const path = file('counted');
      const next = () => {
        const fd = openSync('/dev/null', 'r');
        closeSync(fd);
        return fd;
      };
      const before = next();
      fanotify_add_mark(group, path, FAN_OPEN, 0n);
      expect(() => fanotify_add_mark(group, path, FAN_CREATE, 0n)).toThrow();
      expect(next()).toBe(before);
    });
  });

  test('a target descriptor that is not open is EBADF', () => {
    expect(refusal(() => fanotify_add_mark_fd(directed(), CLOSED, FAN_OPEN, 0n))).toMatchObject({
      syscall: 'fanotify_add_mark_fd',
      code: 'EBADF',
      reason: `the descriptor ${CLOSED} is not open`,
    });
  });

  test('reading when nothing has happened is EAGAIN, and a descriptor of another kind is not read', () => {
    expect(refusal(() => read(directed()))).toMatchObject({ syscall: 'read', code: 'EAGAIN' });
  });

  test('a directed listener hears what it has marked, with who did it, and nothing else', async () => {
    const group = directed();
    const [marked, other] = [file('marked'), file('unmarked')];
    fanotify_add_mark(group, marked, FAN_OPEN, 0n);
    open(other);
    open(marked);
    expect(toldSoon(group, 1)).toEqual([{ mask: FAN_OPEN, path: marked, pid: process.pid, cookie: 0n }]);
    await reads(marked, 0);
    const [event] = toldSoon(group, 1);
    expect(event?.path).toBe(marked);
    expect(event?.pid).not.toBe(process.pid);
  });

  test('a path is marked as bytes, and through symbolic links', () => {
    const group = directed();
    const name = Buffer.concat([Buffer.from(`${at('by')}-`), Buffer.from([0xff])]);
    writeFileSync(name, '');
    symlinkSync(file('linked'), at('link'));
    fanotify_add_mark(group, new Uint8Array(name), FAN_CLOSE_WRITE, 0n);
    fanotify_add_mark(group, at('link'), FAN_CLOSE_WRITE, 0n);
    writeFileSync(name, 'text');
    writeFileSync(at('linked'), 'text');
    expect(toldSoon(group, 2).map(({ path }) => path.slice(0, at('by-').length))).toEqual([
      at('by-'),
      at('linked').slice(0, at('by-').length),
    ]);
  });

  test('what a link leads to is not marked with FAN_MARK_DONT_FOLLOW', () => {
    const group = directed();
    symlinkSync(file('led-to'), at('leads'));
    fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW, at('leads'), FAN_OPEN, 0n);
    open(at('leads'));
    expect(toldSoon(group)).toEqual([]);
  });

  test('a file without a name is marked by its descriptor, which may be closed', () => {
    const group = directed();
    const fd = openSync(file('nameless'), 'r+');
    const again = openSync(at('nameless'), 'r+');
    unlinkSync(at('nameless'));
    fanotify_add_mark_fd(group, fd, FAN_CLOSE_WRITE, 0n);
    closeSync(again);
    expect(toldUntil(group, () => true)).toMatchObject([{ mask: FAN_CLOSE_WRITE }]);
    fanotify_rm_mark_fd(group, fd, FAN_CLOSE_WRITE);
    closeSync(fd);
    expect(toldSoon(group)).toEqual([]);
  });

  test('marking again adds to both masks', () => {
    const group = directed();
    const path = file('added');
    fanotify_add_mark(group, path, FAN_CLOSE_WRITE, 0n);
    fanotify_add_mark(group, path, FAN_OPEN, 0n);
    writeFileSync(path, 'text');
    const masks = toldSoon(group, 1).reduce((all, { mask }) => all | mask, 0n);
    expect(masks).toBe(FAN_OPEN | FAN_CLOSE_WRITE);
  });

  test('the entries of a directory are heard with FAN_EVENT_ON_CHILD', () => {
    const group = directed();
    mkdirSync(at('parent'));
    fanotify_add_mark(group, at('parent'), FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, 0n);
    writeFileSync(at('parent', 'child'), 'text');
    expect(pathsOf(toldSoon(group, 1))).toEqual([at('parent', 'child')]);
  });

  test('what is ignored is not heard, until it is modified', () => {
    const group = directed();
    const path = file('ignored');
    fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mount.path, FAN_OPEN, 0n);
    fanotify_add_mark(group, path, 0n, FAN_OPEN);
    open(path);
    open(file('heard'));
    expect(pathsOf(toldSoon(group, 1))).toEqual([at('heard')]);
    writeFileSync(path, 'changed');
    toldSoon(group);
    open(path);
    expect(pathsOf(toldSoon(group, 1))).toEqual([path]);
  });

  test('what is ignored with FAN_MARK_IGNORED_SURV_MODIFY stays so, until it is taken back', () => {
    const group = directed();
    const path = file('ignored');
    fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mount.path, FAN_OPEN, 0n);
    fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_IGNORED_SURV_MODIFY, path, 0n, FAN_OPEN);
    writeFileSync(path, 'changed');
    open(path);
    expect(toldSoon(group)).toEqual([]);
    fanotify_mark_path(group, FAN_MARK_REMOVE, path, 0n, FAN_OPEN);
    open(path);
    expect(pathsOf(toldSoon(group, 1))).toEqual([path]);
  });

  test('removing clears from both masks; a mark with nothing left is gone', () => {
    const group = directed();
    const path = file('removed');
    fanotify_add_mark(group, path, FAN_OPEN | FAN_CLOSE_WRITE, FAN_MODIFY);
    fanotify_rm_mark(group, path, FAN_OPEN | FAN_MODIFY);
    writeFileSync(path, 'text');
    expect(toldSoon(group, 1).map(({ mask }) => mask)).toEqual([FAN_CLOSE_WRITE]);
    fanotify_rm_mark(group, path, FAN_CLOSE_WRITE);
    expect(refusal(() => fanotify_rm_mark(group, path, FAN_CLOSE_WRITE)).code).toBe('ENOENT');
  });

  test('a squashed call adds and removes by its flags', () => {
    const group = directed();
    const fd = openSync(file('squashed'), 'r');
    onTestFinished(() => closeSync(fd));
    fanotify_mark_path(group, FAN_MARK_ADD, at('squashed'), FAN_OPEN, 0n);
    fanotify_mark_fd(group, FAN_MARK_ADD, fd, FAN_CLOSE_WRITE, 0n);
    fanotify_mark_path(group, FAN_MARK_REMOVE, at('squashed'), FAN_OPEN, 0n);
    writeFileSync(at('squashed'), 'text');
    expect(toldSoon(group, 1).map(({ mask }) => mask)).toEqual([FAN_CLOSE_WRITE]);
    fanotify_mark_fd(group, FAN_MARK_REMOVE, fd, FAN_CLOSE_WRITE, 0n);
    expect(refusal(() => fanotify_mark_fd(group, FAN_MARK_REMOVE, fd, FAN_OPEN, 0n)).code).toBe('ENOENT');
  });

  test('a subtree is heard to its depth, with what is made and moved there later, and nothing beside it', () => {
    const group = directed();
    mkdirSync(at('tree', 'deep'), { recursive: true });
    mkdirSync(at('beside', 'moved'), { recursive: true });
    fanotify_mark_path(group, FAN_MARK_ADD | FAN_MARK_SUBTREE, at('tree'), FAN_CLOSE_WRITE, 0n);
    mkdirSync(at('tree', 'deep', 'new', 'newer'), { recursive: true });
    renameSync(at('beside', 'moved'), at('tree', 'moved'));
    const inside = [at('tree', 'deep', 'new', 'newer', 'file'), at('tree', 'moved', 'file'), at('tree', 'file')];
    for (const path of [...inside, at('beside', 'file'), at('file')]) writeFileSync(path, 'text');
    expect(pathsOf(toldSoon(group, inside.length))).toEqual(inside);
    fanotify_mark_path(group, FAN_MARK_REMOVE | FAN_MARK_SUBTREE, at('tree'), FAN_CLOSE_WRITE, 0n);
    writeFileSync(at('tree', 'file'), 'text');
    expect(toldSoon(group)).toEqual([]);
  });

  test('all marks are taken back at once', () => {
    const group = directed();
    const paths = [file('one'), file('two')];
    for (const path of paths) fanotify_add_mark(group, path, FAN_OPEN, 0n);
    fanotify_clear_marks(group);
    for (const path of paths) open(path);
    expect(toldSoon(group)).toEqual([]);
    expect(refusal(() => fanotify_rm_mark(group, at('one'), FAN_OPEN)).code).toBe('ENOENT');
  });

  describe('a global listener', () => {
    const global = () => closing(fanotify_init(FAN_NONBLOCK, READING, FAN_CLOSE_WRITE, 0));
    const scratch = (under?: string) => {
      const made = mountTmpfs(undefined, under);
      onTestFinished(() => made.unmount());
      return made.path;
    };
    /** Writes to a file on each file system and waits until the last one is heard. */
    const heardOf = (group: number, mounts: readonly string[]) => {
      const paths = mounts.map((path) => join(path, 'file'));
      for (const path of paths) writeFileSync(path, 'text');
      const heard = pathsOf(toldUntil(group, ({ path }) => path === paths.at(-1)));
      return paths.filter((path) => heard.includes(path));
    };

    test('hears the whole system, without a mark', () => {
      const mounts = [scratch(), scratch()];
      expect(heardOf(global(), mounts)).toEqual(mounts.map((path) => join(path, 'file')));
    });

    test('goes on hearing when its marks are cleared', () => {
      const group = global();
      fanotify_clear_marks(group);
      expect(heardOf(group, [mount.path])).toEqual([at('file')]);
    });

    test('leaves /proc out, when it is asked to', () => {
      const [onProc, last] = [`/proc/${process.pid}/comm`, file('on-tmpfs')];
      const group = closing(fanotify_init(FAN_NONBLOCK, READING, FAN_OPEN, 0));
      const heardOnProc = () => {
        for (const path of [onProc, last]) open(path);
        return pathsOf(toldUntil(group, ({ path }) => path === last)).includes(onProc);
      };
      expect(heardOnProc()).toBe(true);
      fanotify_ignore_sb(group, PROC);
      toldSoon(group);
      expect(heardOnProc()).toBe(false);
    });

    test('leaves one file system out, by its fsid', () => {
      const [out, heard] = [scratch(), scratch()];
      const group = global();
      fanotify_ignore_fsid(group, linuxKernel().statfs(out).fsid);
      expect(heardOf(group, [out, heard])).toEqual([join(heard, 'file')]);
    });

    test('leaves out a type of file systems, also those that are mounted later; what is marked is heard', () => {
      const before = scratch();
      const group = global();
      fanotify_ignore_sb(group, TMPFS);
      const later = scratch();
      for (const path of [before, later]) writeFileSync(join(path, 'file'), 'text');
      const told = pathsOf(toldSoon(group));
      for (const path of [before, later]) expect(told).not.toContain(join(path, 'file'));
      fanotify_add_mark(group, join(before, 'file'), FAN_CLOSE_WRITE, 0n);
      expect(heardOf(group, [later, before])).toEqual([join(before, 'file')]);
    });
  });

  describe('a decision', () => {
    const held = (group: number, count = 1) => {
      const told = [];
      while (told.length < count) {
        const more = toldUntil(group, ({ cookie }) => cookie !== 0n);
        if (more.length === 0) break;
        told.push(...more);
      }
      return told;
    };

    test('allows and denies, by cookie, in any order', async () => {
      const group = directed();
      const paths = [file('first'), file('second')];
      for (const path of paths) fanotify_add_mark(group, path, FAN_OPEN_PERM, 0n);
      const opened = paths.map((path) => reads(path, 0));
      const asked = held(group, 2);
      expect(new Set(asked.map(({ cookie }) => cookie)).size).toBe(2);
      expect(asked.every(({ mask, pid }) => mask === FAN_OPEN_PERM && pid !== process.pid)).toBe(true);
      for (const { cookie, path } of asked.toReversed()) {
        fanotify_perm_response(group, cookie, path === at('first') ? FAN_DENY : FAN_ALLOW);
      }
      expect(await Promise.all(opened)).toEqual([false, true]);
    });

    test('is taken once: another response is ENOENT', async () => {
      const group = directed();
      const path = file('once');
      fanotify_add_mark(group, path, FAN_OPEN_PERM, 0n);
      const opened = reads(path, 0);
      const [asked] = held(group);
      const cookie = asked?.cookie ?? 0n;
      fanotify_perm_response(group, cookie, FAN_DENY);
      expect(refusal(() => fanotify_perm_response(group, cookie, FAN_ALLOW)).code).toBe('ENOENT');
      expect(await opened).toBe(false);
    });

    test('of another group is not this one to make', async () => {
      const [group, other] = [directed(), directed()];
      const path = file('theirs');
      fanotify_add_mark(group, path, FAN_OPEN_PERM, 0n);
      const opened = reads(path, 0);
      const [asked] = held(group);
      const cookie = asked?.cookie ?? 0n;
      expect(refusal(() => fanotify_perm_response(other, cookie, FAN_DENY)).code).toBe('ENOENT');
      fanotify_perm_response(group, cookie, FAN_ALLOW);
      expect(await opened).toBe(true);
    });

    test('is asked of the higher priority first, and of the lower no more once it is denied', async () => {
      const [low, high] = [directed(10), directed(4_294_967_295)];
      const path = file('ranked');
      for (const group of [low, high]) fanotify_add_mark(group, path, FAN_OPEN_PERM, 0n);
      for (const verdict of [FAN_ALLOW, FAN_DENY]) {
        const opened = reads(path, 0);
        const [first] = held(high);
        expect(toldSoon(low)).toEqual([]);
        fanotify_perm_response(high, first?.cookie ?? 0n, verdict);
        if (verdict === FAN_ALLOW) {
          const [second] = held(low);
          fanotify_perm_response(low, second?.cookie ?? 0n, FAN_ALLOW);
        }
        expect(await opened).toBe(verdict === FAN_ALLOW);
      }
      expect(toldSoon(low)).toEqual([]);
    });

    test('is not asked for on accesses of the listener itself', () => {
      const group = directed();
      const path = file('own');
      fanotify_add_mark(group, path, FAN_OPEN_PERM | FAN_ACCESS_PERM, 0n);
      const start = performance.now();
      expect(readFileSync(path, 'utf8')).toBe('text');
      expect(performance.now() - start).toBeLessThan(2_000);
    });

    test('that nobody makes any more is that of the timeout: closing lets go who waits', async () => {
      const group = directed();
      const path = file('left');
      fanotify_add_mark(group, path, FAN_OPEN_PERM, 0n);
      const opened = reads(path, 0);
      held(group);
      close(group);
      expect(await opened).toBe(true);
      expect(await reads(path, 0)).toBe(true);
    });
  });

  describe('a number that was closed by other means', () => {
    const opened = () => fanotify_init(FAN_NONBLOCK, READING, 0n, 0);

    test('is EBADF', () => {
      const group = opened();
      closeSync(group);
      expect(refusal(() => fanotify_clear_marks(group))).toMatchObject({
        syscall: 'fanotify_clear_marks',
        code: 'EBADF',
      });
      expect(refusal(() => close(group)).code).toBe('EBADF');
    });

    test('leaves nothing open', () => {
      const descriptors = () => readdirSync('/proc/self/fd').length;
      closeSync(opened());
      // The next one has that number.
      const before = descriptors();
      for (let round = 0; round < 3; round++) closeSync(opened());
      expect(descriptors()).toBe(before);
    });

    test('and is open on a file now is not written to', () => {
      const group = opened();
      closeSync(group);
      const path = file('stranger');
      // The kernel gives out the lowest number that is free.
      const strangers: number[] = [];
      do strangers.push(openSync(path, 'r+'));
      while (!strangers.includes(group) && strangers.length < 100);
      onTestFinished(() => {
        for (const fd of strangers) closeSync(fd);
      });
      expect(strangers).toContain(group);
      expect(refusal(() => fanotify_add_mark(group, path, FAN_OPEN, 0n)).code).toBe('EINVAL');
      expect(readFileSync(path, 'utf8')).toBe('text');
    });
  });
});
