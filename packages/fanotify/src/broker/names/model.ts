// What knows each other: groups, their marks, the directories and file systems that these are of, and what is asked because of them.

import type { Carried } from '../../core/carried.ts';
import type { MarkScope } from '../../core/types.ts';
import type { HandleKey } from '../../identity/locator.ts';
import type { Rights } from '../rights.ts';
import type { Access } from '../visits.ts';
import { Outbox, type Outlet } from './outbox.ts';

/** How a file system is reached. */
export interface At {
  /** The eight bytes that the keys of all that is on it begin with. */
  readonly fsid: string;
  /** The top of the mount through which handles are opened: open for reading, which open_by_handle_at(2) takes. */
  readonly fd: number;
  /** What {@link fd} is open on. */
  readonly top: HandleKey;
  readonly mountId: number;
  readonly dev: bigint;
}

/** A file system that somebody has marked something on. */
export interface Filesystem extends At {
  /** Marks of the whole. */
  readonly marks: Set<Mark>;
  /** Marks of what is no directory. */
  readonly objects: Map<HandleKey, readonly Mark[]>;
  /** How many marks there are on it. */
  uses: number;
  /**
   * Asks the kernel for what a mark asks for, too.
   *
   * @throws CallError what the kernel refuses.
   */
  want(bits: number): void;
  /** Takes that back. */
  unwant(bits: number): void;
  /** Is reached through another mount from now on, whose descriptor is its own then. */
  move(at: At): void;
  /** Takes the kernel's mark back, and lets go of the mount. */
  close(): void;
}

/** Of most directories: one for all. */
const NO_MARKS: readonly Mark[] = [];
/** A directory. Its name, and all paths made of names, are bytes, one a character: a string takes less room than a Buffer. */
export class DirectoryNode {
  readonly key: HandleKey;
  readonly filesystem: Filesystem;
  /** Undefined for the top, and where nobody has looked yet. */
  above: DirectoryNode | undefined = undefined;
  name = '';
  /** Nothing above it can be seen: the root of its file system, mostly. */
  isTop: boolean;
  /** When something changed that decides on who reaches it: its mode, its place. As {@link DirectoryTree.clock} counts. */
  changedAt = 0;
  marks: readonly Mark[] = NO_MARKS;
  /** How many known directories are in it. */
  below = 0;
  /** How many wait to hear who may reach it. */
  held = 0;
  /** When it was last needed: as finds are counted. */
  usedAt = 0;

  constructor(key: HandleKey, filesystem: Filesystem, isTop: boolean) {
    this.key = key;
    this.filesystem = filesystem;
    this.isTop = isTop;
  }

  get isPlaced(): boolean {
    return this.isTop || this.above !== undefined;
  }

  addMark(mark: Mark): void {
    this.marks = [...this.marks, mark];
  }

  removeMark(mark: Mark): void {
    this.marks = this.marks.length === 1 ? NO_MARKS : this.marks.filter((other) => other !== mark);
  }
}

/** What a group has marked. */
export interface Mark {
  readonly group: NamesGroup;
  readonly scope: MarkScope;
  readonly filesystem: Filesystem;
  readonly key: HandleKey;
  /** The marked directory; undefined for what is none, and for a whole file system. */
  readonly node: DirectoryNode | undefined;
  /** What its owner calls it. */
  number: number;
  mask: number;
  ignored: number;
  survivesModify: boolean;
  /** What the kernel is asked for because of it. */
  wanted: number;
  /** What is marked: from here its user goes to what is below. Undefined for what is no directory, and when it is gone. */
  target: Carried | undefined;
  /** What is no directory was called so when it was marked, in this mount namespace: what is granted of it goes by that. */
  readonly path: Buffer | undefined;
  /** Its group hears all that is below, not only what its user reaches. */
  isGranted: boolean;
  /** Whether its user could read what it is of. */
  readonly canRead: boolean;
  /** Its group is told pids of other users' processes, too. */
  showsPids: boolean;
  /** What its user may do in the directories below, as far as that was asked. */
  readonly verdicts: Map<DirectoryNode, Verdict>;
}

/** Who waits for a verdict. */
export interface Waiter {
  /** It is known now. */
  settled(verdict: Verdict): void;
}

/** What a group's user may do in a directory below a mark. */
export class Verdict {
  readonly mark: Mark;
  readonly directory: DirectoryNode;
  /** Nothing on the way had changed when it was asked. */
  askedAt = 0;
  attempts = 0;
  /** Undefined as long as nobody has answered. */
  answer: { readonly access: Access } | 'stuck' | undefined;
  waiters: Waiter[] = [];

  constructor(mark: Mark, directory: DirectoryNode) {
    this.mark = mark;
    this.directory = directory;
  }
}

/** A mark that hears of an event. */
export interface Hit {
  readonly mark: Mark;
  /** Event bits. */
  bits: number;
  /** Which directories it knows. */
  readonly sides: number;
  /** The directory that the side is of: of which a PATH record tells. */
  readonly directory: DirectoryNode | undefined;
  /** The directory that its user has to reach and search; undefined where nothing is to be asked. */
  readonly searched: DirectoryNode | undefined;
  verdict: Verdict | undefined;
  /** Below the mark, as of the event. */
  path: string | undefined;
}

/** So many directories are remembered that a group was told of. */
const MOST_TOLD = 16_384;

/** The connection of a group, as far as it is needed here. */
export interface GroupConnection extends Outlet {
  readonly rights: Rights;
  /** Brings the answer to a request. */
  answer(number: number, errno: number, said?: string | Uint8Array): void;
}

export class NamesGroup {
  readonly connection: GroupConnection;
  /** Its events say where their directory is. */
  readonly reportsPath: boolean;
  /** By scope and object. */
  readonly marks = new Map<string, Mark>();
  readonly outbox: Outbox;
  isClosed = false;
  /** Directories that it was told of, so that it may know when they are gone. */
  readonly #told = new Set<HandleKey>();
  /** How many verdicts are kept for its marks. */
  verdicts = 0;
  /** Of the event with this number is what follows: bits that its marks ask for, and ignore, and the marks themselves. */
  turn = 0;
  bits = 0;
  ignored = 0;
  readonly hits: Hit[] = [];

  constructor(connection: GroupConnection, reportsPath: boolean) {
    this.connection = connection;
    this.reportsPath = reportsPath;
    this.outbox = new Outbox(connection);
  }

  /** It has been told of a directory. */
  learn(key: HandleKey): void {
    if (this.#told.has(key)) return;
    if (this.#told.size >= MOST_TOLD) {
      for (const first of this.#told) {
        this.#told.delete(first);
        break;
      }
    }
    this.#told.add(key);
  }

  knows(key: HandleKey): boolean {
    return this.#told.has(key);
  }

  get rights(): Rights {
    return this.connection.rights;
  }
}
