// What is said between the owner of a group and the core: one socket a group (SOCK_SEQPACKET), whose messages are requests one way and
// events the other; answers come on a socket of their own, so that events are never in their way. Numbers are in the byte order of
// the machine.

import { FAN_EVENT_METADATA_LEN, HOST_IS_LITTLE_ENDIAN as LE } from '../../abi/index.ts';
import { fsidNumber } from '../../identity/handle-at.ts';
import { CallError } from '../errors.ts';
import type { GroupSettings, MarkChange, MarkScope } from '../types.ts';

/** What a group is asked for. */
export const REQUEST = {
  bind: 1,
  addMark: 2,
  removeMark: 3,
  clearMarks: 4,
  respond: 5,
  ignoreType: 6,
  ignoreFsid: 7,
  setTimeout: 8,
  statistics: 9,
  /** Ends the group; answered when that is done. */
  close: 10,
  /** Of a daemon's names group: where a directory is, below which mark. A struct file_handle follows. */
  resolve: 11,
  /** Of a daemon's group: answered behind everything that has happened until now. */
  sync: 12,
} as const;

export type Request = (typeof REQUEST)[keyof typeof REQUEST];

const SCOPES: readonly MarkScope[] = ['inode', 'filesystem', 'subtree'];
/** Which protocol a daemon speaks: the last argument of bind. 0 is that of a private core, which has the version of its owner. */
export const PROTOCOL_VERSION = 1;
/** Bind: a names group's events are to say where their directory is, by a PATH record. Beyond the kernel's flags. */
export const REPORT_PATH = 0x0100_0000;
/** A request: its type, its number, and its arguments. */
export const REQUEST_BYTES = 40;
/** The two words of a struct file_handle, and MAX_HANDLE_SZ. */
export const MOST_HANDLE_BYTES = 8 + 128;
const TYPE = 0;
const NUMBER = 4;
/** Where arguments begin. */
const FIRST = 8;
/** An answer: the number of the request, an errno or 0, and what there is to say. */
export const ANSWER_BYTES = 8;
export const MOST_ANSWER_BYTES = 4096;

/** How many events go into a message: each may have a descriptor, of which a message takes 253. */
export const MOST_EVENTS = 128;
// Records of ours come after the kernel's types.
export const COOKIE_TYPE = 0xc0;
/**
 * The number of a mark (u32), and where the event's directory is below what that marks: no slash at its start, '' for the mark itself,
 * and no padding. One for each record of a directory, in their order; behind those, of other marks that hold the first, too.
 */
export const PATH_TYPE = 0xc1;
/** Behind four bytes of zero, the number of an event (u64, from 1) among those that the group was told; those behind it count on. */
export const SEQUENCE_TYPE = 0xc2;
/** Alone in an event without bits: the number of a request (u32), an errno or 0 (u32), and what there is to say. */
export const ANSWER_TYPE = 0xc3;
export const COOKIE_BYTES = 16;
export const RANGE_BYTES = 24;
export const SEQUENCE_BYTES = 16;
/** Of an answer's record: its head, the number and the errno. */
export const ANSWER_RECORD_BYTES = 12;
/** What an answer in line with events may say: a message is no longer than 64 KiB, and a record says how long it is in 16 bits. */
export const MOST_SAID_BYTES: number = 65_536 - FAN_EVENT_METADATA_LEN - ANSWER_RECORD_BYTES;
export const MOST_MESSAGE_BYTES: number =
  MOST_EVENTS * (FAN_EVENT_METADATA_LEN + COOKIE_BYTES + RANGE_BYTES) + SEQUENCE_BYTES;

/** Writes requests, one after the other, into a buffer of its own. */
export class RequestWriter {
  readonly bytes: Buffer = Buffer.alloc(REQUEST_BYTES);
  readonly #view: DataView = viewOf(this.bytes);
  #number = 0;

  /** The number of the last request. */
  get number(): number {
    return this.#number;
  }

  /** @param version Of a daemon: {@link PROTOCOL_VERSION}. */
  bind({ mask, priority, eventFlags, flags }: GroupSettings, version = 0): Buffer {
    this.#begin(REQUEST.bind);
    this.#view.setBigUint64(FIRST, mask, LE);
    this.#view.setUint32(FIRST + 8, priority, LE);
    this.#view.setUint32(FIRST + 12, eventFlags, LE);
    this.#view.setUint32(FIRST + 16, flags, LE);
    this.#view.setUint32(FIRST + 20, version, LE);
    return this.bytes;
  }

  mark(
    request: typeof REQUEST.addMark | typeof REQUEST.removeMark,
    { scope, mask, ignored, survivesModify }: MarkChange,
    number = 0,
  ): Buffer {
    this.#begin(request);
    this.#view.setBigUint64(FIRST, mask, LE);
    this.#view.setBigUint64(FIRST + 8, ignored, LE);
    this.#view.setUint32(FIRST + 16, SCOPES.indexOf(scope), LE);
    this.#view.setUint32(FIRST + 20, survivesModify ? 1 : 0, LE);
    this.#view.setUint32(FIRST + 24, number, LE);
    return this.bytes;
  }

  /** What has no arguments. */
  plain(
    request: typeof REQUEST.clearMarks | typeof REQUEST.statistics | typeof REQUEST.close | typeof REQUEST.sync,
  ): Buffer {
    return this.#begin(request);
  }

