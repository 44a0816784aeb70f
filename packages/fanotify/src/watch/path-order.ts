// The order of a walk: a directory before what is below it, the entries of a directory by the bytes of their names. That is the
// order of the bytes of whole paths, but that '/' comes before every other: a/b is before a-b.

const SLASH = 0x2f;

/** Negative when a walk comes to `a` first, 0 when they are equal. Paths are absolute, without a slash at the end. */
export function comparePaths(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let index = 0; index < shorter; index++) {
    const x = a[index] as number;
    const y = b[index] as number;
    if (x !== y) return x === SLASH ? -1 : y === SLASH ? 1 : x - y;
  }
  return a.length - b.length;
}

/** Whether a path with this byte is after one with that, when all before is equal. The bytes differ. */
export function isAfter(byte: number, other: number): boolean {
  return other === SLASH || (byte !== SLASH && byte > other);
}

/** Whether `path` is `directory` itself or below it. */
export function isAtOrBelow(path: Buffer, directory: Buffer): boolean {
  const { length } = directory;
  if (path.length < length || path.compare(directory, 0, length, 0, length) !== 0) return false;
  return path.length === length || length === 1 || path[length] === SLASH;
}
