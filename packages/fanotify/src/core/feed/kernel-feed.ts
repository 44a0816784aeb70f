// The feed of the core: a kernel group for each channel that is in use, marks that serve all groups, and what comes of them.

import { AT_EMPTY_PATH, EventCursor, FAN_EVENT_METADATA_LEN } from '../../abi/index.ts';
import { Access, rangeOf } from '../../decision/access.ts';
import { nowMs } from '../../decision/clock.ts';
import { Intake } from '../../decision/intake.ts';
import { ALLOW, kindNumber, type Ruling } from '../../decision/permission.ts';
import { fsidNumber, mountIdOf } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { type FileStatus, type Kernel, KernelError } from '../../kernel/index.ts';
import { MODIFY, OVERFLOW } from '../bits.ts';
import { Carried } from '../carried.ts';
import { Channel, type ChannelClass } from '../channel.ts';
import type { Core, CoreFilesystem, CoreObject, CoreSubtree, Feed, Seen } from '../core.ts';
import { CallError } from '../errors.ts';
import type { CoreGroup, HeldAccess } from '../group.ts';
import { Filesystem, hears } from '../marks.ts';
import { Arrival, type Surroundings } from './arrival.ts';
import { Hindsight } from './hindsight.ts';
import { ALWAYS_OPENED_WITH, asCallError, KernelGroup } from './kernel-group.ts';
import { type Leaver, Leaving } from './leaving.ts';
import { ObjectMarks } from './object-marks.ts';
import { type Around, Passage, Subtrees } from './subtrees.ts';
import { WideMarks } from './wide-marks.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const READ_EVENTS = 256;

/** A file system, and as of which mount table that was looked at. */
interface KnownFilesystem {
  readonly filesystem: CoreFilesystem;
  generation: number;
}

/** The descriptor of an access is closed with its answer. */
function closedWhenAnswered(): void {}

/** An access that the kernel holds for the core. */
class KernelAccess extends Access implements HeldAccess {
  readonly bits: number;
  readonly carried: Carried;
  readonly channel: Channel;
  readonly status: FileStatus;
  readonly filesystem: CoreFilesystem;
  by: HeldAccess['by'];

  constructor(
    cursor: EventCursor,
    kind: number,
    readMs: number,
    channel: Channel,
    status: FileStatus,
    filesystem: CoreFilesystem,
  ) {
    super(cursor.fd, cursor.pid, kind, rangeOf(cursor), readMs);
    this.bits = cursor.maskLow & channel.bits;
    this.carried = new Carried(cursor.fd, closedWhenAnswered);
    this.channel = channel;
    this.status = status;
    this.filesystem = filesystem;
  }
}

/** A permission group, and what is read of it. */
export interface Source {
  readonly group: KernelGroup;
  readonly intake: Intake;
}

export interface KernelFeedParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  /** The core that is fed; asked for only when something has come. */
  core(): Core;
  /** Whether nobody hears what a process does, or is asked about it: whoever serves must not wait for those whom he serves. */
  isOwn(pid: number): boolean;
}

export class KernelFeed implements Feed {
  readonly places: Subtrees;
  readonly objects: ObjectMarks;
  readonly hindsight: Hindsight;
  /** How many descriptors of what happened are open. */
  carried = 0;
  /** How many events were read, and how often the kernel's own queue was full. */
  heard = 0;
  overflows = 0;
  readonly #parts: KernelFeedParts;
  readonly #kernel: Kernel;
  readonly #mounts: MountTable;
  readonly #channels = new Map<string, Channel>();
  readonly #opened = new Map<Channel, KernelGroup>();
  readonly #sources = new Map<Channel, Source>();
  readonly #leaving = new Leaving();
  readonly #wide: WideMarks;
  readonly #filesystems = new Map<bigint, KnownFilesystem>();
  readonly #surroundings: Surroundings;
  readonly #buffer = Buffer.allocUnsafeSlow(READ_EVENTS * FAN_EVENT_METADATA_LEN);
  readonly #cursor = new EventCursor(this.#buffer, 0);
  readonly #passages = new Map<Access, Passage>();
  #generation = 0;

