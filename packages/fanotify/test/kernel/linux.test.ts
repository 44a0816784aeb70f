// Each operation of LinuxKernel against the running Linux: what it answers, and what its failures say.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants as osConstants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_HANDLE_MNT_ID_UNIQUE,
  AT_SYMLINK_NOFOLLOW,
  decodeEvents,
  FAN_CLASS_NOTIF,
  FAN_CLOEXEC,
  FAN_CREATE,
  FAN_EVENT_METADATA_LEN,
  FAN_MARK_ADD,
  FAN_MARK_REMOVE,
  FAN_NONBLOCK,
  FAN_OPEN,
  FAN_REPORT_DFID_NAME,
  FAN_REPORT_FID,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../src/abi/index.ts';
import { ERRNO, type ErrnoName, type Kernel, KernelError, linuxKernel } from '../../src/kernel/index.ts';
import { canMount, mountTmpfs, type ScratchMount } from '../support/mounts.ts';

const isRoot = process.getuid?.() === 0;
const POLLIN = 1;
const POLLNVAL = 0x20;

function failure(operation: () => unknown): KernelError {
  try {
    operation();
  } catch (error) {
    expect(error).toBeInstanceOf(KernelError);
    return error as KernelError;
  }
  throw new Error('it did not fail');
}

function expectFailure(operation: () => unknown, syscall: string, code: ErrnoName, path?: string): void {
  const error = failure(operation);
  const { code: seenCode, errno, syscall: seenSyscall, path: seenPath } = error;
  expect({ seenCode, seenSyscall, seenPath }).toEqual({ seenCode: code, seenSyscall: syscall, seenPath: path });
  expect(errno).toBe(ERRNO[code as keyof typeof ERRNO]);
  expect(error.name).toBe('KernelError');
}

const BENEATH = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
const CACHED = RESOLVE_CACHED | RESOLVE_NO_SYMLINKS;

