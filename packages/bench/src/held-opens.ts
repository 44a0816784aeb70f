// Opens that a contestant decides on: how long each is held, and what all of them cost it.

import { attend } from './attend.ts';
import type { Contestant } from './contestant.ts';
import { BenchError } from './error.ts';
import { runOpeners } from './load.ts';
import { treeCpuNs } from './processes.ts';
import type { Room } from './room.ts';
import { readDecisions } from './told.ts';

export interface HeldLoad {
  /** That open at a time. */
  readonly processes: number;
  readonly files: number;
  /** Of each process. */
  readonly opens: number;
  /** Of each process, before anything is measured: V8 has compiled what runs often by then. */
  readonly warmUpOpens: number;
  /** How many are asked about each open. */
  readonly deciders?: number;
}

/** @throws BenchError when there were fewer decisions than opens, or more. */
export async function heldOpens(
  contestant: Contestant,
  room: Room,
  { processes, files, opens, warmUpOpens, deciders = 1 }: HeldLoad,
  ready: (pid: number) => Promise<unknown> = async () => undefined,
): Promise<Readonly<Record<string, number>>> {
  const { result, outputFile } = await attend(contestant, room, async (pid) => {
    await ready(pid);
    const warmUp = await runOpeners(room, { processes, files, opens: warmUpOpens });
    const before = treeCpuNs(pid);
    const measured = await runOpeners(room, { processes, files, opens });
    const cpuUs = (treeCpuNs(pid) - before) / measured.opens / 1e3;
    return {
      p50Us: measured.p50Ns / 1e3,
      p99Us: measured.p99Ns / 1e3,
      p999Us: measured.p999Ns / 1e3,
      maxUs: measured.maxNs / 1e3,
      totalMs: measured.totalNs / 1e6,
      cpuUs,
      cpuPerDecisionUs: cpuUs / deciders,
      opens: warmUp.opens + measured.opens,
    };
  });
  const { decisions } = readDecisions(outputFile);
  if (decisions !== result.opens * deciders) {
    throw new BenchError(`of ${result.opens} opens, for ${deciders} each, ${decisions} were decided`);
  }
  return result;
}
