// Where events come from, whoever reads the kernel: a local group, a group through the daemon. watch and guard take one of these.

import type { GroupEvent, GroupMode } from './events.ts';
import type { MarkOptions, MarkScope } from './options.ts';

/** What to mark: a path, its bytes, or a descriptor of the object. */
export type MarkTarget = string | Uint8Array | { readonly fd: number };

/** Which marks to change, and which of their events; all of them when `events` is left out. */
export interface UnmarkOptions {
  readonly scope?: MarkScope;
  readonly events?: MarkOptions['events'];
  /** Take events out of the ignore mask instead of the mark mask. */
  readonly ignore?: boolean;
  readonly noFollow?: boolean;
}

/** What became of the events that were read. */
export interface GroupCounters {
  /** Events handed to the caller: the last sequence number. */
  readonly delivered: number;
  /** How often the kernel's queue was full. */
  readonly overflows: number;
  /** Events of this process itself, left out with `ownEvents: false`. */
  readonly own: number;
  /** Events that were read and not asked for before the group was closed. */
  readonly discarded: number;
}

/** A group, wherever it lives. */
export interface GroupSource<Mode extends GroupMode = GroupMode> extends AsyncIterable<GroupEvent<Mode>> {
  readonly mode: Mode;
  readonly counters: GroupCounters;
  mark(target: MarkTarget, options: MarkOptions<Mode>): Promise<void>;
  unmark(target: MarkTarget, options?: UnmarkOptions): Promise<void>;
  flush(scope: MarkScope): Promise<void>;
  batches(): AsyncIterableIterator<readonly GroupEvent<Mode>[]>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
