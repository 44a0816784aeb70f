// Pipes and FIFOs (fs/pipe.c): bytes under way from whoever writes to whoever reads.

import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { type Blocking, Wait } from '../wait.ts';
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from './flags.ts';
import type { Inode, OpenFile, Pipe } from './objects.ts';

/** What fits: sixteen pages. */
const CAPACITY_BYTES = 65_536;
const POLLIN = 1;
const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;

export function newPipe(): Pipe {
  return { chunks: [], bytes: 0, readers: 0, writers: 0, waits: [] };
}

/** Both ends that an open file is of. */
export function joinPipe(pipe: Pipe, flags: number): void {
  const access = flags & O_ACCMODE;
  if (access !== O_WRONLY) pipe.readers++;
  if (access !== O_RDONLY) pipe.writers++;
}

/** A FIFO's open waits for the other side, unless O_NONBLOCK or O_RDWR. ENXIO for writing without a reader. */
export function* openFifo(system: System, inode: Inode, file: OpenFile): Blocking<void> {
  const { flags } = file;
  const access = flags & O_ACCMODE;
  const pipe = inode.pipe ?? newPipe();
  if (access === O_WRONLY && (flags & O_NONBLOCK) !== 0 && pipe.readers === 0) refuse('ENXIO');
  inode.pipe = pipe;
  joinPipe(pipe, flags);
  stir(system, pipe);
  if (access === O_RDWR || (flags & O_NONBLOCK) !== 0) return;
  while (access === O_RDONLY ? pipe.writers === 0 : pipe.readers === 0) yield waitFor(pipe, 'the other side of a FIFO');
}

export function releaseFifo(system: System, inode: Inode, file: OpenFile): void {
  const { pipe } = inode;
  if (pipe === undefined) return;
  const access = file.flags & O_ACCMODE;
  if (access !== O_WRONLY) pipe.readers--;
  if (access !== O_RDONLY) pipe.writers--;
  stir(system, pipe);
  if (pipe.readers === 0 && pipe.writers === 0) inode.pipe = undefined;
}

function waitFor(pipe: Pipe, why: string): Wait {
  const wait = new Wait(why);
  pipe.waits.push(wait);
  return wait;
}

function stir(system: System, pipe: Pipe): void {
  for (const wait of pipe.waits.splice(0)) wait.end();
  system.readiness.changed();
}

/** 0 at its end: nothing there, and nobody writes. EAGAIN. */
export function* readPipe(system: System, pipe: Pipe, buffer: Uint8Array, isBlocking: boolean): Blocking<number> {
  while (pipe.bytes === 0) {
    if (pipe.writers === 0) return 0;
    if (!isBlocking) refuse('EAGAIN');
    yield waitFor(pipe, 'bytes in a pipe');
  }
  let read = 0;
  while (read < buffer.length) {
    const chunk = pipe.chunks[0];
    if (chunk === undefined) break;
    const taken = chunk.subarray(0, buffer.length - read);
    buffer.set(taken, read);
    read += taken.length;
    if (taken.length === chunk.length) pipe.chunks.shift();
    else pipe.chunks[0] = chunk.subarray(taken.length);
  }
  pipe.bytes -= read;
  stir(system, pipe);
  return read;
}

/** EPIPE when nobody reads; EAGAIN. */
export function* writePipe(system: System, pipe: Pipe, bytes: Uint8Array, isBlocking: boolean): Blocking<number> {
  let written = 0;
  while (written < bytes.length) {
    if (pipe.readers === 0) refuse('EPIPE');
    const room = CAPACITY_BYTES - pipe.bytes;
    if (room === 0) {
      if (!isBlocking) {
        if (written > 0) break;
        refuse('EAGAIN');
      }
      yield waitFor(pipe, 'room in a pipe');
      continue;
    }
    const chunk = bytes.slice(written, written + room);
    pipe.chunks.push(chunk);
    pipe.bytes += chunk.length;
    written += chunk.length;
    stir(system, pipe);
  }
  return written;
}

/** POLL* of an open file of it. */
export function pollPipe(pipe: Pipe, { flags }: OpenFile): number {
  const access = flags & O_ACCMODE;
  let ready = 0;
  if (access !== O_WRONLY) {
    if (pipe.bytes > 0) ready |= POLLIN;
    if (pipe.writers === 0) ready |= POLLHUP;
  }
  if (access !== O_RDONLY) {
    if (pipe.bytes < CAPACITY_BYTES) ready |= POLLOUT;
    if (pipe.readers === 0) ready |= POLLERR;
  }
  return ready;
}
