// A fanotifyd of the bench's own, for contestants that go through it: root is granted everything, everybody else what everybody may.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { settled } from './attend.ts';
import { BenchError } from './error.ts';

const START_MS = 20_000;
/** Its directories have to be root's: others could put another configuration there. */
const PLACE = '/run/fanotify-bench-';
const CONFIGURATION = `version: 1
limits: { groups: 4096, queueBytes: 67108864, requestsPerSecond: 1000000, pending: 4096 }
grants: [{ users: root, all: true, decide: true, system: true, pids: true }]
log: { level: error }
`;

export interface Daemon {
  readonly socket: string;
  readonly pid: number;
  end(): void;
}

/**
 * Starts a daemon, with its child processes, and waits until it serves and has nothing left to do.
 *
 * @throws BenchError when it does not.
 */
export async function startDaemon(): Promise<Daemon> {
  const place = mkdtempSync(PLACE);
  chmodSync(place, 0o755);
  const [socket, file] = [join(place, 'socket'), join(place, 'fanotifyd.yaml')];
  writeFileSync(file, `${CONFIGURATION}socket: { path: ${socket} }\nadmin: ${join(place, 'admin')}\n`);
  const manifest = createRequire(import.meta.url).resolve('fanotifyd/package.json');
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: { fanotifyd: string } };
  const program = join(dirname(manifest), bin.fanotifyd);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, program, '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // Whoever starts it may become an ordinary user, who can neither end it nor remove anything.
  const cleaning = ['-c', 'read end; kill -9 "$1"; rm -rf "$0"', place, String(pidOf(child))];
  spawn('sh', cleaning, { stdio: ['pipe', 'ignore', 'ignore'] }).unref();
  const end = () => void child.kill('SIGKILL');
  for (const until = performance.now() + START_MS; !existsSync(socket); await delay(5)) {
    if (child.exitCode === null && performance.now() < until) continue;
    end();
    throw new BenchError('fanotifyd does not serve');
  }
  // Whoever comes to a daemon finds one that has been there for a while, and so have its visitors.
  await settled(pidOf(child));
  return { socket, pid: pidOf(child), end };
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new BenchError('fanotifyd does not start');
  return pid;
}
