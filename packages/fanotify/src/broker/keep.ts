// What all marks of a broker share, such as its descriptors: so much there is, and no user takes it from the others.

import { CallError } from '../core/errors.ts';

/** The part of all that one user may have. */
const SHARE = 1 / 4;

export class Keep {
  readonly most: number;
  readonly mostOfUser: number;
  kept = 0;
  readonly #byUid = new Map<number, number>();

  /** @param most How many descriptors all marks may keep. */
  constructor(most: number) {
    this.most = most;
    this.mostOfUser = Math.max(1, Math.floor(most * SHARE));
  }

  /** @throws CallError ENOSPC when a user, or all together, have as much as they may. */
  assertRoom(uid: number): void {
    if (this.kept >= this.most) {
      throw new CallError('ENOSPC', 'the daemon has as many marks as it has descriptors for: raise its LimitNOFILE');
    }
    if (this.#of(uid) < this.mostOfUser) return;
    throw new CallError(
      'ENOSPC',
      `the marks of user ${uid} keep ${this.mostOfUser} descriptors of the daemon, and one user's may not keep more: raise its LimitNOFILE, of which this is a part`,
    );
  }

  take(uid: number, descriptors: number): void {
    this.kept += descriptors;
    this.#byUid.set(uid, this.#of(uid) + descriptors);
  }

  give(uid: number, descriptors: number): void {
    this.kept -= descriptors;
    const left = this.#of(uid) - descriptors;
    if (left > 0) this.#byUid.set(uid, left);
    else this.#byUid.delete(uid);
  }

  #of(uid: number): number {
    return this.#byUid.get(uid) ?? 0;
  }
}
