// The device of before the proposal: open(), and a request for each operation.

import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  FAN_ALLOW,
  FAN_CLOSE_WRITE,
  FAN_DENY,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MODIFY,
  FAN_OPEN,
  FAN_OPEN_PERM,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from 'fanotify/abi';
import * as device from 'fanotify/device';
import {
  close,
  FANOTIFY_IOC_ADD_MARK,
  FANOTIFY_IOC_ADD_MARK_FD,
  FANOTIFY_IOC_CLEAR_MARKS,
  FANOTIFY_IOC_IGNORE_FSID,
  FANOTIFY_IOC_IGNORE_SB,
  FANOTIFY_IOC_INIT,
  FANOTIFY_IOC_PERM_RESPONSE,
  FANOTIFY_IOC_RM_MARK,
  FANOTIFY_IOC_RM_MARK_FD,
  ioctl,
  open,
  POLLIN,
  poll,
  read,
} from 'fanotify/device';
import { linuxKernel } from 'fanotify/kernel';
import { FANOTIFY_TIMEOUT, SOL_FANOTIFY, setsockopt } from 'fanotify/socket';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { reads } from '../decision/changing.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { closing, pathsOf, READING, refusal, toldSoon, toldUntil } from './listening.ts';

const CLOSED = 1_000_000;
const TMPFS = 0x0102_1994;
const LISTENER = { mask: 0n, priority: 0, f_flags: READING };

const any = (value: unknown) => value as never;
const asking = (request: number, argument: unknown) => () => ioctl(0, any(request), any(argument));

test('the numbers of its requests are those of _IOW and _IO', () => {
  const requests = Object.entries(device).filter(([name]) => name.startsWith('FANOTIFY_IOC_'));
  const shown = requests.map(([name, value]) => {
    const request = value as number;
    const [direction, size, letter, number] = [
      request >>> 30,
      (request >>> 16) & 0x3fff,
      (request >>> 8) & 0xff,
      request & 0xff,
    ];
    return [
      number,
      name.slice('FANOTIFY_IOC_'.length),
      direction === 1 ? '_IOW' : '_IO',
      String.fromCharCode(letter),
      size,
    ];
  });
  // struct { path, fd or cookie, of 64 bits once aligned; masks of 64 bits }, and so on.
  expect(shown.sort(([a = 0], [b = 0]) => Number(a) - Number(b))).toEqual([
    [0, 'INIT', '_IOW', 'F', 16],
    [1, 'ADD_MARK', '_IOW', 'F', 24],
    [2, 'ADD_MARK_FD', '_IOW', 'F', 24],
    [3, 'RM_MARK', '_IOW', 'F', 16],
    [4, 'RM_MARK_FD', '_IOW', 'F', 16],
    [5, 'CLEAR_MARKS', '_IO', 'F', 0],
    [6, 'PERM_RESPONSE', '_IOW', 'F', 16],
    [7, 'IGNORE_SB', '_IOW', 'F', 8],
    [8, 'IGNORE_FSID', '_IOW', 'F', 8],
  ]);
});

describe('what is refused', () => {
  test.each<[name: string, call: () => unknown, syscall: string, code: string, reason: RegExp]>([
    ['another path', () => open('/dev/inotify', O_RDWR), 'open', 'ENOENT', /^"\/dev\/inotify" .*"\/dev\/fanotify"$/],
    ['no path', () => open(any(undefined), O_RDWR), 'open', 'EFAULT', /^path is undefined/],
    ['to read only', () => open('/dev/fanotify', O_RDONLY), 'open', 'EINVAL', /^flags lacks O_RDWR/],
    ['to write only', () => open('/dev/fanotify', O_WRONLY), 'open', 'EINVAL', /^flags has 0x1, which is no flag here/],
    ['no flags', () => open('/dev/fanotify', any(undefined)), 'open', 'EINVAL', /^flags is undefined/],
    [
      'a request that there is not',
      asking(0x4018_4663, {}),
      'ioctl',
      'ENOTTY',
      /^the request is 0x40184663, which is none/,
    ],
    ['no request', asking(any(undefined), {}), 'ioctl', 'ENOTTY', /^the request is undefined/],
    ['an option of the socket', asking(FANOTIFY_TIMEOUT, {}), 'ioctl', 'ENOTTY', /^the request is 0xa/],
    [
      'no argument',
      asking(FANOTIFY_IOC_ADD_MARK, undefined),
      'ioctl',
      'EFAULT',
      /give an object \{ path, mask, ignored_mask \}$/,
    ],
    ['to start with no argument', asking(FANOTIFY_IOC_INIT, null), 'ioctl', 'EFAULT', /\{ mask, priority, f_flags \}$/],
    [
      'a word that came later',
      asking(FANOTIFY_IOC_ADD_MARK, {
        path: '/',
        mask: FAN_OPEN,
        ignored_mask: 0n,
        flags: FAN_MARK_IGNORED_SURV_MODIFY,
      }),
      'ioctl',
      'EINVAL',
      /^there is no "flags" here: it takes \{ path, mask, ignored_mask \}$/,
    ],
    [
      'a mask that is a number',
      asking(FANOTIFY_IOC_RM_MARK, { path: '/', mask: 32 }),
      'ioctl',
      'EINVAL',
      /^mask is the number 32/,
    ],
    [
      'a priority that is none',
      asking(FANOTIFY_IOC_INIT, { ...LISTENER, priority: -1 }),
      'ioctl',
      'EINVAL',
      /^priority is/,
    ],
  ])('%s', (_name, call, syscall, code, reason) => {
    expect(refusal(call)).toMatchObject({ syscall, code, reason: expect.stringMatching(reason) });
  });

  test.skipIf(process.platform !== 'linux')('numbers that are no device', () => {
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    for (const [number, code] of [
      [CLOSED, 'EBADF'],
      [fd, 'EINVAL'],
    ] as const) {
      expect(refusal(() => ioctl(number, FANOTIFY_IOC_INIT, LISTENER))).toMatchObject({ syscall: 'ioctl', code });
      expect(refusal(() => ioctl(number, FANOTIFY_IOC_CLEAR_MARKS, {}))).toMatchObject({ syscall: 'ioctl', code });
    }
  });
});