describe.skipIf(process.platform !== 'linux')('LinuxKernel', () => {
  let kernel: Kernel;
  let directory: string;
  const opened: number[] = [];

  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  const group = (): number =>
    keep(kernel.fanotifyInit(FAN_CLOEXEC | FAN_NONBLOCK | FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_REPORT_DFID_NAME, 0));

  beforeEach(() => {
    kernel = linuxKernel();
    directory = mkdtempSync(join(tmpdir(), 'fanotify-kernel-'));
  });
  afterEach(() => {
    for (const fd of opened.splice(0)) closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  test('is one for the thread, and tells its name and pid', () => {
    expect(linuxKernel()).toBe(kernel);
    expect(kernel.name).toBe(`Linux ${execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()}`);
    expect(kernel.release).toBe(kernel.name.slice('Linux '.length));
    expect(kernel.pid).toBe(process.pid);
  });

  test('fanotify_init: a group, or what the kernel says to flags that it does not know', () => {
    expect(kernel.readlink(`/proc/self/fd/${group()}`).toString()).toBe('anon_inode:[fanotify]');
    expectFailure(() => kernel.fanotifyInit(FAN_REPORT_FID | 0x4000_0000, 0), 'fanotify_init', 'EINVAL');
  });

  test.skipIf(isRoot)('fanotify_init: no descriptors without privilege', () => {
    expectFailure(() => kernel.fanotifyInit(FAN_CLASS_NOTIF, 0), 'fanotify_init', 'EPERM');
  });

  test('fanotify_mark: by path, by bytes, by descriptor, and removed again', () => {
    const fd = group();
    kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, Buffer.from(directory));
    const dirfd = keep(kernel.openAt(AT_FDCWD, directory, O_DIRECTORY));
    kernel.fanotifyMark(fd, FAN_MARK_REMOVE, FAN_OPEN | FAN_CREATE, dirfd, null);
    const again = () => kernel.fanotifyMark(fd, FAN_MARK_REMOVE, FAN_OPEN, dirfd, '.');
    expectFailure(again, 'fanotify_mark', 'ENOENT', '.');
    expectFailure(() => kernel.fanotifyMark(fd, FAN_MARK_REMOVE, FAN_OPEN, dirfd, null), 'fanotify_mark', 'ENOENT');
  });

  test('fanotify_mark: all 64 bits of the mask arrive', () => {
    const fd = group();
    for (const bit of [1n << 32n, 1n << 63n]) {
      expectFailure(
        () => kernel.fanotifyMark(fd, FAN_MARK_ADD, bit | FAN_OPEN, AT_FDCWD, directory),
        'fanotify_mark',
        'EINVAL',
        directory,
      );
    }
  });

  test('a path with a NUL inside is refused, not cut there', () => {
    const fd = group();
    const path = `${directory}\0/not-here`;
    for (const given of [path, Buffer.from(path)]) {
      expectFailure(
        () => kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, given),
        'fanotify_mark',
        'EINVAL',
        path,
      );
      expectFailure(() => kernel.openAt(AT_FDCWD, given, O_DIRECTORY), 'openat', 'EINVAL', path);
      expectFailure(() => kernel.nameToHandleAt(AT_FDCWD, given, 0), 'name_to_handle_at', 'EINVAL', path);
      expectFailure(() => kernel.readlink(given), 'readlink', 'EINVAL', path);
      expectFailure(() => kernel.statAt(AT_FDCWD, given, 0), 'statx', 'EINVAL', path);
      expectFailure(() => kernel.statfs(given), 'statfs', 'EINVAL', path);
      expectFailure(() => kernel.readFile(given), 'open', 'EINVAL', path);
      expectFailure(() => kernel.readDirectory(given), 'open', 'EINVAL', path);
    }
  });

  test('names that are not UTF-8 go in and come out as their bytes', () => {
    const name = Buffer.from([0x66, 0xff, 0xfe]);
    const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
    const fd = group();
    kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    keep(kernel.openAt(AT_FDCWD, path, constants.O_CREAT | constants.O_WRONLY, 0o600));
    expect(kernel.readDirectory(directory)).toEqual([{ name, type: 'file' }]);
    const buffer = Buffer.alloc(4096);
    const [event] = decodeEvents(buffer.subarray(0, kernel.read(fd, buffer)));
    expect(event?.records).toMatchObject(
      [{ type: 'DFID_NAME', name }, { type: 'FID' }].slice(0, event?.records.length),
    );
    expect(kernel.statAt(AT_FDCWD, path, 0).mode & 0o777).toBe(0o600);
    expect(kernel.nameToHandleAt(AT_FDCWD, path, 0).handle.length).toBeGreaterThan(8);
  });

  test('read: into the part of the buffer that is given, and nowhere else', () => {
    const fd = group();
    kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    writeFileSync(join(directory, 'a'), '');
    const whole = Buffer.alloc(1024, 0xaa);
    const bytes = kernel.read(fd, whole.subarray(256, 512));
    expect(bytes).toBe(whole.readUInt32LE(256));
    expect(whole.subarray(0, 256)).toEqual(Buffer.alloc(256, 0xaa));
    expect(whole.subarray(256 + bytes)).toEqual(Buffer.alloc(1024 - 256 - bytes, 0xaa));
  });

  test('read: EAGAIN when nothing is there, EINVAL when the event does not fit, EBADF', () => {
    const fd = group();
    kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    expectFailure(() => kernel.read(fd, Buffer.alloc(4096)), 'read', 'EAGAIN');
    writeFileSync(join(directory, 'a'), '');
    expectFailure(() => kernel.read(fd, Buffer.alloc(30)), 'read', 'EINVAL');
    expect(kernel.read(fd, Buffer.alloc(4096))).toBeGreaterThan(30);
    expectFailure(() => kernel.read(-1, Buffer.alloc(1)), 'read', 'EBADF');
  });

  test('write: takes the bytes that are given', () => {
    const path = join(directory, 'file');
    const fd = keep(kernel.openAt(AT_FDCWD, path, constants.O_CREAT | constants.O_WRONLY, 0o600));
    expect(kernel.write(fd, Buffer.from('--hello--').subarray(2, 7))).toBe(5);
    expect(kernel.readFile(path).toString()).toBe('hello');
    expectFailure(() => kernel.write(-1, Buffer.from('x')), 'write', 'EBADF');
    expectFailure(() => kernel.write(group(), Buffer.alloc(8)), 'write', 'EINVAL');
  });

  test('poll: says of each descriptor what happened, and forgets what was', () => {
    const quiet = Array.from({ length: 9 }, () => ({ fd: group(), events: POLLIN, revents: 7 }));
    const loud = { fd: group(), events: POLLIN, revents: 0 };
    const gone = { fd: 1_000_000, events: POLLIN, revents: 0 };
    kernel.fanotifyMark(loud.fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    expect(kernel.poll([...quiet, loud], 0)).toBe(0);
    expect(quiet.map(({ revents }) => revents)).toEqual(quiet.map(() => 0));
    writeFileSync(join(directory, 'a'), '');
    expect(kernel.poll([...quiet, loud, gone], -1)).toBe(2);
    expect([loud.revents, gone.revents]).toEqual([POLLIN, POLLNVAL]);
    kernel.read(loud.fd, Buffer.alloc(4096));
    expect(kernel.poll([loud], 10)).toBe(0);
    expect(loud.revents).toBe(0);
  });

  test('poll: goes on for the rest of its time when a signal comes', async () => {
    const signal = once(process, 'SIGUSR2');
    const entry = { fd: group(), events: POLLIN, revents: 0 };
    const sender = spawn('sh', ['-c', `sleep 0.1; kill -USR2 ${process.pid}`]);
    const started = performance.now();
    expect(kernel.poll([entry], 600)).toBe(0);
    expect(performance.now() - started).toBeGreaterThan(590);
    await signal;
    if (sender.exitCode === null) await once(sender, 'exit');
  });

  test('close: once', () => {
    const fd = kernel.fanotifyInit(FAN_REPORT_FID, 0);
    kernel.close(fd);
    expectFailure(() => kernel.close(fd), 'close', 'EBADF');
  });

  test('openat: relative to a directory, with its mode', () => {
    const dirfd = keep(kernel.openAt(AT_FDCWD, directory, O_DIRECTORY));
    keep(kernel.openAt(dirfd, 'new', constants.O_CREAT | constants.O_WRONLY, 0o640));
    expect(statSync(join(directory, 'new')).mode & 0o700).toBe(0o600);
    expectFailure(() => kernel.openAt(dirfd, 'missing', 0), 'openat', 'ENOENT', 'missing');
    expectFailure(() => kernel.openAt(dirfd, 'new', O_DIRECTORY), 'openat', 'ENOTDIR', 'new');
  });

  test('name_to_handle_at: a whole handle and the mount it was found on', () => {
    const { handle, mountId } = kernel.nameToHandleAt(AT_FDCWD, directory, 0);
    expect(handle.length).toBe(8 + handle.readUInt32LE(0));
    expect(handle.readUInt32LE(0)).toBeGreaterThan(0);
    const ids = kernel
      .readFile('/proc/self/mountinfo')
      .toString()
      .split('\n')
      .map((line) => Number.parseInt(line, 10));
    expect(ids).toContain(mountId);
    expectFailure(
      () => kernel.nameToHandleAt(AT_FDCWD, '/proc/sys', 0),
      'name_to_handle_at',
      'EOPNOTSUPP',
      '/proc/sys',
    );
  });

  test('name_to_handle_at: unique mount ids have 64 bits (Linux 6.12)', ({ skip }) => {
    let mountId: number;
    try {
      ({ mountId } = kernel.nameToHandleAt(AT_FDCWD, directory, AT_HANDLE_MNT_ID_UNIQUE));
    } catch (error) {
      if (error instanceof KernelError && error.code === 'EINVAL') return skip('this kernel has none');
      throw error;
    }
    // mnt_id_ctr of fs/namespace.c starts at 2^31 so that the two kinds never meet.
    expect(mountId).toBeGreaterThanOrEqual(2 ** 31);
  });

  test('eventfd: readable once something was written to it, until that is read', () => {
    const fd = keep(kernel.eventFd());
    const entry = { fd, events: POLLIN, revents: 0 };
    const bytes = Buffer.alloc(8);
    expect(kernel.poll([entry], 0)).toBe(0);
    expectFailure(() => kernel.read(fd, bytes), 'read', 'EAGAIN');
    for (let writes = 0; writes < 2; writes++) kernel.write(fd, Buffer.from(new BigUint64Array([3n]).buffer));
    expect(kernel.poll([entry], 0)).toBe(1);
    expect(kernel.read(fd, bytes)).toBe(8);
    expect(new BigUint64Array(bytes.buffer, bytes.byteOffset)[0]).toBe(6n);
    expect(kernel.poll([entry], 0)).toBe(0);
  });

  test('openat2: what is beneath a directory, and nothing that a path leads to elsewhere', () => {
    mkdirSync(join(directory, 'below'));
    symlinkSync('below', join(directory, 'link'));
    const dirfd = keep(kernel.openAt(AT_FDCWD, directory, O_DIRECTORY));
    const below = keep(kernel.openAt2(dirfd, 'below', O_DIRECTORY, BENEATH));
    expect(kernel.readlink(`/proc/self/fd/${below}`).toString()).toBe(join(directory, 'below'));
    expectFailure(() => kernel.openAt2(dirfd, 'missing', 0, BENEATH), 'openat2', 'ENOENT', 'missing');
    expectFailure(() => kernel.openAt2(dirfd, 'link', 0, BENEATH), 'openat2', 'ELOOP', 'link');
    expectFailure(() => kernel.openAt2(dirfd, '..', 0, BENEATH), 'openat2', 'EXDEV', '..');
    const root = keep(kernel.openAt(AT_FDCWD, '/', O_DIRECTORY));
    expectFailure(() => kernel.openAt2(root, 'proc/self', O_DIRECTORY, BENEATH), 'openat2', 'EXDEV', 'proc/self');
  });

  test.skipIf(!isRoot)('open_by_handle_at: opens what the handle names', () => {
    const mount = keep(kernel.openAt(AT_FDCWD, directory, O_DIRECTORY));
    const { handle } = kernel.nameToHandleAt(AT_FDCWD, directory, 0);
    const fd = keep(kernel.openByHandleAt(mount, handle, O_DIRECTORY));
    expect(kernel.readlink(`/proc/self/fd/${fd}`).toString()).toBe(directory);
    const other = Buffer.from(handle);
    other.fill(0xff, 8);
    expectFailure(() => kernel.openByHandleAt(mount, other, 0), 'open_by_handle_at', 'ESTALE');
  });

  test.skipIf(isRoot)('open_by_handle_at: not without privilege', () => {
    const mount = keep(kernel.openAt(AT_FDCWD, directory, O_DIRECTORY));
    const { handle } = kernel.nameToHandleAt(AT_FDCWD, directory, 0);
    expectFailure(() => kernel.openByHandleAt(mount, handle, 0), 'open_by_handle_at', 'EPERM');
  });

  test('readlink: the bytes, in a buffer of their own', () => {
    symlinkSync(Buffer.from([0x2f, 0xff]), join(directory, 'link'));
    const first = kernel.readlink(join(directory, 'link'));
    kernel.readlink('/proc/self');
    expect(first).toEqual(Buffer.from([0x2f, 0xff]));
    expectFailure(() => kernel.readlink(directory), 'readlink', 'EINVAL', directory);
  });

  test('fstatat: what stat(2) tells, for device numbers of any size too', () => {
    symlinkSync('nowhere', join(directory, 'link'));
    writeFileSync(join(directory, 'file'), 'abc');
    for (const path of [directory, join(directory, 'file'), '/dev/null', '/proc/self/ns/mnt', '/sys', '/']) {
      const { dev, ino, mode, nlink, uid, gid, size, mtimeNs, ctimeNs, birthtimeNs } = statSync(path, { bigint: true });
      expect(kernel.statAt(AT_FDCWD, path, 0)).toEqual({
        dev,
        ino,
        mode: Number(mode),
        nlink: Number(nlink),
        uid: Number(uid),
        gid: Number(gid),
        sizeBytes: size,
        mtimeNs,
        ctimeNs,
        btimeNs: birthtimeNs,
      });
    }
    const fd = keep(openSync(join(directory, 'file'), 'r'));
    expect(kernel.statAt(fd, '', AT_EMPTY_PATH)).toEqual(kernel.statAt(AT_FDCWD, join(directory, 'file'), 0));
    expectFailure(
      () => kernel.statAt(AT_FDCWD, join(directory, 'link'), 0),
      'statx',
      'ENOENT',
      join(directory, 'link'),
    );
    expect(kernel.statAt(AT_FDCWD, join(directory, 'link'), AT_SYMLINK_NOFOLLOW).mode & 0o170000).toBe(0o120000);
  });

  test('statfs: type and fsid as coreutils shows them, of a path and of a descriptor', () => {
    for (const path of [directory, '/proc', '/dev/shm', '/']) {
      const [type = '', id = ''] = execFileSync('stat', ['-f', '-c', '%t %i', path], { encoding: 'utf8' })
        .trim()
        .split(' ');
      const status = kernel.statfs(path);
      expect(status.type.toString(16)).toBe(type);
      // %i prints the two words as one number, the first one high.
      const [first, second] = status.fsid.map((word) => BigInt.asUintN(32, BigInt(word)));
      expect(((first ?? 0n) << 32n) | (second ?? 0n)).toBe(BigInt(`0x${id}`));
      expect(kernel.statfs(keep(openSync(path, 'r')))).toEqual(status);
    }
    expectFailure(() => kernel.statfs('/not-here'), 'statfs', 'ENOENT', '/not-here');
    expectFailure(() => kernel.statfs(-1), 'fstatfs', 'EBADF');
  });

  test('small files and directories, whole', () => {
    mkdirSync(join(directory, 'sub'));
    symlinkSync('x', join(directory, 'link'));
    writeFileSync(join(directory, 'file'), '');
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    const types = kernel.readDirectory(Buffer.from(directory)).map(({ name, type }) => `${name} ${type}`);
    expect(types.sort()).toEqual(['fifo other', 'file file', 'link symlink', 'sub directory']);
    const opened = keep(openSync(directory, 'r'));
    expect(kernel.readEntries(opened, 'directories')).toEqual([{ name: Buffer.from('sub'), type: 'directory' }]);
    expect(kernel.readEntries(opened)).toBeUndefined();
    expectFailure(() => kernel.readEntries(-1), 'getdents64', 'EBADF');
    for (let i = 0; i < 3000; i++) writeFileSync(join(directory, 'sub', `${i}-${'x'.repeat(200)}`), '');
    expect(kernel.readDirectory(join(directory, 'sub')).length).toBe(3000);
    expect(kernel.readFile('/proc/self/comm').length).toBeGreaterThan(1);
    const missing = join(directory, 'missing');
    expectFailure(() => kernel.readDirectory(missing), 'open', 'ENOENT', missing);
    expectFailure(() => kernel.readDirectory(join(directory, 'file')), 'open', 'ENOTDIR', join(directory, 'file'));
    expectFailure(() => kernel.readFile(missing), 'open', 'ENOENT', missing);
    expectFailure(() => kernel.readFile(directory), 'read', 'EISDIR', directory);
  });

  test('onReadable: what cannot be watched is an error, not the end of the process', () => {
    const file = keep(openSync(join(directory, 'file'), 'w'));
    expectFailure(() => kernel.onReadable(file, () => {}), 'epoll_ctl', 'EPERM');
    expectFailure(() => kernel.onReadable(1_000_000, () => {}), 'epoll_ctl', 'EBADF');
    const fd = group();
    const readiness = kernel.onReadable(fd, () => {});
    expectFailure(() => kernel.onReadable(fd, () => {}), 'epoll_ctl', 'EEXIST');
    readiness.close();
    kernel.onReadable(fd, () => {}).close();
  });

  test('openat2: opens what is cached, and nothing through links', () => {
    mkdirSync(join(directory, 'known'));
    symlinkSync('known', join(directory, 'link'));
    const dirfd = keep(kernel.openAt(AT_FDCWD, directory, O_DIRECTORY));
    const found = keep(kernel.openAt2(dirfd, 'known', O_PATH | O_DIRECTORY, CACHED));
    expect(kernel.statAt(found, '', AT_EMPTY_PATH).ino).toBe(kernel.statAt(dirfd, 'known', 0).ino);
    expectFailure(() => kernel.openAt2(dirfd, 'link/.', O_PATH, CACHED), 'openat2', 'ELOOP', 'link/.');
    expectFailure(() => kernel.openAt2(dirfd, 'unheard-of', O_PATH, CACHED), 'openat2', 'EAGAIN', 'unheard-of');
  });

  test('onPriority: what cannot be polled is an error', () => {
    const file = keep(openSync(join(directory, 'file'), 'w'));
    expectFailure(() => kernel.onPriority(file, () => {}), 'epoll_ctl', 'EPERM');
    expectFailure(() => kernel.onPriority(1_000_000, () => {}), 'epoll_ctl', 'EBADF');
  });

  test.skipIf(!canMount)(
    'onPriority: tells once at its start, and then of each change of the mount table',
    async () => {
      const fd = keep(openSync('/proc/self/mountinfo', 'r'));
      let calls = 0;
      let heard = () => {};
      const change = () => {
        return new Promise<void>((resolve) => {
          heard = resolve;
        });
      };
      const readiness = kernel.onPriority(fd, () => {
        calls++;
        heard();
      });
      const started = change();
      const early = mountTmpfs();
      await started;
      for (const expected of [3, 5]) {
        const mounted = change();
        const scratch = mountTmpfs();
        await mounted;
        const unmounted = change();
        scratch.unmount();
        await unmounted;
        expect(calls).toBe(expected);
      }
      readiness.close();
      readiness.close();
      early.unmount();
      await new Promise((resolve) => setImmediate(resolve));
      expect(calls).toBe(5);
    },
  );

  describe.skipIf(!canMount)('on a file system of its own', () => {
    let scratch: ScratchMount;
    beforeEach(() => {
      scratch = mountTmpfs();
    });
    afterEach(() => scratch.unmount());

    test('an answer to a permission event lets the access through', async () => {
      const path = join(scratch.path, 'file');
      writeFileSync(path, 'allowed');
      const FAN_CLASS_CONTENT = 0x4;
      const FAN_OPEN_PERM = 0x1_0000n;
      const FAN_ALLOW = 1;
      const fd = kernel.fanotifyInit(FAN_CLOEXEC | FAN_CLASS_CONTENT, 0);
      // Closing the group answers whatever is still held.
      const guard = setTimeout(() => kernel.close(fd), 5_000);
      kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, path);
      const reader = spawn('cat', [path]);
      const output = once(reader.stdout, 'data');
      const exit = once(reader, 'exit');
      expect(kernel.poll([{ fd, events: POLLIN, revents: 0 }], 4_000)).toBe(1);
      const buffer = Buffer.alloc(4096);
      const [event] = decodeEvents(buffer.subarray(0, kernel.read(fd, buffer)));
      const response = Buffer.alloc(8);
      response.writeInt32LE(event?.fd ?? -1, 0);
      response.writeUInt32LE(FAN_ALLOW, 4);
      expect(kernel.write(fd, response)).toBe(8);
      expectFailure(() => kernel.write(fd, response), 'write', 'ENOENT');
      keep(event?.fd ?? -1);
      expect(event?.pid).toBe(reader.pid);
      expect(String((await output)[0])).toBe('allowed');
      expect((await exit)[0]).toBe(0);
      clearTimeout(guard);
      kernel.close(fd);
    });
  });
});

