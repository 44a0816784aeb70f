// Gathers changes as @parcel/watcher does: one event a path, in the order of paths, told when things have become quiet.

import type { Change } from '../change.ts';
import type { Event } from './types.ts';

/** Told when nothing has come for so long, */
const QUIET_MS = 50;
/** or when the last telling is so long ago. The first change after that is told at once. */
const LONGEST_MS = 500;

/** What happened to one path. */
interface Happened {
  isCreated: boolean;
  isDeleted: boolean;
}

const SURROGATE = /[\ud800-\udfff]/;

/** What happened since it was last taken. */
export class EventList {
  readonly #paths = new Map<string, Happened>();

  get isEmpty(): boolean {
    return this.#paths.size === 0;
  }

  add(change: Change): void {
    if (change.type === 'rescan') return;
    const path = change.path ?? change.rawPath.toString();
    if (change.type === 'rename') {
      this.delete(change.from ?? change.rawFrom.toString());
      this.create(path);
    } else {
      this[change.type](path);
    }
  }

  /** What comes where something went is an update of it. */
  create(path: string): void {
    const happened = this.update(path);
    if (happened.isDeleted) happened.isDeleted = false;
    else happened.isCreated = true;
  }

  update(path: string): Happened {
    const happened = this.#paths.get(path) ?? { isCreated: false, isDeleted: false };
    this.#paths.set(path, happened);
    return happened;
  }

  delete(path: string): void {
    this.update(path).isDeleted = true;
  }

  /** Events in the order of the bytes of their paths; what came and went again is none. */
  take(): Event[] {
    const events: Event[] = [];
    for (const [path, { isCreated, isDeleted }] of this.#paths) {
      if (isCreated && isDeleted) continue;
      events.push({ path, type: isCreated ? 'create' : isDeleted ? 'delete' : 'update' });
    }
    this.#paths.clear();
    return sorted(events);
  }
}

function sorted(events: Event[]): Event[] {
  // UTF-16 is in the order of UTF-8 but for what takes two units.
  if (events.some(({ path }) => SURROGATE.test(path))) {
    return events
      .map((event) => ({ event, bytes: Buffer.from(event.path) }))
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
      .map(({ event }) => event);
  }
  return events.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Tells events, many at a time. */
export class Gathering {
  readonly #list = new EventList();
  readonly #tell: (events: Event[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(tell: (events: Event[]) => void) {
    this.#tell = tell;
  }

  add(changes: readonly Change[]): void {
    for (const change of changes) this.#list.add(change);
    if (this.#list.isEmpty) return;
    clearTimeout(this.#timer);
    if (performance.now() - this.#lastMs > LONGEST_MS) this.flush();
    else this.#timer = setTimeout(() => this.flush(), QUIET_MS);
  }

  /** Tells what there is now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#lastMs = performance.now();
    const events = this.#list.take();
    if (events.length > 0) this.#tell(events);
  }

  /** Forgets what has not been told. */
  end(): void {
    clearTimeout(this.#timer);
    this.#list.take();
  }
}
