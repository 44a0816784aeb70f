// Where the marked subtrees of the core are, and what is in them.

import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../abi/index.ts';
import type { Access } from '../../decision/access.ts';
import { FileLocator, type Located } from '../../decision/file-locator.ts';
import { within } from '../../decision/mount-paths.ts';
import type { SecondaryGroup } from '../../decision/secondary-group.ts';
import { Settling } from '../../decision/settling.ts';
import { type Settled, SubtreeGate } from '../../decision/subtree-gate.ts';
import { SubtreePlaces } from '../../decision/subtree-places.ts';
import { openRoots, type SubtreeRoot } from '../../decision/subtree-root.ts';
import { InvalidOptionsError, NotDirectoryError } from '../../group/errors.ts';
import { mountIdOf } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { isWhole } from '../../identity/mounts.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { PERMISSION_BITS } from '../bits.ts';
import type { CoreSubtree } from '../core.ts';
import { CallError } from '../errors.ts';
import { type KernelGroup, unasked } from './kernel-group.ts';

/** How long the gate keeps in mind what has left: no shorter than accesses wait, as a rule. */
const GATE = { deadlineMs: 5_000, trustsRoot: false, on: [], maxCached: 0 } as const;

interface Place {
  readonly root: SubtreeRoot;
  readonly places: SubtreePlaces;
  /** Tells inside from outside where somebody is asked, so that no rename slips an access by. */
  gate: SubtreeGate | undefined;
}

/** The subtrees that something is in, and those that it may be in for all that can be told. */
export interface Around {
  readonly inside: readonly CoreSubtree[];
  readonly perhaps: readonly CoreSubtree[];
}

/** The kernel groups of whoever has subtrees. */
export interface KernelGroups {
  opened(): Iterable<KernelGroup>;
  /** Closes a group of a gate when nothing is held any more that its marks have had a part in. */
  closeGroup(this: void, group: SecondaryGroup): void;
}

export class Subtrees {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #groups: KernelGroups;
  readonly #places = new Map<CoreSubtree, Place>();
  /** Of no subtree: tells where things are. */
  readonly #anywhere: FileLocator;
  #settling: Settling | undefined;
  /** Gates of subtrees that are no more, while the thread has directories of theirs. */
  readonly #closed = new Set<SubtreeGate>();

  constructor(kernel: Kernel, mounts: MountTable, groups: KernelGroups) {
    this.#kernel = kernel;
    this.#groups = groups;
    this.#mounts = mounts;
    this.#anywhere = new FileLocator(kernel, mounts);
  }

