// The socket of the proposal: socket(), bind(), the eight options, and the options that came later.

import { closeSync, mkdirSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  FAN_ALLOW,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DENY,
  FAN_MARK_ADD,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MODIFY,
  FAN_OPEN,
  FAN_OPEN_PERM,
  O_RDWR,
} from 'fanotify/abi';
import { linuxKernel } from 'fanotify/kernel';
import {
  AF_FANOTIFY,
  bind,
  close,
  FAN_MARK_SUBTREE,
  FANOTIFY_ADD_MARK,
  FANOTIFY_ADD_MARK_FD,
  FANOTIFY_ADD_SUBTREE,
  FANOTIFY_CLEAR_MARKS,
  FANOTIFY_IGNORE_FSID,
  FANOTIFY_IGNORE_SB,
  FANOTIFY_OPTIONS,
  FANOTIFY_PERM_RESPONSE,
  FANOTIFY_RM_MARK,
  FANOTIFY_RM_MARK_FD,
  FANOTIFY_STATISTICS,
  FANOTIFY_TIMEOUT,
  type FanotifyAddress,
  getsockopt,
  PF_FANOTIFY,
  POLLIN,
  poll,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_FANOTIFY,
  setsockopt,
  socket,
} from 'fanotify/socket';
import { fanotify_add_mark, fanotify_init, fanotify_mark_path } from 'fanotify/syscalls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { reads } from '../decision/changing.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { closing, pathsOf, READING, refusal, toldSoon, toldUntil } from './listening.ts';

const CLOSED = 1_000_000;
const TMPFS = 0x0102_1994;
const LISTENER: FanotifyAddress = { family: AF_FANOTIFY, mask: 0n, priority: 0, f_flags: READING };

const any = (value: unknown) => value as never;
const setting = (option: number, value: unknown) => () => setsockopt(0, SOL_FANOTIFY, any(option), any(value));

