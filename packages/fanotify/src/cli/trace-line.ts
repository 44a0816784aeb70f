// Events as fatrace prints them: `comm(pid): TYPES path`, with what --user, --exe and --parents add.

import {
  FAN_ACCESS,
  FAN_CLOSE_NOWRITE,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MODIFY,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  FAN_OPEN,
  FAN_RENAME,
} from '../abi/index.ts';
import type { FileEventName, GroupEvent } from '../index.ts';
import { UserError } from './failure.ts';
import { type PlaceStyle, placeText } from './lines.ts';
import { type ProcessTextOptions, processText, unknownProcess } from './process-text.ts';
import { clock, columnsOf, shown } from './text.ts';

/** fatrace's letters in the order that it prints them, the events that each stands for, and their bits. */
const LETTERS: readonly { letter: string; events: readonly FileEventName[]; bits: number }[] = [
  { letter: 'R', events: ['access'], bits: Number(FAN_ACCESS) },
  { letter: 'C', events: ['closeWrite', 'closeNowrite'], bits: Number(FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE) },
  { letter: 'W', events: ['modify', 'closeWrite'], bits: Number(FAN_MODIFY | FAN_CLOSE_WRITE) },
  { letter: 'O', events: ['open'], bits: Number(FAN_OPEN) },
  { letter: '+', events: ['create'], bits: Number(FAN_CREATE) },
  { letter: 'D', events: ['delete'], bits: Number(FAN_DELETE) },
  { letter: '<', events: ['rename'], bits: Number(FAN_MOVED_FROM | FAN_RENAME) },
  { letter: '>', events: ['rename'], bits: Number(FAN_MOVED_TO | FAN_RENAME) },
];

/** What rates are told of, in words. */
export const RATES: readonly { readonly name: string; readonly bits: number }[] = [
  { name: 'open', bits: Number(FAN_OPEN) },
  { name: 'read', bits: Number(FAN_ACCESS) },
  { name: 'write', bits: Number(FAN_MODIFY) },
  { name: 'create', bits: Number(FAN_CREATE) },
  { name: 'rename', bits: Number(FAN_MOVED_FROM | FAN_RENAME) },
  { name: 'delete', bits: Number(FAN_DELETE) },
];

/** What is traced: all events of fatrace's letters, or those of --filter. */
export interface TracedTypes {
  readonly events: readonly FileEventName[];
  /** An event with none of these is left out. */
  readonly bits: number;
}

/**
 * The events of a list of letters; of all letters without one.
 *
 * @throws UserError
 */
export function parseTypes(text?: string): TracedTypes {
  const unknown = [...(text ?? '')].find((letter) => !LETTERS.some((known) => known.letter === letter.toUpperCase()));
  if (unknown !== undefined || text === '') {
    throw new UserError(
      `--filter takes the letters ${LETTERS.map(({ letter }) => letter).join(' ')} (such as --filter=OC)${unknown === undefined ? '' : `, not ${JSON.stringify(unknown)}`}`,
    );
  }
  const wanted = LETTERS.filter(({ letter }) => text === undefined || text.toUpperCase().includes(letter));
  return {
    events: [...new Set(wanted.flatMap(({ events }) => events))],
    bits: wanted.reduce((bits, letter) => bits | letter.bits, 0),
  };
}

const typesByMask = new Map<number, string>();

/** The letters of a mask, in three columns at least. */
function typesOf(maskLow: number): string {
  let types = typesByMask.get(maskLow);
  if (types === undefined) {
    types = LETTERS.filter(({ bits }) => (maskLow & bits) !== 0)
      .map(({ letter }) => letter)
      .join('')
      .padEnd(3);
    typesByMask.set(maskLow, types);
  }
  return types;
}

/** What a line has besides process, types and path. */
export interface TraceLineOptions extends ProcessTextOptions {
  /** Time of day, or seconds since 1970. */
  readonly timestamp?: 'clock' | 'epoch';
}

/** An event of a trace, with its mask as a number. */
export type TracedEvent = GroupEvent<'handle'> & { readonly maskLow: number };

const PLACE_STYLE: PlaceStyle = { arrow: ' -> ', slash: false };

/** Makes lines of events. */
export function traceFormat(options: TraceLineOptions): (event: TracedEvent, room?: number) => string {
  const textOf = processText(options);
  return (event, room = Number.POSITIVE_INFINITY) => {
    const time = options.timestamp ? `${timeOf(event.timeMs, options.timestamp)} ` : '';
    if (event.kind === 'overflow') {
      return `${time}! events after number ${event.lastSeq} were lost here: the kernel's queue was full`;
    }
    if (event.kind === 'filesystemError') return `${time}! ${event.code} ${shown(event.path ?? '?')}`;
    const { head, tail } = event.process ? textOf(event.process) : unknownProcess(event.pid);
    const start = `${time}${head}: ${typesOf(event.maskLow)} `;
    const left = room === Number.POSITIVE_INFINITY ? room : Math.max(8, room - columnsOf(start) - columnsOf(tail));
    return start + placeText(event, left, PLACE_STYLE) + tail;
  };
}

function timeOf(timeMs: number, timestamp: 'clock' | 'epoch'): string {
  return timestamp === 'clock' ? clock(timeMs) : (timeMs / 1000).toFixed(3);
}
