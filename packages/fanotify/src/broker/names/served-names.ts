// Serves one client's group of names: what it asks for, each after everything that has happened before.

import { AT_EMPTY_PATH, HOST_IS_LITTLE_ENDIAN as LE, O_CLOEXEC, O_PATH } from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';
import { MOST_HANDLE_BYTES, MOST_SAID_BYTES, REQUEST, type RequestReader } from '../../core/process/wire.ts';
import { fsidText } from '../../identity/handle-at.ts';
import type { HandleKey } from '../../identity/locator.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import type { OwnStatus, Served, Target } from '../served.ts';
import { ON_CHILD } from './bits.ts';
import type { Filesystems } from './filesystems.ts';
import { type Finder, openExactly, WITHOUT_MEANS } from './finder.ts';
import type { Hearing } from './hearing.ts';
import { pathOf } from './hit.ts';
import type { Marking } from './marking.ts';
import type { DirectoryNode, Filesystem, Mark, NamesGroup } from './model.ts';
import type { Reach } from './reach.ts';
import { DEEPEST } from './tree.ts';

const FSID_LENGTH = 8;
const HANDLE_HEADER = 8;
/** A directory that is always being renamed is nowhere for long enough. */
const MOST_ATTEMPTS = 8;

export interface ServedNamesParts {
  readonly kernel: Kernel;
  readonly hearing: Hearing;
  readonly finder: Finder;
  readonly filesystems: Filesystems;
  readonly marking: Marking;
  readonly reach: Reach;
  wake(group: NamesGroup): void;
  closed(group: NamesGroup): void;
}

/** What there is to say to a request. */
type Said = string | Uint8Array | CallError;

export class ServedNames implements Served {
  readonly group: NamesGroup;
  readonly #parts: ServedNamesParts;

  constructor(parts: ServedNamesParts, group: NamesGroup) {
    this.#parts = parts;
    this.group = group;
  }

