// The bytes of a file in memory: they grow with what is written.

import type { Inode } from './objects.ts';

const LEAST_CAPACITY = 64;
const NOTHING = new Uint8Array(0);

/** Copies what there is from `offset` on; returns how many bytes. */
export function readContent({ content, size }: Inode, buffer: Uint8Array, offset: number): number {
  const count = Math.min(buffer.length, size - offset);
  if (count <= 0) return 0;
  const present = content.subarray(offset, offset + count);
  buffer.set(present);
  buffer.fill(0, present.length, count);
  return count;
}

/** Puts bytes at `offset`; the file becomes longer where they go beyond its end. */
export function writeContent(inode: Inode, bytes: Uint8Array, offset: number): void {
  const end = offset + bytes.length;
  reserve(inode, end);
  inode.content.set(bytes, offset);
  if (end > inode.size) inode.size = end;
}

function reserve(inode: Inode, bytes: number): void {
  const { content } = inode;
  if (bytes <= content.length) return;
  const grown = new Uint8Array(Math.max(bytes, content.length * 2, LEAST_CAPACITY));
  grown.set(content);
  inode.content = grown;
}

/** What is cut off reads as zeros if the file grows again. */
export function resizeContent(inode: Inode, size: number): void {
  if (size === 0) inode.content = NOTHING;
  else if (size < inode.size) inode.content.fill(0, size, inode.size);
  inode.size = size;
}

/** Makes a part read as zeros: FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE. */
export function zeroContent(inode: Inode, offset: number, count: number): void {
  inode.content.fill(0, offset, offset + count);
}
