// The kernel's queue, read ahead: who has to look at the disk asks what is still to be told of it first.

import {
  EventCursor,
  FAN_CLASS_NOTIF,
  FAN_CLOEXEC,
  FAN_EVENT_METADATA_LEN,
  FAN_NONBLOCK,
  FAN_REPORT_DFID_NAME_TARGET,
  FAN_UNLIMITED_MARKS,
  FAN_UNLIMITED_QUEUE,
  HOST_IS_LITTLE_ENDIAN as LE,
  recordKey,
  recordName,
} from '../../abi/index.ts';
import type { HandleKey, Location } from '../../identity/locator.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { DELETE, ONDIR, RENAME } from './bits.ts';

const POLLIN = 1;
const BUFFER_BYTES = 256 * 1024;
/** No event is longer: three records with handles of 128 bytes, two of them with names of 255. */
const LONGEST_EVENT_BYTES = 1024;
/** How much is read ahead at most: mostly, and where somebody looks at the disk, who has to know all that has happened. */
const MOST_BYTES = 2 * 1024 * 1024;
const MOST_BYTES_AT_ONCE = 32 * 1024 * 1024;
/** What is read behind other events, and is less, is kept in no more room than it takes. */
const SMALL_BYTES = 32 * 1024;
/** How many buffers are kept to read into. */
const MOST_SPARE = 4;
/** When so many events wait in the kernel, which has no limit, they are given up. */
const MOST_WAITING = 1_000_000;

interface Read {
  readonly buffer: Buffer;
  length: number;
  /** The number of its first event, and how many there are: known once it was begun, and once it was looked through. */
  first: number;
  count: number;
}

/** A place that a directory leaves with an event. */
interface Departure {
  readonly event: number;
  readonly from: Location;
}

/** Events in the kernel's order, one at a time. */
export class KernelQueue {
  readonly fd: number;
  /** The event that {@link next} has come to. */
  readonly cursor: EventCursor;
  /** Whether nothing was left in the kernel when it was last asked. */
  isEmpty = true;
  readonly #kernel: Kernel;
  readonly #mostWaiting: number;
  readonly #entry: { readonly fd: number; readonly events: number; revents: number };
  /** What was read, from the event of the cursor on. */
  #ahead: Read[] = [];
  #aheadBytes = 0;
  readonly #spare: Read[] = [];
  readonly #scan: EventCursor = new EventCursor(Buffer.alloc(0));
  /** The number of the cursor's event. */
  #event = -1;
  /** The places that directories leave, in what was read ahead and looked through. */
  readonly #departures = new Map<HandleKey, Departure[]>();
  /** How many of what was read ahead were looked through. */
  #scanned = 0;

  /** @throws KernelError as fanotify_init(2): FAN_REPORT_TARGET_FID takes Linux 5.17. */
  constructor(kernel: Kernel, mostWaiting = MOST_WAITING) {
    this.#kernel = kernel;
    this.#mostWaiting = mostWaiting;
    const unlimited = FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
    const flags = FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME_TARGET | unlimited | FAN_NONBLOCK | FAN_CLOEXEC;
    this.fd = kernel.fanotifyInit(flags, 0);
    this.#entry = { fd: this.fd, events: POLLIN, revents: 0 };
    this.cursor = new EventCursor(Buffer.alloc(0));
  }

  /**
   * Reads what waits in the kernel, as far as there is room for it.
   *
   * @param isReadable Poll(2) has just said that there is something.
   */
  fill(isReadable = false): void {
    this.#fill(MOST_BYTES, isReadable);
  }

  /** Reads all that waits in the kernel; false when that is too much. */
  fillAll(): boolean {
    this.#fill(MOST_BYTES_AT_ONCE, false);
    return this.isEmpty;
  }

