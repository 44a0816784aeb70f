// The responder: one synchronous loop over the permission group and the owner's socket. It answers the kernel, and nothing that it
// does can wait: it opens no file by path but those of /proc, writes no log, and starts no process.

import { AT_FDCWD, type EventCursor, FAN_CLOSE_WRITE, O_CLOEXEC } from '../abi/index.ts';
import { descriptorPath } from '../identity/descriptor.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { ProcFiles } from '../identity/proc-files.ts';
import { type Kernel, KernelError, type PollEntry } from '../kernel/index.ts';
import { Access, rangeOf } from './access.ts';
import { nowMs } from './clock.ts';
import type { ResponderConfig } from './config.ts';
import type { GuardCoverage } from './coverage.ts';
import { thrownText } from './errors.ts';
import { Exemptions } from './exemptions.ts';
import type { GuardMarks } from './guard-marks.ts';
import { Hurry } from './hurry.ts';
import { IgnoreLater } from './ignore-later.ts';
import { Intake } from './intake.ts';
import { KernelIgnores } from './kernel-ignores.ts';
import { Latencies } from './latencies.ts';
import { hasRanges, type OpenedGroup } from './opening.ts';
import { Outlet } from './outlet.ts';
import { type Asked, OwnerDecider } from './owner-decider.ts';
import { ALLOW, kindNumber, RULINGS, type Ruling, responseOf } from './permission.ts';
import type { SubjectSight } from './policy/access-subject.ts';
import type { Digests } from './policy/digests.ts';
import { PolicyRouter } from './policy/policy-router.ts';
import type { DecidedBy, DecisionRecord } from './record.ts';
import { Recorder } from './recorder.ts';
import type { ScanDecider } from './scan/scan-decider.ts';
import { ScannerNews } from './scan/scanner-news.ts';
import type { GuardStatus } from './status.ts';
import type { SubtreeGate } from './subtree-gate.ts';
import { type Decider, PendingTable } from './table.ts';
import { isOwnersUnexecutedChild } from './unexecuted-child.ts';
import { VerdictCache } from './verdict-cache.ts';
import type { Watchdog } from './watchdog.ts';
import { FRAME, FrameReader, jsonBody, jsonFrame, type Notice, type PolicySet, readAnswer, writeAsk } from './wire.ts';

const POLLIN = 1;
const POLLPRI = 2;
const POLLOUT = 4;
/** The longest that poll is asked to wait: the clock of its time-out has only so many bits. */
const LONGEST_WAIT_MS = 60_000;
/** An ask that waits for so long may be of a child of the owner, which waits for it to execute. */
const CHILD_LOOK_MS = 1;
/** For so long it tells what it has decided, when it ends and its owner is slow to listen. */
const LAST_WORDS_MS = 1_000;
/** Between two looks at what comes in, the kernel is told to ignore so many files. */
const IGNORED_AT_ONCE = 4;
/** Notices of one kind are gathered for so long. */
const NOTICE_MS = 100;

/** What the loop works with. */
export interface ResponderParts {
  readonly kernel: Kernel;
  readonly config: ResponderConfig;
  readonly group: OpenedGroup;
  /** The socket to the owner: does not block. */
  readonly socket: number;
  /** Readable once the owner has ended. */
  readonly ownerPidfd: number;
  readonly mounts: MountTable;
  readonly files: ProcFiles;
  /** Of scopes `subtree` and `system`. */
  readonly marks: GuardMarks | undefined;
  /** Where what is marked is not all inside. */
  readonly gate: SubtreeGate | undefined;
  /** How many accesses are undecided at most. */
  readonly maxPending: number;
  /** Who decides in this process; undefined where the owner does. */
  readonly decideHere: ((access: Access) => Ruling | string) | undefined;
  /** Looks after `decideHere`. */
  readonly watchdog: Watchdog | undefined;
  readonly sight: SubjectSight;
  /** Of a guard with a policy. */
  readonly digests: Digests | undefined;
  /** Of one that scans. */
  readonly scanner: ScanDecider | undefined;
}

