// Reads a group's queue into events: numbers them, gives them their paths in the queue's order, says what was lost, and
// closes the descriptors that nobody took.

import {
  EventCursor,
  FAN_CREATE,
  FAN_DELETE,
  FAN_FS_ERROR,
  FAN_MNT_ATTACH,
  FAN_MNT_DETACH,
  FAN_ONDIR,
  FAN_Q_OVERFLOW,
  FAN_RENAME,
} from '../abi/index.ts';
import { descriptorPath } from '../identity/descriptor.ts';
import type { DirectoryPaths, HandleKey, Location, Lookahead } from '../identity/directories.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { type Batch, type EventKind, KernelEvent } from './kernel-event.ts';

const ONDIR = Number(FAN_ONDIR);
const CREATE = Number(FAN_CREATE);
const DELETE = Number(FAN_DELETE);
const RENAME = Number(FAN_RENAME);
const OVERFLOW = Number(FAN_Q_OVERFLOW);
const FS_ERROR = Number(FAN_FS_ERROR);
const MOUNT = Number(FAN_MNT_ATTACH | FAN_MNT_DETACH);

/** The most that one event takes: a header, three records with a name of 255 bytes and a handle of 128 each, a pidfd. */
const LARGEST_EVENT = 2048;
/** How much may be read ahead of what is delivered, to learn of renames behind the event at hand. */
const AHEAD_BYTES = 1 << 20;

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
  /** Leave out what the calling process does itself. */
  readonly leaveOutOwn: boolean;
  readonly bufferBytes: number;
}

/** Says of each event, at the moment that its path is as of, whether it is wanted: what a scope is made of. */
export interface EventFilter {
  /** Called before the events of a read: the time to check again what may change unheard. */
  nextRound(): void;
  /** Events that are refused still teach the paths of what comes behind them. */
  accepts(event: KernelEvent): boolean;
}

