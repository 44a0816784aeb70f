// Reads what there is to know of a living process, and of its ancestors.

import type { ProcessStat, ProcFiles } from './proc-files.ts';
import { type ProcessDepth, type ProcessFacts, ProcessRecord } from './process.ts';

/** Parents are remembered, this many. */
const MOST_PARENTS = 4096;
const DEEPEST = 64;

/** Processes as they are now. Who asks knows that it is the right one, as Processes does. */
export class ProcessReader {
  readonly #depth: ProcessDepth;
  readonly #files: ProcFiles;
  readonly #parents = new Map<number, { readonly stat: ProcessStat; readonly record: ProcessRecord }>();

  constructor(files: ProcFiles, depth: ProcessDepth) {
    this.#files = files;
    this.#depth = depth;
  }

  /** The process that `stat` was read of. */
  read(pid: number, stat: ProcessStat): ProcessRecord {
    const { rawComm, ppid, startedMs } = stat;
    const facts: ProcessFacts = { rawComm, ppid, startedMs };
    if (this.#depth === 'name') return new ProcessRecord(pid, facts, false);
    const ancestors = this.#depth === 'full' ? this.#ancestors(stat) : [];
    for (let before = stat, attempt = 0; attempt < 3; attempt++) {
      const more = { ...this.#files.program(pid), ...this.changing(pid) };
      const after = this.#files.stat(pid);
      // It ended meanwhile, and what was read may be of whoever came after it.
      if (after?.startedMs !== startedMs) break;
      const isSame = after.image === before.image || after.isZombie;
      before = after;
      // Else it executed something meanwhile.
      if (isSame)
        return new ProcessRecord(pid, { ...facts, rawComm: after.rawComm, ...more, ancestors }, after.isZombie);
    }
    return new ProcessRecord(pid, { ...facts, ancestors }, true);
  }

  /** What may be otherwise each time. */
  changing(pid: number): ProcessFacts {
    if (this.#depth === 'name') return {};
    const user = this.#files.user(pid);
    return this.#depth === 'full' ? { ...user, ...this.#files.origin(pid) } : user;
  }

  #ancestors(child: ProcessStat): ProcessRecord[] {
    const ancestors: ProcessRecord[] = [];
    for (let young = child; young.ppid > 0 && ancestors.length < DEEPEST; ) {
      const stat = this.#files.stat(young.ppid);
      // Whoever has the number and is younger than the child is not its parent.
      if (!stat || stat.startedMs > young.startedMs) break;
      ancestors.push(this.#ancestor(young.ppid, stat));
      young = stat;
    }
    return ancestors;
  }

  /** Parents are shared by all their children. */
  #ancestor(pid: number, stat: ProcessStat): ProcessRecord {
    const known = this.#parents.get(pid);
    if (known?.stat.startedMs === stat.startedMs && known.stat.image === stat.image) return known.record;
    const { rawComm, ppid, startedMs, isZombie } = stat;
    const record = new ProcessRecord(pid, { rawComm, ppid, startedMs, ...this.#files.executable(pid) }, isZombie);
    if (this.#parents.size >= MOST_PARENTS) this.#parents.clear();
    this.#parents.set(pid, { stat, record });
    return record;
  }
}
