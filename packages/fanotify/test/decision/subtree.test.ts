// What is inside a guarded subtree, and what is not: by where files are, whatever becomes of the directories around them. With real
// guards on file systems mounted for the purpose; whoever opens a file is another process.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GuardedSubtree, guard } from 'fanotify';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { untilHeld } from '../support/held.ts';
import { canMake, type ImageType, mountBind, mountOverlay, mountTmpfs } from '../support/mounts.ts';
import { executes, NOBODY, reads } from './changing.ts';
import { type Denying, denying, isRootsPlace, open, Tree } from './guarded-tree.ts';

const ROOT = 0;

let tree: Tree;

/** A guard that is closed with the test, and must not come to grief. */
async function guarding(...arguments_: Parameters<typeof denying>): Promise<Denying> {
  const denied = await denying(...arguments_);
  onTestFinished(async () => {
    await denied.gate.close();
    expect(denied.errors).toEqual([]);
  });
  return denied;
}

describe.skipIf(!isRootsPlace).each(['tmpfs', 'ext4', 'xfs', 'btrfs'] as const)('a subtree on %s', (type) => {
  const isHere = type === 'tmpfs' || canMake(type as ImageType);
  beforeEach(({ skip }) => {
    if (!isHere) skip(`this machine makes no ${type}`);
    tree = new Tree(type);
  });
  afterEach(() => tree?.mount.unmount());

  test('is asked about, and nothing else of its file system is', async () => {
    const { asked, gate } = await guarding(tree.path('sub'));
    const inside = [tree.path('sub/file'), tree.path('sub/deep/file')];
    const outside = [tree.path('file'), tree.path('out/file'), tree.path('user/file'), tree.path('user/deep/file')];
    expect(await open([...inside, ...outside], NOBODY)).toEqual(outside);
    expect(asked).toEqual(inside.map((path) => `open ${path}`));
    expect(await gate.status()).toMatchObject({ byDecision: 2, denied: 2, outside: 4 });
  });

  test('holds nobody when its responder is killed, though what that hears besides has marks on the way', async () => {
    const { gate } = await denying(tree.path('sub'), { directories: true });
    onTestFinished(() => gate.close());
    expect(await reads(tree.path('out/file'), ROOT)).toBe(true);
    expect(await gate.status()).toMatchObject({ ignoredOutside: 1 });
    const responder = gate.responderPid ?? 0;
    process.kill(responder, 'SIGSTOP');
    const lister = spawn('ls', [tree.mount.path], { stdio: 'ignore' });
    onTestFinished(() => void lister.kill('SIGKILL'));
    await untilHeld(lister.pid as number);
    process.kill(responder, 'SIGKILL');
    expect(await once(lister, 'exit')).toEqual([0, null]);
  });

  test('has what is made in it, and what is moved into it', async () => {
    await guarding(tree.path('sub'));
    tree.make('sub/new/file');
    renameSync(tree.path('user/deep'), tree.path('sub/moved'));
    renameSync(tree.path('user/file'), tree.path('sub/moved-file'));
    const paths = ['sub/new/file', 'sub/moved/file', 'sub/moved-file'].map((path) => tree.path(path));
    expect(await open(paths)).toEqual([]);
  });

  test('has what was moved out of it for a second, and then no more', async () => {
    await guarding(tree.path('sub'));
    renameSync(tree.path('sub/deep'), tree.path('user/was'));
    expect(await reads(tree.path('user/was/file'), NOBODY)).toBe(false);
    await expect.poll(() => reads(tree.path('user/was/file'), NOBODY), { timeout: 10_000 }).toBe(true);
  });

  test("costs nothing in directories that are root's alone, until that changes", async () => {
    const { gate } = await guarding(tree.path('sub'));
    const path = tree.path('out/file');
    for (let opens = 0; opens < 3; opens++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await gate.status()).toMatchObject({ outside: 1, ignoredOutside: 1 });
    chmodSync(tree.path('out'), 0o777);
    await expect.poll(async () => (await gate.status()).ignoredOutside).toBe(0);
    const { outside } = await gate.status();
    for (let opens = 0; opens < 2; opens++) expect(await reads(path, NOBODY)).toBe(true);
    expect(await gate.status()).toMatchObject({ outside: outside + 2, ignoredOutside: 0 });
    chmodSync(tree.path('out'), 0o755);
    expect(await reads(path, NOBODY)).toBe(true);
    expect(await gate.status()).toMatchObject({ ignoredOutside: 1 });
    // By its mark it would go unasked.
    renameSync(tree.path('out'), tree.path('sub/out'));
    await expect.poll(async () => (await gate.status()).ignoredOutside).toBe(0);
    expect(await reads(tree.path('sub/out/file'), NOBODY)).toBe(false);
  });
});

