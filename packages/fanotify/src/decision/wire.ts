// What responder and owner say to each other over their socket: frames of a type, a length and a body. What is said for each access
// has a fixed layout; the rest is JSON. Both ends are of one version and one machine, so numbers are in its byte order.

import { HOST_IS_LITTLE_ENDIAN as LE } from '../abi/index.ts';
import type { FilesystemCoverage, GuardedSubtree } from './coverage.ts';
import type { Asked } from './owner-decider.ts';
import { KINDS, type Ruling } from './permission.ts';
import type { CompiledPolicy } from './policy/compiled.ts';
import type { ClamdIdentity } from './scan/identity.ts';
import type { PermissionEventName } from './verdict.ts';

/** Types of frames. Owner → responder: config, answer, close, forget, status. Responder → owner: the others. */
export const FRAME = {
  /** {@link ResponderConfig}: the first thing that is said. */
  config: 1,
  answer: 2,
  /** Answer what is held by policy, and go. */
  close: 3,
  /** Empty the caches. Answered by `forgot`. */
  forget: 4,
  /** Answered by `status`. */
  askStatus: 5,
  /** Answered by `coverage`. */
  askCoverage: 6,
  /** Decide by another policy ({@link PolicySet}) from now on. Answered by `policySet`. */
  setPolicy: 7,
  /** Marks are placed: from now on accesses are held. */
  ready: 10,
  /** It could not begin: {@link Failure}. */
  failed: 11,
  ask: 12,
  forgot: 13,
  status: 14,
  /** Something to know: {@link Notice}. */
  notice: 15,
  /** What was asked has its verdict already: the number of the ask. */
  withdrawn: 16,
  coverage: 17,
  /** Decisions that were made: a list of {@link DecisionRecord}. */
  records: 18,
  policySet: 19,
} as const;

const HEADER_BYTES = 8;
const ASK_BYTES = 48;
const ANSWER_BYTES = 8;
const HAS_RANGE = 0x100;
/** Longer than any frame of this protocol. */
export const MOST_BYTES: number = 64 * 1024 * 1024;
/** A longer frame is gathered in one piece. */
const LONG_BYTES = 256 * 1024;

/** What the owner is asked. */
export interface Ask {
  readonly id: number;
  /** The event's descriptor in the responder. */
  readonly fd: number;
  readonly pid: number;
  readonly kind: PermissionEventName;
  /** When `onTimeout` decides: clock.ts. */
  readonly dueMs: number;
  readonly range: { readonly offset: number; readonly bytes: number } | null;
  /** The policy whose rule says to ask, and which; 0 where there is no policy. */
  readonly policy: number;
  readonly rule: number;
}

/** A policy, by the number that its owner gives it: they are counted from 1. */
export interface PolicySet {
  readonly number: number;
  readonly policy: CompiledPolicy;
}

/** What the responder has to tell that no access is about. */
export type Notice =
  /** The kernel denied accesses for which it could give no descriptor. */
  | { readonly notice: 'kernelDenied'; readonly errno: number; readonly count: number }
  /** A decide module threw, or gave no decision. */
  | {
      readonly notice: 'decideFailed';
      readonly message: string;
      readonly stack: string | undefined;
      readonly count: number;
    }
  /** What is mounted has changed, and what of it is held. */
  | {
      readonly notice: 'coverage';
      readonly held: readonly FilesystemCoverage[];
      readonly notHeld: readonly FilesystemCoverage[];
    }
  /** A subtree is no more. */
  | { readonly notice: 'gone'; readonly subtree: GuardedSubtree }
  /** Decisions that are told no more, since the owner did not listen. */
  | { readonly notice: 'recordsLost'; readonly count: number }
  /** The scanner is at work, after it was not if `wasDown`. */
  | { readonly notice: 'scannerUp'; readonly clamd: ClamdIdentity; readonly wasDown: boolean }
  /** It is not, or could not scan something; so many accesses have got `onError` since that was last told. */
  | { readonly notice: 'scannerFailed'; readonly message: string; readonly count: number }
  /** Accesses that got `onTimeout`, and that the owner was not asked about. */
  | { readonly notice: 'timedOut'; readonly count: number; readonly pid: number; readonly path: string | null }
  /** Something went wrong in the responder that nobody else is told of. */
  | { readonly notice: 'trouble'; readonly message: string }
  /** A call of the decide module took too long: the responder gave everything its policy and ends. */
  | { readonly notice: 'stalled'; readonly ms: number };

/** Collects what a stream brings into frames. */
export class FrameReader {
  readonly #onFrame: (type: number, body: DataView) => void;
  #rest: Uint8Array | undefined;
  /** A frame that is longer than what has come of it, as far as it has. */
  #long: { readonly frame: Uint8Array; filled: number } | undefined;

  constructor(onFrame: (type: number, body: DataView) => void) {
    this.#onFrame = onFrame;
  }

