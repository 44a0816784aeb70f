// ClamAV's daemon, started for one measurement with signatures that are made here, beside one that the machine may run.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from './error.ts';
import type { Room } from './room.ts';

const PROGRAM = '/usr/sbin/clamd';
const DEBIAN_USER = 'clamav';
const START_MS = 20_000;

/** Whether it is installed. */
export const hasClamd: boolean = existsSync(PROGRAM);

export interface Clamd {
  readonly pid: number;
  end(): Promise<void>;
}

/** Where what reads clamd's configuration finds it: the same for every measurement. */
export function configurationOf(room: Room): string {
  return join(room.store, 'clamd.conf');
}

export function socketOf(room: Room): string {
  return join(room.temporary, 'clamd.sock');
}

/**
 * Starts one; resolves when it listens.
 *
 * @param watched What clamonacc, which reads the same configuration, is to watch.
 */
export async function startClamd(room: Room, watched: string): Promise<Clamd> {
  const directory = mkdtempSync(join(room.temporary, 'clamd-'));
  const databases = join(directory, 'databases');
  mkdirSync(databases);
  // What nobody has: files are looked through for it.
  writeFileSync(
    join(databases, 'bench.ndb'),
    `Bench.Nothing:0:*:${Buffer.from('what nobody has in a file').toString('hex')}\n`,
  );
  const { uid, gid } = statSync(`/proc/${process.pid}`);
  const user = userOf(DEBIAN_USER);
  for (const path of [directory, databases]) chownSync(path, user?.uid ?? uid, user?.gid ?? gid);
  const lines = [
    'Foreground yes',
    `LocalSocket ${socketOf(room)}`,
    `DatabaseDirectory ${databases}`,
    `LogFile ${join(directory, 'log')}`,
    `TemporaryDirectory ${directory}`,
    `User ${user ? DEBIAN_USER : 'root'}`,
    // It denies nothing of what it watches by OnAccessMountPath.
    `OnAccessIncludePath ${watched}`,
    'OnAccessPrevention yes',
    `OnAccessExcludeUname ${user ? DEBIAN_USER : 'root'}`,
  ];
  writeFileSync(configurationOf(room), `${lines.join('\n')}\n`);
  const child = spawn(PROGRAM, ['--config-file', configurationOf(room)], { stdio: 'ignore' });
  const end = async () => {
    await ended(child);
    rmSync(directory, { recursive: true, force: true });
    rmSync(socketOf(room), { force: true });
  };
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  for (const until = performance.now() + START_MS; !(await listens(socketOf(room))); await delay(10)) {
    if (child.exitCode === null && performance.now() < until) continue;
    const log = readFileSync(join(directory, 'log'), 'utf8');
    await end();
    throw new BenchError(`clamd does not start: ${log.trim().slice(-500)}`);
  }
  return { pid: child.pid ?? 0, end };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

async function listens(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function userOf(name: string): { readonly uid: number; readonly gid: number } | undefined {
  const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
