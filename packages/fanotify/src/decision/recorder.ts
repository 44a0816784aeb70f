// Tells decisions to the owner: what is told of an access is read while it is held, and sent when it is answered.

import { ERRNO } from '../kernel/index.ts';
import type { Access } from './access.ts';
import { DENY_ERRNOS, type Ruling } from './permission.ts';
import { AccessSubject, type SubjectSight } from './policy/access-subject.ts';
import type { CompiledPolicy, PolicyLog } from './policy/compiled.ts';
import type { FoundPlace } from './policy/places.ts';
import type { DecidedBy, DecisionRecord, RecordedPlace } from './record.ts';

const MOST_WAITING = 4096;
const MOST_REMEMBERED = 4096;

/** What is the same for all accesses of a process, until it executes something. */
interface ProcessTold {
  readonly startedMs: number;
  readonly ppid: number;
  readonly image: string;
  readonly told: Pick<DecisionRecord, 'exe' | 'ancestors' | 'container'>;
}

export class Recorder {
  readonly #sight: SubjectSight;
  readonly #log: PolicyLog;
  readonly #processes = new Map<number, ProcessTold>();
  #waiting: DecisionRecord[] = [];
  #lost = 0;

  /** @param log What is told where no policy says that. */
  constructor(sight: SubjectSight, log: PolicyLog) {
    this.#sight = sight;
    this.#log = log;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What waits to be told, once, and how many are told no more since nobody listened. */
  take(): { readonly records: readonly DecisionRecord[]; readonly lost: number } {
    const records = this.#waiting;
    const lost = this.#lost;
    this.#waiting = [];
    this.#lost = 0;
    return { records, lost };
  }

  /**
   * What is to be told of a decision on an access that is still held; undefined when nothing is.
   *
   * @param ruling The verdict.
   * @param given As the kernel is told it: in a dry run another.
   */
  note(
    access: Access,
    ruling: Ruling,
    given: Ruling,
    by: DecidedBy,
    policy: CompiledPolicy | undefined,
  ): DecisionRecord | undefined {
    const at = access.plan?.rule ?? ruling.rule;
    const of = access.plan?.policy ?? policy;
    const rule = at === undefined ? undefined : of?.rules[at];
    if (!isTold(rule?.log, of?.log ?? this.#log, ruling.allowed)) return undefined;
    const subject = access.plan?.subject ?? new AccessSubject(this.#sight, access);
    const { file } = subject;
    const comm = subject.comm;
    const errno = DENY_ERRNOS.find((name) => ERRNO[name] === given.errno);
    return {
      timeMs: Date.now(),
      verdict: given.allowed ? 'allow' : 'deny',
      ...(given.allowed !== ruling.allowed && { wouldBe: 'deny' as const }),
      by,
      ...(of && { policy: of.identity }),
      ...(rule && { rule: { name: rule.name, line: rule.line }, action: rule.action }),
      ...(rule?.message !== undefined && { message: rule.message }),
      ...(ruling.signature !== undefined && { signature: ruling.signature }),
      ...(ruling.failure !== undefined && { failure: ruling.failure }),
      ...(errno && { errno }),
      kind: access.kind,
      file: {
        ...recorded(subject.foundPlace),
        ...(file && { owner: file.uid, group: file.gid, mode: file.mode, sizeBytes: file.sizeBytes }),
        ...(subject.sha256 !== undefined && { sha256: subject.sha256 }),
      },
      pid: access.pid,
      comm: comm ? comm.toString() : null,
      ...this.#process(subject),
      ...(subject.user && { uid: subject.user.uid, gids: subject.user.gids }),
      heldUs: 0,
    };
  }

  /** The access is answered. */
  tell(record: DecisionRecord, heldMs: number): void {
    // Nobody listens; it is told how many there were.
    if (this.#waiting.length >= MOST_WAITING) this.#lost++;
    else this.#waiting.push({ ...record, heldUs: Math.round(heldMs * 1000) });
  }

  #process(subject: AccessSubject): ProcessTold['told'] {
    const { stat, pid } = subject;
    if (!stat) return {};
    const known = this.#processes.get(pid);
    if (known && known.startedMs === stat.startedMs && known.ppid === stat.ppid && known.image === stat.image)
      return known.told;
    const { container } = subject;
    const told = {
      exe: recorded(subject.foundExe),
      ancestors: subject.foundAncestors.map(recorded),
      ...(container !== undefined && { container }),
    };
    if (this.#processes.size >= MOST_REMEMBERED) this.#processes.clear();
    this.#processes.set(pid, { startedMs: stat.startedMs, ppid: stat.ppid, image: stat.image, told });
    return told;
  }
}

function isTold(rule: boolean | undefined, policy: PolicyLog, isAllowed: boolean): boolean {
  return rule ?? (policy === 'all' || (policy === 'denied' && !isAllowed));
}

function recorded({ place, raw }: FoundPlace): RecordedPlace {
  const { state, path } = place;
  // What is no UTF-8 reads otherwise.
  const isText = raw === null || path === null || Buffer.from(path).equals(raw);
  return isText ? { state, path } : { state, path: null, raw: raw.toString('base64') };
}
