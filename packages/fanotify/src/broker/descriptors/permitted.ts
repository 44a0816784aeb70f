// What a client may bind and mark: refused with a sentence that says what would have to be granted.

import { FAN_CLASS_CONTENT, FAN_CLASS_PRE_CONTENT, O_CLOEXEC, O_LARGEFILE, O_NONBLOCK } from '../../abi/index.ts';
import { PERMISSION_BITS } from '../../core/bits.ts';
import { CallError } from '../../core/errors.ts';
import type { CoreGroup } from '../../core/group.ts';
import { Filesystem, type Marked, Subtree } from '../../core/marks.ts';
import type { GroupSettings, MarkScope } from '../../core/types.ts';
import { type Grant, grantEverywhere, type Rights } from '../rights.ts';

const ACCESS_MODE = 3;
/** What a descriptor that was opened as its client may be opened with. */
const HARMLESS = ACCESS_MODE | O_CLOEXEC | O_LARGEFILE | O_NONBLOCK;
export const PERMISSION: bigint = BigInt(PERMISSION_BITS);

/** @throws CallError EPERM, EINVAL. */
export function assertMayBind(rights: Rights, { mask, flags, eventFlags }: GroupSettings): void {
  const asks = (flags & (FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT)) !== 0 || (mask & PERMISSION) !== 0n;
  if (asks && !mayDecide(rights)) throw new CallError('EPERM', refusal(rights, 'decide', 'to hold accesses'));
  const isTrusted = rights.grants.some(({ all }) => all);
  if (!isTrusted && (eventFlags & ~HARMLESS) !== 0) {
    throw new CallError(
      'EINVAL',
      `event flags 0x${(eventFlags & ~HARMLESS).toString(16)}: without a grant of "all" they are O_RDONLY, O_WRONLY or O_RDWR with O_CLOEXEC, O_LARGEFILE and O_NONBLOCK`,
    );
  }
  if (mask === 0n) return;
  const grant = grantEverywhere(rights);
  if (!grant.system || !grant.all) {
    throw new CallError('EPERM', refusal(rights, 'system" and "all', 'a listener to the whole system'));
  }
  if ((mask & PERMISSION) !== 0n && !grant.decide) {
    throw new CallError('EPERM', refusal(rights, 'decide', 'to hold accesses everywhere'));
  }
}

export function mayDecide({ grants }: Rights): boolean {
  return grants.some(({ decide }) => decide);
}

/** The scope of what is marked. */
export function scopeOf(marked: Marked<CoreGroup>): MarkScope {
  if (marked instanceof Subtree) return 'subtree';
  return marked instanceof Filesystem ? 'filesystem' : 'inode';
}

export interface WantedMark {
  readonly scope: MarkScope;
  readonly mask: bigint;
  readonly eventFlags: number;
}

/**
 * What is wrong with a mark; undefined when it may be.
 *
 * @param canRead Whether its client can read what it is of.
 */
export function problemOfMark(
  rights: Rights,
  grant: Grant,
  { scope, mask, eventFlags }: WantedMark,
  canRead: boolean,
): CallError | undefined {
  if (scope === 'filesystem' && !grant.system) {
    return new CallError('EPERM', refusal(rights, 'system', 'a mark of a whole file system'));
  }
  if ((mask & PERMISSION) !== 0n) {
    if (!grant.decide) return new CallError('EPERM', refusal(rights, 'decide', 'to hold accesses there'));
    if ((eventFlags & ACCESS_MODE) !== 0) {
      return new CallError('EINVAL', 'what is held is to be open for reading: open the group with O_RDONLY');
    }
  }
  if (!grant.all && !canRead) {
    return new CallError(
      'EACCES',
      `user ${rights.peer.uid} cannot read it: a mark is of what its owner can read, unless "all" is granted`,
    );
  }
  return undefined;
}

function refusal({ peer }: Rights, word: string, what: string): string {
  return `${what} takes a grant of "${word}" for user ${peer.uid} in the daemon's configuration`;
}
