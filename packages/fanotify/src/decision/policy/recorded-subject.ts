// An access as a log has it. What the log does not have cannot be read: rules that need it cannot be tried.

import type { DecisionRecord, RecordedPlace } from '../record.ts';
import type { FileFacts, Place, Subject } from './subject.ts';

/** Something that a rule reads is not in the log. */
export class NotRecorded extends Error {
  static {
    NotRecorded.prototype.name = 'NotRecorded';
  }
  /** As it is called in rules. */
  readonly fact: string;
  constructor(fact: string) {
    super(`${fact} is not in the log`);
    this.fact = fact;
  }
}

function placeOf({ state, path, raw }: RecordedPlace): Place {
  // As the guard read it: bytes that are no UTF-8 are U+FFFD.
  const text = path ?? (raw === undefined ? null : Buffer.from(raw, 'base64').toString());
  if (state === 'unknown' || state === 'elsewhere') return { state, path: null };
  return text === null ? { state: 'unknown', path: null } : { state, path: text };
}

/** A subject whose getters throw {@link NotRecorded}. */
export class RecordedSubject implements Subject {
  readonly #record: DecisionRecord;
  readonly kind: Subject['kind'];
  readonly place: Place;

  constructor(record: DecisionRecord) {
    this.#record = record;
    this.kind = record.kind;
    this.place = placeOf(record.file);
  }

  get file(): FileFacts {
    const { owner, group, mode, sizeBytes } = this.#record.file;
    if (owner === undefined || group === undefined || mode === undefined || sizeBytes === undefined) {
      throw new NotRecorded('owner, mode or size');
    }
    return { uid: owner, gid: group, mode, sizeBytes };
  }

  get exe(): Place {
    return placeOf(recorded(this.#record.exe, 'exe'));
  }

  get user(): { uid: number; gids: readonly number[] } {
    return { uid: recorded(this.#record.uid, 'uid'), gids: recorded(this.#record.gids, 'gid') };
  }

  get ancestors(): readonly Place[] {
    return recorded(this.#record.ancestors, 'ancestor').map(placeOf);
  }

  get container(): Subject['container'] {
    return recorded(this.#record.container, 'container');
  }

  get sha256(): string | null {
    return recorded(this.#record.file.sha256, 'sha256');
  }
}

function recorded<Value>(value: Value | undefined, fact: string): Value {
  if (value === undefined) throw new NotRecorded(fact);
  return value;
}
