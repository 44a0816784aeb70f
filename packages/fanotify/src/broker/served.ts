// The seam between the desk, which has the clients' connections, and a broker's own loop, which serves their groups.

import type { Carried } from '../core/carried.ts';
import type { Holdings } from '../core/holdings.ts';
import type { RequestReader } from '../core/process/wire.ts';
import type { BrokerTotals, GroupStatus } from './control.ts';
import type { Rights } from './rights.ts';

/** What a request wants to mark. A visitor has received it: O_PATH, and on what it says. */
export interface Target {
  /** Closed after the request, unless it is held. */
  readonly carried: Carried;
  /** Whether the client can read it. */
  readonly canRead: boolean;
  /** f_type of statfs(2). */
  readonly filesystemType: number;
}

/** What a broker says of a group; the rest the desk knows. */
export type OwnStatus = Omit<GroupStatus, 'id' | 'uid' | 'pid' | 'refused' | 'limits'>;

/** A client's connection, as its broker has it. */
export interface ClientConnection {
  readonly id: number;
  readonly rights: Rights;
  /** What all groups of its user hold. */
  readonly holdings: Holdings;
  /** Whether events may be sent: else {@link Served.writable} will say when. */
  readonly isWritable: boolean;
  /** Descriptors that were sent, and for all that is known not received yet. */
  readonly undelivered: number;
  /** The same, looked at now. */
  countUndelivered(): number;
  /** How many descriptors may be sent now. With none left, {@link Served.writable} will say when there may be some. */
  roomForDescriptors(nowMs: number): number;
  /**
   * Sends a message of whole events.
   *
   * @param descriptors Stay open here. No more than {@link roomForDescriptors}.
   * @returns False when there is no room: it is to be sent again when {@link Served.writable} says so. True also where nobody is there
   *   any more.
   */
  send(events: Uint8Array, descriptors?: readonly number[]): boolean;
  /** What there is to say to a request that was not answered at once. */
  answer(number: number, errno: number, said?: string | Uint8Array): void;
  /**
   * Ends it.
   *
   * @param why For the log; empty where the client wanted it.
   */
  end(why: string): void;
}

/** A client's group, as its broker serves it. Nothing here waits. */
export interface Served {
  /**
   * Does what it is asked for: anything but bind and close.
   *
   * @param request Good until this returns.
   * @param target Of addMark and removeMark, always.
   * @returns What there is to say, which goes out at once; undefined when {@link ClientConnection.answer} will bring it: until then no other
   *   request is read.
   * @throws CallError what is refused.
   */
  request(request: RequestReader, target: Target | undefined): string | Uint8Array | undefined;
  /** There may be room for events again: after {@link ClientConnection.send} has said that there is none. */
  writable(): void;
  status(): OwnStatus;
  /** {@link ClientConnection.rights} have changed. */
  rightsChanged(): void;
  /** The client has gone, or is made to: nothing may be sent any more. */
  close(): void;
}

/** A broker's own part. */
export interface Broker {
  /**
   * Makes the group of a client.
   *
   * @throws CallError what is refused; the client may ask again.
   */
  bind(connection: ClientConnection, request: RequestReader): Served;
  /** Nothing is asked of visitors for a user, as {@link countedUid} has it, until then. */
  userIsOut(user: number, untilMs: number): void;
  totals(): Omit<BrokerTotals, 'visits' | 'visitsStuck'>;
}
