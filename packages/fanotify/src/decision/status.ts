// What a guard can say of itself.

import type { LatencyQuantiles } from './latencies.ts';
import type { ScannerStatus } from './scan/status.ts';

/** How a guard is doing, counted since its responder was started. */
export interface GuardStatus {
  /** Accesses that are held and undecided. */
  readonly pending: number;
  /** For how long the oldest of them has been held, in milliseconds. */
  readonly oldestMs: number;
  readonly allowed: number;
  readonly denied: number;
  /** Decided by `decide`. */
  readonly byDecision: number;
  /** Given again from the responder's cache. */
  readonly byCache: number;
  readonly byExemption: number;
  /** Outside of the subtrees, and so allowed at once. */
  readonly outside: number;
  /** This process's own accesses, always allowed. */
  readonly own: number;
  /** Got `onTimeout`. */
  readonly timedOut: number;
  /** Got `onError`. */
  readonly failed: number;
  /** Answers of `decide` that came after the deadline. */
  readonly late: number;
  /** Denied by the kernel itself, which had no descriptor to give. */
  readonly kernelDenied: number;
  /** Verdicts in the responder's cache: files. */
  readonly cached: number;
  /** Files that the kernel was told to ignore, since it was last told to ignore none. */
  readonly ignored: number;
  /** Directories outside of the subtrees that the kernel was told to ignore, since it was last told to ignore none. */
  readonly ignoredOutside: number;
  /** How long accesses were held, from being read to being answered, in microseconds; null before the first. */
  readonly verdictUs: LatencyQuantiles | null;
  /** How often each rule of the policy has decided, in their order, and last what none matches; empty without one. */
  readonly ruleHits: readonly number[];
  /** The scanner; null where nothing is scanned. */
  readonly scanner: ScannerStatus | null;
  /** Memory of the responder (resident), in bytes. */
  readonly memoryBytes: number;
}
