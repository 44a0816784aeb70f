// What ends the bench, or takes a contestant out of it: a sentence for who started it.

export class BenchError extends Error {
  static {
    BenchError.prototype.name = 'BenchError';
  }
  readonly code = 'BENCH';
}
