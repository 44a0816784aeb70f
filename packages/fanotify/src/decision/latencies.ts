// How long accesses were held, as a histogram: cheap to add to, exact to a quarter.

const PER_OCTAVE = 4;
/** From a microsecond to over an hour. */
const BUCKETS = 32 * PER_OCTAVE;

/** Quantiles in microseconds, rounded up to the end of their bucket; null when nothing was counted. */
export interface LatencyQuantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;
  #maxUs = 0;

  add(ms: number): void {
    const us = Math.max(1, ms * 1000);
    if (us > this.#maxUs) this.#maxUs = us;
    const bucket = Math.min(BUCKETS - 1, Math.floor(Math.log2(us) * PER_OCTAVE));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
  }

  quantiles(): LatencyQuantiles | null {
    if (this.#total === 0) return null;
    return { p50: this.#quantile(0.5), p99: this.#quantile(0.99), max: Math.round(this.#maxUs) };
  }

  #quantile(share: number): number {
    let left = this.#total * share;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return Math.round(Math.min(this.#maxUs, 2 ** ((bucket + 1) / PER_OCTAVE)));
    }
    return Math.round(this.#maxUs);
  }
}
