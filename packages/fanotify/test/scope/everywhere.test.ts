// The whole system: what is heard, what is left out and why, and that no mount is missed that lasts 50 ms.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LimitError } from '../../src/group/errors.ts';
import { ERRNO, type Kernel, KernelError, limitKernel, linuxKernel } from '../../src/kernel/index.ts';
import {
  type GlobalListener,
  type ListenEverywhereEvent,
  type ListenEverywhereOptions,
  listenEverywhere,
} from '../../src/scope/global-listener.ts';
import type { SystemCoverageChange } from '../../src/scope/system-coverage.ts';
import { canMount, mountBind, mountImage, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

const DEADLINE_MS = 15_000;

let base: ScratchMount;
const open: GlobalListener[] = [];
const scratch: ScratchMount[] = [];

/** A listener, what it told, and what became of its coverage. */
async function everywhere(options: Partial<ListenEverywhereOptions> = {}) {
  const changes: SystemCoverageChange[] = [];
  const told: ListenEverywhereEvent[] = [];
  let wake = () => {};
  const listener = await listenEverywhere({
    events: ['create'],
    namespaces: false,
    ...options,
    onCoverage: (change) => {
      changes.push(change);
      wake();
    },
  });
  open.push(listener);
  const ended = (async () => {
    for await (const batch of listener.batches()) {
      told.push(...batch);
      wake();
    }
  })().finally(() => wake());
  ended.catch(() => undefined);
  const until = async (holds: () => boolean) => {
    const deadline = Date.now() + DEADLINE_MS;
    while (!holds()) {
      if (Date.now() > deadline) throw new Error('not told in time');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  // Others are at work on the same machine.
  const all = () => told.flatMap((event) => ('path' in event && event.path !== null ? [event.path] : []));
  const paths = () => all().filter((path) => path.includes(base.path));
  return {
    listener,
    changes,
    told,
    ended,
    until,
    paths,
    heard: (mountPoint: string) => {
      const isHeard = ({ change, filesystem }: SystemCoverageChange) =>
        change === 'heard' && filesystem.mountPoint === mountPoint;
      return until(() => changes.some(isHeard));
    },
    told_: (path: string) => until(() => all().includes(path)),
  };
}

const why = (listener: GlobalListener, mountPoint: string) =>
  listener.coverage().notHeard.find((filesystem) => filesystem.mountPoint === mountPoint)?.why;
const isHeard = (listener: GlobalListener, mountPoint: string) =>
  listener.coverage().heard.some((filesystem) => filesystem.mountPoint === mountPoint);
const mount = (...args: Parameters<typeof mountTmpfs>) => {
  const one = mountTmpfs(...args);
  scratch.push(one);
  return one;
};
const write = (...path: string[]) => writeFileSync(join(...path), '');

describe.skipIf(!canMount)('listenEverywhere()', () => {
  beforeEach(() => {
    base = mountTmpfs();
  });
  afterEach(async () => {
    for (const listener of open.splice(0)) await listener.close();
    for (const one of scratch.splice(0).reverse()) one.unmount();
    base.unmount();
  });

  it('hears file systems that are there, that come, and that come back in place of others', async () => {
    const there = mount(undefined, base.path);
    const { heard, told_, until, changes, paths } = await everywhere();
    write(there.path, 'a');
    await told_(join(there.path, 'a'));
    const later = mount(undefined, base.path);
    await heard(later.path);
    write(later.path, 'b');
    await told_(join(later.path, 'b'));
    // The number of its device is given on, and the place is the same.
    spawnSync('umount', [later.path]);
    spawnSync('mount', ['-t', 'tmpfs', 'other', later.path]);
    const timesHeard = () =>
      changes.filter((one) => one.change === 'heard' && one.filesystem.mountPoint === later.path);
    await until(() => timesHeard().length === 2);
    write(later.path, 'c');
    await told_(join(later.path, 'c'));
    const expected = [join(there.path, 'a'), later.path, join(later.path, 'b'), join(later.path, 'c')];
    expect(paths()).toEqual(expected);
  });

  it('says what it leaves out, and why', async () => {
    const fsidOf = (path: string) => spawnSync('stat', ['-f', '-c', '%i', path], { encoding: 'utf8' }).stdout.trim();
    const single = mount(undefined, base.path);
    const excluded = mount(undefined, base.path);
    const below = mount(undefined, excluded.path);
    const options = { excludeFilesystems: [fsidOf(single.path)], excludeMounts: [`${excluded.path}/`] };
    const { listener, told_, paths } = await everywhere(options);
    expect(why(listener, '/proc')).toBe('pseudo');
    expect(why(listener, single.path)).toBe('excludedFilesystem');
    expect(why(listener, excluded.path)).toBe('excludedMount');
    expect(isHeard(listener, below.path)).toBe(true);
    for (const directory of [single, excluded, below, base]) write(directory.path, 'new');
    await told_(join(base.path, 'new'));
    expect(paths().sort()).toEqual([join(base.path, 'new'), join(below.path, 'new')].sort());
    expect(listener.coverage().blindSpots.map(({ name }) => name)).toContain('memoryFiles');
  });

  it.each([
    ['a name', 'tmpfs'],
    ['the number of statfs(2)', 0x0102_1994],
  ])('leaves out a type by %s', async (_how, type) => {
    const image = mountImage('ext4', base.path);
    scratch.push(image);
    const { listener, told_, paths } = await everywhere({ excludeTypes: [type] });
    expect(why(listener, base.path)).toBe('excludedType');
    expect(isHeard(listener, image.path)).toBe(true);
    write(base.path, 'no');
    write(image.path, 'yes');
    await told_(join(image.path, 'yes'));
    expect(paths().filter((path) => path.startsWith(base.path))).toEqual([join(image.path, 'yes')]);
  });

  it('hears a file system by its other mount where one is excluded', async () => {
    const whole = mount(undefined, base.path);
    const other = mountBind(whole.path);
    scratch.push(other);
    const { listener, told_ } = await everywhere({ excludeMounts: [whole.path] });
    expect(isHeard(listener, other.path)).toBe(true);
    write(whole.path, 'new');
    await told_(join(other.path, 'new'));
  });

  it('hears what comes to light when what was mounted over it goes', async () => {
    const covered = mount(undefined, base.path);
    spawnSync('mount', ['-t', 'tmpfs', 'over', covered.path]);
    const { listener, told_, until } = await everywhere();
    expect(why(listener, covered.path)).toBe('hidden');
    spawnSync('umount', [covered.path]);
    await until(() => why(listener, covered.path) === undefined);
    write(covered.path, 'light');
    await told_(join(covered.path, 'light'));
  });

  it('misses none of 200 mounts that last 50 ms, with 60 others there, and keeps nothing of them', {
    timeout: 60_000,
  }, async () => {
    for (let i = 0; i < 60; i++) mount(64 * 1024, base.path);
    const { listener, paths, until } = await everywhere();
    const places = Array.from({ length: 200 }, (_, i) => join(base.path, `short-${i}`));
    for (const place of places) mkdirSync(place);
    const before = { descriptors: readdirSync('/proc/self/fd').length, heard: listener.coverage().heard.length };
    // By processes of their own: this one must be free to hear.
    const brief = 'mount -t tmpfs -o size=64k short $0 && sleep 0.045 && echo > $0/file && sleep 0.005 && umount -l $0';
    const churn = 'read go; for place; do sh -c "$0" "$place" || exit 1; done';
    const thirds = [0, 1, 2].map((third) => places.filter((_, index) => index % 3 === third));
    const loads = thirds.map((some) => {
      return spawn('sh', ['-c', churn, brief, ...some], { stdio: ['pipe', 'inherit', 'inherit'] });
    });
    const ends = loads.map((load) => once(load, 'exit'));
    // Starting a process takes a while, during which nothing is heard.
    for (const load of loads) load.stdin.write('\n');
    expect((await Promise.all(ends)).map(([status]) => status)).toEqual([0, 0, 0]);
    const expected = places.map((place) => join(place, 'file'));
    await until(() => paths().filter((path) => path.endsWith('/file')).length >= expected.length);
    expect(
      paths()
        .filter((path) => path.endsWith('/file'))
        .sort(),
    ).toEqual(expected.sort());
    await until(() => listener.coverage().heard.length === before.heard);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before.descriptors);
    for (const place of places) rmdirSync(place);
  });

  it('fails rather than go on half blind when there are not marks enough for a new mount', async () => {
    const kernel = linuxKernel();
    let isFull = false;
    const full: Kernel = new Proxy(kernel, {
      get: (target, name: keyof Kernel) => {
        if (name === 'fanotifyMark' && isFull) {
          return () => {
            throw new KernelError('fanotify_mark', ERRNO.ENOSPC);
          };
        }
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const { ended } = await everywhere({ kernel: full });
    isFull = true;
    mount(undefined, base.path);
    await expect(ended).rejects.toBeInstanceOf(LimitError);
  });

  it.each([
    ['', linuxKernel],
    ['before Linux 6.15 (emulated)', () => limitKernel(linuxKernel(), '6.12')],
  ])('hears what is mounted in another mount namespace alone %s', async (_how, kernel) => {
    const { told_, until, listener } = await everywhere({ namespaces: true, kernel: kernel() });
    const script = `echo; read go; mount -t tmpfs there ${base.path}; echo; read go; echo > ${base.path}/file; echo; read go`;
    const shell = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script]);
    const lines = shell.stdout[Symbol.asyncIterator]();
    await lines.next();
    shell.stdin.write('\n');
    await lines.next();
    const there = () => {
      const { heard } = listener.coverage();
      return heard.filter(({ mountPoint, namespace }) => mountPoint === base.path && namespace !== null);
    };
    await until(() => there().length === 1);
    shell.stdin.write('\n');
    await told_(`/proc/${shell.pid ?? 0}/root${base.path}/file`);
    // Nothing keeps the namespace, or what is mounted there.
    shell.stdin.end('\n');
    await once(shell, 'exit');
    await until(() => there().length === 0);
  });
});

it.skipIf(process.getuid?.() === 0)('listenEverywhere() says that it takes root', async () => {
  await expect(listenEverywhere({ events: ['create'] })).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
});

it.each([
  [{ events: [] }, 'needs events'],
  [{ events: ['create'], excludeType: ['tmpfs'] }, 'did you mean "excludeTypes"'],
  [{ events: ['create'], excludeFilesystems: ['xyz'] }, 'is no fsid'],
  [{ events: ['create'], excludeMounts: ['proc'] }, 'absolute'],
  [{ events: ['create'], excludeTypes: ['proc'], includeTypes: ['proc'] }, 'both'],
  [{ events: ['openPerm'] }, 'guard()'],
])('listenEverywhere(%j) is refused with a sentence', async (options, sentence) => {
  await expect(listenEverywhere(options as unknown as ListenEverywhereOptions)).rejects.toThrow(sentence);
});
