// struct ucounts: how many groups and marks each user has, in their user namespace and in all above it (kernel/ucount.c).

import type { System } from '../system.ts';
import type { UserNamespace } from '../tasks/task.ts';

/** What is counted. */
export type Counted = 'groups' | 'marks';

/** One user in one user namespace. */
export interface UserCount {
  readonly namespace: UserNamespace;
  readonly uid: number;
  groups: number;
  marks: number;
}

export class UserCounts {
  readonly #system: System;
  readonly #counts = new Map<UserNamespace, Map<number, UserCount>>();

  constructor(system: System) {
    this.#system = system;
  }

  /** That of a user, made when it is first asked for. */
  of(namespace: UserNamespace, uid: number): UserCount {
    let users = this.#counts.get(namespace);
    if (users === undefined) {
      users = new Map();
      this.#counts.set(namespace, users);
    }
    let count = users.get(uid);
    if (count === undefined) {
      count = { namespace, uid, groups: 0, marks: 0 };
      users.set(uid, count);
    }
    return count;
  }

  /** inc_ucount: one more, unless that is too many in one of the namespaces. */
  add(count: UserCount, counted: Counted): boolean {
    for (const each of this.#upwards(count)) {
      if (each[counted] >= this.#most(each.namespace, counted)) {
        // What was counted below it.
        for (const below of this.#upwards(count)) {
          if (below === each) return false;
          below[counted]--;
        }
      }
      each[counted]++;
    }
    return true;
  }

  /** dec_ucount. */
  remove(count: UserCount, counted: Counted): void {
    for (const each of this.#upwards(count)) each[counted]--;
  }

  /** The user, and whoever has made the namespaces that it is in. */
  *#upwards(count: UserCount): Generator<UserCount, void, void> {
    yield count;
    for (let { namespace } = count; namespace.parent !== undefined; namespace = namespace.parent) {
      yield this.of(namespace.parent, namespace.ownerUid);
    }
  }

  /** Of the initial namespace it is fs.fanotify.max_user_groups and max_user_marks, which are the same as those of /proc/sys/user. */
  #most(namespace: UserNamespace, counted: Counted): number {
    const { limits } = this.#system;
    if (namespace.parent === undefined) return counted === 'groups' ? limits.maxUserGroups : limits.maxUserMarks;
    return counted === 'groups' ? namespace.limits.maxFanotifyGroups : namespace.limits.maxFanotifyMarks;
  }
}
