// The loop of the core: answers the kernel, hears what groups are asked for, and tells them what happens. Nothing that it does can wait.

import { AT_FDCWD, FAN_EVENT_METADATA_LEN, O_CLOEXEC } from '../../abi/index.ts';
import { nowMs } from '../../decision/clock.ts';
import { Fifo } from '../../decision/fifo.ts';
import { Hurry } from '../../decision/hurry.ts';
import { responseOf } from '../../decision/permission.ts';
import { isOwnersUnexecutedChild } from '../../decision/unexecuted-child.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import type { ProcFiles } from '../../identity/proc-files.ts';
import type { Kernel, PollEntry } from '../../kernel/index.ts';
import { Core } from '../core.ts';
import { KernelFeed, type Source } from '../feed/kernel-feed.ts';
import type { CoreGroup, HeldAccess } from '../group.ts';
import type { Clientele } from './clientele.ts';
import { HeldTimes } from './held-times.ts';

const POLLIN = 1;
const POLLPRI = 2;
/** The longest that poll is asked to wait: the clock of its time-out has only so many bits. */
const LONGEST_WAIT_MS = 60_000;
/** An ask that waits for so long may be of a child of the owner, which waits for it to execute. */
const CHILD_LOOK_MS = 1;
/** Under load, events gather for so long between two reads. */
const GATHER_MS = 1;
/** While an ask is out, it looks for so long before it sleeps: who sleeps is woken 10 µs late. */
const BUSY_POLL_MS = 0.03;
/** What nobody is asked about is looked for so often while the table is full. */
const LEAST_QUEUED_MS = 1;
/** How many marks are brought in line in one turn, when there is time. */
const MARKS_PER_TURN = 64;

export interface HostParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly files: ProcFiles;
  /** Whose groups these are. */
  clientele(core: Core): Clientele;
  /** How many accesses are undecided at most. */
  readonly maxPending: number;
  /** How many descriptors of what happened are open at most. */
  readonly maxCarried: number;
  /** How many notifications wait for a group at most. */
  readonly maxQueued: number;
}

interface Ask {
  readonly group: CoreGroup;
  readonly access: HeldAccess;
  readonly id: number;
  readonly askedMs: number;
}

