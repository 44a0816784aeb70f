// Files with digests, as sha256sum(1) writes them.

import type { Buffer } from 'node:buffer';

export const DIGEST = /^[0-9a-f]{64}$/i;
/** `hex  name`, `hex *name`, or hex alone; with '\' in front where the name has escapes. */
const LINE = /^\\?([0-9a-f]{64})(?:[ \t]+.*)?$/i;

/** The digests of a list, in lower case, or the first line that is none, counted from 1. */
export function parseDigestList(bytes: Buffer): { digests: string[] } | { badLine: number } {
  const digests: string[] = [];
  for (const [index, line] of bytes.toString('latin1').split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const digest = LINE.exec(text)?.[1];
    if (digest === undefined) return { badLine: index + 1 };
    digests.push(digest.toLowerCase());
  }
  return { digests };
}