describe.skipIf(!canMount)('as root', () => {
  let mount: ScratchMount;
  const file = (name: string) => {
    const path = join(mount.path, name);
    writeFileSync(path, 'text');
    return path;
  };
  const opened = () => closing(open('/dev/fanotify', O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const listener = (mask = 0n) => {
    const group = opened();
    ioctl(group, FANOTIFY_IOC_INIT, { ...LISTENER, mask });
    return group;
  };
  const masksOf = (group: number, due = 0) => toldSoon(group, due).map(({ mask }) => mask);
  beforeAll(() => {
    mount = mountTmpfs();
  });
  afterAll(() => mount.unmount());

  test('hears nothing before it is started, which it is once', () => {
    const group = opened();
    expect(poll([{ fd: group, events: POLLIN, revents: 0 }], 0)).toBe(0);
    expect(refusal(() => read(group)).code).toBe('ENOTCONN');
    expect(refusal(() => ioctl(group, FANOTIFY_IOC_CLEAR_MARKS, {}))).toMatchObject({
      syscall: 'ioctl',
      code: 'ENOTCONN',
      reason: expect.stringMatching(/FANOTIFY_IOC_INIT$/),
    });
    ioctl(group, FANOTIFY_IOC_INIT, LISTENER);
    expect(refusal(() => read(group)).code).toBe('EAGAIN');
    expect(refusal(() => ioctl(group, FANOTIFY_IOC_INIT, LISTENER))).toMatchObject({
      syscall: 'ioctl',
      code: 'EINVAL',
    });
  });

  test('the path is bytes too', () => {
    closing(open(Buffer.from('/dev/fanotify'), O_RDWR));
  });

  test('marks by path and by descriptor, and takes bits out of marks', () => {
    const group = listener();
    const path = file('marked');
    const fd = openSync(path, 'r');
    onTestFinished(() => closeSync(fd));
    ioctl(group, FANOTIFY_IOC_ADD_MARK, { path, mask: FAN_OPEN, ignored_mask: 0n });
    ioctl(group, FANOTIFY_IOC_ADD_MARK_FD, { fd, mask: FAN_CLOSE_WRITE | FAN_MODIFY, ignored_mask: 0n });
    ioctl(group, FANOTIFY_IOC_RM_MARK, { path, mask: FAN_MODIFY });
    ioctl(group, FANOTIFY_IOC_RM_MARK_FD, { fd, mask: FAN_OPEN });
    writeFileSync(path, 'more');
    expect(masksOf(group, 1)).toEqual([FAN_CLOSE_WRITE]);
    ioctl(group, FANOTIFY_IOC_CLEAR_MARKS, {});
    writeFileSync(path, 'more');
    expect(masksOf(group)).toEqual([]);
    expect(refusal(() => ioctl(group, FANOTIFY_IOC_RM_MARK, { path, mask: FAN_OPEN }))).toMatchObject({
      syscall: 'ioctl',
      code: 'ENOENT',
    });
  });

  test('a global listener leaves out a type, and a file system', () => {
    const mounts = [mountTmpfs(), mountTmpfs()];
    onTestFinished(() => {
      for (const each of mounts) each.unmount();
    });
    const paths = mounts.map(({ path }) => join(path, 'file'));
    const [first = '', second = ''] = paths;
    const group = listener(FAN_CLOSE_WRITE);
    ioctl(group, FANOTIFY_IOC_IGNORE_FSID, { fsid: linuxKernel().statfs(mounts[0]?.path ?? '').fsid });
    for (const path of paths) writeFileSync(path, 'text');
    const heard = pathsOf(toldUntil(group, ({ path }) => path === second));
    expect(heard).toContain(second);
    expect(heard).not.toContain(first);
    ioctl(group, FANOTIFY_IOC_IGNORE_SB, { f_type: TMPFS });
    writeFileSync(second, 'text');
    expect(pathsOf(toldSoon(group))).not.toContain(second);
  });

  test('a decision is a request', async () => {
    const group = listener();
    const path = file('decided');
    // It has no request for that.
    setsockopt(group, SOL_FANOTIFY, FANOTIFY_TIMEOUT, { ms: 3_000, response: FAN_ALLOW });
    ioctl(group, FANOTIFY_IOC_ADD_MARK, { path, mask: FAN_OPEN_PERM, ignored_mask: 0n });
    for (const response of [FAN_DENY, FAN_ALLOW]) {
      const reading = reads(path, 0);
      const [asked] = toldUntil(group, () => true);
      ioctl(group, FANOTIFY_IOC_PERM_RESPONSE, { cookie: asked?.cookie ?? 0n, response });
      expect(await reading).toBe(response === FAN_ALLOW);
    }
    close(group);
  });
});
