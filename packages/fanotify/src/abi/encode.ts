// Typed values to the kernel's bytes: events, as a simulated kernel writes them, and responses, as the real one reads them.

import {
  FAN_AUDIT,
  FAN_ERRNO_MASK,
  FAN_ERRNO_SHIFT,
  FAN_EVENT_INFO_TYPE_DFID,
  FAN_EVENT_INFO_TYPE_DFID_NAME,
  FAN_EVENT_INFO_TYPE_ERROR,
  FAN_EVENT_INFO_TYPE_FID,
  FAN_EVENT_INFO_TYPE_MNT,
  FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
  FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
  FAN_EVENT_INFO_TYPE_PIDFD,
  FAN_EVENT_INFO_TYPE_RANGE,
  FAN_INFO,
  FAN_RESPONSE_INFO_AUDIT_RULE,
  FANOTIFY_METADATA_VERSION,
} from './constants.ts';
import type { DecodedEvent, FidRecord, InfoRecord, NameRecord } from './decode.ts';
import { AbiError } from './error.ts';
import {
  AUDIT_RULE,
  ERROR_RECORD,
  EVENT,
  FID_RECORD,
  HOST_IS_LITTLE_ENDIAN as LE,
  MNT_RECORD,
  PIDFD_RECORD,
  RANGE_RECORD,
  RECORD,
  RESPONSE,
} from './layout.ts';

const INFO_TYPES = {
  FID: FAN_EVENT_INFO_TYPE_FID,
  DFID_NAME: FAN_EVENT_INFO_TYPE_DFID_NAME,
  DFID: FAN_EVENT_INFO_TYPE_DFID,
  PIDFD: FAN_EVENT_INFO_TYPE_PIDFD,
  ERROR: FAN_EVENT_INFO_TYPE_ERROR,
  RANGE: FAN_EVENT_INFO_TYPE_RANGE,
  MNT: FAN_EVENT_INFO_TYPE_MNT,
  OLD_DFID_NAME: FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
  NEW_DFID_NAME: FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
} as const satisfies Record<Exclude<InfoRecord['type'], 'UNKNOWN'>, number>;

const KNOWN_TYPES = new Set<number>(Object.values(INFO_TYPES));

/** An event to be written: a {@link DecodedEvent}, or the part of it that says something. */
export type EncodableEvent = Pick<DecodedEvent, 'mask' | 'fd' | 'pid' | 'records'> &
  Partial<Pick<DecodedEvent, 'extension'>>;

/**
 * The bytes of an event, as the kernel writes them (records padded to 4 bytes with NULs, names with a NUL at their end).
 * What `decodeEvents` makes of them is the same event again.
 *
 * @throws AbiError VALUE_RANGE for what no such bytes can say: a number that does not fit its field, a NUL in a name, a
 * record over 65,535 bytes, an UNKNOWN record of a type that is known.
 * @example
 * import { encodeEvent, FAN_MNT_ATTACH, FAN_NOFD } from 'fanotify/abi';
 * const bytes = encodeEvent({ mask: FAN_MNT_ATTACH, fd: FAN_NOFD, pid: 1, records: [{ type: 'MNT', mountId: 77n }] });
 * console.log(bytes.length); // 40
 */
export function encodeEvent(event: EncodableEvent): Buffer {
  const extension = event.extension ?? Buffer.alloc(0);
  const metadataLen = fit('metadata_len', EVENT.size + extension.length, 0, 0xffff);
  const records = event.records.map(encodeRecord);
  const eventLen = fit(
    'event_len',
    records.reduce((sum, { length }) => sum + length, metadataLen),
    0,
    0xffff_ffff,
  );

  const metadata = Buffer.alloc(EVENT.size);
  const view = viewOf(metadata);
  view.setUint32(EVENT.eventLen, eventLen, LE);
  view.setUint8(EVENT.vers, FANOTIFY_METADATA_VERSION);
  view.setUint16(EVENT.metadataLen, metadataLen, LE);
  view.setBigUint64(EVENT.mask, fit64('mask', event.mask), LE);
  view.setInt32(EVENT.fd, signed('fd', event.fd), LE);
  view.setInt32(EVENT.pid, signed('pid', event.pid), LE);
  return Buffer.concat([metadata, extension, ...records]);
}