  /** @throws CallError ENOTDIR, EINVAL. */
  add(subtree: CoreSubtree, target: number): void {
    this.#sweep();
    const path = `/proc/self/fd/${target}`;
    const shown = this.#kernel.readlink(path).toString();
    try {
      const [root] = openRoots(this.#kernel, this.#mounts, [{ path, shown }]);
      if (!root) return;
      const places = new SubtreePlaces(this.#kernel, this.#mounts, [root], true);
      places.refresh();
      this.#places.set(subtree, { root, places, gate: undefined });
    } catch (error) {
      const isMeant = error instanceof InvalidOptionsError || error instanceof NotDirectoryError;
      if (!isMeant) throw error;
      throw new CallError(error instanceof NotDirectoryError ? 'ENOTDIR' : 'EINVAL', error.message);
    }
  }

  /** Returns the accesses that wait at its gate: they are to go on. */
  remove(subtree: CoreSubtree): readonly Access[] {
    const place = this.#places.get(subtree);
    if (!place) return [];
    const { gate, root } = place;
    this.#places.delete(subtree);
    this.#kernel.close(root.fd);
    this.#kernel.close(root.mountFd);
    if (!gate) return [];
    const waiting = [...gate.abandon()];
    gate.close(this.#groups.closeGroup);
    this.#closed.add(gate);
    this.#sweep();
    return waiting;
  }

  /** Lets go of what closed gates still had looked at. */
  #sweep(): void {
    for (const gate of this.#closed) {
      gate.nextSettled(0);
      if (gate.isIdle) this.#closed.delete(gate);
    }
  }

  /** Makes sure that what is asked of subtrees cannot be slipped by. Before the kernel is told to ask. */
  prepare(): void {
    for (const [{ marks }, place] of this.#places) {
      if (place.gate || !place.places.haveOutside) continue;
      if (!marks.some(({ mask }) => (mask & PERMISSION_BITS) !== 0)) continue;
      this.#settling ??= this.#startSettling();
      try {
        const settling = this.#settling;
        place.gate = unasked(this.#kernel, this.#groups.opened(), place.root.mountFd, () =>
          SubtreeGate.open(this.#kernel, this.#mounts, GATE, { fd: -1 }, place.places, settling),
        );
      } catch (error) {
        if (error instanceof CallError || !(error instanceof Error)) throw error;
        throw new CallError('EOPNOTSUPP', error.message, undefined, { cause: error });
      }
    }
  }

  #startSettling(): Settling {
    const settling = new Settling(this.#kernel);
    // Nobody waits for it: what is asked of it before it runs is done when it does.
    void settling.start();
    return settling;
  }

  /** Looks where they are now; returns those that are gone, and that nothing waits at any more. */
  refresh(): CoreSubtree[] {
    const gone: CoreSubtree[] = [];
    for (const [subtree, { places, root, gate }] of this.#places) {
      places.refresh();
      if (root.gone && !gate?.waiting) gone.push(subtree);
    }
    return gone;
  }

  /** The file systems that a subtree is on, or that are mounted in it: by device. */
  *devicesOf(subtree: CoreSubtree): IterableIterator<string> {
    const place = this.#places.get(subtree);
    if (!place || place.root.gone) return;
    yield place.root.device;
    yield* place.places.whole.keys();
  }

  /** Where a file is; undefined when nothing tells. */
  locate(fd: number, pid: number): Located | undefined {
    const mountId = mountIdOf(this.#kernel, fd);
    return mountId === undefined ? undefined : this.#anywhere.locate(fd, pid, mountId);
  }

  /** Where something is that has happened. */
  around(fd: number, pid: number): Around {
    let located: Located | undefined;
    try {
      located = this.locate(fd, pid);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    const inside: CoreSubtree[] = [];
    const perhaps: CoreSubtree[] = [];
    const byMount = new Map<number, Pick<Located, 'device' | 'path'> | undefined>();
    for (const [subtree, { places, root }] of this.#places) {
      let place: Pick<Located, 'device' | 'path'> | undefined = located;
      if (!located?.path) {
        if (!byMount.has(root.mountId)) byMount.set(root.mountId, this.#locateBy(root, fd));
        place = byMount.get(root.mountId) ?? located;
      }
      // What nothing tells the place of is told, rather than lost.
      if (!place || (place.path === undefined && places.isInside(place))) perhaps.push(subtree);
      else if (places.isInside(place)) inside.push(subtree);
    }
    return { inside, perhaps };
  }

  /**
   * Where a file is whose mount nothing tells of, as of one that somebody has made elsewhere and that has gone with him: by its handle, through
   * the mount of a subtree.
   */
  #locateBy({ mountId, mountFd, device, top }: SubtreeRoot, fd: number): Pick<Located, 'device' | 'path'> | undefined {
    const kernel = this.#kernel;
    const mount = this.#mounts.byId(mountId);
    // What is outside of a mount has no path there.
    if (!mount || !isWhole(mount)) return undefined;
    const opened: number[] = [];
    try {
      if (kernel.statAt(fd, '', AT_EMPTY_PATH).dev !== top.dev) return undefined;
      const { handle } = kernel.nameToHandleAt(fd, '', AT_EMPTY_PATH);
      // It takes no O_PATH for a mount.
      opened.push(kernel.openAt(mountFd, '.', O_DIRECTORY | O_CLOEXEC));
      opened.push(kernel.openByHandleAt(opened[0] as number, handle, O_PATH | O_CLOEXEC));
      const path = within(mount, mount.mountPoint, kernel.readlink(`/proc/self/fd/${opened[1]}`));
      return path && { device, path };
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    } finally {
      for (const one of opened) kernel.close(one);
    }
  }

  /** Those that have a gate: what is asked of them goes through it. */
  *gated(): IterableIterator<readonly [CoreSubtree, SubtreeGate]> {
    for (const [subtree, { gate }] of this.#places) if (gate) yield [subtree, gate];
  }

  /** The subtrees without a gate that an access is in: nothing of them is asked, or they are whole file systems. */
  ungatedAround({ fd, pid }: Access): Around {
    if ([...this.#places.values()].every(({ gate }) => gate)) return { inside: [], perhaps: [] };
    const { inside, perhaps } = this.around(fd, pid);
    const isUngated = (subtree: CoreSubtree) => !this.#places.get(subtree)?.gate;
    return { inside: inside.filter(isUngated), perhaps: perhaps.filter(isUngated) };
  }

  /**
   * The subtrees that an access is in. A gate takes what cannot be told to be inside; where that makes a difference to somebody who hears of
   * it, it is looked at again.
   */
  allAround(access: Access, gated: readonly CoreSubtree[]): Around {
    const { inside, perhaps } = this.ungatedAround(access);
    const isDoubted = ({ marks }: CoreSubtree) =>
      marks.some(({ attached }) => attached?.perhaps !== undefined && attached.perhaps !== attached);
    if (!gated.some(isDoubted) || this.#tellsPlaceOf(access)) return { inside: [...gated, ...inside], perhaps };
    const { inside: certain } = this.around(access.fd, access.pid);
    return {
      inside: [...gated.filter((subtree) => certain.includes(subtree)), ...inside],
      perhaps: [...gated.filter((subtree) => !certain.includes(subtree)), ...perhaps],
    };
  }

  #tellsPlaceOf({ fd, pid }: Access): boolean {
    try {
      return this.locate(fd, pid)?.path !== undefined;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }
}

type Gate = Pick<SubtreeGate, 'place'>;

/** An access on its way through the gates. */
export class Passage {
  readonly access: Access;
  readonly inside: CoreSubtree[] = [];
  readonly #left: Iterator<readonly [CoreSubtree, Gate]>;
  #at: CoreSubtree | undefined;

  constructor(access: Access, gates: Iterator<readonly [CoreSubtree, Gate]>) {
    this.access = access;
    this.#left = gates;
  }

  /** Goes on, at most until the next gate that has to settle where it is; whether it is through. */
  goOn(): boolean {
    // Not for...of, which would end what is left as soon as it is left.
    for (let next = this.#left.next(); !next.done; next = this.#left.next()) {
      const [subtree, gate] = next.value;
      const place = gate.place(this.access, undefined);
      if (place === 'unsettled') {
        this.#at = subtree;
        return false;
      }
      if (place === 'inside') this.inside.push(subtree);
    }
    return true;
  }

  settled({ isInside }: Pick<Settled, 'isInside'>): void {
    if (isInside && this.#at) this.inside.push(this.#at);
    this.#at = undefined;
  }
}
