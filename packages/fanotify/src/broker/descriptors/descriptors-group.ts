// A client's group of the core: what it asks for is done as far as it may, and what happens is told as far as it may hear it.

import type { Core } from '../../core/core.ts';
import { CallError } from '../../core/errors.ts';
import { asCallError } from '../../core/feed/kernel-group.ts';
import type { CoreGroup } from '../../core/group.ts';
import { EventWriter } from '../../core/process/event-wire.ts';
import { requestOf } from '../../core/process/requests.ts';
import { MOST_EVENTS, REQUEST, type RequestReader } from '../../core/process/wire.ts';
import type { Waiting } from '../../core/queue.ts';
import type { GroupStatistics } from '../../core/types.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import type { Kernel } from '../../kernel/index.ts';
import { answersAtOnce, isOfTheKernel, refusalOfTheKernels } from '../filesystems.ts';
import { countedUid, grantEverywhere, grantOf, type Rights } from '../rights.ts';
import type { ClientConnection, OwnStatus, Served, Target } from '../served.ts';
import { type Counts, MarkedPlace } from './marked-place.ts';
import { mayDecide, PERMISSION, problemOfMark, scopeOf } from './permitted.ts';
import type { Sight, Visible } from './sight.ts';

/** What an event that waits is reckoned to take of the broker's memory. */
export const QUEUED_EVENT_BYTES = 128;
const LONGEST_MS = 60_000;

/** How long an access may wait for all groups of a user, and so for one. */
export function longestMsOf({ limits }: Rights): number {
  return limits.longestMs ?? LONGEST_MS;
}

const writer = new EventWriter();

export interface DescriptorsGroupParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly core: Core;
  readonly connection: ClientConnection;
  readonly group: CoreGroup;
  readonly eventFlags: number;
  readonly sight: Sight;
  readonly counts: Counts;
  /** Something waits to be told to it. */
  wake(): void;
  /** Reads what has happened until now. */
  readAll(): void;
  closed(): void;
}

export class DescriptorsGroup implements Served {
  readonly #parts: DescriptorsGroupParts;
  readonly #group: CoreGroup;
  /** There was no room: {@link writable} says when there is. */
  #isStalled = false;

  constructor(parts: DescriptorsGroupParts) {
    this.#parts = parts;
    this.#group = parts.group;
    this.#keepToLongest();
  }

