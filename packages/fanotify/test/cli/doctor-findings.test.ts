// The doctor in this process: on kernels that are older (emulated), poorer or used up, and what it does to the one it is on.

import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { FAN_MARK_ADD, FAN_MARK_REMOVE, FAN_OPEN_PERM, FAN_PRE_ACCESS } from '../../src/abi/index.ts';
import { limitFindings } from '../../src/cli/doctor/limits.ts';
import { mountFindings } from '../../src/cli/doctor/mounts.ts';
import { reportText } from '../../src/cli/doctor/report.ts';
import { Output } from '../../src/cli/output.ts';
import { run } from '../../src/cli/run.ts';
import type { Limits } from '../../src/identity/limits.ts';
import { type ListeningGroup, parseGroup } from '../../src/identity/listeners.ts';
import { ERRNO, type Kernel, KernelError, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import type { Coverage } from '../../src/scope/coverage.ts';

interface Finding {
  readonly id: string;
  readonly level: string;
  readonly what: string;
  readonly todo?: string;
  readonly [field: string]: unknown;
}

/** Linux, but for what is said here. */
function linuxBut(other: Partial<Kernel>): Kernel {
  return new Proxy(linuxKernel(), {
    get: (target, name: keyof Kernel) => {
      const value = other[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function doctor(kernel: Kernel, args: string[] = [tmpdir()]): Promise<{ status: number; findings: Finding[] }> {
  let out = '';
  const output = new Output(async (text) => {
    out += text;
  });
  const ending = await run(['doctor', '--json', ...args], {
    kernel: () => kernel,
    openOutput: () => output,
    say: () => {},
  });
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  return { status: ending.status, findings };
}

describe('an older kernel', () => {
  it.each([
    ['5.15', ['FAN_RENAME', '5.17']],
    ['5.15.133.1-microsoft-standard-WSL2', ['FAN_RENAME', '5.17']],
    ['6.1', ['AT_HANDLE_FID', '6.5']],
    ['6.12', ['FAN_MARK_MNTNS', '6.15']],
  ])('%s is told with what it lacks and which Linux brings it', async (version, [name, since]) => {
    const { findings } = await doctor(limitKernel(linuxKernel(), version));
    expect(findings).toContainEqual(
      expect.objectContaining({ id: 'kernel-lacks', level: 'note', name, since, todo: `Linux ${since} brings it` }),
    );
    expect(findings.some((finding) => finding.id === 'kernel-lacks' && finding.since === '5.1')).toBe(false);
  });

  it.skipIf(process.getuid?.() !== 0)('6.1 sees /proc without names alone, having no fsid for it', async () => {
    const { status, findings } = await doctor(limitKernel(linuxKernel(), '6.1'), ['/proc']);
    expect(findings.find(({ about }) => about === 'mounts')).toMatchObject({
      id: 'mount-partly',
      how: 'descriptors',
      reasons: ['noFsid', 'pseudo'],
      errno: 'ENODEV',
      todo: expect.stringContaining('Group.open({ report: [] })'),
    });
    expect(status).toBe(2);
  });

  it('6.18 lacks nothing', async () => {
    const { findings } = await doctor(limitKernel(linuxKernel(), '6.18'));
    expect(findings.filter(({ id }) => id === 'kernel-lacks')).toEqual([]);
  });
});

describe('where fanotify does not work', () => {
  it.each([
    ['ENOSYS', 'fanotify-missing', 'CONFIG_FANOTIFY'],
    ['EPERM', 'fanotify-denied', 'seccomp'],
    ['EMFILE', 'no-group-left', 'max_user_groups'],
  ] as const)('the exit status is 1 and the cause is said: %s', async (code, id, todo) => {
    const kernel = linuxBut({
      fanotifyInit: () => {
        throw new KernelError('fanotify_init', ERRNO[code]);
      },
      fanotifyMark: () => {
        throw new KernelError('fanotify_mark', code === 'EMFILE' ? ERRNO.EBADF : ERRNO[code]);
      },
    });
    const { status, findings } = await doctor(kernel);
    expect(status).toBe(1);
    expect(findings[0]).toMatchObject({ id, level: 'problem' });
    expect(findings[0]?.todo).toContain(todo);
    expect(findings.map((finding) => finding.id)).toContain('max-user-groups');
  });
});

it('places marks that only notify, and takes every one of them back', async () => {
  const placed = new Map<string, number>();
  let permission = 0n;
  const linux = linuxKernel();
  const kernel = linuxBut({
    fanotifyMark: (fd, flags, mask, dirfd, path) => {
      linux.fanotifyMark(fd, flags, mask, dirfd, path);
      permission |= mask & (FAN_OPEN_PERM | FAN_PRE_ACCESS | 0x2_0000n | 0x4_0000n);
      const key = `${fd} ${flags & ~(FAN_MARK_ADD | FAN_MARK_REMOVE)} ${mask} ${String(path)}`;
      placed.set(key, (placed.get(key) ?? 0) + (flags & FAN_MARK_ADD ? 1 : -1));
    },
  });
  await doctor(kernel, []);
  expect(permission).toBe(0n);
  expect(placed.size).toBeGreaterThan(0);
  expect([...placed.values()].filter((count) => count !== 0)).toEqual([]);
});

describe('limits', () => {
  const limits: Limits = {
    queuedEvents: 16_384,
    groups: 128,
    marks: 1000,
    namespaceGroups: 128,
    namespaceMarks: 1000,
    watchdogSeconds: 0,
    descriptors: { soft: 20_000, hard: Number.POSITIVE_INFINITY },
    files: { used: 10, max: 1000 },
  };
  const group = (uid: number, marks: number, more: Partial<ListeningGroup> = {}): ListeningGroup => ({
    process: { pid: 1, comm: Buffer.from('x') },
    uid,
    fd: 3,
    class: 'notification',
    holdsAccesses: false,
    hasUnlimitedMarks: false,
    marks: { inode: marks, mount: 0, filesystem: 0, mountNamespace: 0 },
    devices: [],
    ...more,
  });
  const find = (id: string, groups: ListeningGroup[], other: Partial<Limits> = {}, seesAll = true) =>
    limitFindings({ ...limits, ...other }, groups, 1000, seesAll).find((finding) => finding.id === id);

  it('are ok up to 80 %, a warning above, a problem when used up', () => {
    expect(find('max-user-marks', [group(7, 800)])?.level).toBe('ok');
    expect(find('max-user-marks', [group(7, 801)])).toMatchObject({
      level: 'warning',
      todo: expect.stringContaining('sysctl -w fs.fanotify.max_user_marks=2000'),
      data: { limit: 1000, users: [{ uid: 7, used: 801 }] },
    });
    expect(find('max-user-marks', [group(7, 500), group(7, 500)])?.level).toBe('problem');
    expect(
      find(
        'max-user-groups',
        Array.from({ length: 103 }, () => group(0, 0)),
      )?.level,
    ).toBe('warning');
    expect(find('open-files', [], { files: { used: 801, max: 1000 } })?.level).toBe('warning');
  });

  it('are counted by user, the one with the most first', () => {
    const found = find('max-user-marks', [group(7, 10), group(8, 20), group(7, 5)]);
    expect(found?.what).toContain('20 in use by user 8 and 15 in use by user 7');
  });

  it('do not count the marks of a group that may have any number', () => {
    expect(find('max-user-marks', [group(0, 5000, { hasUnlimitedMarks: true })])?.level).toBe('ok');
  });

  it('count only this user where others cannot be seen', () => {
    expect(find('max-user-groups', [group(1000, 0)], {}, false)?.what).toContain('1 in use by user 1000');
  });

  it('are those of the user namespace where they are lower', () => {
    expect(find('max-user-groups', [group(0, 0)], { namespaceGroups: 1 })).toMatchObject({
      level: 'problem',
      todo: expect.stringContaining('sysctl -w user.max_fanotify_groups=128'),
      data: { setting: 'user.max_fanotify_groups', limit: 1 },
    });
  });

  it('tell of a watchdog that is off, and nothing before Linux 6.18', () => {
    expect(find('watchdog-off', [group(0, 1, { holdsAccesses: true })])?.what).toContain('there are listeners here');
    expect(find('watchdog', [], { watchdogSeconds: 30 })?.level).toBe('ok');
    expect(find('watchdog-off', [], { watchdogSeconds: undefined })).toBeUndefined();
  });

  it('of descriptors and the queue are a note when low', () => {
    expect(find('descriptors', [], { descriptors: { soft: 256, hard: 256 } })?.level).toBe('note');
    expect(find('max-queued-events', [], { queuedEvents: 100 })?.level).toBe('note');
    expect(find('descriptors', [])?.data).toEqual({ soft: 20_000, hard: null });
  });
});

describe('a group in fdinfo', () => {
  it('that hears permission events holds accesses', () => {
    const fdinfo = (flags: string, mark: string) => `pos:\t0\nfanotify flags:${flags} event-flags:8000\n${mark}\n`;
    const inode =
      'fanotify ino:1 sdev:1d mflags:0 mask:10000 ignored_mask:0 fhandle-bytes:c fhandle-type:1 f_handle:00';
    expect(parseGroup(fdinfo('4', inode))).toMatchObject({
      class: 'content',
      holdsAccesses: true,
      marks: { inode: 1 },
    });
    const whole = 'fanotify sdev:800001 mflags:0 mask:100000 ignored_mask:0';
    expect(parseGroup(fdinfo('28', whole))).toMatchObject({
      class: 'preContent',
      holdsAccesses: true,
      hasUnlimitedMarks: true,
      devices: ['8:1'],
    });
    expect(parseGroup(fdinfo('0', 'fanotify mnt_id:1a mflags:0 mask:20 ignored_mask:0'))).toMatchObject({
      class: 'notification',
      holdsAccesses: false,
      marks: { mount: 1 },
    });
  });

  // In time that grows with their square, this would take far longer than a test may.
  it('with 200,000 marks is counted', () => {
    const line =
      'fanotify ino:1 sdev:1d mflags:0 mask:100 ignored_mask:0 fhandle-bytes:c fhandle-type:1 f_handle:0011223344\n';
    const text = `fanotify flags:200 event-flags:0\n${line.repeat(200_000)}`;
    expect(parseGroup(text).marks.inode).toBe(200_000);
  });
});

describe('the report', () => {
  const covered = (device: number, mounts = 1): Coverage => ({
    device: `0:${device}`,
    type: 'tmpfs',
    kind: 'local',
    source: 'tmpfs',
    places: Array.from({ length: mounts }, (_, i) => Buffer.from(`/m${device}.${i}`)),
    seen: 'covered',
    how: 'filesystem',
    reasons: [],
    answer: 'yes',
    refusing: [],
    markAt: undefined,
  });

  it('is not flooded by many mounts', () => {
    const findings = mountFindings(
      Array.from({ length: 100 }, (_, device) => covered(device, 50)),
      true,
    );
    expect(findings.map(({ what }) => what)).toEqual([
      '/m0.0 [50 mounts], /m1.0 [50 mounts], /m2.0 [50 mounts], /m3.0 [50 mounts] and 96 others (tmpfs): seen as a whole, by one mark each',
    ]);
  });

  it('tells at most ten findings of one kind', () => {
    const one = { id: 'listener', about: 'listeners', level: 'ok', what: 'somebody' } as const;
    const text = reportText('title', Array(25).fill(one), 'end');
    expect(text.match(/somebody/g)).toHaveLength(10);
    expect(text).toContain('and 15 more like listener: --json has them all');
  });
});