/**
 * Which rule made a decision, for the audit record: `struct fanotify_response_info_audit_rule`. Since Linux 6.3.
 *
 * @example
 * import { encodeResponse, FAN_ALLOW } from 'fanotify/abi';
 * const auditRule = { ruleNumber: 12, subjectTrust: 1, objectTrust: 2 };
 * console.log(encodeResponse(7, FAN_ALLOW, { audit: true, auditRule }).length); // 24
 */
export interface AuditRule {
  /** Any number of 32 bits; it is only written down. */
  readonly ruleNumber: number;
  /** 0 no, 1 yes, 2 unknown. */
  readonly subjectTrust: number;
  /** 0 no, 1 yes, 2 unknown. */
  readonly objectTrust: number;
}

/** What a response may say beyond its verdict: fanotify(7), "Dealing with permission events". */
export interface ResponseOptions {
  /** Write an audit record (FAN_AUDIT). The group needs FAN_ENABLE_AUDIT. Since Linux 4.15. */
  readonly audit?: boolean;
  /** What a denied access fails with instead of EPERM. Needs FAN_CLASS_PRE_CONTENT. Since Linux 6.14. */
  readonly errno?: number;
  /** Goes into the audit record (FAN_INFO). Since Linux 6.3. */
  readonly auditRule?: AuditRule;
}

/**
 * The answer to a permission event, to be written to the group: `struct fanotify_response`, with `auditRule` followed by
 * its information record. What the kernel does not accept is not checked here; write(2) says it.
 *
 * @param fd The descriptor of the event that is answered.
 * @param response FAN_ALLOW or FAN_DENY.
 * @throws AbiError VALUE_RANGE for a number that does not fit its field.
 * @example
 * import { encodeResponse, FAN_DENY } from 'fanotify/abi';
 * console.log(encodeResponse(7, FAN_DENY).length, encodeResponse(7, FAN_DENY, { errno: 5 }).readUInt32LE(4).toString(16)); // 8 5000002
 */
export function encodeResponse(fd: number, response: number, options: ResponseOptions = {}): Buffer {
  const { audit = false, errno = 0, auditRule } = options;
  const bytes = Buffer.alloc(RESPONSE.size + (auditRule === undefined ? 0 : AUDIT_RULE.size));
  const view = viewOf(bytes);
  let word = unsigned('response', response) | (fit('errno', errno, 0, FAN_ERRNO_MASK) << FAN_ERRNO_SHIFT);
  if (audit) word |= FAN_AUDIT;
  if (auditRule !== undefined) word |= FAN_INFO;
  view.setInt32(RESPONSE.fd, signed('fd', fd), LE);
  view.setUint32(RESPONSE.response, word, LE);
  if (auditRule !== undefined) {
    view.setUint8(RESPONSE.size + AUDIT_RULE.type, FAN_RESPONSE_INFO_AUDIT_RULE);
    view.setUint16(RESPONSE.size + AUDIT_RULE.len, AUDIT_RULE.size, LE);
    view.setUint32(RESPONSE.size + AUDIT_RULE.ruleNumber, unsigned('ruleNumber', auditRule.ruleNumber), LE);
    view.setUint32(RESPONSE.size + AUDIT_RULE.subjectTrust, unsigned('subjectTrust', auditRule.subjectTrust), LE);
    view.setUint32(RESPONSE.size + AUDIT_RULE.objectTrust, unsigned('objectTrust', auditRule.objectTrust), LE);
  }
  return bytes;
}

