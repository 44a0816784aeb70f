// How long accesses were held, counted by upper bounds: as OpenMetrics has histograms.

/** In seconds. */
const BOUNDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

export class HeldTimes {
  /** The last has no bound. */
  readonly #counts: number[] = new Array<number>(BOUNDS.length + 1).fill(0);
  #sum = 0;
  #total = 0;

  add(ms: number): void {
    const seconds = Math.max(0, ms) / 1000;
    let at = 0;
    while (at < BOUNDS.length && seconds > (BOUNDS[at] ?? 0)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += seconds;
    this.#total++;
  }

  /** How many there were. */
  get total(): number {
    return this.#total;
  }

  get histogram(): { readonly bounds: readonly number[]; readonly counts: readonly number[]; readonly sum: number } {
    return { bounds: BOUNDS, counts: [...this.#counts], sum: this.#sum };
  }
}
