// The program of test/decision/c/change.c there: changes a file in the way that is asked for. It has the ways that the machine has.

import { ERRNO, KernelError } from '../../../src/kernel/error.ts';
import { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/simulated/files/flags.ts';
import { setLease } from '../../../src/simulated/files/lease.ts';
import { Refusal } from '../../../src/simulated/refusal.ts';
import { fileOf } from '../../../src/simulated/tasks/descriptors.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';
import { calls, machine } from './machine.ts';
import type { Main } from './programs.ts';

const NO_SUCH_WAY = 2;
const BYTES = 'changed';
const PAGE_BYTES = 4096;
/** FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE. */
const PUNCH_HOLE = 3;
const F_WRLCK = 1;
const SOMEBODY = 65_533;

const opened = (path: string, flags: number) => calls.open(path, flags, 0o644);

function* writeAtStart(path: string, flags = O_WRONLY): Blocking<void> {
  yield* calls.write(yield* opened(path, flags), BYTES, 0);
}

function* otherWithBytes(path: string): Blocking<number> {
  const fd = yield* opened(`${path}.other`, O_RDWR | O_CREAT | O_TRUNC);
  yield* calls.write(fd, BYTES, 0);
  return fd;
}

/** Says that all is prepared, and waits for a line. */
function* waitForLine(): Blocking<void> {
  yield* calls.write(1, 'ready\n');
  for (let byte = ''; byte !== '\n'; ) {
    byte = (yield* calls.read(0, 1)).toString();
    if (byte === '') return;
  }
}

function* store(path: string, { isRead = false, isDirty = false, isHeld = false } = {}): Blocking<void> {
  const fd = yield* opened(path, O_RDWR);
  const mapping = yield* calls.map(fd, 0, PAGE_BYTES, { isWritable: true, isShared: true });
  const first = isRead || isDirty ? yield* calls.touch(mapping) : 0;
  if (isDirty) yield* calls.writeMapped(mapping, 0, Uint8Array.of(first));
  if (isRead || isDirty) yield* calls.close(fd);
  if (isHeld) yield* waitForLine();
  yield* calls.writeMapped(mapping, 0, BYTES);
}

function* copied(path: string, copy: (from: number, to: number) => Blocking<unknown>): Blocking<void> {
  const from = yield* otherWithBytes(path);
  yield* calls.seek(from, 0);
  yield* copy(from, yield* opened(path, O_WRONLY));
  yield* calls.unlink(`${path}.other`);
}

/** Who opens the file then waits for this process, or is refused. */
function* leaseToWrite(path: string): Blocking<void> {
  const fd = yield* opened(path, O_RDONLY);
  for (;;) {
    try {
      setLease(machine, fileOf(machine, fd), F_WRLCK);
      break;
    } catch (error) {
      if (!(error instanceof Refusal) || error.errno !== ERRNO.EAGAIN) throw error;
      yield* calls.sleep(1);
    }
  }
  yield* waitForLine();
}

const WAYS: Readonly<Record<string, (path: string) => Blocking<unknown>>> = {
  write: (path) => writeAtStart(path),
  writev: (path) => writeAtStart(path),
  *append(path) {
    yield* calls.write(yield* opened(path, O_WRONLY | O_APPEND), BYTES);
  },
  mmap: (path) => store(path),
  'mmap-read': (path) => store(path, { isRead: true }),
  truncate: (path) => calls.truncate(path, 1),
  *'truncate-often'(path) {
    for (let times = 0; times < 100_000; times++) yield* calls.truncate(path, 1);
  },
  *ftruncate(path) {
    yield* calls.ftruncate(yield* opened(path, O_WRONLY), 1);
  },
  'open-truncate': (path) => opened(path, O_WRONLY | O_TRUNC),
  *fallocate(path) {
    yield* calls.fallocate(yield* opened(path, O_WRONLY), PUNCH_HOLE, 0, PAGE_BYTES);
  },
  sendfile: (path) => copied(path, (from, to) => calls.sendfile(to, from, BYTES.length)),
  copy_file_range: (path) => copied(path, (from, to) => calls.copyRange(from, to, BYTES.length)),
  *replace(path) {
    yield* calls.close(yield* otherWithBytes(path));
    yield* calls.rename(`${path}.other`, path);
  },
  *'link-write'(path) {
    yield* calls.link(path, `${path}.link`);
    yield* writeAtStart(`${path}.link`);
    yield* calls.unlink(`${path}.link`);
  },
  link: (path) => calls.link(path, `${path}.link`),
  *rename(path) {
    yield* calls.rename(path, `${path}.elsewhere`);
    yield* calls.rename(`${path}.elsewhere`, path);
  },
  chmod: (path) => calls.chmod(path, 0o640),
  setuid: (path) => calls.chmod(path, 0o4755),
  chown: (path) => calls.chown(path, SOMEBODY, SOMEBODY),
  chgrp: (path) => calls.chown(path, -1, machine.current.credentials.egid),
  setxattr: (path) => calls.setxattr(path, machine.current.credentials.uid === 0 ? 'trusted.note' : 'user.note', BYTES),
  *'held-write'(path) {
    const fd = yield* opened(path, O_RDWR);
    yield* waitForLine();
    yield* calls.write(fd, BYTES, 0);
  },
  'held-mmap': (path) => store(path, { isRead: true, isHeld: true }),
  'held-mmap-dirty': (path) => store(path, { isDirty: true, isHeld: true }),
  'write-lease': leaseToWrite,
};

/** change WAY PATH. */
export const change: Main = function* ([, way = '', path = '']) {
  const changing = WAYS[way];
  if (changing === undefined) return NO_SUCH_WAY;
  try {
    yield* changing(path);
    return 0;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    yield* calls.write(2, `${path}: ${error.code}\n`);
    return error.errno === ERRNO.EOPNOTSUPP ? NO_SUCH_WAY : 1;
  }
};
