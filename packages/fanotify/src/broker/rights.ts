// What a client of the daemon may do: who it is, as the kernel says, and what was granted to it.

import { isAtOrBelow, isMarkedDeleted } from '../decision/mount-paths.ts';
import { mountIdOf } from '../identity/handle-at.ts';
import type { MountTable } from '../identity/mount-table.ts';
import { type Kernel, KernelError, type Peer } from '../kernel/index.ts';

/** How much of one client is kept at most. Whoever exceeds it is slowed down, told of a loss, or refused; nobody else notices. */
export interface ClientLimits {
  /** Marks of a group. More are refused: ENOSPC. */
  readonly marks: number;
  /** Bytes of events that wait for a group in the daemon. More are lost, and an overflow event tells it. */
  readonly queueBytes: number;
  /**
   * Descriptors that wait for a group, or were sent to it and not received. Of notifications, more are lost as with `queueBytes`; of what is
   * held, more wait.
   */
  readonly descriptors: number;
  /** Accesses that wait for a group's response. More get its policy at once. */
  readonly pending: number;
  /** Requests of a group. More wait. */
  readonly requestsPerSecond: number;
  /** The longest time that a group may let an access wait for it, in milliseconds. 60,000 when it is not said. */
  readonly longestMs?: number | undefined;
}

/** What somebody is granted beyond what everybody may. */
export interface Grant {
  /** Where: directories, as absolute paths in the daemon's mount namespace, with all that is below; null: everywhere. */
  readonly under: readonly string[] | null;
  /** Hear also what it could not reach and stat itself, and take descriptors as the kernel gives them. */
  readonly all: boolean;
  /** Permission events: hold accesses, and decide on them. */
  readonly decide: boolean;
  /** Marks of whole file systems, and global listeners. Only together with `under: null`. */
  readonly system: boolean;
  /** The pids of other users' processes. */
  readonly pids: boolean;
}

/** Who a client is, as the kernel says, and of whose limits it takes. */
export interface ClientPeer extends Peer {
  /** The user whose limits are its own, where that is another: who owns many uids by subuid(5) is one user nevertheless. */
  readonly countedAs?: number | undefined;
}

/**
 * The user whose limits are a client's.
 *
 * @example
 * import { countedUid } from 'fanotify/broker';
 * console.log(countedUid({ pid: 1, uid: 100_007, gid: 100_007, groups: [], countedAs: 1000 })); // 1000
 */
export function countedUid({ uid, countedAs = uid }: ClientPeer): number {
  return countedAs;
}

/** Who a client is, and what it may do. */
export interface Rights {
  readonly peer: ClientPeer;
  /** None for an unconfigured user: marks of what it can read itself, notifications of what it can reach. The first that fits counts. */
  readonly grants: readonly Grant[];
  readonly limits: ClientLimits;
}

/** What everybody may. */
export const UNGRANTED: Grant = { under: null, all: false, decide: false, system: false, pids: false };

/** What is granted everywhere, init masks included. */
export function grantEverywhere({ grants }: Rights): Grant {
  return grants.find(({ under }) => under === null) ?? UNGRANTED;
}

/** What is granted of something that a descriptor is open on. What has another mount namespace's path fits only where that is everywhere. */
export function grantOf(kernel: Kernel, mounts: MountTable, rights: Rights, fd: number): Grant {
  if (rights.grants.length === 0) return UNGRANTED;
  return grantAt(rights, rights.grants.every(({ under }) => under === null) ? undefined : pathOf(kernel, mounts, fd));
}

/** What is granted of something with a path in this mount namespace, or without one. */
export function grantAt(rights: Rights, path: Buffer | undefined): Grant {
  const fits = ({ under }: Grant) =>
    under === null || (path !== undefined && under.some((directory) => isAtOrBelow(path, asPath(directory))));
  return rights.grants.find(fits) ?? UNGRANTED;
}

/** Its path in this mount namespace, if it has one. */
export function pathOf(kernel: Kernel, mounts: MountTable, fd: number): Buffer | undefined {
  try {
    const link = kernel.readlink(`/proc/self/fd/${fd}`);
    const mountId = mountIdOf(kernel, fd);
    const isHere = mountId !== undefined && mounts.byId(mountId) !== undefined;
    return isHere && link[0] === SLASH && !isMarkedDeleted(link) ? link : undefined;
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

const SLASH = 0x2f;

function asPath(directory: string): Buffer {
  return Buffer.from(directory.replace(/(?<=.)\/+$/, ''));
}
