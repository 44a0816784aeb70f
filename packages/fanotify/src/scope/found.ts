// What was found rather than heard: entries of a directory that came into being before it was marked.

import { FAN_CREATE, FAN_DELETE } from '../abi/index.ts';
import type { EventJson } from '../group/events.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import { type ResolvedPath, textOf } from '../identity/path.ts';

/**
 * An entry of a new directory that was there before the directory could be marked. It stands for its create event and for all
 * that happened to it until then. Only where subtrees are heard through inode marks: a filesystem mark misses nothing.
 */
export interface FoundEvent {
  readonly kind: 'found';
  readonly kinds: readonly ['create'];
  /** Counts with the other events. */
  readonly seq: number;
  /** When it was found, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly path: string | null;
  readonly rawPath: Buffer;
  readonly pathAsOf: 'reading';
  readonly directory: boolean;
  /** The key of the directory that it is in, and its name there. */
  readonly parent: string;
  readonly rawName: Buffer;
  /** What it is, of a directory that could be opened. */
  readonly key: string | undefined;
  /** Nobody knows. */
  readonly pid: 0;
  toJSON(): FoundJson;
}

/** A found entry as JSON. */
export type FoundJson = EventJson & { readonly synthesized: true };

/** A found entry, before it is numbered. */
export interface Finding {
  /** The directory that it is in, and its name there. */
  readonly parent: string;
  readonly name: Buffer;
  readonly rawPath: Buffer;
  readonly directory: boolean;
  /** What it is, of a directory that could be opened. */
  readonly key: string | undefined;
}

const KINDS = ['create'] as const;

/** Makes an event of a finding. */
export function foundEvent({ rawPath, directory, parent, name, key }: Finding, seq: number): FoundEvent {
  const path: ResolvedPath['text'] = textOf(rawPath);
  const timeMs = Date.now();
  return {
    kind: 'found',
    kinds: KINDS,
    seq,
    timeMs,
    path,
    rawPath,
    pathAsOf: 'reading',
    directory,
    parent,
    rawName: name,
    key,
    pid: 0,
    toJSON: () => ({
      seq,
      time: new Date(timeMs).toISOString(),
      kinds: KINDS,
      path,
      ...(path === null && { rawPath: rawPath.toString('base64') }),
      pathAsOf: 'reading',
      directory,
      pid: 0,
      synthesized: true,
    }),
  };
}

const CREATE = Number(FAN_CREATE);
const DELETE = Number(FAN_DELETE);

/** What was found and may still be heard, so that it is not told twice. */
export class Findings {
  /** By directory and name, the round of the queue in which it was found. */
  readonly #rounds = new Map<string, number>();

  add({ parent, name }: Finding, round: number): void {
    this.#rounds.set(`${parent}/${name.toString('latin1')}`, round);
  }

  /** Leaves the creation out of an event of an entry that was found after it happened. */
  settle(event: KernelEvent): void {
    if (this.#rounds.size === 0) return;
    // What left was found before: what comes there then is another.
    if (event.oldDfidRecord !== 0) this.#take(event, event.oldDfidRecord);
    const round = event.dfidRecord === 0 ? undefined : this.#take(event, event.dfidRecord);
    if (round !== undefined) {
      const isCreated = (event.maskLow & CREATE) !== 0 && (event.maskLow & DELETE) === 0;
      if (event.round <= round && isCreated) event.leaveOut(CREATE);
    }
    // Maps keep their order: what was found in earlier rounds is in front, and nothing of it can be heard any more.
    for (const [known, foundIn] of this.#rounds) {
      if (foundIn >= event.round) break;
      this.#rounds.delete(known);
    }
  }
  /** In which round the entry was found of which a record of an event is. */
  #take(event: KernelEvent, record: number): number | undefined {
    const id = `${event.keyOf(record)}/${event.nameIn(record).toString('latin1')}`;
    const round = this.#rounds.get(id);
    if (round !== undefined) this.#rounds.delete(id);
    return round;
  }
}
