// The file systems that are marked, and which of them may be.

import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_PATH } from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';
import { mountRootOf, openMount } from '../../decision/mount-paths.ts';
import { fsidText, mountIdOf } from '../../identity/handle-at.ts';
import type { HandleKey } from '../../identity/locator.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { isWhole, type Mount } from '../../identity/mounts.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { answersAtOnce, isOfTheKernel } from '../filesystems.ts';
import { MarkedFilesystem } from './filesystem.ts';
import type { KernelQueue } from './kernel-queue.ts';
import type { At, Filesystem } from './model.ts';

const OPEN_TOP = O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;
const OPEN_PATH = O_PATH | O_DIRECTORY | O_CLOEXEC;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** What a descriptor is open on. */
export interface Target {
  readonly key: HandleKey;
  readonly fsid: string;
  readonly mountId: number;
  /** Its device, as far as it is that of the file system: that of a directory is. */
  readonly dev: bigint | undefined;
  readonly isDirectory: boolean;
  /** It is on a file system of the kernel's own. */
  readonly isOfTheKernel: boolean;
  /** The mount that it was opened through; undefined for one that this mount namespace does not have. */
  readonly mount: Mount | undefined;
}

export class Filesystems {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #queue: KernelQueue;
  readonly #byFsid = new Map<string, Filesystem>();

