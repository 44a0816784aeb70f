// pid → process: a bounded table that never takes one process for another that has its number now.

import { type Kernel, KernelError } from '../kernel/index.ts';
import { PidCursor } from './pid-cursor.ts';
import type { ProcessStat, ProcFiles } from './proc-files.ts';
import { type ProcessDepth, type ProcessFacts, ProcessRecord } from './process.ts';
import { ProcessReader } from './process-reader.ts';

/** A moment at which a group's queue was empty: what is read later happened later. */
export interface Moment {
  readonly bootMs: number;
  /** PidCursor.passed. */
  readonly passed: number;
}

/** What is known of a number. */
interface Holder {
  /** The process that was last seen to have it. */
  record: ProcessRecord;
  /** Undefined for one of which nothing was read. */
  stat: ProcessStat | undefined;
  /** Since when it is known to have ended. */
  endedMs: number | undefined;
  /** When the cursor has passed this, the number may be another's. */
  freeAt: number;
  /** What events of the reading `checkedIn` are told, which may be nobody. */
  told: ProcessRecord;
  checkedIn: number;
}

const MOST_PROCESSES = 4096;
/** Start times are rounded down to this. */
const TICK_MS = 10;
/** Looking who has ended takes at most one part in so many of the time. */
const SWEEP_SHARE = 100;

/**
 * The processes behind the events of one group.
 *
 * A number alone proves nothing: its holder may have ended while the event waited, and another have got it. Where the event has a
 * pidfd, that decides. Else start times do: who has the number now is whom the event means if he had it when the queue was last
 * empty, or if nobody else is known to have had it since. (What can slip through without a pidfd: one that was never seen before
 * ends unread and his number is given on, all while one event waits.) Who has ended is remembered for as long as the kernel cannot
 * have come round to his number again.
 */
export class Processes {
  readonly #kernel: Kernel;
  readonly #depth: ProcessDepth;
  readonly #files: ProcFiles;
  readonly #reader: ProcessReader;
  readonly #cursor: PidCursor;
  readonly #holders = new Map<number, Holder>();
  readonly #timer: NodeJS.Timeout;
  #reading = 0;
  #readingAtSweep = 0;
  #nextSweepMs = 0;
  #since: Moment;

  constructor(kernel: Kernel, depth: ProcessDepth, files: ProcFiles) {
    this.#kernel = kernel;
    this.#depth = depth;
    this.#files = files;
    this.#reader = new ProcessReader(files, depth);
    this.#cursor = new PidCursor(kernel);
    this.#since = this.now();
    this.#learnAll();
    this.#timer = setInterval(() => this.#look(), this.#cursor.lookEveryMs);
    this.#timer.unref();
  }