/** Events that are read and not yet delivered. */
interface Ahead {
  readonly events: KernelEvent[];
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
  #round = 0;
  #lastReadWasFull = false;
  #overflowsAhead = 0;
  /** By directory: where it was before each change of its place that is read and not delivered, in the queue's order. */
  readonly #changes = new Map<HandleKey, Location[]>();
  /** Directories renamed in the round that is being delivered. */
  readonly #renamed = new Set<HandleKey>();
  #renamedRound = -1;
  #lent: KernelEvent[] = [];

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#buffer = Buffer.allocUnsafeSlow(options.bufferBytes);
  }

  /**
   * The next events, with their paths; undefined when the kernel has none now. What the events of the call before still
   * held is closed.
   *
   * @throws KernelError when the kernel refuses the read.
   */
  next(): KernelEvent[] | undefined {
    this.releaseLent();
    for (;;) {
      const ahead = this.#ahead.shift() ?? (this.#read() ? this.#ahead.shift() : undefined);
      if (!ahead) return undefined;
      this.#options.paths.nextRound();
      this.filter?.nextRound();
      const delivered = ahead.events.filter((event) => this.#deliver(event, ahead.round));
      if (delivered.length > 0) {
        this.#lent = delivered;
        return delivered;
      }
    }
  }

  /** Whether there is more to deliver at once: read ahead, or left in the kernel by a read that filled its buffer. */
  get hasMore(): boolean {
    return this.#ahead.length > 0 || this.#lastReadWasFull;
  }

  /** Closes what the events delivered last still hold. */
  releaseLent(): void {
    for (const event of this.#lent) event.release(this.#options.kernel);
    this.#lent = [];
  }

  /** Lets go of everything that was read and not delivered. */
  discard(): void {
    this.releaseLent();
    for (const { events } of this.#ahead) {
      this.counters.discarded += events.length;
      for (const event of events) event.release(this.#options.kernel);
    }
    this.#ahead = [];
  }

  drain(): boolean {
    let bytes = 0;
    for (let length = this.#read(); length > 0; length = this.#read()) {
      bytes += length;
      if (bytes >= AHEAD_BYTES) return false;
    }
    // What an overflow swallowed may have been a rename.
    return this.#overflowsAhead === 0;
  }

  /** Grows whenever the kernel's queue was read empty: what is read in a later round was queued later. */
  get round(): number {
    return this.#round;
  }

  before(key: HandleKey): Location | undefined {
    return this.#changes.get(key)?.[0];
  }

  /** Reads once; returns how many bytes, 0 when there is nothing. */
  #read(): number {
    const { kernel, fd, bufferBytes } = this.#options;
    let length: number;
    try {
      length = kernel.read(fd, this.#buffer);
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EAGAIN') throw error;
      this.#round++;
      return 0;
    }
    if (length === 0) return 0;
    this.counters.reads++;
    this.counters.bytes += length;
    const buffer = Buffer.from(this.#buffer.subarray(0, length));
    const view = new DataView(buffer.buffer, buffer.byteOffset, length);
    const batch: Batch = { buffer, view, timeMs: Date.now(), round: this.#round };
    this.#ahead.push({ events: this.#eventsOf(batch), round: this.#round });
    this.#lastReadWasFull = length >= bufferBytes - LARGEST_EVENT;
    if (!this.#lastReadWasFull) this.#round++;
    return length;
  }

  #eventsOf(batch: Batch): KernelEvent[] {
    const events: KernelEvent[] = [];
    const cursor = this.#cursor;
    cursor.reset(batch.buffer, batch.buffer.length);
    while (cursor.next()) {
      const mask = cursor.maskLow;
      const event = new KernelEvent(kindOf(mask), batch, cursor);
      events.push(event);
      if ((mask & OVERFLOW) !== 0) this.#overflowsAhead++;
      else if ((mask & ONDIR) !== 0 && (mask & (RENAME | DELETE)) !== 0) this.#noteChange(event);
    }
    return events;
  }

  /** A change of a directory's place that lies ahead: remembers where the directory was before it. */
  #noteChange(event: KernelEvent): void {
    const record = event.kind === 'rename' ? event.oldDfidRecord : event.dfidRecord;
    if (event.fidRecord === 0 || record === 0) return;
    const key = event.keyOf(event.fidRecord);
    const location = { parent: event.keyOf(record), name: event.nameIn(record) };
    const changes = this.#changes.get(key);
    if (changes) changes.push(location);
    else this.#changes.set(key, [location]);
  }

  /** Gives an event its place and number; false when it is to be left out. */
  #deliver(event: KernelEvent, round: number): boolean {
    const { kernel, paths, leaveOutOwn } = this.#options;
    if (event.kind === 'overflow') {
      this.#overflowsAhead--;
      this.counters.overflows++;
      paths.forget();
      event.lastSeq = this.counters.delivered;
    }
    const own = leaveOutOwn && event.pid === kernel.pid && event.kind !== 'overflow';
    if (!own) this.#place(event);
    const outside = !own && event.kind !== 'overflow' && this.filter?.accepts(event) === false;
    if (event.directory) this.#follow(event, round);
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
    const { kernel, paths } = this.#options;
    if (event.fd !== null) {
      const place = descriptorPath(kernel, event.fd);
      event.placeAt(place.path, place.deleted);
      return;
    }
    if (event.oldDfidRecord !== 0) {
      const directory = paths.resolve(event.keyOf(event.oldDfidRecord), this);
      if (directory) event.placedBeforeIn(directory, event.oldDfidRecord);
    }
    if (event.dfidRecord !== 0) {
      const directory = paths.resolve(event.keyOf(event.dfidRecord), this);
      if (directory && event.rawName) event.placeIn(directory, event.dfidRecord);
      else if (!event.rawName && event.fidRecord !== 0)
        event.placeAt(paths.resolveNow(event.keyOf(event.fidRecord)), false);
    } else if (event.fidRecord !== 0 && event.handle) {
      event.placeAt(paths.resolveNow(event.keyOf(event.fidRecord)), false);
    }
  }

  /** Learns from an event where a directory is now, for the events behind it. */
  #follow(event: KernelEvent, round: number): void {
    if (event.fidRecord === 0) return;
    const mask = event.maskLow;
    const isRename = event.kind === 'rename';
    if (!isRename && (mask & (CREATE | DELETE)) === 0) return;
    const key = event.keyOf(event.fidRecord);
    if (isRename || (mask & DELETE) !== 0) this.#forgetChange(key);
    if (isRename) this.#moved(event, key, round);
    else if ((mask & CREATE) !== 0 && event.dfidRecord !== 0) {
      this.#options.paths.moved(key, {
        parent: event.keyOf(event.dfidRecord),
        name: Buffer.from(event.nameIn(event.dfidRecord)),
      });
    }
  }

  #moved(event: KernelEvent, key: HandleKey, round: number): void {
    const { paths } = this.#options;
    if (round !== this.#renamedRound) {
      this.#renamed.clear();
      this.#renamedRound = round;
    }
    // The kernel merges a rename with an equal one that still waits: after a → b, b → a, a → b the queue holds the first
    // two. So a directory that moved twice while the queue was never empty is somewhere that only the kernel knows.
    if (event.dfidRecord === 0 || this.#renamed.has(key)) paths.uncertain(key);
    else paths.moved(key, { parent: event.keyOf(event.dfidRecord), name: Buffer.from(event.nameIn(event.dfidRecord)) });
    this.#renamed.add(key);
  }

  #forgetChange(key: HandleKey): void {
    const changes = this.#changes.get(key);
    changes?.shift();
    if (changes?.length === 0) this.#changes.delete(key);
  }
}

function kindOf(mask: number): EventKind {
  if ((mask & OVERFLOW) !== 0) return 'overflow';
  if ((mask & RENAME) !== 0) return 'rename';
  if ((mask & FS_ERROR) !== 0) return 'filesystemError';
  return (mask & MOUNT) !== 0 ? 'mount' : 'file';
}
