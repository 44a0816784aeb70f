// The marks of a group through the daemon, and what can be opened below them.

import {
  AT_FDCWD,
  FAN_MARK_ADD,
  FAN_MARK_DONT_FOLLOW,
  FAN_MARK_FILESYSTEM,
  FAN_MARK_FLUSH,
  FAN_MARK_IGNORE,
  FAN_MARK_IGNORED_MASK,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_MARK_INODE,
  FAN_MARK_MNTNS,
  FAN_MARK_ONLYDIR,
  FAN_MARK_REMOVE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
} from '../abi/index.ts';
import { CallError } from '../core/errors.ts';
import { REQUEST } from '../core/process/wire.ts';
import type { MarkChange, MarkScope } from '../core/types.ts';
import type { HandleKey } from '../identity/locator.ts';
import { joinPath } from '../identity/path.ts';
import { ERRNO, type Kernel, KernelError, type KernelPath, MARK_SUBTREE } from '../kernel/index.ts';
import { type ClientMark, ClientMarks, type Marked, markedAt, openIf, openMarked } from './client-marks.ts';
import type { DaemonConnection } from './connection.ts';
import { asKernelError, type Link } from './link.ts';
import { type PlaceBelow, Places } from './places.ts';

const FSID_LENGTH = 8;
/** What keeps moving is looked for so often. */
const ATTEMPTS = 3;
const IGNORE_MASK = FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK;
const KNOWN =
  FAN_MARK_ADD |
  FAN_MARK_REMOVE |
  FAN_MARK_FLUSH |
  FAN_MARK_DONT_FOLLOW |
  FAN_MARK_ONLYDIR |
  FAN_MARK_MNTNS |
  IGNORE_MASK |
  FAN_MARK_IGNORED_SURV_MODIFY |
  MARK_SUBTREE;

/** The marks of one group. */
export class BrokeredMarks {
  readonly #kernel: Kernel;
  readonly #link: () => Link;
  readonly #marks = new ClientMarks();
  readonly #places = new Places();
  // Events of one directory come one after the other.
  #lastDirectory: Buffer = Buffer.alloc(0);
  #lastPath: Buffer = Buffer.alloc(0);
  #lastMark = 0;

  constructor(kernel: Kernel, link: () => Link) {
    this.#kernel = kernel;
    this.#link = link;
  }

  /**
   * fanotify_mark(2). While the daemon is not there a mark is only remembered.
   *
   * @throws KernelError
   */
  mark(flags: number, mask: bigint, dirfd: number, path: KernelPath | null): void {
    try {
      if ((flags & ~KNOWN) !== 0) throw new KernelError('fanotify_mark', ERRNO.EINVAL, path);
      const scope = scopeOf(flags, path);
      if ((flags & FAN_MARK_FLUSH) !== 0) this.#flush(scope);
      else this.#change(scope, flags, mask, this.#open(flags, dirfd, path));
    } catch (error) {
      throw asKernelError('fanotify_mark', error, path);
    }
  }

  /**
   * Places all marks again, as a new daemon knows of none. Those of what is gone are forgotten.
   *
   * @throws What the daemon refuses.
   */
  placeAgain(connection: DaemonConnection): void {
    this.#places.clear();
    this.#lastDirectory = Buffer.alloc(0);
    for (const mark of [...this.#marks.all]) {
      let fd: number;
      try {
        fd = openMarked(this.#kernel, mark);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        this.#marks.forget(mark);
        continue;
      }
      try {
        connection.request(connection.requests.mark(REQUEST.addMark, mark, mark.number), [fd]);
      } catch (error) {
        throw asKernelError('fanotify_mark', error, mark.path);
      } finally {
        this.#kernel.close(fd);
      }
    }
  }

  /** A directory is below a mark. */
  learn(message: Buffer, from: number, to: number, mark: number, path: Buffer): void {
    const isLast =
      mark === this.#lastMark &&
      this.#lastDirectory.compare(message, from, to) === 0 &&
      this.#lastPath.compare(path) === 0;
    if (isLast) return;
    this.#lastMark = mark;
    this.#lastDirectory = Buffer.from(message.subarray(from, to));
    this.#lastPath = Buffer.from(path);
    this.#places.set(message.toString('latin1', from, to), { mark, path: this.#lastPath });
  }

  /** An object is gone, and with it its marks. */
  gone(message: Buffer, from: number, to: number): void {
    this.#marks.gone(message.toString('latin1', from, to));
  }

  /**
   * open_by_handle_at(2) of what is at or below the marks.
   *
   * @returns undefined when there is no mark to ask about.
   * @throws KernelError ESTALE when it is gone, EACCES when this user may not hear of it, ENOENT when it is not to be found.
   */
  open(key: HandleKey, flags: number): number | undefined {
    const fsid = key.slice(0, FSID_LENGTH);
    let isWide = false;
    for (const mark of this.#marks.all) {
      if (mark.fsid !== fsid) continue;
      if (mark.key === key) return openMarked(this.#kernel, mark);
      isWide ||= mark.scope !== 'inode';
    }
    if (!isWide) return undefined;
    const told = this.#places.get(key);
    const there = told && this.#openAt(told, key, flags);
    if (there !== undefined) return there;
    this.#places.delete(key);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const place = this.#resolve(key);
      const fd = place && this.#openAt(place, key, flags);
      if (fd === undefined) continue;
      this.#places.set(key, place as PlaceBelow);
      return fd;
    }
    throw new KernelError('open_by_handle_at', ERRNO.ENOENT);
  }

  /** What the kernel would show in /proc/self/fdinfo. */
  fdinfo(): string {
    return this.#marks.fdinfo();
  }

  #open(flags: number, dirfd: number, path: KernelPath | null): number {
    const how = O_PATH | O_CLOEXEC;
    // Whatever the descriptor is open for, the daemon takes no other.
    if (path === null && dirfd !== AT_FDCWD) return this.#kernel.openAt(AT_FDCWD, `/proc/self/fd/${dirfd}`, how);
    const noFollow = (flags & FAN_MARK_DONT_FOLLOW) !== 0 ? O_NOFOLLOW : 0;
    const onlyDirectory = (flags & FAN_MARK_ONLYDIR) !== 0 ? O_DIRECTORY : 0;
    return this.#kernel.openAt(dirfd, path ?? '.', how | noFollow | onlyDirectory);
  }

  #change(scope: MarkScope, flags: number, mask: bigint, fd: number): void {
    const ignores = (flags & IGNORE_MASK) !== 0;
    const change: MarkChange = {
      scope,
      mask: ignores ? 0n : mask,
      ignored: ignores ? mask : 0n,
      survivesModify: (flags & FAN_MARK_IGNORED_SURV_MODIFY) !== 0,
    };
    try {
      const marked = markedAt(this.#kernel, fd);
      if ((flags & FAN_MARK_REMOVE) !== 0) this.#remove(fd, marked, change);
      else this.#add(fd, marked, change);
    } finally {
      this.#kernel.close(fd);
    }
  }

  #add(fd: number, marked: Marked, change: MarkChange): void {
    const number = this.#marks.numberFor(change.scope, marked);
    this.#ask(({ requests }) => requests.mark(REQUEST.addMark, change, number), [fd]);
    this.#marks.add(number, marked, change);
  }