  constructor(kernel: Kernel, mounts: MountTable, queue: KernelQueue) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#queue = queue;
  }

  /** How many marks the kernel has. */
  get size(): number {
    return this.#byFsid.size;
  }

  byFsid(fsid: string): Filesystem | undefined {
    return this.#byFsid.get(fsid);
  }

  /**
   * What a descriptor is open on.
   *
   * @param type f_type of its file system, as the visitor has found out: asking it could make this process wait.
   * @throws CallError EXDEV for what may never answer, EOPNOTSUPP for what has no handles.
   */
  identify(fd: number, type: number): Target {
    try {
      if (!answersAtOnce(this.#kernel, this.#mounts, fd, type)) throw elsewhere();
      const { handle, mountId } = this.#kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH);
      const mount = this.#mounts.byId(mountId);
      const fsid = fsidText(this.#kernel.statfs(fd).fsid);
      const { mode, dev } = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
      const isDirectory = (mode & S_IFMT) === S_IFDIR;
      const key = Buffer.concat([Buffer.from(fsid, 'latin1'), handle]).toString('latin1');
      const isTheKernels = isOfTheKernel(this.#kernel, this.#mounts, fd, type);
      return {
        key,
        fsid,
        mountId,
        mount,
        isDirectory,
        isOfTheKernel: isTheKernels,
        dev: isDirectory ? dev : undefined,
      };
    } catch (error) {
      if (error instanceof KernelError && error.code === 'EOPNOTSUPP') throw withoutHandles();
      throw error;
    }
  }

  /**
   * The file system of a target, counted as used once more.
   *
   * @throws CallError EOPNOTSUPP where handles cannot be opened.
   */
  use(target: Target, fd: number): Filesystem {
    let filesystem = this.#byFsid.get(target.fsid);
    if (!filesystem) {
      filesystem = new MarkedFilesystem(this.#kernel, this.#queue.fd, this.#open(target, fd));
      this.#byFsid.set(target.fsid, filesystem);
    } else if (target.dev !== undefined && target.dev !== filesystem.dev) {
      throw new CallError(
        'EXDEV',
        'another file system that is marked has the same id (statfs(2)), as copies have, so nobody could tell what happens on which',
      );
    }
    filesystem.uses++;
    return filesystem;
  }

  /**
   * Takes another mount of a file system, if what was marked first has shown a part of it, and this target is on one that shows more.
   *
   * @returns false when there is none.
   */
  widen(filesystem: Filesystem, target: Target, fd: number): boolean {
    let at: At;
    try {
      at = this.#open(target, fd);
    } catch (error) {
      if (error instanceof CallError || error instanceof KernelError) return false;
      throw error;
    }
    if (this.#shows(at, filesystem)) {
      filesystem.move(at);
      return true;
    }
    this.#kernel.close(at.fd);
    return false;
  }

  /** Whether the top of a file system as it was opened is within another mount of it, and not its top. */
  #shows(at: At, { top, fsid, dev }: Filesystem): boolean {
    if (at.top === top || at.dev !== dev) return false;
    const kernel = this.#kernel;
    let here = -1;
    let up = -1;
    try {
      here = kernel.openByHandleAt(at.fd, Buffer.from(top.slice(fsid.length), 'latin1'), OPEN_PATH);
      // From outside of a mount there is no way up.
      up = kernel.openAt(here, '..', OPEN_PATH);
      return mountIdOf(kernel, up) === at.mountId;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    } finally {
      for (const one of [here, up]) if (one >= 0) kernel.close(one);
    }
  }

  /** Counted as used once less; true when nobody uses it any more. */
  leave(filesystem: Filesystem): boolean {
    if (--filesystem.uses > 0) return false;
    this.#byFsid.delete(filesystem.fsid);
    filesystem.close();
    return true;
  }

  close(): void {
    for (const filesystem of this.#byFsid.values()) filesystem.close();
    this.#byFsid.clear();
  }

  /** Opens the top of a mount through which handles of a file system can be opened: one that shows the whole, if there is one. */
  #open(target: Target, fd: number): At {
    const kernel = this.#kernel;
    const { mount } = target;
    // What is marked first decides what all others see, so that the mount that somebody has made elsewhere is the last choice.
    const others = mount ? this.#mounts.byDevice(mount.device) : this.#mounts.byFsid(target.fsid);
    for (const other of [...others.filter(isWhole), ...(mount ? [mount] : [])]) {
      if (this.#mounts.mayHang(other)) continue;
      const at = openMount(kernel, other);
      const top = at === undefined ? undefined : this.#openTop(at, target);
      if (top) return top;
    }
    const at = target.isDirectory
      ? mountRootOf(kernel, fd, target.mountId)
      : kernel.openAt(AT_FDCWD, `/proc/self/fd/${fd}`, O_PATH | O_CLOEXEC);
    const top = this.#openTop(at, target);
    if (top) return top;
    throw new CallError(
      'EOPNOTSUPP',
      'handles of this file system cannot be opened here (open_by_handle_at(2)): mark its directory rather than a file, or have it mounted in the mount namespace of the daemon',
    );
  }

  /** Takes a descriptor of the top, and closes it. */
  #openTop(at: number, { key, fsid }: Target): At | undefined {
    const kernel = this.#kernel;
    let fd = -1;
    try {
      fd = kernel.openAt(at, '.', OPEN_TOP);
      if (fsidText(kernel.statfs(fd).fsid) === fsid) {
        const { handle, mountId } = kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH);
        // What cannot be opened by its handle now cannot be found later.
        kernel.close(kernel.openByHandleAt(fd, Buffer.from(key.slice(fsid.length), 'latin1'), O_PATH | O_CLOEXEC));
        const top = Buffer.concat([Buffer.from(fsid, 'latin1'), handle]).toString('latin1');
        const found = { fsid, fd, top, mountId, dev: kernel.statAt(fd, '', AT_EMPTY_PATH).dev };
        fd = -1;
        return found;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EOPNOTSUPP') throw withoutHandles();
    } finally {
      kernel.close(at);
      if (fd >= 0) kernel.close(fd);
    }
    return undefined;
  }
}

function elsewhere(): CallError {
  return new CallError(
    'EXDEV',
    'it is on a file system that may never answer, or is changed from elsewhere, such as FUSE or one of the network: the daemon tells of local ones; watch it with a group of your own',
  );
}

function withoutHandles(): CallError {
  return new CallError(
    'EOPNOTSUPP',
    'this file system has no handles that can be opened (name_to_handle_at(2)), so nobody can tell where what happens is: mark one that has them',
  );
}
