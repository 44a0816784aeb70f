// The responder as its owner sees it: frames that go to it and come from it, until it has ended.

import type { Kernel } from '../kernel/index.ts';
import { type Clock, clockOf } from './clock.ts';
import type { ResponderConfig } from './config.ts';
import type { GuardCoverage } from './coverage.ts';
import { type ErrorJson, errorFromJson, GuardClosedError, ResponderDiedError } from './errors.ts';
import { abilitiesOf } from './opening.ts';
import type { Abilities, Ruling } from './permission.ts';
import type { DecisionRecord } from './record.ts';
import { type Carrier, type CarrierListener, ProcessCarrier } from './responder-carrier.ts';
import { SimulatedCarrier } from './simulated-carrier.ts';
import type { GuardStatus } from './status.ts';
import {
  type Ask,
  answerFrame,
  FRAME,
  FrameReader,
  jsonBody,
  jsonFrame,
  type Notice,
  type PolicySet,
  readAsk,
} from './wire.ts';

/** How much longer than its deadline a responder may take to go. */
const GRACE_MS = 2_000;

/** What a responder tells. */
export interface ResponderListener {
  /** Its marks are placed: asks may follow at once, in the very turn. */
  ready(responder: ResponderProcess): void;
  ask(ask: Ask): void;
  /** What was asked has its verdict already. */
  withdrawn(id: number): void;
  notice(notice: Notice): void;
  /** What was decided. */
  records(records: readonly DecisionRecord[]): void;
  /** It has ended, though nobody asked it to. */
  ended(responder: ResponderProcess, error: Error): void;
}

interface Waiting {
  resolve(body: unknown): void;
  reject(error: Error): void;
}

export class ResponderProcess {
  readonly abilities: Abilities;
  readonly #carrier: Carrier;
  readonly #clock: Clock;
  readonly #listener: ResponderListener;
  /** Who waits for which frame, in order. */
  readonly #waiting = new Map<number, Waiting[]>();
  readonly #exited: Promise<void>;
  #isReady = false;
  #isClosing = false;
  #isReferenced = true;
  #outgoing: Buffer[] = [];
  /** Of the chunk that is being read: what it also withdraws nobody is asked. */
  #asks: Ask[] = [];

