// Adds marks and takes them back: in the group, at the directory, and as far as it takes that, in the kernel.

import { AT_EMPTY_PATH } from '../../abi/index.ts';
import { CallError } from '../../core/errors.ts';
import type { MarkChange, MarkScope } from '../../core/types.ts';
import type { HandleKey } from '../../identity/locator.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { refusalOfTheKernels } from '../filesystems.ts';
import type { Keep } from '../keep.ts';
import { countedUid, type Grant, grantAt, grantEverywhere, grantOf, pathOf } from '../rights.ts';
import type { Target } from '../served.ts';
import { bitsOf, ENTRY_BITS, EVENT_BITS, MODIFY, ONDIR } from './bits.ts';
import type { Filesystems, Target as Place } from './filesystems.ts';
import type { Finder } from './finder.ts';
import type { DirectoryNode, Filesystem, Mark, NamesGroup } from './model.ts';
import type { DirectoryTree } from './tree.ts';

export interface MarkingParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  readonly tree: DirectoryTree;
  readonly finder: Finder;
  readonly filesystems: Filesystems;
  readonly keep: Keep;
  /** A file system is not marked any more. */
  left(filesystem: Filesystem): void;
  /** More of a file system can be seen: where directories are is to be looked for again. */
  widened(filesystem: Filesystem): void;
}

export class Marking {
  readonly #parts: MarkingParts;

  constructor(parts: MarkingParts) {
    this.#parts = parts;
  }

  /** @throws CallError what is refused. */
  add(group: NamesGroup, change: MarkChange, number: number, { carried, filesystemType, ...target }: Target): void {
    const { filesystems, mounts, kernel } = this.#parts;
    const bits = bitsOf(change.mask, 'mask');
    const ignored = bitsOf(change.ignored, 'ignored');
    if (((bits | ignored) & EVENT_BITS) === 0)
      throw new CallError('EINVAL', 'a mark asks for no event, and ignores none');
    const place = filesystems.identify(carried.fd, filesystemType);
    assertFits(change.scope, bits | ignored, place);
    const { rights } = group;
    const grant = grantOf(kernel, mounts, rights, carried.fd);
    if (place.isOfTheKernel && !grant.all) throw refusalOfTheKernels(rights.peer.uid);
    // So that it goes with the grant.
    const canRead = target.canRead && !place.isOfTheKernel;
    const problem = problemOf(rights.peer.uid, grant, change.scope, canRead);
    if (problem) throw problem;
    const id = idOf(change.scope, place);
    let mark = group.marks.get(id);
    if (!mark) {
      if (group.marks.size >= rights.limits.marks) {
        throw new CallError(
          'ENOSPC',
          `a group of user ${rights.peer.uid} may have ${rights.limits.marks} marks: remove some, or have 'limits' granted`,
        );
      }
      mark = this.#new(group, id, change.scope, number, place, carried, grant, canRead);
    }
    const [mask, allIgnored, survives] = [
      mark.mask | bits,
      mark.ignored | ignored,
      mark.survivesModify || change.survivesModify,
    ];
    try {
      this.#want(mark, wantedOf(mark, mask, allIgnored, survives));
    } catch (error) {
      if (mark.mask === 0 && mark.ignored === 0) this.#drop(mark);
      throw error;
    }
    mark.number = number;
    mark.mask = mask;
    mark.ignored = allIgnored;
    mark.survivesModify = survives;
  }

