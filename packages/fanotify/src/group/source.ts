// Where events come from, whoever reads the kernel: a local group, a group through the daemon. watch and guard take one of these.

import type { GroupEvent, GroupMode } from './events.ts';
import type { MarkOptions, MarkScope } from './options.ts';

/**
 * What to mark: a path (encoded as UTF-8), its bytes, or a descriptor of the object. A relative path starts at the
 * working directory.
 *
 * @example
 * import { open } from 'node:fs/promises';
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * await group.mark(Buffer.from('/tmp'), { events: ['create'] });
 * const directory = await open('/tmp');
 * await group.mark({ fd: directory.fd }, { events: ['delete'] });
 * await directory.close();
 * console.log(group.marks().length); // 1
 * await group.close();
 */
export type MarkTarget = string | Uint8Array | { readonly fd: number };

/**
 * Which marks to change, and which of their events: what {@link Group.unmark} takes.
 *
 * @example
 * import { Group } from 'fanotify';
 * const group = await Group.open();
 * await group.mark('/tmp', { events: ['open', 'create'] });
 * await group.unmark('/tmp', { scope: 'inode', events: ['open'] });
 * await group.close();
 */
export interface UnmarkOptions {
  /** Default `inode`. */
  readonly scope?: MarkScope | undefined;
  /** The events to take out. Left out: all of them, and the mark goes. */
  readonly events?: MarkOptions['events'] | undefined;
  /** Take events out of the ignore mask instead of the mark mask. */
  readonly ignore?: boolean | undefined;
  /** Means a symbolic link rather than what it leads to. Default: follow. */
  readonly noFollow?: boolean | undefined;
}

/** What became of the events that were read, counted since the group was opened. */
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

/**
 * A group, wherever it lives: what to ask for in a function that takes one. {@link Group} is one in this process.
 *
 * @example
 * import { Group } from 'fanotify';
 * // @param {import('fanotify').GroupSource} source
 * async function first(source) {
 *   for await (const event of source) return event;
 * }
 * const group = await Group.open();
 * await group.close();
 * console.log(await first(group)); // undefined
 */
export interface GroupSource<Mode extends GroupMode = 'handle'> extends AsyncIterable<GroupEvent<Mode>> {
  /** As {@link Group.mode}. */
  readonly mode: Mode;
  /** As {@link Group.counters}. */
  readonly counters: GroupCounters;
  /** As {@link Group.mark}. */
  mark(target: MarkTarget, options: MarkOptions<Mode>): Promise<void>;
  /** As {@link Group.unmark}. */
  unmark(target: MarkTarget, options?: UnmarkOptions): Promise<void>;
  /** As {@link Group.flush}. */
  flush(scope: MarkScope): Promise<void>;
  /** As {@link Group.batches}. */
  batches(): AsyncIterableIterator<readonly GroupEvent<Mode>[]>;
  /** As {@link Group.close}. */
  close(): Promise<void>;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}
