// What is said between a broker and a visitor: messages of a SOCK_SEQPACKET pair, descriptors beside them. Numbers are little-endian,
// in words of 32 bits.

import type { Identity } from '../kernel/index.ts';

/** What a visitor is asked for. */
export const VISIT = { receive: 1, walk: 2, visit: 3, letGo: 4 } as const;

/** Whether it may be asked twice. Its descriptors are duplicates then. */
export function isRepeatable(type: number): boolean {
  return type === VISIT.walk || type === VISIT.visit;
}

/** The biggest message that the kernel lets through at its default (net.core.wmem_default), and more. */
export const MOST_VISIT_BYTES = 1 << 18;
/** How many words come first. */
const REQUEST_WORDS = 10;
const ANSWER_WORDS = 7;
const WORD = 4;
const HEARD_AT = 9;

/** Its descriptors: of receive and letGo the connection, of walk the root, of visit the root and the event's. */
export interface VisitRequest {
  readonly type: number;
  readonly number: number;
  readonly identity: Identity;
  /** The user whose limits are the identity's. */
  readonly user: number;
  /** How many answers of this visitor had been heard as it was sent. */
  readonly heard: number;
  /** Of visit: open flags. */
  readonly flags: number;
  /** Of walk. */
  readonly path: Buffer;
  readonly handle: Buffer;
}

/** By default the user is the identity's own, and nothing was heard. */
export function encodeVisit(request: Omit<VisitRequest, 'user' | 'heard'> & Partial<VisitRequest>): Buffer {
  const { type, number, identity, flags, path, handle, user = identity.uid, heard = 0 } = request;
  const { uid, gid, groups } = identity;
  const start = (REQUEST_WORDS + groups.length) * WORD;
  const bytes = Buffer.alloc(start + path.length + handle.length);
  const words = [type, number, uid, gid, flags, groups.length, path.length, handle.length, user, heard, ...groups];
  for (const [at, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, at * WORD);
  path.copy(bytes, start);
  handle.copy(bytes, start + path.length);
  return bytes;
}

/** Says in a request how many answers were heard. */
export function writeHeard(request: Buffer, heard: number): void {
  request.writeUInt32LE(heard >>> 0, HEARD_AT * WORD);
}

/** Undefined for what is no request. Path and handle are views of the message. */
export function decodeVisit(bytes: Buffer): VisitRequest | undefined {
  if (bytes.length < REQUEST_WORDS * WORD) return undefined;
  const word = (at: number) => bytes.readUInt32LE(at * WORD);
  const [groupCount, pathBytes, handleBytes] = [word(5), word(6), word(7)];
  const start = (REQUEST_WORDS + groupCount) * WORD;
  if (start + pathBytes + handleBytes !== bytes.length) return undefined;
  const groups = Array.from({ length: groupCount }, (_, at) => word(REQUEST_WORDS + at));
  return {
    type: word(0),
    number: word(1),
    identity: { uid: word(2), gid: word(3), groups },
    user: word(8),
    heard: word(HEARD_AT),
    flags: word(4),
    path: bytes.subarray(start, start + pathBytes),
    handle: bytes.subarray(start + pathBytes),
  };
}

/** What a visitor says. */
export const SAID = {
  /** Of the visitor itself, when it has started: `first` is its pid. */
  hello: 0,
  /** The user does not reach it, or it is not there. */
  unreached: 1,
  /** The user reaches it; `first` is what it may do there. */
  reached: 2,
  /** It was opened; the descriptor comes along. */
  opened: 3,
  /** The user reaches it and may not open it. */
  refused: 4,
  /** `first` says whether the user may read it, `second` is f_type; the problem and the request's bytes follow. */
  received: 5,
  letGo: 6,
  /** It could not find out: for want of descriptors or memory. */
  failed: 7,
  /** It was not begun: its user has just taken more than his time, which was not known when it was sent. Not of letGo. */
  later: 8,
} as const;

/** Bits of `first` in {@link SAID.reached}. */
export const MAY_SEARCH = 1;
export const MAY_READ = 2;

export interface VisitAnswer {
  readonly kind: number;
  /** That of the request. */
  readonly number: number;
  readonly first: number;
  readonly second: number;
  readonly problem: string;
  readonly bytes: Buffer;
  /** How long it took. */
  readonly tookMs: number;
  /** The visitor ends after it, with what it has been given and may not close. What it was asked for after that it has not begun. */
  readonly isLast: boolean;
}

const NOTHING = Buffer.alloc(0);

export function encodeAnswer(kind: number, number: number, parts: Partial<VisitAnswer> = {}): Buffer {
  const { first = 0, second = 0, problem = '', bytes = NOTHING, isLast = false, tookMs = 0 } = parts;
  const text = Buffer.from(problem);
  const message = Buffer.alloc(ANSWER_WORDS * WORD + text.length + bytes.length);
  const words = [kind, number, first, second, isLast ? 1 : 0, text.length, tookMs];
  for (const [at, word] of words.entries()) message.writeUInt32LE(word >>> 0, at * WORD);
  text.copy(message, ANSWER_WORDS * WORD);
  bytes.copy(message, ANSWER_WORDS * WORD + text.length);
  return message;
}

/** Undefined for what is no answer. Its bytes are its own. */
export function decodeAnswer(message: Buffer): VisitAnswer | undefined {
  if (message.length < ANSWER_WORDS * WORD) return undefined;
  const word = (at: number) => message.readUInt32LE(at * WORD);
  const start = ANSWER_WORDS * WORD;
  const textEnd = start + word(5);
  if (textEnd > message.length) return undefined;
  return {
    kind: word(0),
    number: word(1),
    first: word(2),
    second: word(3),
    problem: message.toString('utf8', start, textEnd),
    bytes: Buffer.from(message.subarray(textEnd)),
    isLast: word(4) !== 0,
    tookMs: word(6),
  };
}
