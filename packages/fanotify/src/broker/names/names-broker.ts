// The names broker: one kernel group, whose events go to all those who have marked something where they happen.

import {
  FAN_CLOEXEC,
  FAN_NONBLOCK,
  FAN_REPORT_DFID_NAME_TARGET,
  FAN_REPORT_DIR_FID,
  FAN_REPORT_FID,
  FAN_REPORT_NAME,
  FAN_REPORT_TARGET_FID,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
} from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';
import { REPORT_PATH, type RequestReader } from '../../core/process/wire.ts';
import { nowMs } from '../../decision/clock.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import type { Kernel } from '../../kernel/index.ts';
import type { Connection } from '../connection.ts';
import { Keep } from '../keep.ts';
import { Losses } from '../losses.ts';
import { countedUid } from '../rights.ts';
import type { Broker } from '../served.ts';
import type { Visits } from '../visits.ts';
import { Filesystems } from './filesystems.ts';
import { Finder } from './finder.ts';
import { Hearing } from './hearing.ts';
import { KernelQueue } from './kernel-queue.ts';
import { Marking } from './marking.ts';
import { type DirectoryNode, type Filesystem, type GroupConnection, NamesGroup } from './model.ts';
import { Pids } from './pids.ts';
import { Reach } from './reach.ts';
import { ServedNames } from './served-names.ts';
import { Teller } from './teller.ts';
import { DirectoryTree } from './tree.ts';

/** Nobody's queue is the kernel's own, so that whether it has a limit is no matter. */
const KNOWN_FLAGS =
  FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS | FAN_REPORT_DFID_NAME_TARGET | REPORT_PATH;

export interface NamesBrokerParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly visits: Visits;
  /** How many descriptors all marks may keep. */
  readonly mostKept: number;
  /** How many directories are known at most, but for those that are marked and those above them. */
  readonly mostDirectories?: number | undefined;
  /** How many events may wait in the kernel. */
  readonly mostWaiting?: number | undefined;
  readonly clock?: (() => number) | undefined;
  isOwn(pid: number): boolean;
}

export class NamesBroker implements Broker {
  readonly queue: KernelQueue;
  readonly tree: DirectoryTree;
  readonly filesystems: Filesystems;
  readonly #kernel: Kernel;
  readonly #finder: Finder;
  readonly #hearing: Hearing;
  readonly #marking: Marking;
  readonly #reach: Reach;
  readonly #groups = new Set<NamesGroup>();
  /** Groups that something waits for. */
  readonly #woken = new Set<NamesGroup>();
  readonly #losses = new Losses<NamesGroup>();
  readonly #visits: Visits;
  readonly #clock: () => number;

