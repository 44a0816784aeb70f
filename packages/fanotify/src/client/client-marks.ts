// The marks of a group through the daemon, as the client has placed them: to place them again, and to show them as the kernel does.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  FAN_EVENT_ON_CHILD,
  FAN_MARK_IGNORED_SURV_MODIFY,
  FAN_ONDIR,
  handleFromStruct,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
} from '../abi/index.ts';
import type { MarkChange, MarkScope } from '../core/types.ts';
import { fsidText, handleAt } from '../identity/handle-at.ts';
import type { HandleKey } from '../identity/locator.ts';
import { joinPath, parentOf } from '../identity/path.ts';
import { ERRNO, type Kernel, KernelError, MARK_SUBTREE } from '../kernel/index.ts';

/** What is marked, as found through an open descriptor. */
export interface Marked {
  readonly key: HandleKey;
  readonly handle: Buffer;
  readonly fsid: string;
  readonly ino: bigint;
  readonly dev: bigint;
  /** Where it was. */
  readonly path: Buffer;
}

/** A mark. */
export interface ClientMark extends Marked {
  /** By which the daemon names it. */
  readonly number: number;
  readonly scope: MarkScope;
  path: Buffer;
  mask: bigint;
  ignored: bigint;
  survivesModify: boolean;
  /** When it was last looked for in vain where it had been. */
  soughtMs: number;
}

/** It costs a look at each entry of a directory. */
const SEEK_EVERY_MS = 1000;
const FSID_LENGTH = 8;
const COMPANIONS = FAN_ONDIR | FAN_EVENT_ON_CHILD;

/** What a descriptor is open on. */
export function markedAt(kernel: Kernel, fd: number): Marked {
  const { handle } = handleAt(kernel, fd, '', AT_EMPTY_PATH);
  const fsid = fsidText(kernel.statfs(fd).fsid);
  const { ino, dev } = kernel.statAt(fd, '', AT_EMPTY_PATH);
  const path = kernel.readlink(`/proc/self/fd/${fd}`);
  return { key: fsid + handle.toString('latin1'), handle, fsid, ino, dev, path };
}

/** The marks of one group. */
export class ClientMarks {
  readonly #marks = new Map<string, ClientMark>();
  readonly #byNumber = new Map<number, ClientMark>();
  #next = 1;

  get all(): Iterable<ClientMark> {
    return this.#byNumber.values();
  }

  find(scope: MarkScope, marked: Marked): ClientMark | undefined {
    return this.#marks.get(idOf(scope, marked));
  }

  byNumber(number: number): ClientMark | undefined {
    return this.#byNumber.get(number);
  }

  /** The number for a mark: the one that it has, or a new one. */
  numberFor(scope: MarkScope, marked: Marked): number {
    return this.find(scope, marked)?.number ?? this.#next++;
  }

  /** Adds to a mark, as the daemon has done. */
  add(number: number, marked: Marked, { scope, mask, ignored, survivesModify }: MarkChange): void {
    const known = this.find(scope, marked);
    if (known) {
      known.mask |= mask;
      known.ignored |= ignored;
      known.survivesModify ||= survivesModify;
      known.path = marked.path;
      return;
    }
    const mark: ClientMark = { ...marked, number, scope, mask, ignored, survivesModify, soughtMs: 0 };
    this.#marks.set(idOf(scope, marked), mark);
    this.#byNumber.set(number, mark);
  }

  /** Takes bits out of a mark. The daemon keeps none without events, as the kernel does. */
  remove(marked: Marked, { scope, mask, ignored }: Pick<MarkChange, 'scope' | 'mask' | 'ignored'>): void {
    const known = this.find(scope, marked);
    if (!known) return;
    known.mask &= ~mask;
    known.ignored &= ~ignored;
    if (((known.mask | known.ignored) & ~COMPANIONS) === 0n) this.forget(known);
  }

  forget(mark: ClientMark): void {
    this.#marks.delete(idOf(mark.scope, mark));
    this.#byNumber.delete(mark.number);
  }

  clear(): void {
    this.#marks.clear();
    this.#byNumber.clear();
  }

  /** An object is gone, and its marks with it. */
  gone(key: HandleKey): void {
    for (const scope of ['inode', 'subtree'] as const) {
      const mark = this.#marks.get(`${scope} ${key}`);
      if (mark) this.forget(mark);
    }
  }

  /** What the kernel would show in /proc/self/fdinfo of a group with these marks. */
  fdinfo(): string {
    return [...this.#byNumber.values()].map(lineOf).join('');
  }
}

/**
 * Opens what is marked (O_PATH), where it was, or beside that under another name. No descriptor is kept open for this: the kernel
 * would not tell then that it is deleted, nor let it be unmounted.
 *
 * @throws KernelError ENOENT when it is not to be found.
 */
export function openMarked(kernel: Kernel, mark: ClientMark): number {
  const there = openIf(kernel, mark.path, mark.key);
  if (there !== undefined) return there;
  const now = performance.now();
  if (now - mark.soughtMs >= SEEK_EVERY_MS) {
    mark.soughtMs = now;
    const above = parentOf(mark.path);
    for (const { name } of kernel.readDirectory(above)) {
      const path = joinPath(above, name);
      const fd = openIf(kernel, path, mark.key);
      if (fd === undefined) continue;
      mark.path = path;
      mark.soughtMs = 0;
      return fd;
    }
  }
  throw new KernelError('openat', ERRNO.ENOENT, mark.path);
}

/** Opens a path (O_PATH, no link at its end followed) if it leads to this object. */
export function openIf(kernel: Kernel, path: Buffer, key: HandleKey, flags = O_PATH): number | undefined {
  let fd = -1;
  try {
    fd = kernel.openAt(AT_FDCWD, path, flags | O_NOFOLLOW | O_CLOEXEC);
    const { handle } = handleAt(kernel, fd, '', AT_EMPTY_PATH);
    const isHandle = key.endsWith(handle.toString('latin1')) && key.length === FSID_LENGTH + handle.length;
    if (isHandle && fsidText(kernel.statfs(fd).fsid) === key.slice(0, FSID_LENGTH)) return fd;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
  if (fd >= 0) kernel.close(fd);
  return undefined;
}

function idOf(scope: MarkScope, { key, fsid }: Pick<Marked, 'key' | 'fsid'>): string {
  return scope === 'filesystem' ? `filesystem ${fsid}` : `${scope} ${key}`;
}

/** proc_pid_fdinfo(5). A subtree is shown as what it is in place of: a mark on the file system, with a flag of ours. */
function lineOf({ scope, ino, dev, handle, mask, ignored, survivesModify }: ClientMark): string {
  const flags = (scope === 'subtree' ? MARK_SUBTREE : 0) | (survivesModify ? FAN_MARK_IGNORED_SURV_MODIFY : 0);
  const device =
    (Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)) << 20) |
    Number((dev & 0xffn) | ((dev >> 12n) & 0xfff00n));
  const masks = `mflags:${hex(flags)} mask:${hex(mask)} ignored_mask:${hex(ignored)}`;
  if (scope !== 'inode') return `fanotify sdev:${hex(device)} ${masks}\n`;
  const { type, bytes: opaque } = handleFromStruct(handle);
  return `fanotify ino:${hex(ino)} sdev:${hex(device)} ${masks} fhandle-bytes:${hex(opaque.length)} fhandle-type:${hex(type)} f_handle:${Buffer.from(opaque).toString('hex')}\n`;
}

const hex = (value: number | bigint) => value.toString(16);
