// Snapshots that @parcel/watcher wrote before a program changed its import, read as they are.
//
// The file: the number of entries and a line feed; then for each, in no order, the length of its path in bytes, the path, its time of
// modification in nanoseconds, a space, 1 for a directory or 0, and a line feed.

import { readFile } from 'node:fs/promises';
import type { EntryType } from '../change.ts';
import { SnapshotError } from '../errors.ts';
import type { Before } from './since.ts';

/** What it kept of an entry. */
export interface OriginalKnown {
  readonly type: EntryType;
  readonly mtimeNs: bigint;
}

const LINE_FEED = 0x0a;
const SLASH = 0x2f;
/** Beginning of an absolute path, after two numbers. */
const BEGINNING = /^\d{1,10}\n\d{1,5}\//;

/** Whether a file that begins so is one. */
export function isOriginalSnapshot(beginning: Buffer): boolean {
  return BEGINNING.test(beginning.toString('latin1', 0, 32));
}

/**
 * Reads one, in the order of the file.
 *
 * @throws SnapshotError when it was cut off or changed.
 */
export async function readOriginalSnapshot(path: string): Promise<Before<OriginalKnown>[]> {
  const bytes = await readFile(path);
  const entries: Before<OriginalKnown>[] = [];
  const damaged = new SnapshotError(
    `${JSON.stringify(path)} is a snapshot of @parcel/watcher that was cut off or changed: write another`,
    'damaged',
    path,
  );
  let at = bytes.indexOf(LINE_FEED) + 1;
  const count = Number(bytes.toString('latin1', 0, at - 1));
  while (at < bytes.length) {
    const start = bytes.indexOf(SLASH, at);
    const end = start + Number(bytes.toString('latin1', at, start));
    const lineEnd = bytes.indexOf(LINE_FEED, end);
    const [, mtimeNs, isDirectory] = /^(\d+) ([01])$/.exec(bytes.toString('latin1', end, lineEnd)) ?? [];
    if (start < 0 || lineEnd < 0 || mtimeNs === undefined) throw damaged;
    const type = isDirectory === '1' ? 'directory' : 'other';
    entries.push({ path: bytes.subarray(start, end), known: { type, mtimeNs: BigInt(mtimeNs) } });
    at = lineEnd + 1;
  }
  if (entries.length !== count) throw damaged;
  return entries;
}