  /** @throws KernelError as fanotify_init(2). */
  constructor(parts: NamesBrokerParts) {
    const { kernel, mounts, visits, mostKept, mostDirectories, mostWaiting, clock = nowMs, isOwn } = parts;
    this.#kernel = kernel;
    this.#visits = visits;
    this.#clock = clock;
    this.queue = new KernelQueue(kernel, mostWaiting);
    this.tree = new DirectoryTree(mostDirectories);
    const pids = new Pids(kernel);
    this.filesystems = new Filesystems(kernel, mounts, this.queue);
    this.#finder = new Finder(kernel, this.tree, this.queue, {
      overrun: () => this.#hearing.overrun(),
      unseen: (filesystem) => this.#hearing.unseen(filesystem),
    });
    this.#reach = new Reach(this.tree, visits, (then) => this.#hearing.afterAll(then));
    this.#marking = new Marking({
      kernel,
      mounts,
      tree: this.tree,
      finder: this.#finder,
      filesystems: this.filesystems,
      keep: new Keep(mostKept),
      left: (filesystem) => this.#forget(filesystem),
      widened: (filesystem) => {
        this.#forget(filesystem);
        // What is being asked of directories that were forgotten is answered with nothing.
        this.#lostOn(filesystem);
      },
    });
    const wake = (group: NamesGroup) => void this.#woken.add(group);
    this.#hearing = new Hearing({
      queue: this.queue,
      tree: this.tree,
      finder: this.#finder,
      filesystems: this.filesystems,
      teller: new Teller({ reach: this.#reach, pids, wake, lose: (group) => this.#lose(group) }),
      isOwn,
      begin: () => pids.nextRound(),
      pause: () => this.flush(),
      lostOn: (filesystem) => this.#lostOn(filesystem),
      lost: () => {
        for (const group of this.#groups) if (group.marks.size > 0) this.#overflow(group);
      },
      mayHaveLost: (directories) => this.#mayHaveLost(directories),
      mayBeGone: (key) => {
        const node = this.tree.find(key);
        if (node && node.marks.length > 0) this.#marking.letGo(node);
      },
      gone: (filesystem, key) => this.#marking.gone(filesystem, key),
    });
  }

  bind(connection: Connection | GroupConnection, request: RequestReader): ServedNames {
    const { flags, mask } = request.settings;
    const unknown = flags & ~KNOWN_FLAGS;
    if (unknown !== 0) {
      throw new CallError(
        'EINVAL',
        `a group of names has no flags 0x${(unknown >>> 0).toString(16)}: what it reports is FAN_REPORT_FID, FAN_REPORT_DIR_FID, FAN_REPORT_NAME, FAN_REPORT_TARGET_FID, and paths`,
      );
    }
    const isNamed = (flags & FAN_REPORT_NAME) === 0 || (flags & FAN_REPORT_DIR_FID) !== 0;
    const needs = FAN_REPORT_DFID_NAME_TARGET & ~FAN_REPORT_TARGET_FID;
    const isWhole = (flags & FAN_REPORT_TARGET_FID) === 0 || (flags & needs) === needs;
    if (!isNamed || !isWhole || (flags & (FAN_REPORT_FID | FAN_REPORT_DIR_FID)) === 0) {
      throw new CallError('EINVAL', 'these reports do not go together: fanotify_init(2)');
    }
    if (mask !== 0n)
      throw new CallError('EINVAL', 'a group of names has marks, and no mask of its own: mark a file system');
    const group = new NamesGroup(connection, (flags & REPORT_PATH) !== 0);
    this.#groups.add(group);
    const user = countedUid(connection.rights.peer);
    const outUntilMs = this.#visits.outUntilMs(user);
    if (outUntilMs > this.#clock()) this.userIsOut(user, outUntilMs);
    return new ServedNames(
      {
        kernel: this.#kernel,
        hearing: this.#hearing,
        finder: this.#finder,
        filesystems: this.filesystems,
        marking: this.#marking,
        reach: this.#reach,
        wake: (woken) => void this.#woken.add(woken),
        closed: (closed) => {
          this.#groups.delete(closed);
          this.#woken.delete(closed);
          this.#losses.forget(closed);
        },
      },
      group,
    );
  }

  /** Something was mounted, or unmounted. */
  mountsChanged(): void {
    this.#reach.mountsChanged();
  }

  /** Tells what has happened; returns how many events there were. */
  catchUp(isReadable: boolean): number {
    const { read } = this.#hearing;
    this.#hearing.catchUp(isReadable);
    return this.#hearing.read - read;
  }

  /** Sends what waits for groups, as far as they have room. */
  flush(): void {
    for (const group of this.#woken) {
      this.#woken.delete(group);
      group.outbox.flush();
    }
  }

  userIsOut(user: number, untilMs: number): void {
    const now = this.#clock();
    for (const group of this.#groups) {
      if (countedUid(group.rights.peer) !== user) continue;
      if (this.#losses.loseUntil(group, untilMs, now)) this.#tellLoss(group);
    }
  }

  /** When {@link tellLosses} is to be called at the latest. */
  get dueMs(): number {
    return this.#losses.dueMs;
  }

  tellLosses(now: number): void {
    for (const group of this.#losses.due(now)) this.#tellLoss(group);
  }

  totals(): ReturnType<Broker['totals']> {
    const { read, overflows, unplaced } = this.#hearing;
    return {
      read,
      kernelOverflows: overflows,
      kernelMarks: this.filesystems.size,
      answered: 0,
      timedOut: 0,
      heldSeconds: { bounds: [], counts: [], sum: 0 },
      unplaced,
    };
  }

  close(): void {
    this.filesystems.close();
    this.queue.close();
  }

  #overflow(group: NamesGroup): void {
    group.outbox.lost++;
    group.outbox.overflow();
    this.#woken.add(group);
  }

  /** A group may have lost something of which nobody could look whether it is for its user. True when that is to be told at once. */
  #lose(group: NamesGroup): boolean {
    return this.#losses.lose(group, this.#clock());
  }

  /** Who has nothing looked at has lost nothing. */
  #tellLoss(group: NamesGroup): void {
    if (!isLookedAt(group)) return;
    group.outbox.overflow();
    this.#woken.add(group);
  }

  #forget(filesystem: Filesystem): void {
    this.tree.forget(filesystem);
    this.#hearing.forget();
  }

  /** Those who have marks on a file system may have lost something. */
  #lostOn(filesystem: Filesystem): void {
    for (const group of this.#groups) {
      for (const mark of group.marks.values()) {
        if (mark.filesystem !== filesystem) continue;
        this.#overflow(group);
        break;
      }
    }
  }

  #mayHaveLost(directories: readonly DirectoryNode[]): void {
    const groups = new Set<NamesGroup>();
    for (const directory of directories) {
      for (let at: DirectoryNode | undefined = directory; at; at = at.above) {
        for (const { group } of at.marks) groups.add(group);
      }
      for (const { group } of directory.filesystem.marks) groups.add(group);
    }
    // Whether its user reaches them nobody has looked.
    for (const group of groups) if (!isLookedAt(group) || this.#lose(group)) this.#overflow(group);
  }
}

/** Whether somebody looks what a group's user may hear. */
function isLookedAt({ marks }: NamesGroup): boolean {
  for (const { isGranted } of marks.values()) if (!isGranted) return true;
  return false;
}
