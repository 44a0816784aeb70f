// The scanner's own accesses, which nobody may hold up: it would wait for itself. Looked up in /proc for each access, but for those of
// processes that were seen a moment ago to be others.

import type { ProcFiles } from '../../identity/proc-files.ts';
import type { Kernel } from '../../kernel/index.ts';
import { type ClamdIdentity, executableOf, statusOf } from './identity.ts';

const DEEPEST = 64;
const MOST_REMEMBERED = 4096;
/** For so long a process that was seen not to be of the scanner is not looked at again. */
const OTHERS_MS = 1_000;
/** A program that is called otherwise runs more than a scanner: an interpreter, say. */
const CLAMD = /\/clamd$/;

export class ScannerExemption {
  readonly #kernel: Kernel;
  readonly #files: ProcFiles;
  #clamd: ClamdIdentity | undefined;
  /** Until when a process is taken for another, by number: one that is wrongly so is held for a moment more, and asked about. */
  readonly #others = new Map<number, number>();

  constructor(kernel: Kernel, files: ProcFiles) {
    this.#kernel = kernel;
    this.#files = files;
  }

  /** Who scans from now on. */
  set clamd(clamd: ClamdIdentity) {
    this.#clamd = clamd;
    this.#others.clear();
  }

  /** Whether an access is the scanner's: of its process tree, or of its program in the hands of its user or of root, as it starts again. */
  has(pid: number, nowMs: number): boolean {
    const clamd = this.#clamd;
    if (!clamd || clamd.pid === 0 || pid <= 0 || !this.#files.isOwn) return false;
    if (pid !== clamd.pid && (this.#others.get(pid) ?? 0) > nowMs) return false;
    if (this.#isInTree(clamd, pid) || this.#isStarting(clamd, pid)) return true;
    if (this.#others.size >= MOST_REMEMBERED) this.#others.clear();
    this.#others.set(pid, nowMs + OTHERS_MS);
    return false;
  }

  #isInTree(clamd: ClamdIdentity, pid: number): boolean {
    for (let at = pid, levels = 0; at > 1 && levels < DEEPEST; levels++) {
      const stat = this.#files.stat(at);
      if (!stat) return false;
      if (at === clamd.pid) return stat.startedMs === clamd.startedMs;
      at = stat.ppid;
    }
    return false;
  }

  /** It reads its signatures before it listens; as root, until it has become its user. */
  #isStarting({ executable, uid }: ClamdIdentity, pid: number): boolean {
    if (executable === null || !CLAMD.test(executable)) return false;
    const runs = executableOf(this.#kernel, pid);
    const meant = runs && statusOf(this.#kernel, executable);
    if (!runs || !meant || runs.ino !== meant.ino || runs.dev !== meant.dev) return false;
    const user = this.#files.user(pid).uid;
    return user !== undefined && (user === uid || user === 0);
  }
}
