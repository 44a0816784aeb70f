// Whose accesses are allowed without asking: looked up in /proc for each access, since numbers are given on and users change.

import { AT_FDCWD } from '../abi/index.ts';
import type { ProcessStat, ProcFiles } from '../identity/proc-files.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';

/** An exemption as the responder is given it. */
export interface ExemptionRule {
  readonly tree?: number | undefined;
  /** When the process of `tree` was started: another with its number is not meant. Undefined when there was none. */
  readonly treeStartedMs?: number | undefined;
  readonly uid?: number | undefined;
  readonly executable?: string | undefined;
}

const MOST_REMEMBERED = 4096;
const DEEPEST = 64;

export class Exemptions {
  readonly #kernel: Kernel;
  readonly #files: ProcFiles;
  readonly #rules: readonly ExemptionRule[];
  /** Processes that were seen in a tree, by number, with their start: who leaves it later stays in. */
  readonly #members = new Map<number, { readonly startedMs: number; readonly rules: Set<ExemptionRule> }>();

  constructor(kernel: Kernel, files: ProcFiles, rules: readonly ExemptionRule[]) {
    this.#kernel = kernel;
    this.#files = files;
    this.#rules = rules;
  }

  /** Whether accesses of a process are exempt. It is held, so what /proc says is true of it. */
  has(pid: number): boolean {
    if (this.#rules.length === 0 || pid <= 0 || !this.#files.isOwn) return false;
    return this.#rules.some((rule) => this.#isUser(rule, pid) && this.#runs(rule, pid) && this.#isInTree(rule, pid));
  }

  #isUser({ uid }: ExemptionRule, pid: number): boolean {
    return uid === undefined || this.#files.user(pid).uid === uid;
  }

  #runs({ executable }: ExemptionRule, pid: number): boolean {
    if (executable === undefined) return true;
    try {
      // stat(2) follows the link to the file itself and opens nothing.
      const runs = this.#kernel.statAt(AT_FDCWD, `/proc/${pid}/exe`, 0);
      const meant = this.#kernel.statAt(AT_FDCWD, executable, 0);
      return runs.dev === meant.dev && runs.ino === meant.ino;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  #isInTree(rule: ExemptionRule, pid: number): boolean {
    if (rule.tree === undefined) return true;
    if (rule.treeStartedMs === undefined) return false;
    const passed: [number, ProcessStat][] = [];
    for (let at = pid; at > 0 && passed.length < DEEPEST; ) {
      const stat = this.#files.stat(at);
      if (!stat) return false;
      passed.push([at, stat]);
      const member = this.#members.get(at);
      const isKnown = member?.startedMs === stat.startedMs && member.rules.has(rule);
      if (isKnown || (at === rule.tree && stat.startedMs === rule.treeStartedMs)) {
        for (const [descendant, { startedMs }] of passed) this.#remember(descendant, startedMs, rule);
        return true;
      }
      at = stat.ppid;
    }
    return false;
  }

  #remember(pid: number, startedMs: number, rule: ExemptionRule): void {
    const known = this.#members.get(pid);
    if (known?.startedMs === startedMs) {
      known.rules.add(rule);
      return;
    }
    if (this.#members.size >= MOST_REMEMBERED) {
      for (const oldest of this.#members.keys()) {
        this.#members.delete(oldest);
        break;
      }
    }
    this.#members.set(pid, { startedMs, rules: new Set([rule]) });
  }
}
