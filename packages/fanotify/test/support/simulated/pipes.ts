// This process's ends of the pipes that its children have as their standard input and output.

import { PassThrough, Writable } from 'node:stream';
import { KernelError } from '../../../src/kernel/error.ts';
import { kernel } from './machine.ts';
import { toldByNode } from './node-error.ts';

const CHUNK_BYTES = 65_536;

/** What comes out of a pipe of the machine. */
export function readerOf(fd: number): { readonly stream: PassThrough; readonly ended: Promise<void> } {
  const stream = new PassThrough();
  // Its end is told also when nobody reads it.
  const ended = new Promise<void>((resolve) => {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    const hearing = kernel.onReadable(fd, () => {
      const count = readNow(fd, buffer);
      if (count === undefined) return;
      if (count > 0) {
        stream.write(Buffer.from(buffer.subarray(0, count)));
        return;
      }
      hearing.close();
      kernel.close(fd);
      stream.end();
      resolve();
    });
  });
  return { stream, ended };
}

/** Takes what is there. True at the end. */
export function drained(fd: number, chunks: Buffer[]): boolean {
  for (;;) {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    const count = readNow(fd, buffer);
    if (count === undefined || count === 0) return count === 0;
    chunks.push(buffer.subarray(0, count));
  }
}

function readNow(fd: number, buffer: Buffer): number | undefined {
  try {
    return kernel.read(fd, buffer);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'EAGAIN') return undefined;
    throw error;
  }
}

export function writerOf(fd: number): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        kernel.write(fd, chunk);
        done();
      } catch (error) {
        done(toldByNode(error, 'write') as Error);
      }
    },
    destroy(error, done) {
      kernel.close(fd);
      done(error);
    },
    autoDestroy: true,
  }).on('error', () => undefined);
}
