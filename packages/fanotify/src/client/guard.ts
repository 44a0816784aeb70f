// guard() through the daemon: a listener's held accesses, decided by a function of this process.

import { AT_EMPTY_PATH, AT_FDCWD } from '../abi/index.ts';
import { type Listener, openListener } from '../core/listener.ts';
import type { HeldEvent, ListenerEvent } from '../core/listener-events.ts';
import type { HeldEventName } from '../core/listener-options.ts';
import type { GroupStatistics } from '../core/types.ts';
import { type Clock, clockOf } from '../decision/clock.ts';
import { GuardClosedError } from '../decision/errors.ts';
import type { TimeoutNotice } from '../decision/guard.ts';
import { GuardEmitter } from '../decision/guard-events.ts';
import { KINDS, kindNumber, RULINGS } from '../decision/permission.ts';
import { Questions } from '../decision/questions.ts';
import { HeldRequest } from '../decision/request.ts';
import type { PermissionEventName } from '../decision/verdict.ts';
import type { Sight } from '../decision/view.ts';
import type { MarkTarget } from '../group/source.ts';
import { MountTable } from '../identity/mount-table.ts';
import { ProcFiles } from '../identity/proc-files.ts';
import { ProcessReader } from '../identity/process-reader.ts';
import { ERRNO, type Kernel, KernelError, linuxKernel } from '../kernel/index.ts';
import { openDaemonGroup } from './daemon-group.ts';
import { DaemonEndedError, DaemonUnavailableError } from './errors.ts';
import { checkDaemonGuard, type DaemonGuardOptions } from './guard-options.ts';
import { Reconnection } from './reconnection.ts';

/** What a guard through the daemon tells by {@link DaemonGuard.on}. */
export interface DaemonGuardEvents {
  /** `decide` failed, or the daemon has ended. Without a listener it becomes a warning of the process. */
  error: [error: Error];
  timeout: [notice: TimeoutNotice];
  /** The daemon is there again, after it had ended: between the two everything was allowed, but for what it held then. */
  restart: [];
  /** Nothing is guarded any more. */
  close: [];
}

const HELD: Readonly<Record<PermissionEventName, HeldEventName>> = {
  open: 'openPerm',
  openExec: 'openExecPerm',
  access: 'accessPerm',
  preAccess: 'preAccess',
};
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const DEFAULT_DEADLINE_MS = 5_000;
const NO_ABILITIES = { audit: false, errno: 'none' } as const;

/**
 * Accesses that the daemon holds until there is a verdict: what {@link Daemon.guard} opens. Whatever becomes of this process, nobody
 * waits for longer than `deadlineMs`.
 *
 * Privilege: what the daemon's configuration grants (`decide`).
 *
 * @example
 * import { connect } from 'fanotify/client';
 * try {
 *   const gate = await connect({ socket: '/no/such/socket' }).guard('/srv', { decide: () => 'allow' });
 *   gate.on('error', (error) => console.error(error.message));
 * } catch (error) {
 *   console.log(error.code); // DAEMON_UNAVAILABLE
 * }
 */
export class DaemonGuard {
  readonly #kernel: Kernel;
  readonly #clock: Clock;
  readonly #socket: string;
  readonly #targets: readonly MarkTarget[];
  readonly #options: DaemonGuardOptions;
  readonly #events = new GuardEmitter<DaemonGuardEvents>();
  readonly #questions: Questions;
  readonly #held = new Map<number, HeldEvent>();
  readonly #sight: Sight;
  readonly #reconnection: Reconnection;
  #listener: Listener | undefined;
  #next = 1;
  #isClosed = false;
  #isReferenced = true;

