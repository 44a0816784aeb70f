// Whose groups a host serves: the one owner of a private core, or all the clients of a daemon. It knows where their connections come from,
// and how they are told.

import type { PollEntry } from '../../kernel/index.ts';
import type { CoreGroup } from '../group.ts';

/** Nothing here waits. */
export interface Clientele {
  /** Whether everything is to end, as the last poll(2) says: nobody is asked any more. */
  readonly isOver: boolean;
  /** Whether nobody hears what a process does, or is asked about it. */
  isOwn(pid: number): boolean;
  /** Adds what is waited for; returns when {@link hear} is to be called at the latest. */
  prepare(polled: PollEntry[], nowMs: number): number;
  /** Hears what groups are asked for; false when everything is to end. */
  hear(nowMs: number): boolean;
  /** Something waits to be told to a group. */
  wake(group: CoreGroup): void;
  /** Tells groups what waits for them, as far as they have room for it. After everything that somebody waits for. */
  tell(nowMs: number): void;
  /** Closes everything. */
  close(): void;
}
