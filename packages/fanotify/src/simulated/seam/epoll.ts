// epoll(7), level-triggered: a descriptor that is readable while one of those is ready that it was told of.

import type { OpenFile, SpecialOperations } from '../files/objects.ts';
import { refuse } from '../refusal.ts';
import type { System } from '../system.ts';
import { ALWAYS_TOLD, POLL } from './poll-bits.ts';
import { canBeWaitedFor, pollFile } from './polling.ts';

interface Item {
  readonly fd: number;
  readonly file: OpenFile;
  events: number;
}

export class Epoll implements SpecialOperations {
  readonly label = 'anon_inode:[eventpoll]';
  /** By number and by what it refers to: a number may be used again while the file stays open elsewhere. */
  #items: Item[] = [];
  readonly #system: System;

  constructor(system: System) {
    this.#system = system;
  }

  /** @param events Undefined: EPOLL_CTL_DEL. `isKnown`: EPOLL_CTL_MOD, else EPOLL_CTL_ADD. */
  control(fd: number, file: OpenFile, events: number | undefined, isKnown: boolean): void {
    // Files of a file system are always ready, and not for epoll.
    if (!canBeWaitedFor(file)) refuse('EPERM');
    if (file.operations === this) refuse('EINVAL');
    this.#dropClosed();
    const index = this.#items.findIndex((item) => item.fd === fd && item.file === file);
    const item = this.#items[index];
    if (events === undefined || isKnown) {
      if (item === undefined) refuse('ENOENT');
      if (events === undefined) this.#items.splice(index, 1);
      else item.events = events | ALWAYS_TOLD;
    } else {
      if (item !== undefined) refuse('EEXIST');
      this.#items.push({ fd, file, events: events | ALWAYS_TOLD });
    }
  }

  /** Those that are ready now. */
  ready(most: number, visit: (fd: number, revents: number) => void): void {
    this.#dropClosed();
    let count = 0;
    for (const { fd, file, events } of this.#items) {
      if (count === most) break;
      const revents = pollFile(this.#system, file) & events;
      if (revents === 0) continue;
      count++;
      visit(fd, revents);
    }
    if (count < most || count === 0) return;
    // Who was visited goes behind the others, so that with few visits at a time nobody is left out.
    this.#items.push(...this.#items.splice(0, count));
  }

  poll(): number {
    this.#dropClosed();
    return this.#items.some(({ file, events }) => (pollFile(this.#system, file) & events) !== 0) ? POLL.in : 0;
  }

  fdinfo(): string {
    return this.#items
      .map(({ fd, events }) => `tfd: ${String(fd).padStart(8)} events: ${events.toString(16).padStart(8)}\n`)
      .join('');
  }

  release(): void {
    this.#items = [];
  }

  #dropClosed(): void {
    if (this.#items.some(({ file }) => file.references === 0)) {
      this.#items = this.#items.filter(({ file }) => file.references > 0);
    }
  }
}