  /**
   * Notes who is there already, by name: of processes that end before they are heard of again, the end itself may be all that is
   * heard; and who is known is not taken for whoever has his number next.
   */
  #learnAll(): void {
    for (const pid of [...(this.#files.pids() ?? [])].slice(-MOST_PROCESSES)) {
      const stat = this.#files.stat(pid);
      if (!stat) continue;
      const { rawComm, ppid, startedMs } = stat;
      const record = new ProcessRecord(pid, { rawComm, ppid, startedMs }, false);
      const freeAt = this.#freeAt(pid, this.#cursor.passed);
      // Without an image it is read whole when it is next looked at.
      const partly = this.#depth === 'name' ? stat : { ...stat, image: '' };
      this.#holders.set(pid, { record, stat: partly, endedMs: undefined, told: record, freeAt, checkedIn: -1 });
    }
  }

  /** How many numbers are held. */
  get size(): number {
    return this.#holders.size;
  }

  now(): Moment {
    return { bootMs: this.#kernel.bootTimeMs(), passed: this.#cursor.passed };
  }

  /** What is asked from here on is of events that were read together, all of which happened after `since`. */
  nextReading(since: Moment): void {
    this.#reading++;
    this.#since = since;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /**
   * The process of an event; null for pid 0, of which the kernel tells nothing. `pidfd` is undefined in groups that have none,
   * and null where the kernel gave none, the process having ended.
   */
  of(pid: number, pidfd?: number | null): ProcessRecord | null {
    if (pid <= 0) return null;
    if (pidfd === null || (pidfd !== undefined && !this.#isThere(pidfd))) return this.#ended(pid);
    const holder = this.#holders.get(pid);
    const isProven = pidfd !== undefined;
    if (holder?.checkedIn === this.#reading && (!isProven || !holder.record.gone)) {
      return isProven ? holder.record : holder.told;
    }
    return this.#check(pid, holder, isProven);
  }

  #check(pid: number, known: Holder | undefined, isProven: boolean): ProcessRecord {
    const stat = this.#files.stat(pid);
    const holder = stat ? this.#living(pid, stat, known, isProven) : this.#dead(pid, known);
    this.#hold(pid, holder);
    return holder.told;
  }

  #hold(pid: number, holder: Holder): void {
    holder.checkedIn = this.#reading;
    // A Map keeps its order: in front is who was not heard of for longest.
    if (!this.#holders.delete(pid) && this.#holders.size >= MOST_PROCESSES) {
      for (const oldest of this.#holders.keys()) {
        this.#holders.delete(oldest);
        break;
      }
    }
    this.#holders.set(pid, holder);
  }

  #living(pid: number, stat: ProcessStat, known: Holder | undefined, isProven: boolean): Holder {
    if (known?.stat?.startedMs === stat.startedMs) {
      const isSame = known.stat.image === stat.image && known.stat.rawComm.equals(stat.rawComm);
      if (stat.isZombie) known.record = known.record.ended();
      else known.record = isSame ? this.#renewed(known.record) : this.#reader.read(pid, stat);
      known.stat = stat;
      known.told = known.record;
      known.freeAt = this.#freeAt(pid, this.#cursor.passed);
      return known;
    }
    const passed = this.#cursor.look();
    const record = this.#reader.read(pid, stat);
    const isCertain = isProven || stat.startedMs + TICK_MS <= this.#since.bootMs || this.#isOnlyHolder(known, passed);
    const told = isCertain ? record : nobody(pid);
    return { record, stat, endedMs: undefined, told, freeAt: this.#freeAt(pid, passed), checkedIn: 0 };
  }

  /** Whether nobody else is known to have had a number since the queue was last empty. */
  #isOnlyHolder(known: Holder | undefined, passed: number): boolean {
    if (passed - this.#since.passed >= this.#cursor.range) return false;
    return known === undefined || (known.endedMs !== undefined && known.endedMs <= this.#since.bootMs);
  }

  #freeAt(pid: number, passed: number): number {
    return passed + this.#cursor.distanceTo(pid);
  }

  /** Nobody has the number now: it was whoever is known to have had it, if it cannot have been given on since. */
  #dead(pid: number, known: Holder | undefined): Holder {
    const passed = this.#cursor.look();
    if (known && passed < known.freeAt) {
      this.#end(known);
      known.told = known.record;
      return known;
    }
    const record = nobody(pid);
    const endedMs = this.#kernel.bootTimeMs();
    return { record, stat: undefined, endedMs, told: record, freeAt: this.#freeAt(pid, passed), checkedIn: 0 };
  }

  /** A process that has ended, says its pidfd, whoever has the number now. */
  #ended(pid: number): ProcessRecord {
    const known = this.#holders.get(pid);
    const stat = this.#files.stat(pid);
    const isAnother = stat !== undefined && (known?.stat?.startedMs !== stat.startedMs || !stat.isZombie);
    if (isAnother) return nobody(pid);
    const holder = this.#dead(pid, known);
    this.#hold(pid, holder);
    return holder.told;
  }

  #end(holder: Holder): void {
    holder.record = holder.record.ended();
    holder.endedMs ??= this.#kernel.bootTimeMs();
  }

  #isThere(pidfd: number): boolean {
    try {
      this.#kernel.pidfdSendSignal(pidfd, 0);
      return true;
    } catch (error) {
      if (error instanceof KernelError) return error.code !== 'ESRCH';
      throw error;
    }
  }

  /** The same program with what may have changed. */
  #renewed(record: ProcessRecord): ProcessRecord {
    record.readAgain();
    if (this.#depth === 'name') return record;
    const now = this.#reader.changing(record.pid);
    const isSame = now.uid === record.uid && now.gid === record.gid && (now.cgroup ?? null) === record.cgroup;
    // Without a word of the user it is about to end.
    return isSame || now.uid === undefined
      ? record
      : new ProcessRecord(record.pid, withChanges(record, now), record.gone);
  }

  /**
   * Keeps count of how often the numbers went round, and notes who has ended: only then is it known that an event which comes
   * later is not theirs.
   */
  #look(): void {
    this.#cursor.look();
    const startedMs = this.#kernel.bootTimeMs();
    if (this.#reading === this.#readingAtSweep || startedMs < this.#nextSweepMs) return;
    this.#readingAtSweep = this.#reading;
    const pids = this.#files.pids();
    for (const [pid, holder] of this.#holders) if (pids?.has(pid) === false) holder.endedMs ??= startedMs;
    this.#nextSweepMs = startedMs + (this.#kernel.bootTimeMs() - startedMs) * SWEEP_SHARE;
  }
}

function withChanges(record: ProcessRecord, now: ProcessFacts): ProcessFacts {
  const { rawComm, ppid, startedMs, rawExe, exeForeign, args, argsCut, ancestors } = record;
  return { rawComm, ppid, startedMs, rawExe, exeForeign, args, argsCut, ancestors, ...now };
}

/** A process of which nothing is known but its number. */
function nobody(pid: number): ProcessRecord {
  return new ProcessRecord(pid, {}, true);
}
