// What the daemon's main process has to know of the protocol: which broker a connection is for, by its first request, and how to refuse it.

import { FAN_REPORT_DIR_FID, FAN_REPORT_FID, FAN_REPORT_NAME } from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import { answerEvent } from '../core/process/event-wire.ts';
import { PROTOCOL_VERSION, REQUEST, REQUEST_BYTES, RequestReader, requestNumber } from '../core/process/wire.ts';
import { ERRNO } from '../kernel/index.ts';

/** Which of a daemon's brokers: the one whose events carry descriptors and may hold accesses, or the one whose events carry names. */
export type BrokerKind = 'descriptors' | 'names';

/** Why a client is refused, as its answer says it. */
export interface Refusal {
  /** Of the request that it answers. */
  readonly number: number;
  readonly errno: number;
  readonly reason: string;
}

/** Bytes of a first request; what is longer is none. */
export const FIRST_REQUEST_BYTES: number = REQUEST_BYTES;

const NAMES = FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME;

/**
 * Which broker a connection is for.
 *
 * @param bytes The first request, as far as it was read.
 * @param length How many bytes it has: no request is longer than {@link FIRST_REQUEST_BYTES}.
 * @example
 * import { readFirstRequest } from 'fanotify/broker';
 * console.log(readFirstRequest(Buffer.from('GET / HTTP/1.1'), 14).errno); // 22
 */
export function readFirstRequest(bytes: Uint8Array, length: number): BrokerKind | Refusal {
  const number = requestNumber(bytes) ?? 0;
  if (length !== REQUEST_BYTES || bytes.byteLength < length) {
    return { number, errno: ERRNO.EINVAL, reason: `a first request of ${length} bytes: it has ${REQUEST_BYTES}` };
  }
  try {
    const request = new RequestReader(bytes.subarray(0, length));
    if (request.type !== REQUEST.bind) {
      return { number, errno: ERRNO.EINVAL, reason: `a first request of type ${request.type}: it is bind` };
    }
    if (request.version !== PROTOCOL_VERSION) {
      const reason = `protocol version ${request.version}: this daemon speaks ${PROTOCOL_VERSION}`;
      return { number, errno: ERRNO.EPROTONOSUPPORT, reason };
    }
    return (request.settings.flags & NAMES) !== 0 ? 'names' : 'descriptors';
  } catch (error) {
    if (error instanceof CallError) return { number, errno: error.errno, reason: error.reason };
    throw error;
  }
}

/**
 * The message that refuses a request: an event without bits that has one record, the answer.
 *
 * @example
 * import { refusalMessage } from 'fanotify/broker';
 * console.log(refusalMessage({ number: 1, errno: 24, reason: 'too many' }).length); // 44
 */
export function refusalMessage({ number, errno, reason }: Refusal): Buffer {
  return answerEvent(number, errno, reason);
}