  get user(): number {
    return countedUid(this.#parts.connection.rights.peer);
  }

  request(request: RequestReader, target: Target | undefined): string | undefined {
    const { core } = this.#parts;
    switch (request.type) {
      case REQUEST.addMark:
        return this.#addMark(request, target);
      case REQUEST.removeMark:
        return requestOf(core, this.#group, request, this.#answering(target).carried.fd);
      case REQUEST.setTimeout:
        this.#assertNotTooLong(request.timeout.deadlineMs);
        return requestOf(core, this.#group, request, undefined);
      case REQUEST.sync:
        this.#parts.readAll();
        this.#group.queue.answerBehind(request.number);
        this.#parts.wake();
        return undefined;
      case REQUEST.statistics:
        return JSON.stringify(this.#statistics());
      default:
        return requestOf(core, this.#group, request, undefined);
    }
  }

  /** Whether somebody looks what its user may hear. */
  get isLookedAt(): boolean {
    if (this.#group.initBits !== 0) return false;
    for (const { attached } of this.#group.marks) if (!(attached as MarkedPlace).grant.all) return true;
    return false;
  }

  /** Tells of a loss. Who has nothing looked at has lost nothing. */
  tellLoss(): void {
    if (!this.isLookedAt) return;
    this.#group.queue.overflow();
    this.#parts.wake();
  }

  /** What there is to say to its user: of what he may not hear nothing, not even how much there is. */
  #statistics(): GroupStatistics {
    const { statistics, queue } = this.#group;
    if (!this.isLookedAt) return statistics;
    const { overflows, kernelDenied } = statistics;
    return {
      ...statistics,
      queued: this.#parts.sight.certain(queue.peek(Number.POSITIVE_INFINITY)),
      merged: 0,
      lost: overflows,
      kernelDenied: mayDecide(this.#parts.connection.rights) ? kernelDenied : 0,
    };
  }

  writable(): void {
    this.#isStalled = false;
    if (this.#group.queue.length > 0) this.#parts.wake();
  }

  /** Tells what waits, as far as there is room. */
  tell(nowMs: number): void {
    const { connection, sight, core } = this.#parts;
    const { queue } = this.#group;
    while (!this.#isStalled && queue.length > 0) {
      const waiting = untilRequest(queue.peek(MOST_EVENTS));
      const [first] = waiting;
      if (first?.request !== undefined) {
        queue.taken([first]);
        connection.answer(first.request, 0);
        continue;
      }
      const { told, of } = sight.visible(waiting);
      // What is being looked at comes when that is done.
      if (told.length === 0) {
        if (queue.peek(1)[0] === first) return;
        continue;
      }
      const count = connection.isWritable ? this.#fitting(told, nowMs) : 0;
      const message = writer.write(told.slice(0, count), (ask) => core.cookieOf(ask), this.#group.delivered + 1);
      if (count === 0 || !connection.send(message, writer.descriptors)) {
        this.#isStalled = true;
        return;
      }
      this.#group.delivered += count;
      const gone = of.slice(0, count);
      queue.taken(gone);
      sight.taken(gone);
    }
  }

  status(): OwnStatus {
    const { queued, delivered, lost, overflows, pending, oldestMs, allowed, denied, timedOut, marks } =
      this.#group.statistics;
    return {
      kind: 'descriptors',
      priority: this.#group.priority,
      marks,
      queued,
      queuedBytes: queued * QUEUED_EVENT_BYTES,
      delivered,
      lost,
      overflows,
      pending,
      oldestMs,
      allowed,
      denied,
      timedOut,
    };
  }

  rightsChanged(): void {
    this.#keepToLongest();
    const { kernel, mounts, core, connection, eventFlags } = this.#parts;
    const { rights } = connection;
    const grant = grantEverywhere(rights);
    const isGlobal = this.#group.initBits !== 0;
    if (isGlobal && !(grant.system && grant.all)) {
      connection.end('it may not hear the whole system any more');
      return;
    }
    const asks = [...this.#group.marks].some(({ mask }) => (BigInt(mask) & PERMISSION) !== 0n);
    if (asks && !mayDecide(rights)) {
      connection.end('it may not hold accesses any more');
      return;
    }
    const refused = [...this.#group.marks].filter((mark) => {
      const place = mark.attached as MarkedPlace;
      place.grant = grantOf(kernel, mounts, rights, place.fd);
      const wanted = { scope: scopeOf(mark.of), mask: BigInt(mark.mask), eventFlags };
      return problemOfMark(rights, place.grant, wanted, place.canRead) !== undefined;
    });
    if (refused.length === 0) return;
    unlessRefused(() => core.takeMarks(refused));
    this.#group.queue.overflow();
    this.#parts.wake();
  }

  close(): void {
    const { core, sight } = this.#parts;
    unlessRefused(() => core.close(this.#group));
    sight.close();
    this.#parts.closed();
  }

  #addMark(request: RequestReader, given: Target | undefined): string {
    const { kernel, mounts, core, connection, eventFlags, counts } = this.#parts;
    const { rights } = connection;
    const answering = this.#answering(given);
    const { fd } = answering.carried;
    const isTheKernels = isOfTheKernel(kernel, mounts, fd, answering.filesystemType);
    // So that the mark goes with the grant.
    const target = { ...answering, canRead: answering.canRead && !isTheKernels };
    const change = request.mark;
    const before = core.markOf(this.#group, fd, change.scope);
    // What it was granted when it was marked first counts: the object is the same, whatever it is called here.
    const grant = (before?.attached as MarkedPlace | undefined)?.grant ?? grantOf(kernel, mounts, rights, fd);
    if (isTheKernels && !grant.all) throw refusalOfTheKernels(rights.peer.uid);
    const problem = problemOfMark(rights, grant, { ...change, eventFlags }, target.canRead);
    if (problem) throw problem;
    if (before) return requestOf(core, this.#group, request, fd);
    if (this.#group.marks.size >= rights.limits.marks) {
      throw new CallError(
        'ENOSPC',
        `a group of user ${rights.peer.uid} may have ${rights.limits.marks} marks: remove some, or have 'limits' granted`,
      );
    }
    const uid = countedUid(rights.peer);
    counts.keep.assertRoom(uid);
    if (change.scope === 'subtree' && !grant.all) counts.subtrees.assertRoom(uid);
    const place = new MarkedPlace(target, change.scope, grant, uid, counts);
    try {
      return requestOf(core, this.#group, request, fd, place);
    } finally {
      place.release();
    }
  }

  /** A target that can be looked at without waiting for anybody. */
  #answering(target: Target | undefined): Target {
    if (!target) throw new CallError('EINVAL', 'a mark takes a descriptor of what it is of: open it with O_PATH');
    const { kernel, mounts } = this.#parts;
    if (answersAtOnce(kernel, mounts, target.carried.fd, target.filesystemType)) return target;
    throw new CallError(
      'EOPNOTSUPP',
      'it is on a file system that may make the daemon wait, such as FUSE or one of the network, or mounted elsewhere and not known to answer at once',
    );
  }

  #assertNotTooLong(deadlineMs: number): void {
    const longestMs = this.#longestMs;
    if (deadlineMs <= longestMs) return;
    throw new CallError(
      'EINVAL',
      `a time of ${deadlineMs} ms: an access may wait for this group ${longestMs} ms at most`,
    );
  }

  /** What it has waited for until now may be more than it may: as it is bound, or since its rights have changed. */
  #keepToLongest(): void {
    this.#group.deadlineMs = Math.min(this.#group.deadlineMs, this.#longestMs);
  }

  get #longestMs(): number {
    return longestMsOf(this.#parts.connection.rights);
  }

  /** How many of the first have no more descriptors than may be sent. Where there may be none, what has none waits as well. */
  #fitting(told: Visible['told'], nowMs: number): number {
    let room = this.#parts.connection.roomForDescriptors(nowMs);
    let count = 0;
    for (; count < told.length && room > 0; count++) if (told[count]?.carried) room--;
    return count;
  }
}

/** What is taken back is gone by then: that the kernel's marks could not be brought in line with that is to end nobody else's groups. */
function unlessRefused(takeBack: () => void): void {
  try {
    takeBack();
  } catch (error) {
    if (!(asCallError(error) instanceof CallError)) throw error;
  }
}

/** Those before the first that is no event; or that one alone. */
function untilRequest(waiting: readonly Waiting[]): readonly Waiting[] {
  const at = waiting.findIndex(({ request }) => request !== undefined);
  return at < 0 ? waiting : waiting.slice(0, Math.max(1, at));
}
