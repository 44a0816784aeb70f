// A mount namespace of the bench's own: nothing that it mounts is seen outside or left behind.

import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { BenchError } from './error.ts';

const MARKER = 'FANOTIFY_BENCH_NAMESPACE';

/** No guard of the bench holds anything but file systems that it has mounted. */
const ONLY_OWN = { FANOTIFY_GUARD_ONLY: `${tmpdir()}:/run` };

/** Whether this process is in one already. */
export const isInNamespace: boolean = process.env[MARKER] === '1';

/** Runs this program again in one; resolves with its exit status. */
export async function runInNamespace(): Promise<number> {
  if (process.getuid?.() !== 0) throw new BenchError('bench needs root: it watches a tmpfs that it mounts for itself');
  const again = ['--mount', '--propagation', 'private', process.execPath, ...process.argv.slice(1)];
  const child = spawn('unshare', again, { stdio: 'inherit', env: { ...process.env, ...ONLY_OWN, [MARKER]: '1' } });
  // Ctrl-C reaches it by itself, being of the same process group.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', () => reject(new BenchError('bench needs unshare: apt-get install util-linux')));
    child.once('exit', (status) => resolve(status ?? 1));
  });
}
