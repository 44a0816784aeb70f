// Listens to one command: marks on every file system, read from inside of the PID namespace that was made for it, where whoever is
// not of the command has number 0.

import {
  FAN_ATTRIB,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  FAN_ONDIR,
  FAN_Q_OVERFLOW,
  FAN_RENAME,
} from '../abi/index.ts';
import { UnsupportedError } from '../group/errors.ts';
import { Group, type GroupInternals, internalsOf } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import type { FileEventName } from '../group/names.ts';
import { MountWatch } from '../identity/mount-watch.ts';
import { type Kernel, KernelError, type Readiness } from '../kernel/index.ts';
import type { RunCoverage } from './run-report.ts';
import { RunUses } from './run-uses.ts';
import { SystemMarks } from './system.ts';

const EVENTS: readonly FileEventName[] = [
  'open',
  'openExec',
  'access',
  'modify',
  'closeWrite',
  'create',
  'delete',
  'rename',
  'attrib',
];
/** What moves directories, or makes them, teaches paths, whoever does it. */
const PLACES = Number(FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO);
const ATTRIB = Number(FAN_ATTRIB);
const ONDIR = Number(FAN_ONDIR);
const OVERFLOW = Number(FAN_Q_OVERFLOW);
/**
 * How long events gather between two reads: in the queue the kernel merges what is done to a file by one process, and reading it at
 * once costs more than all that is done with it.
 */
const GATHER_MS = 50;
/** Longer where reading takes long, as on a busy machine: it is to take a small part of the time. */
const GATHER_TIMES = 20;
const LONGEST_GATHER_MS = 250;
const ARGS_BYTES = 4096;

/** Hears a command, from {@link RunListener.open} to {@link close}. */
export class RunListener {
  readonly uses: RunUses;
  readonly #group: Group<'handle'>;
  readonly #inside: GroupInternals;
  readonly #kernel: Kernel;
  readonly #marks: SystemMarks;
  readonly #own: Set<number>;
  #readiness: Readiness | undefined;
  #timer: NodeJS.Timeout | undefined;
  #mountWatch: MountWatch | undefined;
  #isClosing = false;
  /** Called with what goes wrong while it listens. */
  readonly #fail: (error: unknown) => void;

  private constructor(kernel: Kernel, group: Group<'handle'>, marks: SystemMarks, fail: (error: unknown) => void) {
    this.#kernel = kernel;
    this.#group = group;
    this.#marks = marks;
    this.#fail = fail;
    this.#inside = internalsOf(group as Group);
    this.#own = new Set([0, kernel.pid]);
    this.uses = new RunUses((pid) => argsOf(kernel, pid));
    const own = this.#own;
    this.#inside.queue.filter = {
      nextRound: () => undefined,
      skips: ({ pid, maskLow: mask, dfid }) =>
        own.has(pid)
          ? (mask & OVERFLOW) === 0 && ((mask & ONDIR) === 0 || (mask & PLACES) === 0)
          : // A name less (unlink, or a rename over it) changes the attributes of a file: that is told as what it is.
            mask === ATTRIB && dfid === 0,
      accepts: ({ pid }) => !own.has(pid),
    };
  }

  /**
   * Marks all file systems, from inside of the namespace.
   *
   * @throws What Group.open and Group.mark throw.
   */
  static async open(kernel: Kernel, fail: (error: unknown) => void): Promise<RunListener> {
    const group = await Group.open({ kernel, queue: 'unlimited', marks: 'unlimited', who: 'name' });
    let marks = new SystemMarks(group, EVENTS);
    try {
      await marks.look();
    } catch (error) {
      // Before Linux 5.17 a rename is two events.
      if (!(error instanceof UnsupportedError) || error.since !== '5.17') throw error;
      marks = new SystemMarks(group, [...EVENTS.filter((name) => name !== 'rename'), 'movedFrom', 'movedTo']);
      await marks.look();
    }
    const listener = new RunListener(kernel, group, marks, fail);
    listener.#listen();
    return listener;
  }

  /** Leaves out what another process of ours does. */
  leaveOut(pid: number): void {
    this.#own.add(pid);
  }

  get overflows(): number {
    return this.#group.counters.overflows;
  }

  get coverage(): RunCoverage {
    const { heard, notHeard } = this.#marks;
    const isPseudo = ({ why }: { why: string }) => why === 'pseudo';
    return {
      covered: heard.map(({ mountPoint, type }) => ({ path: mountPoint, type })),
      notCovered: notHeard
        .filter((filesystem) => !isPseudo(filesystem))
        .map(({ mountPoint, type, why, message }) => ({ path: mountPoint, type, why: message ?? why })),
      leftOut: [...new Set(notHeard.filter(isPseudo).map(({ type }) => type))].sort(),
    };
  }

  /** Takes in what was queued until now, and ends. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#readiness?.close();
    clearTimeout(this.#timer);
    this.#mountWatch?.close();
    const { queue } = this.#inside;
    const until = queue.handled + queue.waiting;
    while (queue.handled < until && this.#take()) await turn();
    await this.#group.close();
  }

  #listen(): void {
    this.#mountWatch = new MountWatch(this.#kernel, () => this.#look());
    this.#readiness = this.#kernel.onReadable(this.#group.fd, () => {
      this.#readiness?.stop();
      this.#readLater();
    });
  }

  #readLater(tookMs = 0): void {
    const gatherMs = Math.min(LONGEST_GATHER_MS, Math.max(GATHER_MS, tookMs * GATHER_TIMES));
    this.#timer = setTimeout(() => void this.#read(), gatherMs);
  }

  async #read(): Promise<void> {
    try {
      const { queue } = this.#inside;
      const startedMs = performance.now();
      let hasRead = false;
      while (!this.#isClosing && this.#take()) {
        hasRead = true;
        if (!queue.hasMore) break;
        await turn();
      }
      if (this.#isClosing) return;
      // What is busy needs no waking.
      if (hasRead) this.#readLater(performance.now() - startedMs);
      else this.#readiness?.start();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Takes in one batch; false when there is none. */
  #take(): boolean {
    const events = this.#inside.queue.next();
    if (!events) return false;
    // In a group that reports handles every event is of this class.
    for (const event of events as readonly KernelEvent[]) if (event.kind !== 'overflow') this.uses.add(event);
    return true;
  }

  async #look(): Promise<void> {
    if (this.#isClosing) return;
    try {
      await this.#marks.look();
    } catch (error) {
      this.#fail(error);
    }
  }
}

/** Lets timers and signals have their turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function argsOf(kernel: Kernel, pid: number): readonly string[] | null {
  try {
    const bytes = kernel.readFile(`/proc/${pid}/cmdline`).subarray(0, ARGS_BYTES);
    return bytes.length === 0 ? null : bytes.toString().replace(/\0$/, '').split('\0');
  } catch (error) {
    if (error instanceof KernelError) return null;
    throw error;
  }
}
