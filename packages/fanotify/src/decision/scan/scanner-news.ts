// What the owner is told of its scanner: at once when that has come or gone, and else not more often than once a second.

import type { Notice } from '../wire.ts';
import type { ClamdIdentity } from './identity.ts';

const EVERY_MS = 1_000;

export class ScannerNews {
  readonly #notice: (notice: Notice) => void;
  #up: { readonly clamd: ClamdIdentity; wasDown: boolean } | undefined;
  #failure: { readonly message: string; count: number } | undefined;
  #timedOut: { count: number; readonly pid: number; readonly path: string | null } | undefined;
  #isUrgent = false;
  #toldMs = Number.NEGATIVE_INFINITY;

  /** @param notice Tells the owner. */
  constructor(notice: (notice: Notice) => void) {
    this.#notice = notice;
  }

  /** When {@link tell} has something to do: clock.ts. */
  get nextDueMs(): number {
    if (this.#isUrgent) return Number.NEGATIVE_INFINITY;
    return this.#failure || this.#timedOut ? this.#toldMs + EVERY_MS : Number.POSITIVE_INFINITY;
  }

  up(clamd: ClamdIdentity, wasDown: boolean): void {
    this.#up = { clamd, wasDown: wasDown || this.#up?.wasDown === true };
    this.#isUrgent = true;
  }

  down(message: string): void {
    this.#failure = { message, count: this.#failure?.count ?? 0 };
    this.#isUrgent = true;
  }

  /** An access has got `onError`. */
  failed(message: string): void {
    if (this.#failure) this.#failure.count++;
    else this.#failure = { message, count: 1 };
  }

  /** @param path Tells where the file is: asked of the first only. */
  timedOut(pid: number, path: () => string | null): void {
    if (this.#timedOut) this.#timedOut.count++;
    else this.#timedOut = { count: 1, pid, path: path() };
  }

  tell(now: number): void {
    if (this.nextDueMs > now) return;
    this.#isUrgent = false;
    if (this.#failure || this.#timedOut) this.#toldMs = now;
    if (this.#failure) this.#notice({ notice: 'scannerFailed', ...this.#failure });
    if (this.#timedOut) this.#notice({ notice: 'timedOut', ...this.#timedOut });
    this.#failure = undefined;
    this.#timedOut = undefined;
    if (this.#up) this.#notice({ notice: 'scannerUp', ...this.#up });
    this.#up = undefined;
  }
}