function encodeRecord(record: InfoRecord): Buffer {
  switch (record.type) {
    case 'FID':
    case 'DFID':
      return encodeFid(record, 0);
    case 'DFID_NAME':
    case 'OLD_DFID_NAME':
    case 'NEW_DFID_NAME': {
      if (record.name.includes(0)) throw new AbiError('VALUE_RANGE', 'a name with a NUL in it');
      const bytes = encodeFid(record, record.name.length + 1);
      bytes.set(record.name, FID_RECORD.size + record.handle.bytes.length);
      return bytes;
    }
    case 'PIDFD': {
      const bytes = startRecord(INFO_TYPES.PIDFD, PIDFD_RECORD.size);
      viewOf(bytes).setInt32(PIDFD_RECORD.pidfd, signed('pidfd', record.pidfd), LE);
      return bytes;
    }
    case 'ERROR': {
      const bytes = startRecord(INFO_TYPES.ERROR, ERROR_RECORD.size);
      viewOf(bytes).setInt32(ERROR_RECORD.error, signed('error', record.error), LE);
      viewOf(bytes).setUint32(ERROR_RECORD.errorCount, unsigned('errorCount', record.errorCount), LE);
      return bytes;
    }
    case 'RANGE': {
      const bytes = startRecord(INFO_TYPES.RANGE, RANGE_RECORD.size);
      viewOf(bytes).setBigUint64(RANGE_RECORD.offset, fit64('offset', record.offset), LE);
      viewOf(bytes).setBigUint64(RANGE_RECORD.count, fit64('count', record.count), LE);
      return bytes;
    }
    case 'MNT': {
      const bytes = startRecord(INFO_TYPES.MNT, MNT_RECORD.size);
      viewOf(bytes).setBigUint64(MNT_RECORD.mntId, fit64('mountId', record.mountId), LE);
      return bytes;
    }
    case 'UNKNOWN': {
      const infoType = fit('infoType', record.infoType, 0, 0xff);
      if (KNOWN_TYPES.has(infoType)) throw new AbiError('VALUE_RANGE', `an UNKNOWN record of known type ${infoType}`);
      const bytes = startRecord(infoType, RECORD.size + record.bytes.length);
      bytes.set(record.bytes, RECORD.size);
      return bytes;
    }
  }
}

/** The record up to its handle, with `nameBytes` NULs after it, and padded. */
function encodeFid(record: FidRecord | NameRecord, nameBytes: number): Buffer {
  const { bytes: opaque, type } = record.handle;
  const bytes = startRecord(INFO_TYPES[record.type], (FID_RECORD.size + opaque.length + nameBytes + 3) & ~3);
  const view = viewOf(bytes);
  view.setInt32(FID_RECORD.fsid, signed('fsid', record.fsid[0]), LE);
  view.setInt32(FID_RECORD.fsid + 4, signed('fsid', record.fsid[1]), LE);
  view.setUint32(FID_RECORD.handleBytes, opaque.length, LE);
  view.setInt32(FID_RECORD.handleType, signed('handle.type', type), LE);
  bytes.set(opaque, FID_RECORD.opaque);
  return bytes;
}

function startRecord(infoType: number, length: number): Buffer {
  const bytes = Buffer.alloc(fit('the length of a record', length, 0, 0xffff));
  viewOf(bytes).setUint8(RECORD.infoType, infoType);
  viewOf(bytes).setUint16(RECORD.len, length, LE);
  return bytes;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function signed(what: string, value: number): number {
  return fit(what, value, -0x8000_0000, 0x7fff_ffff);
}

function unsigned(what: string, value: number): number {
  return fit(what, value, 0, 0xffff_ffff);
}

function fit(what: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new AbiError('VALUE_RANGE', `${what} is ${value}: not a whole number from ${min} to ${max}`);
}

function fit64(what: string, value: bigint): bigint {
  if (BigInt.asUintN(64, value) === value) return value;
  throw new AbiError('VALUE_RANGE', `${what} is ${value}: not a number of 64 bits`);
}
