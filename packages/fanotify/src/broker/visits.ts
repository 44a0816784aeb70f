// What is asked of a visitor: a process that goes where a user can go, as that user. Whoever makes it wait, as with a FUSE mount of
// his own, makes nobody else wait: it has a time limit, is killed then, and another takes its place.

import type { ClientPeer } from './rights.ts';

/** What a user may do with a directory that it reaches; undefined: it does not, or it is not there any more. */
export type Access = { readonly canSearch: boolean; readonly canRead: boolean } | undefined;

/** A request with a descriptor, received by a visitor in place of the broker: what is not O_PATH could make whoever closes it wait. */
export interface Received {
  /** The request's bytes. Empty at the end of the connection, and where the message is longer than a request. */
  readonly bytes: Buffer;
  /** O_PATH, and for the broker to close; undefined where none came, or one that was refused. */
  readonly target: number | undefined;
  /** What is wrong with the descriptor, or undefined: a sentence. */
  readonly problem: string | undefined;
  /** What it is open on, as the visitor has found out in the user's place: whether it can be read by that user. */
  readonly canRead: boolean;
  /** f_type of statfs(2). */
  readonly filesystemType: number;
}

/** What was asked is answered once; 'stuck' when it took too long, or nobody could be asked. */
export type Then<T> = (answer: T | 'stuck') => void;

/**
 * Those who are asked. Nothing here waits, and nobody is answered but in {@link Visits.hear}, which may be in another order than they
 * were asked in. Descriptors may be closed as soon as a call has returned, but for the connection that is received from.
 */
export interface Visits {
  /** For poll(2): readable when {@link hear} has something to do. */
  readonly fds: readonly number[];
  /** When to call {@link hear} at the latest, as nowMs() counts; Infinity when nothing is due. */
  readonly dueMs: number;
  readonly asked: number;
  readonly stuck: number;
  /** How many wait for an answer. */
  readonly waiting: number;
  /** Until when nothing is asked for a user ({@link countedUid}), as nowMs() counts: whatever is, is 'stuck'. What is over says nothing. */
  outUntilMs(user: number): number;
  /** Takes answers in, and gives up what has taken too long. */
  hear(nowMs: number): void;
  /** Another visitor: a connection to one, which is the callee's from then on. */
  add(fd: number): void;
  /** Whether a process is a visitor, or was one lately: its accesses come of what was asked of it, and are to be told nobody. */
  isVisitor(pid: number): boolean;
  /** Receives one request from a client's connection, which has come with descriptors: Kernel.peekMessage tells. */
  receive(peer: ClientPeer, connection: number, then: Then<Received>): void;
  /**
   * Closes what a client has given: whoever closes the last descriptor of a connection gets what is in it, and then waits for what the
   * client has put there to make it wait. It is the callee's from then on, and is closed after what is being received from it.
   */
  letGo(peer: ClientPeer, fd: number): void;
  /**
   * Walks from a directory down to another as the user, by no symbolic link and into no other mount, and looks what the user may do there.
   *
   * @param root O_PATH.
   * @param path Below root; '' is root itself.
   * @param handle What must be found there: a whole struct file_handle.
   */
  walk(peer: ClientPeer, root: number, path: Buffer, handle: Buffer, then: Then<Access>): void;
  /**
   * The same for the file of an event, which is opened as the user then. What was accessed by another mount of the same file system is
   * looked for by the root's.
   *
   * @param event The event's descriptor.
   * @param flags Open flags, those of fanotify_init(2)'s event_f_flags; with O_PATH it is only reached.
   * @returns A descriptor for the broker to close; null where the user may reach it, and not open it; undefined where it may not
   *   reach it.
   */
  visit(peer: ClientPeer, root: number, event: number, flags: number, then: Then<number | null | undefined>): void;
}

/**
 * @param onStuck A visitor is to be killed, and another given.
 * @param onOut Nothing is asked for a user until then: {@link Visits.outUntilMs}.
 */
export type OpenVisits = (
  onStuck: (pid: number | null) => void,
  onOut: (user: number, untilMs: number) => void,
) => Visits;
