// A policy at work in the responder: says of each access who decides on it, and whether the answer may be kept. Rules that allow or
// deny decide at once; a scan, or whoever is asked, in its time.

import type { MountTable } from '../../identity/mount-table.ts';
import { ERRNO, type Kernel } from '../../kernel/index.ts';
import type { Access, AccessPlan, Stamp } from '../access.ts';
import type { OwnerDecider } from '../owner-decider.ts';
import { type Abilities, ALLOW, DENY, RULINGS, type Ruling } from '../permission.ts';
import { isRootsAlone } from '../roots-alone.ts';
import type { Decider } from '../table.ts';
import type { VerdictCache } from '../verdict-cache.ts';
import type { PolicySet } from '../wire.ts';
import { AccessSubject, RenamedSubject, type SubjectSight } from './access-subject.ts';
import type { CompiledPolicy, CompiledRule } from './compiled.ts';
import type { Digests } from './digests.ts';
import { PolicyEvaluator } from './evaluate.ts';
import { READS } from './subject.ts';

/** What {@link PolicyEvaluator.decide} answers when no rule matches, and when a digest is needed first. */
const DEFAULT = -1;
const NEEDS_DIGEST = -2;

/** What a router works with. */
export interface RouterParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly sight: SubjectSight;
  readonly cache: VerdictCache;
  readonly abilities: Abilities;
  /** Whether verdicts that hold where root alone can change a path are kept at all. */
  readonly trustsRoot: boolean;
  readonly digests: Digests;
  /** Who is asked. */
  readonly owner: OwnerDecider;
  /** Undefined where nothing scans: then no rule does. */
  readonly scanner: Decider<Access> | undefined;
  /** Others are to decide on an access that waits for its digest. */
  passOn(id: number, deciders: readonly Decider<Access>[], sinceMs: number): void;
}

type Deciders = readonly Decider<Access>[];

/** A policy at work. */
interface Working extends PolicySet {
  readonly evaluator: PolicyEvaluator;
  /** By rule, and last of what none matches. */
  readonly deciders: readonly Deciders[];
  readonly hits: number[];
}

export class PolicyRouter {
  readonly #parts: RouterParts;
  readonly #toDigest: Deciders;
  #working: Working;
  /** Whether answers that a path was read for are kept somewhere. */
  #keepsPaths = false;

  constructor(parts: RouterParts, set: PolicySet) {
    this.#parts = parts;
    this.#toDigest = [parts.digests];
    this.#working = this.#atWork(set);
  }

  get policy(): CompiledPolicy {
    return this.#working.policy;
  }

  /** How often each rule has matched, and last none. */
  get hits(): readonly number[] {
    return this.#working.hits;
  }

  /** Another policy from now on. What is held stays with the one that it came under. */
  change(set: PolicySet): void {
    this.#working = this.#atWork(set);
    this.#keepsPaths = false;
  }