describe('what is refused', () => {
  test.each<[name: string, call: () => unknown, syscall: string, code: string, reason: RegExp]>([
    ['another domain', () => socket(2, SOCK_RAW, 0), 'socket', 'EAFNOSUPPORT', /number 2: give PF_FANOTIFY \(37\)/],
    ['another type', () => socket(PF_FANOTIFY, 1, 0), 'socket', 'ESOCKTNOSUPPORT', /number 1: give SOCK_RAW \(3\)/],
    ['no type', () => socket(PF_FANOTIFY, any(undefined), 0), 'socket', 'ESOCKTNOSUPPORT', /type is undefined/],
    ['another flag', () => socket(PF_FANOTIFY, SOCK_RAW | 0x10, 0), 'socket', 'EINVAL', /^the type has 0x10, /],
    ['a protocol', () => socket(PF_FANOTIFY, SOCK_RAW, 1), 'socket', 'EPROTONOSUPPORT', /the number 1: give 0$/],
    ['no address', () => bind(0, any(undefined)), 'bind', 'EFAULT', /\{ family, mask, priority, f_flags, flags\? \}$/],
    ['another family', () => bind(0, any({ family: 2 })), 'bind', 'EAFNOSUPPORT', /number 2: give AF_FANOTIFY \(37\)/],
    ['no family', () => bind(0, any({ mask: 0n, priority: 0, f_flags: 0 })), 'bind', 'EAFNOSUPPORT', /undefined/],
    [
      'an address without a priority',
      () => bind(0, any({ ...LISTENER, priority: undefined })),
      'bind',
      'EINVAL',
      /^priority is/,
    ],
    [
      'a word too many',
      () => bind(0, any({ ...LISTENER, prority: 1 })),
      'bind',
      'EINVAL',
      /^there is no "prority" here: did you mean "priority"\?/,
    ],
    [
      'a mask that is a number',
      () => bind(0, any({ ...LISTENER, mask: 32 })),
      'bind',
      'EINVAL',
      /^mask is the number 32/,
    ],
    [
      'another level',
      () => setsockopt(0, any(1), FANOTIFY_CLEAR_MARKS, {}),
      'setsockopt',
      'ENOPROTOOPT',
      /number 1: give SOL_FANOTIFY \(278\)/,
    ],
    ['an option that there is not', setting(99, {}), 'setsockopt', 'ENOPROTOOPT', /number 99: there are 1 to 12/],
    [
      'an option by name',
      setting(any('FANOTIFY_TIMEOUT'), {}),
      'setsockopt',
      'ENOPROTOOPT',
      /^the option is the string/,
    ],
    [
      'setting what is only to be asked for',
      setting(FANOTIFY_STATISTICS, {}),
      'setsockopt',
      'ENOPROTOOPT',
      /^FANOTIFY_STATISTICS is only to be asked for/,
    ],
    [
      'asking what is only to be set',
      () => getsockopt(0, SOL_FANOTIFY, any(FANOTIFY_ADD_MARK)),
      'getsockopt',
      'ENOPROTOOPT',
      /^FANOTIFY_ADD_MARK is only to be set/,
    ],
    [
      'asking what there is not',
      () => getsockopt(0, SOL_FANOTIFY, any(99)),
      'getsockopt',
      'ENOPROTOOPT',
      /^the option is the number 99/,
    ],
    [
      'asking at another level',
      () => getsockopt(0, any(0), FANOTIFY_OPTIONS),
      'getsockopt',
      'ENOPROTOOPT',
      /^the level/,
    ],
    [
      'no value',
      setting(FANOTIFY_ADD_MARK, undefined),
      'setsockopt',
      'EFAULT',
      /^the argument is undefined: give an object \{ path, mask, ignored_mask, flags\? \}/,
    ],
    ['a list', setting(FANOTIFY_TIMEOUT, [1, 2]), 'setsockopt', 'EFAULT', /^the argument is a list/],
    [
      'a misspelt word',
      setting(FANOTIFY_ADD_MARK, { path: '/', mask: FAN_OPEN, ignoredMask: 0n }),
      'setsockopt',
      'EINVAL',
      /^there is no "ignoredMask" here: did you mean "ignored_mask"\?$/,
    ],
    [
      'a word of another option',
      setting(FANOTIFY_PERM_RESPONSE, { cookie: 1n, response: FAN_ALLOW, deadline_in_seconds: 1 }),
      'setsockopt',
      'EINVAL',
      /^there is no "deadline_in_seconds" here: it takes \{ cookie, response \}$/,
    ],
    [
      'a word for an option that takes none',
      setting(FANOTIFY_CLEAR_MARKS, { all: 1 }),
      'setsockopt',
      'EINVAL',
      /no "all" here/,
    ],
    ['a word that is missing', setting(FANOTIFY_IGNORE_SB, {}), 'setsockopt', 'EINVAL', /^f_type is undefined/],
    [
      'a time that is none',
      setting(FANOTIFY_TIMEOUT, { ms: 0.5, response: FAN_ALLOW }),
      'setsockopt',
      'EINVAL',
      /^ms is/,
    ],
    [
      'a policy that is none',
      setting(FANOTIFY_TIMEOUT, { ms: 5, response: 7 }),
      'setsockopt',
      'EINVAL',
      /^response is/,
    ],
    [
      'flags that are none',
      setting(FANOTIFY_ADD_MARK, { path: '/', mask: FAN_OPEN, ignored_mask: 0n, flags: FAN_MARK_ADD }),
      'setsockopt',
      'EINVAL',
      /^flags has 0x1, which is no flag here/,
    ],
  ])('%s', (_name, call, syscall, code, reason) => {
    expect(refusal(call)).toMatchObject({ syscall, code, reason: expect.stringMatching(reason) });
  });

  test.skipIf(process.platform !== 'linux')('numbers that are no socket', () => {
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    for (const [number, code] of [
      [CLOSED, 'EBADF'],
      [fd, 'EINVAL'],
    ] as const) {
      expect(refusal(() => bind(number, LISTENER))).toMatchObject({ syscall: 'bind', code });
      expect(refusal(() => setsockopt(number, SOL_FANOTIFY, FANOTIFY_CLEAR_MARKS, {})).code).toBe(code);
      expect(refusal(() => getsockopt(number, SOL_FANOTIFY, FANOTIFY_STATISTICS)).code).toBe(code);
      expect(refusal(() => getsockopt(number, SOL_FANOTIFY, FANOTIFY_OPTIONS)).code).toBe(code);
    }
  });
});

