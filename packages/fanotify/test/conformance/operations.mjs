// What a step's operations do, by node:fs and, where that has no word for it, the C library. Plain JavaScript: the listening
// process imports it, and so does the other process (child.mjs), which Node 20 runs without a build.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import koffi from 'koffi';

const library = koffi.load(null);
const c = {
  mknod: library.func('int mknod(const char *path, uint32_t mode, uint64_t dev)'),
  mount: library.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  ),
  umount2: library.func('int umount2(const char *target, int flags)'),
  execv: library.func('int execv(const char *path, const char **argv)'),
  pipe2: library.func('int pipe2(void *fds, int flags)'),
  fcntl: library.func('int fcntl(int fd, int command, int argument)'),
  prlimit: library.func('int prlimit(int pid, int resource, void *to, void *from)'),
  lseek: library.func('int64_t lseek(int fd, int64_t offset, int whence)'),
  fallocate: library.func('int fallocate(int fd, int mode, int64_t offset, int64_t count)'),
  renameat2: library.func('int renameat2(int from, const char *path, int to, const char *toPath, uint32_t flags)'),
  truncate: library.func('int truncate(const char *path, int64_t count)'),
  removexattr: library.func('int removexattr(const char *path, const char *name)'),
  setxattr: library.func('int setxattr(const char *path, const char *name, void *value, size_t size, int flags)'),
  copyFileRange: library.func(
    'intptr_t copy_file_range(int in, void *inOffset, int out, void *outOffset, size_t count, uint32_t flags)',
  ),
  sendfile: library.func('intptr_t sendfile(int out, int in, void *offset, size_t count)'),
  mmap: library.func('void *mmap(void *address, size_t count, int protection, int flags, int fd, int64_t offset)'),
  flock: library.func('int flock(int fd, int operation)'),
  syncfs: library.func('int syncfs(int fd)'),
  getpagesize: library.func('int getpagesize()'),
  munmap: library.func('int munmap(void *address, size_t count)'),
  fanotifyInit: library.func('int fanotify_init(uint32_t flags, uint32_t eventFlags)'),
  fanotifyMark: library.func('int fanotify_mark(int fd, uint32_t flags, uint64_t mask, int dirfd, const char *path)'),
  syscall3: library.func('syscall', 'long', ['long', 'long', 'long', 'long']),
};

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const RLIMIT_NOFILE = 7;
const MS_BIND = 4096;
const MNT_DETACH = 2;
const ECANCELED = 125;
const UMOUNT_NOFOLLOW = 8;
const F_SETFD = 2;

// open(2) flags that node:fs does not name. asm-generic; arm64 has its own O_LARGEFILE.
const MORE_OPEN_FLAGS = {
  O_PATH: 0o10000000,
  O_CLOEXEC,
  O_LARGEFILE: process.arch === 'arm64' ? 0o400000 : 0o100000,
  O_TMPFILE: 0o20000000 | fs.constants.O_DIRECTORY,
};

export function openFlags(names) {
  let flags = 0;
  for (const name of names) {
    const value = fs.constants[name] ?? MORE_OPEN_FLAGS[name] ?? (name.startsWith('0x') ? Number(name) : undefined);
    if (value === undefined) throw new Error(`no such open flag: ${name}`);
    flags |= value;
  }
  return flags;
}

const ERRNO_NAMES = new Map(Object.entries(koffi.os.errno).map(([name, errno]) => [errno, name]));
// Where a number has two names, as the cases have it.
for (const name of ['EAGAIN', 'EDEADLK', 'EOPNOTSUPP']) ERRNO_NAMES.set(koffi.os.errno[name], name);
// What koffi has no name for, nor has libuv.
ERRNO_NAMES.set(117, 'EUCLEAN').set(122, 'EDQUOT');

/** The name of an errno, positive. */
export function errnoWord(errno) {
  return ERRNO_NAMES.get(errno) ?? `E${errno}`;
}

/** The errno name of what node:fs or {@link check} threw; anything else is thrown on. */
function failure(error) {
  if (typeof error?.errno !== 'number') throw error;
  return errnoWord(-error.errno);
}

