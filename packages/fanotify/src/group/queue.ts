// Reads a group's queue into events: numbers them, gives them their paths in the queue's order, says what was lost, and
// closes the descriptors that nobody took.

import {
  EventCursor,
  FAN_EVENT_METADATA_LEN,
  FAN_FS_ERROR,
  FAN_MNT_ATTACH,
  FAN_MNT_DETACH,
  FAN_OPEN_EXEC,
  FAN_Q_OVERFLOW,
  FAN_RENAME,
} from '../abi/index.ts';
import { descriptorPath } from '../identity/descriptor.ts';
import type { DirectoryPaths, Lookahead } from '../identity/directories.ts';
import type { HandleKey, Location } from '../identity/locator.ts';
import type { MountTable } from '../identity/mount-table.ts';
import type { ProcessRecord } from '../identity/process.ts';
import type { Moment, Processes } from '../identity/processes.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { PlaceChanges } from './changes.ts';
import { type Batch, type EventKind, KernelEvent } from './kernel-event.ts';

const RENAME = Number(FAN_RENAME);
const OPEN_EXEC = Number(FAN_OPEN_EXEC);
const OVERFLOW = Number(FAN_Q_OVERFLOW);
const FS_ERROR = Number(FAN_FS_ERROR);
const MOUNT = Number(FAN_MNT_ATTACH | FAN_MNT_DETACH);

/** The most that one event takes: a header, three records with a name of 255 bytes and a handle of 128 each, a pidfd. */
const LARGEST_EVENT = 2048;

/** What the queue counts. Everything that is read is delivered, own (the caller's), outside, or discarded at close. */
export interface QueueCounters {
  delivered: number;
  overflows: number;
  own: number;
  discarded: number;
  /** Left out because they happened outside of what is listened to. */
  outside: number;
  reads: number;
  bytes: number;
}

/** What the queue must know of its group. */
export interface QueueOptions {
  readonly kernel: Kernel;
  readonly fd: number;
  readonly paths: DirectoryPaths;
  readonly mounts: MountTable;
  /** Where events are to say who did it; undefined where they are not. */
  readonly processes: Processes | undefined;
  readonly hasPidfds: boolean;
  /** Leave out what the calling process does itself. */
  readonly leaveOutOwn: boolean;
  readonly bufferBytes: number;
  /** Told when something was read ahead, for which the descriptor no longer tells. */
  readonly onAhead: () => void;
  /** How much may be read ahead of what is delivered, to learn of renames behind the event at hand. */
  readonly aheadBytes: number;
}

/** Says of each event, at the moment that its path is as of, whether it is wanted: what a scope is made of. */
export interface EventFilter {
  /**
   * Whether an event is of no interest by its bytes alone: nothing is made of it then, and nothing learned from it. An event that moves
   * or makes a directory is not to be skipped, or paths go wrong.
   */
  skips?(at: Readonly<EventCursor>): boolean;
  /** Called before the events of a read: the time to check again what may change unheard. */
  nextRound(): void;
  /** Events that are refused still teach the paths of what comes behind them. */
  accepts(event: KernelEvent): boolean;
}

/** Events that are read and not yet delivered. */
interface Ahead {
  readonly events: KernelEvent[];
  /** How many were read: those, and the ones that were skipped. */
  readonly count: number;
  readonly bytes: number;
  /** Grows whenever a read has emptied the kernel's queue: events of different rounds were never merged. */
  readonly round: number;
}

