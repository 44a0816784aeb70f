// Makes changes of what is found out, and numbers them.

import { joinPath, type ResolvedPath, textOf } from '../identity/path.ts';
import type { ProcessInfo } from '../identity/process.ts';
import type { Change, EntryChange, EntryType, RescanChange } from './change.ts';
import { RootNames, type ToldPath } from './root-names.ts';

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
  readonly #names: RootNames;
  #seq = 0;

  constructor(take: (change: Change) => void, names: RootNames = new RootNames()) {
    this.#take = take;
    this.#names = names;
  }

  /** How many changes were told. */
  get told(): number {
    return this.#seq;
  }

  entry(kind: EntryChange['type'], path: ToldPath, about: Particulars, found?: EntryChange['found']): void {
    // Something else has taken the place of a file that is watched.
    const type = kind === 'create' && this.#names.isTold(path.raw) ? 'update' : kind;
    const { text, raw } = this.#names.tell(path, type !== 'delete');
    const { fileType, size, by, timeMs } = about;
    const change = { type, seq: ++this.#seq, timeMs, path: text, rawPath: raw, fileType, size, by };
    this.#take(found === undefined ? change : { ...change, found });
  }

  rename(left: ToldPath, right: ToldPath, { fileType, size, by, timeMs }: Particulars): void {
    const from = this.#names.tell(left, false);
    const to = this.#names.tell(right, true);
    this.#take({
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
