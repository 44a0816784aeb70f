// fanotify_merge: an event like one that still waits adds its bits to that one. The queue is looked through by hash, the newest first, and
// never far.

import { FAN_ONDIR, FAN_RENAME } from './bits.ts';
import type { Event, NameEvent } from './event.ts';

/** FANOTIFY_HTABLE_SIZE. */
const BUCKETS = 128;
/** FANOTIFY_MAX_MERGE_EVENTS: how many of a bucket are looked at. */
const MOST_LOOKED_AT = 128;

/** The events of a queue that others may be merged into, by their hash. */
export class MergeTable {
  /** The newest of each bucket. */
  readonly #buckets: (Event | undefined)[] = new Array(BUCKETS).fill(undefined);
  readonly #byThread: boolean;

  /** @param byThread FAN_REPORT_TID: what two threads did stays apart. */
  constructor(byThread: boolean) {
    this.#byThread = byThread;
  }

  /** Whether it was merged into another. */
  merge(event: Event): boolean {
    let looked = 0;
    for (let old = this.#buckets[event.hash & (BUCKETS - 1)]; old !== undefined; old = old.older) {
      if (++looked > MOST_LOOKED_AT) return false;
      if (old.hash === event.hash && this.#isSame(old, event)) {
        old.mask |= event.mask;
        if (old.kind === 'error') old.count++;
        return true;
      }
    }
    return false;
  }

  add(event: Event): void {
    const bucket = event.hash & (BUCKETS - 1);
    const newest = this.#buckets[bucket];
    event.older = newest;
    if (newest !== undefined) newest.newer = event;
    this.#buckets[bucket] = event;
  }

  /** As it leaves the queue. */
  remove(event: Event): void {
    const { newer, older } = event;
    if (newer !== undefined) newer.older = older;
    else this.#buckets[event.hash & (BUCKETS - 1)] = older;
    if (older !== undefined) older.newer = newer;
    event.newer = undefined;
    event.older = undefined;
  }

  /** fanotify_should_merge. */
  #isSame(old: Event, event: Event): boolean {
    if (this.#byThread ? old.task !== event.task : old.task?.process !== event.task?.process) return false;
    // Else nobody could tell mkdir and unlink from rmdir and create; and renames have records of their own.
    if (((old.mask ^ event.mask) & (FAN_ONDIR | FAN_RENAME)) !== 0) return false;
    switch (event.kind) {
      case 'path':
        return old.kind === 'path' && old.path.mount === event.path.mount && old.path.dentry === event.path.dentry;
      case 'fid':
        return (
          old.kind === 'fid' &&
          event.object !== undefined &&
          old.object === event.object &&
          isEqual(old.fsid, event.fsid)
        );
      case 'name':
        return old.kind === 'name' && isSameName(old, event);
      case 'error':
        // Whatever it is about: only the first is told, and how many there were.
        return old.kind === 'error' && isEqual(old.fsid, event.fsid);
      default:
        return false;
    }
  }
}

function isSameName(old: NameEvent, event: NameEvent): boolean {
  return (
    event.directory !== undefined &&
    old.directory === event.directory &&
    old.child === event.child &&
    old.name === event.name &&
    old.newDirectory === event.newDirectory &&
    old.newName === event.newName &&
    isEqual(old.fsid, event.fsid)
  );
}

function isEqual(one: readonly [number, number], other: readonly [number, number]): boolean {
  return one[0] === other[0] && one[1] === other[1];
}