  private constructor(kernel: Kernel, config: ResponderConfig, listener: ResponderListener) {
    this.#clock = clockOf(kernel);
    this.#listener = listener;
    this.abilities = abilitiesOf(kernel, config);
    const frames = new FrameReader((type, body) => this.#hear(type, body));
    let exited = (): void => undefined;
    this.#exited = new Promise((resolve) => {
      exited = resolve;
    });
    const carrierListener: CarrierListener = {
      heard: (chunk) => {
        frames.push(chunk);
        const asks = this.#asks;
        this.#asks = [];
        for (const ask of asks) listener.ask(ask);
      },
      ended: (status, signal) => {
        this.#end(status, signal);
        exited();
      },
      notStarted: (cause) => {
        this.#fail(new ResponderDiedError(`the responder could not be started: ${cause.message}`, { cause }));
        exited();
      },
    };
    const { simulation } = kernel;
    this.#carrier = simulation
      ? new SimulatedCarrier(kernel, simulation, carrierListener)
      : new ProcessCarrier(kernel, carrierListener);
    this.#carrier.send(jsonFrame(FRAME.config, config));
  }

  /** Starts a responder; resolves when its marks are placed. A signal that aborts before ends it. */
  static async start(
    kernel: Kernel,
    config: ResponderConfig,
    listener: ResponderListener,
    signal: AbortSignal,
  ): Promise<void> {
    const responder = new ResponderProcess(kernel, config, listener);
    const end = () => void responder.close(config.deadlineMs);
    signal.addEventListener('abort', end);
    try {
      await responder.#next(FRAME.ready);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  get pid(): number | undefined {
    return this.#carrier.pid;
  }

  get pidfd(): number {
    return this.#carrier.pidfd;
  }

  ref(): void {
    this.#isReferenced = true;
    this.#carrier.ref();
  }

  /** Takes effect when nothing is asked of it any more. */
  unref(): void {
    this.#isReferenced = false;
    if ([...this.#waiting.values()].every(({ length }) => length === 0)) this.#carrier.unref();
  }

  /** Answers that are given in one turn leave together. */
  answer(id: number, ruling: Ruling, failed: boolean): void {
    if (this.#outgoing.push(answerFrame(id, ruling, failed)) === 1) queueMicrotask(() => this.flush());
  }

  /** Lets the answers that were given leave now. */
  flush(): void {
    const frames = this.#outgoing;
    if (frames.length === 0) return;
    this.#outgoing = [];
    this.#carrier.send(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
  }

  async status(): Promise<GuardStatus> {
    return (await this.#inquire(FRAME.askStatus, FRAME.status)) as GuardStatus;
  }

  async coverage(): Promise<GuardCoverage> {
    return (await this.#inquire(FRAME.askCoverage, FRAME.coverage)) as GuardCoverage;
  }

  async forget(): Promise<void> {
    await this.#inquire(FRAME.forget, FRAME.forgot);
  }

  /** Resolves when accesses are decided by it. */
  async setPolicy(set: PolicySet): Promise<void> {
    await this.#inquire(FRAME.setPolicy, FRAME.policySet, set);
  }

  /** Resolves when it has ended; one that does not is killed. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    this.ref();
    this.#carrier.send(jsonFrame(FRAME.close, null));
    const spare = this.#clock.after(deadlineMs + GRACE_MS, () => this.#carrier.kill());
    await this.#exited;
    spare();
  }

  /** Whoever waits for an answer is not to end meanwhile. */
  async #inquire(frame: number, answer: number, body: unknown = null): Promise<unknown> {
    this.#carrier.ref();
    this.#carrier.send(jsonFrame(frame, body));
    try {
      return await this.#next(answer);
    } finally {
      if (!this.#isReferenced) this.unref();
    }
  }

  #next(frame: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(frame);
      if (waiting) waiting.push({ resolve, reject });
      else this.#waiting.set(frame, [{ resolve, reject }]);
    });
  }

  #hear(type: number, body: DataView): void {
    switch (type) {
      case FRAME.ask:
        this.#asks.push(readAsk(body));
        break;
      case FRAME.withdrawn: {
        const withdrawn = jsonBody(body) as number;
        const isUnasked = this.#asks.some(({ id }) => id === withdrawn);
        if (isUnasked) this.#asks = this.#asks.filter(({ id }) => id !== withdrawn);
        else this.#listener.withdrawn(withdrawn);
        break;
      }
      case FRAME.notice:
        this.#listener.notice(jsonBody(body) as Notice);
        break;
      case FRAME.records:
        this.#listener.records(jsonBody(body) as readonly DecisionRecord[]);
        break;
      case FRAME.ready:
        this.#isReady = true;
        this.#listener.ready(this);
        this.#waiting.get(type)?.shift()?.resolve(undefined);
        break;
      case FRAME.failed:
        this.#fail(errorFromJson(jsonBody(body) as ErrorJson));
        break;
      default:
        this.#waiting.get(type)?.shift()?.resolve(jsonBody(body));
    }
  }

  #end(status: number | null, signal: string | null): void {
    const how = signal ? `was ended by ${signal}` : `ended with status ${status}`;
    const wasReady = this.#isReady && !this.#isClosing;
    const error = new ResponderDiedError(
      wasReady
        ? `the responder ${how}: the kernel has allowed what it held, and nothing is guarded any more`
        : `the responder ${how} before it was ready (NODE_DEBUG=fanotify shows what it says)`,
      { signal: signal ?? undefined },
    );
    this.#fail(this.#isClosing ? new GuardClosedError() : error);
    if (wasReady) this.#listener.ended(this, error);
  }

  /** Whoever waits for a frame waits in vain. */
  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) for (const { reject } of waiting) reject(error);
    this.#waiting.clear();
  }
}
