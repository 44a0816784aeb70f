// Permission events by name, bit and number, and verdicts as the kernel takes them.

import {
  FAN_ACCESS_PERM,
  FAN_ALLOW,
  FAN_AUDIT,
  FAN_DENY,
  FAN_DENY_ERRNO,
  FAN_OPEN_EXEC_PERM,
  FAN_OPEN_PERM,
  FAN_PRE_ACCESS,
} from '../abi/index.ts';
import { ERRNO } from '../kernel/index.ts';
import type { DecidedBy } from './record.ts';
import type { DenyErrno, PermissionEventName, Verdict } from './verdict.ts';

/** The bit of each permission event. */
export const PERMISSION_BITS: Readonly<Record<PermissionEventName, bigint>> = {
  open: FAN_OPEN_PERM,
  openExec: FAN_OPEN_EXEC_PERM,
  access: FAN_ACCESS_PERM,
  preAccess: FAN_PRE_ACCESS,
};

/** The errors that the kernel takes in a denial. */
export const DENY_ERRNOS: readonly DenyErrno[] = ['EPERM', 'EIO', 'EBUSY', 'ETXTBSY', 'EAGAIN', 'ENOSPC', 'EDQUOT'];

/** Kinds by number, as they go over the wire. */
export const KINDS: readonly PermissionEventName[] = ['open', 'openExec', 'access', 'preAccess'];

const LOW_BITS = KINDS.map((kind) => Number(PERMISSION_BITS[kind]));

/** The number of the permission event in a mask's low word; -1 when there is none. */
export function kindNumber(maskLow: number): number {
  for (let kind = 0; kind < LOW_BITS.length; kind++) if ((maskLow & (LOW_BITS[kind] ?? 0)) !== 0) return kind;
  return -1;
}

/** A decision as numbers: what deciders, the table and the wire pass on. Shared values for the common ones. */
export interface Ruling {
  readonly allowed: boolean;
  /** 0 for EPERM. */
  readonly errno: number;
  readonly audit: boolean;
  /** Of a kind with the content: may be given again while that is unchanged. */
  readonly cache: boolean;
  /** Of a kind with nothing: never ask again. */
  readonly always: boolean;
  /** Who decided, where that is not whoever was asked. */
  readonly by?: DecidedBy;
  /** Of a verdict that is kept: the rule that it is of, -1 for the policy's default. */
  readonly rule?: number;
  /** What a scan has found. */
  readonly signature?: string;
  /** Why who should decide could not. */
  readonly failure?: string;
}

export const ALLOW: Ruling = { allowed: true, errno: 0, audit: false, cache: false, always: false };
export const DENY: Ruling = { allowed: false, errno: 0, audit: false, cache: false, always: false };
/** What a verdict alone stands for. */
export const RULINGS: Readonly<Record<Verdict, Ruling>> = { allow: ALLOW, deny: DENY };
const ALLOW_CACHED: Ruling = { ...ALLOW, cache: true };
const DENY_CACHED: Ruling = { ...DENY, cache: true };

/** What a group can answer. */
export interface Abilities {
  readonly audit: boolean;
  /** An errno of its own in a denial: `asEperm` before Linux 6.14, where a denial is EPERM whatever was asked for. */
  readonly errno: 'none' | 'asEperm' | 'any';
}

/**
 * What somebody's code has answered, as a ruling.
 *
 * @returns A sentence that says what is wrong with it, if something is.
 */
export function rulingOf(decision: unknown, kind: PermissionEventName, abilities: Abilities): Ruling | string {
  if (decision === 'allow') return ALLOW;
  if (decision === 'deny') return DENY;
  if (typeof decision !== 'object' || decision === null) {
    return `${shown(decision)} is no decision: say 'allow', 'deny', or { verdict: … }`;
  }
  const { verdict, audit = false, cache = false, errno, ...rest } = decision as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (verdict !== 'allow' && verdict !== 'deny') return `verdict: ${shown(verdict)} is neither 'allow' nor 'deny'`;
  if (unknown !== undefined) return `a decision has no ${shown(unknown)}: it has verdict, audit, cache and errno`;
  if (typeof audit !== 'boolean') return `audit: ${shown(audit)} is neither true nor false`;
  if (audit && !abilities.audit) return 'audit: the guard must be opened with audit: true';
  if (cache === 'always') {
    if (kind !== 'preAccess' || verdict !== 'allow')
      return "cache: 'always' goes with allowed 'preAccess' events alone";
    return { allowed: true, errno: 0, audit, cache: false, always: true };
  }
  if (typeof cache !== 'boolean') return `cache: ${shown(cache)} is none of true, false, 'always'`;
  if (verdict === 'allow') {
    if (errno !== undefined) return 'errno goes with a denial';
    return audit ? { allowed: true, errno: 0, audit, cache, always: false } : cache ? ALLOW_CACHED : ALLOW;
  }
  if (errno === undefined || errno === 'EPERM') {
    return audit ? { allowed: false, errno: 0, audit, cache, always: false } : cache ? DENY_CACHED : DENY;
  }
  if (!DENY_ERRNOS.includes(errno as DenyErrno)) {
    return `errno: ${shown(errno)} cannot be answered: use one of ${DENY_ERRNOS.join(', ')}`;
  }
  if (abilities.errno === 'none') return "errno: only guards of class 'preContent' deny with another error than EPERM";
  // What is meant to be denied is denied on every kernel.
  const told = abilities.errno === 'any' ? ERRNO[errno as DenyErrno] : 0;
  return { allowed: false, errno: told, audit, cache, always: false };
}

/** The word of a response: FAN_ALLOW, FAN_DENY and their flags. */
export function responseOf({ allowed, errno, audit }: Ruling): number {
  const response = allowed ? FAN_ALLOW : errno === 0 ? FAN_DENY : FAN_DENY_ERRNO(errno);
  return audit ? (response | FAN_AUDIT) >>> 0 : response;
}

function shown(value: unknown): string {
  try {
    return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value).slice(0, 100);
  } catch {
    return `an ${typeof value} that cannot be shown`;
  }
}
