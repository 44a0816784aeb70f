// What the broker keeps of a mark: a descriptor of what is marked, and what its client may hear and do there.

import type { Carried } from '../../core/carried.ts';
import type { Attached } from '../../core/marks.ts';
import type { MarkScope } from '../../core/types.ts';
import type { Keep } from '../keep.ts';
import type { Grant } from '../rights.ts';
import type { Target } from '../served.ts';
import type { UngrantedSubtrees } from './ungranted-subtrees.ts';

/** What is counted of marks, by user. */
export interface Counts {
  readonly keep: Keep;
  readonly subtrees: UngrantedSubtrees;
}

/** A subtree has two more: of its directory, and of the root of the mount. */
const OF_SUBTREE = 3;

/** What a client may hear and do where it has marked something. */
export interface Place extends Attached {
  readonly grant: Grant;
  readonly fd: number;
  /** Nothing tells whether what is heard is there. */
  readonly isDoubtful: boolean;
}

export class MarkedPlace implements Place {
  readonly isDoubtful = false;
  readonly canRead: boolean;
  readonly #doubtful: Place = new DoubtfulPlace(this);
  readonly #target: Carried;
  readonly #scope: MarkScope;
  readonly #uid: number;
  readonly #counts: Counts;
  #grant: Grant;
  #holders = 1;

  /** Held by whoever makes it. */
  constructor({ carried, canRead }: Target, scope: MarkScope, grant: Grant, uid: number, counts: Counts) {
    this.#grant = grant;
    this.canRead = canRead;
    this.#target = carried.hold();
    this.#scope = scope;
    this.#uid = uid;
    this.#counts = counts;
    counts.keep.take(uid, this.#descriptors);
    if (this.#isUngrantedSubtree) counts.subtrees.count(uid, 1);
  }

  get grant(): Grant {
    return this.#grant;
  }

  set grant(grant: Grant) {
    const { subtrees } = this.#counts;
    if (this.#isUngrantedSubtree) subtrees.count(this.#uid, -1);
    this.#grant = grant;
    if (this.#isUngrantedSubtree) subtrees.count(this.#uid, 1);
  }

  /** Where everything may be heard nothing is looked at. */
  get weight(): number {
    return this.grant.all ? 1 : 0;
  }

  get fd(): number {
    return this.#target.fd;
  }

  /** Who may hear all in some directories does not hear by that what is perhaps in others. */
  get perhaps(): Place {
    return this.grant.all && this.grant.under === null ? this : this.#doubtful;
  }

  hold(): this {
    this.#holders++;
    return this;
  }

  release(): void {
    if (--this.#holders > 0) return;
    this.#counts.keep.give(this.#uid, this.#descriptors);
    if (this.#isUngrantedSubtree) this.#counts.subtrees.count(this.#uid, -1);
    this.#target.release();
  }

  get #descriptors(): number {
    return this.#scope === 'subtree' ? OF_SUBTREE : 1;
  }

  get #isUngrantedSubtree(): boolean {
    return this.#scope === 'subtree' && !this.#grant.all;
  }
}

/** A place of which nothing tells whether what is heard is there: it is looked at as the user. */
class DoubtfulPlace implements Place {
  readonly isDoubtful = true;
  readonly weight = 0;
  readonly #place: MarkedPlace;

  constructor(place: MarkedPlace) {
    this.#place = place;
  }

  get grant(): Grant {
    return { ...this.#place.grant, all: false, pids: false };
  }

  get fd(): number {
    return this.#place.fd;
  }

  hold(): this {
    this.#place.hold();
    return this;
  }

  release(): void {
    this.#place.release();
  }
}
