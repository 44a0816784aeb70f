// Makes changes of what is found out, and numbers them.

import { joinPath, type ResolvedPath, textOf } from '../identity/path.ts';
import type { ProcessInfo } from '../identity/process.ts';
import type { Change, EntryChange, EntryType, RenameChange, RescanChange } from './change.ts';

/** A path, in both forms. */
export interface ToldPath {
  readonly text: string | null;
  readonly raw: Buffer;
}

/** What is known of a change beside its path. */
export interface Particulars {
  readonly fileType: EntryType;
  readonly size: number | null;
  readonly by: ProcessInfo | null;
  readonly timeMs: number;
}

/** The path of an entry; '.' is the directory itself. `name` is latin1. */
export function entryPath(directory: ResolvedPath, name: string): ToldPath {
  if (name === '.') return directory;
  const bytes = Buffer.from(name, 'latin1');
  const text = directory.prefix === null ? null : isAscii(name) ? name : textOf(bytes);
  return { text: text === null ? null : directory.prefix + text, raw: joinPath(directory.raw, bytes) };
}

const isAscii = (latin1: string) => !NOT_ASCII.test(latin1);
const NOT_ASCII = /[\x80-\xff]/;

/** Numbers changes and hands them on. */
export class Telling {
  readonly #take: (change: Change) => void;
  #seq = 0;

  constructor(take: (change: Change) => void) {
    this.#take = take;
  }

  /** How many changes were told. */
  get told(): number {
    return this.#seq;
  }

  entry(type: EntryChange['type'], { text, raw }: ToldPath, about: Particulars, found?: EntryChange['found']): void {
    const { fileType, size, by, timeMs } = about;
    const change = { type, seq: ++this.#seq, timeMs, path: text, rawPath: raw, fileType, size, by };
    this.#take(found === undefined ? change : { ...change, found });
  }

  rename(from: ToldPath, to: ToldPath, about: Particulars, found?: RenameChange['found']): void {
    const { fileType, size, by, timeMs } = about;
    this.#take({
      ...(found && { found }),
      type: 'rename',
      seq: ++this.#seq,
      timeMs,
      path: to.text,
      rawPath: to.raw,
      from: from.text,
      rawFrom: from.raw,
      fileType,
      size,
      by,
    });
  }

  rescan({ text, raw }: ToldPath, complete: boolean, why: RescanChange['why']): void {
    this.#take({ type: 'rescan', seq: ++this.#seq, timeMs: Date.now(), path: text, rawPath: raw, complete, why });
  }
}
