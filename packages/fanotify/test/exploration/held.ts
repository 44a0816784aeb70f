// Who is held by whom, and for how long: asked of the kernel itself.

import { ERRNO } from '../../src/kernel/error.ts';
import type { PermissionEvent } from '../../src/simulated/notify/event.ts';
import { GroupOperations } from '../../src/simulated/notify/group-file.ts';
import { Queue } from '../../src/simulated/notify/queue.ts';
import { Refusal } from '../../src/simulated/refusal.ts';
import { Broken, type World } from './world.ts';

/** Every access that is held, from then on until {@link Held.end}. */
export class Held {
  /** How many were held, and for how long the longest of them was. */
  count = 0;
  longestMs = 0;
  readonly #world: World;
  readonly #held = new Map<PermissionEvent, number>();
  readonly #before = { insert: Queue.prototype.insert, write: GroupOperations.prototype.write };
  #failure: Broken | undefined;

  constructor(world: World) {
    this.#world = world;
    const { insert, write } = this.#before;
    const held = this;
    Queue.prototype.insert = function (event) {
      const queued = insert.call(this, event);
      if (event.kind === 'permission' && queued === 'queued') held.#begin(event);
      return queued;
    };
    GroupOperations.prototype.write = function* (bytes) {
      try {
        return yield* write.call(this, bytes);
      } catch (error) {
        if (error instanceof Refusal && error.errno === ERRNO.ENOENT) {
          held.#failure ??= new Broken('an access was answered that was not to be answered any more');
        }
        throw error;
      }
    };
  }

  end(): void {
    Queue.prototype.insert = this.#before.insert;
    GroupOperations.prototype.write = this.#before.write;
  }

  /** @param longestMs The longest that anybody may be held. */
  check(longestMs: number): void {
    if (this.#failure) throw this.#failure;
    const now = this.#world.nowMs;
    for (const since of this.#held.values()) this.longestMs = Math.max(this.longestMs, now - since);
    if (this.longestMs > longestMs) {
      throw new Broken(
        `somebody was held for ${this.longestMs.toFixed(1)} ms, where ${longestMs} are the longest: ${this.#world.told()}`,
      );
    }
  }

  /** Nobody is held. */
  checkNone(): void {
    if (this.#held.size > 0) throw new Broken(`${this.#held.size} are held for ever: ${this.#world.told()}`);
  }

  #begin(event: PermissionEvent): void {
    this.count++;
    const since = this.#world.nowMs;
    this.#held.set(event, since);
    event.wait.onOver(() => {
      this.#held.delete(event);
      this.longestMs = Math.max(this.longestMs, this.#world.nowMs - since);
    });
  }

  /** Whose end ended it: who was killed is held no more. */
  forget(isGone: (event: PermissionEvent) => boolean): void {
    for (const event of this.#held.keys()) if (isGone(event)) this.#held.delete(event);
  }
}
