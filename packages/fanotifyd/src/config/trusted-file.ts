// The configuration's file decides who may hear of what: nobody but root may be able to change it.

import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from './config-text.ts';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** A file's text, and why somebody else could change it: sentences. */
export function readTrusted(file: string): { readonly text: string; readonly doubts: readonly string[] } {
  let fd = -1;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(fd);
    if (!status.isFile()) throw new Error('it is no file');
    const doubts = [...doubtsOf(file, status), ...directoryDoubts(dirname(realpathSync(file)))];
    return { text: readFileSync(fd, 'utf8'), doubts };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'it does not exist' : (code ?? message);
    const problem = { line: 1, column: 1, message: `the configuration cannot be read: ${why}` } as const;
    throw new ConfigError(file, [{ ...problem, severity: 'error', about: 'syntax' }], code === 'ENOENT');
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

function doubtsOf(path: string, { uid, mode }: Stats): string[] {
  const doubts: string[] = [];
  // A daemon that is not root has less to give than whoever started it.
  if (uid !== 0 && uid !== process.geteuid?.()) {
    doubts.push(`${path} belongs to user ${uid}, who could grant anything: chown root ${path}`);
  }
  if ((mode & OTHERS_WRITE) !== 0) doubts.push(`others than its owner can write ${path}: chmod go-w ${path}`);
  return doubts;
}

/** Who can write a directory puts another file in the place of one in it; where it is sticky, of his own alone. */
function directoryDoubts(path: string): string[] {
  const status = statSync(path);
  const isSticky = (status.mode & STICKY) !== 0;
  const doubts = doubtsOf(path, isSticky ? ({ uid: status.uid, mode: 0 } as Stats) : status);
  return [...doubts, ...(path === '/' ? [] : directoryDoubts(dirname(path)))];
}
