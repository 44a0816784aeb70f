// How many subtrees users have marked who are granted nothing: whatever is read or held anywhere is looked for in each of them, which
// everybody waits for.

import { CallError } from '../../core/errors.ts';

const MOST = 64;

export class UngrantedSubtrees {
  readonly #byUid = new Map<number, number>();

  /** @throws CallError ENOSPC. */
  assertRoom(uid: number): void {
    if (this.#of(uid) < MOST) return;
    throw new CallError(
      'ENOSPC',
      `user ${uid} may have ${MOST} subtrees in groups of descriptors without a grant of "all": a group of names takes more`,
    );
  }

  /** One more, or one less. */
  count(uid: number, change: 1 | -1): void {
    const now = this.#of(uid) + change;
    if (now > 0) this.#byUid.set(uid, now);
    else this.#byUid.delete(uid);
  }

  #of(uid: number): number {
    return this.#byUid.get(uid) ?? 0;
  }
}
