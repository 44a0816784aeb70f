// A file with a sum over all that is in it at its end, so that it is seen when something is missing or other than it was.

import { readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { SnapshotError } from './errors.ts';

const PART_BYTES = 4 * 1024 * 1024;

/** An open file, and the sum of what is written to it. */
export class SummedFile {
  readonly #fd: number;
  readonly #path: string;
  #sum = 0;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  write(bytes: Buffer): void {
    this.#sum = crc32(bytes, this.#sum);
    onDisk(this.#path, 'written', () => {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#fd, bytes, written);
    });
  }

  writeWithLength(bytes: Buffer): void {
    this.write(numberBytes(bytes.length));
    if (bytes.length > 0) this.write(bytes);
  }

  writeSum(): void {
    this.write(numberBytes(this.#sum));
  }

  /** From the beginning, as much as there is. */
  read(bytes: number, start = 0): Buffer {
    const buffer = Buffer.allocUnsafeSlow(bytes);
    let read = 0;
    onDisk(this.#path, 'read', () => {
      for (let more = -1; read < bytes && more !== 0; read += more) {
        more = readSync(this.#fd, buffer, read, bytes - read, start + read);
      }
    });
    return buffer.subarray(0, read);
  }

  readWithLength(start: number, most: number): Buffer {
    const length = this.read(4, start);
    const bytes = length.length === 4 ? length.readUInt32LE(0) : most + 1;
    const content = bytes <= most ? this.read(bytes, start + 4) : undefined;
    if (content?.length !== bytes) throw damaged(this.#path);
    return content;
  }

  /** Whether all is as it was written. */
  async check(bytes: number): Promise<void> {
    let sum = 0;
    for (let at = 0; at < bytes - 4; ) {
      const part = this.read(Math.min(bytes - 4 - at, PART_BYTES), at);
      if (part.length === 0) throw damaged(this.#path);
      sum = crc32(part, sum);
      at += part.length;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (bytes < 4 || !this.read(4, bytes - 4).equals(numberBytes(sum))) throw damaged(this.#path);
  }
}

export function damaged(path: string): SnapshotError {
  return new SnapshotError(
    `${JSON.stringify(path)} is a snapshot that was cut off or changed: list the tree anew, and write another`,
    'damaged',
    path,
  );
}

/** Does something with the file of a snapshot; what goes wrong is told as such. */
export function onDisk<T>(path: string, done: 'read' | 'written', work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (done === 'read' && code === 'ENOENT') {
      const hint = 'write one first, or watch without it';
      throw new SnapshotError(`there is no snapshot ${JSON.stringify(path)}: ${hint}`, 'missing', path, { cause });
    }
    throw new SnapshotError(`the snapshot ${JSON.stringify(path)} cannot be ${done}: ${message}`, 'failed', path, {
      cause,
    });
  }
}

function numberBytes(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