  /** `chunk` may be written to again afterwards. */
  push(chunk: Uint8Array): void {
    if (this.#long) {
      const { frame, filled } = this.#long;
      const part = chunk.subarray(0, frame.byteLength - filled);
      frame.set(part, filled);
      this.#long.filled += part.byteLength;
      if (this.#long.filled < frame.byteLength) return;
      this.#long = undefined;
      this.#take(frame);
      if (part.byteLength < chunk.byteLength) this.push(chunk.subarray(part.byteLength));
      return;
    }
    this.#take(this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk);
  }

  #take(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (bytes.byteLength - at >= HEADER_BYTES) {
      const length = view.getUint32(at + 4, LE);
      if (length > MOST_BYTES) throw new RangeError(`a frame of ${length} bytes`);
      const end = at + HEADER_BYTES + length;
      if (end > bytes.byteLength) {
        if (length < LONG_BYTES) break;
        this.#rest = undefined;
        this.#long = { frame: new Uint8Array(HEADER_BYTES + length), filled: bytes.byteLength - at };
        this.#long.frame.set(bytes.subarray(at));
        return;
      }
      const type = view.getUint32(at, LE);
      this.#onFrame(type, new DataView(bytes.buffer, bytes.byteOffset + at + HEADER_BYTES, length));
      at = end;
    }
    this.#rest = at < bytes.byteLength ? Uint8Array.prototype.slice.call(bytes, at) : undefined;
  }
}

/** A frame whose body is JSON. */
export function jsonFrame(type: number, body: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(body ?? null));
  const frame = Buffer.alloc(HEADER_BYTES + json.byteLength);
  header(new DataView(frame.buffer, frame.byteOffset), 0, type, json.byteLength);
  frame.set(json, HEADER_BYTES);
  return frame;
}

/** What a frame of {@link jsonFrame} says. */
export function jsonBody(body: DataView): unknown {
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
}

/** Size of a frame that {@link writeAsk} writes, in bytes. */
export const ASK_FRAME_BYTES: number = HEADER_BYTES + ASK_BYTES;

export function writeAsk(view: DataView, at: number, { id, access, dueMs }: Asked): void {
  header(view, at, FRAME.ask, ASK_BYTES);
  const body = at + HEADER_BYTES;
  const { range } = access;
  view.setUint32(body, id, LE);
  view.setInt32(body + 4, access.fd, LE);
  view.setInt32(body + 8, access.pid, LE);
  view.setInt32(body + 12, access.kindNumber | (range ? HAS_RANGE : 0), LE);
  view.setFloat64(body + 16, dueMs, LE);
  view.setFloat64(body + 24, range?.offset ?? 0, LE);
  view.setFloat64(body + 32, range?.bytes ?? 0, LE);
  view.setUint32(body + 40, access.plan?.policyNumber ?? 0, LE);
  view.setInt32(body + 44, access.plan?.rule ?? 0, LE);
}

export function readAsk(body: DataView): Ask {
  const kind = body.getInt32(12, LE);
  const hasRange = (kind & HAS_RANGE) !== 0;
  return {
    id: body.getUint32(0, LE),
    fd: body.getInt32(4, LE),
    pid: body.getInt32(8, LE),
    kind: KINDS[kind & 0xff] ?? 'open',
    dueMs: body.getFloat64(16, LE),
    range: hasRange ? { offset: body.getFloat64(24, LE), bytes: body.getFloat64(32, LE) } : null,
    policy: body.getUint32(40, LE),
    rule: body.getInt32(44, LE),
  };
}

const ALLOWED = 1;
const AUDIT = 2;
const CACHE = 4;
const ALWAYS = 8;
const FAILED = 16;

/** @param failed Whether the decider failed, and its policy is to decide. */
export function answerFrame(id: number, ruling: Ruling, failed: boolean): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + ANSWER_BYTES);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  header(view, 0, FRAME.answer, ANSWER_BYTES);
  view.setUint32(HEADER_BYTES, id, LE);
  const flags =
    (ruling.allowed ? ALLOWED : 0) |
    (ruling.audit ? AUDIT : 0) |
    (ruling.cache ? CACHE : 0) |
    (ruling.always ? ALWAYS : 0) |
    (failed ? FAILED : 0);
  view.setUint16(HEADER_BYTES + 4, flags, LE);
  view.setUint16(HEADER_BYTES + 6, ruling.errno, LE);
  return frame;
}

export function readAnswer(body: DataView): { readonly id: number; readonly ruling: Ruling; readonly failed: boolean } {
  const flags = body.getUint16(4, LE);
  return {
    id: body.getUint32(0, LE),
    failed: (flags & FAILED) !== 0,
    ruling: {
      allowed: (flags & ALLOWED) !== 0,
      errno: body.getUint16(6, LE),
      audit: (flags & AUDIT) !== 0,
      cache: (flags & CACHE) !== 0,
      always: (flags & ALWAYS) !== 0,
    },
  };
}

function header(view: DataView, at: number, type: number, length: number): void {
  view.setUint32(at, type, LE);
  view.setUint32(at + 4, length, LE);
}
