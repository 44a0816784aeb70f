// A tree as it was told, in a file, so that a later watch can tell what has changed since.
//
// The file: a line with the version; a header (length, JSON); blocks of entries (length, bytes) with a length of 0 at the end; a CRC-32 of
// all that. Lengths and sum are 32-bit numbers, little-endian.

import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Listed } from './baseline.ts';
import { BlockReader, BlockWriter } from './block.ts';
import { SnapshotError } from './errors.ts';
import { comparePaths, isAtOrBelow } from './path-order.ts';
import { damaged, onDisk, SummedFile } from './summed-file.ts';

const NAME = 'fanotify-snapshot ';
const VERSION = 1;
const BLOCK_BYTES = 65_536;
/** About 5 ms of work. */
const BLOCKS_AT_ONCE = 4;
const MOST_HEADER_BYTES = 64 * 1024 * 1024;

/** What a snapshot is of. */
export interface SnapshotHeader {
  /** Absolute paths, as they were resolved. */
  readonly roots: readonly Buffer[];
  /** When it was begun, in milliseconds since 1970. */
  readonly timeMs: number;
  /** What the watch was asked for, as far as it says which entries there are: `ignore`, `recursive`, `crossMounts`. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** An open snapshot. */
export interface Snapshot extends SnapshotHeader {
  /** What was at `root` and below, in order. `isExcluded` leaves out what the watch that reads it leaves out, so that it is not gone. */
  entries(root: Buffer, isExcluded?: (path: Buffer) => boolean): Iterable<Listed>;
  /** Safe to call twice. */
  close(): void;
}

/**
 * Writes a snapshot: it is there as a whole or not at all, also after a power failure. What was at `path` is replaced. Gives the loop back
 * now and then, when entries may not change.
 *
 * @param entries In the order of comparePaths.
 * @throws SnapshotError when it cannot be written. BaselineError when `entries` throws that.
 */
export async function writeSnapshot(path: string, header: SnapshotHeader, entries: Iterable<Listed>): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  let fd: number | undefined;
  try {
    fd = onDisk(path, 'written', () => openSync(temporary, 'wx', 0o666));
    await writeAll(new SummedFile(fd, path), header, entries);
    const written = fd;
    onDisk(path, 'written', () => {
      fsyncSync(written);
      closeSync(written);
      fd = undefined;
      renameSync(temporary, path);
      syncDirectory(directory);
    });
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function writeAll(file: SummedFile, header: SnapshotHeader, entries: Iterable<Listed>): Promise<void> {
  file.write(Buffer.from(`${NAME}${VERSION}\n`));
  const roots = header.roots.map((root) => root.toString('latin1'));
  file.writeWithLength(Buffer.from(JSON.stringify({ ...header, roots })));
  const block = new BlockWriter(BLOCK_BYTES);
  let blocks = 0;
  for (const { path, known } of entries) {
    block.add(path, known);
    if (block.length < BLOCK_BYTES) continue;
    file.writeWithLength(block.bytes());
    block.clear();
    if (++blocks % BLOCKS_AT_ONCE === 0) await turn();
  }
  if (block.length > 0) file.writeWithLength(block.bytes());
  file.writeWithLength(Buffer.alloc(0));
  file.writeSum();
}

/**
 * Opens a snapshot and checks all of it.
 *
 * @throws SnapshotError: `reason` says why it cannot be used.
 */
export async function openSnapshot(path: string): Promise<Snapshot> {
  const fd = onDisk(path, 'read', () => openSync(path, 'r'));
  try {
    const file = new SummedFile(fd, path);
    const bytes = onDisk(path, 'read', () => fstatSync(fd)).size;
    const line = file.read(Math.min(bytes, 64)).toString('latin1').split('\n', 1)[0] ?? '';
    const version = line.startsWith(NAME) ? line.slice(NAME.length) : undefined;
    if (version === undefined || !/^\d+$/.test(version)) {
      throw new SnapshotError(`${JSON.stringify(path)} is no snapshot: name one that watch() wrote`, 'foreign', path);
    }
    if (Number(version) !== VERSION) {
      throw new SnapshotError(
        `${JSON.stringify(path)} is a snapshot of version ${version}, and this library reads version ${VERSION}: list the tree anew, and write another`,
        'version',
        path,
      );
    }
    const begin = line.length + 1;
    await file.check(bytes);
    const header = file.readWithLength(begin, MOST_HEADER_BYTES);
    const { roots, timeMs, options } = headerOf(header, path);
    const first = begin + 4 + header.length;
    let isClosed = false;
    return {
      roots,
      timeMs,
      options,
      entries: (root, isExcluded) => entriesOf(file, first, root, isExcluded),
      close: () => {
        if (!isClosed) closeSync(fd);
        isClosed = true;
      },
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function* entriesOf(
  file: SummedFile,
  first: number,
  root: Buffer,
  isExcluded: ((path: Buffer) => boolean) | undefined,
): Generator<Listed, void> {
  let excluded: Buffer | undefined;
  for (let at = first; ; ) {
    const bytes = file.readWithLength(at, Number.MAX_SAFE_INTEGER);
    if (bytes.length === 0) return;
    at += 4 + bytes.length;
    const reader = new BlockReader(bytes);
    while (reader.next()) {
      const path = reader.pathNow();
      if (!isAtOrBelow(path, root)) {
        if (comparePaths(path, root) > 0) return;
        continue;
      }
      if (excluded && isAtOrBelow(path, excluded)) continue;
      const entry = reader.listed();
      if (entry.path.length > root.length && isExcluded?.(entry.path)) excluded = entry.path;
      else yield entry;
    }
  }
}

function headerOf(bytes: Buffer, path: string): SnapshotHeader {
  // Its sum was right: somebody else wrote it, if it is not what is written here.
  const { roots, timeMs, options } = parsed(bytes.toString()) ?? {};
  const isRoots = Array.isArray(roots) && roots.every((root) => typeof root === 'string');
  if (!isRoots || typeof timeMs !== 'number' || typeof options !== 'object' || options === null) throw damaged(path);
  return {
    roots: roots.map((root) => Buffer.from(root, 'latin1')),
    timeMs,
    options: options as SnapshotHeader['options'],
  };
}

function parsed(text: string): Record<string, unknown> | null | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** So that the new name is there after a power failure. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
