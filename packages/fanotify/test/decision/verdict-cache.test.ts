// Verdicts that are kept: nobody is asked again while a file is what it was, and the next to open it after any change is asked
// about. With a real guard, on file systems mounted for the purpose; whoever opens or changes a file is another process.

import { chmodSync, chownSync, copyFileSync, linkSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Decision, type Guard, type GuardOptions, guard } from 'fanotify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  canMake,
  canMount,
  type ImageType,
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

type FilesystemType = 'tmpfs' | ImageType;

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
function makeYoungFile(directory: string, uid: number): string {
  const path = join(directory, `file-${names++}`);
  writeFileSync(path, MANY);
  chownSync(path, uid, uid);
  return path;
}

/** Makes a file whose last change is too old to be mistaken for the next. */
async function makeFile(directory: string, uid: number): Promise<string> {
  const path = makeYoungFile(directory, uid);
  await clockToTick();
  return path;
}

/** The first verdict that is meant to be kept is not: with it the responder begins to look at files before they are decided on. */
const beginToKeep = (directory: string) => reads(makeYoungFile(directory, ROOT), ROOT);

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

// What ends an ignore mask is the same on all file systems, what changes ctime and who is a writer is not. Who may write to a file
// can change it in ways that nothing shows (tmpfs shows least): no verdict on what others than root may write to is kept.
const CASES = [
  { type: 'tmpfs', trust: 'root', owner: 'root' },
  { type: 'tmpfs', trust: 'nobody', owner: 'root' },
  { type: 'tmpfs', trust: 'root', owner: 'nobody' },
  { type: 'ext4', trust: 'root', owner: 'root' },
  { type: 'ext4', trust: 'nobody', owner: 'root' },
  { type: 'ext4', trust: 'nobody', owner: 'nobody' },
  { type: 'xfs', trust: 'nobody', owner: 'root' },
  { type: 'btrfs', trust: 'nobody', owner: 'root' },
] as const;

describe.each(CASES)("on $type, trusting $trust, $owner's file", ({ type, trust, owner }) => {
  describe.skipIf(!isHere(type))('is asked about', () => {
    const uid = owner === 'root' ? ROOT : NOBODY;
    const isKept = owner === 'root';
    const slips = (way: string) => trust === 'root' && isKept && SLIPS_PAST_TRUST.includes(way);
    const ways = WAYS.filter((way) => uid === ROOT || way !== 'chown');
    const files = new Map<string, string>();
    let mount: ScratchMount;
    let asked: Asked;
    beforeAll(async () => {
      mount = mountOf(type);
      const directory = join(mount.path, owner);
      mkdirSync(directory);
      chownSync(directory, uid, uid);
      for (const name of ['none', ...ways]) files.set(name, makeYoungFile(directory, uid));
      await clockToTick();
      asked = await Asked.guard(mount.path, { trust });
      await beginToKeep(mount.path);
    });
    afterAll(async () => {
      await asked?.gate.close();
      mount?.unmount();
    });

    test(isKept ? 'once' : 'each time', async () => {
      const path = files.get('none') ?? '';
      expect(await asked.isAskedAbout(path)).toBe(true);
      expect(await asked.isAskedAbout(path)).toBe(!isKept);
      expect(await asked.isAskedAbout(path, NOBODY)).toBe(!isKept);
    });

    test.each(ways.filter((way) => !slips(way)))('again after %s', async (way) => {
      const path = files.get(way) ?? '';
      expect(await asked.isAskedAbout(path)).toBe(true);
      expect(await asked.isAskedAbout(path)).toBe(!isKept);
      if (await changer.change(way, path, uid)) expect(await asked.isAskedAbout(path)).toBe(true);
    });

    test.each(ways.filter(slips))('not again after %s, which the kernel does not notice of root', async (way) => {
      const path = files.get(way) ?? '';
      expect(await asked.isAskedAbout(path)).toBe(true);
      await changer.change(way, path, uid);
      expect(await asked.isAskedAbout(path)).toBe(false);
    });
  });
});

