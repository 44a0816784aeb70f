// Takes events from the kernel's queue one by one: each is told, and what it says of directories is kept.

import { type EventCursor, HOST_IS_LITTLE_ENDIAN as LE, recordKey, recordName } from '../../abi/index.ts';
import { nowMs } from '../../decision/clock.ts';
import { RoundRenames } from '../../group/renames.ts';
import type { HandleKey, Location } from '../../identity/locator.ts';
import { ATTRIB, CREATE, DELETE, DELETE_SELF, ENTRY_BITS, MODIFY, ONDIR, OVERFLOW, RENAME } from './bits.ts';
import type { Filesystems } from './filesystems.ts';
import type { Finder } from './finder.ts';
import type { KernelQueue } from './kernel-queue.ts';
import type { DirectoryNode, Filesystem, Mark } from './model.ts';
import type { Teller } from './teller.ts';
import type { DirectoryTree } from './tree.ts';

/** Where in a record the fsid is, and the handle behind it; and how long those are without the handle's opaque part. */
const KEY = 4;
const FSID_LENGTH = 8;
const HANDLE_OPAQUE = 16;
/** So many events are told before what waits for groups is sent: else they would lose what they have room for. */
const PAUSE_EVERY = 4096;

/** So long is told what has happened before others have their turn: telling an event to many marks takes its time. */
const LONGEST_TURN_MS = 50;
/** After so many events it is looked how late it is. */
const LOOK_EVERY = 4;

export interface HearingParts {
  readonly queue: KernelQueue;
  readonly tree: DirectoryTree;
  readonly finder: Finder;
  readonly filesystems: Filesystems;
  readonly teller: Teller;
  /** Whether a process is the daemon's own: nobody hears what it does. */
  isOwn(pid: number): boolean;
  /** What has happened is told from here on: what is known of processes is known no more. */
  begin(): void;
  /** Something may wait for groups by now. */
  pause(): void;
  /** Those who have marks on a file system have lost something. */
  lostOn(filesystem: Filesystem): void;
  /** Everybody has lost something. */
  lost(): void;
  /** Those who have marks on one of these directories, or above, may have lost something. */
  mayHaveLost(directories: readonly DirectoryNode[]): void;
  /** A directory may be gone, which is marked perhaps. */
  mayBeGone(key: HandleKey): void;
  /** What was marked is gone. */
  gone(filesystem: Filesystem, key: HandleKey): void;
}

export class Hearing {
  read = 0;
  overflows = 0;
  /** Events of directories that are nowhere. */
  unplaced = 0;
  readonly #parts: HearingParts;
  readonly #renames = new RoundRenames();
  #round = 0;
  /** The queue was given up while something was read ahead: that comes first. */
  #isOverrun = false;
  #isRunning = false;
  /** A turn ended before everything was told: the next that is due to what waits is the loop's. */
  #isBehind = false;
  #endMs = 0;
  /** What is to be done once so many events were told, in order. */
  #waiting: { readonly read: number; readonly then: () => void }[] = [];
  /** Where something that has happened could not be placed, for want of descriptors or memory. */
  readonly #unseen = new Set<Filesystem>();
  /** Of the last event: mostly the next is of the same directory. */
  #lastFilesystem: Filesystem | undefined;
  readonly #lastFsid = new Int32Array(2);
  #lastDirectory: DirectoryNode | undefined;
  #lastRemovals = -1;
  #lastKeyLength = 0;
  readonly #lastKey = Buffer.alloc(256);
  readonly #lastKeyView = new DataView(this.#lastKey.buffer, this.#lastKey.byteOffset, this.#lastKey.byteLength);
  #lastPid = -1;
  #isLastOwn = false;

  constructor(parts: HearingParts) {
    this.#parts = parts;
  }

  /** Something was lost, or told in the wrong place: that is told behind what was read ahead. */
  overrun(): void {
    this.#isOverrun = true;
  }

