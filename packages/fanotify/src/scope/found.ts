// What was found rather than heard: entries of a directory that came into being before it was marked.

import type { EventJson } from '../group/events.ts';
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
}

const KINDS = ['create'] as const;

/** Makes an event of a finding. */
export function foundEvent({ rawPath, directory }: Finding, seq: number): FoundEvent {
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
