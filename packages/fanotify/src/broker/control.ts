// What is said between the daemon's main process and its brokers: JSON in messages of a SOCK_SEQPACKET pair, descriptors beside it.

import type { ClientLimits, Rights } from './rights.ts';

/** To a broker. */
export type Order =
  /** Takes a client in; its connection comes along, with its first request (bind) still unread. */
  | { readonly do: 'admit'; readonly id: number; readonly rights: Rights }
  /** The configuration was read again. A mark that would not be granted any more goes; the group hears an overflow. */
  | { readonly do: 'rights'; readonly id: number; readonly rights: Rights }
  | { readonly do: 'end'; readonly id: number }
  /** Asks for a page of the status: groups with a number above `after`. */
  | { readonly do: 'status'; readonly number: number; readonly after: number }
  | { readonly do: 'ping'; readonly number: number }
  /** Which processes are the daemon's own, beside the main process, this one and its visitors: nobody hears what they do, or is asked. */
  | { readonly do: 'processes'; readonly pids: readonly number[] }
  /** A visitor to ask; the connection to it comes along. */
  | { readonly do: 'visitor' };

/** From a broker. */
export type News =
  | { readonly is: 'ready' }
  /** It cannot begin. */
  | { readonly is: 'failed'; readonly errno: number; readonly reason: string }
  /** A client has gone, or was made to: `why` is for the log, empty where it closed its connection. */
  | { readonly is: 'ended'; readonly id: number; readonly why: string }
  /** Something for the log. */
  | { readonly is: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly id: number | null; readonly text: string }
  | ({ readonly is: 'status'; readonly number: number } & StatusPage)
  | { readonly is: 'pong'; readonly number: number }
  /** A visitor does not answer in time, or has ended: it is to be killed, and another given. `pid` is null before it has said its own. */
  | { readonly is: 'visitorStuck'; readonly pid: number | null };

/** A part of a broker's status. */
export interface StatusPage {
  readonly groups: readonly GroupStatus[];
  /** Whether there are groups beyond the last. */
  readonly more: boolean;
  readonly totals: BrokerTotals;
}

/** What a broker has done so far, and has open. */
export interface BrokerTotals {
  /** Events read from the kernel. */
  readonly read: number;
  /** How often the kernel's own queue was full. */
  readonly kernelOverflows: number;
  /** Marks in the kernel. */
  readonly kernelMarks: number;
  /** Accesses answered, and those that got a policy, since nobody answered in time. */
  readonly answered: number;
  readonly timedOut: number;
  /** How long accesses were held until they were answered: counts by upper bound in seconds, the last one without. */
  readonly heldSeconds: {
    readonly bounds: readonly number[];
    readonly counts: readonly number[];
    readonly sum: number;
  };
  /** Events whose place nobody could tell any more, which were therefore told nobody. */
  readonly unplaced: number;
  /** Checks made as a user, and those that took too long. */
  readonly visits: number;
  readonly visitsStuck: number;
}

/** A group, and its client. Pages are in the order of their numbers. */
export interface GroupStatus {
  readonly id: number;
  readonly kind: 'descriptors' | 'names';
  readonly uid: number;
  readonly pid: number;
  readonly priority: number;
  readonly marks: number;
  readonly queued: number;
  readonly queuedBytes: number;
  readonly delivered: number;
  readonly lost: number;
  readonly overflows: number;
  /** Accesses that wait for its response, and since when the oldest does, in milliseconds. */
  readonly pending: number;
  readonly oldestMs: number;
  readonly allowed: number;
  readonly denied: number;
  readonly timedOut: number;
  /** Requests that were refused. */
  readonly refused: number;
  readonly limits: ClientLimits;
}
