// What inotifywait(1) and fsnotifywait(1) would tell of an event: a directory, a name in it, and what happened.

import type { FileEvent, RenameEvent } from '../group/events.ts';
import { textOf } from '../identity/path.ts';
import type { EventName } from '../index.ts';
import type { FoundEvent } from '../scope/found.ts';
import type { Crossing, SubtreeEvent } from '../scope/subtree.ts';
import { isDot, joined, type Line } from './lines.ts';

export type Kinds = readonly (EventName | 'overflow')[];

/** What one line tells. */
export interface Told {
  /** With a '/' at its end; of what is not told as an entry of a directory, its whole path. */
  readonly directory: Line;
  /** The name in it, or nothing. */
  readonly name: Line;
  readonly kinds: Kinds;
  readonly isDirectory: boolean;
  readonly timeMs: number;
}

type Place = Pick<Told, 'directory' | 'name'>;

/** Lists of kinds are shared: there are as many as there are different masks. */
const APART = new Map<readonly string[], readonly Kinds[]>();
const OVERFLOW: Kinds = ['overflow'];
const FILESYSTEM_ERROR: Kinds = ['filesystemError'];
const MOVED_FROM: Kinds = ['movedFrom'];
const MOVED_TO: Kinds = ['movedTo'];
const NOWHERE: Place = { directory: '', name: '' };
/** Without its directory a name would look as if it were in the reader's own. */
const UNKNOWN: Place = { directory: '?', name: '' };

/**
 * The lines of an event. A rename is told of its old place and of its new, as far as they are inside of what is watched. Where
 * creation or deletion was merged with what happened between, they are lines of their own, as where the kernel does not name
 * the object that was created: who asks for CREATE need not look for it among others.
 */
export function toldOf(event: SubtreeEvent, crossing?: Crossing): readonly Told[] {
  switch (event.kind) {
    case 'overflow':
      return [tell(NOWHERE, OVERFLOW, false, event.timeMs)];
    case 'filesystemError':
      return [tell(event.path === null ? UNKNOWN : whole(event.path, false), FILESYSTEM_ERROR, false, event.timeMs)];
    case 'rename': {
      const old = crossing === 'in' ? undefined : oldPlace(event);
      const now = crossing === 'out' ? undefined : newPlace(event);
      const to = tell(now ?? UNKNOWN, MOVED_TO, event.directory, event.timeMs);
      if (!old) return [to];
      const from = tell(old, MOVED_FROM, event.directory, event.timeMs);
      return now ? [from, to] : [from];
    }
    default:
      return toldApart(event);
  }
}

function toldApart(event: FileEvent | FoundEvent): readonly Told[] {
  const { kinds, directory, timeMs } = event;
  const place = placeOf(event);
  let apart = APART.get(kinds);
  if (!apart) {
    const stage = (kind: EventName) => (kind === 'create' ? 0 : kind === 'delete' ? 2 : 1);
    apart = [0, 1, 2].map((n) => kinds.filter((kind) => stage(kind) === n)).filter(({ length }) => length > 0);
    APART.set(kinds, apart);
  }
  return apart.map((some) => tell(place, some, directory, timeMs));
}

function tell({ directory, name }: Place, kinds: Kinds, isDirectory: boolean, timeMs: number): Told {
  return { directory, name, kinds, isDirectory, timeMs };
}

function placeOf(event: FileEvent | FoundEvent): Place {
  const path = event.path ?? event.rawPath;
  if (event.kind === 'found') return path === null ? UNKNOWN : entry(path);
  const name = event.rawName;
  if (name !== null && !isDot(name)) return path === null ? unplaced(name) : entry(path);
  return path === null ? UNKNOWN : whole(path, event.directory);
}

/** Undefined where the kernel does not name the directory, since it is not marked. */
function oldPlace(event: RenameEvent): Place | undefined {
  const path = event.from ?? event.rawFrom;
  if (path !== null) return entry(path);
  return event.fromDirectoryHandle ? UNKNOWN : undefined;
}

function newPlace(event: RenameEvent): Place | undefined {
  const path = event.path ?? event.rawPath;
  if (path !== null) return entry(path);
  return event.rawName ? unplaced(event.rawName) : undefined;
}

function entry(path: string | Buffer): Place {
  const end = path.lastIndexOf('/') + 1;
  return typeof path === 'string'
    ? { directory: path.slice(0, end), name: path.slice(end) }
    : { directory: path.subarray(0, end), name: path.subarray(end) };
}

function whole(path: string | Buffer, isDirectory: boolean): Place {
  const isEnded = !isDirectory || path.lastIndexOf('/') === path.length - 1;
  return { directory: isEnded ? path : joined([path, '/']), name: '' };
}

function unplaced(name: Buffer): Place {
  return { directory: '?/', name: textOf(name) ?? name };
}
