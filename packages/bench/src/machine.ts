// The machine that figures were measured on.

import { readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** Load average of the last minute as the bench started: others at work make figures worse. */
  readonly loadBefore: number;
}

export function thisMachine(): Machine {
  const cpu = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown CPU';
  return {
    cpu: cpu.trim(),
    cores: availableParallelism(),
    kernel: release(),
    node: process.versions.node,
    loadBefore: Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]),
  };
}

export function machineText({ cpu, cores, kernel, node, loadBefore }: Machine): string {
  return `${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}; load average ${loadBefore.toFixed(2)} before.`;
}
