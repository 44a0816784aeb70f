// The owner as a decider: it is asked over the socket, and answers in its time.

import type { Access } from './access.ts';
import { Fifo } from './fifo.ts';
import type { Ruling } from './permission.ts';
import type { Decider } from './table.ts';

/** An ask, and when it was made. */
export interface Asked {
  readonly id: number;
  readonly access: Access;
  readonly dueMs: number;
  readonly askedMs: number;
}

export class OwnerDecider implements Decider<Access> {
  deadlineMs: number;
  onTimeout: Ruling;
  readonly onError: Ruling;
  readonly #ask: (asked: Asked) => void;
  /** Asked, and not looked at yet whether it is a child of the owner. */
  readonly unlooked = new Fifo<Asked>();
  /** The socket had no room for these. */
  readonly unsent = new Fifo<Asked>();
  /** Something was asked since this was last set to false. */
  isAsked = false;

  constructor(policy: Pick<Decider<Access>, 'deadlineMs' | 'onTimeout' | 'onError'>, ask: (asked: Asked) => void) {
    this.deadlineMs = policy.deadlineMs;
    this.onTimeout = policy.onTimeout;
    this.onError = policy.onError;
    this.#ask = ask;
  }

  decide(access: Access, id: number, dueMs: number): undefined {
    this.isAsked = true;
    const asked = { id, access, dueMs, askedMs: access.readMs };
    this.unlooked.push(asked);
    this.#ask(asked);
  }
}
