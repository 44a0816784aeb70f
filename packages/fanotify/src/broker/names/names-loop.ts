// The loop of the names broker. Nothing that it does can wait.

import { AT_FDCWD, O_CLOEXEC } from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';
import { asCallError } from '../../core/feed/kernel-group.ts';
import { nowMs } from '../../decision/clock.ts';
import { roomForDescriptors } from '../../decision/descriptor-limit.ts';
import { MountTable } from '../../identity/mount-table.ts';
import { type Kernel, KernelError, type PollEntry } from '../../kernel/index.ts';
import { Desk } from '../desk.ts';
import type { Loop, LoopParts } from '../loop.ts';
import { Visitors } from '../visitors.ts';
import type { OpenVisits } from '../visits.ts';
import { NamesBroker } from './names-broker.ts';

const POLLIN = 1;
const POLLPRI = 2;
/** The longest that poll is asked to wait: the clock of its time-out has only so many bits. */
const LONGEST_WAIT_MS = 60_000;
/** Under load, events gather for so long between two reads. */
const GATHER_MS = 1;
/** So much of all descriptors is for marks; the rest for connections. */
const KEPT = 1 / 2;

export interface NamesLoopParts extends LoopParts {
  readonly visits: OpenVisits;
  readonly mostKept: number;
  readonly mostDirectories?: number | undefined;
  readonly mostWaiting?: number | undefined;
  /** Tells when losses are told. */
  readonly clock?: () => number;
}

export function openNamesLoop(parts: LoopParts): Loop {
  const { kernel } = parts;
  const visits: OpenVisits = (onStuck, onOut) => new Visitors({ kernel, onStuck, onOut });
  return new NamesLoop({ ...parts, visits, mostKept: Math.floor(roomForDescriptors(kernel) * KEPT) });
}

export class NamesLoop implements Loop {
  readonly broker: NamesBroker;
  readonly #kernel: Kernel;
  readonly #desk: Desk;
  readonly #queue: PollEntry;
  readonly #mountinfo: PollEntry;
  readonly #polled: PollEntry[] = [];
  readonly #clock: () => number;
  /** Before then what has happened is not read again. */
  #gatherUntilMs = 0;

  /** @throws CallError when the kernel gives it no group. */
  constructor(parts: NamesLoopParts) {
    const { kernel } = parts;
    this.#kernel = kernel;
    this.#clock = parts.clock ?? nowMs;
    // Each needs the other: nobody comes before the first turn.
    this.#desk = new Desk({
      ...parts,
      broker: {
        bind: (connection, request) => this.broker.bind(connection, request),
        totals: () => this.broker.totals(),
        userIsOut: (user, untilMs) => this.broker.userIsOut(user, untilMs),
      },
    });
    const { visits } = this.#desk;
    try {
      this.broker = new NamesBroker({
        ...parts,
        mounts: new MountTable(kernel),
        visits,
        isOwn: (pid) => this.#desk.isOwn(pid),
      });
    } catch (error) {
      throw cannotBegin(error);
    }
    this.#queue = { fd: this.broker.queue.fd, events: POLLIN, revents: 0 };
    const mountinfo = kernel.openAt(AT_FDCWD, '/proc/self/mountinfo', O_CLOEXEC);
    this.#mountinfo = { fd: mountinfo, events: POLLPRI, revents: 0 };
  }

  run(): void {
    while (this.step(LONGEST_WAIT_MS));
    this.giveUp();
  }

  giveUp(): void {
    this.#desk.close();
    this.#desk.flush();
    this.broker.close();
    this.#kernel.close(this.#mountinfo.fd);
  }

  /** One turn of the loop; waits at most `longestMs` for something to do. False when everything is to end. */
  step(longestMs: number): boolean {
    const startedMs = nowMs();
    const isGathering = startedMs < this.#gatherUntilMs;
    const polled = this.#polled;
    polled.length = 0;
    polled.push(this.#mountinfo);
    if (!isGathering) polled.push(this.#queue);
    let due = this.#desk.prepare(polled, startedMs);
    // By a clock of its own.
    due = Math.min(due, startedMs + this.broker.dueMs - this.#clock());
    if (isGathering) due = Math.min(due, this.#gatherUntilMs);
    if (this.broker.queue.hasAhead) due = startedMs;
    this.#kernel.poll(polled, Math.max(0, Math.min(longestMs, Math.ceil(due - startedMs))));
    const now = nowMs();
    if (this.#mountinfo.revents !== 0) this.broker.mountsChanged();
    const isReadable = !isGathering && this.#queue.revents !== 0;
    const read = isReadable || this.broker.queue.hasAhead ? this.broker.catchUp(isReadable) : 0;
    if (read > 1) this.#gatherUntilMs = now + GATHER_MS;
    const goesOn = this.#desk.hear(now);
    this.broker.tellLosses(this.#clock());
    this.broker.flush();
    return this.#desk.flush() && goesOn;
  }
}

function cannotBegin(error: unknown): unknown {
  if (!(error instanceof KernelError)) return error;
  if (error.code === 'EPERM')
    return new CallError('EPERM', 'to hear of whole file systems takes CAP_SYS_ADMIN: run it as root');
  if (error.code === 'EINVAL') {
    return new CallError(
      'EINVAL',
      'the kernel does not report names with their directories (FAN_REPORT_TARGET_FID): Linux 5.17 does',
    );
  }
  return asCallError(error);
}
