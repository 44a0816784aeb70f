// What the simulated machine refuses, as Node tells it.

import { fileURLToPath } from 'node:url';
import { getSystemErrorMap } from 'node:util';
import { errnoName, KernelError } from '../../../src/kernel/error.ts';
import { pathOf } from '../../../src/simulated/seam/caller.ts';
import type { Blocking } from '../../../src/simulated/wait.ts';
import { keepTime, kernel } from './machine.ts';

export type PathLike = string | Uint8Array | URL;

/** Makes a call of the test's process, which may wait; what is refused is thrown as Node does. */
export function attempt<T>(syscall: string, operation: () => T | Blocking<T>, path?: PathLike, dest?: PathLike): T {
  keepTime();
  try {
    return kernel.make(begun(operation));
  } catch (error) {
    throw toldByNode(error, syscall, path, dest);
  }
}

function* begun<T>(operation: () => T | Blocking<T>): Blocking<T> {
  const result = operation();
  return isBlocking(result) ? yield* result : result;
}

function isBlocking<T>(result: T | Blocking<T>): result is Blocking<T> {
  return typeof result === 'object' && result !== null && Symbol.iterator in result && 'throw' in result;
}

/** A path as the machine has it: a binary string. */
export function machinePath(path: PathLike): string {
  return pathOf(path instanceof URL ? fileURLToPath(path) : path);
}

/** As node:fs throws it: uvException of lib/internal/errors.js. */
export function toldByNode(error: unknown, syscall: string, path?: PathLike, dest?: PathLike): unknown {
  if (!(error instanceof KernelError)) return error;
  const code = errnoName(error.errno) ?? `errno ${error.errno}`;
  const paths = [path, dest].filter((each) => each !== undefined).map((each) => `'${textOf(each)}'`);
  const told = new Error(`${code}: ${sentenceOf(code)}, ${[syscall, paths.join(' -> ')].filter(Boolean).join(' ')}`);
  return Object.assign(told, {
    errno: -error.errno,
    code,
    syscall,
    ...(path !== undefined && { path: textOf(path) }),
    ...(dest !== undefined && { dest: textOf(dest) }),
  });
}

function textOf(path: PathLike): string {
  return path instanceof Uint8Array ? Buffer.from(path).toString() : String(path);
}

function sentenceOf(code: string): string {
  for (const [name, sentence] of getSystemErrorMap().values()) if (name === code) return sentence;
  return 'unknown error';
}
