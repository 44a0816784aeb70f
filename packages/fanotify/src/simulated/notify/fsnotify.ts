// fsnotify(): whatever happens in the file system comes here, and goes to each group that has a mark which hears it.

import type { Dentry, Inode, Mount, MountNamespace, OpenFile, Path, Superblock } from '../files/objects.ts';
import { holdPath } from '../files/paths.ts';
import { Refusal } from '../refusal.ts';
import type { System } from '../system.ts';
import {
  FAN_ACCESS,
  FAN_ATTRIB,
  FAN_CLOSE_NOWRITE,
  FAN_CLOSE_WRITE,
  FAN_CREATE,
  FAN_DELETE,
  FAN_DELETE_SELF,
  FAN_FS_ERROR,
  FAN_MNT_ATTACH,
  FAN_MNT_DETACH,
  FAN_MODIFY,
  FAN_MOVE_SELF,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  FAN_OPEN,
  FAN_OPEN_EXEC,
  FAN_RENAME,
} from './bits.ts';
import { type Happening, ofDentry, ofEntry, ofFilesystem, ofInode, ofMount } from './happening.ts';
import { heardBy } from './hearing.ts';
import type { FsnotifyHooks } from './hooks.ts';
import { UserCounts } from './limits.ts';
import { makeEvent } from './make-event.ts';
import { destroyMarksOf } from './mark-life.ts';
import { PermissionHooks } from './permission-hooks.ts';
import { MarkWalk } from './walk.ts';

const O_ACCMODE = 3;

export class Fsnotify implements FsnotifyHooks {
  readonly system: System;
  readonly counts: UserCounts;
  readonly #permission: PermissionHooks;
  /** Notification waits for nobody, so that one walk serves for all. */
  readonly #walk: MarkWalk = new MarkWalk();
  #groups = 0;

  constructor(system: System) {
    this.system = system;
    this.counts = new UserCounts(system);
    this.#permission = new PermissionHooks(system);
  }

  /** For a new group: see Group.order. */
  nextOrder(): number {
    return this.#groups++;
  }

  openPermission(file: OpenFile, isExec: boolean) {
    return this.#permission.open(file, isExec);
  }

  areaPermission(file: OpenFile, access: 'read' | 'write' | 'readdir', offset: number, count: number) {
    return this.#permission.area(file, access, offset, count);
  }

  truncatePermission(path: Path, length: number) {
    return this.#permission.truncate(path, length);
  }

  mapPermission(file: OpenFile, offset: number, count: number) {
    return this.#permission.map(file, offset, count);
  }

  opened(file: OpenFile, isExec: boolean): void {
    this.#file(file, isExec ? FAN_OPEN | FAN_OPEN_EXEC : FAN_OPEN);
  }

  accessed(file: OpenFile): void {
    this.#file(file, FAN_ACCESS);
  }

  modified(file: OpenFile): void {
    this.#file(file, FAN_MODIFY);
  }

  closed(file: OpenFile): void {
    this.#file(file, (file.flags & O_ACCMODE) === 0 ? FAN_CLOSE_NOWRITE : FAN_CLOSE_WRITE);
  }

  changed(dentry: Dentry, mask: number): void {
    this.#tell(ofDentry(dentry, mask, undefined, undefined));
  }

  linkCountChanged(inode: Inode): void {
    this.#tell(ofInode(inode, FAN_ATTRIB));
  }

  created(dentry: Dentry): void {
    this.#tell(ofEntry(dentry.parent.inode, dentry.name, dentry.inode, FAN_CREATE, undefined));
  }

  linked(dentry: Dentry): void {
    this.linkCountChanged(dentry.inode);
    this.created(dentry);
  }

  deleted(directory: Inode, dentry: Dentry): void {
    this.#tell(ofEntry(directory, dentry.name, dentry.inode, FAN_DELETE, undefined));
  }

  inodeDeleted(inode: Inode): void {
    this.#tell(ofInode(inode, FAN_DELETE_SELF));
    destroyMarksOf(inode);
  }

  inodeEvicted(inode: Inode): void {
    if (inode.connector?.marks.every(({ isEvictable }) => isEvictable)) destroyMarksOf(inode);
  }

  moved(
    dentry: Dentry,
    oldDirectory: Dentry,
    oldName: string,
    newDirectory: Dentry,
    replaced: Inode | undefined,
  ): void {
    const { inode, name } = dentry;
    this.#tell(ofEntry(oldDirectory.inode, oldName, inode, FAN_RENAME, dentry));
    this.#tell(ofEntry(oldDirectory.inode, oldName, inode, FAN_MOVED_FROM, undefined));
    this.#tell(ofEntry(newDirectory.inode, name, inode, FAN_MOVED_TO, undefined));
    if (replaced !== undefined) this.linkCountChanged(replaced);
    this.#tell(ofInode(inode, FAN_MOVE_SELF));
  }

  mountAttached(namespace: MountNamespace, mount: Mount): void {
    this.#tell(ofMount(namespace, mount, FAN_MNT_ATTACH));
  }

  mountDetached(namespace: MountNamespace, mount: Mount): void {
    this.#tell(ofMount(namespace, mount, FAN_MNT_DETACH));
  }

  mountMoved(namespace: MountNamespace, mount: Mount): void {
    this.#tell(ofMount(namespace, mount, FAN_MNT_ATTACH | FAN_MNT_DETACH));
  }

  mountGone(mount: Mount): void {
    destroyMarksOf(mount);
  }

  namespaceGone(namespace: MountNamespace): void {
    destroyMarksOf(namespace);
  }

  superblockGone(superblock: Superblock): void {
    for (const inode of superblock.inodes.values()) destroyMarksOf(inode);
    destroyMarksOf(superblock);
  }

  filesystemError(superblock: Superblock, inode: Inode | undefined, errno: number): void {
    this.#tell(ofFilesystem(superblock, inode, FAN_FS_ERROR, errno));
  }

  /** fsnotify_file. */
  #file(file: OpenFile, mask: number): void {
    if (file.quiet !== 'all') this.#tell(ofDentry(file.path.dentry, mask, file.path, undefined));
  }

  #tell(happening: Happening | undefined): void {
    if (happening === undefined) return;
    const walk = this.#walk;
    walk.beginWith(happening);
    for (let group = walk.next(); group !== undefined; group = walk.next()) {
      const mask = heardBy(group, happening, walk.marks);
      if (mask === 0) continue;
      try {
        this.system.faults.at('event');
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        group.queue.overflow();
        continue;
      }
      const event = makeEvent(group, happening, mask, walk.marks, this.system.current);
      // As long as it waits, what it is about is in use.
      if (group.queue.insert(event) === 'queued' && event.kind === 'path') holdPath(event.path);
    }
  }
}
