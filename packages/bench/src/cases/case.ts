// A case: something happens to a tree that is watched, in one or more steps, and after each the state that was told has to be that on
// disk.

import { execFile } from 'node:child_process';
import { BenchError } from '../error.ts';
import type { FileSystem } from '../ground.ts';
import type { Room } from '../room.ts';
import type { Watcher } from '../watcher.ts';

export interface Step {
  /** Of its figures. */
  readonly key: string;
  /** The heading of its column. */
  readonly label: string;
  /** To its end. `tree` is the directory that is watched. */
  readonly run: (tree: string, room: Room, watcher: Watcher) => Promise<void>;
}

export interface Case {
  readonly fileSystem: FileSystem;
  /** Before anybody watches, in the empty tree. A BenchError: the case cannot be here, and why. */
  readonly prepare?: (tree: string, room: Room) => Promise<void>;
  readonly steps: readonly Step[];
}

const PROGRAM_MS = 120_000;

/**
 * Runs a program to its end.
 *
 * @throws BenchError when it fails, with what it said last, or is not there.
 */
export function runProgram(
  command: string,
  args: readonly (string | number)[],
  { cwd, env = process.env }: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(command, args.map(String), { cwd, env, timeout: PROGRAM_MS }, (error, _, stderr) => {
      if (!error) return resolve();
      const said = stderr.trim().split('\n').at(-1) || error.message;
      reject(new BenchError(`${command} failed: ${said}`));
    });
  });
}

const made = new Map<string, Promise<string>>();

/** Makes something that loads are made from, once in a run of the bench, in a directory of its own on the disk. */
export function madeOnce(room: Room, name: string, make: (directory: string) => Promise<void>): Promise<string> {
  const directory = `${room.store}/${name}`;
  const making = made.get(directory) ?? make(directory).then(() => directory);
  made.set(directory, making);
  return making;
}