/** The reading end of a group. Synchronous: {@link next} never waits. */
export class EventQueue implements Lookahead {
  readonly counters: QueueCounters = {
    delivered: 0,
    overflows: 0,
    own: 0,
    discarded: 0,
    outside: 0,
    reads: 0,
    bytes: 0,
  };
  filter: EventFilter | undefined;
  readonly #options: QueueOptions;
  readonly #buffer: Buffer;
  readonly #cursor = new EventCursor(Buffer.alloc(0));
  #ahead: Ahead[] = [];
  #aheadBytes = 0;
  #round = 0;
  #lastReadWasFull = false;
  /** When the kernel's queue was last known to be empty. */
  #emptyAt: Moment | undefined;
  /** What went wrong while reading ahead. */
  #failure: { readonly error: unknown } | undefined;
  readonly #changes: PlaceChanges;
  #later: { readonly round: number; readonly run: () => void }[] = [];

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#changes = new PlaceChanges(options.paths);
    this.#emptyAt = options.processes?.now();
    this.#buffer = Buffer.allocUnsafeSlow(options.bufferBytes);
  }

  /**
   * The next events, with their paths; undefined when the kernel has none now. Whoever gets them closes what they hold.
   *
   * @throws KernelError when the kernel refuses the read.
   */
  next(): KernelEvent[] | undefined {
    for (;;) {
      if (this.#ahead.length === 0) this.#throwFailure();
      const ahead = this.#ahead.shift() ?? (this.#read() ? this.#ahead.shift() : undefined);
      if (!ahead) {
        this.#runLater(this.#round);
        return undefined;
      }
      this.#aheadBytes -= ahead.bytes;
      this.#startRound(ahead.round);
      this.filter?.nextRound();
      const delivered = ahead.events.filter((event) => this.#deliver(event));
      if (delivered.length > 0) return delivered;
    }
  }

  /** Whether there is more to deliver at once: read ahead, or left in the kernel by a read that filled its buffer. */
  get hasMore(): boolean {
    return this.#ahead.length > 0 || this.#lastReadWasFull || this.#failure !== undefined;
  }

  /** How many events have been given out or left out. */
  get handled(): number {
    const { delivered, own, outside } = this.counters;
    return delivered + own + outside;
  }

  /** How many wait, read or not. */
  get waiting(): number {
    const { kernel, fd } = this.#options;
    const read = this.#ahead.reduce((sum, { events }) => sum + events.length, 0);
    return read + kernel.waitingBytes(fd) / FAN_EVENT_METADATA_LEN;
  }

  /** Lets go of everything that was read and not delivered. */
  discard(): void {
    for (const { events } of this.#ahead) {
      this.counters.discarded += events.length;
      for (const event of events) event.release(this.#options.kernel);
    }
    this.#ahead = [];
    this.#aheadBytes = 0;
  }

  /** Whether nothing is queued, read or not. */
  get isQuiet(): boolean {
    const { kernel, fd } = this.#options;
    return this.#ahead.length === 0 && this.#failure === undefined && kernel.waitingBytes(fd) === 0;
  }

  /** Reads what is queued now. More may come meanwhile, faster than it can be read: that is not waited for. */
  drain(): boolean {
    const { kernel, fd, aheadBytes } = this.#options;
    if (this.#failure) return false;
    try {
      let waiting = kernel.waitingBytes(fd) / FAN_EVENT_METADATA_LEN;
      // Reads once where nothing waits, too: that starts a round.
      do {
        if (this.#aheadBytes >= aheadBytes) return false;
        if (this.#read(true) === 0) break;
        waiting -= this.#ahead.at(-1)?.count ?? 0;
      } while (waiting > 0);
    } catch (error) {
      this.#failLater(error);
      return false;
    } finally {
      this.#tellAhead();
    }
    // What an overflow swallowed may have been a rename.
    return !this.#changes.hasLossAhead;
  }

  /** Runs `then` when everything that is queued now has been delivered: at once, if nothing is. */
  afterQueued(then: () => void): void {
    const isAllRead = this.#readAll();
    if (isAllRead && this.#ahead.length === 0) then();
    else this.#later.push({ round: this.#round + (isAllRead ? 0 : 1), run: then });
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
  }

  #readAll(): boolean {
    const { kernel, fd, aheadBytes } = this.#options;
    if (this.#failure) return false;
    try {
      if (kernel.isBehind) kernel.waitingBytes(fd);
      while (this.#aheadBytes < aheadBytes) if (this.#read(true) === 0) return true;
    } catch (error) {
      this.#failLater(error);
    } finally {
      this.#tellAhead();
    }
    return false;
  }

  #tellAhead(): void {
    if (this.#ahead.length > 0 || this.#failure) this.#options.onAhead();
  }

  /** Told in its place: behind the events that were read before it. */
  #failLater(error: unknown): void {
    this.#failure = { error };
  }

  /** Grows whenever the kernel's queue was read empty: what is read in a later round was queued later. */
  get round(): number {
    return this.#round;
  }

  before(key: HandleKey): Location | 'elsewhere' | undefined {
    return this.#changes.before(key);
  }

  suspects(key: HandleKey): readonly Location[] | undefined {
    return this.#changes.suspects(key);
  }

  /**
   * Reads once; returns how many bytes, 0 when there is nothing.
   *
   * @param isSettled It was asked just now what waits, so that nothing is on its way that came before.
   */
  #read(isSettled = false): number {
    const { kernel, fd, bufferBytes, processes } = this.#options;
    const now = processes?.now();
    let length: number;
    try {
      length = kernel.read(fd, this.#buffer);
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EAGAIN') throw error;
      if (isSettled || kernel.isBehind?.(fd) !== true) this.#endRound(now);
      return 0;
    }
    if (length === 0) return 0;
    if (this.#emptyAt) processes?.nextReading(this.#emptyAt);
    this.counters.reads++;
    this.counters.bytes += length;
    const buffer = Buffer.from(this.#buffer.subarray(0, length));
    const view = new DataView(buffer.buffer, buffer.byteOffset, length);
    const batch: Batch = { buffer, view, timeMs: Date.now(), round: this.#round };
    const { outside } = this.counters;
    const events = this.#eventsOf(batch);
    const count = events.length + this.counters.outside - outside;
    this.#ahead.push({ events, count, bytes: length, round: this.#round });
    this.#aheadBytes += length;
    this.#lastReadWasFull = length >= bufferBytes - LARGEST_EVENT;
    if (!this.#lastReadWasFull && (isSettled || kernel.isBehind?.(fd) !== true)) this.#endRound(now);
    return length;
  }

  /** Everything was read that had been queued. */
  #endRound(now: Moment | undefined): void {
    this.#round++;
    this.#emptyAt = now;
  }

  #eventsOf(batch: Batch): KernelEvent[] {
    const { processes, hasPidfds } = this.#options;
    const { filter } = this;
    const events: KernelEvent[] = [];
    const cursor = this.#cursor;
    cursor.reset(batch.buffer, batch.buffer.length);
    while (cursor.next()) {
      const mask = cursor.maskLow;
      if (filter?.skips?.(cursor)) {
        this.counters.outside++;
        continue;
      }
      const event = new KernelEvent(kindOf(mask), batch, cursor);
      // At once, and not when the event is delivered: processes do not wait.
      if (processes) event.process = processes.of(event.pid, hasPidfds ? event.pidfd : undefined);
      events.push(event);
      this.#changes.read(event);
    }
    return events;
  }

  #startRound(round: number): void {
    this.#options.paths.nextRound();
    this.#changes.startRound(round);
    this.#runLater(round);
  }

  #runLater(round: number): void {
    if (this.#later.length === 0) return;
    const due = this.#later.filter((later) => later.round <= round);
    this.#later = this.#later.filter((later) => later.round > round);
    for (const { run } of due) run();
  }

  /** Gives an event its place and number; false when it is to be left out. */
  #deliver(event: KernelEvent): boolean {
    const { kernel, leaveOutOwn } = this.#options;
    if (event.kind === 'overflow') {
      this.counters.overflows++;
      this.#changes.lost();
      event.lastSeq = this.counters.delivered;
    }
    const own = leaveOutOwn && event.pid === kernel.pid && event.kind !== 'overflow';
    if (!own) this.#place(event);
    if (event.process) hearProcess(event.process, event);
    const outside = !own && event.kind !== 'overflow' && this.filter?.accepts(event) === false;
    this.#changes.delivered(event);
    if (own) {
      event.release(kernel);
      this.counters.own++;
      return false;
    }
    if (outside) {
      event.release(kernel);
      this.counters.outside++;
      return false;
    }
    event.seq = ++this.counters.delivered;
    return true;
  }

  #place(event: KernelEvent): void {
    const { kernel, paths, mounts } = this.#options;
    if (event.fd !== null) {
      const place = descriptorPath(kernel, event.fd, mounts, (key) => paths.resolveNow(key));
      event.placeAt(place.path, place.deleted, place.foreign);
      return;
    }
    if (event.oldDfidRecord !== 0) {
      const directory = paths.resolve(event.keyOf(event.oldDfidRecord), this);
      if (directory) event.placedBeforeIn(directory, event.oldDfidRecord);
    }
    if (event.dfidRecord !== 0) {
      const directory = paths.resolve(event.keyOf(event.dfidRecord), this);
      if (directory && event.isNamed) event.placeIn(directory, event.dfidRecord);
      else if (!event.isNamed && event.fidRecord !== 0)
        event.placeAt(paths.resolveNow(event.keyOf(event.fidRecord)), false);
    } else if (event.kind !== 'rename' && event.fidRecord !== 0 && event.handle) {
      event.placeAt(paths.resolveNow(event.keyOf(event.fidRecord)), false);
    }
  }
}

function kindOf(mask: number): EventKind {
  if ((mask & OVERFLOW) !== 0) return 'overflow';
  if ((mask & RENAME) !== 0) return 'rename';
  if ((mask & FS_ERROR) !== 0) return 'filesystemError';
  return (mask & MOUNT) !== 0 ? 'mount' : 'file';
}

/** What a process is heard to execute may be all that is ever known of it. */
function hearProcess(process: ProcessRecord, event: KernelEvent): void {
  const executes = (event.maskLow & OPEN_EXEC) !== 0;
  if (!executes && !process.isExecuting) return;
  const path = event.rawPath;
  if (path) process.heard(path, executes);
}
