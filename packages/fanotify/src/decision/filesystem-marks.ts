// Marks on whole file systems, kept up with the mount table: of the system, or of what is mounted below a subtree.

import { AT_FDCWD, FAN_MARK_ADD, FAN_MARK_FILESYSTEM } from '../abi/index.ts';
import { LimitError, NotPermittedError, UnsupportedError } from '../group/errors.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { Mount } from '../identity/mounts.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { isAdmitted, type SystemLimits, whyLeftOut, whyLeftOutByStatus } from './admission.ts';
import type { FilesystemCoverage, NotHeldReason } from './coverage.ts';
import { openMount } from './mount-paths.ts';

/** What was found new by a look. */
export interface Found {
  readonly held: readonly FilesystemCoverage[];
  readonly notHeld: readonly FilesystemCoverage[];
}

export interface MarkedGroup {
  readonly fd: number;
  readonly mask: bigint;
  readonly belt: readonly Buffer[] | undefined;
  /** What to throw for a mark that the kernel has refused. */
  explain(error: unknown, shown: string): unknown;
}

export class FilesystemMarks {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #group: MarkedGroup;
  readonly #limits: SystemLimits;
  /** By device: a file system is marked once, however often it is mounted. */
  #held = new Map<string, FilesystemCoverage>();
  #notHeld = new Map<string, FilesystemCoverage>();
  readonly #pseudo = new Set<string>();

  constructor(kernel: Kernel, mounts: MountTable, group: MarkedGroup, limits: SystemLimits) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#group = group;
    this.#limits = limits;
  }

  get held(): FilesystemCoverage[] {
    return [...this.#held.values()];
  }

  get notHeld(): FilesystemCoverage[] {
    return [...this.#notHeld.values()];
  }

  get pseudoTypes(): string[] {
    return [...this.#pseudo].sort();
  }

  /**
   * Marks what is mounted, again where it was marked before: a file system may be another under the same number, and a mark goes with
   * the old one. Opens nothing but by O_PATH, and nothing that may not answer.
   *
   * @param wanted Which devices; all when it is left out.
   * @throws NotPermittedError, LimitError, UnsupportedError: what would be the same for every file system.
   */
  look(wanted?: (device: string) => boolean): Found {
    const heldBefore = this.#held;
    const notHeldBefore = this.#notHeld;
    this.#held = new Map();
    this.#notHeld = new Map();
    for (const device of new Set(this.#mounts.mounts.map((mount) => mount.device))) {
      if (!wanted || wanted(device)) this.#mark(device);
    }
    const isNew = (before: ReadonlyMap<string, FilesystemCoverage>) => (place: FilesystemCoverage) =>
      before.get(place.device)?.mountPoint !== place.mountPoint;
    return {
      held: this.held.filter(isNew(heldBefore)),
      notHeld: this.notHeld.filter(isNew(notHeldBefore)),
    };
  }

  #mark(device: string): void {
    const mounts = this.#mounts.byDevice(device);
    const [first] = mounts;
    if (!first) return;
    const place = { device, mountPoint: first.mountPoint.toString(), type: first.type };
    const leftOut = whyLeftOut(this.#limits, mounts, this.#isRootOfEverything(mounts));
    if (leftOut === 'pseudo') this.#pseudo.add(first.type);
    const why = leftOut ?? (isAdmitted(this.#group.belt, this.#mounts, device) ? undefined : 'belt');
    if (why !== undefined) {
      if (why !== 'pseudo') this.#notHeld.set(device, { ...place, why });
      return;
    }
    const reachable = mounts.filter((mount) => !this.#mounts.mayHang(mount));
    let refused: NotHeldReason = reachable.length === 0 ? 'remote' : 'hidden';
    for (const mount of reachable) {
      const answer = this.#markMount(mount);
      if (answer === 'held') {
        this.#held.set(device, { ...place, mountPoint: mount.mountPoint.toString() });
        return;
      }
      refused = answer;
      if (answer !== 'hidden') break;
    }
    this.#notHeld.set(device, { ...place, why: refused });
  }

  #isRootOfEverything(mounts: readonly Mount[]): boolean {
    return mounts.some(({ mountPoint }) => mountPoint.length === 1);
  }

  #markMount(mount: Mount): NotHeldReason | 'held' {
    const fd = openMount(this.#kernel, mount);
    if (fd === undefined) return 'hidden';
    try {
      const why = whyLeftOutByStatus(this.#limits, this.#kernel.statfs(fd));
      if (why !== undefined) return why;
      // While it is open its number is no other mount's: by now the table is sure to tell of this one.
      if (this.#mounts.byId(mount.mountId)?.device !== mount.device) return 'hidden';
      if (!isAdmitted(this.#group.belt, this.#mounts, mount.device)) return 'belt';
      const flags = FAN_MARK_ADD | FAN_MARK_FILESYSTEM;
      this.#kernel.fanotifyMark(this.#group.fd, flags, this.#group.mask, AT_FDCWD, `/proc/self/fd/${fd}`);
      return 'held';
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const explained = this.#group.explain(error, mount.mountPoint.toString());
      const isOfAll =
        explained instanceof NotPermittedError ||
        explained instanceof LimitError ||
        explained instanceof UnsupportedError;
      if (isOfAll) throw explained;
      return explained instanceof Error ? explained.message : error.message;
    } finally {
      this.#kernel.close(fd);
    }
  }
}
