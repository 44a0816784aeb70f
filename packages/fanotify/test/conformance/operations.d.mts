import type { Operation, Outcome } from './case.ts';

export class NoDescriptorError extends Error {}
export class Operator {
  constructor(missing?: number);
  run(operation: Operation): Outcome;
  descriptor(name: string): number;
  closeAll(): void;
}
export function errnoWord(errno: number): string;
export function openFlags(names: readonly string[]): number;
export function pipe(): [number, number];
export function closeOnExec(fd: number): void;
export function withLock<T>(path: string, call: () => T): T;
export function setEffectiveUid(uid: number): void;
export function getDescriptorLimit(): bigint;
export function setDescriptorLimit(soft: bigint): void;
export function pageSize(): number;
