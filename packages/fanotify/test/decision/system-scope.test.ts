// Guards of the system: every file system but those left out. Only what tests have mounted is ever held: by `only`, by the belt that
// `npm test` puts on, and by a look at what a group without permission events would have marked.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GuardCoverage, type GuardOptions, guard } from 'fanotify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FAN_CLASS_NOTIF, FAN_CLOEXEC, FAN_NONBLOCK, FAN_OPEN } from '../../src/abi/index.ts';
import { BELT, beltOf, type SystemLimits } from '../../src/decision/admission.ts';
import { FilesystemMarks, type Found } from '../../src/decision/filesystem-marks.ts';
import { MountTable } from '../../src/identity/mount-table.ts';
import { linuxKernel } from '../../src/kernel/index.ts';
import { canMake, canMount, mountBind, mountImage, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { reads } from './changing.ts';

const ROOT = 0;
const NO_LIMITS: SystemLimits = { types: [], fsids: [], mountPoints: [], only: null };

function mounted(make: () => ScratchMount = mountTmpfs): string {
  const { path, unmount } = make();
  onTestFinished(unmount);
  writeFileSync(join(path, 'file'), 'text');
  return path;
}

/** What would be marked, by marks that notify and hold nobody: as found, and as the kernel has it. */
function dryRun(belt: string | undefined, limits: Partial<SystemLimits>): Found & { readonly devices: string[] } {
  const kernel = linuxKernel();
  const mounts = new MountTable(kernel);
  const fd = kernel.fanotifyInit(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, 0);
  try {
    const group = { fd, mask: FAN_OPEN, belt: beltOf({ [BELT]: belt }, kernel), explain: (error: unknown) => error };
    const found = new FilesystemMarks(kernel, mounts, group, { ...NO_LIMITS, ...limits }).look();
    const marks = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').matchAll(/^fanotify sdev:([0-9a-f]+)/gm);
    // The kernel's own numbers (MKDEV of linux/kdev_t.h).
    const numbers = [...marks].map(([, number = '']) => Number.parseInt(number, 16));
    return { ...found, devices: numbers.map((number) => `${number >>> 20}:${number & 0xfffff}`) };
  } finally {
    mounts.close();
    kernel.close(fd);
  }
}

/** The same for `only`: throws unless nothing but these is held. */
function assertOnly(limits: Partial<SystemLimits>, paths: readonly string[]): void {
  const { held, devices } = dryRun(process.env[BELT], limits);
  const isOwn = held.every(({ mountPoint }) => paths.includes(mountPoint)) && devices.length === held.length;
  if (!isOwn) throw new Error(`more than the test's own would be held: ${JSON.stringify(held)}`);
}

/** A guard of nothing but what is on `paths`. */
async function guardSystem(paths: readonly string[], options: Partial<GuardOptions> = {}) {
  assertOnly({ only: options.only ?? paths }, paths);
  const asked: string[] = [];
  const gate = await guard('/', {
    scope: 'system',
    only: paths,
    deadlineMs: 1_000,
    decide: ({ path }) => {
      asked.push(`${path}`);
      return 'deny';
    },
    ...options,
  });
  onTestFinished(() => gate.close());
  return { gate, asked };
}

const mountPointsOf = (places: GuardCoverage['held']) => places.map(({ mountPoint }) => mountPoint);
const whyOf = ({ notHeld }: Pick<GuardCoverage, 'notHeld'>, path: string) =>
  notHeld.find(({ mountPoint }) => mountPoint === path)?.why;

describe.skipIf(!canMount)('what would be held', () => {
  test('is only what is mounted below the belt, and never the root of everything', () => {
    const [own, bound] = [mounted(), mountBind('/usr')];
    onTestFinished(() => bound.unmount());
    const { held, notHeld, devices } = dryRun(join(own, '..'), {});
    expect(mountPointsOf(held)).toContain(own);
    expect(devices).toHaveLength(held.length);
    expect(whyOf({ notHeld }, '/')).toBe('belt');
    expect(mountPointsOf(held)).not.toContain('/');
    expect(dryRun('', {}).devices).toEqual([]);
    expect(dryRun(own, {}).held).toMatchObject([{ mountPoint: own, type: 'tmpfs' }]);
    // A mount of it elsewhere, and it is not only there.
    const elsewhere = mountBind(own);
    onTestFinished(() => elsewhere.unmount());
    expect(whyOf(dryRun(own, {}), own)).toBe('belt');
  });

  test('is what `only` says, by place and by device', () => {
    const [own, other] = [mounted(), mounted()];
    expect(mountPointsOf(dryRun(undefined, { only: [own] }).held)).toEqual([own]);
    const { held, notHeld } = dryRun(undefined, { only: [own, other] });
    expect(mountPointsOf(held)).toEqual([own, other]);
    expect(whyOf({ notHeld }, '/')).toBe('only');
    const [, device = ''] = held.map((place) => place.device);
    expect(mountPointsOf(dryRun(undefined, { only: [device] }).held)).toEqual([other]);
    // Everything is below '/', but for that it has to be named.
    expect(mountPointsOf(dryRun(undefined, { only: [join(own, '..')] }).held)).not.toContain('/');
  });

  test('is nothing of an excluded type, fsid or mount point', () => {
    const [own, other] = [mounted(), mounted()];
    const only = [own, other];
    const why = (limits: Partial<SystemLimits>) => whyOf(dryRun(process.env[BELT], { only, ...limits }), own);
    expect(why({ types: ['tmpfs'] })).toBe('excludedType');
    expect(why({ types: [statfsSync(own).type] })).toBe('excludedType');
    const fsid = execFileSync('stat', ['--file-system', '--format', '%i', own], { encoding: 'utf8' }).trim();
    expect(why({ fsids: [fsid] })).toBe('excludedFilesystem');
    expect(mountPointsOf(dryRun(process.env[BELT], { only, fsids: [fsid] }).held)).toEqual([other]);
    expect(why({ mountPoints: [own] })).toBe('excludedMount');
    expect(why({})).toBeUndefined();
  });
});

describe.skipIf(!canMount)('a guard of the system', () => {
  test('holds what is on every file system let in, and nothing else', async () => {
    const paths = [mounted(), mounted()];
    if (canMake('ext4')) paths.push(mounted(() => mountImage('ext4')));
    const free = mounted();
    const { gate, asked } = await guardSystem(paths);
    const files = paths.map((path) => join(path, 'file'));
    for (const file of files) expect(await reads(file, ROOT)).toBe(false);
    expect(await reads(join(free, 'file'), ROOT)).toBe(true);
    expect(asked).toEqual(files);
    const coverage = await gate.coverage();
    expect(mountPointsOf(coverage.held).toSorted()).toEqual(paths.toSorted());
    expect(whyOf(coverage, '/')).toBe('only');
    expect(coverage.pseudoTypes).toContain('proc');
    expect(coverage.subtrees).toEqual([]);
  });

  test('holds what is mounted later, until it is unmounted', async () => {
    const path = mounted();
    const { gate } = await guardSystem([path]);
    const next = () => new Promise<Pick<GuardCoverage, 'held'>>((resolve) => gate.on('coverage', resolve));
    for (let round = 0; round < 3; round++) {
      const change = next();
      const later = mountTmpfs(undefined, path);
      writeFileSync(join(later.path, 'file'), '');
      expect(mountPointsOf((await change).held)).toContain(later.path);
      expect(await reads(join(later.path, 'file'), ROOT)).toBe(false);
      later.unmount();
      await expect.poll(async () => mountPointsOf((await gate.coverage()).held)).toEqual([path]);
    }
  });

  test('leaves many mounts and unmounts without a trace', { timeout: 60_000 }, async () => {
    const path = mounted();
    const { gate } = await guardSystem([path]);
    const places = Array.from({ length: 60 }, (_, number) => join(path, `place-${number}`));
    for (const place of places) mkdirSync(place);
    const missed: string[] = [];
    for (const place of places) {
      execFileSync('mount', ['-t', 'tmpfs', 'many', place]);
      writeFileSync(join(place, 'file'), '');
      await expect.poll(async () => mountPointsOf((await gate.coverage()).held)).toContain(place);
      if (await reads(join(place, 'file'), ROOT)) missed.push(place);
    }
    for (const place of places) execFileSync('umount', [place]);
    expect(missed).toEqual([]);
    await expect.poll(async () => mountPointsOf((await gate.coverage()).held)).toEqual([path]);
    const group = readFileSync(`/proc/${gate.responderPid}/fdinfo/${permissionGroupOf(gate.responderPid)}`, 'latin1');
    expect(group.match(/^fanotify sdev/gm)).toHaveLength(1);
  });

  test('is refused by the belt where its file system is mounted elsewhere, whatever its scope', async () => {
    const path = mounted();
    const elsewhere = mountBind('/usr');
    onTestFinished(() => elsewhere.unmount());
    const refusal = (target: string, options: Partial<GuardOptions>) =>
      guard(target, { decide: () => 'allow', deadlineMs: 1_000, ...options }).then(
        () => 'opened',
        (error) => error.message,
      );
    const belt = process.env[BELT];
    process.env[BELT] = join(path, 'nothing');
    onTestFinished(() => {
      process.env[BELT] = belt;
    });
    const sentence = expect.stringContaining('FANOTIFY_GUARD_ONLY does not admit that');
    for (const scope of ['inode', 'mount', 'filesystem', 'subtree'] as const) {
      mkdirSync(join(path, `d-${scope}`));
      expect(await refusal(join(path, `d-${scope}`), { scope })).toEqual(sentence);
      expect(await refusal(elsewhere.path, { scope })).toEqual(sentence);
    }
    expect(await refusal(path, {})).toEqual(sentence);
    expect(await refusal('/', { scope: 'filesystem' })).toEqual(sentence);
  });

  test('is asked for by its name, with sensible limits', async () => {
    const refusal = (target: string, options: object) =>
      guard(target, { decide: () => 'allow', ...options } as GuardOptions).then(
        () => 'opened',
        (error) => error.message,
      );
    expect(await refusal('/', {})).toMatch(/is the root of everything: .* or 'system' for all file systems/);
    expect(await refusal('/tmp', { scope: 'system' })).toMatch(/scope: 'system' is of all file systems/);
    expect(await refusal('/', { scope: 'filesystem', only: ['/tmp'] })).toMatch(/go with scope: 'system'/);
    expect(await refusal('/tmp', { scope: 'inode', crossMounts: true })).toMatch(/crossMounts goes with/);
    const system = { scope: 'system' };
    expect(await refusal('/', { ...system, only: ['tmp'] })).toMatch(/only: tmp is no absolute path or device/);
    expect(await refusal('/', { ...system, excludeType: ['ext4'] })).toMatch(/did you mean "excludeTypes"/);
    expect(await refusal('/', { ...system, excludeFilesystems: ['x'] })).toMatch(/excludeFilesystems: x is no fsid/);
  });
});

/** The descriptor of the first group of a process that has marks of permission events. */
function permissionGroupOf(pid: number | undefined): string {
  const descriptors = execFileSync('ls', [`/proc/${pid}/fd`], { encoding: 'utf8' })
    .trim()
    .split('\n');
  const found = descriptors.find((fd) => {
    return /^fanotify sdev:\S+ mflags:\S+ mask:1....\b/m.test(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'));
  });
  if (found === undefined) throw new Error('no group has a mark');
  return found;
}
