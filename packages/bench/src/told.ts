// What contestants told: the lines that tracers printed, and the sums that the readers of the bench's own print at their end.

import { readFileSync } from 'node:fs';
import { BenchError } from './error.ts';
import type { Delays } from './stamps.ts';

/** What the lines of a tracer say of the files f0, f1, … of a load. */
export interface Lines {
  readonly lines: number;
  /** Lines that tell of an open, alone or with more. */
  readonly opens: number;
  /** Files that at least one line is about. */
  readonly distinct: number;
  /** Lines that say that events were lost. */
  readonly lost: number;
}

// "comm(pid): RCO path", "directory OPEN,CLOSE name" and "time pid open,close path": a type alone, in a list, or a letter.
const TELLS_OPEN = /(?:: [RCW+D<>]*O[RCWO+D<>]* )|(?:\b(?:OPEN|open)\b)/;
const NAME = /[/ ]f(\d+)$/;

/** Counts the lines in a file. */
export function countLines(file: string): Lines {
  const files = new Set<number>();
  let [lines, opens, lost] = [0, 0, 0];
  for (const line of readFileSync(file, 'latin1').split('\n')) {
    const name = NAME.exec(line);
    if (!name) {
      if (/\b(lost|overflow|Q_OVERFLOW)\b/.test(line)) lost++;
      continue;
    }
    lines++;
    files.add(Number(name[1]));
    if (TELLS_OPEN.test(line)) opens++;
  }
  return { lines, opens, distinct: files.size, lost };
}

/** What a reader of the bench's own says on its last line. */
export interface Sums extends Delays {
  readonly events: number;
  readonly reads: number;
  readonly overflows: number;
  readonly largestBatch?: number;
  readonly distinct?: number;
}

/**
 * @throws BenchError when there was an event without a path, a pid or a descriptor that it should have: it did less than it was measured for.
 */
export function readSums(file: string): Sums {
  const sums = lastLine(file) as Sums & { readonly unknownPaths?: number; readonly withoutDescriptor?: number };
  if (sums.unknownPaths) throw new BenchError(`${sums.unknownPaths} events came without a path or pid`);
  if (sums.withoutDescriptor) throw new BenchError(`${sums.withoutDescriptor} events came without a descriptor`);
  return sums;
}

/** What a decider of the bench's own says on its last line. */
export interface Decisions {
  readonly decisions: number;
  /** Given again by the responder. */
  readonly cached?: number;
  /** Files that the kernel was told to ignore. */
  readonly ignored?: number;
  /** Let in by the responder, being outside of the subtree, and the directories there that the kernel was told to ignore. */
  readonly outside?: number;
  readonly ignoredOutside?: number;
}

/**
 * @throws BenchError when anything was not decided by who is measured: it did less than it was measured for.
 */
export function readDecisions(file: string): Decisions {
  const sums = lastLine(file) as Decisions & { readonly failures?: number };
  if (sums.failures) throw new BenchError(`${sums.failures} opens were decided by onTimeout or onError`);
  return sums;
}

/** How long a start took, in milliseconds, as the programs of "core-start" say it. */
export interface Start {
  /** With the process that is started. */
  readonly firstMs: number;
  /** Of each one after that. */
  readonly eachMs?: number;
}

export function readStart(file: string): Start {
  return lastLine(file) as Start;
}

function lastLine(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? '');
}
