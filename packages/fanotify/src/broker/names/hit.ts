// What of an event a mark may hear, and how it is said where that was.

import { HOST_IS_LITTLE_ENDIAN as LE } from '../../abi/index.ts';
import { PATH_TYPE } from '../../core/process/wire.ts';
import { GONE_BITS, RENAME } from './bits.ts';
import type { Hit } from './model.ts';
import { pathBelow } from './tree.ts';

/** Which records of directories an event has, as bits: the one, or of a rename the old and the new one. */
export const SIDE = { only: 1, old: 2, new: 4, all: 7 } as const;

const PATH_HEADER_BYTES = 8;
/** A record says how long it is in 16 bits; no event is longer than a message. */
const LONGEST_PATH_BYTES = 32_768;

/**
 * The bits of a hit that its user may hear: where it searches a directory what is in it, and where it reads it what is gone, too.
 *
 * @param happened All that has happened to the name, of which the kernel makes one event. Whatever else that was, what is gone by its end
 *   nobody could look up.
 */
export function allowed({ bits, sides, verdict }: Hit, happened: number): number {
  if (!verdict) return bits;
  const { answer } = verdict;
  if (!answer || answer === 'stuck' || !answer.access?.canSearch) return 0;
  if (answer.access.canRead) return bits;
  const isGone = (happened & GONE_BITS) !== 0 || ((happened & RENAME) !== 0 && sides === SIDE.old);
  return isGone ? 0 : bits;
}

/** Where a hit's directory is below its mark; undefined where it is nowhere. */
export function pathOf({ mark, directory }: Pick<Hit, 'mark' | 'directory'>): string | undefined {
  if (!directory) return undefined;
  let top = mark.node;
  if (!top) for (top = directory; top.above; ) top = top.above;
  return pathBelow(directory, top);
}

const header = Buffer.alloc(PATH_HEADER_BYTES);
const view = new DataView(header.buffer, header.byteOffset, header.byteLength);

/** A PATH record, a byte a character; empty for a path that is too long for one. */
export function pathRecord(mark: number, path: string): string {
  if (path.length > LONGEST_PATH_BYTES) return '';
  view.setUint8(0, PATH_TYPE);
  view.setUint16(2, PATH_HEADER_BYTES + path.length, LE);
  view.setUint32(4, mark, LE);
  return header.toString('latin1') + path;
}
