// The whole system: a mark on every mounted file system but the pseudo ones, and on those that are mounted later.

import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../abi/index.ts';
import { LimitError, UnsupportedError } from '../group/errors.ts';
import { type Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { FileEventName } from '../group/names.ts';
import { kindOf } from '../identity/filesystems.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { Mount } from '../identity/mounts.ts';
import { KernelError } from '../kernel/index.ts';

/** A file system that is not heard, and where it is mounted. */
export interface NotHeard {
  readonly mountPoint: string;
  readonly type: string;
  /**
   * `remote`: left alone, since it may not answer; `hidden`: under another mount, where no path leads; else what the kernel has
   * against a mark.
   */
  readonly why: string;
}

/** Marks on all file systems of this mount namespace, for one group. */
export class SystemMarks {
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #events: readonly FileEventName[];
  /** By device: a file system is marked once, however often it is mounted. */
  readonly #heard = new Map<string, Mount>();
  readonly #notHeard = new Map<string, NotHeard>();
  readonly #pseudo = new Set<string>();
  #generation = -1;

  constructor(group: Group<'handle'>, events: readonly FileEventName[]) {
    this.#group = group;
    this.#inside = internalsOf(group as Group);
    this.#events = events;
  }

  /** The mounts through which file systems were marked. */
  get heard(): Mount[] {
    return [...this.#heard.values()];
  }

  get notHeard(): NotHeard[] {
    return [...this.#notHeard.values()];
  }

  /** The types of pseudo file systems that were left out. */
  get pseudoTypes(): string[] {
    return [...this.#pseudo].sort();
  }

  /**
   * Marks what there is, again where it was marked before: a file system may be another under the same number, and a mark goes with
   * the old one. Costs next to nothing while the mount table does not change. Tells what is new, heard and not.
   *
   * @throws What Group.mark throws for a reason that would be the same for every file system; then the next look tries again.
   */
  async look(): Promise<{ heard: Mount[]; notHeard: NotHeard[] }> {
    const { mounts } = this.#inside;
    const generation = mounts.generation;
    if (generation === this.#generation) return { heard: [], notHeard: [] };
    const heardBefore = new Map(this.#heard);
    const notHeardBefore = new Map(this.#notHeard);
    this.#heard.clear();
    this.#notHeard.clear();
    for (const device of new Set(mounts.mounts.map((mount) => mount.device))) {
      await this.#markDevice(mounts.byDevice(device));
    }
    this.#generation = generation;
    return {
      heard: this.heard.filter(({ device, mountPoint }) => {
        return heardBefore.get(device)?.mountPoint.equals(mountPoint) !== true;
      }),
      notHeard: [...this.#notHeard]
        .filter(([device, { mountPoint }]) => notHeardBefore.get(device)?.mountPoint !== mountPoint)
        .map(([, place]) => place),
    };
  }

  async #markDevice(mounts: readonly Mount[]): Promise<void> {
    const [first] = mounts;
    if (!first) return;
    if (kindOf(first.type) === 'pseudo') {
      this.#pseudo.add(first.type);
      return;
    }
    const reachable = mounts.filter((mount) => !this.#inside.mounts.mayHang(mount));
    let why: NotHeard['why'] = reachable.length === 0 ? 'remote' : 'hidden';
    for (const mount of reachable) {
      try {
        if (!(await this.#markMount(mount))) continue;
        this.#heard.set(mount.device, mount);
        return;
      } catch (error) {
        if (error instanceof LimitError || error instanceof UnsupportedError || !(error instanceof Error)) throw error;
        why = error.message;
      }
    }
    this.#notHeard.set(first.device, { mountPoint: first.mountPoint.toString(), type: first.type, why });
  }

  /** False when the mount cannot be reached, since another is mounted over it. */
  async #markMount(mount: Mount): Promise<boolean> {
    const { kernel } = this.#inside;
    let fd: number;
    try {
      fd = kernel.openAt(AT_FDCWD, mount.mountPoint, O_PATH | O_CLOEXEC);
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
    try {
      if (mountIdOf(kernel, fd) !== mount.mountId) return false;
      await this.#group.mark(mount.mountPoint, { scope: 'filesystem', events: this.#events });
      return true;
    } finally {
      kernel.close(fd);
    }
  }
}

/**
 * Hears all executions, for the names of processes that end before they can be read. Whoever reads the group leaves these events
 * out where nobody asked for them.
 */
export async function hearExecutions(group: Group<'handle'>): Promise<SystemMarks> {
  const marks = new SystemMarks(group, ['openExec']);
  await marks.look();
  return marks;
}
