// Verdicts that are kept: nobody is asked again while a file is what it was, and the next to open it after any change is asked
// about. With a real guard, on file systems mounted for the purpose; whoever opens or changes a file is another process.

import { chownSync, copyFileSync, linkSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Decision, type Guard, type GuardOptions, guard } from 'fanotify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  canMake,
  canMount,
  mountBind,
  mountImage,
  mountOverlay,
  mountTmpfs,
  type ScratchMount,
} from '../support/mounts.ts';
import { type Changer, compileChanger, executes, hasCompiler, NOBODY, reads } from './changing.ts';

const ROOT = 0;
const MANY = 'x'.repeat(10_000);
// Root's alone with all that leads to it, which the temporary directory is not.
const ROOTS_PLACE = '/run';
const isRootsPlace = canMount && statSync(ROOTS_PLACE).uid === ROOT && (statSync(ROOTS_PLACE).mode & 0o022) === 0;

const FILESYSTEMS = ['tmpfs', 'ext4', 'xfs', 'btrfs'] as const;
type FilesystemType = (typeof FILESYSTEMS)[number];

const mountOf = (type: FilesystemType) =>
  type === 'tmpfs' ? mountTmpfs(undefined, ROOTS_PLACE) : mountImage(type, ROOTS_PLACE);
const isHere = (type: FilesystemType) => isRootsPlace && hasCompiler && (type === 'tmpfs' || canMake(type));

/** Ways to change a file, by c/change.c. */
const WAYS = [
  'write',
  'append',
  'writev',
  'mmap',
  'mmap-read',
  'aio',
  'aio-direct',
  'io_uring',
  'truncate',
  'ftruncate',
  'open-truncate',
  'fallocate',
  'splice',
  'sendfile',
  'copy_file_range',
  'clone',
  'replace',
  'link-write',
  'link',
  'rename',
  'chmod',
  'setuid',
  'chgrp',
  'chown',
  'setxattr',
  'acl',
] as const;

/** What the kernel does not notice of root when it was told to ignore a file: documented at `trust`. */
const SLIPS_PAST_TRUST: readonly string[] = ['mmap', 'mmap-read', 'aio', 'aio-direct'];

let changer: Changer;
beforeAll(() => {
  if (hasCompiler) changer = compileChanger();
});
afterAll(() => changer?.remove());

let names = 0;
/** Makes a file whose last change is too old to be mistaken for the next. */
async function makeFile(directory: string, uid: number): Promise<string> {
  const path = join(directory, `file-${names++}`);
  writeFileSync(path, MANY);
  chownSync(path, uid, uid);
  await clockToTick();
  return path;
}

/** Before Linux 6.13 two changes within a tick of the clock, 10 ms at most, have one ctime: who was just changed is not cached. */
const clockToTick = () => new Promise((resolve) => setTimeout(resolve, 30));

/** A guard that notes what it is asked. */
class Asked {
  readonly #asked: string[] = [];
  readonly gate: Guard;

  private constructor(gate: Guard, asked: string[]) {
    this.gate = gate;
    this.#asked = asked;
  }

  static async guard(
    path: string,
    options: Partial<GuardOptions> = {},
    decision: Decision | (() => Decision | Promise<Decision>) = { verdict: 'allow', cache: true },
  ): Promise<Asked> {
    const asked: string[] = [];
    const gate = await guard(path, {
      scope: 'filesystem',
      deadlineMs: 10_000,
      ...options,
      decide: (request) => {
        asked.push(`${request.kind} ${request.path}`);
        return typeof decision === 'function' ? decision() : decision;
      },
    });
    return new Asked(gate, asked);
  }

