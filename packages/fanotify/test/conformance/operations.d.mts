import type { Operation, Outcome } from './case.ts';

export class Operator {
  run(operation: Operation): Outcome;
  descriptor(name: string): number;
  closeAll(): void;
}
export function openFlags(names: readonly string[]): number;
export function pipe(): [number, number];
export function closeOnExec(fd: number): void;
export function setEffectiveUid(uid: number): void;
export function getDescriptorLimit(): bigint;
export function setDescriptorLimit(soft: bigint): void;
export function pageSize(): number;
