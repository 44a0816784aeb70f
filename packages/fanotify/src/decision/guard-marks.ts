// The marks of guards whose scope is more than what was named: the file systems of subtrees and those mounted below, or the system's.

import { AT_FDCWD, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, O_CLOEXEC } from '../abi/index.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { assertAdmitted, beltOf } from './admission.ts';
import type { ResponderConfig } from './config.ts';
import type { GuardCoverage, GuardedSubtree } from './coverage.ts';
import { FilesystemMarks, type Found, type MarkedGroup } from './filesystem-marks.ts';
import { explainGuardMark, type OpenedGroup } from './opening.ts';
import type { SubtreePlaces } from './subtree-places.ts';

const NO_LIMITS = { types: [], fsids: [], mountPoints: [], only: null };
const FLAGS = FAN_MARK_ADD | FAN_MARK_FILESYSTEM;

export class GuardMarks {
  /** Its POLLPRI says that {@link look} has something to do. */
  readonly fd: number;
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #group: MarkedGroup;
  readonly #places: SubtreePlaces | undefined;
  readonly #filesystems: FilesystemMarks;
  readonly #told = new Set<string>();

  /**
   * Places the marks.
   *
   * @param places Of the subtrees; undefined for the system.
   * @throws NotPermittedError, LimitError, UnsupportedError, UnsupportedFilesystemError.
   */
  constructor(
    kernel: Kernel,
    mounts: MountTable,
    config: ResponderConfig,
    group: OpenedGroup,
    places: SubtreePlaces | undefined,
  ) {
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.#places = places;
    this.#group = {
      fd: group.fd,
      mask: group.mask,
      belt: beltOf(process.env, kernel),
      explain: (error, shown) => explainGuardMark(kernel, error, FLAGS, group.mask, shown, config),
    };
    this.#filesystems = new FilesystemMarks(kernel, mounts, this.#group, places ? NO_LIMITS : config.limits);
    // Before the table is read: what changes from now on is told.
    this.fd = kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_CLOEXEC);
    try {
      this.#markRoots();
      this.look();
    } catch (error) {
      kernel.close(this.fd);
      throw error;
    }
  }

  /** Marks what has been mounted since. */
  look(): Found {
    const places = this.#places;
    if (!places) return this.#filesystems.look();
    places.refresh();
    return this.#filesystems.look((device) => places.whole.has(device));
  }

  /** Subtrees that are gone since this was last asked. */
  newlyGone(): GuardedSubtree[] {
    const gone = this.#subtrees().filter((subtree) => subtree.gone && !this.#told.has(subtree.asked));
    for (const { asked } of gone) this.#told.add(asked);
    return gone;
  }

  coverage(): GuardCoverage {
    const places = this.#places;
    places?.refresh();
    const roots = new Map(
      (places?.roots ?? []).flatMap(({ gone, device }) => {
        const mount = this.#mounts.byDevice(device)[0];
        if (gone || !mount) return [];
        return [[device, { device, mountPoint: mount.mountPoint.toString(), type: mount.type }] as const];
      }),
    );
    return {
      held: [...roots.values(), ...this.#filesystems.held],
      notHeld: [...this.#filesystems.notHeld, ...(places?.leftOut ?? [])],
      pseudoTypes: this.#filesystems.pseudoTypes,
      subtrees: this.#subtrees(),
    };
  }

  #subtrees(): GuardedSubtree[] {
    return (this.#places?.roots ?? []).map(({ shown, text, gone }) => {
      return { asked: shown, path: text.toString(), gone: gone ?? null };
    });
  }

  #markRoots(): void {
    for (const { fd, device, shown } of this.#places?.roots ?? []) {
      assertAdmitted(this.#group.belt, this.#mounts, device, shown);
      try {
        this.#kernel.fanotifyMark(this.#group.fd, FLAGS, this.#group.mask, AT_FDCWD, `/proc/self/fd/${fd}`);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        throw this.#group.explain(error, shown);
      }
    }
  }
}