  /** What it is asked while something is done. */
  async during(action: () => Promise<unknown>): Promise<string[]> {
    // What the responder has heard before it has dealt with when it answers a second time.
    await this.gate.status();
    await this.gate.status();
    this.#asked.length = 0;
    await action();
    return [...this.#asked];
  }

  /** Whether it is asked when somebody reads the file. */
  async isAskedAbout(path: string, uid: number = ROOT): Promise<boolean> {
    const asked = await this.during(() => reads(path, uid));
    return asked.includes(`open ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gate.close();
  }
}

describe.each(FILESYSTEMS)('on %s', (type) => {
  describe.skipIf(!isHere(type)).each(['root', 'nobody'] as const)('trusting %s', (trust) => {
    let mount: ScratchMount;
    let asked: Asked;
    beforeAll(async () => {
      mount = mountOf(type);
      mkdirSync(join(mount.path, 'nobody'));
      chownSync(join(mount.path, 'nobody'), NOBODY, NOBODY);
      mkdirSync(join(mount.path, 'root'));
      asked = await Asked.guard(mount.path, { trust });
    });
    afterAll(async () => {
      await asked?.gate.close();
      mount?.unmount();
    });

    describe.each([
      ['root', ROOT],
      ['nobody', NOBODY],
    ])("%s's file", (owner, uid) => {
      const directory = () => join(mount.path, owner);
      // Who may write to a file can change it in ways that nothing shows: no verdict on what others than root may write to is kept.
      const isKept = owner === 'root';

      test(isKept ? 'is asked about once' : 'is asked about each time', async () => {
        const path = await makeFile(directory(), uid);
        // The first verdict that is to be kept begins to look: on tmpfs the second is the first that can be.
        await asked.isAskedAbout(path);
        await asked.isAskedAbout(path);
        expect(await asked.isAskedAbout(path)).toBe(!isKept);
        expect(await asked.isAskedAbout(path, NOBODY)).toBe(!isKept);
      });

      const ways = uid === ROOT ? WAYS : WAYS.filter((way) => way !== 'chown');
      test.each(ways)('is asked about again after %s', async (way) => {
        const path = await makeFile(directory(), uid);
        expect(await asked.isAskedAbout(path)).toBe(true);
        expect(await asked.isAskedAbout(path)).toBe(!isKept);
        if (!(await changer.change(way, path, uid))) return;
        const slips = trust === 'root' && uid === ROOT && SLIPS_PAST_TRUST.includes(way);
        expect(await asked.isAskedAbout(path)).toBe(!slips);
      });
    });
  });
});

describe.skipIf(!isHere('ext4'))('a guard of ext4', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountImage('ext4', ROOTS_PLACE);
  });
  afterAll(() => mount?.unmount());

  test.each(['root', 'nobody'] as const)(
    'trusting %s asks about who wrote by a mapping made before the verdict',
    async (trust) => {
      await using asked = await Asked.guard(mount.path, { trust });
      const path = await makeFile(mount.path, ROOT);
      const holder = await changer.hold('held-mmap', path, ROOT);
      expect(await asked.isAskedAbout(path)).toBe(true);
      // There is a writer: nothing is kept.
      expect(await asked.isAskedAbout(path)).toBe(true);
      await holder?.go();
      expect(await asked.isAskedAbout(path)).toBe(true);
    },
  );

  test.each(['root', 'nobody'] as const)(
    'trusting %s keeps no verdict on what was written to meanwhile',
    async (trust) => {
      let changeNow: (() => Promise<unknown>) | undefined;
      await using asked = await Asked.guard(mount.path, { trust, exempt: [{ uid: NOBODY }] }, async () => {
        const change = changeNow;
        changeNow = undefined;
        await change?.();
        return { verdict: 'allow', cache: true };
      });
      await asked.isAskedAbout(await makeFile(mount.path, ROOT));
      const path = await makeFile(mount.path, ROOT);
      // This process's own accesses are not held.
      changeNow = async () => writeFileSync(path, 'changed');
      expect(await asked.isAskedAbout(path)).toBe(true);
      await clockToTick();
      expect(await asked.isAskedAbout(path)).toBe(true);
      expect(await asked.isAskedAbout(path)).toBe(false);
    },
  );

  test('asks about a file that is changed through an overlay, a hard link and a bind mount', async () => {
    for (const name of ['upper', 'work', 'lower']) mkdirSync(join(mount.path, name));
    const overlay = mountOverlay(join(mount.path, 'lower'), join(mount.path, 'upper'), join(mount.path, 'work'));
    const bind = mountBind(mount.path);
    await using asked = await Asked.guard(mount.path, { trust: 'root' });
    const inUpper = await makeFile(join(mount.path, 'upper'), ROOT);
    const name = inUpper.slice(join(mount.path, 'upper').length);
    for (const way of [overlay.path + name, bind.path + inUpper.slice(mount.path.length)]) {
      await asked.isAskedAbout(inUpper);
      expect(await asked.isAskedAbout(inUpper)).toBe(false);
      await changer.change('write', way, ROOT);
      await clockToTick();
      expect(await asked.isAskedAbout(inUpper), way).toBe(true);
    }
    linkSync(inUpper, `${inUpper}.link`);
    await clockToTick();
    await asked.isAskedAbout(inUpper);
    await changer.change('write', `${inUpper}.link`, ROOT);
    await clockToTick();
    expect(await asked.isAskedAbout(inUpper)).toBe(true);
    overlay.unmount();
    bind.unmount();
  });

  test('keeps denials in the responder, and each kind of access by itself', async () => {
    await using denying = await Asked.guard(mount.path, {}, { verdict: 'deny', cache: true });
    const path = await makeFile(mount.path, ROOT);
    expect(await reads(path, ROOT)).toBe(false);
    expect(await denying.isAskedAbout(path)).toBe(false);
    expect(await reads(path, ROOT)).toBe(false);
    await denying.gate.close();
    await using asked = await Asked.guard(mount.path, { on: ['open', 'openExec'] });
    const program = join(mount.path, 'true');
    copyFileSync('/bin/true', program);
    await clockToTick();
    await reads(program, ROOT);
    expect(await asked.during(() => executes(program))).toEqual([`openExec ${program}`]);
    expect(await asked.during(() => executes(program))).toEqual([]);
  });

  test.each(['root', 'nobody'] as const)(
    'trusting %s forgets everything when it is told to, and holds no more than it may',
    async (trust) => {
      await using asked = await Asked.guard(mount.path, { trust, maxCached: 10 });
      const paths: string[] = [];
      for (let count = 0; count < 15; count++) paths.push(await makeFile(mount.path, ROOT));
      for (const path of paths) await reads(path, ROOT);
      const last = paths.at(-1) ?? '';
      expect(await asked.isAskedAbout(last)).toBe(false);
      const { cached, ignored } = await asked.gate.status();
      expect(cached).toBe(10);
      expect(ignored).toBeLessThanOrEqual(trust === 'root' ? 10 : 0);
      await asked.gate.forget();
      expect(await asked.gate.status()).toMatchObject({ cached: 0, ignored: 0 });
      expect(await asked.isAskedAbout(last)).toBe(true);
    },
  );
});
