// What has to be asked for before it is done: FAN_OPEN_PERM and FAN_OPEN_EXEC_PERM, FAN_ACCESS_PERM, FAN_PRE_ACCESS. Groups are asked one
// after the other, by their priority, and the first denial ends it.

import { ERRNO } from '../../kernel/error.ts';
import { release } from '../files/dentry.ts';
import type { Dentry, OpenFile, Path } from '../files/objects.ts';
import { holdPath } from '../files/paths.ts';
import { Refusal } from '../refusal.ts';
import type { System } from '../system.ts';
import type { Blocking } from '../wait.ts';
import { FAN_ACCESS_PERM, FAN_OPEN_EXEC_PERM, FAN_OPEN_PERM, FAN_PRE_ACCESS, PRE_CONTENT_EVENTS } from './bits.ts';
import { watchesChildren } from './connector.ts';
import type { Group } from './group.ts';
import { type Happening, maskOf, ofDentry } from './happening.ts';
import { heardBy } from './hearing.ts';
import { makePermissionEvent } from './make-event.ts';
import { pin, unpin } from './mark-life.ts';
import { answerOf } from './permission.ts';
import { MarkWalk } from './walk.ts';

const PAGE_BYTES = 4096;

/** Each returns undefined where nobody wants to be asked, which is nearly always. */
export class PermissionHooks {
  readonly #system: System;

  constructor(system: System) {
    this.#system = system;
  }

  /**
   * fsnotify_open_perm_and_set_mode. Who wants to be asked is looked up now, once: reads and writes go by what the open file says then.
   */
  open(file: OpenFile, isExec: boolean): Blocking<void> | undefined {
    if (file.quiet === 'all') return undefined;
    const { dentry } = file.path;
    const wanted = wantedOf(dentry, file.path);
    if ((wanted & FAN_ACCESS_PERM) !== 0) file.quiet = 'none';
    else if (dentry.inode.type === 'file' && (wanted & PRE_CONTENT_EVENTS) !== 0) file.quiet = 'accessPermission';
    else file.quiet = 'permission';
    const asksExec = isExec && (wanted & FAN_OPEN_EXEC_PERM) !== 0;
    const asksOpen = (wanted & FAN_OPEN_PERM) !== 0;
    return asksExec || asksOpen ? this.#open(file, asksExec, asksOpen) : undefined;
  }

  /** fsnotify_file_area_perm. */
  area(
    file: OpenFile,
    access: 'read' | 'write' | 'readdir',
    offset: number,
    count: number,
  ): Blocking<void> | undefined {
    if (file.quiet === 'all' || file.quiet === 'permission') return undefined;
    const range = access === 'readdir' ? undefined : pagesOf(offset, count);
    const asksAccess = access !== 'write' && file.quiet === 'none';
    if (
      ofDentry(file.path.dentry, FAN_PRE_ACCESS | (asksAccess ? FAN_ACCESS_PERM : 0), file.path, range) === undefined
    ) {
      return undefined;
    }
    return this.#area(file.path, range, asksAccess);
  }

  /** fsnotify_truncate_perm. */
  truncate(path: Path, length: number): Blocking<void> | undefined {
    return this.#askIfHeard(path, pagesOf(length, 0));
  }

  /** fsnotify_mmap_perm. */
  map(file: OpenFile, offset: number, count: number): Blocking<void> | undefined {
    if (file.quiet === 'all' || file.quiet === 'permission') return undefined;
    return this.#askIfHeard(file.path, pagesOf(offset, count));
  }

  #askIfHeard(path: Path, range: Happening['range']): Blocking<void> | undefined {
    const happening = ofDentry(path.dentry, FAN_PRE_ACCESS, path, range);
    return happening && this.#ask(happening, path);
  }

  *#open({ path }: OpenFile, asksExec: boolean, asksOpen: boolean): Blocking<void> {
    if (asksExec) yield* this.#askOf(path, FAN_OPEN_EXEC_PERM, undefined);
    if (asksOpen) yield* this.#askOf(path, FAN_OPEN_PERM, undefined);
  }

  /** Content first comes into being, and is looked at then. */
  *#area(path: Path, range: Happening['range'], asksAccess: boolean): Blocking<void> {
    yield* this.#askOf(path, FAN_PRE_ACCESS, range);
    if (asksAccess) yield* this.#askOf(path, FAN_ACCESS_PERM, undefined);
  }

  *#askOf(path: Path, mask: number, range: Happening['range']): Blocking<void> {
    const happening = ofDentry(path.dentry, mask, path, range);
    if (happening !== undefined) yield* this.#ask(happening, path);
  }

  /** The directory that hears of it too stays, also when it is removed meanwhile. */
  *#ask(happening: Happening, path: Path): Blocking<void> {
    if (happening.directory === undefined) return yield* this.#askGroups(happening, path);
    const { parent } = path.dentry;
    parent.references++;
    try {
      yield* this.#askGroups(happening, path);
    } finally {
      release(this.#system, parent);
    }
  }

  *#askGroups(happening: Happening, path: Path): Blocking<void> {
    const walk = new MarkWalk();
    walk.beginWith(happening);
    for (let group = walk.next(); group !== undefined; group = walk.next()) {
      const mask = heardBy(group, happening, walk.marks);
      if (mask === 0) continue;
      const pinned = walk.current();
      if (!pin(pinned)) continue;
      let errno: number;
      try {
        errno = yield* this.#askGroup(group, happening, path, mask);
      } finally {
        unpin(pinned);
      }
      if (errno !== 0) throw new Refusal(errno);
      walk.resume(group);
    }
  }

  /** A full queue lets it pass unseen; one that closes, too. */
  *#askGroup(group: Group, happening: Happening, path: Path, mask: number): Blocking<number> {
    try {
      this.#system.faults.at('event');
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return ERRNO.ENOMEM;
    }
    const event = makePermissionEvent(happening, path, mask, this.#system.current);
    if (group.queue.insert(event) !== 'queued') return 0;
    holdPath(path);
    return yield* answerOf(this.#system, group, event);
  }
}

/** What somebody wants to hear of it, wherever the marks are. */
function wantedOf(dentry: Dentry, { mount }: Path): number {
  const { inode, parent } = dentry;
  const own = maskOf(inode) | maskOf(mount) | maskOf(inode.superblock);
  return parent === dentry ? own : own | watchesChildren(parent.inode);
}

/** In whole pages. */
function pagesOf(offset: number, count: number): { readonly offset: number; readonly count: number } {
  const start = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
  return { offset: start, count: Math.ceil((offset + count) / PAGE_BYTES) * PAGE_BYTES - start };
}