  request(request: RequestReader, target: Target | undefined): string | Uint8Array | undefined {
    const { number } = request;
    let said: Said | undefined;
    let asked = request;
    let isDone = false;
    let isLater = false;
    const carried = target?.carried.hold();
    this.#parts.hearing.afterAll(() => {
      try {
        if (this.group.isClosed) return;
        said = this.#do(asked, target);
        isDone = true;
        if (isLater && said !== undefined) this.#answer(number, said);
      } finally {
        carried?.release();
      }
    });
    isLater = !isDone;
    if (isLater) asked = request.copy();
    if (said === undefined) return undefined;
    // What has happened before is told before.
    if (this.group.outbox.length > 0) {
      this.#answer(number, said);
      return undefined;
    }
    if (said instanceof CallError) throw said;
    return said;
  }

  writable(): void {
    this.#parts.wake(this.group);
  }

  status(): OwnStatus {
    const { outbox, marks } = this.group;
    return {
      kind: 'names',
      priority: 0,
      marks: marks.size,
      queued: outbox.queued,
      queuedBytes: outbox.bytes,
      delivered: outbox.delivered,
      lost: outbox.lost,
      overflows: outbox.overflows,
      pending: 0,
      oldestMs: 0,
      allowed: 0,
      denied: 0,
      timedOut: 0,
    };
  }

  rightsChanged(): void {
    if (!this.#parts.marking.changeRights(this.group)) return;
    this.group.outbox.overflow();
    this.#parts.wake(this.group);
  }

  close(): void {
    const { marking, reach, closed } = this.#parts;
    this.group.isClosed = true;
    marking.clear(this.group);
    reach.forget(this.group);
    this.group.outbox.clear();
    closed(this.group);
  }

  #do(request: RequestReader, target: Target | undefined): Said | undefined {
    try {
      switch (request.type) {
        case REQUEST.addMark:
          this.#parts.marking.add(this.group, request.mark, request.markNumber, given(target));
          return '';
        case REQUEST.removeMark:
          this.#parts.marking.remove(this.group, request.mark, given(target));
          return '';
        case REQUEST.clearMarks:
          this.#parts.marking.clear(this.group);
          return '';
        case REQUEST.statistics:
          return JSON.stringify(this.#statistics());
        case REQUEST.sync:
          return '';
        case REQUEST.resolve:
          return this.#resolve(request.number, keyOf(request), 0);
        default:
          return new CallError('EOPNOTSUPP', `a group of names has no request ${request.type}`);
      }
    } catch (error) {
      if (error instanceof CallError) return error;
      if (error instanceof KernelError) return new CallError(error.errno, error.message);
      throw error;
    }
  }

  #statistics() {
    const { queued, delivered, lost, overflows, marks } = this.status();
    const never = { merged: 0, pending: 0, oldestMs: 0, allowed: 0, denied: 0, timedOut: 0, kernelDenied: 0 };
    return { queued, delivered, lost, overflows, marks, ...never };
  }

  #answer(number: number, said: Said): void {
    const { connection, outbox } = this.group;
    outbox.inTurn(() => {
      if (said instanceof CallError) connection.answer(number, said.errno, said.reason);
      else connection.answer(number, 0, said);
    });
    this.#parts.wake(this.group);
  }

  /** Where a directory is; undefined when it takes somebody's going there: then it is answered later. */
  #resolve(number: number, key: HandleKey, attempt: number): Said | undefined {
    const filesystem = this.#parts.filesystems.byFsid(key.slice(0, FSID_LENGTH));
    // Before anything is looked at: else what is said would tell of what is on it.
    if (!filesystem || !this.#hasMarkOn(filesystem)) return notMarked();
    const node = this.#parts.finder.find(key, filesystem);
    if (!node) return this.#problemOf(key, filesystem);
    const mark = this.#markAbove(node, filesystem);
    if (!mark) return notMarked();
    const path = pathOf({ mark, directory: node });
    if (path === undefined) return notMarked();
    const searched = mark.isGranted || node === mark.node ? undefined : node.above;
    if (searched) {
      const verdict = this.#parts.reach.judge(mark, searched);
      if (!verdict.answer) {
        verdict.waiters.push({
          settled: ({ answer }) => {
            if (this.group.isClosed) return;
            if (answer === 'stuck') this.#answer(number, this.#tooLong(key));
            else this.#resolveAgain(number, key, attempt + 1);
          },
        });
        return undefined;
      }
      if (verdict.answer === 'stuck') return this.#tooLong(key);
      const { access } = verdict.answer;
      if (!access?.canSearch) return notMarked();
      // Who may not list a directory is not told the names in it, but for those that it was told of.
      if (!access.canRead && !this.group.knows(key)) return notMarked();
    }
    if (4 + path.length > MOST_SAID_BYTES) return new CallError('ENAMETOOLONG', 'its path fits no answer');
    this.group.learn(key);
    const bytes = Buffer.alloc(4 + path.length);
    new DataView(bytes.buffer, bytes.byteOffset, 4).setUint32(0, mark.number, LE);
    bytes.write(path, 4, 'latin1');
    return bytes;
  }

  /** It may have been renamed while somebody went there. */
  #resolveAgain(number: number, key: HandleKey, attempt: number): void {
    this.#parts.hearing.afterAll(() => {
      if (this.group.isClosed) return;
      const said = attempt < MOST_ATTEMPTS ? this.#resolve(number, key, attempt) : this.#tooLong(key);
      if (said !== undefined) this.#answer(number, said);
    });
  }

  /** Of what it was not told of, it is not told either that it is there. */
  #tooLong(key: HandleKey): CallError {
    return this.group.knows(key) ? tooLong() : notMarked();
  }

  #hasMarkOn(filesystem: Filesystem): boolean {
    for (const mark of this.group.marks.values()) if (mark.filesystem === filesystem) return true;
    return false;
  }

  #isGrantedOn(filesystem: Filesystem): boolean {
    for (const mark of this.group.marks.values()) if (mark.filesystem === filesystem && mark.isGranted) return true;
    return false;
  }

  /** Why a directory is not found. That it is gone is said to those who were told of it, or may hear everything. */
  #problemOf(key: HandleKey, filesystem: Filesystem): CallError {
    const { kernel } = this.#parts;
    if (!this.group.knows(key) && !this.#isGrantedOn(filesystem)) return notMarked();
    let fd: number;
    try {
      fd = openExactly(kernel, filesystem, key, O_PATH | O_CLOEXEC);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (WITHOUT_MEANS.has(error.code)) return new CallError(error.errno, error.message);
      return gone();
    }
    try {
      return kernel.statAt(fd, '', AT_EMPTY_PATH).nlink === 0 ? gone() : notMarked();
    } finally {
      kernel.close(fd);
    }
  }

  /** The nearest mark of the group that holds a directory. */
  #markAbove(node: DirectoryNode, filesystem: Filesystem): Mark | undefined {
    const isOwn = ({ group }: Mark) => group === this.group;
    let depth = 0;
    for (let at: DirectoryNode | undefined = node; at && depth < DEEPEST; at = at.above, depth++) {
      for (const mark of at.marks) {
        if (!isOwn(mark)) continue;
        const isHeld = mark.scope === 'subtree' || depth === 0 || (depth === 1 && (mark.mask & ON_CHILD) !== 0);
        if (isHeld) return mark;
      }
    }
    return [...filesystem.marks].find(isOwn);
  }
}

function given(target: Target | undefined): Target {
  if (!target) throw new CallError('EINVAL', 'a mark takes a descriptor of what it is of: open it with O_PATH');
  return target;
}

function keyOf({ fsid, rest }: RequestReader): HandleKey {
  const handle = Buffer.from(rest);
  const bytes = handle.length < HANDLE_HEADER ? -1 : new DataView(handle.buffer, handle.byteOffset).getUint32(0, LE);
  if (bytes !== handle.length - HANDLE_HEADER || handle.length > MOST_HANDLE_BYTES) {
    throw new CallError('EINVAL', 'what follows the request is no struct file_handle');
  }
  const words = [Number(BigInt.asIntN(32, fsid >> 32n)), Number(BigInt.asIntN(32, fsid))] as const;
  return fsidText(words) + handle.toString('latin1');
}

function gone(): CallError {
  return new CallError('ESTALE', 'there is no such directory any more');
}

function notMarked(): CallError {
  return new CallError('EACCES', 'no directory that it reaches below one of its marks');
}

function tooLong(): CallError {
  return new CallError('ETIMEDOUT', 'nobody has found it in time: it is being renamed, or somebody is in the way');
}
