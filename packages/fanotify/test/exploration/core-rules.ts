// What must hold in a core, looked at where it decides: who is asked in which turn, that each access leaves it once, and what is told whom.

import { Core, type CoreHappening } from '../../src/core/core.ts';
import { KernelFeed } from '../../src/core/feed/kernel-feed.ts';
import { CoreGroup, type HeldAccess } from '../../src/core/group.ts';
import { Broken } from './world.ts';

interface Asked {
  readonly groups: CoreGroup[];
  isDenied: boolean;
}

/** A group whose one mark is of a file system: what it hears is plain. */
interface Plain {
  readonly group: CoreGroup;
  /** By process and inode: what has happened, and was not told since. */
  readonly owed: Map<string, number>;
}

export class CoreRules {
  /** The group that was opened last. */
  last: CoreGroup | undefined;
  failure: Broken | undefined;
  /** How many accesses came. */
  accesses = 0;
  readonly #asked = new Map<HeldAccess, Asked>();
  readonly #ids = new WeakMap<CoreGroup, Map<number, HeldAccess>>();
  readonly #left = new WeakSet<HeldAccess>();
  readonly #order = new Map<CoreGroup, number>();
  readonly #plain = new Set<Plain>();
  #policyDenies = false;
  readonly #before = {
    open: Core.prototype.open,
    happened: Core.prototype.happened,
    hold: Core.prototype.hold,
    setTimeout: Core.prototype.setTimeout,
    decide: CoreGroup.prototype.decide,
    answered: CoreGroup.prototype.answered,
    leave: KernelFeed.prototype.leave,
  };

  constructor() {
    const rules = this;
    const { open, happened, hold, setTimeout, decide, answered, leave } = this.#before;
    Core.prototype.open = function (...given) {
      const group = open.apply(this, given);
      rules.#order.set(group, rules.#order.size);
      rules.last = group;
      return group;
    };
    Core.prototype.setTimeout = function (group, deadlineMs, onTimeout) {
      setTimeout.call(this, group, deadlineMs, onTimeout);
      rules.#policyDenies ||= onTimeout === 'deny';
    };
    Core.prototype.happened = function (happening, pid, carried) {
      rules.#happened(happening, pid);
      happened.call(this, happening, pid, carried);
    };
    Core.prototype.hold = function (happening, access, giveUp) {
      rules.accesses++;
      rules.#asked.set(access, { groups: [], isDenied: false });
      hold.call(this, happening, access, giveUp);
    };
    CoreGroup.prototype.decide = function (access, id) {
      if (!this.isClosed) rules.#turnOf(this, access, id);
      const ruling = decide.call(this, access, id);
      const asked = rules.#asked.get(access);
      if (ruling?.allowed === false && asked) asked.isDenied = true;
      return ruling;
    };
    CoreGroup.prototype.answered = function (id, isAllowed) {
      const access = rules.#ids.get(this)?.get(id);
      const asked = access && rules.#asked.get(access);
      if (asked && !isAllowed) asked.isDenied = true;
      answered.call(this, id, isAllowed);
    };
    KernelFeed.prototype.leave = function (access, ruling) {
      if (rules.#left.has(access)) rules.#fail('an access has left twice');
      rules.#left.add(access);
      const asked = rules.#asked.get(access);
      rules.#asked.delete(access);
      if (asked?.isDenied && ruling.allowed) rules.#fail('what somebody denied is allowed');
      if (!ruling.allowed && !asked?.isDenied && !rules.#policyDenies) rules.#fail('what nobody denied is denied');
      leave.call(this, access, ruling);
    };
  }

  end(): void {
    const { leave, decide, answered, ...core } = this.#before;
    Object.assign(Core.prototype, core);
    Object.assign(CoreGroup.prototype, { decide, answered });
    KernelFeed.prototype.leave = leave;
  }

  check(): void {
    if (this.failure) throw this.failure;
  }

  /** Its process has been killed: what it held the kernel has allowed. */
  forget(): void {
    this.#asked.clear();
    this.#plain.clear();
  }

  /** Nothing happens any more: nobody is asked, and everything was told. */
  checkQuiet(): void {
    this.check();
    if (this.#asked.size > 0)
      throw new Broken(`${this.#asked.size} accesses are with the core when nothing happens any more`);
    for (const { group, owed } of this.#plain) {
      if (group.isClosed || owed.size === 0) continue;
      const told = [...owed].map(([what, bits]) => `${bits.toString(16)} of ${what}`);
      throw new Broken(`not told, and not lost: ${told.join(', ')}`);
    }
  }

  /** From now on what a group hears is followed: until {@link CoreRules.unfollow}. */
  follow(group: CoreGroup): Plain {
    const plain = { group, owed: new Map<string, number>() };
    this.#plain.add(plain);
    return plain;
  }

  unfollow(plain: Plain): void {
    this.#plain.delete(plain);
  }

  #turnOf(group: CoreGroup, access: HeldAccess, id: number): void {
    let ids = this.#ids.get(group);
    if (!ids) {
      ids = new Map();
      this.#ids.set(group, ids);
    }
    ids.set(id, access);
    const asked = this.#asked.get(access);
    if (!asked) {
      this.#fail('somebody is asked about an access that has left');
      return;
    }
    if (asked.isDenied) this.#fail('somebody is asked about what was denied');
    if (group.ownerPid === access.pid) this.#fail('somebody is asked about himself');
    const before = asked.groups.at(-1);
    asked.groups.push(group);
    if (before && !this.#isInTurn(before, group)) {
      this.#fail(`priority ${group.priority} is asked behind ${before.priority}`);
    }
  }

  #isInTurn(before: CoreGroup, group: CoreGroup): boolean {
    if (before.priority !== group.priority) return before.priority > group.priority;
    return (this.#order.get(before) ?? 0) < (this.#order.get(group) ?? 0);
  }

  #happened({ channel, bits, filesystem, isDirectory, ino }: CoreHappening, pid: number): void {
    for (const { group, owed } of this.#plain) {
      if (group.notification !== channel || isDirectory) continue;
      for (const { of: marked, mask } of group.marks) {
        if (marked !== (filesystem as unknown)) continue;
        const heard = mask & bits;
        const key = `${pid}:${ino}`;
        if (heard !== 0) owed.set(key, (owed.get(key) ?? 0) | heard);
      }
    }
  }

  #fail(why: string): void {
    this.failure ??= new Broken(why);
  }
}

/** A group was told: what it is owed no longer. Without an inode it may be any. */
export function paid({ owed }: Plain, pid: number, ino: bigint | undefined, bits: number): void {
  const keys = ino === undefined ? [...owed.keys()] : [`${pid}:${ino}`];
  for (const key of keys) {
    const left = (owed.get(key) ?? 0) & ~bits;
    if (left === 0) owed.delete(key);
    else owed.set(key, left);
  }
}

export type { Plain };
