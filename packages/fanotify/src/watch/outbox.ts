// Changes that were not taken yet: gathered for a moment, bounded, and handed on in order.

import type { Change } from './change.ts';

/** So many changes wait at most; then the kernel's queue fills, and after that a rescan says it. */
const MOST_WAITING = 65_536;

/** Between who tells and who takes. */
export class Outbox {
  #changes: Change[] = [];
  #isDue = false;
  #end: { readonly error: unknown } | 'open' | 'closed' = 'open';
  #wakeTaker: (() => void) | undefined;
  #wakeTeller: (() => void) | undefined;
  #wakeFull: (() => void) | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** Looks at the disk for what is still to be told; says how much waits for that. */
  readonly #settle: () => void;
  readonly #waiting: () => number;
  readonly #onTaking: (isTaking: boolean) => void;

  constructor(settle: () => void, waiting: () => number, onTaking: (isTaking: boolean) => void) {
    this.#settle = settle;
    this.#waiting = waiting;
    this.#onTaking = onTaking;
  }

  get isOpen(): boolean {
    return this.#end === 'open';
  }

  /** Whether somebody waits for changes. */
  get isWanted(): boolean {
    return this.#wakeTaker !== undefined;
  }

  put(change: Change): void {
    this.#changes.push(change);
  }

  /** Says that what was gathered is to be handed on now. */
  due(): void {
    this.#isDue = true;
    this.#wakeTaker?.();
  }

  /** Resolves when too much waits to be taken, for the first time. */
  readonly isFull: Promise<void> = new Promise((resolve) => {
    this.#wakeFull = resolve;
  });

  /** Waits while too much waits to be taken. */
  async room(): Promise<void> {
    if (!this.isOpen || this.#changes.length + this.#waiting() < MOST_WAITING) return;
    this.#wakeFull?.();
    this.due();
    await new Promise<void>((resolve) => {
      this.#wakeTeller = resolve;
    });
  }

  /** All there is, as soon as there is something; undefined at the end. */
  take(): Promise<readonly Change[] | undefined> {
    const turn = this.#turn.then(() => this.#take());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #take(): Promise<readonly Change[] | undefined> {
    for (;;) {
      if (this.#isDue || this.#end !== 'open') {
        this.#isDue = false;
        if (this.#end === 'open') this.#settle();
        const changes = this.#changes;
        if (changes.length > 0) {
          this.#changes = [];
          this.#wakeTeller?.();
          this.#wakeTeller = undefined;
          return changes;
        }
      }
      if (this.#end === 'closed') return undefined;
      if (this.#end !== 'open') throw this.#end.error;
      this.#onTaking(true);
      await new Promise<void>((resolve) => {
        this.#wakeTaker = resolve;
      });
      this.#wakeTaker = undefined;
      this.#onTaking(false);
    }
  }

  /** No more changes: what was told before it went wrong is still handed on. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  /** No more changes, and none of those that were not taken. */
  close(): void {
    this.#changes = [];
    this.#finish('closed');
  }

  #finish(end: { readonly error: unknown } | 'closed'): void {
    if (this.#end !== 'open') return;
    this.#end = end;
    this.#wakeTaker?.();
    this.#wakeTeller?.();
  }
}
