// The one class behind every shape in events.ts: reads what is asked for out of the kernel's bytes, and holds the path and
// the descriptors that the queue put there. One hidden class keeps the hot path monomorphic; the types keep the shapes apart.

import {
  type DecodedEvent,
  decodeEvents,
  type EventBytes,
  type EventCursor,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_ONDIR,
  recordError,
  recordErrorCount,
  recordFsid,
  recordHandle,
  recordKey,
  recordMountId,
  recordName,
  recordPidfd,
} from '../abi/index.ts';
import { hasRecordName, recordAsciiName } from '../abi/record.ts';
import { joinPath, type PathAsOf, type ResolvedPath, textOf } from '../identity/path.ts';
import type { ProcessRecord } from '../identity/process.ts';
import { type ErrnoName, errnoName, type Kernel } from '../kernel/index.ts';
import type { EventJson, ObjectHandle } from './events.ts';
import { type EventName, kindsOf } from './names.ts';

/** The events of one read: the kernel's bytes, and when they were read. */
export interface Batch extends EventBytes {
  readonly timeMs: number;
  /** See EventQueue.round. */
  readonly round: number;
}

export type EventKind = 'file' | 'rename' | 'overflow' | 'filesystemError' | 'mount';

const ONDIR = Number(FAN_ONDIR);
const DELETED = Number(FAN_DELETE | FAN_DELETE_SELF);

/** A place in a directory: the directory as resolved, and the offset of the record that names the entry. */
interface Entry {
  readonly directory: ResolvedPath;
  readonly record: number;
}

/** An event of any kind. See events.ts for what each field means and which kind has it. */
export class KernelEvent {
  readonly kind: EventKind;
  seq = 0;
  /** Overflow: the sequence number before the loss. */
  lastSeq = 0;
  readonly maskLow: number;
  readonly maskHigh: number;
  readonly pid: number;

  readonly #batch: Batch;
  readonly #start: number;
  readonly #end: number;
  #fd: number;
  #pidfd: number;
  // Offsets of records in the batch, 0 for none: private to the room.
  readonly fidRecord: number;
  readonly dfidRecord: number;
  readonly oldDfidRecord: number;
  readonly detailRecord: number;

  /** Where the object is: an entry of a directory, or a path of its own. Set by the queue. */
  #entry: Entry | undefined;
  #whole: ResolvedPath | undefined;
  #oldEntry: Entry | undefined;
  #deleted = false;
  #foreign = false;
  /** Set by the queue, where the group says who did it. */
  process: ProcessRecord | null = null;
  /** Bits of the mask that nobody asked for: not among the kinds. */
  #unasked = 0;

  constructor(kind: EventKind, batch: Batch, cursor: EventCursor) {
    this.kind = kind;
    this.#batch = batch;
    this.#start = cursor.offset;
    this.#end = cursor.end;
    this.maskLow = cursor.maskLow;
    this.maskHigh = cursor.maskHigh;
    this.pid = cursor.pid;
    this.#fd = cursor.fd;
    this.#pidfd = cursor.pidfd === 0 ? -1 : recordPidfd(batch, cursor.pidfd);
    this.fidRecord = cursor.fid;
    this.dfidRecord = cursor.dfid === 0 ? cursor.newDfid : cursor.dfid;
    this.oldDfidRecord = cursor.oldDfid;
    this.detailRecord = kind === 'mount' ? cursor.mnt : kind === 'filesystemError' ? cursor.error : 0;
  }

  // What the queue uses.

