// How often something may be done: so many times a second, and after a pause once as many at a stretch.

export class Allowance {
  readonly #perSecond: number;
  readonly #most: number;
  #left: number;
  #asOfMs: number;

  /** @param most How many at a stretch. */
  constructor(perSecond: number, nowMs: number, most: number = Math.max(1, perSecond)) {
    this.#perSecond = perSecond;
    this.#most = most;
    this.#left = most;
    this.#asOfMs = nowMs;
  }

  /** Takes one, if there is one left. */
  take(nowMs: number): boolean {
    this.#gain(nowMs);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /** When there is one to take: not after now when there is. */
  nextMs(nowMs: number): number {
    this.#gain(nowMs);
    return this.#left >= 1 ? nowMs : nowMs + ((1 - this.#left) / this.#perSecond) * 1000;
  }

  #gain(nowMs: number): void {
    this.#left = Math.min(this.#most, this.#left + (Math.max(0, nowMs - this.#asOfMs) / 1000) * this.#perSecond);
    this.#asOfMs = nowMs;
  }
}
