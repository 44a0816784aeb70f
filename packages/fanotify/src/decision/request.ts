// A request as the owner's code has it: answered once, by construction.

import { InvalidOptionsError, LimitError } from '../group/errors.ts';
import { KernelError } from '../kernel/index.ts';
import type { Clock } from './clock.ts';
import { AlreadyAnsweredError, RequestSettledError } from './errors.ts';
import type { DenyOptions, PermissionRequest, VerdictOptions } from './options.ts';
import { type Abilities, type Ruling, rulingOf } from './permission.ts';
import type { PermissionEventName } from './verdict.ts';
import { AccessView, type Sight } from './view.ts';
import type { Ask } from './wire.ts';

/** What requests need of their guard. */
export interface RequestContext {
  readonly sight: Sight;
  readonly abilities: Abilities;
  readonly clock: Pick<Clock, 'nowMs'>;
  /**
   * A descriptor of the file, for the request to close. Asked for once, while it is held.
   *
   * @throws KernelError ESRCH or EBADF when it is held no more.
   */
  take(): number;
  /** The rule that asks. */
  ruleOf(ask: Ask): PermissionRequest['rule'];
  answer(request: HeldRequest, ruling: Ruling): void;
}

export class HeldRequest implements PermissionRequest {
  readonly #context: RequestContext;
  readonly #ask: Ask;
  #state: 'held' | 'answered' | 'over' = 'held';
  #fd = -1;
  #isInUse = true;
  #view: AccessView | undefined;
  #abort: AbortController | undefined;

  constructor(context: RequestContext, ask: Ask) {
    this.#context = context;
    this.#ask = ask;
  }

  get kind(): PermissionEventName {
    return this.#ask.kind;
  }

  get pid(): number {
    return this.#ask.pid;
  }

  get range(): PermissionRequest['range'] {
    return this.#ask.range;
  }

  get rule(): PermissionRequest['rule'] {
    return this.#context.ruleOf(this.#ask);
  }

  get path(): string | null {
    return this.#seen.path;
  }

  get rawPath(): Buffer | null {
    return this.#seen.rawPath;
  }

  get deleted(): boolean {
    return this.#seen.deleted;
  }

  get foreign(): boolean {
    return this.#seen.foreign;
  }

  get process(): PermissionRequest['process'] {
    return this.#seen.process;
  }

  get remainingMs(): number {
    return this.#state === 'held' ? Math.max(0, this.#ask.dueMs - this.#context.clock.nowMs()) : 0;
  }

  get settled(): boolean {
    return this.remainingMs === 0;
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#state === 'over') this.#abort.abort(new RequestSettledError());
    }
    return this.#abort.signal;
  }

  get fd(): number {
    if (this.#fd < 0) this.#fd = this.#take();
    return this.#fd;
  }

  allow(options: VerdictOptions = {}): void {
    this.#answer({ verdict: 'allow', ...options });
  }

  deny(options: DenyOptions = {}): void {
    this.#answer({ verdict: 'deny', ...options });
  }

  /** Whether it was answered, in time or not. For the guard. */
  get isAnswered(): boolean {
    return this.#state === 'answered';
  }

  get dueMs(): number {
    return this.#ask.dueMs;
  }

  get id(): number {
    return this.#ask.id;
  }

  /** There is an answer now; false when there was one before. */
  settle(): boolean {
    if (this.#state !== 'held') return false;
    this.#state = 'answered';
    if (!this.#isInUse) this.#release();
    return true;
  }

  /** There is a verdict that was not given here. */
  end(): void {
    if (this.#state !== 'held') return;
    this.#state = 'over';
    this.#abort?.abort(new RequestSettledError());
    if (!this.#isInUse) this.#release();
  }

  /** `decide` is done with it: what it had open is closed once there is a verdict. */
  done(): void {
    this.#isInUse = false;
    if (this.#state !== 'held') this.#release();
  }

  #answer(decision: object): void {
    if (this.#state === 'answered') throw new AlreadyAnsweredError();
    const ruling = rulingOf(decision, this.kind, this.#context.abilities);
    if (typeof ruling === 'string') throw new InvalidOptionsError(ruling);
    if (this.#state === 'held') this.#context.answer(this, ruling);
  }

  get #seen(): AccessView {
    this.#view ??= new AccessView(
      this.#context.sight,
      this.#ask,
      () => this.#state === 'held' && this.#context.clock.nowMs() < this.#ask.dueMs,
      () => this.fd,
    );
    return this.#view;
  }

  #take(): number {
    if (this.settled) throw new RequestSettledError();
    const { kernel } = this.#context.sight;
    let fd: number;
    try {
      fd = this.#context.take();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'EMFILE') {
        throw new LimitError(
          'no descriptor is left for the file of this request: raise ulimit -n, or decide on fewer at a time',
          'RLIMIT_NOFILE',
          undefined,
          { cause: error },
        );
      }
      if (error.code === 'ESRCH' || error.code === 'EBADF') throw new RequestSettledError();
      throw error;
    }
    if (!this.settled) return fd;
    kernel.close(fd);
    throw new RequestSettledError();
  }

  #release(): void {
    if (this.#fd < 0) return;
    this.#context.sight.kernel.close(this.#fd);
    this.#fd = -1;
  }
}