  respond(cookie: bigint, response: number): Buffer {
    this.#begin(REQUEST.respond);
    this.#view.setBigUint64(FIRST, cookie, LE);
    this.#view.setUint32(FIRST + 8, response, LE);
    return this.bytes;
  }

  /** @param handle A whole struct file_handle. */
  resolve([high, low]: readonly [number, number], handle: Uint8Array): Buffer {
    this.#begin(REQUEST.resolve);
    this.#view.setInt32(FIRST, high | 0, LE);
    this.#view.setInt32(FIRST + 4, low | 0, LE);
    return Buffer.concat([this.bytes, handle]);
  }

  ignoreType(type: number): Buffer {
    this.#begin(REQUEST.ignoreType);
    this.#view.setFloat64(FIRST, type, LE);
    return this.bytes;
  }

  ignoreFsid([high, low]: readonly [number, number]): Buffer {
    this.#begin(REQUEST.ignoreFsid);
    this.#view.setInt32(FIRST, high | 0, LE);
    this.#view.setInt32(FIRST + 4, low | 0, LE);
    return this.bytes;
  }

  setTimeout(deadlineMs: number, onTimeout: 'allow' | 'deny'): Buffer {
    this.#begin(REQUEST.setTimeout);
    this.#view.setFloat64(FIRST, deadlineMs, LE);
    this.#view.setUint32(FIRST + 8, onTimeout === 'allow' ? 1 : 0, LE);
    return this.bytes;
  }

  #begin(request: Request): Buffer {
    this.bytes.fill(0);
    this.#number = (this.#number + 1) >>> 0;
    this.#view.setUint32(TYPE, request, LE);
    this.#view.setUint32(NUMBER, this.#number, LE);
    return this.bytes;
  }
}

/** A request as it came in. */
export class RequestReader {
  readonly #view: DataView;
  /** What follows the fixed part: of resolve alone. */
  readonly rest: Uint8Array;

  /**
   * @param bytes The message.
   * @throws CallError EINVAL when it is no request.
   */
  constructor(bytes: Uint8Array) {
    const isLonger = bytes.byteLength > REQUEST_BYTES && bytes.byteLength <= REQUEST_BYTES + MOST_HANDLE_BYTES;
    const mayBeLonger = isLonger && viewOf(bytes).getUint32(TYPE, LE) === REQUEST.resolve;
    if (bytes.byteLength !== REQUEST_BYTES && !mayBeLonger) {
      throw new CallError('EINVAL', `a request of ${bytes.byteLength} bytes, which has ${REQUEST_BYTES}`);
    }
    this.#view = viewOf(bytes);
    this.rest = bytes.subarray(REQUEST_BYTES);
  }

  /** The same, for as long as it is needed: the message's bytes may be those of the next by then. */
  copy(): RequestReader {
    const { buffer, byteOffset } = this.#view;
    return new RequestReader(new Uint8Array(buffer, byteOffset, REQUEST_BYTES + this.rest.length).slice());
  }

  /** Of bind. */
  get version(): number {
    return this.#view.getUint32(FIRST + 20, LE);
  }

  /** Of a mark: the number that its owner has given it. */
  get markNumber(): number {
    return this.#view.getUint32(FIRST + 24, LE);
  }

  get type(): number {
    return this.#view.getUint32(TYPE, LE);
  }

  get number(): number {
    return this.#view.getUint32(NUMBER, LE);
  }

  get settings(): GroupSettings {
    return {
      mask: this.#view.getBigUint64(FIRST, LE),
      priority: this.#view.getUint32(FIRST + 8, LE),
      eventFlags: this.#view.getUint32(FIRST + 12, LE),
      flags: this.#view.getUint32(FIRST + 16, LE),
    };
  }

  /** @throws CallError EINVAL for a scope that there is not. */
  get mark(): MarkChange {
    const scope = SCOPES[this.#view.getUint32(FIRST + 16, LE)];
    if (!scope) throw new CallError('EINVAL', 'there is no such scope');
    return {
      scope,
      mask: this.#view.getBigUint64(FIRST, LE),
      ignored: this.#view.getBigUint64(FIRST + 8, LE),
      survivesModify: this.#view.getUint32(FIRST + 20, LE) !== 0,
    };
  }

  get response(): { readonly cookie: bigint; readonly response: number } {
    return { cookie: this.#view.getBigUint64(FIRST, LE), response: this.#view.getUint32(FIRST + 8, LE) };
  }

  get filesystemType(): number {
    return this.#view.getFloat64(FIRST, LE);
  }

  get fsid(): bigint {
    return fsidNumber([this.#view.getInt32(FIRST, LE), this.#view.getInt32(FIRST + 4, LE)]);
  }

  get timeout(): { readonly deadlineMs: number; readonly onTimeout: 'allow' | 'deny' } {
    const onTimeout = this.#view.getUint32(FIRST + 8, LE) === 0 ? 'deny' : 'allow';
    return { deadlineMs: this.#view.getFloat64(FIRST, LE), onTimeout };
  }
}

/** The number of a request, also of one that is none otherwise; undefined where a message is too short for it. */
export function requestNumber(bytes: Uint8Array): number | undefined {
  return bytes.byteLength < FIRST ? undefined : viewOf(bytes).getUint32(NUMBER, LE);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