  #remove(fd: number, marked: Marked, change: MarkChange): void {
    const known = this.#marks.find(change.scope, marked);
    if (!known) throw new CallError('ENOENT', 'there is no such mark');
    this.#ask(({ requests }) => requests.mark(REQUEST.removeMark, change, known.number), [fd]);
    this.#marks.remove(marked, change);
  }

  #flush(scope: MarkScope): void {
    const all = [...this.#marks.all];
    const flushed = all.filter((mark) => mark.scope === scope);
    if (flushed.length === 0) return;
    if (flushed.length === all.length) {
      this.#ask(({ requests }) => requests.plain(REQUEST.clearMarks));
      this.#marks.clear();
      return;
    }
    for (const mark of flushed) this.#removeWhole(mark);
  }

  #removeWhole(mark: ClientMark): void {
    this.#marks.forget(mark);
    let fd = -1;
    try {
      fd = openMarked(this.#kernel, mark);
      this.#ask(({ requests }) => requests.mark(REQUEST.removeMark, mark, mark.number), [fd]);
    } catch (error) {
      // What is gone has no mark.
      if (!(error instanceof KernelError) && !(error instanceof CallError && error.code === 'ENOENT')) throw error;
    } finally {
      if (fd >= 0) this.#kernel.close(fd);
    }
  }

  #resolve(key: HandleKey): PlaceBelow | undefined {
    const bytes = Buffer.from(key, 'latin1');
    const fsid = [bytes.readInt32LE(0), bytes.readInt32LE(4)] as const;
    try {
      const data = this.#ask(({ requests }) => requests.resolve(fsid, bytes.subarray(FSID_LENGTH)));
      return data && { mark: data.readUInt32LE(0), path: data.subarray(4) };
    } catch (error) {
      throw asKernelError('open_by_handle_at', error);
    }
  }

  #openAt({ mark: number, path }: PlaceBelow, key: HandleKey, flags: number): number | undefined {
    const mark = this.#marks.byNumber(number);
    if (!mark) return undefined;
    const there = openIf(this.#kernel, joinPath(mark.path, path), key, flags);
    if (there !== undefined) return there;
    // The mark itself may have another name by now.
    const before = mark.path;
    try {
      this.#kernel.close(openMarked(this.#kernel, mark));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    return mark.path === before ? undefined : openIf(this.#kernel, joinPath(mark.path, path), key, flags);
  }

  #ask(write: (connection: DaemonConnection) => Uint8Array, descriptors?: readonly number[]): Buffer | undefined {
    return this.#link().ask((connection) => connection.request(write(connection), descriptors));
  }
}

function scopeOf(flags: number, path: KernelPath | null): MarkScope {
  const type = flags & FAN_MARK_MNTNS;
  if (type === FAN_MARK_INODE) return 'inode';
  if (type !== FAN_MARK_FILESYSTEM) throw new KernelError('fanotify_mark', ERRNO.EPERM, path);
  return (flags & MARK_SUBTREE) !== 0 ? 'subtree' : 'filesystem';
}
