// Other programs that open, change and hold files: accesses that a guard is asked about are never those of the test's own process.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const NOBODY = 65_534;

const NO_SUCH_WAY = 2;

/** Whether there is a compiler for the program that changes files. */
export const hasCompiler: boolean = spawnSync('cc', ['--version']).status === 0;

/** The program of c/change.c. */
export interface Changer {
  /**
   * Changes a file.
   *
   * @returns False where this file system or kernel knows no such way.
   */
  change(way: string, path: string, uid: number): Promise<boolean>;
  /** Starts a way of `held-…`: resolves when it holds the file. Undefined where there is no such way. */
  hold(way: string, path: string, uid: number): Promise<Holder | undefined>;
  remove(): void;
}

/** Somebody who has prepared to change a file. */
export interface Holder {
  /** Lets him change it; resolves when he has done so and ended. */
  go(): Promise<void>;
}

/** Compiles it. */
export function compileChanger(): Changer {
  const directory = mkdtempSync(join(tmpdir(), 'fanotify-change-'));
  chmodSync(directory, 0o755);
  const program = join(directory, 'change');
  const source = join(import.meta.dirname, 'c/change.c');
  const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`change.c does not compile here: ${stderr}`);
  return {
    async change(way, path, uid) {
      const child = spawn(program, [way, path], { uid, gid: uid, stdio: ['ignore', 'ignore', 'pipe'] });
      return isKnown(way, await ended(child));
    },
    async hold(way, path, uid) {
      const child = spawn(program, [way, path], { uid, gid: uid, stdio: ['pipe', 'pipe', 'pipe'] });
      const end = ended(child);
      const lines = createInterface(child.stdout);
      const isHeld = await Promise.race([once(lines, 'line').then(() => true), end.then(() => false)]);
      if (!isHeld) {
        isKnown(way, await end);
        return undefined;
      }
      return {
        async go() {
          child.stdin.end('\n');
          isKnown(way, await end);
        },
      };
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** Reads a file in another process; false when it is denied. */
export async function reads(path: string, uid: number): Promise<boolean> {
  const { code, stderr } = await ended(spawn('cat', [path], { uid, gid: uid, stdio: ['ignore', 'ignore', 'pipe'] }));
  if (code === 0) return true;
  if (stderr.includes('Operation not permitted')) return false;
  throw new Error(`cat ended with ${code}: ${stderr}`);
}

/** Executes a program in a process that has executed another before. */
export async function executes(path: string): Promise<boolean> {
  const { code } = await ended(spawn('sh', ['-c', `exec ${path}`], { stdio: ['ignore', 'ignore', 'pipe'] }));
  return code === 0;
}

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

async function ended(child: ChildProcess): Promise<Ended> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

function isKnown(way: string, { code, stderr }: Ended): boolean {
  if (code === 0) return true;
  if (code === NO_SUCH_WAY) return false;
  throw new Error(`change ${way} ended with ${code}: ${stderr}`);
}
