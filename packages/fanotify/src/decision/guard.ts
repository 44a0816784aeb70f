// guard(): holds accesses until there is a verdict. The responder process answers the kernel; this is its owner's side.

import { availableParallelism } from 'node:os';
import { InvalidOptionsError } from '../group/errors.ts';
import { MountTable } from '../identity/mount-table.ts';
import { ProcFiles } from '../identity/proc-files.ts';
import { ProcessReader } from '../identity/process-reader.ts';
import type { Kernel } from '../kernel/index.ts';
import { linuxKernel } from '../kernel/index.ts';
import { type Clock, clockOf } from './clock.ts';
import { checkPolicy, configOf, type ResponderConfig, withOwnDescriptors } from './config.ts';
import type { GuardCoverage, GuardedSubtree } from './coverage.ts';
import { DecideError, GuardClosedError, ResponderDiedError, ScannerError } from './errors.ts';
import { GuardEmitter } from './guard-events.ts';
import type { GuardOptions, GuardTarget, PermissionRequest } from './options.ts';
import type { CompiledPolicy } from './policy/compiled.ts';
import type { Policy } from './policy/policy.ts';
import { Questions } from './questions.ts';
import type { DecisionRecord } from './record.ts';
import { HeldRequest } from './request.ts';
import { type ResponderListener, ResponderProcess } from './responder-process.ts';
import type { ClamdIdentity } from './scan/identity.ts';
import type { GuardStatus } from './status.ts';
import type { Ask, Notice, PolicySet } from './wire.ts';

/** An access that got `onTimeout`, as this process saw it: `count` of them, of which the first is told. */
export interface TimeoutNotice {
  readonly count: number;
  readonly pid: number;
  readonly path: string | null;
}

/** Accesses that the kernel denied, having no descriptor to give. `errno` as in errno(3), positive. */
export interface KernelDenied {
  readonly errno: number;
  readonly count: number;
}

/** What a guard tells by {@link Guard.on}. */
export interface GuardEvents {
  /** `decide` failed, the scanner cannot be asked, or the responder died. Without a listener it becomes a warning of the process. */
  error: [error: Error];
  timeout: [notice: TimeoutNotice];
  kernelDenied: [notice: KernelDenied];
  /** Scopes `subtree` and `system`: what is mounted has changed, and this is held or not held since. */
  coverage: [change: Pick<GuardCoverage, 'held' | 'notHeld'>];
  /** A subtree was removed or unmounted: nothing is in it any more. */
  gone: [subtree: GuardedSubtree];
  /** What was decided, with `records: true`: told after the answer was given. */
  decision: [record: DecisionRecord];
  /** So many decisions are not told, since this process did not listen for long. */
  decisionsLost: [count: number];
  /** clamd can be asked again. */
  scannerBack: [];
  /** Another responder is at work, after one died. */
  restart: [];
  /** Nothing is guarded any more. */
  close: [];
}

const MOST_POLICIES = 8;
const MOST_STARTS = 5;
const STARTS_WITHIN_MS = 60_000;

