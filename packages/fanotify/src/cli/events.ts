// Event names as people type them: this library's, the kernel's, and those of inotifywait and fsnotifywait.

import { nearest } from '../group/nearest.ts';
import { EVENT_BITS, type EventName, type FileEventName, isEventName, UnknownEventError } from '../index.ts';
import { UserError } from './failure.ts';

const NOT_OF_FILES: ReadonlySet<string> = new Set(['filesystemError', 'mountAttach', 'mountDetach']);
const NAMES = (Object.keys(EVENT_BITS) as EventName[]).filter(isOfFiles);

function isOfFiles(name: EventName): name is FileEventName {
  return !NOT_OF_FILES.has(name);
}

/** Words that stand for several. */
const GROUPS: Readonly<Record<string, readonly FileEventName[]>> = {
  close: ['closeWrite', 'closeNowrite'],
  move: ['movedFrom', 'movedTo'],
  moved: ['movedFrom', 'movedTo'],
  all: NAMES,
};

const plain = (word: string) =>
  word
    .toLowerCase()
    .replaceAll(/[_-]/g, '')
    .replace(/^(fan|in)(?=[a-z])/, '');
const BY_PLAIN = new Map<string, FileEventName>(NAMES.map((name) => [name.toLowerCase(), name]));

/**
 * The events of a comma-separated list: `closeWrite`, `FAN_CLOSE_WRITE` and `close_write` are the same; `close`, `move` and `all`
 * are several.
 *
 * @throws UnknownEventError, UserError.
 */
export function parseEvents(list: string): FileEventName[] {
  const words = list.split(',').map((word) => word.trim());
  if (words.some((word) => word === ''))
    throw new UserError('-e needs a comma-separated list of events, such as create,delete');
  return words.flatMap((word) => {
    const one = BY_PLAIN.get(word.toLowerCase()) ?? BY_PLAIN.get(plain(word));
    if (one) return [one];
    const several = GROUPS[plain(word)];
    if (several) return several;
    if (isEventName(word))
      throw new UserError(`watch hears of files: the event ${JSON.stringify(word)} is not of a file`);
    throw new UnknownEventError(word, nearest(word, [...NAMES, ...Object.keys(GROUPS)]), NAMES);
  });
}