  /** @throws CallError ENOENT when it is not marked so. */
  remove(group: NamesGroup, change: MarkChange, { carried, filesystemType }: Target): void {
    const mark = group.marks.get(idOf(change.scope, this.#parts.filesystems.identify(carried.fd, filesystemType)));
    if (!mark) throw new CallError('ENOENT', 'it has no such mark');
    mark.mask &= ~bitsOf(change.mask, 'mask');
    mark.ignored &= ~bitsOf(change.ignored, 'ignored');
    if (((mark.mask | mark.ignored) & EVENT_BITS) === 0) this.#drop(mark);
    else this.#want(mark, wantedOf(mark, mark.mask, mark.ignored, mark.survivesModify));
  }

  clear(group: NamesGroup): void {
    for (const mark of [...group.marks.values()]) this.#drop(mark);
  }

  /** What was marked is gone, and its marks with it. */
  gone(filesystem: Filesystem, key: HandleKey): void {
    const node = this.#parts.tree.find(key);
    for (const mark of [...(node?.marks ?? []), ...(filesystem.objects.get(key) ?? [])]) this.#drop(mark);
    if (node && !node.isTop) this.#parts.tree.remove(node);
  }

  /** Lets go of what is open on a directory that is gone: the kernel says so of it only then. */
  letGo(node: DirectoryNode): void {
    for (const mark of node.marks) if (mark.target && this.#isGone(mark.target.fd)) this.#release(mark);
  }

  /** Rights have changed; true when marks have gone. */
  changeRights(group: NamesGroup): boolean {
    const { kernel, mounts } = this.#parts;
    const { rights } = group;
    let isLess = false;
    for (const mark of [...group.marks.values()]) {
      const { scope, target, canRead, path } = mark;
      const grantThere = path ? grantAt(rights, path) : grantEverywhere(rights);
      const grant = target ? grantOf(kernel, mounts, rights, target.fd) : grantThere;
      mark.showsPids = grant.pids;
      const wasGranted = mark.isGranted;
      mark.isGranted = grant.all;
      if (!problemOf(rights.peer.uid, grant, scope, canRead && (target !== undefined || !wasGranted))) continue;
      this.#drop(mark);
      isLess = true;
    }
    return isLess;
  }

  /** @throws CallError what the kernel refuses. */
  #want(mark: Mark, bits: number): void {
    const more = bits & ~mark.wanted;
    if (more !== 0) mark.filesystem.want(more);
    const less = mark.wanted & ~bits;
    if (less !== 0) mark.filesystem.unwant(less);
    mark.wanted = bits;
  }

  #new(
    group: NamesGroup,
    id: string,
    scope: MarkScope,
    number: number,
    place: Place,
    carried: Target['carried'],
    grant: Grant,
    canRead: boolean,
  ): Mark {
    const { filesystems, finder, keep, kernel, mounts } = this.#parts;
    const isDirectory = scope !== 'filesystem' && place.isDirectory;
    const uid = countedUid(group.rights.peer);
    if (isDirectory) keep.assertRoom(uid);
    const filesystem = filesystems.use(place, carried.fd);
    try {
      // Before anybody looks for directories: from now on the kernel tells what becomes of them.
      filesystem.want(0);
    } catch (error) {
      this.#leave(filesystem);
      throw error;
    }
    let node = isDirectory ? finder.find(place.key, filesystem) : undefined;
    if (isDirectory && !node && filesystems.widen(filesystem, place, carried.fd)) {
      this.#parts.widened(filesystem);
      node = finder.find(place.key, filesystem);
    }
    if (isDirectory && !node) {
      this.#leave(filesystem);
      throw new CallError(
        'EXDEV',
        'it is outside of what the daemon sees of its file system, or gone: mount the whole of it in the mount namespace of the daemon',
      );
    }
    const mark: Mark = {
      group,
      scope,
      filesystem,
      key: place.key,
      node,
      number,
      mask: 0,
      ignored: 0,
      survivesModify: false,
      wanted: 0,
      target: isDirectory ? carried.hold() : undefined,
      path: isDirectory || scope === 'filesystem' ? undefined : pathOf(kernel, mounts, carried.fd),
      isGranted: grant.all,
      canRead,
      showsPids: grant.pids,
      verdicts: new Map(),
    };
    if (mark.target) keep.take(uid, 1);
    group.marks.set(id, mark);
    group.learn(place.key);
    if (scope === 'filesystem') filesystem.marks.add(mark);
    else if (node) node.addMark(mark);
    else filesystem.objects.set(place.key, [...(filesystem.objects.get(place.key) ?? []), mark]);
    return mark;
  }

  #drop(mark: Mark): void {
    const { group, filesystem, key, node, scope } = mark;
    group.marks.delete(idOf(scope, { key, fsid: filesystem.fsid }));
    filesystem.marks.delete(mark);
    if (node) node.removeMark(mark);
    else this.#dropObject(mark);
    filesystem.unwant(mark.wanted);
    this.#release(mark);
    group.verdicts -= mark.verdicts.size;
    mark.verdicts.clear();
    this.#leave(filesystem);
  }

  #dropObject(mark: Mark): void {
    const { objects } = mark.filesystem;
    const others = objects.get(mark.key)?.filter((other) => other !== mark) ?? [];
    if (others.length > 0) objects.set(mark.key, others);
    else objects.delete(mark.key);
  }

  #release(mark: Mark): void {
    if (!mark.target) return;
    this.#parts.keep.give(countedUid(mark.group.rights.peer), 1);
    mark.target.release();
    mark.target = undefined;
  }

  #leave(filesystem: Filesystem): void {
    if (this.#parts.filesystems.leave(filesystem)) this.#parts.left(filesystem);
  }

  #isGone(fd: number): boolean {
    try {
      return this.#parts.kernel.statAt(fd, '', AT_EMPTY_PATH).nlink === 0;
    } catch (error) {
      if (error instanceof KernelError) return true;
      throw error;
    }
  }
}

function idOf(scope: MarkScope, { key, fsid }: Pick<Place, 'key' | 'fsid'>): string {
  return `${scope} ${scope === 'filesystem' ? fsid : key}`;
}

/** What a mark takes of the kernel: of a file that is ignored until it is modified, to hear of that, too. */
function wantedOf({ node, scope }: Mark, mask: number, ignored: number, survives: boolean): number {
  const ends = scope === 'inode' && !node && (ignored & EVENT_BITS) !== 0 && !survives;
  return (mask & EVENT_BITS) | (ends ? MODIFY : 0);
}

/** @throws CallError what cannot be marked so. */
function assertFits(scope: MarkScope, bits: number, { isDirectory }: Place): void {
  if (scope === 'filesystem' || isDirectory) return;
  if (scope === 'subtree') throw new CallError('ENOTDIR', 'a subtree is a directory with all that is below');
  if ((bits & (ENTRY_BITS | ONDIR)) !== 0) {
    throw new CallError('ENOTDIR', 'what happens to names happens in a directory: mark that one');
  }
}

function problemOf(uid: number, grant: Grant, scope: MarkScope, canRead: boolean): CallError | undefined {
  if (scope === 'filesystem' && !(grant.system && grant.all)) {
    return new CallError(
      'EPERM',
      `a mark of a whole file system takes a grant of "system" and "all" for user ${uid} in the daemon's configuration`,
    );
  }
  if (grant.all || canRead) return undefined;
  return new CallError(
    'EACCES',
    `user ${uid} cannot read it: a mark is of what its owner can read, unless "all" is granted`,
  );
}
