// What test/conformance/operations.mjs does on Linux, on a simulated machine: by the task that runs, which may be held on the way.

import { KernelError } from '../../src/kernel/error.ts';
import type { SystemCalls } from '../../src/simulated/seam/system-calls.ts';
import type { Blocking } from '../../src/simulated/wait.ts';
import type { Operation, Outcome } from '../conformance/case.ts';
import { errnoWord, NoDescriptorError, openFlags } from '../conformance/operations.mjs';

/** Arguments as an operation has them: operations.mjs says which each needs. */
// biome-ignore lint/suspicious/noExplicitAny: a case is data; what is missing in it fails where it is used.
type Arguments = any;

const octal = (mode: string | number | undefined, otherwise: number): number =>
  mode === undefined ? otherwise : typeof mode === 'string' ? Number.parseInt(mode, 8) : mode;

/** Carries out operations; remembers the descriptors that they open. */
export class SimulatedOperator {
  readonly calls: SystemCalls;
  readonly #named = new Map<string, number>();
  #open: number[] = [];

  readonly #missing: number | undefined;

  /** `missing`: what is passed for a descriptor that nobody has opened; without it, that is an error. */
  constructor(calls: SystemCalls, missing?: number) {
    this.calls = calls;
    this.#missing = missing;
  }

  descriptor(name: string): number {
    const fd = this.#named.get(name) ?? this.#missing;
    if (fd === undefined) throw new NoDescriptorError(`no descriptor is called ${name}`);
    return fd;
  }