describe.skipIf(!isRootsPlace)('a subtree', () => {
  beforeEach(() => {
    tree = new Tree();
  });
  afterEach(() => tree.mount.unmount());

  test('is what it is through bind mounts, of it elsewhere and of elsewhere in it', async () => {
    mkdirSync(tree.path('sub/mounted'));
    const elsewhere = mountBind(tree.path('sub'));
    onTestFinished(() => elsewhere.unmount());
    execFileSync('mount', ['--bind', tree.path('out'), tree.path('sub/mounted')]);
    const { asked } = await guarding(tree.path('sub'));
    const [inside, outside] = [join(elsewhere.path, 'deep/file'), tree.path('sub/mounted/file')];
    expect(await open([inside, outside])).toEqual([outside]);
    expect(asked).toEqual([`open ${inside}`]);
  });

  test('is what it is through mounts of another namespace', async () => {
    await guarding(tree.path('sub'));
    const script = `
      mount --bind ${tree.path()} ${tree.path('user/deep')} && mount --bind ${tree.path('sub')} ${tree.path('out')} || exit 9
      cat ${tree.path('user/deep/sub/file')}; cat ${tree.path('out/deep/file')}
      cat ${tree.path('user/deep/user/file')} && cat ${tree.path('user/deep/out/file')}`;
    const run = (prefix: string[]) => {
      const child = spawn('unshare', [...prefix, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text) => (output += text));
      return once(child, 'close').then(([code]) => ({ code, output }));
    };
    const { code, output } = await run(['--mount', '--propagation', 'private']);
    expect(output.match(/Operation not permitted/g)).toHaveLength(2);
    expect({ code, text: output.match(/text/g)?.length }).toEqual({ code: 0, text: 2 });
  });

  test('judges a hard link by the path that is opened', async () => {
    linkSync(tree.path('out/file'), tree.path('sub/link'));
    linkSync(tree.path('sub/file'), tree.path('out/link'));
    await guarding(tree.path('sub'));
    const paths = ['sub/link', 'out/link', 'out/file', 'sub/file'].map((path) => tree.path(path));
    expect(await open(paths)).toEqual([tree.path('out/link'), tree.path('out/file')]);
  });

  test('applies no cached denial to a link outside', async () => {
    const content = { verdict: 'deny', cache: true } as const;
    const { gate } = await guarding(tree.path('sub'), { decide: () => content, trust: 'nobody' });
    linkSync(tree.path('sub/file'), tree.path('user/link'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (let opens = 0; opens < 3; opens++) expect(await reads(tree.path('sub/file'), ROOT)).toBe(false);
    expect((await gate.status()).byCache).toBeGreaterThan(0);
    expect(await reads(tree.path('user/link'), ROOT)).toBe(true);
  });

  test('stays the same directory when it is renamed, or one above it', async () => {
    tree.make('up/sub/file');
    const { gate } = await guarding(tree.path('up/sub'));
    renameSync(tree.path('up/sub'), tree.path('up/renamed'));
    tree.make('up/sub/file');
    expect(await open([tree.path('up/renamed/file'), tree.path('up/sub/file')])).toEqual([tree.path('up/sub/file')]);
    renameSync(tree.path('up'), tree.path('down'));
    expect(await reads(tree.path('down/renamed/file'), ROOT)).toBe(false);
    expect((await gate.coverage()).subtrees).toEqual([
      { asked: tree.path('up/sub'), path: tree.path('down/renamed'), gone: null },
    ]);
  });

  test('has nothing in it when it is removed, and says so', async () => {
    const { gate } = await guarding(tree.path('sub'));
    const gone: GuardedSubtree[] = [];
    gate.on('gone', (subtree) => gone.push(subtree));
    rmSync(tree.path('sub'), { recursive: true });
    tree.make('sub/file');
    expect(await reads(tree.path('sub/file'), ROOT)).toBe(true);
    const { subtrees } = await gate.coverage();
    expect(subtrees).toEqual([{ asked: tree.path('sub'), path: tree.path('sub'), gone: 'removed' }]);
    await expect.poll(() => gone).toEqual(subtrees);
    expect(gate.responderPid).toBeGreaterThan(0);
  });

  test('keeps its file system from being unmounted, but not for good', async () => {
    const { gate } = await guarding(tree.path('sub'));
    const gone: GuardedSubtree[] = [];
    gate.on('gone', (subtree) => gone.push(subtree));
    expect(() => execFileSync('umount', [tree.path()], { stdio: 'pipe' })).toThrow(/busy/);
    execFileSync('umount', ['--lazy', tree.path()]);
    await expect.poll(() => gone).toMatchObject([{ gone: 'unmounted' }]);
    execFileSync('mount', ['-t', 'tmpfs', 'again', tree.path()]);
    tree.make('sub/file');
    expect(await reads(tree.path('sub/file'), ROOT)).toBe(true);
  });

  test('has what is mounted in it, also later, unless that is mounted elsewhere too', async () => {
    const before = mountTmpfs(undefined, tree.path('sub'));
    const both = mountTmpfs();
    onTestFinished(() => both.unmount());
    writeFileSync(join(both.path, 'file'), '');
    writeFileSync(join(before.path, 'file'), '');
    mkdirSync(tree.path('sub/both'));
    execFileSync('mount', ['--bind', both.path, tree.path('sub/both')]);
    const { gate } = await guarding(tree.path('sub'));
    const changed = new Promise((resolve) => gate.on('coverage', resolve));
    const after = mountTmpfs(undefined, tree.path('sub'));
    await changed;
    writeFileSync(join(after.path, 'file'), '');
    const elsewhere = tree.path('sub/both/file');
    expect(await open([join(before.path, 'file'), join(after.path, 'file'), elsewhere])).toEqual([elsewhere]);
    const { held, notHeld } = await gate.coverage();
    expect(held.map(({ mountPoint }) => mountPoint)).toEqual([tree.path(), before.path, after.path]);
    expect(notHeld).toMatchObject([{ why: 'elsewhere' }]);
    for (const mount of [before, after]) mount.unmount();
  });

  test('has nothing that is mounted in it with crossMounts: false', async () => {
    const mounted = mountTmpfs(undefined, tree.path('sub'));
    writeFileSync(join(mounted.path, 'file'), '');
    const { gate } = await guarding(tree.path('sub'), { crossMounts: false });
    expect(await open([join(mounted.path, 'file'), tree.path('sub/file')])).toEqual([join(mounted.path, 'file')]);
    expect((await gate.coverage()).notHeld).toMatchObject([{ mountPoint: mounted.path, why: 'crossMounts' }]);
    mounted.unmount();
  });

  test('that is a whole file system needs no look at where things are', async () => {
    const { gate } = await guarding(tree.path());
    expect(await open([tree.path('file'), tree.path('user/file')])).toEqual([]);
    expect(await gate.status()).toMatchObject({ byDecision: 2, outside: 0 });
  });

  test('holds executions, reads and directories as other scopes do', async () => {
    const programs = ['sub/true', 'out/true', 'user/true'].map((path) => tree.path(path));
    for (const program of programs) copyFileSync('/bin/true', program);
    const { gate, asked } = await guarding(tree.path('sub'), { on: ['openExec'] });
    expect(await Promise.all(programs.map((program) => executes(program)))).toEqual([false, true, true]);
    expect(asked).toEqual([`openExec ${tree.path('sub/true')}`]);
    await gate.close();
    const directories = await guarding(tree.path('sub'), { directories: true });
    const list = (path: string) => once(spawn('ls', [path], { stdio: 'ignore' }), 'exit').then(([code]) => code);
    expect(await Promise.all(['sub', 'sub/deep', 'out', '.'].map((path) => list(tree.path(path))))).toEqual([
      2, 2, 0, 0,
    ]);
    await directories.gate.close();
    const access = await guarding(tree.path('sub'), { on: ['access'] });
    expect(await open([tree.path('sub/file'), tree.path('user/file')])).toEqual([tree.path('user/file')]);
    expect(access.asked).toEqual([`access ${tree.path('sub/file')}`]);
  });

  test('keeps verdicts on what is inside, also in the kernel', async () => {
    const { gate, asked } = await guarding(tree.path('sub'), {
      decide: ({ path }) => {
        asked.push(`${path}`);
        return { verdict: 'allow', cache: true };
      },
    });
    const file = tree.path('sub/file');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(await open([tree.path('sub/deep/file'), file, file, file])).toHaveLength(4);
    expect(asked).toEqual([tree.path('sub/deep/file'), file]);
    expect(await gate.status()).toMatchObject({ cached: 1, ignored: 1 });
  });

  test('trusting nobody, lets the kernel ignore nothing', async () => {
    const { gate } = await guarding(tree.path('sub'), { trust: 'nobody' });
    for (let opens = 0; opens < 3; opens++) expect(await reads(tree.path('out/file'), NOBODY)).toBe(true);
    expect(await gate.status()).toMatchObject({ outside: 3, ignoredOutside: 0 });
  });

  test('may be one of several', async () => {
    await guarding([tree.path('sub'), tree.path('user/deep')]);
    const paths = ['sub/file', 'user/deep/file', 'user/file'].map((path) => tree.path(path));
    expect(await open(paths)).toEqual([tree.path('user/file')]);
  });

  test('is the same directory for a responder that is started again', async () => {
    const { gate, errors } = await denying(tree.path('sub'), { restart: true });
    onTestFinished(() => gate.close());
    renameSync(tree.path('sub'), tree.path('renamed'));
    const again = new Promise<void>((resolve) => gate.on('restart', resolve));
    process.kill(gate.responderPid as number, 'SIGKILL');
    await again;
    expect(await open([tree.path('renamed/file'), tree.path('out/file')])).toEqual([tree.path('out/file')]);
    expect(errors).toHaveLength(1);
  });

  test('cannot be a file, nothing, or everything', async () => {
    const refusal = (path: string) =>
      guard(path, { scope: 'subtree', decide: () => 'allow' }).then(
        () => 'opened',
        (error) => error.code,
      );
    expect(await refusal(tree.path('sub/file'))).toBe('NOT_DIRECTORY');
    expect(await refusal(tree.path('missing'))).toBe('NO_SUCH_PATH');
    expect(await refusal('/')).toBe('INVALID_OPTIONS');
    // Where renames are not heard.
    for (const layer of ['lower/sub', 'upper', 'work']) mkdirSync(tree.path(layer), { recursive: true });
    const overlay = mountOverlay(tree.path('lower'), tree.path('upper'), tree.path('work'));
    onTestFinished(() => overlay.unmount());
    expect(await refusal(join(overlay.path, 'sub'))).toBe('UNSUPPORTED_FILESYSTEM');
  });
});

describe.skipIf(!isRootsPlace)('while nobody decides', () => {
  beforeEach(() => {
    tree = new Tree();
  });
  afterEach(() => tree.mount.unmount());

  const outside = () => ['out/file', 'user/file', 'file'].map((path) => tree.path(path));

  test('nobody outside is denied by a deadline, an end, or a full table', async () => {
    const { gate } = await guarding(tree.path('sub'), {
      decide: () => new Promise<'allow'>(() => undefined),
      deadlineMs: 1_000,
      onTimeout: 'deny',
      maxPending: 2,
    });
    const held = Array.from({ length: 8 }, () => reads(tree.path('sub/file'), ROOT));
    const let_ = Array.from({ length: 8 }, () => open(outside(), NOBODY));
    expect(await Promise.all(held)).toEqual(Array(8).fill(false));
    expect(await Promise.all(let_)).toEqual(Array(8).fill(outside()));
    const last = reads(tree.path('sub/file'), ROOT);
    while ((await gate.status()).pending === 0);
    const closing = gate.close();
    expect(await open(outside(), NOBODY)).toEqual(outside());
    await closing;
    expect(await last).toBe(false);
  });

  test('nobody outside is denied when a decide module does not come back', async () => {
    const module = `data:text/javascript,export const decide = () => { for (;;); }`;
    const { gate } = await denying(tree.path('sub'), { decide: module, deadlineMs: 500, onTimeout: 'deny' });
    const closed = new Promise<void>((resolve) => gate.on('close', resolve));
    const held = [reads(tree.path('sub/file'), ROOT), reads(tree.path('sub/deep/file'), ROOT)];
    const let_ = [...outside(), ...outside()].map((path) => reads(path, NOBODY));
    expect(await Promise.all(held)).toEqual([false, false]);
    expect(await Promise.all(let_)).toEqual(Array(6).fill(true));
    await closed;
    expect(readFileSync(tree.path('out/file'), 'utf8')).toBe('text');
  });
});
