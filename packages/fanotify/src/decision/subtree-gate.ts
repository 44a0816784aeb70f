// Subtrees as the responder's loop has them: where an access is, now or in a moment, and what keeps that right.

import type { MountTable } from '../identity/mount-table.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import type { Access } from './access.ts';
import { nowMs } from './clock.ts';
import type { ResponderConfig } from './config.ts';
import { Departures } from './departures.ts';
import { type OpenedGroup, permissionMask } from './opening.ts';
import { OutsideIgnores } from './outside-ignores.ts';
import type { Ruling } from './permission.ts';
import type { SecondaryGroup } from './secondary-group.ts';
import type { Settling } from './settling.ts';
import { Subtree, type Unsettled } from './subtree.ts';
import type { SubtreePlaces } from './subtree-places.ts';

/**
 * What is not settled then is asked about. It takes some 50 µs, unless a directory on the way is locked for longer: by whoever writes to
 * it and waits for the disk.
 */
const SETTLED_WITHIN_MS = 1000;
/** Renames are heard when a place is judged, and else not more often than that. */
const HEAR_EVERY_MS = 50;

/** An access that is to be let in or asked about in a moment. */
interface Waiting {
  readonly access: Access;
  /** The verdict on it that is in the cache. */
  readonly cached: Ruling | undefined;
  readonly unsettled: Unsettled;
  readonly look: number;
  readonly dueMs: number;
  isOver: boolean;
}

/** What has become of an access that waited. */
export interface Settled {
  readonly access: Access;
  readonly cached: Ruling | undefined;
  readonly isInside: boolean;
}

export class SubtreeGate {
  readonly places: SubtreePlaces;
  readonly #kernel: Kernel;
  readonly #subtree: Subtree;
  readonly #departures: Departures;
  readonly #ignores: OutsideIgnores | undefined;
  readonly #settling: Settling;
  readonly #settledWithinMs: number;
  /** In the order in which the thread looks. */
  readonly #waiting: Waiting[] = [];
  #heardMs = 0;

  private constructor(
    kernel: Kernel,
    mounts: MountTable,
    places: SubtreePlaces,
    settling: Settling,
    deadlineMs: number,
    departures: Departures,
    ignores: OutsideIgnores | undefined,
  ) {
    this.#kernel = kernel;
    this.places = places;
    this.#settling = settling;
    this.#settledWithinMs = Math.min(SETTLED_WITHIN_MS, deadlineMs / 2);
    this.#departures = departures;
    this.#ignores = ignores;
    this.#subtree = new Subtree(kernel, mounts, places, departures, ignores);
  }

  /**
   * Hears renames from now on. Before the guard's own marks are placed.
   *
   * @throws NotPermittedError, LimitError, UnsupportedFilesystemError.
   */
  static open(
    kernel: Kernel,
    mounts: MountTable,
    config: Pick<ResponderConfig, 'deadlineMs' | 'trustsRoot' | 'on' | 'maxCached'>,
    group: Pick<OpenedGroup, 'fd'>,
    places: SubtreePlaces,
    settling: Settling,
  ): SubtreeGate {
    const departures = new Departures(kernel, places, places.roots, config.deadlineMs);
    const ignores = config.trustsRoot
      ? new OutsideIgnores(kernel, group.fd, permissionMask(config), config.maxCached)
      : undefined;
    return new SubtreeGate(kernel, mounts, places, settling, config.deadlineMs, departures, ignores);
  }

  /** Readable when the kernel has to ignore nothing any more; -1 when there is none. */
  get ignoresFd(): number {
    return this.#ignores?.fd ?? -1;
  }

  /** Readable when something was renamed; -1 while that can wait. */
  renamesFd(now: number): number {
    return now - this.#heardMs < HEAR_EVERY_MS ? -1 : this.#departures.fd;
  }

  get ignored(): number {
    return this.#ignores?.count ?? 0;
  }

  /** How many accesses wait to be settled. */
  get waiting(): number {
    return this.#waiting.reduce((count, { isOver }) => count + (isOver ? 0 : 1), 0);
  }

  /** Whether nothing waits, nor is looked at for what has waited. */
  get isIdle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Readable when {@link nextSettled} has something. */
  get settledFd(): number {
    return this.#settling.fd;
  }

  /** When {@link nextSettled} has something in any case. */
  get nextDueMs(): number {
    return this.#waiting.find(({ isOver }) => !isOver)?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Where an access is. What is `unsettled` comes back by {@link nextSettled}.
   *
   * @param cached The verdict on it that is in the cache: kept for then.
   */
  place(access: Access, cached: Ruling | undefined): 'inside' | 'outside' | 'unsettled' {
    const place = this.#subtree.place(access);
    if (typeof place !== 'object') return place;
    const look = this.#settling.ask(place.directory, place.levels);
    if (look === undefined) {
      this.#kernel.close(place.directory);
      return 'inside';
    }
    const dueMs = nowMs() + this.#settledWithinMs;
    this.#waiting.push({ access, cached, unsettled: place, look, dueMs, isOver: false });
    return 'unsettled';
  }

  /** By where it seems to be: for those who cannot wait. */
  seemsOutside(access: Access): boolean {
    const place = this.#subtree.place(access);
    if (typeof place !== 'object') return place === 'outside';
    this.#kernel.close(place.directory);
    return true;
  }

  /** Before {@link nextSettled} is asked until it has nothing more. */
  notice(): void {
    this.#settling.notice();
  }

  /** The next access that has waited for long enough; undefined when there is none. */
  nextSettled(now: number): Settled | undefined {
    for (let first = this.#waiting[0]; first && this.#settling.isDone(first.look); first = this.#waiting[0]) {
      this.#waiting.shift();
      const { access, cached, unsettled, isOver } = first;
      const place = isOver ? undefined : this.#subtree.settle(unsettled, access.sinceMs);
      this.#kernel.close(unsettled.directory);
      if (place) return { access, cached, isInside: place === 'inside' };
    }
    const due = this.#waiting.find(({ isOver, dueMs }) => !isOver && dueMs <= now);
    if (!due) return undefined;
    // The thread has its directory still.
    due.isOver = true;
    return { access: due.access, cached: due.cached, isInside: true };
  }

  /** Those that wait, which wait no longer: they seem to be outside. */
  *abandon(): Generator<Access> {
    for (const waiting of this.#waiting) {
      if (!waiting.isOver) yield waiting.access;
      waiting.isOver = true;
    }
  }

  /** Something was renamed: hears of it before there is too much. */
  hear(now: number): void {
    this.#heardMs = now;
    try {
      this.places.refresh();
      this.#departures.hear(now);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  attendIgnores(buffer: Buffer): void {
    this.#ignores?.attend(buffer);
  }

  forget(): void {
    this.#ignores?.forget();
  }

  /** @param closeGroup As {@link Departures.close}: what it ignores in the kernel is closed with it. */
  close(closeGroup: (group: SecondaryGroup) => void): void {
    this.#ignores?.close(closeGroup);
    this.#departures.close(closeGroup);
  }
}
