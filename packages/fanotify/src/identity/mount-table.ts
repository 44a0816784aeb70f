// The mount table of this process, read again whenever it has changed: by mount id, by device and by fsid.

import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { fsidText, mountIdOf } from './handle-at.ts';
import { hanging, isWhole, type Mount, MountinfoParser } from './mounts.ts';

const MOUNTINFO = '/proc/self/mountinfo';
const POLLPRI = 2;

/**
 * Mounts as of now. Holds one descriptor, whose POLLPRI says that something has changed (proc_pid_mountinfo(5)), so that asking
 * costs one poll(2) while nothing does.
 */
export class MountTable {
  readonly #kernel: Kernel;
  readonly #entry = { fd: -1, events: POLLPRI, revents: 0 };
  #closed = false;
  /** It has changed, and was not read since. */
  #isStale = false;
  #generation = 0;
  readonly #parser = new MountinfoParser();
  #mounts: readonly Mount[] = [];
  #byId = new Map<number, Mount>();
  #byDevice = new Map<string, Mount[]>();
  #mayHang: (mount: Mount) => boolean = () => false;
  /** Fsids by mount, as far as anybody asked. Mount ids are used again, but not for a mount that is still there. */
  #fsids = new Map<number, string | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Grows whenever the table was found changed. */
  get generation(): number {
    this.#refresh();
    return this.#generation;
  }

  /** All mounts, in the kernel's order. */
  get mounts(): readonly Mount[] {
    this.#refresh();
    return this.#mounts;
  }

  byId(mountId: number): Mount | undefined {
    this.#refresh();
    return this.#byId.get(mountId);
  }

  /** The mounts of a device (`major:minor`), those of a whole file system first. */
  byDevice(device: string): readonly Mount[] {
    this.#refresh();
    return this.#byDevice.get(device) ?? [];
  }

  /**
   * The mounts of a file system by its fsid, the eight bytes that a handle key begins with; those of a whole one first. Network
   * file systems and FUSE are not asked for their fsid, since they may never answer.
   */
  byFsid(fsid: string): readonly Mount[] {
    this.#refresh();
    const [mount] = this.#mounts.filter((candidate) => this.#fsidOf(candidate) === fsid);
    return mount ? this.byDevice(mount.device).filter((candidate) => this.#fsidOf(candidate) === fsid) : [];
  }

  /** Whether a device is mounted and, as far as it can be asked, has this fsid: another file system may have its number by now. */
  isMounted(device: string, fsid: string): boolean {
    for (;;) {
      const isThere = this.byDevice(device).some((mount) => (this.#fsidOf(mount) ?? fsid) === fsid);
      const generation = this.#generation;
      // What cannot be asked may have been unmounted since the table was read.
      if (!isThere || this.generation === generation) return isThere;
    }
  }

  /** Whether whoever goes to a mount may never come back: it, or one on the way to it, is of a network or FUSE. */
  mayHang(mount: Mount): boolean {
    this.#refresh();
    return this.#mayHang(mount);
  }

  /** Reads the table again: when a directory above a mount point is renamed, nothing tells that paths in it have changed. */
  readAgain(): void {
    if (this.#closed) return;
    this.#isStale = true;
    this.#refresh();
  }

  /** Lets go of the descriptor. What was read stays readable, and is no longer kept up to date. */
  close(): void {
    this.#closed = true;
    if (this.#entry.fd >= 0) this.#kernel.close(this.#entry.fd);
    this.#entry.fd = -1;
  }

  #refresh(): void {
    if (this.#closed) return;
    try {
      if (this.#entry.fd < 0) {
        this.#entry.fd = this.#kernel.openAt(AT_FDCWD, MOUNTINFO, O_CLOEXEC);
        this.#isStale = true;
      } else if (this.#kernel.poll([this.#entry], 0) > 0 && (this.#entry.revents & POLLPRI) !== 0) {
        // Read after the poll that has told of the change: what changes meanwhile is told again.
        this.#isStale = true;
      }
      if (this.#isStale) this.#read();
      this.#isStale = false;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Without /proc there is no table. What else fails may work the next time.
      if (error.code === 'ENOENT') this.#closed = true;
    }
  }

  #read(): void {
    this.#mounts = this.#parser.parse(this.#kernel.readFile(MOUNTINFO));
    this.#generation++;
    this.#byId = new Map(this.#mounts.map((mount) => [mount.mountId, mount]));
    this.#byDevice = new Map();
    for (const mount of this.#mounts) {
      const others = this.#byDevice.get(mount.device);
      if (!others) this.#byDevice.set(mount.device, [mount]);
      else if (isWhole(mount)) others.splice(others.filter(isWhole).length, 0, mount);
      else others.push(mount);
    }
    this.#mayHang = hanging(this.#mounts);
    this.#fsids = new Map();
  }

  #fsidOf(mount: Mount): string | undefined {
    if (this.#mayHang(mount)) return undefined;
    if (!this.#fsids.has(mount.mountId)) this.#fsids.set(mount.mountId, this.#askFsid(mount));
    return this.#fsids.get(mount.mountId);
  }

  #askFsid(mount: Mount): string | undefined {
    let fd = -1;
    try {
      // O_PATH mounts nothing where an automounter waits.
      fd = this.#kernel.openAt(AT_FDCWD, mount.mountPoint, O_PATH | O_CLOEXEC);
      // Another may be mounted over it.
      if (mountIdOf(this.#kernel, fd) !== mount.mountId) return undefined;
      return fsidText(this.#kernel.statfs(fd).fsid);
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    } finally {
      if (fd >= 0) this.#kernel.close(fd);
    }
  }
}