  private constructor(socket: string, targets: readonly MarkTarget[], options: DaemonGuardOptions) {
    const kernel = linuxKernel();
    this.#kernel = kernel;
    this.#clock = clockOf(kernel);
    this.#socket = socket;
    this.#targets = targets;
    this.#options = options;
    const mounts = new MountTable(kernel);
    const files = new ProcFiles(kernel, mounts, () => undefined);
    this.#sight = { kernel, mounts, files, reader: new ProcessReader(files, 'full') };
    this.#reconnection = new Reconnection(socket, () => this.#tryAgain());
    this.#reconnection.keepAlive(true);
    this.#questions = new Questions({
      decide: options.decide,
      clock: this.#clock,
      abilities: () => NO_ABILITIES,
      answer: (id, ruling, failed) => {
        const event = this.#held.get(id);
        this.#held.delete(id);
        const { allowed } = failed ? RULINGS[options.onError ?? 'allow'] : ruling;
        if (event) this.#respond(event, allowed);
      },
      timedOut: (count, { pid, path }) => this.#events.emit('timeout', { count, pid, path }),
      tell: (error) => this.#events.tell(error),
    });
  }

  /** As {@link Daemon.guard}. */
  static async open(
    socket: string,
    target: MarkTarget | readonly MarkTarget[],
    options: DaemonGuardOptions,
  ): Promise<DaemonGuard> {
    checkDaemonGuard(options);
    const targets = Array.isArray(target) ? (target as readonly MarkTarget[]) : [target as MarkTarget];
    const guard = new DaemonGuard(socket, targets, options);
    try {
      await guard.#start();
    } catch (error) {
      await guard.close();
      throw error;
    }
    options.signal?.addEventListener('abort', guard.#abort, { once: true });
    return guard;
  }

  /** Calls a listener for each of an event: {@link DaemonGuardEvents}. */
  on<Name extends keyof DaemonGuardEvents>(name: Name, listener: (...told: DaemonGuardEvents[Name]) => void): this {
    this.#events.on(name, listener);
    return this;
  }

  /** Takes {@link on} back. */
  off<Name extends keyof DaemonGuardEvents>(name: Name, listener: (...told: DaemonGuardEvents[Name]) => void): this {
    this.#events.off(name, listener);
    return this;
  }

  /**
   * How it is doing, by the daemon's account.
   *
   * @throws GuardClosedError; DaemonEndedError while the daemon is not there.
   */
  statistics(): GroupStatistics {
    if (this.#isClosed) throw new GuardClosedError();
    if (!this.#listener) throw new DaemonEndedError(this.#socket);
    return this.#listener.statistics();
  }

  /** Lets the process end while the guard is open. */
  unref(): void {
    this.#isReferenced = false;
    this.#listener?.unref();
    this.#reconnection.keepAlive(false);
  }

  /** Takes {@link unref} back: an open guard keeps the process alive. */
  ref(): void {
    this.#isReferenced = true;
    this.#listener?.ref();
    this.#reconnection.keepAlive(true);
  }

  /** Ends it: what is held gets `onTimeout`. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#reconnection.close();
    await this.#stop();
    this.#sight.mounts.close();
    this.#events.emit('close');
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #abort = (): void => void this.close();

  async #start(): Promise<void> {
    const { on = ['open'], priority, deadlineMs, onTimeout, directories, signal } = this.#options;
    signal?.throwIfAborted();
    const isPreContent = on.length > 0 && on.every((kind) => kind === 'preAccess');
    const listener = openListener(
      { priority, deadlineMs, onTimeout, class: this.#options.class ?? (isPreContent ? 'preContent' : 'content') },
      (kernel, settings) => openDaemonGroup(kernel, this.#socket, settings),
    );
    try {
      for (const target of this.#targets) {
        const scope = this.#options.scope ?? (this.#isDirectory(target) ? 'subtree' : 'inode');
        await listener.mark(target, { scope, events: on.map((kind) => HELD[kind]), directories });
      }
    } catch (error) {
      await listener.close();
      throw error;
    }
    this.#listener = listener;
    if (!this.#isReferenced) listener.unref();
    void this.#read(listener);
  }

  #isDirectory(target: MarkTarget): boolean {
    const isDescriptor = typeof target === 'object' && 'fd' in target;
    try {
      const { mode } = this.#kernel.statAt(
        isDescriptor ? target.fd : AT_FDCWD,
        isDescriptor ? '' : target,
        isDescriptor ? AT_EMPTY_PATH : 0,
      );
      return (mode & S_IFMT) === S_IFDIR;
    } catch (error) {
      // Marking it says what is wrong.
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  async #read(listener: Listener): Promise<void> {
    try {
      for await (const events of listener.batches()) for (const event of events) this.#hear(event);
    } catch (error) {
      if (this.#isClosed || this.#listener !== listener) return;
      await this.#stop();
      this.#events.tell(error instanceof Error ? error : new Error(String(error)));
      if (this.#isClosed) return;
      if (error instanceof DaemonEndedError) this.#reconnection.start();
      else await this.close();
    }
  }

  #hear(event: ListenerEvent): void {
    if (event.kind !== 'held') return;
    const { pid, range } = event;
    const kind = KINDS[kindNumber(Number(event.mask & 0xffff_ffffn))] ?? 'open';
    const id = this.#next++;
    this.#held.set(id, event);
    // It was read just now; the daemon's clock began when it was sent.
    const dueMs = this.#clock.nowMs() + (this.#options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const told = range ? { offset: Number(range.offset), bytes: Number(range.count) } : null;
    const request = new HeldRequest(
      {
        sight: this.#sight,
        abilities: NO_ABILITIES,
        clock: this.#clock,
        take: () => {
          const fd = event.take();
          if (fd === null) throw new KernelError('recvmsg', ERRNO.EBADF);
          return fd;
        },
        ruleOf: () => null,
        answer: (answered, ruling) => this.#questions.answer(answered, ruling, false),
      },
      { id, fd: -1, pid, kind, dueMs, range: told, policy: 0, rule: -1 },
    );
    this.#questions.ask(request);
  }

  #respond(event: HeldEvent, allowed: boolean): void {
    try {
      if (allowed) event.allow();
      else event.deny();
    } catch (error) {
      // Reading finds out, and says so.
      if (!(error instanceof DaemonEndedError)) throw error;
    }
  }

  async #stop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#questions.end();
    this.#held.clear();
    await listener?.close();
  }

  #tryAgain(): boolean {
    if (this.#isClosed) return true;
    this.#start().then(
      () => this.#events.emit('restart'),
      async (error: unknown) => {
        if (this.#isClosed) return;
        if (error instanceof DaemonUnavailableError || error instanceof DaemonEndedError) {
          this.#reconnection.again();
          return;
        }
        this.#events.tell(error instanceof Error ? error : new Error(String(error)));
        await this.close();
      },
    );
    return true;
  }
}
