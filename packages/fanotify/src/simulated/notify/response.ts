// write(2) to a group: struct fanotify_response, the answer to a permission event.

import {
  FAN_ALLOW,
  FAN_AUDIT,
  FAN_DENY,
  FAN_ENABLE_AUDIT,
  FAN_ERRNO_MASK,
  FAN_ERRNO_SHIFT,
  FAN_INFO,
  FAN_NOFD,
  FAN_RESPONSE_INFO_AUDIT_RULE,
} from '../../abi/constants.ts';
import { AUDIT_RULE, HOST_IS_LITTLE_ENDIAN as LE, RESPONSE } from '../../abi/layout.ts';
import { ERRNO } from '../../kernel/error.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { type Group, PRIORITY } from './group.ts';
import { deniedErrno, finish } from './permission.ts';

const VALID = FAN_ALLOW | FAN_DENY | FAN_AUDIT | FAN_INFO | (FAN_ERRNO_MASK << FAN_ERRNO_SHIFT);
const AUDIT_RULE_PAD = 1;
/** What open(2), read(2) and write(2) of a file fail with, in the eyes of process_access_response; 0 is EPERM. */
const ERRNOS = new Set<number>([
  0,
  ERRNO.EIO,
  ERRNO.EPERM,
  ERRNO.EBUSY,
  ERRNO.ETXTBSY,
  ERRNO.EAGAIN,
  ERRNO.ENOSPC,
  ERRNO.EDQUOT,
]);

/** fanotify_write. Returns how many bytes were taken: what follows an answer without FAN_INFO is not. */
export function respond(system: System, group: Group, bytes: Uint8Array): number {
  if (bytes.length < RESPONSE.size) refuse('EINVAL');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fd = view.getInt32(RESPONSE.fd, LE);
  const response = view.getUint32(RESPONSE.response, LE);

  if ((response & ~VALID) !== 0) refuse('EINVAL');
  const access = response & (FAN_ALLOW | FAN_DENY);
  const errno = deniedErrno(response);
  if (access === FAN_ALLOW) {
    if (errno !== 0) refuse('EINVAL');
  } else if (access === FAN_DENY) {
    if (errno !== 0 && group.priority !== PRIORITY.preContent) refuse('EINVAL');
    if (!ERRNOS.has(errno)) refuse('EINVAL');
  } else refuse('EINVAL');
  if ((response & FAN_AUDIT) !== 0 && (group.flags & FAN_ENABLE_AUDIT) === 0) refuse('EINVAL');

  const infoBytes = (response & FAN_INFO) === 0 ? 0 : checkAuditRule(view);
  // An audit rule for nothing: a program learns so whether the kernel has FAN_INFO.
  if (infoBytes > 0 && fd === FAN_NOFD) return RESPONSE.size + infoBytes;
  if (fd < 0) refuse('EINVAL');
  const place = group.asked.findIndex((event) => event.fd === fd);
  const [event] = place === -1 ? [] : group.asked.splice(place, 1);
  if (event === undefined) refuse('ENOENT');
  finish(system, event, response & ~FAN_INFO);
  return RESPONSE.size + infoBytes;
}

/** process_access_response_info: what is written down is of no interest to the one that is held. Returns its length. */
function checkAuditRule(view: DataView): number {
  if (view.byteLength - RESPONSE.size !== AUDIT_RULE.size) refuse('EINVAL');
  if (view.getUint8(RESPONSE.size + AUDIT_RULE.type) !== FAN_RESPONSE_INFO_AUDIT_RULE) refuse('EINVAL');
  if (view.getUint8(RESPONSE.size + AUDIT_RULE_PAD) !== 0) refuse('EINVAL');
  if (view.getUint16(RESPONSE.size + AUDIT_RULE.len, LE) !== AUDIT_RULE.size) refuse('EINVAL');
  return AUDIT_RULE.size;
}
