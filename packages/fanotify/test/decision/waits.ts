// What the tests of the failure policy measure: for each row, how long an access waited at most and what it got.

import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Opened } from './owner.ts';

/** What docs/PERFORMANCE.md shows of a row. */
export interface Wait {
  readonly row: string;
  readonly deadlineMs: number;
  /** How many accesses were held at once. */
  readonly pending: number;
  readonly longestMs: number;
  readonly drainMs: number;
  /** What an open that nobody guards was late by meanwhile. */
  readonly controlMs?: number;
  readonly verdict: string;
}

/** What a verdict may take besides the deadline. */
const SLACK_MS = 50;
const waits: Wait[] = [];

/** Adds a row. */
export function told(wait: Wait): void {
  waits.push(wait);
}

/**
 * Nobody waited longer than the deadline (or `withinMs`), 50 ms and what it takes to let all go that were held, on a machine that makes an open which
 * nobody guards wait for `controlMs`; and each got what the policy says.
 */
export function expectPolicy(
  opened: Opened,
  wait: {
    readonly row: string;
    readonly deadlineMs: number;
    /** What the verdict may take when it is not the deadline that brings it. */
    readonly withinMs?: number;
    readonly verdict: 'allow' | 'deny';
    readonly why?: string;
  },
  drainMs: number = opened.drainMs,
): void {
  const { row, deadlineMs, withinMs = deadlineMs, verdict, why } = wait;
  const count = opened.waitsMs.length;
  told({
    row,
    deadlineMs,
    pending: count,
    longestMs: opened.longestMs,
    drainMs,
    controlMs: opened.controlMs,
    verdict: why === undefined ? verdict : `${verdict} (${why})`,
  });
  expect({ allowed: opened.allowed, denied: opened.denied }).toEqual(
    verdict === 'allow'
      ? { allowed: expect.toSatisfy((n: number) => n >= count), denied: 0 }
      : { allowed: 0, denied: expect.toSatisfy((n: number) => n >= count) },
  );
  // EPERM
  if (verdict === 'deny') expect(new Set(opened.errnos)).toEqual(new Set([1]));
  expect(opened.longestMs).toBeLessThanOrEqual(withinMs + SLACK_MS + drainMs + machineMs(opened));
}

/** What the machine may make anybody wait: told by opens that nobody guards, made at the same time. */
export function machineMs({ controlMs }: Opened): number {
  return 100 + 3 * controlMs;
}

/** Writes the table to where FANOTIFY_WAITS says, if it does. */
export function writeWaits(): void {
  const path = process.env.FANOTIFY_WAITS;
  if (!path) return;
  const ms = (number: number) => number.toFixed(number < 10 ? 1 : 0);
  const lines = waits.map(
    ({ row, deadlineMs, pending, longestMs, drainMs, controlMs, verdict }) =>
      `| ${row} | ${pending.toLocaleString('en')} | ${deadlineMs.toLocaleString('en')} | ${ms(longestMs)} | ${ms(drainMs)} | ${controlMs === undefined ? '' : ms(controlMs)} | ${verdict} |`,
  );
  const header = [
    '| what happens | opens held at once | deadline, ms | longest wait, ms | from first to last let go, ms | an unguarded open late by, ms | verdict given |',
    '|---|---:|---:|---:|---:|---:|---|',
  ];
  writeFileSync(path, `${[...header, ...lines].join('\n')}\n`);
}
