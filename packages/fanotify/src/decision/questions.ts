// What is held and asked of a function `decide`: each request is answered once, or its time is up. Whoever answers the kernel, and
// wherever that is.

import type { Clock } from './clock.ts';
import { DecideError, thrownText } from './errors.ts';
import type { Decide } from './options.ts';
import { type Abilities, DENY, type Ruling, rulingOf } from './permission.ts';
import type { HeldRequest } from './request.ts';

/** What questions need of their guard. */
export interface QuestionsParts {
  readonly decide: Decide;
  readonly clock: Clock;
  abilities(): Abilities;
  /** There is a ruling; `failed`: `decide` gave none, and `onError` counts. */
  answer(id: number, ruling: Ruling, failed: boolean): void;
  /** The time of so many was up, of which this is the first. */
  timedOut(count: number, first: HeldRequest): void;
  /** `decide` has failed. */
  tell(error: DecideError): void;
}

/** Undecided requests, in the order of their deadlines. */
export class Questions {
  readonly #parts: QuestionsParts;
  readonly #requests = new Map<number, HeldRequest>();
  /** Takes the next deadline's call back. */
  #cancelTimer: (() => void) | undefined;

  constructor(parts: QuestionsParts) {
    this.#parts = parts;
  }

  /** Asks `decide`. */
  ask(request: HeldRequest): void {
    if (request.settled) {
      request.done();
      this.#parts.timedOut(1, request);
      return;
    }
    this.#requests.set(request.id, request);
    this.#cancelTimer ??= this.#timerFor(request);
    let decision: unknown;
    let later: Promise<unknown> | undefined;
    try {
      decision = this.#parts.decide(request);
      // A thenable may be anything: as a promise it settles once.
      if (isThenable(decision)) later = Promise.resolve(decision);
    } catch (error) {
      this.#failed(request, error);
      return;
    }
    if (later) {
      later.then(
        (value) => this.#decided(request, value),
        (error: unknown) => this.#failed(request, error),
      );
    } else if (decision !== undefined) this.#decided(request, decision);
    // Else it will call allow() or deny(), or has done so.
    else request.done();
  }

  /** Somebody else has decided. */
  withdraw(id: number): void {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    request?.end();
  }

  /** It has a ruling. Nothing happens when it had one before. */
  answer(request: HeldRequest, ruling: Ruling, failed: boolean): void {
    if (!request.settle()) return;
    this.#requests.delete(request.id);
    this.#parts.answer(request.id, ruling, failed);
  }

  /** Nobody waits for an answer any more. */
  end(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const request of this.#requests.values()) request.end();
    this.#requests.clear();
  }

  #decided(request: HeldRequest, decision: unknown): void {
    if (decision === undefined) {
      request.done();
      return;
    }
    if (request.isAnswered) {
      request.done();
      this.#parts.tell(
        new DecideError('decide called allow() or deny(), and returned a decision as well: the first answer holds'),
      );
      return;
    }
    let ruling: Ruling | string;
    try {
      ruling = rulingOf(decision, request.kind, this.#parts.abilities());
    } catch (error) {
      this.#failed(request, error);
      return;
    }
    if (typeof ruling === 'string') {
      this.#failed(request, new TypeError(`decide gave no decision: ${ruling}`));
      return;
    }
    this.answer(request, ruling, false);
    request.done();
  }

  #failed(request: HeldRequest, cause: unknown): void {
    // Whoever answers knows what its policy is.
    this.answer(request, DENY, true);
    request.done();
    this.#parts.tell(new DecideError(`decide failed: ${thrownText(cause).message}`, { cause }));
  }

  #timerFor(request: HeldRequest): () => void {
    const { clock } = this.#parts;
    return clock.after(Math.max(1, request.dueMs - clock.nowMs()), () => this.#expire());
  }

  #expire(): void {
    this.#cancelTimer = undefined;
    let count = 0;
    let first: HeldRequest | undefined;
    for (const request of this.#requests.values()) {
      if (!request.settled) {
        this.#cancelTimer = this.#timerFor(request);
        break;
      }
      first ??= request;
      count++;
      this.#requests.delete(request.id);
      request.end();
    }
    if (first) this.#parts.timedOut(count, first);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
