// The configuration's file decides who may hear of what: nobody but root may be able to change it.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { ConfigError } from './config-text.ts';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** As the kernel: path_resolution(7). */
const MOST_LINKS = 40;

type Owned = Pick<Stats, 'uid' | 'mode'>;

/** A file's text, and why somebody else could change it: sentences. */
export function readTrusted(file: string): { readonly text: string; readonly doubts: readonly string[] } {
  let fd = -1;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(fd);
    if (!status.isFile()) throw new Error('it is no file');
    const doubts = [...doubtsOf(file, status), ...doubtsOnTheWay(file)];
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

function doubtsOf(path: string, { uid, mode }: Owned, chown = 'chown'): string[] {
  const doubts: string[] = [];
  // A daemon that is not root has less to give than whoever started it.
  if (uid !== 0 && uid !== process.geteuid?.()) {
    doubts.push(`${path} belongs to user ${uid}, who could grant anything: ${chown} root ${path}`);
  }
  if ((mode & OTHERS_WRITE) !== 0) doubts.push(`others than its owner can write ${path}: chmod go-w ${path}`);
  return doubts;
}

/**
 * Who can write a directory puts another file in the place of one in it; where it is sticky, of his own alone. That holds of each
 * directory on the way, of those that symbolic links are in as well.
 */
function doubtsOnTheWay(file: string): string[] {
  const doubts = new Set<string>();
  let directory = '/';
  let links = 0;
  const left = partsOf(resolve(file));
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    if (part === '..') {
      directory = dirname(directory);
      continue;
    }
    for (const doubt of doubtsOfDirectory(directory)) doubts.add(doubt);
    const path = join(directory, part);
    const status = lstatSync(path);
    if (!status.isSymbolicLink()) {
      directory = path;
      continue;
    }
    if (++links > MOST_LINKS) throw new Error('it leads through too many symbolic links');
    // Everybody may write a link's mode, and nobody the link.
    for (const doubt of doubtsOf(path, withoutMode(status), 'chown -h')) doubts.add(doubt);
    const target = readlinkSync(path);
    if (isAbsolute(target)) directory = '/';
    left.unshift(...partsOf(target));
  }
  return [...doubts];
}

function doubtsOfDirectory(path: string): string[] {
  const status = statSync(path);
  return doubtsOf(path, (status.mode & STICKY) !== 0 ? withoutMode(status) : status);
}

function withoutMode({ uid }: Owned): Owned {
  return { uid, mode: 0 };
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