export class CoreHost {
  readonly core: Core;
  /** How long accesses were held. */
  readonly held: HeldTimes = new HeldTimes();
  readonly #parts: HostParts;
  readonly #kernel: Kernel;
  readonly #feed: KernelFeed;
  readonly #hurry: Hurry;
  readonly #clientele: Clientele;
  readonly #unlooked = new Fifo<Ask>();
  readonly #mountinfo: PollEntry;
  /** What is waited for in this turn. */
  readonly #polled: PollEntry[] = [];
  #clienteleDueMs = Number.POSITIVE_INFINITY;
  #isAsked = false;
  #isEnding = false;
  /** Before then what has happened is not read again. */
  #gatherUntilMs = 0;

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
    this.#hurry = new Hurry(parts.kernel);
    this.#feed = new KernelFeed({
      kernel: parts.kernel,
      mounts: parts.mounts,
      core: () => this.core,
      isOwn: (pid) => this.#clientele.isOwn(pid),
    });
    this.core = new Core({
      feed: this.#feed,
      leave: (access, ruling) => {
        this.#feed.leave(access, ruling);
        this.held.add(nowMs() - access.sinceMs);
      },
      wake: (group) => this.#clientele.wake(group),
      asked: (group, access, id) => {
        this.#isAsked = true;
        this.#unlooked.push({ group, access, id, askedMs: access.readMs });
      },
      nowMs,
      maxQueued: parts.maxQueued,
      cookieBase: 1 + Math.floor(Math.random() * 0x3fff_ffff),
    });
    this.#clientele = parts.clientele(this.core);
    this.#mountinfo = entryOf(parts.kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_CLOEXEC), POLLPRI);
  }

  /** How many events were read, how often the kernel's own queue was full, and how many marks it has. */
  get heard(): { readonly read: number; readonly kernelOverflows: number; readonly kernelMarks: number } {
    const { heard, overflows, kernelMarks } = this.#feed;
    return { read: heard, kernelOverflows: overflows, kernelMarks };
  }

  /** Reads what has happened until now. */
  readAll(): void {
    for (const group of this.#feed.notifying()) {
      for (let left = this.#kernel.waitingBytes(group.fd) / FAN_EVENT_METADATA_LEN; left > 0; ) {
        const count = this.#readNotifications(group, nowMs());
        if (count === 0) break;
        left -= count;
      }
    }
  }

  /** Runs until those whom it serves are gone. */
  run(): void {
    while (!this.#isEnding) this.step(LONGEST_WAIT_MS);
  }

  /** A turn that waits for nothing. Returns for how long the next may be waited for; undefined at the end. */
  turn(): number | undefined {
    const ready = this.step(0);
    if (this.#isEnding) return undefined;
    return ready > 0 ? 0 : this.#waitMs(nowMs(), LONGEST_WAIT_MS, this.#undecided >= this.#parts.maxPending);
  }

  /** One turn of the loop; waits at most `longestMs` for something to do. Returns how much was ready. */
  step(longestMs: number): number {
    const startedMs = nowMs();
    const isFull = this.#undecided >= this.#parts.maxPending;
    const polled = this.#entries(startedMs, isFull);
    const ready = this.#poll(this.#polled, this.#waitMs(startedMs, longestMs, isFull));
    const now = nowMs();
    if (this.#clientele.isOver) {
      this.#end();
      return ready;
    }
    if (polled.hindsight.revents !== 0) this.#feed.hindsight.hear(now);
    for (const [entry, hear] of polled.gates) if (entry.revents !== 0) hear(now);
    if (this.#feed.passing > 0) this.#feed.settle(now);
    for (const [entry, source] of polled.sources) {
      const isReadable = entry.revents !== 0;
      source.intake.polled(isReadable, startedMs, now);
      if (isReadable) this.#readAccesses(source);
    }
    for (const [entry, read] of polled.notifying) if (entry.revents !== 0) read(now);
    // From here on what was polled may be closed.
    if (this.#mountinfo.revents !== 0) this.#feed.lookAgain();
    if (!this.#clientele.hear(now)) {
      this.#end();
      return ready;
    }
    if (this.core.table.nextDueMs <= now) this.core.table.expire(now);
    if (isFull) this.#drainOverdue(now);
    this.#allowChildren(now);
    this.#clientele.tell(now);
    this.#feed.objects.catchUp(MARKS_PER_TURN);
    this.#feed.closeLeft(this.#held());
    this.#hurry.mind(this.#undecided);
    return ready;
  }

  /** Gives everything that is held, read or queued its policy: something went wrong, wherever it was. */
  giveUp(): void {
    const held = new Set([...this.core.table.pending()].map(({ access }) => access.fd));
    for (const { fd } of this.#feed.passages) held.add(fd);
    for (const { group, intake } of this.#feed.sources) {
      const { channel } = group;
      // Whom to ask of each there is no time to look up, nor any trust in what would be found.
      const policy = responseOf(this.core.policyFor(channel, channel.bits));
      intake.giveUp(
        (fd) => held.has(fd),
        (pid) => this.#clientele.isOwn(pid) || this.core.groups.some(({ ownerPid }) => ownerPid === pid),
        policy,
      );
    }
    this.#end();
  }

  /** How many accesses are not answered yet. */
  get #undecided(): number {
    return this.core.table.size + this.#feed.passing;
  }

  /** The accesses that somebody is asked about. */
  *#held(): IterableIterator<HeldAccess> {
    for (const { access } of this.core.table.pending()) yield access;
  }

  /** Gathers what to wait for. */
  #entries(now: number, isFull: boolean) {
    const sources = isFull
      ? []
      : [...this.#feed.sources].map((source) => [entryOf(source.group.fd, POLLIN), source] as const);
    const isGathering = now < this.#gatherUntilMs;
    const notifying = isGathering
      ? []
      : [...this.#feed.notifying()].map(
          (group) => [entryOf(group.fd, POLLIN), (at: number) => this.#readNotifications(group, at)] as const,
        );
    const gates = [...this.#feed.places.gated()].flatMap(([, gate]) => [
      [entryOf(gate.renamesFd(now), POLLIN), (at: number) => gate.hear(at)] as const,
      [entryOf(gate.settledFd, POLLIN), () => undefined] as const,
    ]);
    const all = this.#polled;
    all.length = 0;
    const hindsight = entryOf(this.#feed.hindsight.fd, POLLIN);
    all.push(this.#mountinfo, hindsight);
    for (const list of [sources, gates, notifying]) for (const [entry] of list) all.push(entry);
    this.#clienteleDueMs = this.#clientele.prepare(all, now);
    return { hindsight, sources, notifying, gates };
  }

  /** For how long poll may wait. */
  #waitMs(now: number, longestMs: number, isFull: boolean): number {
    if (this.#feed.objects.isBehind || (!isFull && this.#feed.needsLook)) return 0;
    let due = Math.min(this.core.table.nextDueMs, this.#nextLookMs(), this.#clienteleDueMs);
    for (const [, gate] of this.#feed.places.gated()) due = Math.min(due, gate.nextDueMs);
    if (isFull) for (const source of this.#feed.sources) due = Math.min(due, this.#queuedUntilMs(source));
    if (now < this.#gatherUntilMs) due = Math.min(due, this.#gatherUntilMs);
    return Math.max(0, Math.min(longestMs, Math.ceil(due - now)));
  }

  #poll(entries: PollEntry[], waitMs: number): number {
    if (this.#isAsked && this.core.table.size <= 1 && waitMs > 0) {
      const startedMs = nowMs();
      this.#isAsked = false;
      do {
        const ready = this.#kernel.poll(entries, 0);
        if (ready > 0) return ready;
      } while (nowMs() - startedMs < BUSY_POLL_MS);
    }
    return this.#kernel.poll(entries, waitMs);
  }

  #readAccesses(source: Source): void {
    const room = this.#parts.maxPending - this.#undecided;
    if (room <= 0) return;
    source.intake.read(room, (cursor, sinceMs, readMs) =>
      this.#feed.takeAccess(source, cursor, sinceMs, readMs, false),
    );
  }

  #readNotifications(group: Parameters<KernelFeed['read']>[0], now: number): number {
    const count = this.#feed.read(group);
    if (count > 1) this.#gatherUntilMs = now + GATHER_MS;
    // Those who are slow hold descriptors that others need.
    while (this.#feed.carried > this.#parts.maxCarried) {
      const [slowest] = [...this.core.groups].filter(({ queue }) => queue.notifications > 0).sort(bySlowness);
      if (!slowest) break;
      slowest.queue.shorten(Math.floor(slowest.queue.notifications / 2));
      this.#clientele.wake(slowest);
    }
    return count;
  }

  /** Until when the accesses that are queued wait while the table is full. */
  #queuedUntilMs({ group, intake }: Source): number {
    return intake.emptyAtMs + Math.max(LEAST_QUEUED_MS, this.core.longestDeadlineMs(group.channel));
  }

  #drainOverdue(now: number): void {
    for (const source of this.#feed.sources) if (this.#queuedUntilMs(source) <= now) this.#drain(source);
  }

  /** Gives everything that is in the queue now its policy at once. */
  #drain(source: Source): void {
    source.intake.drain(
      (cursor, sinceMs, readMs) => this.#feed.takeAccess(source, cursor, sinceMs, readMs, true),
      () => this.core.table.expire(nowMs()),
    );
  }

  /** A child of the owner that has executed nothing yet is the owner, which waits for it. */
  #allowChildren(now: number): void {
    while (this.#nextLookMs() <= now) {
      const next = this.#unlooked.shift();
      if (!next) return;
      if (isOwnersUnexecutedChild(this.#parts.files, next.access.pid, next.group.ownerPid)) {
        this.core.settle(next.group, next.id, true);
      }
    }
  }

  /** When the next ask is to be looked at; of those that are settled none is. */
  #nextLookMs(): number {
    for (let next = this.#unlooked.peek(); next; next = this.#unlooked.peek()) {
      if (next.group.isAsked(next.id)) return next.askedMs + CHILD_LOOK_MS;
      this.#unlooked.shift();
    }
    return Number.POSITIVE_INFINITY;
  }

  #end(): void {
    this.#isEnding = true;
    for (const source of this.#feed.sources) this.#drain(source);
    this.#feed.abandonPassages();
    this.core.table.abandon(nowMs());
    this.#clientele.close();
  }
}

/** The one who has most that waits, in the largest of his groups. */
function bySlowness({ queue: one }: CoreGroup, { queue: other }: CoreGroup): number {
  return other.notificationsOfUser - one.notificationsOfUser || other.notifications - one.notifications;
}

function entryOf(fd: number, events: number): PollEntry {
  return { fd, events, revents: 0 };
}
