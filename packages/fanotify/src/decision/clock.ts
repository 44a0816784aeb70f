// CLOCK_MONOTONIC in milliseconds: the same in the responder and its owner, so that a deadline means the same to both.

const [seconds, nanoseconds] = process.hrtime();
// Both count the same clock; performance.now() is the cheaper to ask, and starts at the process's start.
const ORIGIN_MS = seconds * 1000 + nanoseconds / 1e6 - performance.now();

export function nowMs(): number {
  return ORIGIN_MS + performance.now();
}
