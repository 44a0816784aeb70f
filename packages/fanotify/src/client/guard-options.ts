// What a guard through the daemon can be asked for: what guards of the library take, as far as a listener does it.

import type { Decide, GuardOptions } from '../decision/options.ts';
import type { PermissionEventName } from '../decision/verdict.ts';
import { InvalidOptionsError } from '../group/errors.ts';
import { assertKnown } from '../group/flags.ts';

/** What {@link Daemon.guard} is asked for: as {@link GuardOptions}, and `priority`. */
export interface DaemonGuardOptions
  extends Pick<GuardOptions, 'on' | 'deadlineMs' | 'onTimeout' | 'onError' | 'directories' | 'signal'> {
  /** Decides: as of {@link GuardOptions}; a function of this process. Verdicts are not kept, whatever `cache` says. */
  readonly decide: Decide;
  /** From 0 to 4,294,967,295: the higher is asked first, equal ones in order of creation. Default 0. */
  readonly priority?: number | undefined;
  /** What is guarded: a file or the entries of a directory, its file system, or a directory with all that is below. Default `subtree` of a directory, `inode` of a file. */
  readonly scope?: 'inode' | 'filesystem' | 'subtree' | undefined;
  /** `preContent` is asked before all others. Default `preContent` with `on: ['preAccess']`, else `content`. */
  readonly class?: 'content' | 'preContent' | undefined;
}

const OPTIONS: readonly (keyof DaemonGuardOptions)[] = [
  'on',
  'deadlineMs',
  'onTimeout',
  'onError',
  'priority',
  'decide',
  'scope',
  'directories',
  'class',
  'signal',
];
const KINDS: readonly PermissionEventName[] = ['open', 'openExec', 'access', 'preAccess'];

/** @throws InvalidOptionsError; the rest is looked at by the listener. */
export function checkDaemonGuard(options: DaemonGuardOptions): void {
  assertKnown('guard()', options, OPTIONS);
  const { decide, on, onError } = options;
  if (typeof decide !== 'function') {
    throw new InvalidOptionsError('decide: a guard through the daemon is decided by a function of this process');
  }
  if (on !== undefined && (!Array.isArray(on) || on.length === 0)) {
    throw new InvalidOptionsError("on: name the accesses to hold, as in ['open']");
  }
  const unknown = on?.find((kind) => !KINDS.includes(kind));
  if (unknown !== undefined) {
    throw new InvalidOptionsError(`on: ${JSON.stringify(unknown)} is none of ${KINDS.join(', ')}`);
  }
  if (onError !== undefined && onError !== 'allow' && onError !== 'deny') {
    throw new InvalidOptionsError(`onError: ${JSON.stringify(onError)} is neither 'allow' nor 'deny'`);
  }
}
