// What is told of a decision: one JSON object a line in a log. It has what rules may read, so that other rules can be tried on it.

import type { PolicyAction } from './policy/compiled.ts';
import type { Place } from './policy/subject.ts';
import type { PermissionEventName, Verdict } from './verdict.ts';

/** A path as it is written down: `path` is null when it is not known or no UTF-8; `raw` is then its bytes in base64. */
export interface RecordedPlace {
  readonly state: Place['state'];
  readonly path: string | null;
  readonly raw?: string;
}

/** Who decided. */
export type DecidedBy =
  | 'rule'
  /** No rule matched. */
  | 'default'
  | 'scan'
  /** Whoever was asked. */
  | 'ask'
  /** Of an access that was like this one, to a file that has not changed. */
  | 'cache'
  /** The failure policy: nobody did in time. */
  | 'timeout'
  /** The failure policy: whoever should could not. */
  | 'error';

/** One decision. What was not looked at is left out. */
export interface DecisionRecord {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** What the access got: with a dry run always allow. */
  readonly verdict: Verdict;
  /** Of a dry run: what it would have got. */
  readonly wouldBe?: Verdict;
  readonly by: DecidedBy;
  /** sha256 of the policy; left out where there is none. */
  readonly policy?: string;
  readonly rule?: { readonly name: string; readonly line: number };
  readonly action?: PolicyAction;
  readonly message?: string;
  /** What was found in it. */
  readonly signature?: string;
  /** Why a scan, or whoever should decide, could not. */
  readonly failure?: string;
  readonly errno?: string;
  readonly kind: PermissionEventName;
  readonly file: RecordedPlace & {
    readonly owner?: number;
    readonly group?: number;
    /** st_mode. */
    readonly mode?: number;
    readonly sizeBytes?: number;
    readonly sha256?: string | null;
  };
  readonly pid: number;
  readonly comm?: string | null;
  readonly exe?: RecordedPlace;
  readonly uid?: number;
  readonly gids?: readonly number[];
  readonly ancestors?: readonly RecordedPlace[];
  readonly container?: { readonly id: string; readonly runtime: string } | null;
  /** From when it was read from the kernel until its answer. */
  readonly heldUs: number;
}
