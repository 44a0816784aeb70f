// Who takes part: programs that are here are found, the others are skipped by name with what would bring them.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Room } from './room.ts';

export interface Contestant {
  readonly name: string;
  /** The program and its arguments, started in the watched directory. */
  readonly command: readonly string[];
  /** It watches nothing: it is there to be compared with. */
  readonly marksNothing?: true;
  /** It runs as this user, without privilege, where the scenario says so; else as root. */
  readonly user?: number;
  /** Where the scenario says so, a daemon serves it, which is not measured with it. */
  readonly daemon?: true;
}

export interface Skipped {
  readonly name: string;
  readonly because: string;
}

/** The programs of src/programs, built. */
const PROGRAMS = join(import.meta.dirname, 'programs');

/** A program of the bench's own that uses the library. */
export function libraryProgram(name: string, program: string, ...args: readonly string[]): Contestant {
  return { name, command: [process.execPath, join(PROGRAMS, `${program}.js`), ...args] };
}

/** A C program of the bench's own. */
export function nativeProgram(room: Room, name: string, program: string, ...args: readonly string[]): Contestant {
  return { name, command: [room.tool(program), ...args] };
}

/** Node.js that does nothing but start: what everything written for it costs at least. */
export function bareNode(script: string): Contestant {
  return { name: `node -e '${script}'`, command: [process.execPath, '-e', script], marksNothing: true };
}

/** Nobody at all. */
export function nothingMarked(name: string): Contestant {
  return { name, command: ['sleep', 'infinity'], marksNothing: true };
}

/** The command `fanotify`, if it has that subcommand. */
export function command(subcommand: string, ...args: readonly string[]): Contestant | Skipped {
  const name = `fanotify ${[subcommand, ...args].join(' ')}`;
  const manifest = createRequire(import.meta.url).resolve('fanotify/package.json');
  const { bin } = createRequire(import.meta.url)(manifest) as { bin: { fanotify: string } };
  const program = [process.execPath, join(dirname(manifest), bin.fanotify)];
  const help = spawnSync(program[0] ?? '', [...program.slice(1), 'help', subcommand], { stdio: 'ignore' });
  if (help.status !== 0) return { name, because: `this fanotify has no command '${subcommand}'` };
  return { name, command: [...program, subcommand, ...args] };
}

/** fatrace, on the file system of the working directory. */
export function fatrace(...args: readonly string[]): Contestant | Skipped {
  return peer('fatrace', 'fatrace', '-c', ...args);
}

/** fsnotifywait, on the file system of the working directory. */
export function fsnotifywait(...args: readonly string[]): Contestant | Skipped {
  return peer('fsnotifywait', 'inotify-tools', '-m', '-S', ...args, '.');
}

/** What setpriv(1) takes to run a program as an ordinary user. */
export function identity(user: number): string[] {
  return ['--reuid', String(user), '--regid', String(user), '--clear-groups'];
}

/** Whether it is somebody else's program: what it does under a load is its own affair, and reported. */
export function isPeer({ name }: Contestant): boolean {
  return /^(fatrace|fsnotifywait) /.test(name);
}

function peer(program: string, debianPackage: string, ...args: readonly string[]): Contestant | Skipped {
  const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { env: { PATH }, encoding: 'utf8' });
  const path = found.stdout.trim();
  if (path === '') return { name: program, because: `not installed: apt-get install ${debianPackage}` };
  const version = versionOf(debianPackage);
  const name = [program, ...(version === undefined ? [] : [version]), ...args].join(' ');
  return { name, command: [path, ...args] };
}

/** The version of a Debian package: "fatrace\t0.17.0-1". Not every program tells its own. */
export function versionOf(debianPackage: string): string | undefined {
  const asked = spawnSync('dpkg-query', ['--show', debianPackage], { encoding: 'utf8' });
  return /\t([^-\s]+)/.exec(asked.stdout ?? '')?.[1];
}
