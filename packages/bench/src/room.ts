// The measuring room: a tmpfs to be watched, another for what is printed, and the C programs, compiled on the spot. All of it is in
// a mount namespace of its own and goes when the bench ends.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from './error.ts';

const SOURCES = join(import.meta.dirname, '../c');
/**
 * Where the watched file system is mounted: root's all the way up, which the place for temporary files is not. A guard lets the kernel
 * ignore files that nobody but root can move away.
 */
const ROOTS_PLACE = '/run';
/** Of each of the two file systems, at most: a compiler, Node.js and what is built with them need the most of it. */
const SIZE_MIB = 3072;

export interface Room {
  /** The root of the file system that is watched, and nothing else is on. */
  readonly watched: string;
  /** A directory on another file system, for what contestants print. */
  readonly output: string;
  /** A directory on the disk that stays as it is until the bench ends: for what loads are made from. */
  readonly store: string;
  /** A directory for temporary files, of every user. */
  readonly temporary: string;
  /** How large loads are: 1 is what the tables of docs/PERFORMANCE.md were made with. */
  readonly scale: number;
  /** The path of a C program of packages/bench/c. */
  tool(name: string): string;
  /** A number of files, events or the like, in scale. */
  scaled(number: number): number;
  /** Empties both file systems. */
  empty(): void;
}

/** Furnishes the room. It is cleared when the process ends. */
export function openRoom(scale: number): Room {
  const base = mkdtempSync(join(tmpdir(), 'fanotify-bench-'));
  const watched = mkdtempSync(join(ROOTS_PLACE, 'fanotify-bench-'));
  const place = (name: string) => join(base, name);
  const [output, tools, store, temporary] = [place('output'), place('tools'), place('store'), place('temporary')];
  for (const directory of [output, tools, store, temporary]) mkdirSync(directory);
  // Some contestants are ordinary users.
  chmodSync(base, 0o711);
  chmodSync(temporary, 0o1777);
  const mounted: string[] = [];
  process.once('exit', () => {
    for (const directory of mounted) spawnSync('umount', ['--lazy', directory]);
    for (const directory of [base, watched]) rmSync(directory, { recursive: true, force: true });
  });
  const mount = (directory: string) => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m,mode=0755`, 'fanotify-bench', directory]);
    mounted.push(directory);
  };
  const unmount = (directory: string) => {
    mounted.splice(mounted.indexOf(directory), 1);
    execFileSync('umount', ['--lazy', directory]);
  };
  compile(tools);
  for (const directory of [watched, output]) mount(directory);
  return {
    watched,
    output,
    store,
    temporary,
    scale,
    tool: (name) => join(tools, name),
    scaled: (number) => Math.max(1, Math.round(number * scale)),
    empty: () => {
      for (const directory of [watched, output]) {
        unmount(directory);
        mount(directory);
      }
    },
  };
}

function compile(tools: string): void {
  for (const source of readdirSync(SOURCES).filter((name) => name.endsWith('.c'))) {
    const program = join(tools, source.replace(/\.c$/, ''));
    const { error, status, stderr } = spawnSync('cc', ['-O2', '-o', program, join(SOURCES, source), '-lutil'], {
      encoding: 'utf8',
    });
    if (error) throw new BenchError('bench needs a C compiler: apt-get install gcc libc6-dev');
    if (status !== 0) throw new BenchError(`${source} does not compile here: ${stderr.trim()}`);
  }
}
