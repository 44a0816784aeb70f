// Whether a group's user reaches the directories below its marks: asked of a visitor, who goes there as that user, and kept until
// something on the way changes.

import type { Visits } from '../visits.ts';
import { type DirectoryNode, type Mark, type NamesGroup, Verdict } from './model.ts';
import { DEEPEST, type DirectoryTree, isAtOrBelow, pathBelow } from './tree.ts';

const FSID_LENGTH = 8;
/** How many verdicts are kept for all marks of a group. */
const MOST_VERDICTS = 16_384;
/** How many questions of one group are out at once: others have some, too. */
const MOST_ASKED = 32;
/** A directory that is renamed while somebody goes there is looked for where it is then, so often. */
const MOST_ATTEMPTS = 5;

export class Reach {
  readonly #tree: DirectoryTree;
  readonly #visits: Visits;
  readonly #afterAll: (then: () => void) => void;
  /** By group: what is to be asked, and how much is asked. */
  readonly #turns = new Map<object, { asked: number; readonly next: Verdict[] }>();
  #mountsChangedAt = 0;

  /** @param afterAll Does something when what the kernel has was told: a directory that is not found may have been renamed. */
  constructor(tree: DirectoryTree, visits: Visits, afterAll: (then: () => void) => void) {
    this.#tree = tree;
    this.#visits = visits;
    this.#afterAll = afterAll;
  }

  /** Something was mounted, or unmounted: on a way it may be in the way. */
  mountsChanged(): void {
    this.#mountsChangedAt = this.#tree.clock + 1;
    this.#tree.tick();
  }

  /** What is known of a directory at or below a mark, or is being asked; undefined where nobody was asked since something has changed. */
  known(mark: Mark, directory: DirectoryNode): Verdict | undefined {
    const known = mark.verdicts.get(directory);
    return known && this.#isGood(known) ? known : undefined;
  }

  /** The same, and has it asked if need be; `answer` is undefined as long as that goes on. */
  judge(mark: Mark, directory: DirectoryNode): Verdict {
    const known = this.known(mark, directory);
    if (known) return known;
    if (!mark.verdicts.has(directory)) this.#makeRoom(mark.group);
    const verdict = new Verdict(mark, directory);
    mark.verdicts.set(directory, verdict);
    verdict.askedAt = this.#tree.clock;
    directory.held++;
    const turn = this.#turns.get(mark.group) ?? { asked: 0, next: [] };
    this.#turns.set(mark.group, turn);
    if (turn.asked >= MOST_ASKED) turn.next.push(verdict);
    else this.#ask(verdict, turn);
    return verdict;
  }

  #makeRoom(group: NamesGroup): void {
    if (++group.verdicts <= MOST_VERDICTS) return;
    for (const { verdicts } of group.marks.values()) verdicts.clear();
    group.verdicts = 1;
  }

  /** A group has gone; nobody waits for what it has asked. */
  forget(group: object): void {
    const turn = this.#turns.get(group);
    for (const { directory } of turn?.next.splice(0) ?? []) directory.held--;
    this.#turns.delete(group);
  }

  /** Whether nothing on the way has changed since it was asked. */
  #isGood({ mark, directory, askedAt }: Verdict): boolean {
    if (this.#mountsChangedAt > askedAt) return false;
    let depth = 0;
    for (let at: DirectoryNode | undefined = directory; at && depth < DEEPEST; at = at.above, depth++) {
      if (at.changedAt > askedAt) return false;
      if (at === mark.node) return true;
    }
    return false;
  }

  #ask(verdict: Verdict, turn: { asked: number; readonly next: Verdict[] }): void {
    const { mark, directory } = verdict;
    const path = mark.node && mark.target ? pathBelow(directory, mark.node) : undefined;
    if (path === undefined || !mark.target) {
      this.#settle(verdict, { access: undefined });
      return;
    }
    verdict.askedAt = this.#tree.clock;
    verdict.attempts++;
    turn.asked++;
    const handle = Buffer.from(directory.key.slice(FSID_LENGTH), 'latin1');
    const bytes = Buffer.from(path, 'latin1');
    this.#visits.walk(mark.group.rights.peer, mark.target.fd, bytes, handle, (access) => {
      turn.asked--;
      if (access === 'stuck') this.#settle(verdict, 'stuck');
      else if (access) this.#settle(verdict, { access });
      else this.#afterAll(() => this.#notFound(verdict, turn));
      this.#askNext(turn);
    });
  }

  /** Not reached, or not there any more: it may have been renamed, and what happened in it before is to be told nevertheless. */
  #notFound(verdict: Verdict, turn: { asked: number; readonly next: Verdict[] }): void {
    const { mark, directory, attempts } = verdict;
    const isThere = mark.node !== undefined && isAtOrBelow(directory, mark.node);
    if (!isThere || this.#isGood(verdict)) this.#settle(verdict, { access: undefined });
    else if (attempts < MOST_ATTEMPTS) this.#ask(verdict, turn);
    else this.#settle(verdict, 'stuck');
  }

  #askNext(turn: { asked: number; readonly next: Verdict[] }): void {
    while (turn.asked < MOST_ASKED) {
      const verdict = turn.next.shift();
      if (!verdict) return;
      this.#ask(verdict, turn);
    }
  }

  #settle(verdict: Verdict, answer: Verdict['answer']): void {
    verdict.answer = answer;
    verdict.directory.held--;
    // Whoever is asked next may have an answer.
    if (answer === 'stuck' && verdict.mark.verdicts.get(verdict.directory) === verdict) {
      verdict.mark.verdicts.delete(verdict.directory);
      verdict.mark.group.verdicts--;
    }
    const { waiters } = verdict;
    verdict.waiters = [];
    for (const waiter of waiters) waiter.settled(verdict);
  }
}
