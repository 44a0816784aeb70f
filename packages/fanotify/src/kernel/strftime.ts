// strftime(3) of the C library: the same function, zone and language with which other commands tell the time.

import { libc } from './libc.ts';

/** More than a struct tm of any C library; nobody looks inside. */
const TM_BYTES = 128;
const MOST_BYTES = 2 ** 20;

/**
 * A time as local time, by a format of strftime(3).
 *
 * @param timeMs Milliseconds since 1970; strftime knows whole seconds.
 * @returns undefined when the C library makes nothing of the format, or more than a mebibyte.
 * @throws KernelUnavailableError
 */
export function strftime(format: string, timeMs: number): string | undefined {
  const { localtime, strftime } = libc();
  const seconds = Buffer.alloc(8);
  seconds.writeBigInt64LE(BigInt(Math.floor(timeMs / 1000)));
  const tm = Buffer.alloc(TM_BYTES);
  localtime(seconds, tm);
  for (let bytes = 256; bytes <= MOST_BYTES; bytes *= 16) {
    const buffer = Buffer.alloc(bytes);
    // 0 stands for an empty text as well as for too little room: with one more letter there is no empty text.
    const length = strftime(buffer, bytes, `${format}.`, tm);
    if (length > 0) return buffer.toString('utf8', 0, length - 1);
  }
  return undefined;
}