  #atWork({ number, policy }: PolicySet): Working {
    const { cache, owner } = this.#parts;
    if (policy.digests.length > 0) cache.begin();
    // Who is asked by a rule has the time that its policy gives.
    owner.deadlineMs = policy.ask.timeoutMs;
    owner.onTimeout = { ...RULINGS[policy.ask.default], by: 'timeout' };
    return {
      number,
      policy,
      evaluator: new PolicyEvaluator(policy),
      deciders: this.#decidersOf(policy),
      hits: new Array<number>(policy.rules.length + 1).fill(0),
    };
  }

  /** Who decides on an access. */
  route(access: Access): Deciders {
    const { number, policy, evaluator, deciders } = this.#working;
    const subject = access.plan?.subject ?? new AccessSubject(this.#parts.sight, access);
    let rule = evaluator.decide(subject);
    if (rule === NEEDS_DIGEST) {
      subject.sha256 = this.#parts.cache.digestOf(access);
      if (subject.sha256 !== undefined) rule = evaluator.decide(subject);
    }
    access.plan = { subject, rule, policy, policyNumber: number, reads: evaluator.reads };
    if (rule === NEEDS_DIGEST) return this.#toDigest;
    return deciders[this.#hit(rule)] ?? [];
  }

  /** Digests are known: who decides on the accesses now is asked. */
  attendDigests(): void {
    this.#parts.digests.attend((access, id, digest) => {
      if (access.plan) access.plan.subject.sha256 = digest;
      if (digest !== null) this.#parts.cache.keepDigest(access, digest);
      this.#parts.passOn(id, this.route(access), access.sinceMs);
    });
  }

  /** A verdict that was kept is given again. */
  hitAgain({ rule }: Ruling): void {
    if (rule !== undefined) this.#hit(rule);
  }

  /** Counts, and says where the rule is in the lists. */
  #hit(rule: number): number {
    const { policy, hits } = this.#working;
    const at = rule === DEFAULT ? policy.rules.length : rule;
    hits[at] = (hits[at] ?? 0) + 1;
    return at;
  }

  /** A verdict as the kernel is told it: in a dry run everything is allowed, and nothing is kept that would be denied. */
  finish({ plan }: Access, ruling: Ruling): Ruling {
    const { mode, rules } = plan?.policy ?? this.#working.policy;
    const isAudited = rules[plan?.rule ?? ruling.rule ?? DEFAULT]?.audit === true;
    if (mode === 'dryRun' && !ruling.allowed) return { ...ruling, allowed: true, errno: 0, audit: false, cache: false };
    return isAudited ? { ...ruling, audit: this.#parts.abilities.audit } : ruling;
  }

  /** A ruling as it may be given again to others who do the same; undefined when it may not. */
  kept(access: Access, ruling: Ruling): Ruling | undefined {
    const { plan } = access;
    if (!plan || plan.policy !== this.#working.policy || (plan.reads & READS.process) !== 0) return undefined;
    // Each access is to be in the audit log.
    if (plan.policy.rules[plan.rule]?.audit) return undefined;
    const readsPath = (plan.reads & READS.path) !== 0;
    if (readsPath && !this.#parts.trustsRoot) return undefined;
    // The first that could be kept was not looked at in time.
    this.#parts.cache.begin();
    if (!access.stamp) return undefined;
    if (readsPath) {
      if (!this.#isPathSure(access, access.stamp, plan)) return undefined;
      this.#keepsPaths = true;
    }
    return { ...ruling, rule: plan.rule };
  }

  /** Mounts have changed: whether answers are kept that a path was read for. */
  get keepsPaths(): boolean {
    return this.#keepsPaths;
  }

  /** Whether nobody but root can have the file under a name by which it would be decided otherwise. */
  #isPathSure(access: Access, { status }: Stamp, { subject, rule }: AccessPlan): boolean {
    const { kernel, mounts, sight } = this.#parts;
    const { evaluator } = this.#working;
    const { place, raw } = subject.foundPlace;
    if (place.state !== 'here' || !raw || !isRootsAlone(kernel, mounts, access.fd, status)) return false;
    return sight.places.names(access.fd, access.pid).every((name) => {
      if (name.equals(raw)) return true;
      const renamed = new RenamedSubject(subject, { state: 'here', path: name.toString() });
      return evaluator.decide(renamed) === rule && (evaluator.reads & READS.process) === 0;
    });
  }

  #decidersOf(policy: CompiledPolicy): readonly Deciders[] {
    const byDefault: Ruling = { ...(policy.default === 'allow' ? ALLOW : DENY), cache: true, by: 'default' };
    return [...policy.rules.map((rule) => this.#decidersOfRule(rule)), [atOnce(byDefault)]];
  }

  #decidersOfRule({ action, errno }: CompiledRule): Deciders {
    const { owner, scanner, abilities } = this.#parts;
    switch (action) {
      case 'allow':
        return [atOnce({ ...ALLOW, cache: true, by: 'rule' })];
      case 'deny':
        return [
          atOnce({
            ...DENY,
            errno: errno === undefined || abilities.errno !== 'any' ? 0 : ERRNO[errno],
            cache: true,
            by: 'rule',
          }),
        ];
      case 'ask':
        return [owner];
      case 'scan':
        if (!scanner) throw new TypeError('a policy whose rules scan, and nothing that scans');
        return [scanner];
    }
  }
}

/** Decides without looking. */
function atOnce(ruling: Ruling): Decider<Access> {
  return { deadlineMs: 0, onTimeout: ruling, onError: ruling, decide: () => ruling };
}
