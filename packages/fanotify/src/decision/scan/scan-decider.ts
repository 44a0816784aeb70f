// clamd as a decider: files are given to it as far as it takes them, wait their turn, and are given to it again when it comes back. Part
// of the responder's loop, and never waits.

import { AT_EMPTY_PATH } from '../../abi/index.ts';
import type { ProcFiles } from '../../identity/proc-files.ts';
import type { Credentials, Kernel, PollEntry } from '../../kernel/index.ts';
import type { Access } from '../access.ts';
import { nowMs } from '../clock.ts';
import { ScannerError } from '../errors.ts';
import { Fifo } from '../fifo.ts';
import { ALLOW, RULINGS, type Ruling } from '../permission.ts';
import type { Decider } from '../table.ts';
import { DEFAULT_KEEP_MS, type ScanConfig } from './config.ts';
import { ScannerExemption } from './exemption.ts';
import { type ClamdIdentity, identityOf, isSameProcess, whyUntrusted } from './identity.ts';
import type { Reply } from './protocol.ts';
import { ClamdSession, type Loss } from './session.ts';
import { Signatures } from './signatures.ts';
import type { ScannerStatus } from './status.ts';

const POLLIN = 1;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** Between attempts to connect: the first comes at once, and each takes twice as long until the last. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 1_000;
/** A file is given to clamd no more often: it may be what ends it. */
const MOST_ATTEMPTS = 3;
/** How long the first answer may take, before anything is marked. */
const START_MS = 10_000;

const CLEAN: Ruling = { ...ALLOW, cache: true, by: 'scan' };

/** What a scanner works with. */
export interface ScannerParts {
  readonly kernel: Kernel;
  readonly files: ProcFiles;
  readonly config: ScanConfig;
  /** What the guard says of accesses that are not decided on. */
  readonly policy: Pick<Decider<Access>, 'deadlineMs' | 'onTimeout' | 'onError'>;
}

/** Whom a scanner tells. */
export interface ScannerListener {
  /** An access is decided. False when it has been already. */
  settle(id: number, ruling: Ruling): boolean;
  /** What was found clean may not be so any more. */
  forget(): void;
  /** It is at work; `wasDown` when it was not for a while. */
  up(clamd: ClamdIdentity, wasDown: boolean): void;
  /** It is not, and what is to be scanned gets `onError`. */
  down(message: string): void;
  /** An access has got `onError`. */
  failed(message: string): void;
  /** An access gets `onTimeout`. */
  timedOut(access: Access): void;
}

/** A file that is to be scanned. */
interface Scan {
  /** Of the access. */
  readonly id: number;
  readonly access: Access;
  attempts: number;
  /** When clamd was given it last. */
  startedMs: number;
  /** Whether clamd has it now. */
  isGiven: boolean;
  /** It has a verdict, though clamd has not answered. */
  isOver: boolean;
}

export class ScanDecider implements Decider<Access> {
  readonly deadlineMs: number;
  readonly onTimeout: Ruling;
  readonly onError: Ruling;
  readonly #parts: ScannerParts;
  readonly #onTooLarge: Ruling;
  readonly #session: ClamdSession;
  readonly #signatures: Signatures;
  readonly #exemption: ScannerExemption;
  #listener: ScannerListener | undefined;
  #waiting = new Fifo<Scan>();
  /** With clamd, by the number of the command: in the order in which it was given them. */
  readonly #scanning = new Map<number, Scan>();
  /** Waiting or with clamd, by access. */
  readonly #scans = new Map<number, Scan>();
  /** How many of {@link #scanning} have a verdict already. */
  #over = 0;
  #clamd: ClamdIdentity | undefined;
  /** Why nothing is scanned now; undefined while clamd scans or is waited for. */
  #downWhy: string | undefined;
  #wasDown = false;
  /** Since when clamd answers: clock.ts. */
  #upSinceMs = Number.POSITIVE_INFINITY;
  #retryDueMs = Number.POSITIVE_INFINITY;
  #retryMs = FIRST_RETRY_MS;
  readonly #counts = { clean: 0, found: 0, errors: 0, tooLarge: 0 };