export function pageSize() {
  return c.getpagesize();
}

function check(result, syscall) {
  if (result >= 0) return Number(result);
  const errno = koffi.errno();
  throw Object.assign(new Error(`${syscall}: ${ERRNO_NAMES.get(errno) ?? errno}`), { errno: -errno });
}

export function pipe() {
  const fds = Buffer.alloc(8);
  check(c.pipe2(fds, O_CLOEXEC), 'pipe2');
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

export function closeOnExec(fd) {
  check(c.fcntl(fd, F_SETFD, 1), 'fcntl');
}

/** Calls `call` while no other process is in such a call with this file, which is made if need be. */
export function withLock(path, call) {
  const LOCK_EX = 2;
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  try {
    check(c.flock(fd, LOCK_EX), 'flock');
    return call();
  } finally {
    fs.closeSync(fd);
  }
}

/** By system call, not by the C library, so that it holds for this thread alone: libuv's threads stay as they are. */
export function setEffectiveUid(uid) {
  const SETRESUID = { x64: 117, arm64: 147, riscv64: 147, loong64: 147 }[process.arch];
  if (SETRESUID === undefined) throw new Error(`no number of setresuid(2) for ${process.arch}`);
  check(c.syscall3(SETRESUID, -1, uid, -1), 'setresuid');
}

export function getDescriptorLimit() {
  const limits = Buffer.alloc(16);
  check(c.prlimit(0, RLIMIT_NOFILE, null, limits), 'prlimit');
  return limits.readBigUInt64LE(0);
}

export function setDescriptorLimit(soft) {
  const limits = Buffer.alloc(16);
  check(c.prlimit(0, RLIMIT_NOFILE, null, limits), 'prlimit');
  limits.writeBigUInt64LE(soft, 0);
  check(c.prlimit(0, RLIMIT_NOFILE, limits, null), 'prlimit');
}

const octal = (mode, otherwise) =>
  mode === undefined ? otherwise : typeof mode === 'string' ? Number.parseInt(mode, 8) : mode;

/** An operation means a descriptor that nobody has opened. */
export class NoDescriptorError extends Error {}

/** Carries out operations; remembers the descriptors that they open. */
export class Operator {
  #named = new Map();
  #open = [];
  #missing;

  /** `missing`: what is passed for a descriptor that nobody has opened; without it, that is an error. */
  constructor(missing) {
    this.#missing = missing;
  }

  descriptor(name) {
    const fd = this.#named.get(name) ?? this.#missing;
    if (fd === undefined) throw new NoDescriptorError(`no descriptor is called ${name}`);
    return fd;
  }

  closeAll() {
    for (const fd of this.#open) fs.closeSync(fd);
    this.#open = [];
    this.#named.clear();
  }

  /** 'ok', a count, or the name of an errno. */
  run(operation) {
    const perform = operations[operation.op];
    if (perform === undefined) throw new Error(`no such operation: ${operation.op}`);
    try {
      return perform(operation, this) ?? 'ok';
    } catch (error) {
      return failure(error);
    }
  }

  /** The descriptor that an operation means: by name, else the one opened last. */
  fd({ fd }) {
    if (typeof fd === 'number') return fd;
    if (fd !== undefined) return this.descriptor(fd);
    const last = this.#open.at(-1) ?? this.#missing;
    if (last === undefined) throw new NoDescriptorError('no descriptor is open');
    return last;
  }

  opened(fd, as) {
    this.#open.push(fd);
    if (as !== undefined) this.#named.set(as, fd);
  }

  close(fd) {
    this.#open = this.#open.filter((open) => open !== fd);
    for (const [name, open] of this.#named) if (open === fd) this.#named.delete(name);
    fs.closeSync(fd);
  }
}

const position = (offset) => (offset === undefined ? null : offset);

const operations = {
  open({ path, flags = ['O_RDONLY'], mode, as }, self) {
    self.opened(fs.openSync(path, openFlags(flags), octal(mode, 0o666)), as);
  },
  close(operation, self) {
    self.close(self.fd(operation));
  },
  openclose({ path, flags = ['O_RDONLY'], mode }) {
    fs.closeSync(fs.openSync(path, openFlags(flags), octal(mode, 0o666)));
  },
  // '%d' in `path` counts from 0.
  opencloseMany({ path, count, flags = ['O_RDONLY'] }) {
    for (let i = 0; i < count; i++) fs.closeSync(fs.openSync(path.replace('%d', String(i)), openFlags(flags)));
  },
  pipe({ as }, self) {
    const [reader, writer] = pipe();
    self.opened(writer, undefined);
    self.opened(reader, as);
  },
  read(operation, self) {
    const buffer = Buffer.alloc(operation.bytes ?? 256);
    return fs.readSync(self.fd(operation), buffer, 0, buffer.length, position(operation.offset));
  },
  write(operation, self) {
    const bytes = Buffer.alloc(operation.bytes ?? 1, '1');
    return fs.writeSync(self.fd(operation), bytes, 0, bytes.length, position(operation.offset));
  },
  lseek(operation, self) {
    check(c.lseek(self.fd(operation), operation.offset ?? 0, 0), 'lseek');
  },
  // In place, so that the process id is the one that did what went before. Returns only when it failed.
  exec({ path }) {
    check(c.execv(path, [path, null]), 'execve');
  },
  // By a process that has ended, and been waited for, when this returns.
  spawn({ path }) {
    const { error, status, signal } = spawnSync(path, { stdio: 'ignore' });
    if (error) throw error;
    // What cannot be mapped any more is killed rather than refused.
    if (signal !== null) throw Object.assign(new Error(`${path} was killed`), { errno: -ECANCELED });
    if (status !== 0) throw new Error(`${path} exited with ${status}`);
  },
  mkdir({ path, mode }) {
    fs.mkdirSync(path, octal(mode, 0o755));
  },
  rmdir({ path }) {
    fs.rmdirSync(path);
  },
  unlink({ path }) {
    fs.unlinkSync(path);
  },
  rename({ path, to }) {
    fs.renameSync(path, to);
  },
  exchange({ path, to }) {
    const RENAME_EXCHANGE = 2;
    check(c.renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_EXCHANGE), 'renameat2');
  },
  renameNew({ path, to }) {
    const RENAME_NOREPLACE = 1;
    check(c.renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE), 'renameat2');
  },
  // Renames `path` to `to` with '%d' as 0, then on to 1, 2 …: one file, many names.
  renameMany({ path, to, count }) {
    let from = path;
    for (let i = 0; i < count; i++) {
      const next = to.replace('%d', String(i));
      fs.renameSync(from, next);
      from = next;
    }
  },
  link({ path, to }) {
    fs.linkSync(path, to);
  },
  symlink({ path, to }) {
    fs.symlinkSync(to, path);
  },
  mknod({ path, mode }) {
    check(c.mknod(path, fs.constants.S_IFREG | octal(mode, 0o644), 0), 'mknod');
  },
  bindSelf({ path }) {
    check(c.mount(path, path, null, MS_BIND, null), 'mount');
  },
  bind({ path, to }) {
    check(c.mount(path, to, null, MS_BIND, null), 'mount');
  },
  mountTmpfs({ path }) {
    check(c.mount('tmpfs', path, 'tmpfs', 0, null), 'mount');
  },
  // Not what a symbolic link leads to, which may be the scratch file system itself.
  umount({ path }) {
    check(c.umount2(path, UMOUNT_NOFOLLOW), 'umount2');
  },
  umountLazily({ path }) {
    check(c.umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW), 'umount2');
  },
  chmod({ path, mode }) {
    fs.chmodSync(path, octal(mode, 0o644));
  },
  fchmod({ mode, ...operation }, self) {
    fs.fchmodSync(self.fd(operation), octal(mode, 0o644));
  },
  chown({ path, uid, gid }) {
    fs.chownSync(path, uid ?? 0, gid ?? 0);
  },
  utimes({ path }) {
    fs.utimesSync(path, 1, 1);
  },
  setxattr({ path, name = 'user.conformance' }) {
    check(c.setxattr(path, name, Buffer.from('1'), 1, 0), 'setxattr');
  },
  removexattr({ path, name = 'user.conformance' }) {
    check(c.removexattr(path, name), 'removexattr');
  },
  // Through a descriptor: Node has it so.
  truncate({ path, size }) {
    fs.truncateSync(path, size ?? 0);
  },
  // By truncate(2), without opening it.
  truncatePath({ path, size }) {
    check(c.truncate(path, size ?? 0), 'truncate');
  },
  ftruncate(operation, self) {
    fs.ftruncateSync(self.fd(operation), operation.size ?? 0);
  },
  fallocate(operation, self) {
    check(
      c.fallocate(self.fd(operation), operation.mode ?? 0, operation.offset ?? 0, operation.count ?? 1),
      'fallocate',
    );
  },
  // Touches the first byte of the page at `offset` through a private mapping.
  mmapRead(operation, self) {
    const [PROT_READ, MAP_PRIVATE, PAGE] = [1, 2, 4096];
    const address = c.mmap(null, PAGE, PROT_READ, MAP_PRIVATE, self.fd(operation), operation.offset ?? 0);
    // MAP_FAILED is (void *) -1.
    if (koffi.address(address) === 0xffff_ffff_ffff_ffffn) check(-1, 'mmap');
    if (operation.touch !== false) koffi.decode(address, 'uint8_t');
    check(c.munmap(address, PAGE), 'munmap');
  },
  // Writes the first byte of the page at `offset` through a shared mapping.
  mmapWrite(operation, self) {
    const [PROT_READ_WRITE, MAP_SHARED, PAGE] = [3, 1, 4096];
    const address = c.mmap(null, PAGE, PROT_READ_WRITE, MAP_SHARED, self.fd(operation), operation.offset ?? 0);
    if (koffi.address(address) === 0xffff_ffff_ffff_ffffn) check(-1, 'mmap');
    if (operation.touch !== false) koffi.encode(address, 'uint8_t', 0x31);
    check(c.munmap(address, PAGE), 'munmap');
  },
  copyRange({ from, to, count = 1 }, self) {
    return check(c.copyFileRange(self.descriptor(from), null, self.descriptor(to), null, count, 0), 'copy_file_range');
  },
  sendfile({ from, to, count = 1 }, self) {
    return check(c.sendfile(self.descriptor(to), self.descriptor(from), null, count), 'sendfile');
  },
  readdir({ path }) {
    fs.readdirSync(path);
  },
  stat({ path }) {
    fs.statSync(path);
  },
  fsync({ path, ...operation }, self) {
    if (path === undefined) return fs.fsyncSync(self.fd(operation));
    const fd = fs.openSync(path, fs.constants.O_RDONLY);
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    return undefined;
  },
  // Dentries, inodes and clean pages, on the whole machine: costs others time, nothing else (proc_sys_vm(5)).
  dropCaches({ times = 1 }) {
    for (let i = 0; i < times; i++) fs.writeFileSync('/proc/sys/vm/drop_caches', '3');
  },
  // So that the inodes are clean and can be evicted.
  syncfs({ path }) {
    const fd = fs.openSync(path, fs.constants.O_RDONLY);
    try {
      check(c.syncfs(fd), 'syncfs');
    } finally {
      fs.closeSync(fd);
    }
  },
  // Both: what nobody uses of that file system leaves memory.
  reclaim({ path }) {
    operations.syncfs({ path });
    for (let i = 0; i < 3; i++) fs.writeFileSync('/proc/sys/vm/drop_caches', '3');
  },
  put({ path, text = '1' }) {
    fs.writeFileSync(path, text);
  },
  // As which user it goes on.
  become({ uid }) {
    setEffectiveUid(0);
    setEffectiveUid(uid);
  },
  // For a process with limits of its own; numbers as fanotify_init(2) and fanotify_mark(2) take them.
  fanotifyInit({ flags, as }, self) {
    self.opened(check(c.fanotifyInit(flags, 0), 'fanotify_init'), as);
  },
  fanotifyMark({ group, flags, mask, path }, self) {
    check(c.fanotifyMark(self.descriptor(group), flags, mask, AT_FDCWD, path), 'fanotify_mark');
  },
};
