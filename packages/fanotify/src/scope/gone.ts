// The end of a root: told in its place among the events, so that silence never means an end.

import type { EventJson } from '../group/events.ts';
import { textOf } from '../identity/path.ts';

/**
 * A root of {@link listen} is no more, and nothing further is told of it.
 *
 * - `deleted`: the directory itself.
 * - `unmounted`: the mount that it was on.
 * - `moved`: to where it cannot be followed without privilege. With privilege a root that is moved stays the root.
 */
export interface GoneEvent {
  readonly kind: 'gone';
  readonly kinds: readonly [];
  readonly reason: 'deleted' | 'unmounted' | 'moved';
  /** Counts with the other events. */
  readonly seq: number;
  /** When it was noticed, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Where it was last; null when that is no valid UTF-8 (see `rawPath`). */
  readonly path: string | null;
  readonly rawPath: Buffer;
  toJSON(): GoneJson;
}

/** The end of a root as JSON. */
export type GoneJson = EventJson & { readonly gone: GoneEvent['reason'] };

const KINDS = [] as const;

export function goneEvent(rawPath: Buffer, reason: GoneEvent['reason'], seq: number): GoneEvent {
  const path = textOf(rawPath);
  const timeMs = Date.now();
  return {
    kind: 'gone',
    kinds: KINDS,
    reason,
    seq,
    timeMs,
    path,
    rawPath,
    toJSON: () => ({
      seq,
      time: new Date(timeMs).toISOString(),
      kinds: KINDS,
      path,
      ...(path === null && { rawPath: rawPath.toString('base64') }),
      gone: reason,
    }),
  };
}