describe('what waits, when it is, and who is there', () => {
  test('a group tells how many events wait to be read', () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-waiting-'));
    const kernel = linuxKernel();
    const fd = kernel.fanotifyInit(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, 0);
    kernel.fanotifyMark(fd, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, directory);
    expect(kernel.waitingBytes(fd)).toBe(0);
    for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), '');
    expect(kernel.waitingBytes(fd)).toBe(3 * FAN_EVENT_METADATA_LEN);
    kernel.read(fd, Buffer.alloc(4096));
    expect(kernel.waitingBytes(fd)).toBe(0);
    kernel.close(fd);
    expectFailure(() => kernel.waitingBytes(fd), 'ioctl', 'EBADF');
    rmSync(directory, { recursive: true });
  });

  test('the boot time is that of /proc, and of the start times there', () => {
    const before = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
    const now = linuxKernel().bootTimeMs();
    const after = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThan(after + 10);
  });

  test('fcntl: a read lease is refused while somebody may write', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'fanotify-lease-')), 'file');
    writeFileSync(path, '');
    const [reader, setLease, read, unlock] = [openSync(path, 'r'), 1024, 0, 2];
    const kernel = linuxKernel();
    expect(kernel.fcntl(reader, setLease, read)).toBe(0);
    kernel.fcntl(reader, setLease, unlock);
    const writer = openSync(path, 'r+');
    expectFailure(() => kernel.fcntl(reader, setLease, read), 'fcntl', 'EAGAIN');
    for (const fd of [reader, writer]) closeSync(fd);
    rmSync(dirname(path), { recursive: true });
  });

  test('pidfd_open and pidfd_getfd: a process, and the very file that it has open', () => {
    const kernel = linuxKernel();
    const pidfd = kernel.pidfdOpen(process.pid);
    const fd = openSync(process.execPath, 'r');
    const same = kernel.pidfdGetfd(pidfd, fd);
    expect(same).not.toBe(fd);
    expect(kernel.readlink(`/proc/self/fd/${same}`)).toEqual(kernel.readlink(`/proc/self/fd/${fd}`));
    expectFailure(() => kernel.pidfdGetfd(pidfd, 999_999), 'pidfd_getfd', 'EBADF');
    expectFailure(() => kernel.pidfdOpen(0x7fff_fff0), 'pidfd_open', 'ESRCH');
    for (const one of [pidfd, fd, same]) closeSync(one);
  });

  test.skipIf(process.getuid?.() !== 0)('sched_setscheduler: in real time, and back', () => {
    const kernel = linuxKernel();
    // proc_pid_stat(5): rt_priority is field 40, the 38th from the state on.
    const priority = () => {
      const stat = readFileSync('/proc/thread-self/stat', 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[37]);
    };
    kernel.scheduleInRealTime(3);
    expect(priority()).toBe(3);
    kernel.scheduleInRealTime(0);
    expect(priority()).toBe(0);
    expectFailure(() => kernel.scheduleInRealTime(100), 'sched_setscheduler', 'EINVAL');
  });

  test('a pidfd that is none is refused', () => {
    const fd = openSync('/', 'r');
    expectFailure(() => linuxKernel().pidfdSendSignal(fd, 0), 'pidfd_send_signal', 'EBADF');
    closeSync(fd);
  });
});

