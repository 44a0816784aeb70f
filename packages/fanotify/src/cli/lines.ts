// Events as lines: JSON, plain text, and aligned and coloured text for a terminal.

import { styleText } from 'node:util';
import type { ProcessDepth, RenameEvent } from '../index.ts';
import type { Crossing, SubtreeEvent } from '../scope/subtree.ts';
import { type ProcessText, processText, textOptionsOf } from './process-text.ts';
import { clock, columnsOf, safeJson, shortened, shown, shownBytes } from './text.ts';

/** A line without its end: bytes where it holds a name that is no UTF-8. */
export type Line = string | Uint8Array;

/** Makes a line of an event. */
export type Format = (event: SubtreeEvent, crossing?: Crossing) => Line;

/** Lines, or parts of one, as one. */
export function joined(parts: readonly Line[]): Line {
  if (parts.every((part) => typeof part === 'string')) return parts.join('');
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

/** One JSON object. */
export const jsonLine = (event: SubtreeEvent): string => safeJson(event);

const KINDS_COLUMNS = 14;
const PID_COLUMNS = 7;
const PROCESS_COLUMNS = 16;

type Style = Parameters<typeof styleText>[0];

/** Time, process, kinds, path; `columns` is asked for each line, 0 for as long as it takes. */
export function textFormat(
  colours: boolean,
  columns: () => number,
  who: ProcessDepth | undefined,
  whyLost: string,
): (event: SubtreeEvent) => string {
  const textOf = processText(textOptionsOf(who));
  const whoColumns = who ? PROCESS_COLUMNS : PID_COLUMNS;
  const processOf = (event: SubtreeEvent): ProcessText => {
    if ('process' in event && event.process) return textOf(event.process);
    return { head: 'pid' in event && event.pid !== 0 ? String(event.pid) : '-', tail: '' };
  };
  const paint = (style: Style, text: string) => (colours && text !== '' ? styleText(style, text) : text);
  return (event) => {
    const time = clock(event.timeMs);
    const process = processOf(event);
    const pid = pad(process.head, whoColumns);
    const kinds = kindsText(event);
    const gap = ' '.repeat(Math.max(0, KINDS_COLUMNS - kinds.length));
    const room = columns() - (time.length + columnsOf(pid) + Math.max(KINDS_COLUMNS, kinds.length) + 6);
    const place = placeOf(event, columns() === 0 ? Number.POSITIVE_INFINITY : Math.max(8, room), whyLost);
    return `${paint('dim', time)}  ${paint('dim', pid)}  ${paint(styleOf(event), kinds)}${gap}  ${place}${process.tail}`;
  };
}

const pad = (text: string, columns: number) => ' '.repeat(Math.max(0, columns - columnsOf(text))) + text;

/** A new file is first of all new: the list has no order of its own. */
function kindsText(event: SubtreeEvent): string {
  if (event.kind === 'overflow' || event.kind === 'filesystemError') return event.kind;
  const kinds: readonly string[] = event.kinds;
  return (kinds.includes('create') ? ['create', ...kinds.filter((kind) => kind !== 'create')] : kinds).join(',');
}

function styleOf(event: SubtreeEvent): Style {
  if (event.kind === 'overflow') return ['red', 'bold'];
  if (event.kind === 'filesystemError') return 'red';
  const kinds: readonly string[] = event.kinds;
  if (kinds.some((kind) => kind.startsWith('delete'))) return 'red';
  if (kinds.includes('create')) return 'green';
  if (kinds.some((kind) => kind === 'rename' || kind.startsWith('move'))) return 'cyan';
  return kinds.includes('modify') || kinds.includes('closeWrite') ? 'yellow' : 'blue';
}

function placeOf(event: SubtreeEvent, room: number, whyLost: string): string {
  if (event.kind === 'overflow') return `events after number ${event.lastSeq} were lost: ${whyLost}`;
  if (event.kind === 'filesystemError') return `${event.code} ${event.path ?? ''}`;
  return placeText(event, room, { arrow: ' → ', slash: true });
}

type Placed = Exclude<SubtreeEvent, { kind: 'overflow' | 'filesystemError' }>;

/** How places are written: what is between the paths of a rename, and whether directories end in a slash. */
export interface PlaceStyle {
  readonly arrow: string;
  readonly slash: boolean;
}

/** Where an event happened, in at most so many columns. */
export function placeText(event: Placed, room: number, { arrow, slash }: PlaceStyle): string {
  const directory = slash && event.directory;
  const path = pathText(event, directory);
  if (event.kind !== 'rename') return room === Number.POSITIVE_INFINITY ? path : shortened(path, room);
  const from = fromText(event, directory);
  const half = Math.max(4, Math.floor((room - arrow.length) / 2));
  if (columnsOf(from) + columnsOf(path) + arrow.length <= room) return from + arrow + path;
  return shortened(from, half) + arrow + shortened(path, half);
}

const ELSEWHERE = '(elsewhere)';

function pathText(event: Placed, directory: boolean): string {
  const { path } = event;
  if (path !== null) return ended(shown(path), directory);
  const raw = event.rawPath;
  return raw === null ? unplaced(event, directory) : ended(shownBytes(raw), directory);
}

/** What to call something whose path is not known. */
function unplaced(event: Placed, directory: boolean): string {
  const name = 'rawName' in event ? event.rawName : null;
  if (name) return ended(isDot(name) ? '?' : `?/${shownBytes(name)}`, directory);
  return event.kind === 'rename' ? ELSEWHERE : ended('?', directory);
}

function fromText({ from, rawFrom, fromDirectoryHandle }: RenameEvent, directory: boolean): string {
  if (from !== null) return ended(shown(from), directory);
  if (rawFrom !== null) return ended(shownBytes(rawFrom), directory);
  return fromDirectoryHandle ? ended('?', directory) : ELSEWHERE;
}

/** Whether a name is that of the directory in itself. */
export const isDot = (name: Buffer): boolean => name.length === 1 && name[0] === 0x2e;

/** Directories have a '/' at their end. */
function ended(name: string, directory: boolean): string {
  return directory && !name.endsWith('/') ? `${name}/` : name;
}