  /** How many events wait in the kernel, which counts them one by one. */
  get waiting(): number {
    return Math.floor(this.#kernel.waitingBytes(this.fd) / FAN_EVENT_METADATA_LEN);
  }

  /** Reads away what waits in the kernel, if that is too much: true then. */
  giveUpIfTooMuch(): boolean {
    const { waiting } = this;
    if (waiting <= this.#mostWaiting) return false;
    const { buffer } = this.#spare[0] ?? { buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES) };
    const counter = this.#scan;
    // Whoever makes events is as fast as this: not until there are none, but what there was.
    for (let left = waiting; left > 0 && this.#kernel.poll([this.#entry], 0) > 0; ) {
      counter.reset(buffer, this.#kernel.read(this.fd, buffer));
      while (counter.next()) left--;
    }
    counter.reset(NOTHING, 0);
    return true;
  }

  #fill(most: number, isReadable: boolean): void {
    let known = isReadable;
    this.isEmpty = false;
    while (this.#aheadBytes < most) {
      if (!known && this.#kernel.poll([this.#entry], 0) === 0) {
        this.isEmpty = true;
        return;
      }
      known = false;
      if (this.#read() + LONGEST_EVENT_BYTES <= BUFFER_BYTES) {
        this.isEmpty = true;
        return;
      }
    }
  }

  /** Whether something was read that was not told yet. */
  get hasAhead(): boolean {
    return this.#ahead.length > 0;
  }

  /** How many events were read that {@link next} has not come to. */
  get ahead(): number {
    let count = 0;
    for (const { buffer, length } of this.#ahead) {
      for (let at = buffer === this.cursor.buffer ? this.cursor.end : 0; at < length; count++) {
        at += LE ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at);
      }
    }
    return count;
  }

  /** Goes to the next event that was read; false when there is none. */
  next(): boolean {
    for (;;) {
      if (this.cursor.next()) {
        this.#event++;
        return true;
      }
      const [done] = this.#ahead;
      if (!done) return false;
      if (this.cursor.buffer === done.buffer) this.#drop(done);
      const [first] = this.#ahead;
      if (!first) return false;
      first.first = this.#event + 1;
      this.cursor.reset(first.buffer, first.length);
    }
  }

  /**
   * Where a directory was before the first change of its place that was read and not yet told; undefined when there is no such change.
   */
  before(key: HandleKey): Location | undefined {
    while (this.#scanned < this.#ahead.length) this.#scanNext();
    const departures = this.#departures.get(key);
    return departures?.[firstAfter(departures, this.#event)]?.from;
  }

  close(): void {
    this.#kernel.close(this.fd);
  }

  #drop(done: Read): void {
    this.#ahead.shift();
    this.#aheadBytes -= done.length;
    if (done.buffer.length === BUFFER_BYTES && this.#spare.length < MOST_SPARE) this.#spare.push(done);
    this.cursor.reset(NOTHING, 0);
    this.#scanned = Math.max(0, this.#scanned - 1);
    if (this.#ahead.length === 0) this.#departures.clear();
  }

  /** Reads once, and returns how many bytes. */
  #read(): number {
    const read = this.#spare.pop() ?? { buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES), length: 0, first: 0, count: 0 };
    try {
      read.length = this.#kernel.read(this.fd, read.buffer);
    } catch (error) {
      this.#spare.push(read);
      if (error instanceof KernelError && error.code === 'EAGAIN') return 0;
      throw error;
    }
    const { length } = read;
    this.#aheadBytes += length;
    if (this.#ahead.length === 0 || length > SMALL_BYTES) {
      this.#ahead.push(read);
    } else {
      this.#ahead.push({ buffer: Buffer.from(read.buffer.subarray(0, length)), length, first: 0, count: 0 });
      this.#spare.push(read);
    }
    return length;
  }

  /** Looks through one more of what was read ahead. */
  #scanNext(): void {
    const read = this.#ahead[this.#scanned] as Read;
    const previous = this.#ahead[this.#scanned - 1];
    if (previous) read.first = previous.first + previous.count;
    else if (this.cursor.buffer !== read.buffer) read.first = this.#event + 1;
    const scan = this.#scan;
    scan.reset(read.buffer, read.length);
    read.count = 0;
    while (scan.next()) {
      const event = read.first + read.count++;
      const isDeparture = (scan.maskLow & (RENAME | DELETE)) !== 0 && (scan.maskLow & ONDIR) !== 0;
      const from = scan.oldDfid || scan.dfid;
      if (!isDeparture || scan.fid === 0 || from === 0) continue;
      const key = recordKey(scan, scan.fid);
      const departure = { event, from: { parent: recordKey(scan, from), name: Buffer.from(recordName(scan, from)) } };
      const others = this.#departures.get(key);
      if (others) others.push(departure);
      else this.#departures.set(key, [departure]);
    }
    scan.reset(NOTHING, 0);
    this.#scanned++;
  }
}

const NOTHING = Buffer.alloc(0);

/** Where the first is that comes after an event: somebody may rename one directory as often as there is room for. */
function firstAfter(departures: readonly Departure[], event: number): number {
  let from = 0;
  let to = departures.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((departures[middle] as Departure).event > event) to = middle;
    else from = middle + 1;
  }
  return from;
}
