// Where the marked subtrees of the core are, and what is in them.

import type { Access } from '../../decision/access.ts';
import { FileLocator, type Located } from '../../decision/file-locator.ts';
import { Settling } from '../../decision/settling.ts';
import { type Settled, SubtreeGate } from '../../decision/subtree-gate.ts';
import { SubtreePlaces } from '../../decision/subtree-places.ts';
import { openRoots, type SubtreeRoot } from '../../decision/subtree-root.ts';
import { InvalidOptionsError, NotDirectoryError } from '../../group/errors.ts';
import { mountIdOf } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
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

export class Subtrees {
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  /** The kernel groups that there are. */
  readonly #opened: () => Iterable<KernelGroup>;
  readonly #places = new Map<CoreSubtree, Place>();
  /** Of no subtree: tells where things are. */
  readonly #anywhere: FileLocator;
  #settling: Settling | undefined;
  /** Gates of subtrees that are no more, while the thread has directories of theirs. */
  readonly #closed = new Set<SubtreeGate>();

  constructor(kernel: Kernel, mounts: MountTable, opened: () => Iterable<KernelGroup>) {
    this.#kernel = kernel;
    this.#opened = opened;
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
    gate.close();
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
        place.gate = unasked(this.#kernel, this.#opened(), place.root.mountFd, () =>
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

  /** The subtrees that something is in that has happened. */
  around(fd: number, pid: number): CoreSubtree[] {
    let located: Located | undefined;
    try {
      located = this.locate(fd, pid);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    const around: CoreSubtree[] = [];
    for (const [subtree, { places }] of this.#places) {
      // What nothing tells the place of is told, rather than lost.
      if (!located || places.isInside(located)) around.push(subtree);
    }
    return around;
  }

  /** Those that have a gate: what is asked of them goes through it. */
  *gated(): IterableIterator<readonly [CoreSubtree, SubtreeGate]> {
    for (const [subtree, { gate }] of this.#places) if (gate) yield [subtree, gate];
  }

  /** The subtrees without a gate that an access is in: nothing of them is asked, or they are whole file systems. */
  ungatedAround({ fd, pid }: Access): CoreSubtree[] {
    if ([...this.#places.values()].every(({ gate }) => gate)) return [];
    return this.around(fd, pid).filter((subtree) => !this.#places.get(subtree)?.gate);
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