  /** What happens on a file system is not told as it should be: that is told behind what was read ahead. */
  unseen(filesystem: Filesystem): void {
    // Else somebody has asked, and is answered.
    if (this.#isRunning) this.#unseen.add(filesystem);
  }

  /**
   * Does something behind everything that has happened until now: at once, or when that takes longer than a turn, in a later one.
   * Nothing overtakes.
   */
  afterAll(then: () => void): void {
    const { queue } = this.#parts;
    // What is told may have to look at the disk, and at the queue for that.
    if (this.#isRunning) {
      then();
      return;
    }
    if (!this.#isBehind) {
      queue.fill();
      const read = this.#readWithWaiting();
      this.#run(read, false);
      if (this.#waiting.length === 0 && (!this.#isBehind || this.read >= read)) {
        then();
        return;
      }
      this.#waiting.push({ read, then });
      return;
    }
    this.#waiting.push({ read: this.#readWithWaiting(), then });
  }

  /**
   * Tells what was read ahead, as far as that takes no longer than a turn.
   *
   * @param isReadable Poll(2) has just said that there is something.
   */
  catchUp(isReadable = false): void {
    if (this.#isRunning) return;
    this.#run(this.#waiting.at(-1)?.read ?? 0, isReadable);
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (this.#isBehind && this.read < first.read) return;
      this.#waiting.shift();
      first.then();
    }
  }

  /** How many there will be when all that there are now were told. */
  #readWithWaiting(): number {
    const { queue } = this.#parts;
    return this.read + queue.ahead + queue.waiting;
  }

  /** Tells what is read ahead, and at least so many events in all, until there are no more, or the turn ends. */
  #run(until: number, isReadable: boolean): void {
    this.#isRunning = true;
    this.#isBehind = false;
    this.#endMs = nowMs() + LONGEST_TURN_MS;
    this.#lastPid = -1;
    this.#parts.begin();
    const { queue } = this.#parts;
    try {
      // A loss is told before what has happened after it.
      if (!this.#isOverrun) queue.fill(isReadable);
      for (;;) {
        this.#hearAhead();
        // Whoever looks at the disk reads ahead.
        if (this.#isBehind || (!queue.hasAhead && (queue.isEmpty || this.read >= until))) return;
        queue.fill();
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #hearAhead(): void {
    const { queue } = this.#parts;
    while (queue.next()) {
      this.#hear(queue.cursor);
      if (this.read % PAUSE_EVERY === 0) this.#parts.pause();
      if (this.read % LOOK_EVERY === 0 && nowMs() >= this.#endMs) {
        this.#isBehind = true;
        break;
      }
    }
    for (const filesystem of this.#unseen) this.#parts.lostOn(filesystem);
    this.#unseen.clear();
    if (!queue.isEmpty && queue.giveUpIfTooMuch()) this.#isOverrun = true;
    if (this.#isBehind) return;
    if (this.#isOverrun) this.#lost();
    else if (queue.isEmpty) this.#endRound();
  }

  /** A file system is not marked any more. */
  forget(): void {
    this.#lastFilesystem = undefined;
    this.#lastDirectory = undefined;
  }

  #hear(cursor: EventCursor): void {
    this.read++;
    const bits = cursor.maskLow;
    if ((bits & OVERFLOW) !== 0) {
      this.#lost();
      return;
    }
    const from = cursor.oldDfid || cursor.dfid || cursor.newDfid;
    const filesystem = this.#filesystemOf(cursor, from || cursor.fid);
    if (!filesystem) return;
    const isDirectory = (bits & ONDIR) !== 0;
    const directory = from === 0 ? undefined : this.#directory(cursor, from, filesystem);
    const to = cursor.oldDfid && cursor.newDfid ? this.#directory(cursor, cursor.newDfid, filesystem) : undefined;
    const isSelf = isDirectory && (bits & ENTRY_BITS) === 0;
    // Before anybody is asked who may reach it.
    if (isSelf && directory && (bits & ATTRIB) !== 0) this.#parts.tree.touch(directory);
    const isOwn = this.#isOwn(cursor.pid);
    // Of what is gone the kernel tells when the last has let go of it, which may be the daemon: nothing that it has done.
    if (!isOwn || (bits & DELETE_SELF) !== 0) {
      const objects =
        filesystem.objects.size > 0 && cursor.fid !== 0 && !isDirectory
          ? filesystem.objects.get(recordKey(cursor, cursor.fid))
          : undefined;
      if (objects && (bits & MODIFY) !== 0) this.#endIgnoring(objects);
      const isTold = this.#parts.teller.tell(cursor, isOwn ? 0 : cursor.pid, {
        filesystem,
        directory,
        to,
        isSelf,
        objects,
      });
      if (!isTold && from !== 0 && !directory && !to) this.unplaced++;
    }
    if (isDirectory && !isSelf && cursor.fid !== 0) this.#follow(cursor, filesystem, directory, to);
    if ((bits & (DELETE_SELF | ATTRIB | DELETE)) !== 0) this.#lookForGone(cursor, filesystem, isSelf);
    this.#parts.tree.tidy();
  }

  /** What is ignored of a file ends as it is modified. */
  #endIgnoring(marks: readonly Mark[]): void {
    for (const mark of marks) if (!mark.survivesModify) mark.ignored = 0;
  }

  /** Mostly it is the process of the event before. */
  #isOwn(pid: number): boolean {
    if (pid !== this.#lastPid) {
      this.#lastPid = pid;
      this.#isLastOwn = this.#parts.isOwn(pid);
    }
    return this.#isLastOwn;
  }

  #filesystemOf({ buffer, view }: EventCursor, record: number): Filesystem | undefined {
    if (record === 0) return undefined;
    const at = record + KEY;
    const one = view.getInt32(at, LE);
    const other = view.getInt32(at + 4, LE);
    if (this.#lastFilesystem && one === this.#lastFsid[0] && other === this.#lastFsid[1]) return this.#lastFilesystem;
    this.#lastFilesystem = this.#parts.filesystems.byFsid(buffer.toString('latin1', at, at + FSID_LENGTH));
    this.#lastFsid[0] = one;
    this.#lastFsid[1] = other;
    return this.#lastFilesystem;
  }

  #directory(cursor: EventCursor, record: number, filesystem: Filesystem): DirectoryNode | undefined {
    const { tree, finder } = this.#parts;
    const last = this.#lastDirectory;
    if (last && this.#lastRemovals === tree.removals && this.#isLastKey(cursor, record)) return last;
    const key = recordKey(cursor, record);
    const found = finder.find(key, filesystem);
    this.#lastDirectory = found;
    this.#lastRemovals = tree.removals;
    this.#lastKeyLength = Math.min(key.length, this.#lastKey.length);
    cursor.buffer.copy(this.#lastKey, 0, record + KEY, record + KEY + this.#lastKeyLength);
    return found;
  }

  /** Whether a record is of the directory of the last one: comparing the bytes costs less than making a key of them. */
  #isLastKey({ view }: EventCursor, record: number): boolean {
    const length = HANDLE_OPAQUE + view.getUint32(record + KEY + FSID_LENGTH, LE);
    if (length !== this.#lastKeyLength) return false;
    const start = record + KEY;
    let at = 0;
    for (; at + 4 <= length; at += 4)
      if (view.getInt32(start + at, LE) !== this.#lastKeyView.getInt32(at, LE)) return false;
    for (; at < length; at++) if (view.getUint8(start + at) !== this.#lastKey[at]) return false;
    return true;
  }

  /** A directory has come, gone, or was renamed. */
  #follow(
    cursor: EventCursor,
    filesystem: Filesystem,
    from: DirectoryNode | undefined,
    to: DirectoryNode | undefined,
  ): void {
    const { tree } = this.#parts;
    const bits = cursor.maskLow;
    const key = recordKey(cursor, cursor.fid);
    const known = tree.find(key);
    if ((bits & RENAME) !== 0) {
      const [old, now] = [locationAt(cursor, cursor.oldDfid), locationAt(cursor, cursor.newDfid)];
      this.#renames.startRound(this.#round);
      this.#renames.add(key, old, now);
      if (known?.isTop) return;
      if (known) tree.touch(known);
      if (to && now) tree.place(known ?? tree.add(key, filesystem, false), to, now.name.toString('latin1'));
      else if (known) tree.displace(known);
    } else if ((bits & DELETE) !== 0) {
      if (known) tree.remove(known);
    } else if ((bits & CREATE) !== 0 && from && !known) {
      tree.place(tree.add(key, filesystem, false), from, nameAt(cursor, cursor.dfid));
    }
  }

  #lookForGone(cursor: EventCursor, filesystem: Filesystem, isSelf: boolean): void {
    const record = isSelf ? cursor.dfid : cursor.fid;
    const isDirectory = (cursor.maskLow & ONDIR) !== 0;
    if (record === 0 || (!isDirectory && filesystem.objects.size === 0)) return;
    if ((cursor.maskLow & DELETE_SELF) !== 0) this.#parts.gone(filesystem, recordKey(cursor, record));
    else if (isDirectory) this.#parts.mayBeGone(recordKey(cursor, record));
  }

  #lost(): void {
    this.#isOverrun = false;
    this.overflows++;
    this.#parts.tree.forget();
    this.#parts.lost();
  }

  /**
   * The kernel merges a renaming with an equal one that still waits, so that a directory that came back to where it had been may have
   * left again.
   */
  #endRound(): void {
    const suspects = this.#renames.startRound(++this.#round);
    if (suspects === 'all') {
      this.#lost();
      return;
    }
    const { tree, finder } = this.#parts;
    for (const [key] of suspects) {
      const node = tree.find(key);
      if (!node || node.isTop) continue;
      const { above, name } = node;
      tree.displace(node);
      finder.complete(node);
      if (node.above === above && node.name === name) continue;
      this.#parts.mayHaveLost(above ? [node, above] : [node]);
    }
  }
}

function nameAt(cursor: EventCursor, record: number): string {
  return recordName(cursor, record).toString('latin1');
}

function locationAt(cursor: EventCursor, record: number): Location | undefined {
  if (record === 0) return undefined;
  return { parent: recordKey(cursor, record), name: Buffer.from(recordName(cursor, record)) };
}