  constructor(parts: ScannerParts) {
    const { kernel, files, config, policy } = parts;
    this.#parts = parts;
    this.deadlineMs = policy.deadlineMs;
    this.onTimeout = policy.onTimeout;
    this.onError = policy.onError;
    this.#onTooLarge = {
      ...RULINGS[config.onTooLarge],
      cache: true,
      by: 'scan',
      failure: `larger than ${config.maxBytes} bytes`,
    };
    this.#clamd = config.known;
    this.#exemption = new ScannerExemption(kernel, files);
    if (this.#clamd) this.#exemption.clamd = this.#clamd;
    this.#session = new ClamdSession(kernel, config.socket, {
      greeted: (sender) => this.#greeted(sender),
      answered: (id, reply) => this.#answered(id, reply),
    });
    this.#signatures = new Signatures(kernel, config.socket, config.keepMs ?? DEFAULT_KEEP_MS, nowMs(), () =>
      this.#listener?.forget(),
    );
  }

  /** For poll(2). */
  get entries(): readonly PollEntry[] {
    return [this.#session.entry, this.#signatures.entry];
  }

  /** When {@link attend} has to be called, whatever happens: clock.ts. */
  get nextDueMs(): number {
    return Math.min(this.#session.nextDueMs, this.#signatures.nextDueMs, this.#retryDueMs, this.#dueMs(this.#oldest()));
  }

  get status(): ScannerStatus {
    return {
      ...this.#counts,
      state: this.#downWhy !== undefined ? 'down' : this.#session.isReady ? 'up' : 'connecting',
      why: this.#downWhy ?? null,
      clamdPid: this.#clamd?.pid ?? null,
      version: this.#signatures.version,
      scanning: this.#session.scanning,
      waiting: this.#waiting.length,
    };
  }

  /**
   * Waits for clamd's first answer, before anything is marked. Where it was known before, it may be down by now, and is not waited for.
   *
   * @param owner A descriptor that is readable when nobody waits for this any more.
   * @returns Whether somebody does.
   * @throws ScannerError when there is no answer.
   */
  start(owner: number): boolean {
    const { kernel, config } = this.#parts;
    const until = nowMs() + START_MS;
    let loss = this.#session.connect(nowMs());
    if (config.known) {
      if (loss) this.#lost(loss, nowMs());
      return true;
    }
    const waiting: PollEntry = { fd: owner, events: POLLIN, revents: 0 };
    const polled = [this.#session.entry, waiting];
    while (!loss && !this.#session.isReady && nowMs() < until) {
      kernel.poll(polled, Math.max(1, Math.ceil(until - nowMs())));
      if (waiting.revents !== 0) return false;
      loss = this.#session.attend(nowMs());
    }
    if (this.#session.isReady) return true;
    const where = JSON.stringify(config.socket);
    const { why, message } = loss ?? { why: 'lost', message: 'it says nothing' };
    this.#session.close();
    throw new ScannerError(
      why === 'nonsense'
        ? `what listens at ${where} is no clamd: ${message}`
        : `clamd cannot be asked: ${message}${why === 'lost' ? ` (${where})` : ''}`,
      { socket: config.socket },
    );
  }

  /** Who hears what becomes of the accesses. */
  set listener(listener: ScannerListener) {
    this.#listener = listener;
    if (this.#clamd && this.#session.isReady) listener.up(this.#clamd, false);
    if (this.#downWhy !== undefined) listener.down(this.#downWhy);
  }

  /** Whether a process is the scanner. */
  exempts(pid: number): boolean {
    return this.#exemption.has(pid, nowMs());
  }

  decide(access: Access, id: number): Ruling | undefined {
    const { kernel, config } = this.#parts;
    const { mode, sizeBytes } = access.stamp?.status ?? kernel.statAt(access.fd, '', AT_EMPTY_PATH);
    if ((mode & S_IFMT) !== S_IFREG) return ALLOW;
    if (sizeBytes === 0n) return CLEAN;
    if (sizeBytes > config.maxBytes) {
      this.#counts.tooLarge++;
      return this.#onTooLarge;
    }
    if (this.#downWhy !== undefined) return this.#failure(this.#downWhy);
    const scan: Scan = { id, access, attempts: 0, startedMs: 0, isGiven: false, isOver: false };
    this.#scans.set(id, scan);
    this.#waiting.push(scan);
    this.#giveOn(nowMs());
    return undefined;
  }

  /** A file could not even be looked at. */
  failed(_access: Access, error: unknown): void {
    this.#counts.errors++;
    this.#listener?.failed(
      `a file could not be given to clamd: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  /** Nobody waits for its verdict any more. */
  timedOut(access: Access, id: number): void {
    const scan = this.#scans.get(id);
    if (scan) this.#end(scan);
    this.#listener?.timedOut(access);
  }

  /** Goes on with what is to be done now. */
  attend(now: number): void {
    const loss = this.#session.attend(now);
    if (loss) this.#lost(loss, now);
    else if (this.#retryDueMs <= now) this.#connect(now);
    this.#signatures.attend(now);
    for (let scan = this.#oldest(); scan && this.#dueMs(scan) <= now; scan = this.#oldest()) {
      this.#end(scan);
      this.#listener?.timedOut(scan.access);
      this.#listener?.settle(scan.id, this.onTimeout);
    }
    this.#giveOn(now);
  }

  /** The scan that clamd has had for longest. */
  #oldest(): Scan | undefined {
    for (const scan of this.#scanning.values()) if (!scan.isOver) return scan;
    return undefined;
  }

  #dueMs(scan: Scan | undefined): number {
    return scan ? scan.startedMs + this.#parts.config.timeoutMs : Number.POSITIVE_INFINITY;
  }

  /** Gives clamd as many files as it may have at a time. Those that nobody waits for count as well, up to as many again. */
  #giveOn(now: number): void {
    const { concurrency } = this.#parts.config;
    const session = this.#session;
    while (session.isReady && session.scanning - this.#over < concurrency && session.scanning < 2 * concurrency) {
      const scan = this.#waiting.peek();
      if (!scan) return;
      if (!scan.isOver) {
        const command = session.scan(scan.access.fd, now);
        if (command === undefined) return;
        scan.attempts++;
        scan.startedMs = now;
        scan.isGiven = true;
        this.#scanning.set(command, scan);
      }
      this.#waiting.shift();
    }
  }

  #answered(command: number, reply: Extract<Reply, { kind: 'clean' | 'found' | 'error' }>): void {
    const scan = this.#scanning.get(command);
    if (!scan) return;
    this.#scanning.delete(command);
    if (scan.isOver) {
      this.#over--;
      return;
    }
    this.#scans.delete(scan.id);
    if (reply.kind === 'clean') {
      this.#counts.clean++;
      this.#listener?.settle(scan.id, CLEAN);
    } else if (reply.kind === 'found') {
      this.#counts.found++;
      this.#listener?.settle(scan.id, { ...RULINGS.deny, cache: true, by: 'scan', signature: reply.signature });
    } else this.#listener?.settle(scan.id, this.#failure(`clamd could not scan a file: ${reply.message}`));
  }

  #failure(message: string): Ruling {
    this.#counts.errors++;
    this.#listener?.failed(message);
    return { ...this.onError, failure: message };
  }

  #end(scan: Scan): void {
    scan.isOver = true;
    this.#scans.delete(scan.id);
    if (scan.isGiven) this.#over++;
  }

  #greeted(sender: Credentials): string | undefined {
    const { kernel, files } = this.#parts;
    const clamd = identityOf(kernel, files, sender);
    const before = this.#clamd;
    const why = before && whyUntrusted(before, clamd);
    if (why !== undefined)
      return `another than before listens at ${JSON.stringify(this.#parts.config.socket)}, and is not trusted: ${why}`;
    this.#clamd = clamd;
    this.#exemption.clamd = clamd;
    this.#retryDueMs = Number.POSITIVE_INFINITY;
    if (before && !isSameProcess(before, clamd)) this.#listener?.forget();
    this.#upSinceMs = nowMs();
    this.#signatures.ask(this.#upSinceMs);
    this.#downWhy = undefined;
    this.#listener?.up(clamd, this.#wasDown);
    this.#wasDown = false;
    return undefined;
  }

  #connect(now: number): void {
    this.#retryDueMs = Number.POSITIVE_INFINITY;
    const loss = this.#session.connect(now);
    if (loss) this.#lost(loss, now);
  }

  #lost({ why, message }: Loss, now: number): void {
    this.#signatures.stop();
    this.#takeBack();
    // Who was at work may be so again already; not who closes each connection.
    const wasUp = now - this.#upSinceMs >= LAST_RETRY_MS;
    this.#upSinceMs = Number.POSITIVE_INFINITY;
    if (wasUp) this.#retryMs = FIRST_RETRY_MS;
    this.#retryDueMs = wasUp ? now : now + this.#retryMs;
    if (!wasUp) this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    if (why === 'lost' && this.#downWhy === undefined) return;
    this.#isDown(`clamd is not at work: ${message}`);
  }

  #isDown(message: string): void {
    const isNews = this.#downWhy !== message;
    this.#downWhy = message;
    this.#wasDown = true;
    for (let scan = this.#waiting.shift(); scan; scan = this.#waiting.shift()) {
      if (scan.isOver) continue;
      this.#scans.delete(scan.id);
      this.#listener?.settle(scan.id, this.#failure(message));
    }
    if (isNews) this.#listener?.down(message);
  }

  /** What clamd was given and has not answered waits again, in front. */
  #takeBack(): void {
    const given = [...this.#scanning.values()].filter(({ isOver }) => !isOver);
    this.#scanning.clear();
    this.#over = 0;
    if (given.length === 0) return;
    const waiting = new Fifo<Scan>();
    for (const scan of given) {
      scan.isGiven = false;
      if (scan.attempts < MOST_ATTEMPTS) waiting.push(scan);
      else {
        this.#scans.delete(scan.id);
        this.#listener?.settle(
          scan.id,
          this.#failure(`clamd has ended ${MOST_ATTEMPTS} times while it scanned a file`),
        );
      }
    }
    for (let scan = this.#waiting.shift(); scan; scan = this.#waiting.shift()) waiting.push(scan);
    this.#waiting = waiting;
  }
}