describe.skipIf(!isHere('ext4'))('a guard of ext4', () => {
  let mount: ScratchMount;
  beforeAll(() => {
    mount = mountImage('ext4', ROOTS_PLACE);
  });
  afterAll(() => mount?.unmount());

  describe.each(['root', 'nobody'] as const)('trusting %s', (trust) => {
    test.each(['held-write', 'held-aio', 'held-mmap', 'held-mmap-dirty'])(
      'keeps no verdict while somebody may write: %s',
      async (way) => {
        await using asked = await Asked.guard(mount.path, { trust });
        await beginToKeep(mount.path);
        const path = await makeFile(mount.path, ROOT);
        const holder = await changer.hold(way, path, ROOT);
        await clockToTick();
        expect(await asked.isAskedAbout(path)).toBe(true);
        expect(await asked.isAskedAbout(path)).toBe(true);
        await holder?.go();
        expect(await asked.isAskedAbout(path)).toBe(true);
      },
    );

    // To a page that is dirty already one writes with no sign: nobody but the writer himself is to be seen, while he is there.
    test.each([
      { way: 'held-write', isFirst: true },
      { way: 'held-mmap', isFirst: true },
      { way: 'held-mmap-dirty', isFirst: true },
      { way: 'held-write', isFirst: false },
      { way: 'held-mmap', isFirst: false },
      { way: 'held-mmap-dirty', isFirst: false },
    ])('keeps no verdict whose awaiting outlasted a writer: $way, first of all: $isFirst', async ({ way, isFirst }) => {
      const path = makeYoungFile(mount.path, ROOT);
      // He may write when he opens it, and not any more when it is asked about.
      chmodSync(path, 0o666);
      const holder = await changer.hold(way, path, NOBODY);
      chmodSync(path, 0o644);
      await clockToTick();
      let go: (() => Promise<void>) | undefined;
      await using asked = await Asked.guard(mount.path, { trust }, async () => {
        await go?.();
        go = undefined;
        return { verdict: 'allow', cache: true };
      });
      if (!isFirst) await beginToKeep(mount.path);
      go = holder?.go;
      expect(await asked.isAskedAbout(path)).toBe(true);
      expect(go).toBeUndefined();
      expect(await asked.isAskedAbout(path)).toBe(true);
    });

    test('keeps no verdict that was awaited while it was told to forget', async () => {
      let whileAwaited: (() => Promise<void>) | undefined;
      await using asked = await Asked.guard(mount.path, { trust }, async () => {
        await whileAwaited?.();
        whileAwaited = undefined;
        return { verdict: 'allow', cache: true };
      });
      await beginToKeep(mount.path);
      const path = await makeFile(mount.path, ROOT);
      whileAwaited = () => asked.gate.forget();
      expect(await asked.isAskedAbout(path)).toBe(true);
      expect(await asked.isAskedAbout(path)).toBe(true);
      expect(await asked.isAskedAbout(path)).toBe(false);
    });

    test('keeps no verdict that is not said to be kept', async () => {
      await using asked = await Asked.guard(mount.path, { trust }, 'allow');
      const path = await makeFile(mount.path, ROOT);
      for (let time = 0; time < 3; time++) expect(await asked.isAskedAbout(path)).toBe(true);
      expect(await asked.gate.status()).toMatchObject({ byDecision: 3, byCache: 0, cached: 0, ignored: 0 });
    });
  });

  test("lets the kernel ask no more about root's files, trusting root, and answers itself, trusting nobody", async () => {
    const path = await makeFile(mount.path, ROOT);
    {
      await using asked = await Asked.guard(mount.path, { trust: 'root' });
      await beginToKeep(mount.path);
      for (let time = 0; time < 5; time++) await reads(path, NOBODY);
      const status = await asked.gate.status();
      expect(status).toMatchObject({ allowed: 2 + status.own, byDecision: 2, byCache: 0, cached: 1, ignored: 1 });
    }
    await using asked = await Asked.guard(mount.path, { trust: 'nobody' });
    await beginToKeep(mount.path);
    for (let time = 0; time < 5; time++) await reads(path, NOBODY);
    expect(await asked.gate.status()).toMatchObject({ byDecision: 2, byCache: 4, cached: 1, ignored: 0 });
  });

  test.each<[string, { cached: number }, (path: string, directory: string) => void]>([
    ['that its group may write to', { cached: 0 }, (path) => chmodSync(path, 0o664)],
    ['that anybody may write to', { cached: 0 }, (path) => chmodSync(path, 0o646)],
    ['of somebody else', { cached: 0 }, (path) => chownSync(path, NOBODY, ROOT)],
    ['that has another name', { cached: 1 }, (path) => linkSync(path, `${path}.link`)],
    ['in a directory of somebody else', { cached: 1 }, (_path, directory) => chownSync(directory, NOBODY, ROOT)],
    ['in a directory that others may write to', { cached: 1 }, (_path, directory) => chmodSync(directory, 0o1777)],
  ])('lets the kernel ask about a file %s', async (_which, { cached }, change) => {
    await using asked = await Asked.guard(mount.path, { trust: 'root' });
    await beginToKeep(mount.path);
    const directory = join(mount.path, `directory-${names++}`);
    mkdirSync(directory);
    const path = makeYoungFile(directory, ROOT);
    change(path, directory);
    await clockToTick();
    await reads(path, ROOT);
    await reads(path, ROOT);
    expect(await asked.gate.status()).toMatchObject({ cached, byCache: cached, ignored: 0 });
  });

  test('asks about a file that is changed through an overlay, a hard link and a bind mount', async () => {
    for (const name of ['upper', 'work', 'lower']) mkdirSync(join(mount.path, name));
    const overlay = mountOverlay(join(mount.path, 'lower'), join(mount.path, 'upper'), join(mount.path, 'work'));
    const bind = mountBind(mount.path);
    await using asked = await Asked.guard(mount.path, { trust: 'root' });
    await beginToKeep(mount.path);
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
    await beginToKeep(mount.path);
    const path = await makeFile(mount.path, ROOT);
    expect(await reads(path, ROOT)).toBe(false);
    expect(await denying.isAskedAbout(path)).toBe(false);
    expect(await reads(path, ROOT)).toBe(false);
    await denying.gate.close();
    await using asked = await Asked.guard(mount.path, { on: ['open', 'openExec'] });
    await beginToKeep(mount.path);
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
      await beginToKeep(mount.path);
      for (let count = 0; count < 15; count++) paths.push(makeYoungFile(mount.path, ROOT));
      await clockToTick();
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

describe.skipIf(!isRootsPlace)('a guard keeps nothing', () => {
  const isNeverKept = async (place: string, directory: string = place) => {
    await using asked = await Asked.guard(place, {});
    await beginToKeep(directory);
    const path = await makeFile(directory, ROOT);
    for (let time = 0; time < 3; time++) expect(await asked.isAskedAbout(path)).toBe(true);
    expect(await asked.gate.status()).toMatchObject({ cached: 0, ignored: 0 });
  };

  // A mapping of a file on an overlay is none of it, but of the one below: no writer is seen.
  test('of an overlay', async () => {
    const below = mountTmpfs(undefined, ROOTS_PLACE);
    for (const name of ['upper', 'work', 'lower']) mkdirSync(join(below.path, name));
    const overlay = mountOverlay(join(below.path, 'lower'), join(below.path, 'upper'), join(below.path, 'work'));
    await isNeverKept(overlay.path);
    overlay.unmount();
    below.unmount();
  });

  // A change in the same second would have the same ctime.
  test.skipIf(!canMake('ext2'))('where times are in seconds', async () => {
    const mount = mountImage('ext2', ROOTS_PLACE);
    await isNeverKept(mount.path);
    mount.unmount();
  });
});

describe.skipIf(!isHere('ext4'))('content that is there for good', () => {
  let mount: ScratchMount;
  let path: string;
  beforeAll(() => {
    mount = mountImage('ext4', ROOTS_PLACE);
    path = makeYoungFile(mount.path, ROOT);
  });
  afterAll(() => mount.unmount());
  const always = { verdict: 'allow', cache: 'always' } as const;
  const isAsked = async (asked: Asked) => (await asked.during(() => reads(path, ROOT))).length > 0;

  test('is not asked about again until all is forgotten', async () => {
    await using asked = await Asked.guard(mount.path, { on: ['preAccess'] }, always);
    expect(await isAsked(asked)).toBe(true);
    expect(await isAsked(asked)).toBe(false);
    await asked.gate.forget();
    expect(await isAsked(asked)).toBe(true);
  });

  test('is asked about again when all was forgotten while it was decided on', async () => {
    let decide: () => void = () => undefined;
    const asking = new Promise<void>((resolve) => {
      decide = resolve;
    });
    let give: (decision: Decision) => void = () => undefined;
    let isFirst = true;
    await using asked = await Asked.guard(mount.path, { on: ['preAccess'] }, () => {
      if (!isFirst) return 'allow';
      isFirst = false;
      decide();
      return new Promise((resolve) => {
        give = resolve;
      });
    });
    const first = reads(path, ROOT);
    await asking;
    await asked.gate.forget();
    give(always);
    await first;
    expect(await isAsked(asked)).toBe(true);
  });

  test('is asked about each time where the guard is of the file: to forget one would be to forget the guard', async () => {
    await using asked = await Asked.guard(path, { on: ['preAccess'], scope: 'inode' }, always);
    expect(await isAsked(asked)).toBe(true);
    expect(await isAsked(asked)).toBe(true);
    await asked.gate.forget();
    expect(await isAsked(asked)).toBe(true);
  });
});
