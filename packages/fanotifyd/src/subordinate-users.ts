// Users that are one user in truth: whoever owns a range of uids by subuid(5) can connect as each of them, by a user namespace of his own.

import { readFileSync } from 'node:fs';
import { Accounts } from './config/values.ts';

interface Range {
  readonly first: number;
  readonly count: number;
  /** The user whom all of it counts as. */
  readonly countsAs: number;
}

/** What subuid(5) says. What other services know (`subid` in nsswitch.conf(5)) is not in it. */
export class SubordinateUsers {
  readonly #ranges: readonly Range[];

  constructor(text: string, accounts: Accounts = new Accounts()) {
    this.#ranges = text.split('\n').flatMap((line) => rangeOf(line, accounts) ?? []);
  }

  /** Reads the file; without one nobody owns anything. */
  static read(file: string = '/etc/subuid'): SubordinateUsers {
    let text = '';
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      // As newuidmap(1), which maps nothing then.
    }
    return new SubordinateUsers(text);
  }

  /** The user whose limits are those of a uid: itself where nobody owns it. */
  countedAs(uid: number): number {
    return this.#ranges.find(({ first, count }) => uid >= first && uid - first < count)?.countsAs ?? uid;
  }
}

/** Undefined for what is no range. The owner is a name or a number. */
function rangeOf(line: string, accounts: Accounts): Range | undefined {
  const [, name = '', start, length] = /^([^:#\s][^:]*):(\d+):(\d+)\s*$/.exec(line) ?? [];
  const owner = accounts.idNamed('user', name) ?? (/^\d+$/.test(name) ? Number(name) : undefined);
  const [first, count] = [Number(start), Number(length)];
  if (owner === undefined || !(count > 0)) return undefined;
  // What root lends, as to a container, is one user, and not root: it is to take nothing of root's own limits.
  return { first, count, countsAs: owner === 0 ? first : owner };
}
