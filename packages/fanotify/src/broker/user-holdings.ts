// Who holds how much, by user: so that many groups of one user hold no more than one user may.

import { Holdings } from '../core/holdings.ts';
import { type ClientPeer, countedUid } from './rights.ts';

/** The part of all that one user may hold in any case. Who is granted more in one group may hold that. */
export const SHARE: number = 1 / 4;
/** So much each group may hold, whatever the others of its user do: one that stalls is not to be the end of all. */
export const LEAST_OF_GROUP = 16;

interface User {
  readonly holdings: Holdings;
  connections: number;
}

export class UserHoldings {
  readonly #users = new Map<number, User>();

  /** What a user holds who has one more connection: until {@link left}. */
  joined(peer: ClientPeer): Holdings {
    const uid = countedUid(peer);
    let user = this.#users.get(uid);
    if (!user) {
      user = { holdings: new Holdings(), connections: 0 };
      this.#users.set(uid, user);
    }
    user.connections++;
    return user.holdings;
  }

  left(peer: ClientPeer): void {
    const uid = countedUid(peer);
    const user = this.#users.get(uid);
    if (user && --user.connections === 0) this.#users.delete(uid);
  }
}

/**
 * How much a group may hold now.
 *
 * @param own What it holds.
 * @param mostOfGroup What it may, were it alone.
 * @param ofUser What all groups of its user hold.
 * @param share What all groups of a user may.
 */
export function mostHeld(own: number, mostOfGroup: number, ofUser: number, share: number): number {
  const room = Math.max(share, mostOfGroup) - ofUser;
  return Math.min(mostOfGroup, Math.max(LEAST_OF_GROUP, own + room));
}
