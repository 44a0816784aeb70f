// Descriptors that were sent to a client, and for all that is known not received: no more are sent than it may have under way.

import type { Holdings } from '../core/holdings.ts';
import type { Kernel } from '../kernel/index.ts';
import type { ClientLimits } from './rights.ts';
import { mostHeld } from './user-holdings.ts';

/** After so long it is looked again whether descriptors were received: doubled each time they were not. */
const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 64;

export class Undelivered {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #holdings: Holdings;
  readonly #mostOfUser: number;
  /** Since the client was last known to have received everything. */
  #count = 0;
  #lookMs = FIRST_LOOK_MS;
  #nextLookMs = Number.POSITIVE_INFINITY;

  /**
   * @param holdings What all groups of its user hold.
   * @param mostOfUser How many those may hold.
   */
  constructor(kernel: Kernel, fd: number, holdings: Holdings, mostOfUser: number) {
    this.#kernel = kernel;
    this.#fd = fd;
    this.#holdings = holdings;
    this.#mostOfUser = mostOfUser;
  }

  get count(): number {
    return this.#count;
  }

  /** When to look again whether there is room; Infinity when nobody waits for that. */
  get nextLookMs(): number {
    return this.#nextLookMs;
  }

  sent(descriptors: number): void {
    this.#count += descriptors;
    this.#holdings.undelivered += descriptors;
  }

  /** All was received, or nobody is there any more. */
  forget(): void {
    this.sent(-this.#count);
  }

  /** Looks whether all was received. */
  look(): void {
    if (this.#count > 0 && this.#kernel.unsentBytes(this.#fd) === 0) this.forget();
  }

  /** How many may be sent now. With none, {@link nextLookMs} says when there may be some. */
  room(limits: ClientLimits, nowMs: number): number {
    let room = this.#left(limits);
    if (room <= 0) {
      this.look();
      room = Math.max(0, this.#left(limits));
    }
    if (room > 0) {
      this.#lookMs = FIRST_LOOK_MS;
    } else {
      this.#nextLookMs = nowMs + this.#lookMs;
      this.#lookMs = Math.min(LONGEST_LOOK_MS, this.#lookMs * 2);
    }
    return room;
  }

  /** Whether it is time to look again, which counts as done. */
  takeLook(nowMs: number): boolean {
    if (nowMs < this.#nextLookMs) return false;
    this.#nextLookMs = Number.POSITIVE_INFINITY;
    return true;
  }

  #left({ descriptors }: ClientLimits): number {
    return mostHeld(this.#count, descriptors, this.#holdings.undelivered, this.#mostOfUser) - this.#count;
  }
}
