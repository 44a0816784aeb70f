// Guards on every Linux that is supported, emulated, both in the owner and in the responder: what works on all of them, and what becomes
// of what a Linux lacks (docs/deciding.md, "On older kernels"). With real processes on a real mount.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuardOptions, PermissionRequest } from 'fanotify';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AT_FDCWD, O_RDWR } from '../../src/abi/index.ts';
import { ERRNO, linuxKernel } from '../../src/kernel/index.ts';
import { compareVersions, parseVersion } from '../../src/kernel/version.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';
import { libraryAsLinux, type OlderLibrary } from '../support/older-library.ts';

// Root's alone with all that leads to it, as verdicts that are kept in the kernel ask for.
const ROOTS_PLACE = '/run';
const isRootsPlace = canMount && statSync(ROOTS_PLACE).uid === 0 && (statSync(ROOTS_PLACE).mode & 0o022) === 0;
const OWN = canMount ? parseVersion(linuxKernel().release) : undefined;
const VERSIONS = ['5.13', '5.15', '5.19', '6.0', '6.3', '6.14', ...(OWN ? [`${OWN[0]}.${OWN[1]}`] : [])].filter(
  (version) => !OWN || compareVersions(parseVersion(version), OWN) <= 0,
);
// fcntl(2).
const F_SETLEASE = 1024;
const F_WRLCK = 1;

const PERMITTED = '';
const EPERM = 'Operation not permitted';

