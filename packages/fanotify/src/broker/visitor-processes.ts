// The visitors of a broker as the daemon's main process sees them: one works, and another stands by, so that nobody waits for the start of a
// process when the first one got stuck.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Kernel } from '../kernel/index.ts';
import { VISITOR_PROGRAM } from './visitors.ts';

/** Who gets visitors stuck again and again takes no more than so much of the machine. */
const LEAST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
/** One that has lived for so long is no sign of anything. */
const CALM_MS = 10_000;

/** So much is told of what one says. */
const MOST_LINES = 5;

interface Visitor {
  readonly child: ChildProcess;
  /** The broker's end of the connection to it; -1 once it was given away. */
  fd: number;
}

export class VisitorProcesses {
  readonly #kernel: Kernel;
  readonly #give: (fd: number) => void;
  readonly #tell: (text: string) => void;
  readonly #changed: () => void;
  readonly #hasStandby: boolean;
  readonly #exits = new Set<Promise<void>>();
  #working: Visitor | undefined;
  #standby: Visitor | undefined;
  /** Whether the broker has none to ask. */
  #isWanted = false;
  #pauseMs = LEAST_PAUSE_MS;
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /**
   * @param give Hands a connection to a visitor to the broker; it is closed there.
   * @param tell For the log.
   * @param changed Called when there are others.
   * @param hasStandby Whether another one stands by: where somebody waits for what they do.
   */
  constructor(
    kernel: Kernel,
    give: (fd: number) => void,
    tell: (text: string) => void,
    changed: () => void,
    hasStandby: boolean,
  ) {
    this.#kernel = kernel;
    this.#give = give;
    this.#tell = tell;
    this.#changed = changed;
    this.#hasStandby = hasStandby;
    this.#isWanted = true;
    this.#start();
    if (hasStandby) this.#start();
  }

  /** The process ids of those there are, the one that works first. */
  get pids(): readonly number[] {
    return [this.#working, this.#standby].flatMap((visitor) => visitor?.child.pid ?? []);
  }

  /**
   * One does not answer, or has ended: where it is the one that works, another takes its place.
   *
   * @param pid Null where it has not said which it is: then it is that one.
   */
  replace(pid: number | null): void {
    if (pid !== null && this.#working?.child.pid !== pid) return;
    this.#working?.child.kill('SIGKILL');
    this.#working = undefined;
    this.#isWanted = true;
    if (this.#standby) this.#put(this.#standby);
    this.#startLater();
  }

  /** Ends all; resolves when they have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const visitor of [this.#working, this.#standby]) {
      if (!visitor) continue;
      visitor.child.kill('SIGKILL');
      if (visitor.fd >= 0) this.#kernel.close(visitor.fd);
      visitor.fd = -1;
    }
    await Promise.all(this.#exits);
  }

  #put(visitor: Visitor): void {
    this.#working = visitor;
    this.#standby = undefined;
    this.#isWanted = false;
    const { fd } = visitor;
    visitor.fd = -1;
    this.#give(fd);
  }

  #start(): void {
    this.#startedMs = performance.now();
    const [fd, theirs] = this.#kernel.socketPair();
    const { NODE_OPTIONS: _, NODE_CHANNEL_FD: __, ...env } = process.env;
    let child: ChildProcess;
    try {
      child = spawn(process.execPath, [VISITOR_PROGRAM], {
        detached: true,
        cwd: '/',
        env,
        stdio: ['ignore', 'ignore', 'pipe', theirs],
      });
    } catch (error) {
      this.#kernel.close(fd);
      throw error;
    } finally {
      this.#kernel.close(theirs);
    }
    const visitor: Visitor = { child, fd };
    this.#tellErrors(child);
    const exit = new Promise<void>((resolve) => {
      child.once('error', ({ message }) => {
        this.#tell(`a visitor could not be started: ${message}`);
        resolve();
      });
      child.once('exit', () => resolve());
    }).then(() => {
      this.#exits.delete(exit);
      this.#hasEnded(visitor);
    });
    this.#exits.add(exit);
    if (this.#isWanted) this.#put(visitor);
    else this.#standby = visitor;
    this.#changed();
  }

  /** It says nothing there but why it crashes; that may be again and again. */
  #tellErrors({ stderr }: ChildProcess): void {
    if (!stderr) return;
    let lines = 0;
    createInterface({ input: stderr }).on('line', (line) => {
      if (lines++ < MOST_LINES) this.#tell(line);
    });
  }

  /** The broker notices by itself that the one that works has ended; nobody but us knows the other one. */
  #hasEnded(visitor: Visitor): void {
    if (this.#standby !== visitor || this.#isClosed) return;
    this.#kernel.close(visitor.fd);
    this.#standby = undefined;
    this.#startLater();
  }

  #startLater(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const calm = performance.now() - this.#startedMs > CALM_MS;
    this.#pauseMs = calm ? LEAST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isClosed) return;
      try {
        this.#start();
        if (!this.#standby && this.#hasStandby) this.#startLater();
      } catch (error) {
        this.#tell(`a visitor could not be started: ${String(error)}`);
        this.#startLater();
      }
    }, this.#pauseMs);
  }
}
