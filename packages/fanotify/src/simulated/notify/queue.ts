// The notification list of a group: what it has not read yet, in the order in which it happened, and no more than it may have.

import { Wait } from '../wait.ts';
import { FAN_Q_OVERFLOW } from './bits.ts';
import { type Event, isPermission, type OverflowEvent } from './event.ts';
import { MergeTable } from './merge.ts';

/** What became of an event: 'full' is FAN_Q_OVERFLOW in its stead, 'shut' that nobody will read any more. */
export type Queued = 'queued' | 'merged' | 'full' | 'shut';

export class Queue {
  /** group->max_events; Infinity with FAN_UNLIMITED_QUEUE. */
  readonly #most: number;
  readonly #merging: MergeTable;
  /** There is one a group: it is queued once, however much is lost. */
  readonly #overflow: OverflowEvent = {
    kind: 'overflow',
    mask: FAN_Q_OVERFLOW,
    task: undefined,
    hash: 0,
    next: undefined,
    previous: undefined,
    newer: undefined,
    older: undefined,
  };
  readonly #changed: () => void;
  #first: Event | undefined;
  #last: Event | undefined;
  #length = 0;
  #isOverflowQueued = false;
  #isShut = false;
  #arrival: Wait | undefined;

  /** @param changed Called whenever there is something to be read that was not there. */
  constructor(most: number, byThread: boolean, changed: () => void) {
    this.#most = most;
    this.#merging = new MergeTable(byThread);
    this.#changed = changed;
  }

  get first(): Event | undefined {
    return this.#first;
  }

  get length(): number {
    return this.#length;
  }

  /** fsnotify_insert_event. A full queue merges no more either. */
  insert(event: Event): Queued {
    if (this.#isShut) return 'shut';
    if (this.#length >= this.#most) {
      this.overflow();
      return 'full';
    }
    const mayMerge = !isPermission(event.mask);
    if (mayMerge) {
      if (this.#length > 0 && this.#merging.merge(event)) return 'merged';
      this.#merging.add(event);
    }
    this.#append(event);
    return 'queued';
  }

  /** fsnotify_queue_overflow: something is lost. */
  overflow(): void {
    if (this.#isShut || this.#isOverflowQueued) return;
    this.#isOverflowQueued = true;
    this.#append(this.#overflow);
  }

  /** Takes an event out: the first, or one whose task no longer waits. */
  remove(event: Event): void {
    const { next, previous } = event;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    event.next = undefined;
    event.previous = undefined;
    this.#length--;
    if (event.kind === 'overflow') this.#isOverflowQueued = false;
    else if (event.kind !== 'permission') this.#merging.remove(event);
  }

  /** fsnotify_group_stop_queueing. */
  shut(): void {
    this.#isShut = true;
  }

  /** Over when something arrives. */
  arrival(): Wait {
    this.#arrival ??= new Wait('an event');
    return this.#arrival;
  }

  #append(event: Event): void {
    const last = this.#last;
    event.previous = last;
    if (last === undefined) this.#first = event;
    else last.next = event;
    this.#last = event;
    this.#length++;
    const arrival = this.#arrival;
    if (arrival !== undefined) {
      this.#arrival = undefined;
      arrival.end();
    }
    this.#changed();
  }
}
