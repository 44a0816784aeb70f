// Paths as the kernel has them: bytes, with a string beside them when they are valid UTF-8.

import { isUtf8 } from 'node:buffer';

/**
 * When a path was true.
 *
 * - `event`: the path that the object had when the event happened; the part above the marked directory or mount point
 *   is as of reading.
 * - `reading`: the path that it had when the event was read.
 */
export type PathAsOf = 'event' | 'reading';

/** The string of bytes that are valid UTF-8; null otherwise. */
export function textOf(bytes: Buffer): string | null {
  return isUtf8(bytes) ? bytes.toString('utf8') : null;
}

/** A directory's path, and when it was true. */
export class ResolvedPath {
  readonly raw: Buffer;
  readonly text: string | null;
  readonly asOf: PathAsOf;
  /** What a name in this directory starts with. */
  readonly prefix: string | null;

  constructor(raw: Buffer, asOf: PathAsOf) {
    this.raw = raw;
    this.text = textOf(raw);
    this.asOf = asOf;
    this.prefix = this.text === null || this.text === '/' ? this.text : `${this.text}/`;
  }

  /** The path of an entry. */
  child(name: Buffer): ResolvedPath {
    return new ResolvedPath(joinPath(this.raw, name), this.asOf);
  }
}

/** `directory`/`name`, in bytes. */
export function joinPath(directory: Buffer, name: Buffer): Buffer {
  const { length } = directory;
  // '/' itself, or a directory as somebody typed it.
  const start = directory[length - 1] === SLASH ? length : length + 1;
  const path = Buffer.allocUnsafe(start + name.length);
  path.set(directory);
  path[start - 1] = SLASH;
  path.set(name, start);
  return path;
}

/** The directory that an absolute path is in; '/' is in itself. */
export function parentOf(absolute: Buffer): Buffer {
  return absolute.subarray(0, Math.max(1, absolute.lastIndexOf(SLASH)));
}

/** Whether an absolute path is a directory's, or of something in it or deeper. */
export function isWithin(path: Buffer, directory: Buffer): boolean {
  const { length } = directory;
  if (path.length < length || path.compare(directory, 0, length, 0, length) !== 0) return false;
  return path.length === length || path[length] === SLASH || directory[length - 1] === SLASH;
}

const SLASH = 0x2f;
