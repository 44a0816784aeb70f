// A responder on a simulated machine: a process of that machine, whose loop takes its turn as its other processes do. It is in this process,
// and nobody outside can be held by it.

import { O_NONBLOCK, O_RDWR } from '../abi/index.ts';
import { type Kernel, KernelError, type Readiness, type SimulatedChild, type Simulation } from '../kernel/index.ts';
import { assembleResponder, comeToGrief } from './assemble.ts';
import { by } from './clock.ts';
import type { ResponderConfig } from './config.ts';
import { errorToJson } from './errors.ts';
import type { Responder } from './responder.ts';
import type { Carrier, CarrierListener } from './responder-carrier.ts';
import { FRAME, FrameReader, jsonBody, jsonFrame } from './wire.ts';

/** What a responder takes in at a time: longer messages are sent in pieces, since a socket keeps the boundaries of these. */
const PIECE_BYTES = 64 * 1024;
/** A responder says no more than that at a time: outlet.ts holds twice its room, and one frame that is longer. */
const INBOX_BYTES = 256 * 1024;
const COMM = 'fanotify-respon';
/** While it waits for its owner, or for a module to be loaded. */
const IDLE_MS = 60_000;
const F_SETFL = 4;
const POLLOUT = 4;
const WEXITED = 4;
const CLD_EXITED = 1;

export class SimulatedCarrier implements Carrier {
  readonly #kernel: Kernel;
  readonly #child: SimulatedChild;
  readonly #listener: CarrierListener;
  readonly #socket: number;
  readonly #inbox = Buffer.alloc(INBOX_BYTES);
  readonly #hearing: Readiness;
  readonly #watching: Readiness;
  #pidfd: number;
  #isOver = false;

  constructor(kernel: Kernel, simulation: Simulation, listener: CarrierListener) {
    this.#kernel = kernel;
    this.#listener = listener;
    const [ours, theirs] = kernel.socketPair();
    this.#socket = ours;
    this.#child = simulation.fork(COMM);
    kernel.close(theirs);
    this.#child.kernel.close(ours);
    this.#pidfd = kernel.pidfdOpen(this.pid);
    this.#hearing = kernel.onReadable(ours, () => this.#hear());
    this.#watching = kernel.onReadable(this.#pidfd, () => this.#ended());
    this.#watching.unref();
    const loop = new ResponderLoop(this.#child.kernel, simulation, theirs, kernel.pid);
    this.#child.run(() => loop.turn());
  }

  get pid(): number {
    return this.#child.kernel.pid;
  }

  get pidfd(): number {
    return this.#pidfd;
  }

  send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength && !this.#isOver; at += PIECE_BYTES) {
      this.#write(bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  ref(): void {
    this.#hearing.ref();
  }

  unref(): void {
    this.#hearing.unref();
  }

  kill(): void {
    this.#child.kill();
  }

  #write(piece: Uint8Array): void {
    for (;;) {
      try {
        this.#kernel.write(this.#socket, piece);
        return;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        // It has ended, and that is told.
        if (error.code !== 'EAGAIN') return;
        this.#kernel.poll([{ fd: this.#socket, events: POLLOUT, revents: 0 }], -1);
      }
    }
  }

  #hear(): void {
    while (!this.#isOver) {
      let length = 0;
      try {
        length = this.#kernel.read(this.#socket, this.#inbox);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (error.code === 'EAGAIN') return;
      }
      if (length === 0) {
        // What is left to hear is its end.
        this.#hearing.stop();
        this.#watching.ref();
        return;
      }
      this.#listener.heard(this.#inbox.subarray(0, length));
    }
  }

  #ended(): void {
    this.#hear();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hearing.close();
    this.#watching.close();
    const change = this.#kernel.waitChild(this.pid, WEXITED);
    this.#kernel.close(this.#socket);
    this.#kernel.close(this.#pidfd);
    this.#pidfd = -1;
    const hasExited = change?.code === CLD_EXITED;
    this.#listener.ended(hasExited ? change.status : null, hasExited ? null : `signal ${change?.status}`);
  }
}

/** What responder-main.ts does, a turn at a time. */
class ResponderLoop {
  readonly #kernel: Kernel;
  readonly #machine: Simulation;
  readonly #socket: number;
  readonly #ownerPid: number;
  readonly #inbox = Buffer.alloc(PIECE_BYTES);
  readonly #frames = new FrameReader((type, body) => this.#told(type, body));
  #config: ResponderConfig | undefined;
  #isAssembling = false;
  #responder: Responder | undefined;

  constructor(kernel: Kernel, machine: Simulation, socket: number, ownerPid: number) {
    this.#kernel = kernel;
    this.#machine = machine;
    this.#socket = socket;
    this.#ownerPid = ownerPid;
    kernel.fcntl(socket, F_SETFL, O_RDWR | O_NONBLOCK);
  }

  turn(): number | undefined {
    const responder = this.#responder;
    if (responder === undefined) return this.#isAssembling || this.#listen() ? IDLE_MS : undefined;
    try {
      return by(this.#machine, () => responder.turn());
    } catch (error) {
      by(this.#machine, () => comeToGrief(responder, error));
      this.#kernel.exitAtOnce(1);
      return undefined;
    }
  }

  /** Waits for its configuration. False when the owner has ended, or closed the guard at once. */
  #listen(): boolean {
    try {
      const length = this.#kernel.read(this.#socket, this.#inbox);
      if (length === 0) return false;
      this.#frames.push(this.#inbox.subarray(0, length));
    } catch (error) {
      if (error instanceof KernelError && error.code === 'EAGAIN') return true;
      throw error;
    }
    const config = this.#config;
    if (config === undefined) return true;
    this.#isAssembling = true;
    void this.#assemble(config);
    return true;
  }

  #told(type: number, body: DataView): void {
    if (type === FRAME.config) this.#config = jsonBody(body) as ResponderConfig;
  }

  async #assemble(config: ResponderConfig): Promise<void> {
    const kernel = this.#kernel;
    try {
      const ownerPidfd = kernel.pidfdOpen(this.#ownerPid);
      const place = { kernel, socket: this.#socket, ownerPidfd, withOwner: <T>(something: Promise<T>) => something };
      const responder = await assembleResponder(place, config);
      if (responder === undefined) {
        kernel.exitAtOnce(0);
        return;
      }
      responder.begin();
      this.#responder = responder;
    } catch (error) {
      kernel.write(this.#socket, jsonFrame(FRAME.failed, errorToJson(error)));
      kernel.exitAtOnce(1);
    }
  }
}
