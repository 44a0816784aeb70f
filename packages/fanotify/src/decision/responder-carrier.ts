// How a responder is reached: what starts it, carries frames to it and back, and tells of its end.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { debuglog } from 'node:util';
import { LimitError } from '../group/errors.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';

const PROGRAM = fileURLToPath(new URL('./responder-main.js', import.meta.url));

/** What a carrier tells. */
export interface CarrierListener {
  heard(chunk: Uint8Array): void;
  /** The responder has ended: by itself, or by a signal. Told once, and nothing after it. */
  ended(status: number | null, signal: string | null): void;
  /** It could not be started. Told instead of `ended`. */
  notStarted(cause: Error): void;
}

export interface Carrier {
  readonly pid: number | undefined;
  /** A pidfd of the responder, in this process; -1 where there is none. The carrier's own. */
  readonly pidfd: number;
  /** Whatever the responder does not hear any more is lost. */
  send(bytes: Uint8Array): void;
  /** Whether this process is to live on while the responder may say something. */
  ref(): void;
  unref(): void;
  kill(): void;
}

/** A child process in a session of its own, with a socket to it. */
export class ProcessCarrier implements Carrier {
  readonly #kernel: Kernel;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  #pidfd = -1;

  constructor(kernel: Kernel, listener: CarrierListener) {
    this.#kernel = kernel;
    const { NODE_OPTIONS: _, NODE_CHANNEL_FD: __, ...env } = process.env;
    // Its own output could block it. NODE_DEBUG=fanotify shows it all the same.
    const errors = debuglog('fanotify').enabled ? 'inherit' : 'ignore';
    this.#child = spawn(process.execPath, [PROGRAM], {
      detached: true,
      cwd: '/',
      env,
      stdio: ['ignore', errors, errors, 'pipe'],
    });
    // Without a descriptor for a socket Node leaves stdio out, and tells of it by an event (ChildProcess.spawn, EMFILE).
    const socket = (this.#child.stdio as ChildProcess['stdio'] | undefined)?.[3];
    if (!socket) {
      this.#child.once('error', () => undefined);
      throw noDescriptor();
    }
    this.#socket = socket as Socket;
    this.#child.once('exit', (status, signal) => {
      this.#forget();
      listener.ended(status, signal);
    });
    this.#child.once('error', (cause) => listener.notStarted(cause));
    this.#socket.on('data', (chunk: Buffer) => listener.heard(chunk));
    // That it ended is told by its exit.
    this.#socket.on('error', () => undefined);
    // While it stands, the socket alone says whether the process is to live on. It may end before the exit is heard of.
    this.#child.unref();
    this.#socket.on('close', () => this.#child.ref());
    if (this.#child.pid === undefined) return;
    try {
      this.#pidfd = kernel.pidfdOpen(this.#child.pid);
    } catch (error) {
      // Without its configuration it ends.
      this.#socket.destroy();
      throw error instanceof KernelError && error.code === 'EMFILE' ? noDescriptor(error) : error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get pidfd(): number {
    return this.#pidfd;
  }

  send(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #forget(): void {
    if (this.#pidfd >= 0) this.#kernel.close(this.#pidfd);
    this.#pidfd = -1;
    this.#socket.destroy();
  }
}

function noDescriptor(cause?: KernelError): LimitError {
  return new LimitError(
    'no descriptor is left to start the responder with: raise ulimit -n',
    'RLIMIT_NOFILE',
    undefined,
    {
      cause,
    },
  );
}
