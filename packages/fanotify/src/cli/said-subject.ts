// An access that somebody thinks of: what is there on the disk, and what was said of who asks.

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { readAccounts } from '../decision/policy/accounts.ts';
import type { Place, Subject } from '../decision/policy/subject.ts';
import { nearest } from '../group/nearest.ts';
import type { PermissionEventName } from '../index.ts';
import { UserError } from './failure.ts';

/** What is said of the access. */
export interface SaidAccess {
  readonly exe?: string | undefined;
  readonly uid?: string | undefined;
  readonly gid?: readonly string[] | undefined;
  readonly ancestor?: readonly string[] | undefined;
  /** `none`, or RUNTIME:ID. */
  readonly container?: string | undefined;
  readonly event?: PermissionEventName | undefined;
}

const CHUNK_BYTES = 1 << 20;

export class SaidSubject implements Subject {
  readonly kind: PermissionEventName;
  readonly place: { readonly state: 'here'; readonly path: string };
  readonly #said: SaidAccess;
  readonly #user: Subject['user'];
  readonly #container: Subject['container'];
  readonly #notes = new Set<string>();
  #digest: string | null | undefined;

  constructor(path: string, said: SaidAccess, kind: PermissionEventName) {
    this.kind = kind;
    this.#said = said;
    this.place = hereAt(path);
    this.#container = containerOf(said.container);
    this.#user = userOf(said);
  }

  /** What a rule asked for, and was not said or is not there. */
  get notes(): string[] {
    return [...this.#notes];
  }

  get file(): Subject['file'] {
    try {
      const { uid, gid, mode, size } = statSync(this.place.path);
      return { uid, gid, mode, sizeBytes: size };
    } catch {
      this.#notes.add(`${this.place.path} cannot be looked at: owner, mode and size are taken as not known`);
      return undefined;
    }
  }

  get exe(): Place {
    if (this.#said.exe !== undefined) return hereAt(this.#said.exe);
    this.#notes.add('--exe is not said: the executable is taken as not known');
    return { state: 'unknown', path: null };
  }

  get user(): Subject['user'] {
    if (!this.#user) this.#notes.add('--uid is not said: the user is taken as not known');
    return this.#user;
  }

  get ancestors(): readonly Place[] {
    if (!this.#said.ancestor) this.#notes.add('--ancestor is not said: it is taken to have none');
    return (this.#said.ancestor ?? []).map(hereAt);
  }

  get container(): Subject['container'] {
    if (this.#said.container === undefined) this.#notes.add('--container is not said: it is taken to be in none');
    return this.#container;
  }

  get sha256(): string | null {
    if (this.#digest !== undefined) return this.#digest;
    try {
      this.#digest = digestOf(this.place.path);
    } catch {
      this.#notes.add(`${this.place.path} cannot be read: its sha256 is taken as not to be had`);
      this.#digest = null;
    }
    return this.#digest;
  }
}

/** Where a path leads, as rules see it. */
function hereAt(path: string): { state: 'here'; path: string } {
  try {
    return { state: 'here', path: realpathSync(path) };
  } catch {
    return { state: 'here', path: resolve(path) };
  }
}

function userOf({ uid, gid }: SaidAccess): Subject['user'] {
  if (uid === undefined) {
    if (gid !== undefined) throw new UserError('--gid goes with --uid');
    return undefined;
  }
  const { users, groups } = readAccounts();
  return {
    uid: idOf('--uid', 'user', uid, users),
    gids: (gid ?? []).map((text) => idOf('--gid', 'group', text, groups)),
  };
}

function idOf(option: string, what: string, text: string, names: ReadonlyMap<string, number>): number {
  if (/^\d+$/.test(text)) return Number(text);
  const id = names.get(text);
  if (id !== undefined) return id;
  const meant = nearest(text, names.keys());
  const help = meant === undefined ? 'say its number' : `did you mean '${meant}'?`;
  throw new UserError(`${option}: there is no ${what} ${JSON.stringify(text)} here: ${help}`);
}

function containerOf(text: string | undefined): Subject['container'] {
  if (text === undefined || text === 'none') return null;
  const [, runtime, id] = /^([a-z]+):([0-9a-f]+)$/.exec(text) ?? [];
  if (runtime !== undefined && id !== undefined) return { runtime, id };
  throw new UserError(`--container: say 'none', or the runtime and the identity, as in docker:3f4e…`);
}

function digestOf(path: string): string {
  if (!statSync(path).isFile()) throw new UserError(`${path} is no file`);
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) hash.update(chunk.subarray(0, read));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}
