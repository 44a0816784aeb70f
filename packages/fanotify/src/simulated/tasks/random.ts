// A pseudo-random sequence: the same seed gives the same numbers, on every machine.

/** Returns a function that gives whole numbers from 0 up to, without, its argument (xorshift32). */
export function seededRandom(seed: number): (below: number) => number {
  let state = (Math.imul(seed, 0x9e37_79b1) ^ 0x6d2b_79f5) | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
