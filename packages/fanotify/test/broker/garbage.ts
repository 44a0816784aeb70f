// What clients send that mean no good.

import { REQUEST_BYTES } from '../../src/core/process/wire.ts';

/** Whole numbers from 0 up to `below`, the same in each run: xorshift. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Something that is one of these requests, or almost, or not at all. */
export function frameOf(random: (below: number) => number, requests: readonly number[]): Buffer {
  const bytes = Buffer.alloc(random(16) === 0 ? 1 + random(300) : REQUEST_BYTES);
  for (let at = 0; at < bytes.length; at++) bytes[at] = random(4) === 0 ? random(256) : 0;
  if (random(8) > 0 && bytes.length >= 8) bytes.writeUInt32LE(requests[random(requests.length)] ?? 1, 0);
  if (random(2) === 0 && bytes.length === REQUEST_BYTES) {
    // A mark with a mask that there is, and a scope.
    bytes.writeBigUInt64LE(BigInt(random(0x40)), 8);
    bytes.writeBigUInt64LE(0n, 16);
    bytes.writeUInt32LE(random(4), 24);
  }
  return bytes;
}