export class Responder {
  readonly #parts: ResponderParts;
  readonly #kernel: Kernel;
  readonly #intake: Intake;
  readonly #hurry: Hurry;
  readonly #table: PendingTable<Access>;
  readonly #deciders: readonly Decider<Access>[];
  /** Of what nobody was asked about. */
  readonly #onTimeout: Ruling;
  readonly #owner: OwnerDecider | undefined;
  readonly #router: PolicyRouter | undefined;
  readonly #recorder: Recorder | undefined;
  readonly #scannerNews: ScannerNews | undefined;
  readonly #exemptions: Exemptions;
  readonly #cache: VerdictCache;
  readonly #ignores: KernelIgnores;
  readonly #ignoreLater: IgnoreLater;
  readonly #gate: SubtreeGate | undefined;
  readonly #marks: GuardMarks | undefined;
  readonly #outlet: Outlet;
  readonly #frames: FrameReader;
  readonly #latencies = new Latencies();
  readonly #inbox: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  readonly #entries: Readonly<
    Record<
      'group' | 'socket' | 'owner' | 'ignores' | 'outside' | 'renames' | 'mounts' | 'settled' | 'digests' | 'table',
      Mutable
    >
  >;
  readonly #polled: PollEntry[];
  readonly #counts = {
    allowed: 0,
    denied: 0,
    byDecision: 0,
    byCache: 0,
    byExemption: 0,
    outside: 0,
    own: 0,
    timedOut: 0,
    failed: 0,
    late: 0,
    kernelDenied: 0,
  };
  /** Whether the last wait for accesses was so short that sleeping was not worth while. */
  #isBusy = false;
  #isEnding = false;
  readonly #kernelDenied = new Map<number, number>();
  #failures: { message: string; stack: string | undefined; count: number } | undefined;
  #noticesDueMs = Number.POSITIVE_INFINITY;
  /** What the intake calls: made once, and not for each read. */
  readonly #takeIn = (cursor: EventCursor, sinceMs: number, readMs: number): void =>
    this.#take(cursor, sinceMs, readMs, false);
  readonly #takeByPolicy = (cursor: EventCursor, sinceMs: number, readMs: number): void =>
    this.#take(cursor, sinceMs, readMs, true);
  readonly #expireDue = (): void => {
    if (this.#table.nextDueMs <= nowMs()) this.#table.expire(nowMs());
  };

  constructor(parts: ResponderParts) {
    const {
      kernel,
      config,
      group,
      socket,
      ownerPidfd,
      mounts,
      files,
      marks,
      gate,
      decideHere,
      watchdog,
      sight,
      digests,
      scanner,
    } = parts;
    this.#parts = parts;
    this.#kernel = kernel;
    this.#intake = new Intake({
      kernel,
      group,
      hasRanges: hasRanges(config),
      buffer: watchdog?.buffer,
      deniedByKernel: (errno) => this.#deniedByKernel(errno),
    });
    this.#hurry = new Hurry(kernel);
    this.#table = new PendingTable((access, ruling) => this.#answer(access, ruling));
    this.#outlet = new Outlet(kernel, socket);
    this.#frames = new FrameReader((type, body) => this.#hear(type, body));
    this.#exemptions = new Exemptions(kernel, files, config.exempt);
    this.#ignoreLater = new IgnoreLater(
      parts.maxPending >> 1,
      (access) => this.#ignore(access),
      (fd) => kernel.close(fd),
    );
    this.#marks = marks;
    this.#gate = gate;
    this.#cache = new VerdictCache(kernel, mounts, config.maxCached, group.hearsWriters);
    this.#ignores = new KernelIgnores(
      kernel,
      group.fd,
      mounts,
      config.maxCached,
      group.hasInodeMarks,
      config.trustsRoot,
    );
    const policy = failurePolicy(config);
    this.#onTimeout = policy.onTimeout;
    if (decideHere) {
      this.#owner = undefined;
      this.#deciders = [
        {
          ...policy,
          decide: (access) => {
            const ruling = this.#watched(() => decideHere(access));
            if (typeof ruling === 'string') throw new TypeError(ruling);
            this.#counts.byDecision++;
            return ruling;
          },
          failed: (_access, error) => this.#failed(error),
        },
      ];
    } else {
      this.#owner = new OwnerDecider(policy, (asked) => this.#ask(asked));
      this.#deciders = [scanner ?? this.#owner];
    }
    this.#scannerNews = scanner && this.#hearScanner(scanner);
    // What a scan finds clean is to be kept from the first on.
    if (scanner) this.#cache.begin();
    this.#router = this.#openRouter(parts);
    this.#recorder = config.records === 'none' ? undefined : new Recorder(sight, config.records);
    this.#entries = {
      group: { fd: group.fd, events: POLLIN, revents: 0 },
      socket: { fd: socket, events: POLLIN, revents: 0 },
      owner: { fd: ownerPidfd, events: POLLIN, revents: 0 },
      ignores: { fd: this.#ignores.fd, events: POLLIN, revents: 0 },
      outside: { fd: gate?.ignoresFd ?? -1, events: POLLIN, revents: 0 },
      renames: { fd: gate?.renamesFd(nowMs()) ?? -1, events: POLLIN, revents: 0 },
      mounts: { fd: marks?.fd ?? -1, events: POLLPRI, revents: 0 },
      settled: { fd: gate?.settledFd ?? -1, events: POLLIN, revents: 0 },
      digests: { fd: digests?.fd ?? -1, events: POLLIN, revents: 0 },
      table: {
        fd: this.#router ? kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_CLOEXEC) : -1,
        events: POLLPRI,
        revents: 0,
      },
    };
    const { group: groupEntry, socket: socketEntry, owner: ownerEntry, ...others } = this.#entries;
    this.#polled = [groupEntry, socketEntry, ownerEntry, ...Object.values(others).filter(({ fd }) => fd >= 0)];
    if (scanner) this.#polled.push(...scanner.entries);
  }

  /** Says that it is ready: once, before all else. */
  begin(): void {
    this.#outlet.say(jsonFrame(FRAME.ready, null));
  }

  /** Says that it is ready, and answers until it is told to go or its owner has ended. */
  run(): void {
    this.begin();
    while (!this.#isEnding) this.step(LONGEST_WAIT_MS);
  }

  /**
   * One turn of the loop that does not wait, for whoever lets it run beside others. Returns for how many milliseconds nothing is to do
   * unless something is ready before; undefined when it has ended.
   */
  turn(): number | undefined {
    if (this.step(0) > 0 && !this.#isEnding) return 0;
    if (this.#isEnding) return undefined;
    return this.#waitMs(nowMs(), LONGEST_WAIT_MS, this.#held >= this.#parts.maxPending);
  }

  /** One turn of the loop; waits at most `longestMs` for something to do. Returns how much was ready. */
  step(longestMs: number): number {
    const { group, socket, owner, ignores, outside, renames, mounts, settled, digests, table } = this.#entries;
    const startedMs = nowMs();
    while (this.#held >= this.#parts.maxPending && this.#ignoreLater.length > 0)
      this.#ignoreLater.work(IGNORED_AT_ONCE);
    const isFull = this.#held >= this.#parts.maxPending;
    group.fd = isFull ? -1 : this.#parts.group.fd;
    // It may have been given up: to look at what is closed would never wait.
    ignores.fd = this.#ignores.fd;
    if (this.#gate) {
      outside.fd = this.#gate.ignoresFd;
      renames.fd = this.#gate.renamesFd(startedMs);
    }
    socket.events = this.#hasToSay ? POLLIN | POLLOUT : POLLIN;
    const ready = this.#poll(this.#waitMs(startedMs, longestMs, isFull));
    let now = nowMs();
    if (ready > 0) {
      if ((owner.revents & ~POLLOUT) !== 0) {
        this.#end(now);
        return ready;
      }
      if ((socket.revents & ~POLLOUT) !== 0) {
        this.#listen();
        if (this.#isEnding) return ready;
        now = nowMs();
      }
      if (ignores.fd >= 0 && ignores.revents !== 0) this.#ignores.attend(this.#inbox);
      if (outside.fd >= 0 && outside.revents !== 0) this.#gate?.attendIgnores(this.#inbox);
      if (mounts.revents !== 0) this.#lookAtMounts();
      // Files have other names, by which they may be decided otherwise.
      if (table.revents !== 0 && this.#router?.keepsPaths) this.#forget();
      if (digests.revents !== 0) this.#router?.attendDigests();
      if (renames.fd >= 0 && renames.revents !== 0) {
        this.#gate?.hear(now);
        this.#tellGone();
      }
    }
    // First: what has come in since is not to wait for it, and it takes no other for the scanner that was.
    this.#parts.scanner?.attend(now);
    if (this.#gate && (settled.revents !== 0 || this.#gate.nextDueMs <= now)) this.#settle(this.#gate, now);
    if (!isFull) {
      const isReadable = group.revents !== 0;
      this.#intake.polled(isReadable, startedMs, now);
      if (isReadable) this.#intake.read(this.#parts.maxPending - this.#held, this.#takeIn);
    }
    if (this.#table.nextDueMs <= now) this.#table.expire(now);
    if (isFull && now - this.#intake.emptyAtMs >= this.#parts.config.deadlineMs) this.#drain();
    if (this.#owner) this.#allowChildren(now);
    if (ready === 0 && this.#undecided === 0) this.#ignoreLater.work(IGNORED_AT_ONCE);
    // What a decide module has answered was never in the table.
    this.#hurry.mind(Math.max(this.#undecided, this.#intake.lastCount));
    if (this.#hasToSay) this.#sendRest();
    if (now >= this.#noticesDueMs) this.#tellNotices();
    if (this.#scannerNews && this.#outlet.hasRoom) this.#scannerNews.tell(now);
    return ready;
  }

  /** Tells the owner of something that no access is about. */
  notice(notice: Notice): void {
    this.#outlet.say(jsonFrame(FRAME.notice, notice));
  }

  /** Gives everything that is held, read or queued its policy: something went wrong, wherever it was. */
  giveUp(): void {
    const { ownerPid } = this.#parts.config;
    const waiting = [...(this.#gate?.abandon() ?? [])];
    const isHeld = (fd: number) =>
      [...this.#table.pending()].some(({ access }) => access.fd === fd) || waiting.some((access) => access.fd === fd);
    const isAllowed = (pid: number, fd: number) =>
      pid === ownerPid || this.#gate?.places.seemsOutside(fd, pid) === true;
    const isDry = this.#router?.policy.mode === 'dryRun';
    this.#intake.giveUp(isHeld, isAllowed, responseOf(isDry ? ALLOW : this.#onTimeout));
    this.#table.abandon(nowMs());
    for (const access of waiting) this.#letIn(access);
    this.#drain();
  }

  get status(): GuardStatus {
    const now = nowMs();
    let oldestMs = 0;
    for (const { dueMs } of this.#table.pending()) {
      oldestMs = Math.max(0, this.#parts.config.deadlineMs - (dueMs - now));
      break;
    }
    return {
      pending: this.#undecided,
      oldestMs,
      ...this.#counts,
      cached: this.#cache.size,
      ignored: this.#ignores.count,
      ignoredOutside: this.#gate?.ignored ?? 0,
      verdictUs: this.#latencies.quantiles(),
      ruleHits: this.#router?.hits ?? [],
      scanner: this.#parts.scanner?.status ?? null,
      memoryBytes: process.memoryUsage.rss(),
    };
  }

  /** For how long poll may wait. */
  #waitMs(now: number, longestMs: number, isFull: boolean): number {
    if (this.#ignoreLater.length > 0 && this.#undecided === 0) return 0;
    let due = Math.min(this.#table.nextDueMs, this.#noticesDueMs, this.#gate?.nextDueMs ?? Number.POSITIVE_INFINITY);
    if (isFull) due = Math.min(due, this.#intake.emptyAtMs + this.#parts.config.deadlineMs);
    due = Math.min(due, this.#nextLookMs(), this.#parts.scanner?.nextDueMs ?? Number.POSITIVE_INFINITY);
    // What there is no room for waits until there is.
    if (this.#scannerNews && this.#outlet.hasRoom) due = Math.min(due, this.#scannerNews.nextDueMs);
    return Math.max(0, Math.min(longestMs, Math.ceil(due - now)));
  }

  /**
   * Looks a while before it sleeps, since who sleeps is woken 10 µs late: for an answer, which is likely to come at once, and for
   * more accesses while these come as fast. Not while several are undecided: whoever decides on them needs the processor, and no
   * answer is far.
   */
  #poll(waitMs: number): number {
    const busyPollMs = this.#parts.config.busyPollUs / 1000;
    if (busyPollMs === 0 || waitMs === 0) return this.#kernel.poll(this.#polled, waitMs);
    const startedMs = nowMs();
    const isAsked = this.#owner?.isAsked === true;
    if (this.#owner) this.#owner.isAsked = false;
    const isSettling = this.#gate !== undefined && this.#gate.waiting > 0;
    if ((isAsked || isSettling || this.#isBusy) && this.#table.size <= 1) {
      do {
        const ready = this.#kernel.poll(this.#polled, 0);
        if (ready > 0) return ready;
      } while (nowMs() - startedMs < busyPollMs);
    }
    const ready = this.#kernel.poll(this.#polled, waitMs);
    if (!isAsked) this.#isBusy = nowMs() - startedMs < busyPollMs;
    return ready;
  }

  /** How many accesses are not answered yet. */
  get #undecided(): number {
    return this.#table.size + (this.#gate?.waiting ?? 0);
  }

  /** How many descriptors of accesses are open. */
  get #held(): number {
    return this.#undecided + this.#ignoreLater.length;
  }

  /** Goes on with those of which it is clear now where they are. */
  #settle(gate: SubtreeGate, now: number): void {
    gate.notice();
    for (let next = gate.nextSettled(now); next; next = gate.nextSettled(now)) {
      const { access, cached, isInside } = next;
      if (!isInside) this.#letIn(access);
      else if (cached) this.#giveCached(access, cached);
      else this.#hold(access, access.sinceMs);
    }
  }

  /** What is outside is nobody's concern. */
  #letIn(access: Access): void {
    this.#counts.outside++;
    this.#respond(access, ALLOW, true);
  }

  #lookAtMounts(): void {
    const marks = this.#marks;
    if (!marks) return;
    try {
      const { held, notHeld } = marks.look();
      if (held.length + notHeld.length > 0) this.notice({ notice: 'coverage', held, notHeld });
    } catch (error) {
      // What goes for all file systems: no more marks are to be had.
      this.#failed(error);
    }
    this.#tellGone();
  }

  #tellGone(): void {
    for (const subtree of this.#marks?.newlyGone() ?? []) this.notice({ notice: 'gone', subtree });
  }

  /** @param giveUp Give it its policy, rather than to ask anybody. */
  #take(cursor: EventCursor, sinceMs: number, readMs: number, giveUp: boolean): void {
    const kind = kindNumber(cursor.maskLow);
    const { fd, pid } = cursor;
    if (fd < 0) {
      if (kind >= 0) this.#deniedByKernel(-fd);
      return;
    }
    const access = new Access(fd, pid, kind, rangeOf(cursor), readMs);
    access.sinceMs = sinceMs;
    if (kind < 0) {
      // A writer has closed the file: what was cached of it is looked at, and goes if it has changed.
      if ((cursor.maskLow & Number(FAN_CLOSE_WRITE)) !== 0) this.#cache.written(access);
      this.#kernel.close(fd);
      return;
    }
    const cached = this.#cache.look(access);
    if (pid === this.#parts.config.ownerPid) {
      this.#counts.own++;
      this.#answer(access, ALLOW);
    } else if (this.#exemptions.has(pid) || this.#parts.scanner?.exempts(pid)) {
      this.#counts.byExemption++;
      this.#answer(access, ALLOW);
    } else if (cached?.allowed) {
      this.#giveCached(access, cached);
    } else if (this.#gate && this.#isElsewhere(this.#gate, access, cached, giveUp)) {
      return;
    } else if (cached) {
      this.#giveCached(access, cached);
    } else if (giveUp || this.#isOverdue(sinceMs)) {
      this.#answer(access, this.#onTimeout);
    } else {
      this.#hold(access, sinceMs);
    }
  }

  /** Who decides on it is asked. */
  #hold(access: Access, sinceMs: number): void {
    this.#table.hold(access, this.#router?.route(access) ?? this.#deciders, sinceMs);
  }

  #giveCached(access: Access, cached: Ruling): void {
    this.#counts.byCache++;
    this.#router?.hitAgain(cached);
    // The kernel was not told to ignore the file, or has forgotten it.
    if (cached.allowed && !this.#ignoreLater.has(access)) this.#ignore(access);
    this.#finish(access, cached, 'cache');
  }

  /** Whether an access is outside, and answered, or may be: then that is settled in a moment. */
  #isElsewhere(gate: SubtreeGate, access: Access, cached: Ruling | undefined, giveUp: boolean): boolean {
    if (giveUp) {
      if (!gate.seemsOutside(access)) return false;
    } else {
      const place = gate.place(access, cached);
      if (place !== 'outside') return place === 'unsettled';
    }
    this.#letIn(access);
    return true;
  }

  /** Calls what may never come back. */
  #watched(call: () => Ruling | string): Ruling | string {
    const { watchdog } = this.#parts;
    if (!watchdog) return call();
    watchdog.enter(this.#intake.offset, this.#intake.length);
    try {
      return call();
    } finally {
      watchdog.leave();
    }
  }

  /** Whether the calls of a decide module for what came before have taken so long that what may have waited since is due. */
  #isOverdue(sinceMs: number): boolean {
    return (!this.#owner || this.#router !== undefined) && nowMs() - sinceMs >= this.#parts.config.deadlineMs;
  }

  /** Where each access ends that was decided on. */
  #answer(access: Access, ruling: Ruling): void {
    if (ruling.by === 'timeout') this.#counts.timedOut++;
    let ignoresLater = false;
    try {
      if (ruling.always) this.#ignores.addAlways(access);
      else if (ruling.cache && this.#keep(access, ruling) && ruling.allowed) {
        // That takes longer than the answer, and nobody needs to wait for it; but of what rules say of a path, which may change meanwhile.
        ignoresLater = this.#router === undefined && this.#ignores.mayAdd;
        if (!ignoresLater) this.#ignore(access);
      }
    } finally {
      this.#finish(access, ruling, ruling.by ?? 'ask', ignoresLater);
      if (ignoresLater) this.#ignoreLater.add(access);
    }
  }

  /** Whether the verdict is given again to those who do the same. */
  #keep(access: Access, ruling: Ruling): boolean {
    const router = this.#router;
    if (!router) return this.#cache.keep(access, ruling);
    const kept = router.finish(access, ruling).allowed === ruling.allowed && router.kept(access, ruling);
    return kept ? this.#cache.keep(access, kept) : false;
  }

  /** Answers, and tells of it. */
  #finish(access: Access, ruling: Ruling, by: DecidedBy, staysOpen = false): void {
    const given = this.#router?.finish(access, ruling) ?? ruling;
    let record: DecisionRecord | undefined;
    try {
      record = this.#recorder?.note(access, ruling, given, by, this.#router?.policy);
    } finally {
      this.#respond(access, given, !staysOpen);
    }
    if (record) this.#recorder?.tell(record, nowMs() - access.readMs);
  }

  /** Lets the kernel ignore a file whose verdict is in the cache, if that can be. */
  #ignore(access: Access): void {
    if (access.stamp) this.#ignores.add(access, access.stamp, () => this.#cache.isUnchanged(access));
  }

  #respond(access: Access, ruling: Ruling, closes: boolean): void {
    this.#intake.answer(access.fd, ruling, closes);
    if (ruling.allowed) this.#counts.allowed++;
    else this.#counts.denied++;
    this.#latencies.add(nowMs() - access.readMs);
  }

  /** Gives everything that is in the queue now its policy at once. */
  #drain(): void {
    this.#intake.drain(this.#takeByPolicy, this.#expireDue);
  }

  /** Asks the owner; what does not fit into the socket waits its turn. */
  #ask(asked: Asked): void {
    const owner = this.#owner;
    if (!owner) return;
    const { unsent } = owner;
    if (unsent.length === 0 && this.#outlet.sayFixed((view, at) => writeAsk(view, at, asked))) return;
    // While the owner is stopped, which may be for long, no more wait than are undecided.
    for (let next = unsent.peek(); next && !this.#table.isWaitingFor(next.id, owner); next = unsent.peek())
      unsent.shift();
    unsent.push(asked);
  }

  get #hasToSay(): boolean {
    return (
      this.#outlet.isWaiting ||
      this.#recorder?.isWaiting === true ||
      (this.#owner !== undefined && this.#owner.unsent.length > 0)
    );
  }

  #sendRest(): void {
    this.#outlet.send();
    this.#sendRecords();
    const owner = this.#owner;
    if (!owner) return;
    while (owner.unsent.length > 0 && this.#outlet.hasRoom) {
      const next = owner.unsent.shift();
      if (next && this.#table.isWaitingFor(next.id, owner))
        this.#outlet.sayFixed((view, at) => writeAsk(view, at, next));
    }
  }

  /** What was decided is told after it was. */
  #sendRecords(): void {
    if (!this.#recorder?.isWaiting || !this.#outlet.hasRoom) return;
    const { records, lost } = this.#recorder.take();
    this.#outlet.say(jsonFrame(FRAME.records, records));
    if (lost > 0) this.notice({ notice: 'recordsLost', count: lost });
  }

  /** Hears the owner. */
  #listen(): void {
    let length = 0;
    try {
      length = this.#kernel.read(this.#parts.socket, this.#inbox);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EAGAIN') return;
    }
    // Closed by the owner, though it may live on.
    if (length === 0) this.#end(nowMs());
    else this.#frames.push(this.#inbox.subarray(0, length));
  }

  #hear(type: number, body: DataView): void {
    if (this.#isEnding) return;
    if (type === FRAME.answer) {
      const { id, ruling, failed } = readAnswer(body);
      const owner = this.#owner;
      if (!owner) return;
      if (failed) this.#counts.failed++;
      const isTaken = this.#table.settle(id, owner, failed ? owner.onError : ruling, nowMs());
      if (!isTaken) this.#counts.late++;
      else if (!failed) this.#counts.byDecision++;
    } else if (type === FRAME.forget) {
      this.#forget();
      this.#outlet.say(jsonFrame(FRAME.forgot, null));
    } else if (type === FRAME.setPolicy) {
      this.#router?.change(jsonBody(body) as PolicySet);
      // What was decided by other rules.
      this.#forget();
      this.#outlet.say(jsonFrame(FRAME.policySet, null));
    } else if (type === FRAME.askStatus) {
      this.#ignoreLater.work(this.#ignoreLater.length);
      this.#outlet.say(jsonFrame(FRAME.status, this.status));
    } else if (type === FRAME.askCoverage) {
      this.#outlet.say(jsonFrame(FRAME.coverage, this.#marks?.coverage() ?? NOTHING_COVERED));
      this.#tellGone();
    } else if (type === FRAME.close) {
      this.#end(nowMs());
    }
  }

  #forget(): void {
    this.#cache.forget();
    this.#ignoreLater.forget();
    this.#ignores.forget();
    this.#gate?.forget();
  }

  #openRouter({ kernel, mounts, config, group, sight, digests, scanner }: ResponderParts): PolicyRouter | undefined {
    const owner = this.#owner;
    if (!config.policy || !digests || !owner) return undefined;
    return new PolicyRouter(
      {
        kernel,
        mounts,
        sight,
        cache: this.#cache,
        abilities: group.abilities,
        trustsRoot: config.trustsRoot,
        digests,
        owner,
        scanner,
        passOn: (id, deciders, sinceMs) => this.#table.passOn(id, digests, deciders, sinceMs),
      },
      config.policy,
    );
  }

  #hearScanner(scanner: ScanDecider): ScannerNews {
    const news = new ScannerNews((notice) => this.notice(notice));
    scanner.listener = {
      settle: (id, ruling) => this.#table.settle(id, scanner, ruling, nowMs()),
      forget: () => this.#forget(),
      up: (clamd, wasDown) => news.up(clamd, wasDown),
      down: (message) => news.down(message),
      failed: (message) => {
        this.#counts.failed++;
        news.failed(message);
      },
      timedOut: ({ fd, pid }) => news.timedOut(pid, () => this.#pathOf(fd)),
    };
    return news;
  }

  #pathOf(fd: number): string | null {
    return descriptorPath(this.#kernel, fd, this.#parts.mounts, () => undefined).path?.text ?? null;
  }

  /** Answers what is held by policy; what comes after that the kernel allows, when the group is closed. */
  #end(now: number): void {
    this.#isEnding = true;
    this.#table.abandon(now);
    for (const access of this.#gate?.abandon() ?? []) this.#letIn(access);
    this.#drain();
    this.#kernel.close(this.#parts.group.fd);
    this.#ignores.close();
    this.#gate?.close((group) => group.close());
    this.#tellLast();
  }

  /** Nobody is held any more, and so there is time to tell what was decided. */
  #tellLast(): void {
    const until = nowMs() + LAST_WORDS_MS;
    const socket = [{ fd: this.#parts.socket, events: POLLOUT, revents: 0 }];
    for (let left = LAST_WORDS_MS; this.#hasToTell && left > 0; left = until - nowMs()) {
      if (this.#kernel.poll(socket, left) === 0 || (socket[0]?.revents ?? 0) !== POLLOUT) return;
      this.#outlet.send();
      this.#sendRecords();
    }
  }

  get #hasToTell(): boolean {
    return this.#recorder !== undefined && (this.#outlet.isWaiting || this.#recorder.isWaiting);
  }

  /** The owner waits for its child, and so must not be waited for. */
  #allowChildren(now: number): void {
    const owner = this.#owner;
    if (!owner) return;
    const { files, config } = this.#parts;
    while (this.#nextLookMs() <= now) {
      const next = owner.unlooked.shift();
      if (!next) return;
      if (!isOwnersUnexecutedChild(files, next.access.pid, config.ownerPid)) continue;
      this.#counts.own++;
      // First: the owner goes on as soon as its child does, and then finds both in its socket.
      this.#outlet.say(jsonFrame(FRAME.withdrawn, next.id));
      this.#table.settle(next.id, owner, ALLOW, now);
    }
  }

  /** When the next ask is to be looked at; of those that are settled none is. */
  #nextLookMs(): number {
    const owner = this.#owner;
    if (!owner) return Number.POSITIVE_INFINITY;
    for (let next = owner.unlooked.peek(); next; next = owner.unlooked.peek()) {
      if (this.#table.isWaitingFor(next.id, owner)) return next.askedMs + CHILD_LOOK_MS;
      owner.unlooked.shift();
    }
    return Number.POSITIVE_INFINITY;
  }

  #failed(error: unknown): void {
    this.#counts.failed++;
    if (this.#failures) this.#failures.count++;
    else this.#failures = { ...thrownText(error), count: 1 };
    this.#noticeSoon();
  }

  #deniedByKernel(errno: number): void {
    this.#counts.kernelDenied++;
    this.#counts.denied++;
    this.#kernelDenied.set(errno, (this.#kernelDenied.get(errno) ?? 0) + 1);
    this.#noticeSoon();
  }

  #noticeSoon(): void {
    if (this.#noticesDueMs === Number.POSITIVE_INFINITY) this.#noticesDueMs = nowMs() + NOTICE_MS;
  }

  #tellNotices(): void {
    // An owner that does not listen is told the sum when it does.
    if (!this.#outlet.hasRoom) {
      this.#noticesDueMs = nowMs() + NOTICE_MS;
      return;
    }
    this.#noticesDueMs = Number.POSITIVE_INFINITY;
    for (const [errno, count] of this.#kernelDenied) this.notice({ notice: 'kernelDenied', errno, count });
    this.#kernelDenied.clear();
    if (this.#failures) this.notice({ notice: 'decideFailed', ...this.#failures });
    this.#failures = undefined;
  }
}

/** What accesses get that are not decided on. */
export function failurePolicy({
  deadlineMs,
  onTimeout,
  onError,
}: Pick<ResponderConfig, 'deadlineMs' | 'onTimeout' | 'onError'>): Pick<
  Decider<Access>,
  'deadlineMs' | 'onTimeout' | 'onError'
> {
  return {
    deadlineMs,
    onTimeout: { ...RULINGS[onTimeout], by: 'timeout' },
    onError: { ...RULINGS[onError], by: 'error' },
  };
}

const NOTHING_COVERED: GuardCoverage = { held: [], notHeld: [], pseudoTypes: [], subtrees: [] };

type Mutable = { -readonly [Key in keyof PollEntry]: PollEntry[Key] };
