// Changes that watch() tells, as lines: JSON, and aligned and coloured text.

import { styleText } from 'node:util';
import type { Change, EntryChange, ProcessDepth, RenameChange, RescanChange } from '../index.ts';
import { processText, textOptionsOf } from './process-text.ts';
import { clock, columnsOf, safeJson, shortened, shown, shownBytes } from './text.ts';

/** Makes a line of a change. */
export type ChangeFormat = (change: Change) => string;

type EntryOrRename = EntryChange | RenameChange;

const WHO_COLUMNS = 16;
const TYPE_COLUMNS = 6;
const FILE_TYPE_COLUMNS = 9;
const SIZE_COLUMNS = 11;

type Style = Parameters<typeof styleText>[0];

const STYLES: Readonly<Record<Change['type'], Style>> = {
  create: 'green',
  update: 'yellow',
  delete: 'red',
  rename: 'cyan',
  rescan: ['red', 'bold'],
};

/** One JSON object: what the library tells, with the time as ISO 8601 and bytes that are no UTF-8 as base64. */
export function changeJson(change: Change): string {
  const { seq, timeMs, type, path, rawPath } = change;
  const head = { seq, time: new Date(timeMs).toISOString(), type, ...pathJson('path', 'rawPath', path, rawPath) };
  if (type === 'rescan') return safeJson({ ...head, complete: change.complete, why: change.why });
  const { fileType, size, by, found } = change;
  return safeJson({
    ...head,
    ...(type === 'rename' && pathJson('from', 'rawFrom', change.from, change.rawFrom)),
    fileType,
    size,
    by,
    ...(found && { found }),
  });
}

function pathJson(name: string, rawName: string, path: string | null, raw: Buffer): Record<string, string | null> {
  return { [name]: path, ...(path === null && { [rawName]: raw.toString('base64') }) };
}

/** Time, process, what, type, size, path; `columns` is asked for each line, 0 for as long as it takes. */
export function changeText(colours: boolean, columns: () => number, who: ProcessDepth | undefined): ChangeFormat {
  const textOf = processText(textOptionsOf(who));
  const paint = (style: Style, text: string) => (colours ? styleText(style, text) : text);
  return (change) => {
    const time = clock(change.timeMs);
    const process = 'by' in change && change.by ? textOf(change.by) : { head: '-', tail: '' };
    const by = ' '.repeat(Math.max(0, WHO_COLUMNS - columnsOf(process.head))) + process.head;
    const type = change.type.padEnd(TYPE_COLUMNS);
    const about = change.type === 'rescan' ? '' : `${particulars(change)}  `;
    const room = columns() - (time.length + columnsOf(by) + type.length + about.length + 6);
    const place = placeOf(change, columns() === 0 ? Number.POSITIVE_INFINITY : Math.max(8, room));
    const found = foundText(change);
    return `${paint('dim', time)}  ${paint('dim', by)}  ${paint(STYLES[change.type], type)}  ${about}${place}${found}${process.tail}`;
  };
}

const FOUND = { initial: ' (was there)', rescan: ' (by comparing)', snapshot: ' (since the snapshot)' } as const;

/** How it was found, unless that is no matter. */
function foundText(change: Change): string {
  const found = 'found' in change ? change.found : undefined;
  return found === undefined || found === 'newDirectory' ? '' : FOUND[found];
}

function particulars({ fileType, size }: EntryOrRename): string {
  return `${fileType.padEnd(FILE_TYPE_COLUMNS)}  ${(size === null ? '-' : String(size)).padStart(SIZE_COLUMNS)}`;
}

function placeOf(change: Change, room: number): string {
  const path = pathText(change.path, change.rawPath, 'fileType' in change && change.fileType === 'directory');
  if (change.type === 'rescan') return `${path}: ${rescanText(change)}`;
  if (change.type !== 'rename') return cut(path, room);
  const from = pathText(change.from, change.rawFrom, change.fileType === 'directory');
  if (columnsOf(from) + columnsOf(path) + ARROW.length <= room) return from + ARROW + path;
  const half = Math.max(4, Math.floor((room - ARROW.length) / 2));
  return cut(from, half) + ARROW + cut(path, half);
}

const ARROW = ' → ';
const cut = (text: string, room: number) => (room === Number.POSITIVE_INFINITY ? text : shortened(text, room));

const WHY: Readonly<Record<RescanChange['why'], string>> = {
  overflow: 'events were lost',
  mount: 'something was mounted or unmounted',
  unreadable: 'it could not be read',
};

function rescanText({ why, complete }: RescanChange): string {
  return complete
    ? `${WHY[why]}: what follows is the difference`
    : `${WHY[why]}, and there is nothing to compare with: list what you need`;
}

function pathText(path: string | null, raw: Buffer, isDirectory: boolean): string {
  const text = path === null ? shownBytes(raw) : shown(path);
  return isDirectory && !text.endsWith('/') ? `${text}/` : text;
}
