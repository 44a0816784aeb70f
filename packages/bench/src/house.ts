// A directory to build in, with all that it takes: a compiler, Node.js, their libraries. Whoever is in it (chroot) opens nothing else.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from './error.ts';

/** What a build opens of this machine, as far as it is here. */
const TOOLS = [
  '/usr/bin',
  '/usr/include',
  '/usr/lib/gcc',
  '/usr/libexec/gcc',
  '/usr/lib/node_modules',
  '/usr/share/nodejs',
  `/usr/lib/${triplet()}`,
  '/etc/passwd',
  '/etc/group',
  '/etc/ld.so.cache',
  '/etc/alternatives',
];
/** The programs that load programs, by the name that these have for them. */
const LOADERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'];
/** Where the usual names of directories lead to. */
const LINKS = { bin: 'usr/bin', lib: 'usr/lib', lib64: 'usr/lib64', sbin: 'usr/bin' };
const LONGEST_MS = 300_000;

/** Furnishes a directory. */
export function furnishHouse(house: string): void {
  for (const name of ['usr/lib', 'usr/lib64', 'etc', 'tmp', 'dev']) mkdirSync(join(house, name), { recursive: true });
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, join(house, name));
  const paths = [...TOOLS, ...LOADERS].filter((path) => existsSync(path));
  execFileSync('cp', ['-a', '--parents', ...paths, house], { stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('chmod', ['1777', join(house, 'tmp')]);
  for (const [name, major, minor] of [
    ['null', '1', '3'],
    ['urandom', '1', '9'],
  ] as const) {
    execFileSync('mknod', ['-m', '666', join(house, 'dev', name), 'c', major, minor]);
  }
}

/**
 * Runs a command in the house.
 *
 * @returns How many seconds it took.
 */
export async function runInHouse(
  house: string,
  user: number,
  directory: string,
  ...command: string[]
): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(
    '/usr/sbin/chroot',
    [`--userspec=${user}:${user}`, house, 'sh', '-c', `cd ${directory} && exec "$@"`, 'sh', ...command],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: '/usr/bin', HOME: directory },
      timeout: LONGEST_MS,
    },
  );
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const [status] = await once(child, 'close');
  if (status !== 0)
    throw new BenchError(`${command.join(' ')} ended with status ${status}: ${said.trim().slice(-400)}`);
  return (performance.now() - startedMs) / 1000;
}

/** As Debian names the libraries' directory. */
function triplet(): string {
  return `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
}