  *closeAll(): Blocking<void> {
    for (const fd of this.#open) yield* this.calls.close(fd);
    this.#open = [];
    this.#named.clear();
  }

  /** 'ok', a count, or the name of an errno. */
  *run(operation: Operation): Blocking<Outcome> {
    const perform = operations[operation.op];
    if (perform === undefined) throw new Error(`no such operation: ${operation.op}`);
    try {
      return (yield* perform(operation, this)) ?? 'ok';
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return errnoWord(error.errno);
    }
  }

  /** The descriptor that an operation means: by name, else the one opened last. */
  fd({ fd }: { readonly fd?: number | string }): number {
    if (typeof fd === 'number') return fd;
    if (fd !== undefined) return this.descriptor(fd);
    const last = this.#open.at(-1) ?? this.#missing;
    if (last === undefined) throw new NoDescriptorError('no descriptor is open');
    return last;
  }

  opened(fd: number, as: string | undefined): void {
    this.#open.push(fd);
    if (as !== undefined) this.#named.set(as, fd);
  }

  *close(fd: number): Blocking<void> {
    this.#open = this.#open.filter((open) => open !== fd);
    for (const [name, open] of this.#named) if (open === fd) this.#named.delete(name);
    yield* this.calls.close(fd);
  }
}

type Perform = (
  operation: Arguments,
  self: SimulatedOperator,
) => Blocking<Outcome> | Blocking<void> | Blocking<undefined>;

const PAGE_BYTES = 4096;

const operations: Readonly<Record<string, Perform>> = {
  *open({ path, flags = ['O_RDONLY'], mode, as }, self) {
    self.opened(yield* self.calls.open(path, openFlags(flags), octal(mode, 0o666)), as);
  },
  *close(operation, self) {
    yield* self.close(self.fd(operation));
  },
  *openclose({ path, flags = ['O_RDONLY'], mode }, { calls }) {
    yield* calls.close(yield* calls.open(path, openFlags(flags), octal(mode, 0o666)));
  },
  *opencloseMany({ path, count, flags = ['O_RDONLY'] }, { calls }) {
    for (let i = 0; i < count; i++) {
      yield* calls.close(yield* calls.open(path.replace('%d', String(i)), openFlags(flags)));
    }
  },
  *pipe({ as }, self) {
    const [reader, writer] = yield* self.calls.pipe();
    self.opened(writer, undefined);
    self.opened(reader, as);
  },
  *read(operation, self) {
    return (yield* self.calls.read(self.fd(operation), operation.bytes ?? 256, operation.offset)).length;
  },
  *write(operation, self) {
    return yield* self.calls.write(self.fd(operation), '1'.repeat(operation.bytes ?? 1), operation.offset);
  },
  *lseek(operation, self) {
    yield* self.calls.seek(self.fd(operation), operation.offset ?? 0);
  },
  *exec({ path }, { calls }) {
    yield* calls.exec(path);
  },
  *spawn({ path }, { calls }) {
    yield* calls.spawn(path);
  },
  *mkdir({ path, mode }, { calls }) {
    yield* calls.mkdir(path, octal(mode, 0o755));
  },
  *rmdir({ path }, { calls }) {
    yield* calls.rmdir(path);
  },
  *unlink({ path }, { calls }) {
    yield* calls.unlink(path);
  },
  *rename({ path, to }, { calls }) {
    yield* calls.rename(path, to);
  },
  *exchange({ path, to }, { calls }) {
    yield* calls.exchange(path, to);
  },
  *renameNew({ path, to }, { calls }) {
    yield* calls.renameNew(path, to);
  },
  *renameMany({ path, to, count }, { calls }) {
    let from = path;
    for (let i = 0; i < count; i++) {
      const next = to.replace('%d', String(i));
      yield* calls.rename(from, next);
      from = next;
    }
  },
  *link({ path, to }, { calls }) {
    yield* calls.link(path, to);
  },
  *symlink({ path, to }, { calls }) {
    yield* calls.symlink(to, path);
  },
  *mknod({ path, mode }, { calls }) {
    yield* calls.mknod(path, 'file', octal(mode, 0o644));
  },
  *bindSelf({ path }, { calls }) {
    yield* calls.bind(path, path);
  },
  *bind({ path, to }, { calls }) {
    yield* calls.bind(path, to);
  },
  *mountTmpfs({ path }, { calls }) {
    yield* calls.mount(path, 'tmpfs');
  },
  *umount({ path }, { calls }) {
    yield* calls.unmount(path, { follows: false });
  },
  *umountLazily({ path }, { calls }) {
    yield* calls.unmount(path, { lazily: true, follows: false });
  },
  *chmod({ path, mode }, { calls }) {
    yield* calls.chmod(path, octal(mode, 0o644));
  },
  *fchmod({ mode, ...operation }, self) {
    yield* self.calls.fchmod(self.fd(operation), octal(mode, 0o644));
  },
  *chown({ path, uid, gid }, { calls }) {
    yield* calls.chown(path, uid ?? 0, gid ?? 0);
  },
  *utimes({ path }, { calls }) {
    yield* calls.utimes(path, 1000, 1000);
  },
  *setxattr({ path, name = 'user.conformance' }, { calls }) {
    yield* calls.setxattr(path, name, '1');
  },
  *removexattr({ path, name = 'user.conformance' }, { calls }) {
    yield* calls.removexattr(path, name);
  },
  // Through a descriptor: Node has it so.
  *truncate({ path, size }, { calls }) {
    const fd = yield* calls.open(path, 'r+');
    try {
      yield* calls.ftruncate(fd, size ?? 0);
    } catch (error) {
      yield* calls.close(fd);
      throw error;
    }
    yield* calls.close(fd);
  },
  *truncatePath({ path, size }, { calls }) {
    yield* calls.truncate(path, size ?? 0);
  },
  *ftruncate(operation, self) {
    yield* self.calls.ftruncate(self.fd(operation), operation.size ?? 0);
  },
  *fallocate(operation, self) {
    const { mode = 0, offset = 0, count = 1 } = operation;
    yield* self.calls.fallocate(self.fd(operation), mode, offset, count);
  },
  *mmapRead(operation, self) {
    const { calls } = self;
    const mapping = yield* calls.map(self.fd(operation), operation.offset ?? 0, PAGE_BYTES);
    if (operation.touch !== false) yield* calls.touch(mapping);
    yield* calls.unmap(mapping);
  },
  *mmapWrite(operation, self) {
    const { calls } = self;
    const how = { isWritable: true, isShared: true };
    const mapping = yield* calls.map(self.fd(operation), operation.offset ?? 0, PAGE_BYTES, how);
    if (operation.touch !== false) yield* calls.writeMapped(mapping, 0, '1');
    yield* calls.unmap(mapping);
  },
  *copyRange({ from, to, count = 1 }, self) {
    return yield* self.calls.copyRange(self.descriptor(from), self.descriptor(to), count);
  },
  *sendfile({ from, to, count = 1 }, self) {
    return yield* self.calls.sendfile(self.descriptor(to), self.descriptor(from), count);
  },
  *readdir({ path }, { calls }) {
    try {
      yield* calls.list(path);
    } catch (error) {
      // readdir(3) says nothing of a directory that is removed.
      if (!(error instanceof KernelError) || error.code !== 'ENOENT') throw error;
      yield* calls.stat(path);
    }
  },
  *stat({ path }, { calls }) {
    yield* calls.stat(path);
  },
  *fsync({ path, ...operation }, self) {
    const { calls } = self;
    if (path === undefined) return yield* calls.fsync(self.fd(operation));
    const fd = yield* calls.open(path);
    yield* calls.fsync(fd);
    yield* calls.close(fd);
    return undefined;
  },
  // Whether what nobody uses leaves memory is no matter of how often one asks.
  *dropCaches(_operation, { calls }) {
    yield* calls.writeFile('/proc/sys/vm/drop_caches', '3');
  },
  *syncfs({ path }, { calls }) {
    yield* calls.close(yield* calls.open(path));
  },
  *reclaim({ path }, { calls }) {
    yield* calls.close(yield* calls.open(path));
    yield* calls.writeFile('/proc/sys/vm/drop_caches', '3');
  },
  *put({ path, text = '1' }, { calls }) {
    yield* calls.writeFile(path, text);
  },
  *become({ uid }, { calls }) {
    yield* calls.setEffectiveUid(0);
    yield* calls.setEffectiveUid(uid);
  },
  *fanotifyInit({ flags, as }, self) {
    self.opened(yield* self.calls.fanotifyInit(flags), as);
  },
  *fanotifyMark({ group, flags, mask, path }, self) {
    yield* self.calls.fanotifyMark(self.descriptor(group), flags, BigInt(mask), path);
  },
};