describe.skipIf(process.platform !== 'linux')('messages with descriptors', () => {
  const F_GETFD = 1;
  const FD_CLOEXEC = 1;
  const kernel = linuxKernel();
  const opened = new Set<number>();
  const keep = (fd: number): number => {
    opened.add(fd);
    return fd;
  };
  const close = (fd: number): void => {
    opened.delete(fd);
    kernel.close(fd);
  };
  const buffer = Buffer.alloc(256);
  const text = (fd: number): string => buffer.toString('utf8', 0, kernel.receiveMessage(fd, buffer, true).bytes);
  const openNow = (): string[] => readdirSync('/proc/self/fd');
  let here: number;
  let there: number;

  beforeEach(() => {
    [here, there] = kernel.socketPair();
    keep(here);
    keep(there);
  });
  afterEach(() => {
    for (const fd of opened) closeSync(fd);
    opened.clear();
  });

  test('a pair is of sockets that an executed program does not get', () => {
    for (const fd of [here, there]) {
      expect(kernel.readlink(`/proc/self/fd/${fd}`).toString()).toMatch(/^socket:/);
      expect(kernel.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
    }
  });

  test('go both ways, one at a time, into the part of the buffer that is given', () => {
    expect(kernel.sendMessage(here, Buffer.from('--one--').subarray(2, 5))).toBe(3);
    expect(kernel.sendMessage(here, Buffer.from('second'), [])).toBe(6);
    kernel.sendMessage(there, Buffer.from('back'));
    const whole = Buffer.alloc(32, 0xaa);
    const received = kernel.receiveMessage(there, whole.subarray(8, 24), true);
    expect(received).toEqual({ bytes: 3, descriptors: [] });
    expect(whole).toEqual(Buffer.concat([Buffer.alloc(8, 0xaa), Buffer.from('one'), Buffer.alloc(21, 0xaa)]));
    expect(kernel.receiveMessage(there, whole, true).bytes).toBe(6);
    expect(whole.toString('utf8', 0, 6)).toBe('second');
    expect(text(here)).toBe('back');
  });

  test('into a buffer of its own each, small ones that the engine keeps in its heap too', () => {
    const received = Array.from({ length: 3000 }, (_, count) => {
      kernel.sendMessage(here, new Uint8Array([count & 0xff, count >> 8]));
      const small = new Uint8Array(2 + (count % 7));
      expect(kernel.receiveMessage(there, small, true).bytes).toBe(2);
      return small;
    });
    expect(received.map(([low = 0, high = 0]) => low + 256 * high)).toEqual(received.map((_, count) => count));
  });

  test('not into where the bytes of a buffer were', () => {
    const gone = new Uint8Array(64);
    kernel.sendMessage(here, Buffer.from('first'));
    expect(kernel.receiveMessage(there, gone, true).bytes).toBe(5);
    const kept = structuredClone(gone, { transfer: [gone.buffer] });
    kernel.sendMessage(here, Buffer.from('other'));
    expectFailure(() => kernel.receiveMessage(there, gone, true), 'recvmsg', 'EMSGSIZE');
    expect(Buffer.from(kept).toString('utf8', 0, 5)).toBe('first');
  });

  test.each([true, false])('descriptors arrive open, of the same file, close-on-exec: %s', (closeOnExec) => {
    const file = keep(openSync(process.execPath, 'r'));
    expect(kernel.sendMessage(here, Buffer.from('take it'), [file, there])).toBe(7);
    const { bytes, descriptors } = kernel.receiveMessage(there, buffer, closeOnExec);
    for (const fd of descriptors) keep(fd);
    expect(bytes).toBe(7);
    expect(descriptors.map((fd) => fstatSync(fd).ino)).toEqual([file, there].map((fd) => fstatSync(fd).ino));
    expect(descriptors).not.toContain(file);
    for (const fd of descriptors) expect(kernel.fcntl(fd, F_GETFD, 0)).toBe(closeOnExec ? FD_CLOEXEC : 0);
    // What was sent with the last message is not sent with the next.
    kernel.sendMessage(here, Buffer.from('none'));
    expect(kernel.receiveMessage(there, buffer, closeOnExec)).toEqual({ bytes: 4, descriptors: [] });
  });

  test('of a listener by its path come with who has sent them, as the kernel says', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-socket-'));
    const path = join(directory, 'socket');
    const program = `require('node:net').createServer((socket) => socket.on('data', (chunk) => socket.end(chunk)))
      .listen(process.argv[1], () => console.log('listening'))`;
    const child = spawn(process.execPath, ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const fd = keep(kernel.connectUnix(path));
      expect(kernel.fcntl(fd, F_GETFD, 0)).toBe(FD_CLOEXEC);
      expectFailure(() => kernel.receiveMessage(fd, buffer, true), 'recvmsg', 'EAGAIN');
      kernel.sendMessage(fd, Buffer.from('who?'));
      const polled = [{ fd, events: 1, revents: 0 }];
      expect(kernel.poll(polled, 10_000)).toBe(1);
      const sender = { pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() };
      expect(kernel.receiveMessage(fd, buffer, true)).toEqual({ bytes: 4, descriptors: [], sender });
    } finally {
      child.kill();
      await once(child, 'exit');
      rmSync(directory, { recursive: true });
    }
  });

  test('are sent to nobody where nobody listens', () => {
    expectFailure(() => kernel.connectUnix('/no/such/socket'), 'connect', 'ENOENT', '/no/such/socket');
    // Who may not write to it is told that first.
    const directory = mkdtempSync(join(tmpdir(), 'fanotify-socket-'));
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expectFailure(() => kernel.connectUnix(file), 'connect', 'ECONNREFUSED', file);
    rmSync(directory, { recursive: true });
    const long = `/${'x'.repeat(107)}`;
    expectFailure(() => kernel.connectUnix(long), 'connect', 'ENAMETOOLONG', long);
    expectFailure(() => kernel.connectUnix(long.slice(0, -1)), 'connect', 'ENOENT', long.slice(0, -1));
  });

  test('253 descriptors go with one message, and no more', () => {
    const files = Array.from({ length: 253 }, (_, count) => keep(openSync(count % 2 ? '/' : '/proc', 'r')));
    kernel.sendMessage(here, Buffer.from('x'), files);
    const { descriptors } = kernel.receiveMessage(there, buffer, true);
    for (const fd of descriptors) keep(fd);
    const inodes = (fds: readonly number[]) => fds.map((fd) => fstatSync(fd).ino);
    expect(inodes(descriptors)).toEqual(inodes(files));
    for (const excess of [[here], [here, there]]) {
      const tooMany = () => kernel.sendMessage(here, Buffer.from('x'), [...files, ...excess]);
      expectFailure(tooMany, 'sendmsg', 'EINVAL');
    }
    expectFailure(() => kernel.sendMessage(here, Buffer.from('x'), [1_000_000]), 'sendmsg', 'EBADF');
    expectFailure(() => kernel.receiveMessage(there, buffer, true), 'recvmsg', 'EAGAIN');
  });

  test('EAGAIN, one error for all, when nothing is there and when there is no room', () => {
    const empty = () => kernel.receiveMessage(there, buffer, true);
    expectFailure(empty, 'recvmsg', 'EAGAIN');
    expect(failure(empty)).toBe(failure(empty));
    const fill = () => {
      for (;;) kernel.sendMessage(here, buffer);
    };
    expectFailure(fill, 'sendmsg', 'EAGAIN');
    expect(failure(fill)).toBe(failure(fill));
    expectFailure(() => kernel.sendMessage(here, buffer, [here]), 'sendmsg', 'EAGAIN');
    expect(kernel.receiveMessage(there, buffer, true).bytes).toBe(buffer.length);
  });

  test('a message longer than the buffer is an error, leaves nothing open, and the next is whole', () => {
    kernel.sendMessage(here, Buffer.from('too long'), [here, there]);
    kernel.sendMessage(here, Buffer.from('next'), [here]);
    const before = openNow();
    expectFailure(() => kernel.receiveMessage(there, buffer.subarray(0, 7), true), 'recvmsg', 'EMSGSIZE');
    expect(openNow()).toEqual(before);
    const { bytes, descriptors } = kernel.receiveMessage(there, buffer.subarray(0, 4), true);
    expect(buffer.toString('utf8', 0, bytes)).toBe('next');
    expect(descriptors.map((fd) => fstatSync(keep(fd)).ino)).toEqual([fstatSync(here).ino]);
  });

  test('the end of the connection: 0 for who receives, EPIPE and no signal for who sends', () => {
    kernel.sendMessage(here, Buffer.from('last'));
    close(here);
    expect(text(there)).toBe('last');
    for (let times = 0; times < 2; times++) {
      expect(kernel.receiveMessage(there, buffer, true)).toEqual({ bytes: 0, descriptors: [] });
      expectFailure(() => kernel.sendMessage(there, Buffer.from('x')), 'sendmsg', 'EPIPE');
      expectFailure(() => kernel.sendMessage(there, Buffer.from('x'), [there]), 'sendmsg', 'EPIPE');
    }
  });

  test('ECONNRESET, once, when the other end was closed with messages unread', () => {
    kernel.sendMessage(here, Buffer.from('unread'));
    close(there);
    expectFailure(() => kernel.receiveMessage(here, buffer, true), 'recvmsg', 'ECONNRESET');
    expect(kernel.receiveMessage(here, buffer, true).bytes).toBe(0);
    const [sender, gone] = kernel.socketPair();
    keep(sender);
    kernel.sendMessage(sender, Buffer.from('unread'));
    kernel.close(gone);
    expectFailure(() => kernel.sendMessage(sender, Buffer.from('x')), 'sendmsg', 'ECONNRESET');
    expectFailure(() => kernel.sendMessage(sender, Buffer.from('x')), 'sendmsg', 'EPIPE');
  });

  test('200,000 bytes are one message, and more than the socket holds is EMSGSIZE', () => {
    const big = Buffer.alloc(200_000, 'big');
    const room = Buffer.alloc(200_001);
    for (const descriptors of [[], [here]]) {
      expect(kernel.sendMessage(here, big, descriptors)).toBe(big.length);
      const received = kernel.receiveMessage(there, room, true);
      for (const fd of received.descriptors) keep(fd);
      expect(received.bytes).toBe(big.length);
      expect(room.subarray(0, big.length).equals(big)).toBe(true);
      room.fill(0);
    }
    expectFailure(() => kernel.sendMessage(here, Buffer.alloc(100_000_000)), 'sendmsg', 'EMSGSIZE');
  });

  test('what is no socket is refused', () => {
    const file = keep(openSync('/', 'r'));
    expectFailure(() => kernel.sendMessage(file, buffer), 'sendmsg', 'ENOTSOCK');
    expectFailure(() => kernel.receiveMessage(file, buffer, true), 'recvmsg', 'ENOTSOCK');
  });

  const KERNEL_URL = pathToFileURL(join(import.meta.dirname, '../../dist/kernel/index.js')).href;

  test('beside credentials that the socket asks for, descriptors are found', () => {
    // setsockopt(2) is not of the seam: Python sets it, and its socket is inherited as descriptor 0.
    const program = `
      const { linuxKernel } = await import(${JSON.stringify(KERNEL_URL)});
      const { bytes, descriptors } = linuxKernel().receiveMessage(0, Buffer.alloc(64), true);
      console.log(bytes, linuxKernel().readlink('/proc/self/fd/' + descriptors[0]).toString(), descriptors.length);
    `;
    const python = `
import array, os, socket, subprocess, sys
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
a.sendmsg([b'hello'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.open('/proc', os.O_RDONLY)]))])
sys.exit(subprocess.call(sys.argv[1:], stdin=b))
`;
    const command = [process.execPath, '--input-type=module', '--eval', program];
    const { stdout, stderr } = spawnSync('python3', ['-c', python, ...command], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: '5 /proc 1\n', stderr: '' });
  });

  test('when this process may open only some of the descriptors, those arrive', () => {
    const program = `
      const { linuxKernel } = await import(${JSON.stringify(KERNEL_URL)});
      const kernel = linuxKernel();
      const [here, there] = kernel.socketPair();
      kernel.sendMessage(here, Buffer.from('x'), Array(253).fill(0));
      const { bytes, descriptors } = kernel.receiveMessage(there, Buffer.alloc(8), true);
      kernel.close(descriptors[0]);
      console.log(bytes, descriptors.length > 100 && descriptors.length < 253);
    `;
    const command = [process.execPath, '--input-type=module', '--eval', program];
    const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 256; exec "$@"', 'sh', ...command], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: '1 true\n', stderr: '' });
  });

  test('from a worker thread and to it', () => {
    const worker = `(async () => {
      const { linuxKernel } = await import(${JSON.stringify(KERNEL_URL)});
      const { workerData, parentPort } = await import('node:worker_threads');
      const kernel = linuxKernel();
      const buffer = Buffer.alloc(16);
      const { bytes, descriptors } = kernel.receiveMessage(workerData, buffer, true);
      kernel.sendMessage(workerData, Buffer.from('heard ' + buffer.toString('utf8', 0, bytes)), descriptors);
      kernel.close(descriptors[0]);
    })();`;
    const program = `
      const { linuxKernel } = await import(${JSON.stringify(KERNEL_URL)});
      const { Worker } = await import('node:worker_threads');
      const kernel = linuxKernel();
      const [here, there] = kernel.socketPair();
      kernel.sendMessage(here, Buffer.from('hello'), [kernel.openAt(-100, '/proc', 0)]);
      new Worker(${JSON.stringify(worker)}, { eval: true, workerData: there }).on('exit', (code) => {
        const buffer = Buffer.alloc(16);
        const { bytes, descriptors } = kernel.receiveMessage(here, buffer, true);
        console.log(code, buffer.toString('utf8', 0, bytes), kernel.readlink('/proc/self/fd/' + descriptors[0]).toString());
      });
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: '0 heard hello /proc\n', stderr: '' });
  });
});

describe.skipIf(!canMount)('namespaces, children and terminals', () => {
  const CLONE_NEWPID = 0x2000_0000;

  test('what is started after unshare is the first of a PID namespace, until the way back', async () => {
    const kernel = linuxKernel();
    const own = kernel.openAt(AT_FDCWD, '/proc/self/ns/pid', 0);
    const pidOf = (text: string) => Number(text.trim());
    kernel.unshare(CLONE_NEWPID);
    const inside = spawn('sh', ['-c', 'echo $$']);
    kernel.setNamespace(own, CLONE_NEWPID);
    const outside = spawn('sh', ['-c', 'echo $$']);
    const [first, second] = await Promise.all([inside, outside].map(({ stdout }) => once(stdout, 'data')));
    expect(pidOf(String(first?.[0]))).toBe(1);
    expect(pidOf(String(second?.[0]))).toBe(outside.pid);
    kernel.close(own);
    expectFailure(() => kernel.unshare(-1), 'unshare', 'EINVAL');
    expectFailure(() => kernel.setNamespace(-1, CLONE_NEWPID), 'setns', 'EBADF');
  });

  test('mounts', () => {
    const place = mkdtempSync(join(tmpdir(), 'kernel-mount-'));
    const kernel = linuxKernel();
    kernel.mount('none', place, 'tmpfs', 0);
    expect(kernel.readFile('/proc/self/mountinfo').toString()).toContain(` ${place} `);
    execFileSync('umount', [place]);
    expectFailure(() => kernel.mount('none', place, 'nosuchfs', 0), 'mount', 'ENODEV', place);
    rmSync(place, { recursive: true });
  });

  test('tells what has become of a child', async () => {
    const kernel = linuxKernel();
    const [WNOHANG, WSTOPPED, WEXITED, WNOWAIT] = [1, 2, 4, 0x0100_0000];
    const child = spawn('sleep', ['30']);
    const pid = child.pid ?? 0;
    expect(kernel.waitChild(pid, WSTOPPED | WEXITED | WNOHANG)).toBeUndefined();
    child.kill('SIGSTOP');
    await expect
      .poll(() => kernel.waitChild(pid, WSTOPPED | WNOHANG))
      .toEqual({ pid, code: 5, status: osConstants.signals.SIGSTOP });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expectFailure(() => kernel.waitChild(pid, WEXITED | WNOHANG | WNOWAIT), 'waitid', 'ECHILD');
  });

  test('a terminal that is none is refused', () => {
    const fd = openSync('/dev/null', 'r');
    expectFailure(() => linuxKernel().terminalGroup(fd), 'ioctl', 'ENOTTY');
    expectFailure(() => linuxKernel().setTerminalGroup(fd, 1), 'ioctl', 'ENOTTY');
    closeSync(fd);
  });
});