  constructor(parts: KernelFeedParts) {
    const { kernel, mounts } = parts;
    this.#parts = parts;
    this.#kernel = kernel;
    this.#mounts = mounts;
    this.places = new Subtrees(kernel, mounts, {
      opened: () => this.#opened.values(),
      closeGroup: (group) => this.#letLeave(group),
    });
    this.#surroundings = {
      kernel,
      mounts,
      places: this.places,
      known: (dev) => this.#filesystems.get(dev)?.filesystem,
      hasLeft: (fd) => this.hindsight.hasLeft(fd),
      isExplained: (arrival) => this.#isExplained(arrival),
    };
    this.hindsight = new Hindsight({
      kernel,
      modified: (object) => {
        if (object) parts.core().endIgnored(object);
        else parts.core().modifiedSomewhere();
      },
      gone: (object) => this.objects.gone(object),
    });
    this.#wide = new WideMarks({
      kernel,
      mounts,
      groups: () => parts.core().groups,
      markedFilesystems: () => parts.core().markedFilesystems,
      subtreesOn: (device) => this.#subtreesOn(device),
      opened: () => this.#opened.values(),
      groupOf: (channel) => this.#groupOf(channel),
    });
    this.objects = new ObjectMarks({
      kernel,
      mounts,
      groupOf: (channel) => this.#groupOf(channel),
      opened: () => this.#opened.values(),
      heardWidely: (object, channel) => this.#heardWidely(object, channel),
      forget: (object) => {
        this.hindsight.forget(object);
        parts.core().forget(object);
      },
      watch: (object, target) => this.hindsight.watch(object, target),
    });
  }

  /** The kernel groups that tell what has happened. */
  *notifying(): IterableIterator<KernelGroup> {
    for (const group of this.#opened.values()) if (!group.channel.asks) yield group;
  }

  /** How many marks there are in the kernel. */
  get kernelMarks(): number {
    let marks = this.objects.kernelMarks;
    for (const { filesystems } of this.#opened.values()) marks += filesystems.size;
    return marks;
  }

  /** The kernel groups that hold accesses. */
  get sources(): Iterable<Source> {
    return this.#sources.values();
  }

  channel(channelClass: ChannelClass, asked: number): Channel {
    // Whoever asks for what there is in any case needs no kernel group of his own.
    const eventFlags = asked & ~ALWAYS_OPENED_WITH;
    const key = `${channelClass} ${eventFlags}`;
    let channel = this.#channels.get(key);
    if (!channel) {
      channel = new Channel(key, channelClass, eventFlags);
      this.#channels.set(key, channel);
    }
    return channel;
  }

  channelChanged(channel: Channel): void {
    if (channel.groups > 0) return;
    this.#channels.delete(channel.key);
    const group = this.#opened.get(channel);
    if (!group) return;
    // Until it is closed the kernel may ask by marks that are kept for somebody held: nobody is to be asked, and it is allowed.
    this.objects.closed(channel);
    this.#letLeave(group);
  }

  #letLeave(group: Leaver): void {
    const intakes = [...this.#sources.values()].map(({ intake }) => intake);
    this.#leaving.add(group, nowMs(), intakes);
  }

  /** Whether a kernel group that nobody needs waits for a look at what is held. */
  get needsLook(): boolean {
    return this.#leaving.needsLook;
  }

  /**
   * Closes kernel groups that nobody needs any more.
   *
   * @param held What is not answered yet.
   */
  closeLeft(held: Iterable<Access>): void {
    if (this.#leaving.isEmpty) return;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const access of held) sinceMs = Math.min(sinceMs, access.sinceMs);
    for (const access of this.#passages.keys()) sinceMs = Math.min(sinceMs, access.sinceMs);
    for (const group of this.#leaving.closable(sinceMs)) {
      if (group instanceof KernelGroup) {
        this.#opened.delete(group.channel);
        const source = this.#sources.get(group.channel);
        this.#sources.delete(group.channel);
        if (source) this.#leaving.closed(source.intake);
      }
      group.close();
    }
  }

  look(target: number): Seen {
    this.#generation = this.#mounts.generation;
    try {
      const status = this.#kernel.statAt(target, '', AT_EMPTY_PATH);
      const filesystem = this.#filesystemOf(status.dev, target);
      filesystem.device ??= this.#deviceOf(target);
      return {
        filesystem,
        ino: status.ino,
        bornNs: status.btimeNs,
        isDirectory: (status.mode & S_IFMT) === S_IFDIR,
      };
    } catch (error) {
      throw asCallError(error);
    }
  }

  syncObject(object: CoreObject, target: number): void {
    this.objects.sync(object, target);
    if (object.filesystem.parents.has(object)) this.objects.recheck();
  }

  syncObjectSoon(object: CoreObject): void {
    this.objects.syncSoon(object);
    if (object.isDirectory) this.objects.recheckSoon();
  }

  syncFilesystems(): void {
    this.places.prepare();
    this.objects.recheck();
    this.objects.recheckSoon();
    this.#wide.sync();
  }

  addSubtree(subtree: CoreSubtree, target: number): void {
    this.#forgetGone();
    this.places.add(subtree, target);
  }

  removeSubtree(subtree: CoreSubtree): void {
    for (const access of this.places.remove(subtree)) this.#goOn(access, false);
  }

  /** What is mounted has changed, or what is called how. */
  lookAgain(): void {
    this.#forgetGone();
    try {
      this.#wide.sync();
    } catch (error) {
      // What cannot be marked is not heard.
      if (!(error instanceof CallError)) throw error;
    }
  }

  /** Marks of subtrees that were removed, and of file systems that were unmounted, went with them. */
  #forgetGone(): void {
    const core = this.#parts.core();
    for (const subtree of this.places.refresh()) core.forget(subtree);
    for (const filesystem of core.markedFilesystems) {
      const { device } = filesystem;
      if (device !== undefined && this.#mounts.byDevice(device).length === 0) core.forget(filesystem);
    }
  }

  /** Reads what has happened once; returns how much. */
  read({ fd, channel }: KernelGroup): number {
    let length: number;
    try {
      length = this.#kernel.read(fd, this.#buffer);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Before Linux 6.13 an event whose file cannot be opened is an error.
      if (error.code !== 'EAGAIN') this.#parts.core().happenedSomewhere(channel, channel.bits, 0);
      return 0;
    }
    this.#generation = this.#mounts.generation;
    this.hindsight.hear(nowMs());
    if (this.#parts.core().dispatcher.subtrees.size > 0) this.places.refresh();
    this.#cursor.reset(this.#buffer, length);
    let count = 0;
    for (; this.#cursor.next(); count++) this.#take(channel, this.#cursor);
    this.heard += count;
    return count;
  }

  #take(channel: Channel, { fd, pid, maskLow }: EventCursor): void {
    const core = this.#parts.core();
    if ((maskLow & OVERFLOW) !== 0) {
      this.overflows++;
      core.overflowed(channel);
      return;
    }
    const isOwn = this.#parts.isOwn(pid);
    if (fd < 0) {
      if (!isOwn) core.happenedSomewhere(channel, maskLow & channel.bits, pid);
      return;
    }
    if (isOwn) {
      this.#kernel.close(fd);
      return;
    }
    const carried = this.#carry(fd);
    try {
      const status = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
      const filesystem = this.#filesystemOf(status.dev, fd);
      const bits = maskLow & channel.bits;
      core.happened(new Arrival(this.#surroundings, channel, bits, filesystem, fd, pid, status), pid, carried);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      core.happenedSomewhere(channel, maskLow & channel.bits, pid);
    } finally {
      carried.release();
    }
  }

  /**
   * Takes an access in.
   *
   * @param giveUp Nobody is asked any more: it gets the policy of those who would be.
   */
  takeAccess(
    { group: { channel }, intake }: Source,
    cursor: EventCursor,
    sinceMs: number,
    readMs: number,
    giveUp: boolean,
  ): void {
    const core = this.#parts.core();
    this.heard++;
    const { fd, pid, maskLow } = cursor;
    const kind = kindNumber(maskLow);
    if (fd < 0) {
      if (kind >= 0) channel.kernelDenied++;
      else if ((maskLow & MODIFY) !== 0) core.modifiedSomewhere();
      return;
    }
    if (this.#parts.isOwn(pid)) {
      if (kind >= 0) intake.answer(fd, ALLOW);
      else this.#kernel.close(fd);
      return;
    }
    this.#generation = this.#mounts.generation;
    this.hindsight.hear(readMs);
    let status: FileStatus;
    let filesystem: CoreFilesystem;
    try {
      status = this.#kernel.statAt(fd, '', AT_EMPTY_PATH);
      filesystem = this.#filesystemOf(status.dev, fd);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Of what does not even say what it is nobody can be asked.
      if (kind >= 0) intake.answer(fd, core.policyFor(channel, maskLow & channel.bits));
      else this.#kernel.close(fd);
      return;
    }
    if (kind < 0) {
      if ((maskLow & MODIFY) !== 0) {
        core.modified(new Arrival(this.#surroundings, channel, MODIFY, filesystem, fd, pid, status));
      }
      this.#kernel.close(fd);
      return;
    }
    const access = new KernelAccess(cursor, kind, readMs, channel, status, filesystem);
    access.sinceMs = sinceMs;
    if (core.dispatcher.subtrees.size === 0 || giveUp) this.#hold(access, undefined, giveUp);
    else this.#pass(access, new Passage(access, this.places.gated()));
  }

  /** The accesses that wait to be told inside from outside. */
  get passages(): Iterable<Access> {
    return this.#passages.keys();
  }

  /** How many these are. */
  get passing(): number {
    return this.#passages.size;
  }

  /** Goes on with those of which it is clear now where they are. */
  settle(nowMs: number): void {
    for (const [, gate] of this.places.gated()) {
      gate.notice();
      for (let next = gate.nextSettled(nowMs); next; next = gate.nextSettled(nowMs)) {
        this.#goOn(next.access, next.isInside);
      }
    }
  }

  /** Lets an access on from the gate that it waits at. */
  #goOn(access: Access, isInside: boolean): void {
    const passage = this.#passages.get(access);
    if (!passage) return;
    this.#passages.delete(access);
    passage.settled({ isInside });
    this.#pass(access as KernelAccess, passage);
  }

  /** Asks about what is on its way through the gates as if it were inside. */
  abandonPassages(): void {
    for (const access of this.#passages.keys()) this.#hold(access as KernelAccess, undefined, true);
    this.#passages.clear();
  }

  /** Answers an access, and closes its descriptor. */
  leave(access: HeldAccess, ruling: Ruling): void {
    const source = this.#sources.get((access as KernelAccess).channel);
    if (source) source.intake.answer(access.fd, ruling);
    else this.#kernel.close(access.fd);
  }

  #pass(access: KernelAccess, passage: Passage): void {
    if (passage.goOn()) this.#hold(access, this.places.allAround(access, passage.inside), false);
    else this.#passages.set(access, passage);
  }

  #hold(access: KernelAccess, around: Around | undefined, giveUp: boolean): void {
    const { channel, bits, filesystem, fd, pid, status } = access;
    const arrival = new Arrival(this.#surroundings, channel, bits, filesystem, fd, pid, status, around);
    this.#parts.core().hold(arrival, access, giveUp);
  }

  #carry(fd: number): Carried {
    this.carried++;
    return new Carried(fd, this.#closeCarried);
  }

  readonly #closeCarried = (fd: number): void => {
    this.carried--;
    this.#kernel.close(fd);
  };

  /** Another file system may have the number by now: it is looked at again when the mount table has changed. */
  #filesystemOf(dev: bigint, fd: number): CoreFilesystem {
    const known = this.#filesystems.get(dev);
    if (known?.generation === this.#generation) return known.filesystem;
    const { type, fsid } = this.#kernel.statfs(fd);
    const id = fsidNumber(fsid);
    if (known && known.filesystem.type === type && known.filesystem.fsid === id) {
      known.generation = this.#generation;
      return known.filesystem;
    }
    const device = this.#deviceOf(fd);
    const filesystem: CoreFilesystem = new Filesystem(type, id, this.#wholeOf(device, type));
    filesystem.device = device;
    this.#filesystems.set(dev, { filesystem, generation: this.#generation });
    return filesystem;
  }

  #deviceOf(fd: number): string | undefined {
    const mountId = mountIdOf(this.#kernel, fd);
    return mountId === undefined ? undefined : this.#mounts.byId(mountId)?.device;
  }

  #wholeOf(device: string | undefined, type: number): CoreFilesystem | undefined {
    if (device === undefined) return undefined;
    for (const { filesystem, generation } of this.#filesystems.values()) {
      if (generation === this.#generation && filesystem.device === device && filesystem.type === type)
        return filesystem;
    }
    return undefined;
  }

  #groupOf(channel: Channel): KernelGroup {
    let group = this.#opened.get(channel);
    if (group) return group;
    group = new KernelGroup(this.#kernel, channel);
    this.#opened.set(channel, group);
    if (channel.asks) {
      const intake = new Intake({
        kernel: this.#kernel,
        group,
        hasRanges: channel.class === 'preContent',
        deniedByKernel: () => {
          channel.kernelDenied++;
          // It may have been a modification.
          this.#parts.core().modifiedSomewhere();
        },
      });
      this.#sources.set(channel, { group, intake });
    }
    return group;
  }

  #subtreesOn(device: string): CoreSubtree[] {
    return [...this.#parts.core().dispatcher.subtrees].filter((subtree) =>
      [...this.places.devicesOf(subtree)].includes(device),
    );
  }

  /** Whether somebody asked to hear it by other marks than of a directory that it is in: what it was in when it happened, nothing tells. */
  #isExplained({ channel, filesystem, ino, bornNs, bits }: Arrival): boolean {
    const { dispatcher } = this.#parts.core();
    let expected = 0;
    const add = (group: CoreGroup, mask: number) => {
      if (hears(group, channel)) expected |= mask;
    };
    for (const group of dispatcher.listenersOf(filesystem)) add(group, group.initBits);
    for (const { group, mask } of filesystem.marks) add(group, mask);
    for (const { marks } of dispatcher.subtrees) for (const { group, mask } of marks) add(group, mask);
    const object = filesystem.objects.get(ino);
    if (object?.bornNs === bornNs) {
      for (const { group, mask, ignored } of object.marks) add(group, ignored === 0 ? mask : mask | MODIFY);
    }
    return (bits & ~expected) === 0;
  }

  /** By marks of the file system, of subtrees and directories, and by init masks. In which it is, is not looked at. */
  #heardWidely({ filesystem }: CoreObject, channel: Channel): ReadonlyMap<CoreGroup, number> {
    const { dispatcher } = this.#parts.core();
    const heard = new Map<CoreGroup, number>();
    const add = (group: CoreGroup, bits: number) => {
      if (hears(group, channel)) heard.set(group, (heard.get(group) ?? 0) | (bits & channel.bits));
    };
    for (const group of dispatcher.listenersOf(filesystem)) add(group, group.initBits);
    for (const { group, mask } of filesystem.marks) add(group, mask);
    for (const { marks } of dispatcher.subtrees) for (const { group, mask } of marks) add(group, mask);
    for (const { marks } of filesystem.parents) for (const { group, mask } of marks) add(group, mask);
    return heard;
  }
}
