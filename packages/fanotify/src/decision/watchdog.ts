// A thread that looks after a decide module: user code in the responder's loop may never come back. When a call has taken a whole
// deadline, the thread gives everything its policy in the loop's place, and ends the process.

import { nowMs } from './clock.ts';
import type { RootPlace } from './subtree-root.ts';
import { startThread } from './thread.ts';

/** Whose turn it is to answer: the loop's, a call's of the module, or the watchdog's, for good. */
export const TURN = { loop: 0, call: 1, watchdog: 2 } as const;

/** Slots of the shared numbers. */
export const SLOT = { turn: 0, offset: 1, length: 2, group: 3 } as const;

/** What both threads see. */
export interface Shared {
  /** By {@link SLOT}: the turn, where the event of the call is in `events`, where these end, and the group's descriptor. */
  readonly numbers: Int32Array<SharedArrayBuffer>;
  /** When the call began: clock.ts. */
  readonly startedMs: Float64Array<SharedArrayBuffer>;
  /** The events of the last read. */
  readonly events: Uint8Array<SharedArrayBuffer>;
}

/** Subtrees as the watchdog is told of them: descriptors are the process's, whichever thread uses them. */
export interface WatchedSubtrees {
  readonly roots: readonly RootPlace[];
  readonly crossesMounts: boolean;
}

/** What the watchdog is started with. */
export interface WatchdogData {
  readonly shared: Shared;
  readonly socket: number;
  readonly ownerPid: number;
  /** How to tell what is outside of the subtrees; undefined where nothing is. */
  readonly subtrees: WatchedSubtrees | undefined;
  readonly deadlineMs: number;
  /** The word of the response that the policy is. */
  readonly policy: number;
}

export class Watchdog {
  /** For what is read of the group: the watchdog must find what the loop has not come to. */
  readonly buffer: Buffer;
  readonly #shared: Shared;

  constructor(bytes: number) {
    this.#shared = {
      numbers: new Int32Array(new SharedArrayBuffer(16)),
      startedMs: new Float64Array(new SharedArrayBuffer(8)),
      events: new Uint8Array(new SharedArrayBuffer(bytes)),
    };
    this.buffer = Buffer.from(this.#shared.events.buffer);
  }

  /** Starts to look; resolves when the thread does. Before anything is marked: the thread loads modules, which may be guarded. */
  async start(data: Omit<WatchdogData, 'shared'>): Promise<void> {
    const workerData: WatchdogData = { ...data, shared: this.#shared };
    await startThread(new URL('./watchdog-main.js', import.meta.url), workerData);
  }

  /** The group to answer. */
  guard(groupFd: number): void {
    this.#shared.numbers[SLOT.group] = groupFd;
  }

  /** A call begins, of the event at `offset`; `length` is where the events end. */
  enter(offset: number, length: number): void {
    const { numbers, startedMs } = this.#shared;
    startedMs[0] = nowMs();
    numbers[SLOT.offset] = offset;
    numbers[SLOT.length] = length;
    Atomics.store(numbers, SLOT.turn, TURN.call);
  }

  /** The call is over. Never returns when the watchdog has taken its place. */
  leave(): void {
    const { numbers } = this.#shared;
    if (Atomics.compareExchange(numbers, SLOT.turn, TURN.call, TURN.loop) === TURN.call) return;
    for (;;) Atomics.wait(numbers, SLOT.turn, TURN.watchdog);
  }
}