  /** The key of the handle in a record of this event. */
  keyOf(record: number): string {
    return recordKey(this.#batch, record);
  }

  nameIn(record: number): Buffer {
    return recordName(this.#batch, record);
  }

  placeIn(directory: ResolvedPath, record: number): void {
    this.#entry = { directory, record };
  }

  placedBeforeIn(directory: ResolvedPath, record: number): void {
    this.#oldEntry = { directory, record };
  }

  placeAt(path: ResolvedPath | undefined, deleted: boolean, foreign = false): void {
    this.#whole = path;
    this.#deleted = deleted;
    this.#foreign = foreign;
  }

  /** The directories that the event names an entry of, or the path of its own: for whoever compares many. */
  get place(): ResolvedPath | undefined {
    return this.#entry?.directory ?? this.#whole;
  }

  get placeBefore(): ResolvedPath | undefined {
    return this.#oldEntry?.directory;
  }

  /** Whether {@link place} is the object itself rather than its directory. */
  get isWhole(): boolean {
    return this.#entry === undefined;
  }

  /** Leaves out a kind that was told already. */
  leaveOut(bits: number): void {
    this.#unasked |= bits;
  }

  /** The low word of the mask, without what is left out. */
  get told(): number {
    return this.maskLow & ~this.#unasked;
  }

  /** The round in which it was read: see EventQueue.round. */
  get round(): number {
    return this.#batch.round;
  }

  /** Leaves out kinds that were heard for another's sake; false when none is left. */
  narrow(askedBits: number): boolean {
    this.#unasked |= ~askedBits;
    return this.kinds.length > 0;
  }

  /** Closes what nobody took. */
  release(kernel: Pick<Kernel, 'close'>): void {
    if (this.#fd >= 0) kernel.close(this.#fd);
    if (this.#pidfd >= 0) kernel.close(this.#pidfd);
    this.#fd = -1;
    this.#pidfd = -1;
  }

  /** Whether there is anything to release. */
  get holdsDescriptors(): boolean {
    return this.#fd >= 0 || this.#pidfd >= 0;
  }

  // What the user sees.

  get timeMs(): number {
    return this.#batch.timeMs;
  }

  get mask(): bigint {
    return (BigInt(this.maskHigh) << 32n) | BigInt(this.maskLow);
  }

  get kinds(): readonly EventName[] {
    return kindsOf(this.maskLow & ~this.#unasked);
  }

  get directory(): boolean {
    return (this.maskLow & ONDIR) !== 0;
  }

  get deleted(): boolean {
    return this.#deleted || (this.maskLow & DELETED) !== 0;
  }

  get foreign(): boolean {
    return this.#foreign;
  }

  get fd(): number | null {
    return this.#fd >= 0 ? this.#fd : null;
  }

  get fdError(): ErrnoName | null {
    return this.#fd < -1 ? errnoName(-this.#fd) : null;
  }

  get pidfd(): number | null {
    return this.#pidfd >= 0 ? this.#pidfd : null;
  }

  take(which: 'fd' | 'pidfd'): number | null {
    const descriptor = which === 'fd' ? this.fd : this.pidfd;
    if (which === 'fd') this.#fd = -1;
    else this.#pidfd = -1;
    return descriptor;
  }

  get path(): string | null {
    return this.#entry ? this.#textOf(this.#entry) : (this.#whole?.text ?? null);
  }

  get rawPath(): Buffer | null {
    return this.#entry ? this.#bytesOf(this.#entry) : (this.#whole?.raw ?? null);
  }

  get pathAsOf(): PathAsOf | null {
    const before = this.#oldEntry?.directory.asOf;
    return before === 'reading' ? before : (this.#entry?.directory.asOf ?? this.#whole?.asOf ?? before ?? null);
  }

  get from(): string | null {
    return this.#oldEntry ? this.#textOf(this.#oldEntry) : null;
  }

  get rawFrom(): Buffer | null {
    return this.#oldEntry ? this.#bytesOf(this.#oldEntry) : null;
  }

  /** Whether there is a {@link rawName}, without making it. */
  get isNamed(): boolean {
    return this.dfidRecord !== 0 && hasRecordName(this.#batch, this.dfidRecord);
  }

  get rawName(): Buffer | null {
    if (this.dfidRecord === 0) return null;
    const name = this.nameIn(this.dfidRecord);
    return name.length === 0 ? null : name;
  }

  get handle(): ObjectHandle | null {
    return this.#handleIn(this.fidRecord);
  }

  get directoryHandle(): ObjectHandle | null {
    return this.#handleIn(this.dfidRecord);
  }

  get fromDirectoryHandle(): ObjectHandle | null {
    return this.#handleIn(this.oldDfidRecord);
  }

  get errno(): number {
    return recordError(this.#batch, this.detailRecord);
  }

  get code(): ErrnoName {
    return errnoName(this.errno);
  }

  get count(): number {
    return recordErrorCount(this.#batch, this.detailRecord);
  }

  get mountId(): bigint {
    return recordMountId(this.#batch, this.detailRecord);
  }

  decode(): DecodedEvent {
    const [event] = decodeEvents(this.#batch.buffer.subarray(this.#start, this.#end));
    if (!event) throw new RangeError('an event without bytes');
    return event;
  }

  toJSON(): EventJson {
    const head = { seq: this.seq, time: new Date(this.timeMs).toISOString() };
    switch (this.kind) {
      case 'overflow':
        return { ...head, kinds: ['overflow'], lastSeq: this.lastSeq };
      case 'mount':
        return { ...head, kinds: this.kinds, mountId: String(this.mountId) };
      case 'filesystemError':
        return { ...head, kinds: this.kinds, path: this.path, error: this.code, count: this.count };
      default:
        return {
          ...head,
          kinds: this.kinds,
          ...this.#placeJson(),
          directory: this.directory,
          pid: this.pid,
          ...(this.process && { process: this.process.toJSON() }),
        };
    }
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    const { kinds, ...rest } = this.toJSON();
    return { kind: this.kind, kinds, ...rest };
  }

  #placeJson(): Partial<EventJson> {
    const { path, from, pathAsOf } = this;
    const bytes = path === null ? this.rawName : null;
    const name = bytes && textOf(bytes);
    const rawName = this.rawPath === null && name === null ? bytes?.toString('base64') : undefined;
    const rawPath = path === null ? this.rawPath?.toString('base64') : undefined;
    const rawFrom = from === null ? this.rawFrom?.toString('base64') : undefined;
    return {
      path,
      ...(rawPath !== undefined && { rawPath }),
      ...(bytes !== null && { name }),
      ...(rawName !== undefined && { rawName }),
      ...(this.kind === 'rename' && { from }),
      ...(rawFrom !== undefined && { rawFrom }),
      ...(this.deleted && { deleted: true as const }),
      ...(this.#foreign && { foreign: true as const }),
      ...(pathAsOf !== null && { pathAsOf }),
    };
  }

  #handleIn(record: number): ObjectHandle | null {
    if (record === 0) return null;
    const handle = recordHandle(this.#batch, record);
    return handle.bytes.length === 0 ? null : { fsid: recordFsid(this.#batch, record), handle };
  }

  #textOf({ directory, record }: Entry): string | null {
    const ascii = recordAsciiName(this.#batch, record);
    if (ascii !== undefined) return joined(directory, ascii);
    const name = textOf(this.nameIn(record));
    return name === null ? null : joined(directory, name);
  }

  #bytesOf({ directory, record }: Entry): Buffer {
    const name = this.nameIn(record);
    return isDot(name) ? directory.raw : joinPath(directory.raw, name);
  }
}

/** A directory is told of itself by the name '.'. */
function joined({ prefix, text }: ResolvedPath, name: string): string | null {
  if (name === '.') return text;
  return prefix === null ? null : prefix + name;
}

function isDot(name: Buffer): boolean {
  return name.length === 1 && name[0] === 0x2e;
}
