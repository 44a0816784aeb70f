// Reaching files as somebody else: one thread, for as long as it likes.

import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_PATH } from '../../src/abi/index.ts';
import { type ErrnoName, type Identity, KernelError, linuxKernel } from '../../src/kernel/index.ts';

const isRoot = process.getuid?.() === 0;
const AT_EACCESS = 0x200;
const [X_OK, W_OK, R_OK, F_OK] = [1, 2, 4, 0];

function codeOf(operation: () => unknown): string | undefined {
  try {
    operation();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return `${error.syscall} ${error.code}`;
    throw error;
  }
}

describe.skipIf(process.platform !== 'linux')('as whom a thread reaches files', () => {
  const kernel = linuxKernel();
  let directory: string;
  const make = (name: string, mode: number, uid?: number, gid?: number): string => {
    const path = join(directory, name);
    if (name.endsWith('/')) mkdirSync(path);
    else writeFileSync(path, 'content');
    if (uid !== undefined) chownSync(path, uid, gid ?? uid);
    chmodSync(path, mode);
    return path;
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'fanotify-acting-'));
    chmodSync(directory, 0o711);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('what may be done with a file, by its path and by a descriptor that only says where', () => {
    const path = make('file', 0o400);
    const flags = AT_EACCESS | AT_EMPTY_PATH;
    const fd = kernel.openAt(AT_FDCWD, path, O_PATH | O_CLOEXEC);
    for (const mode of [F_OK, R_OK]) {
      kernel.accessAt(AT_FDCWD, path, mode, AT_EACCESS);
      kernel.accessAt(fd, '', mode, flags);
    }
    const refused = (mode: number): (string | undefined)[] => [
      codeOf(() => kernel.accessAt(AT_FDCWD, path, mode, AT_EACCESS)),
      codeOf(() => kernel.accessAt(fd, '', mode, flags)),
    ];
    const denied: `faccessat2 ${ErrnoName}` = 'faccessat2 EACCES';
    expect(refused(X_OK)).toEqual([denied, denied]);
    if (!isRoot) expect(refused(W_OK)).toEqual([denied, denied]);
    expect(codeOf(() => kernel.accessAt(AT_FDCWD, join(directory, 'none'), F_OK, 0))).toBe('faccessat2 ENOENT');
    expect(codeOf(() => kernel.accessAt(-1, '', F_OK, AT_EMPTY_PATH))).toBe('faccessat2 EBADF');
    expect(codeOf(() => kernel.accessAt(fd, 'a\0b', F_OK, 0))).toBe('faccessat2 EINVAL');
    expect(codeOf(() => kernel.accessAt(fd, '', 8, flags))).toBe('faccessat2 EINVAL');
    kernel.close(fd);
  });

  test.skipIf(isRoot)('without privilege that is oneself', () => {
    const other: Identity = { uid: 0, gid: 0, groups: [] };
    expect(codeOf(() => kernel.actAs(other))).toBe('setgroups EPERM');
    expect(readsOf(make('own', 0o400))).toBe(true);
  });

  function readsOf(path: string): boolean {
    try {
      kernel.close(kernel.openAt(AT_FDCWD, path, O_CLOEXEC));
      return true;
    } catch {
      return false;
    }
  }

  describe.skipIf(!isRoot)('of root', () => {
    const as = <T>(identity: Identity, act: () => T): T => {
      kernel.actAs(identity);
      try {
        return act();
      } finally {
        kernel.actAs(null);
      }
    };
    const user = (uid: number, groups: readonly number[] = [], gid = uid): Identity => ({ uid, gid, groups });

    test('may not do as another user what that one may not, and may again as itself', () => {
      const secret = make('secret', 0o600);
      const own = make('own', 0o600, 12_345);
      const hidden = make('hidden/', 0o700);
      writeFileSync(join(hidden, 'file'), '');
      const reads = () => [secret, own, join(hidden, 'file')].map(readsOf);
      expect(reads()).toEqual([true, true, true]);
      expect(as(user(12_345), reads)).toEqual([false, true, false]);
      expect(as(user(23_456), reads)).toEqual([false, false, false]);
      expect(reads()).toEqual([true, true, true]);
      const denied = as(user(12_345), () => [
        codeOf(() => kernel.accessAt(AT_FDCWD, secret, R_OK, AT_EACCESS)),
        codeOf(() => kernel.accessAt(AT_FDCWD, own, R_OK | W_OK, AT_EACCESS)),
        // As the process as a whole: that is what a file's access means without AT_EACCESS.
        codeOf(() => kernel.accessAt(AT_FDCWD, secret, R_OK, 0)),
        codeOf(() => kernel.openByHandleAt(AT_FDCWD, kernel.nameToHandleAt(AT_FDCWD, own, 0).handle, 0)),
      ]);
      expect(denied).toEqual(['faccessat2 EACCES', undefined, undefined, 'open_by_handle_at EPERM']);
    });

    test('goes from one user to the next without having been itself', () => {
      const own = make('own', 0o600, 12_345);
      kernel.actAs(user(23_456));
      expect(readsOf(own)).toBe(false);
      kernel.actAs(user(12_345));
      expect(readsOf(own)).toBe(true);
      kernel.actAs(null);
    });

    test('has the groups of that user, and no others', () => {
      const path = make('shared', 0o040, 0, 777);
      const banned = make('banned', 0o004, 0, 777);
      const reads = () => [path, banned].map(readsOf);
      expect(as(user(12_345), reads)).toEqual([false, true]);
      expect(as(user(12_345, [777]), reads)).toEqual([true, false]);
      expect(as(user(12_345, [], 777), reads)).toEqual([true, false]);
      const many = Array.from({ length: 10_000 }, (_, at) => 100_000 + at);
      expect(as(user(12_345, [...many, 777]), reads)).toEqual([true, false]);
      expect(as(user(12_345, many), reads)).toEqual([false, true]);
    });

    test('is one thread alone', async () => {
      // So that there are threads that read files.
      await Promise.all([1, 2, 3, 4].map(() => readFile('/proc/self/stat')));
      const reaching = () =>
        kernel.readDirectory('/proc/self/task').map(({ name }) => {
          const status = kernel.readFile(`/proc/self/task/${name}/status`).toString();
          const [uid, gid] = ['Uid', 'Gid'].map((key) =>
            new RegExp(`^${key}:(?:\\t\\d+){3}\\t(\\d+)$`, 'm').exec(status),
          );
          return `${Number(name.toString()) === process.pid} ${uid?.[1]} ${gid?.[1]}`;
        });
      expect(new Set(as(user(12_345, [], 54_321), reaching))).toEqual(new Set(['true 12345 54321', 'false 0 0']));
      expect(new Set(reaching())).toEqual(new Set(['true 0 0', 'false 0 0']));
    });

    const effective = () =>
      /^CapEff:\t(.*)$/m.exec(kernel.readFile('/proc/thread-self/status').toString())?.[1] ?? 'none';

    test('has no capabilities in effect meanwhile, and afterwards those that it had', () => {
      const before = effective();
      expect(before).not.toMatch(/^0+$/);
      for (const identity of [user(12_345), user(0)]) expect(as(identity, effective)).toMatch(/^0{16}$/);
      expect(effective()).toBe(before);
      kernel.actAs(user(0));
      kernel.actAs(user(12_345));
      expect(effective()).toMatch(/^0{16}$/);
      kernel.actAs(null);
      expect(effective()).toBe(before);
    });

    test('may do as uid 0 what that uid may, and no more', () => {
      const paths = [make('closed', 0, 12_345), make('foreign', 0o600, 12_345), make('own', 0o600)];
      expect(paths.map(readsOf)).toEqual([true, true, true]);
      expect(as(user(0), () => paths.map(readsOf))).toEqual([false, false, true]);
    });

    test('cannot be a user that there cannot be, and is itself then', () => {
      const secret = make('secret', 0o600);
      for (const nobody of [user(0xffff_ffff, [], 1), user(1, [], 0xffff_ffff)]) {
        expect(codeOf(() => kernel.actAs(nobody))).toBe('setfsuid EPERM');
        kernel.actAs(null);
        expect(readsOf(secret)).toBe(true);
      }
      const tooMany = Array.from({ length: 65_537 }, () => 1);
      expect(codeOf(() => kernel.actAs(user(12_345, tooMany)))).toBe('setgroups EINVAL');
      expect(readsOf(secret)).toBe(true);
    });
  });
});