describe.skipIf(!canMount)('as root', () => {
  let mount: ScratchMount;
  const at = (...names: string[]) => join(mount.path, ...names);
  const file = (name: string) => {
    writeFileSync(at(name), 'text');
    return at(name);
  };
  const unbound = () => closing(socket(PF_FANOTIFY, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bound = (address: Partial<FanotifyAddress> = {}) => {
    const group = unbound();
    bind(group, { ...LISTENER, ...address });
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms: 3_000, response: FAN_ALLOW });
    return group;
  };
  const masksOf = (group: number, due = 0) => toldSoon(group, due).map(({ mask }) => mask);
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  test('before bind() a socket is a descriptor, and ENOTCONN to whoever wants something of it', () => {
    const group = unbound();
    expect(poll([{ fd: group, events: POLLIN, revents: 0 }], 0)).toBe(0);
    expect(refusal(() => read(group))).toMatchObject({
      syscall: 'read',
      code: 'ENOTCONN',
      reason: /bind\(\) comes first/,
    });
    expect(refusal(() => setsockopt(group, SOL_FANOTIFY, FANOTIFY_CLEAR_MARKS, {}))).toMatchObject({
      syscall: 'setsockopt',
      code: 'ENOTCONN',
    });
    expect(refusal(() => getsockopt(group, SOL_FANOTIFY, FANOTIFY_STATISTICS)).code).toBe('ENOTCONN');
    expect(refusal(() => fanotify_add_mark(group, '/', FAN_OPEN, 0n)).code).toBe('ENOTCONN');
    close(group);
    expect(refusal(() => bind(group, LISTENER)).code).toBe('EBADF');
  });

  test('which options there are can be asked of any socket', () => {
    const options = getsockopt(unbound(), SOL_FANOTIFY, FANOTIFY_OPTIONS);
    expect(options.map(({ option }) => option)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(options.slice(0, 8).map(({ name }) => name)).toEqual([
      'FANOTIFY_ADD_MARK',
      'FANOTIFY_ADD_MARK_FD',
      'FANOTIFY_RM_MARK',
      'FANOTIFY_RM_MARK_FD',
      'FANOTIFY_CLEAR_MARKS',
      'FANOTIFY_PERM_RESPONSE',
      'FANOTIFY_IGNORE_SB',
      'FANOTIFY_IGNORE_FSID',
    ]);
    expect(options).toContainEqual({ option: FANOTIFY_TIMEOUT, name: 'FANOTIFY_TIMEOUT' });
  });

  test('is bound once; a bind that is refused leaves it unbound', () => {
    const group = unbound();
    expect(refusal(() => bind(group, { ...LISTENER, mask: FAN_CREATE }))).toMatchObject({
      syscall: 'bind',
      code: 'EINVAL',
    });
    expect(refusal(() => bind(group, { ...LISTENER, mask: FAN_OPEN_PERM, f_flags: O_RDWR })).code).toBe('EINVAL');
    expect(refusal(() => read(group)).code).toBe('ENOTCONN');
    bind(group, LISTENER);
    expect(refusal(() => read(group)).code).toBe('EAGAIN');
    expect(refusal(() => bind(group, LISTENER))).toMatchObject({ syscall: 'bind', code: 'EINVAL', reason: /is bound/ });
    const other = closing(fanotify_init(0, READING, 0n, 0));
    expect(refusal(() => bind(other, LISTENER)).code).toBe('EINVAL');
  });

  test('marks by path and by descriptor, and takes bits out of marks', () => {
    const group = bound();
    const path = file('marked');
    const fd = openSync(path, 'r');
    onTestFinished(() => closeSync(fd));
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_MARK, { path, mask: FAN_OPEN, ignored_mask: 0n });
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_MARK_FD, { fd, mask: FAN_CLOSE_WRITE | FAN_MODIFY, ignored_mask: 0n });
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_RM_MARK, { path, mask: FAN_MODIFY });
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_RM_MARK_FD, { fd, mask: FAN_OPEN });
    writeFileSync(path, 'more');
    expect(masksOf(group, 1)).toEqual([FAN_CLOSE_WRITE]);
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_CLEAR_MARKS, {});
    writeFileSync(path, 'more');
    expect(masksOf(group)).toEqual([]);
    const removing = () => setsockopt(group, SOL_FANOTIFY, FANOTIFY_RM_MARK, { path, mask: FAN_CLOSE_WRITE });
    expect(refusal(removing)).toMatchObject({ syscall: 'setsockopt', code: 'ENOENT' });
  });

  test('an argument has grown: marks take flags', () => {
    const group = bound();
    const path = file('grown');
    fanotify_add_mark(group, path, FAN_OPEN, 0n);
    const ignored = { path, mask: 0n, ignored_mask: FAN_OPEN, flags: FAN_MARK_IGNORED_SURV_MODIFY };
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_MARK, ignored);
    writeFileSync(path, 'more');
    closeSync(openSync(path, 'r'));
    expect(masksOf(group)).toEqual([]);
  });

  test('an option more: a subtree', () => {
    const group = bound();
    mkdirSync(at('tree'));
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_SUBTREE, {
      path: at('tree'),
      mask: FAN_CLOSE_WRITE,
      ignored_mask: 0n,
    });
    mkdirSync(at('tree', 'a', 'b'), { recursive: true });
    for (const path of [at('tree', 'a', 'b', 'file'), at('beside')]) writeFileSync(path, 'text');
    expect(pathsOf(toldSoon(group, 1))).toEqual([at('tree', 'a', 'b', 'file')]);
    const subtree = { path: at('tree'), mask: FAN_CLOSE_WRITE, flags: FAN_MARK_SUBTREE };
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_RM_MARK, subtree);
    writeFileSync(at('tree', 'a', 'b', 'file'), 'text');
    expect(masksOf(group)).toEqual([]);
  });

  test('a global listener leaves out a type, and a file system', () => {
    const mounts = [mountTmpfs(), mountTmpfs()];
    onTestFinished(() => {
      for (const each of mounts) each.unmount();
    });
    const paths = mounts.map(({ path }) => join(path, 'file'));
    const [first = '', second = ''] = paths;
    const group = bound({ mask: FAN_CLOSE_WRITE });
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_IGNORE_FSID, { fsid: linuxKernel().statfs(mounts[0]?.path ?? '').fsid });
    for (const path of paths) writeFileSync(path, 'text');
    const heard = pathsOf(toldUntil(group, ({ path }) => path === second));
    expect(heard).toContain(second);
    expect(heard).not.toContain(first);
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_IGNORE_SB, { f_type: TMPFS });
    writeFileSync(second, 'text');
    expect(pathsOf(toldSoon(group))).not.toContain(second);
  });

  test('a decision is an option, and what becomes of who waits in vain another', async () => {
    const group = bound();
    const path = file('decided');
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_ADD_MARK, { path, mask: FAN_OPEN_PERM, ignored_mask: 0n });
    for (const response of [FAN_DENY, FAN_ALLOW]) {
      const opened = reads(path, 0);
      const [asked] = toldUntil(group, () => true);
      setsockopt(group, SOL_FANOTIFY, FANOTIFY_PERM_RESPONSE, { cookie: asked?.cookie ?? 0n, response });
      expect(await opened).toBe(response === FAN_ALLOW);
    }
    for (const response of [FAN_DENY, FAN_ALLOW]) {
      setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms: 200, response });
      const start = performance.now();
      expect(await reads(path, 0)).toBe(response === FAN_ALLOW);
      expect(performance.now() - start).toBeGreaterThanOrEqual(200);
    }
    const { allowed, denied, timedOut, pending } = getsockopt(group, SOL_FANOTIFY, FANOTIFY_STATISTICS);
    expect({ allowed, denied, timedOut, pending }).toEqual({ allowed: 1, denied: 1, timedOut: 2, pending: 0 });
  });

  test("times out of range are the core's to refuse", () => {
    const group = bound();
    for (const ms of [0, 3_600_001]) {
      const setting = () => setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms, response: FAN_ALLOW });
      expect(refusal(setting)).toMatchObject({ syscall: 'setsockopt', code: 'EINVAL' });
    }
  });

  test('a number of one face is a number of all', () => {
    const group = bound();
    const path = file('shared');
    fanotify_mark_path(group, FAN_MARK_ADD, path, FAN_CLOSE_WRITE, 0n);
    expect(getsockopt(group, SOL_FANOTIFY, FANOTIFY_STATISTICS).marks).toBe(1);
    writeFileSync(path, 'more');
    const [event] = toldUntil(group, () => true);
    expect(event?.path).toBe(path);
    const call = closing(fanotify_init(0, READING, 0n, 0));
    setsockopt(call, SOL_FANOTIFY, FANOTIFY_ADD_MARK, { path, mask: FAN_CLOSE_WRITE, ignored_mask: 0n });
    writeFileSync(path, 'more');
    const [{ fd } = { fd: -1 }] = read(call);
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe(path);
    close(fd);
  });
});