describe.skipIf(!isRootsPlace).each(VERSIONS)('a guard as Linux %s', (version) => {
  const has = (since: string) => compareVersions(parseVersion(version), parseVersion(since)) >= 0;
  let library: OlderLibrary;
  let mount: ScratchMount;
  beforeAll(async () => {
    library = await libraryAsLinux(version);
    mount = mountTmpfs(undefined, ROOTS_PLACE);
  });
  afterAll(() => {
    mount.unmount();
    library.remove();
  });

  let names = 0;
  function makeFile(content = 'text'): string {
    const path = join(mount.path, `file-${names++}`);
    writeFileSync(path, content);
    return path;
  }

  /** A guard that must not come to grief. */
  async function guard(options: GuardOptions, path = mount.path) {
    const gate = await library.exports.guard(path, { deadlineMs: 20_000, ...options });
    const errors: string[] = [];
    gate.on('error', (error) => errors.push(error.message));
    onTestFinished(() => gate.close());
    return { gate, errors };
  }

  test('allows and denies by what it is told of the access', async () => {
    const [good, bad] = [makeFile('good'), makeFile('bad')];
    const seen: unknown[] = [];
    const decide = ({ kind, path, process }: PermissionRequest) => {
      seen.push([kind, path, process?.comm]);
      return path === bad ? 'deny' : 'allow';
    };
    const { gate, errors } = await guard({ decide, directories: true });
    expect([await cat(good), await cat(bad)]).toEqual([PERMITTED, EPERM]);
    expect(seen).toEqual([good, bad].map((path) => ['open', path, 'cat']));
    expect(await gate.status()).toMatchObject({ allowed: 1, denied: 1, pending: 0 });
    expect(errors).toEqual([]);
  });

  test.each(['inode', 'mount', 'filesystem'] as const)('has the scope %s', async (scope) => {
    const [file, other] = [makeFile(), makeFile()];
    const { errors } = await guard({ decide: () => 'deny', scope }, file);
    expect([await cat(file), await cat(other)]).toEqual([EPERM, scope === 'inode' ? PERMITTED : EPERM]);
    expect(errors).toEqual([]);
  });

  test('has the scope subtree, and lets in what is outside', async () => {
    const [sub, out, user] = ['sub', 'out', 'user'].map((name) => join(mount.path, `${name}-${names}`));
    if (!sub || !out || !user) throw new Error('no names');
    for (const directory of [sub, out, user]) {
      mkdirSync(directory);
      writeFileSync(join(directory, 'file'), '');
    }
    for (const directory of [sub, user]) chmodSync(directory, 0o777);
    const { gate, errors } = await guard({ decide: () => 'deny', scope: 'subtree' }, sub);
    const files = [sub, out, out, user].map((directory) => join(directory, 'file'));
    expect(await Promise.all(files.map(cat))).toEqual([EPERM, PERMITTED, PERMITTED, PERMITTED]);
    await cat(join(out, 'file'));
    // The kernel itself ignores a directory that is root's alone.
    expect(await gate.status()).toMatchObject({ ignoredOutside: has('6.0') ? expect.toSatisfy((n) => n > 0) : 0 });
    // What has just left is asked about.
    renameSync(join(sub, 'file'), join(user, 'moved'));
    expect(await cat(join(user, 'moved'))).toBe(EPERM);
    expect(errors).toEqual([]);
    await gate.close();
    expect(await cat(join(sub, 'moved')).then(() => cat(join(user, 'moved')))).toBe(PERMITTED);
  });

  test('has the scope system', async () => {
    // What alone may be held.
    expect(process.env.FANOTIFY_GUARD_ONLY).toBeDefined();
    const { gate, errors } = await guard({ decide: () => 'deny', scope: 'system', only: [mount.path] }, '/');
    expect((await gate.coverage()).held).toMatchObject([{ mountPoint: mount.path }]);
    const file = join(mount.path, 'file-0');
    expect(await cat(file)).toBe(EPERM);
    expect(errors).toEqual([]);
  });

  test('holds what is executed and what is read', async () => {
    const program = join(mount.path, 'true');
    copyFileSync('/bin/true', program);
    chmodSync(program, 0o755);
    const decide = ({ kind }: PermissionRequest) => (kind === 'access' ? 'allow' : 'deny');
    const { gate, errors } = await guard({ decide, on: ['openExec', 'access'] });
    expect(await run('sh', ['-c', '"$1"; exit $?', 'sh', program])).toContain(EPERM);
    expect(await cat(program)).toBe(PERMITTED);
    expect((await gate.status()).byDecision).toBeGreaterThan(1);
    expect(errors).toEqual([]);
  });

  test('gives onTimeout when the deadline passes, and when it is closed', async () => {
    const options = { decide: () => new Promise<'allow'>(() => undefined), onTimeout: 'deny' } as const;
    const file = makeFile();
    const short = await guard({ ...options, deadlineMs: 50 });
    expect(await cat(file)).toBe(EPERM);
    await short.gate.close();
    const long = await guard(options);
    const held = cat(file);
    while ((await long.gate.status()).pending === 0);
    await long.gate.close();
    expect(await held).toBe(EPERM);
    expect([...short.errors, ...long.errors]).toEqual([]);
  });

  test('allows who is exempt', async () => {
    const exempt = [{ executable: realpathSync('/bin/cat'), uid: 0 }];
    const { gate, errors } = await guard({ decide: () => 'deny', exempt });
    expect(await cat(makeFile())).toBe(PERMITTED);
    expect((await gate.status()).byExemption).toBe(1);
    expect(errors).toEqual([]);
  });

  test.each(['root', 'nobody'] as const)('keeps verdicts until the file changes, trusting %s', async (trust) => {
    const [first, file] = [makeFile(), makeFile()];
    // Two changes within one tick of the clock have the same ctime.
    await new Promise((resolve) => setTimeout(resolve, 30));
    const asked: unknown[] = [];
    const decide = ({ path }: PermissionRequest) => {
      asked.push(path);
      return { verdict: 'allow', cache: true } as const;
    };
    const { gate, errors } = await guard({ decide, trust });
    // The very first is not kept.
    for (const path of [first, file, file, file]) await cat(path);
    expect(asked).toEqual([first, file]);
    expect(errors).toEqual([]);
    // The kernel itself ignores the file where it may forget that it does.
    const isIgnored = trust === 'root' && has('5.19');
    expect(await gate.status()).toMatchObject({
      cached: 1,
      ignored: isIgnored ? 1 : 0,
      byCache: isIgnored ? 0 : 2,
    });
    asked.length = 0;
    await run('sh', ['-c', 'echo more >> "$1"', 'sh', file]);
    asked.length = 0;
    await cat(file);
    expect(asked).toEqual([file]);
    await gate.forget();
    expect(await gate.status()).toMatchObject({ cached: 0, ignored: 0 });
    expect(errors).toEqual([]);
  });

  test('tells what the kernel denied: a file that somebody has a write lease on', async () => {
    const [leased, file] = [makeFile(), makeFile()];
    // The lease's holder is told by SIGIO, which would end it.
    const heard = () => undefined;
    process.on('SIGIO', heard);
    onTestFinished(() => void process.off('SIGIO', heard));
    const kernel = linuxKernel();
    const fd = kernel.openAt(AT_FDCWD, leased, O_RDWR);
    onTestFinished(() => kernel.close(fd));
    kernel.fcntl(fd, F_SETLEASE, F_WRLCK);
    const { gate, errors } = await guard({ decide: () => 'allow' });
    const denied: unknown[] = [];
    gate.on('kernelDenied', (notice) => denied.push(notice));
    expect([await cat(leased), await cat(file)]).toEqual([EPERM, PERMITTED]);
    expect(await gate.status()).toMatchObject({ kernelDenied: 1, denied: 1, allowed: 1 });
    await expect.poll(() => denied, { timeout: 10_000 }).toEqual([{ errno: ERRNO.EAGAIN, count: 1 }]);
    expect(errors).toEqual([]);
  });

  test('decides by a module, and ends one that does not come back', async () => {
    const file = makeFile();
    const module = `data:text/javascript,export const decide = ({ path }) => {
      while (path === ${JSON.stringify(file)});
      return 'allow';
    }`;
    const { gate, errors } = await guard({ decide: module, deadlineMs: 500, onTimeout: 'deny' });
    expect(await cat(makeFile())).toBe(PERMITTED);
    expect(await cat(file)).toBe(EPERM);
    await new Promise<void>((resolve) => gate.on('close', resolve));
    expect(errors).toEqual([expect.stringContaining('the decide module did not come back')]);
  });

  test('is started again when its responder is killed', async () => {
    const { gate, errors } = await guard({ decide: () => 'deny', restart: true });
    const again = new Promise<void>((resolve) => gate.on('restart', resolve));
    process.kill(gate.responderPid as number, 'SIGKILL');
    await again;
    expect(await cat(makeFile())).toBe(EPERM);
    expect(errors).toHaveLength(1);
  });

  test.skipIf(!mayAudit())('writes verdicts to the audit log', async () => {
    const { errors } = await guard({ decide: () => ({ verdict: 'deny', audit: true }), audit: true });
    expect(await cat(makeFile())).toBe(EPERM);
    expect(errors).toEqual([]);
  });

  test('denies with an errno, or with EPERM where Linux lacks others', async () => {
    const { gate, errors } = await guard({ decide: () => ({ verdict: 'deny', errno: 'EIO' }), class: 'preContent' });
    const expected = has('6.14') ? 'Input/output error' : EPERM;
    expect(await cat(makeFile())).toBe(expected);
    await gate.close();
    const module = 'data:text/javascript,export const decide = () => ({ verdict: "deny", errno: "EIO" })';
    const other = await guard({ decide: module, class: 'preContent' });
    expect(await cat(makeFile())).toBe(expected);
    expect((await other.gate.status()).failed).toBe(0);
    expect([...errors, ...other.errors]).toEqual([]);
  });

  test("says which Linux brought 'preAccess'", async () => {
    const opened = guard({ decide: () => 'allow', on: ['preAccess'] });
    await expect(opened).rejects.toMatchObject(
      has('6.14')
        ? { code: 'UNSUPPORTED_FILESYSTEM' }
        : { code: 'UNSUPPORTED', since: '6.14', message: expect.stringContaining('needs Linux 6.14 or later') },
    );
  });
});

function mayAudit(): boolean {
  // CAP_AUDIT_WRITE
  return /^1$/m.test(
    execFileSync('sh', ['-c', "echo $((0x$(sed -n 's/^CapEff:\\t//p' /proc/self/status) >> 29 & 1))"], {
      encoding: 'utf8',
    }),
  );
}

/** Reads a file in another process: what it complains of. */
async function cat(path: string): Promise<string> {
  return (await run('cat', [path])).replace(/^.*: /, '');
}

async function run(program: string, args: string[]): Promise<string> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  return complaints(child);
}

function complaints({ stderr }: ChildProcess): Promise<string> {
  let said = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return new Promise((resolve) => stderr?.on('close', () => resolve(said.trim())));
}