/**
 * Accesses that are held until there is a verdict: what {@link guard} opens.
 *
 * Privilege: root (CAP_SYS_ADMIN).
 *
 * @example
 * import { execFileSync } from 'node:child_process';
 * import { mkdtempSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * const mount = mkdtempSync('/tmp/gate-');
 * execFileSync('mount', ['-t', 'tmpfs', 'gate', mount]);
 * const gate = await guard(mount, { decide: () => 'allow' });
 * gate.on('error', (error) => console.error(error.message));
 * const { pending, timedOut } = await gate.status();
 * console.log(pending, timedOut); // 0 0
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export class Guard {
  readonly #kernel: Kernel;
  readonly #clock: Clock;
  #config: ResponderConfig;
  readonly #options: GuardOptions;
  /** What `decide` is asked; undefined where the responder decides alone. */
  readonly #questions: Questions | undefined;
  readonly #events = new GuardEmitter<GuardEvents>();
  readonly #mounts: MountTable;
  readonly #reader: ProcessReader;
  readonly #files: ProcFiles;
  #responder: ResponderProcess | undefined;
  /** Why the responder says that it ends. */
  #lastWord: Error | undefined;
  #starts: number[] = [];
  #closing: Promise<void> | undefined;
  /** The last start of a responder. */
  #starting: Promise<void> | undefined;
  #isReferenced = true;
  /** Descriptors of what is guarded. */
  readonly #kept: number[] = [];
  /** Ends a responder that is not ready yet. */
  readonly #ending = new AbortController();

  /** Those that there were lately: what is asked may still be of one. */
  readonly #policies = new Map<number, CompiledPolicy>();

  private constructor(kernel: Kernel, config: ResponderConfig, options: GuardOptions) {
    if (config.policy) this.#keepPolicy(config.policy);
    this.#kernel = kernel;
    this.#clock = clockOf(kernel);
    this.#config = config;
    this.#options = options;
    if (typeof options.decide === 'function') {
      this.#questions = new Questions({
        decide: options.decide,
        clock: this.#clock,
        abilities: () => this.#responder?.abilities ?? { audit: false, errno: 'none' },
        answer: (id, ruling, failed) => this.#responder?.answer(id, ruling, failed),
        timedOut: (count, first) => this.#timedOut(count, first),
        tell: (error) => this.#events.tell(error),
      });
    }
    this.#mounts = new MountTable(kernel);
    this.#files = new ProcFiles(kernel, this.#mounts, () => undefined);
    this.#reader = new ProcessReader(this.#files, 'full');
  }

  /** As {@link guard}. */
  static async open(target: GuardTarget, options: GuardOptions): Promise<Guard> {
    const kernel = options?.kernel ?? linuxKernel();
    const config = configOf(kernel, target, options, availableParallelism());
    const { signal } = options;
    signal?.throwIfAborted();
    const guard = new Guard(kernel, config, options);
    signal?.addEventListener('abort', guard.#abort, { once: true });
    try {
      if (options.restart) guard.#config = withOwnDescriptors(kernel, config, guard.#kept);
      guard.#starting = guard.#start();
      await guard.#starting;
      signal?.throwIfAborted();
      return guard;
    } catch (error) {
      await guard.close();
      signal?.throwIfAborted();
      throw error;
    }
  }

  /** The responder process; undefined when the guard is closed. */
  get responderPid(): number | undefined {
    return this.#responder?.pid;
  }

  /** Calls a listener for each of an event: {@link GuardEvents}. */
  on<Name extends keyof GuardEvents>(name: Name, listener: (...told: GuardEvents[Name]) => void): this {
    this.#events.on(name, listener);
    return this;
  }

  /** Takes {@link on} back. */
  off<Name extends keyof GuardEvents>(name: Name, listener: (...told: GuardEvents[Name]) => void): this {
    this.#events.off(name, listener);
    return this;
  }

  /**
   * How it is doing, by the responder's account.
   *
   * @throws GuardClosedError.
   *
   * Privilege: root.
   * @example
   * import { execFileSync, spawn } from 'node:child_process';
   * import { once } from 'node:events';
   * import { mkdtempSync, writeFileSync } from 'node:fs';
   * import { guard } from 'fanotify';
   * const mount = mkdtempSync('/tmp/status-');
   * execFileSync('mount', ['-t', 'tmpfs', 'status', mount]);
   * writeFileSync(`${mount}/file`, '');
   * const gate = await guard(mount, { decide: () => 'allow' });
   * await once(spawn('cat', [`${mount}/file`], { stdio: 'ignore' }), 'exit');
   * const { allowed, byDecision, denied } = await gate.status();
   * console.log(allowed, byDecision, denied); // 1 1 0
   * await gate.close();
   * execFileSync('umount', [mount]);
   */
  async status(): Promise<GuardStatus> {
    return (await this.#running()).status();
  }

  /**
   * Which file systems are held, which are not, and why. Of scopes `subtree` and `system`; others hold what was named, and list nothing.
   *
   * @throws GuardClosedError.
   *
   * Privilege: root.
   * @example
   * import { execFileSync } from 'node:child_process';
   * import { mkdirSync, mkdtempSync } from 'node:fs';
   * import { guard } from 'fanotify';
   * const mount = mkdtempSync('/tmp/coverage-');
   * execFileSync('mount', ['-t', 'tmpfs', 'coverage', mount]);
   * mkdirSync(`${mount}/uploads`);
   * const gate = await guard(`${mount}/uploads`, { scope: 'subtree', decide: () => 'allow' });
   * const { held, subtrees } = await gate.coverage();
   * console.log(held[0].type, subtrees[0].gone); // tmpfs null
   * await gate.close();
   * execFileSync('umount', [mount]);
   */
  async coverage(): Promise<GuardCoverage> {
    return (await this.#running()).coverage();
  }

  /**
   * Forgets all cached verdicts, in the responder and in the kernel: what was decided by rules that have changed, say. Verdicts on
   * requests that are held now are not cached.
   *
   * @throws GuardClosedError.
   *
   * Privilege: root.
   * @example
   * import { execFileSync } from 'node:child_process';
   * import { mkdtempSync, writeFileSync } from 'node:fs';
   * import { guard } from 'fanotify';
   * const mount = mkdtempSync('/tmp/forget-');
   * execFileSync('mount', ['-t', 'tmpfs', 'forget', mount]);
   * writeFileSync(`${mount}/file`, '');
   * const gate = await guard(mount, { decide: () => ({ verdict: 'allow', cache: true }) });
   * await gate.forget();
   * console.log((await gate.status()).cached); // 0
   * await gate.close();
   * execFileSync('umount', [mount]);
   */
  async forget(): Promise<void> {
    await (await this.#running()).forget();
  }

  /**
   * Decides by another policy from now on. Verdicts that were kept are forgotten; what is held now stays with the rules that it came
   * under.
   *
   * @throws GuardClosedError; InvalidOptionsError when the guard was opened without a policy, or cannot do what the new one says:
   * then the old one stays.
   *
   * Privilege: root.
   * @example
   * import { execFileSync, spawn } from 'node:child_process';
   * import { once } from 'node:events';
   * import { mkdtempSync, writeFileSync } from 'node:fs';
   * import { guard, parsePolicy } from 'fanotify';
   * const mount = mkdtempSync('/tmp/set-policy-');
   * execFileSync('mount', ['-t', 'tmpfs', 'set-policy', mount]);
   * writeFileSync(`${mount}/file`, '');
   * const cat = async () => (await once(spawn('cat', [`${mount}/file`], { stdio: 'ignore' }), 'exit'))[0];
   * const gate = await guard(mount, { policy: parsePolicy('version: 1\ndefault: deny\nrules: []') });
   * console.log(await cat()); // 1
   * await gate.setPolicy(parsePolicy('version: 1\ndefault: allow\nrules: []'));
   * console.log(await cat()); // 0
   * await gate.close();
   * execFileSync('umount', [mount]);
   */
  async setPolicy(policy: Policy): Promise<void> {
    const { compiled } = policy;
    const before = this.#config.policy;
    if (!before) throw new InvalidOptionsError('setPolicy() is of guards that were opened with a policy');
    checkPolicy(policy, this.#config, this.#questions !== undefined);
    const set = { number: before.number + 1, policy: compiled };
    const responder = await this.#running();
    // Also of a responder that is started from now on.
    this.#config = { ...this.#config, policy: set };
    this.#keepPolicy(set);
    await responder.setPolicy(set);
  }

  /** Lets the process end while the guard is open. */
  unref(): void {
    this.#isReferenced = false;
    this.#responder?.unref();
  }

  /** Takes {@link unref} back: an open guard keeps the process alive. */
  ref(): void {
    this.#isReferenced = true;
    this.#responder?.ref();
  }

  /** Ends it: what is held gets `onTimeout`, and resolves when nothing is held any more. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** {@link close}, for `await using gate = await guard(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Between two responders it waits for the next. */
  async #running(): Promise<ResponderProcess> {
    while (!this.#responder && !this.#closing) await this.#starting;
    if (!this.#responder || this.#closing) throw new GuardClosedError();
    return this.#responder;
  }

  #keepPolicy({ number, policy }: PolicySet): void {
    this.#policies.set(number, policy);
    this.#policies.delete(number - MOST_POLICIES);
  }

  #ruleOf({ policy, rule }: Ask): PermissionRequest['rule'] {
    const asks = this.#policies.get(policy)?.rules[rule];
    return asks ? { name: asks.name, line: asks.line, message: asks.message ?? null } : null;
  }

  async #start(): Promise<void> {
    const listener: ResponderListener = {
      ready: (responder) => {
        this.#responder = responder;
        if (!this.#isReferenced) responder.unref();
      },
      ask: (ask) => this.#ask(ask),
      withdrawn: (id) => this.#questions?.withdraw(id),
      notice: (notice) => this.#hear(notice),
      records: (records) => {
        for (const record of records) this.#events.emit('decision', record);
      },
      ended: (responder, error) => this.#ended(responder, error),
    };
    await ResponderProcess.start(this.#kernel, this.#config, listener, this.#ending.signal);
    this.#starts.push(this.#clock.nowMs());
  }

  async #close(): Promise<void> {
    this.#ending.abort();
    await this.#starting?.catch(() => undefined);
    await this.#responder?.close(this.#config.deadlineMs);
    this.#gone();
  }

  /** Nothing is guarded any more. */
  #gone(): void {
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#responder = undefined;
    this.#questions?.end();
    this.#mounts.close();
    for (const fd of this.#kept.splice(0)) this.#kernel.close(fd);
    if (this.#lastWord) this.#events.tell(this.#lastWord);
    this.#lastWord = undefined;
    this.#events.emit('close');
  }

  readonly #abort = (): void => {
    void this.close();
  };

  #ask(ask: Ask): void {
    const responder = this.#responder;
    const questions = this.#questions;
    if (!responder || !questions) return;
    const request = new HeldRequest(
      {
        sight: { kernel: this.#kernel, mounts: this.#mounts, files: this.#files, reader: this.#reader },
        abilities: responder.abilities,
        clock: this.#clock,
        // The responder's descriptor has this number for as long as the access is held: until the answer, which is given here, or the
        // deadline, which both know.
        take: () => this.#kernel.pidfdGetfd(responder.pidfd, ask.fd),
        ruleOf: (asked) => this.#ruleOf(asked),
        answer: (answered, ruling) => {
          questions.answer(answered, ruling, false);
          // Whatever the code that has called allow() or deny() does next: block, or end the process.
          responder.flush();
        },
      },
      ask,
    );
    questions.ask(request);
  }

  #timedOut(count: number, { pid, path }: HeldRequest): void {
    this.#events.emit('timeout', { count, pid, path });
  }

  #hear(notice: Notice): void {
    switch (notice.notice) {
      case 'kernelDenied':
        this.#events.emit('kernelDenied', { errno: notice.errno, count: notice.count });
        break;
      case 'decideFailed': {
        const cause = new Error(notice.message);
        if (notice.stack !== undefined) cause.stack = notice.stack;
        this.#events.tell(
          new DecideError(`the decide module failed: ${notice.message}`, { cause, count: notice.count }),
        );
        break;
      }
      case 'coverage':
        this.#events.emit('coverage', { held: notice.held, notHeld: notice.notHeld });
        break;
      case 'scannerUp':
        this.#scannerIs(notice.clamd);
        if (notice.wasDown) this.#events.emit('scannerBack');
        break;
      case 'scannerFailed':
        this.#events.tell(
          new ScannerError(notice.message, { socket: this.#config.scan?.socket ?? '', count: notice.count }),
        );
        break;
      case 'timedOut':
        this.#events.emit('timeout', { count: notice.count, pid: notice.pid, path: notice.path });
        break;
      case 'recordsLost':
        this.#events.emit('decisionsLost', notice.count);
        break;
      case 'gone':
        this.#events.emit('gone', notice.subtree);
        break;
      case 'stalled':
        this.#lastWord = new ResponderDiedError(
          `the decide module did not come back within ${notice.ms} ms: everything that was held got onTimeout, and the responder was ended`,
        );
        break;
      case 'trouble':
        this.#lastWord = new ResponderDiedError(
          `the responder failed, and gave what it held onTimeout: ${notice.message}`,
        );
    }
  }

  /** Also for a responder that is started from now on. */
  #scannerIs(clamd: ClamdIdentity): void {
    const { scan } = this.#config;
    if (scan) this.#config = { ...this.#config, scan: { ...scan, known: clamd } };
  }

  /** The responder has ended, and nobody asked it to. */
  #ended(responder: ResponderProcess, error: Error): void {
    if (this.#closing || this.#responder !== responder) return;
    this.#responder = undefined;
    this.#questions?.end();
    const lastWord = this.#lastWord ?? error;
    this.#lastWord = undefined;
    this.#events.tell(lastWord);
    // Who was told may have closed it.
    if (this.#closing) return;
    if (this.#options.restart) this.#starting = this.#restart();
    else this.#endedForGood();
  }

  /** There is nothing to close any more. */
  #endedForGood(): void {
    this.#closing = Promise.resolve();
    this.#gone();
  }

  async #restart(): Promise<void> {
    try {
      const now = this.#clock.nowMs();
      this.#starts = this.#starts.filter((start) => now - start < STARTS_WITHIN_MS);
      if (this.#starts.length >= MOST_STARTS) {
        throw new ResponderDiedError(
          `the responder died ${MOST_STARTS} times within a minute: it is not started again`,
        );
      }
      await this.#start();
      if (!this.#closing) this.#events.emit('restart');
    } catch (error) {
      if (this.#closing) return;
      this.#events.tell(error instanceof Error ? error : new Error(String(error)));
      if (!this.#closing) this.#endedForGood();
    }
  }
}

/**
 * Holds accesses to files until `decide` has a verdict: fanotify's permission events, answered by a process of their own, so that
 * nothing that becomes of this one leaves anybody waiting for longer than `deadlineMs`.
 *
 * Since Linux 5.13; `preAccess` since 6.14. Privilege: root (CAP_SYS_ADMIN). docs/deciding.md has more.
 *
 * @param target What to guard: a file, or the root of a mounted file system; with `scope` anything.
 * @param options See {@link GuardOptions}.
 * @throws InvalidOptionsError, NotPermittedError, NoSuchPathError, UnsupportedError, UnsupportedFilesystemError, LimitError,
 * DecideModuleError, KernelUnavailableError, ResponderDiedError; the signal's reason when it has aborted. Nothing is held then.
 * @example
 * import { execFileSync, spawn } from 'node:child_process';
 * import { once } from 'node:events';
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { guard } from 'fanotify';
 * // On a file system of its own: what is guarded is held for everybody.
 * const mount = mkdtempSync('/tmp/guard-');
 * execFileSync('mount', ['-t', 'tmpfs', 'guard', mount]);
 * writeFileSync(`${mount}/secret`, '');
 * const gate = await guard(mount, { decide: ({ path }) => (path.endsWith('secret') ? 'deny' : 'allow') });
 * const cat = spawn('cat', [`${mount}/secret`], { stdio: 'ignore' });
 * console.log((await once(cat, 'exit'))[0]); // 1
 * await gate.close();
 * execFileSync('umount', [mount]);
 */
export async function guard(target: GuardTarget, options: GuardOptions): Promise<Guard> {
  return Guard.open(target, options);
}
