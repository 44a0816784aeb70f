// A core without a kernel: a feed that does what it is told, or refuses, and notes it; and a clock that is set.

import { Carried } from '../../src/core/carried.ts';
import { Channel, type ChannelClass } from '../../src/core/channel.ts';
import {
  Core,
  type CoreFilesystem,
  type CoreHappening,
  type CoreObject,
  type CoreSubtree,
  type Feed,
  type Seen,
} from '../../src/core/core.ts';
import { CallError } from '../../src/core/errors.ts';
import type { CoreGroup, HeldAccess } from '../../src/core/group.ts';
import { Filesystem, type MarkedObject } from '../../src/core/marks.ts';
import type { GroupSettings } from '../../src/core/types.ts';
import { Access } from '../../src/decision/access.ts';

/** A thing to mark: its descriptor is its inode number. */
export interface Thing {
  readonly ino: number;
  readonly isDirectory?: boolean;
  readonly filesystem?: CoreFilesystem;
  readonly bornNs?: bigint;
}

export class FakeFeed implements Feed {
  readonly filesystem: CoreFilesystem = Object.assign(new Filesystem<CoreGroup>(1, 1n), { device: '0:1' });
  readonly things = new Map<number, Thing>();
  /** What it was asked to do, in that order. */
  readonly calls: string[] = [];
  /** What is refused next, by the name of its call. */
  refused: string | undefined;
  readonly subtrees = new Set<CoreSubtree>();
  readonly #channels = new Map<string, Channel>();

  channel(channelClass: ChannelClass, eventFlags: number): Channel {
    const key = `${channelClass} ${eventFlags}`;
    const channel = this.#channels.get(key) ?? new Channel(key, channelClass, eventFlags);
    this.#channels.set(key, channel);
    return channel;
  }

  look(target: number): Seen {
    const thing = this.things.get(target);
    if (!thing) throw new CallError('EBADF', 'nothing is open there');
    const { ino, isDirectory = false, filesystem = this.filesystem, bornNs = 1n } = thing;
    return { filesystem, ino: BigInt(ino), bornNs, isDirectory };
  }

  syncObject({ ino }: CoreObject): void {
    this.#do('syncObject', `${ino}`);
  }

  syncObjectSoon({ ino }: CoreObject): void {
    this.#do('syncObjectSoon', `${ino}`);
  }

  syncFilesystems(): void {
    this.#do('syncFilesystems', '');
  }

  addSubtree(subtree: CoreSubtree): void {
    this.#do('addSubtree', `${subtree.root.ino}`);
    this.subtrees.add(subtree);
  }

  removeSubtree(subtree: CoreSubtree): void {
    this.subtrees.delete(subtree);
  }

  channelChanged({ key, groups }: Channel): void {
    this.#do(`${key}:`, `${groups}`);
  }

  #do(name: string, of: string): void {
    this.calls.push(`${name} ${of}`.trim());
    if (this.refused !== name) return;
    this.refused = undefined;
    throw new CallError('ENOSPC', 'no marks are left');
  }
}

class FakeAccess extends Access implements HeldAccess {
  readonly bits: number;
  readonly carried: Carried;
  by: HeldAccess['by'];

  constructor(fd: number, pid: number, bits: number, carried: Carried) {
    super(fd, pid, 0, null, 0);
    this.bits = bits;
    this.carried = carried;
  }
}

export const COOKIE_BASE = 7;
/** Who owns the groups; accesses are of another. */
export const OWNER = 1000;
export const OTHER_PROCESS = 2000;

export class Scene {
  readonly feed = new FakeFeed();
  /** What has become of accesses: their descriptors, and whether they were allowed. */
  readonly left: [number, boolean][] = [];
  readonly woken: CoreGroup[] = [];
  now = 0;
  readonly core: Core;
  /** How often descriptors were closed. */
  readonly closed = new Map<number, number>();
  #lastFd = 100;

  constructor(maxQueued = 100) {
    this.core = new Core({
      feed: this.feed,
      leave: (access, { allowed }) => this.left.push([access.fd, allowed]),
      wake: (group) => this.woken.push(group),
      asked: () => undefined,
      nowMs: () => this.now,
      maxQueued,
      cookieBase: COOKIE_BASE,
    });
  }

  open(settings: Partial<GroupSettings> = {}): CoreGroup {
    return this.core.open({ mask: 0n, priority: 0, flags: 0, eventFlags: 0, ...settings }, OWNER);
  }

  thing(thing: Thing): number {
    this.feed.things.set(thing.ino, thing);
    return thing.ino;
  }

  mark(group: CoreGroup, target: number, mask: bigint, more: Partial<Parameters<Core['addMark']>[2]> = {}): void {
    this.core.addMark(group, target, { scope: 'inode', mask, ignored: 0n, survivesModify: false, ...more });
  }

  unmark(group: CoreGroup, target: number, mask: bigint, more: Partial<Parameters<Core['removeMark']>[2]> = {}): void {
    this.core.removeMark(group, target, { scope: 'inode', mask, ignored: mask, ...more });
  }

  happening(ino: number, bits: bigint, channel: Channel, more: Partial<CoreHappening> = {}): CoreHappening {
    const { filesystem = this.feed.filesystem, isDirectory = false, bornNs = 1n } = this.feed.things.get(ino) ?? {};
    return {
      channel,
      bits: Number(bits),
      isDirectory,
      filesystem,
      ino: BigInt(ino),
      bornNs,
      parent: () => undefined,
      subtrees: () => [],
      ...more,
    };
  }

  /** Somebody wants to do something. Returns the descriptor that names it. */
  hold(ino: number, bits: bigint, pid = OTHER_PROCESS, more: Partial<CoreHappening> = {}, giveUp = false): number {
    const fd = this.#carried();
    const access = new FakeAccess(fd.fd, pid, Number(bits), fd);
    access.sinceMs = this.now;
    this.core.hold(this.happening(ino, bits, this.feed.channel('content', 0), more), access, giveUp);
    return fd.fd;
  }

  /** Something has happened. */
  happen(ino: number, bits: bigint, more: Partial<CoreHappening> = {}): number {
    const carried = this.#carried();
    const happening = this.happening(ino, bits, this.feed.channel('notification', 0), more);
    this.core.happened(happening, OTHER_PROCESS, carried);
    carried.release();
    return carried.fd;
  }

  /** What waits for a group: taken. */
  read(group: CoreGroup): { readonly mask: bigint; readonly cookie: bigint; readonly fd: number | undefined }[] {
    const waiting = group.queue.peek(1_000);
    const read = waiting.map(({ bits, ask, carried }) => ({
      mask: BigInt(bits),
      cookie: ask === undefined ? 0n : this.core.cookieOf(ask),
      fd: carried?.fd,
    }));
    group.queue.taken(waiting);
    return read;
  }

  /** Time goes by. */
  pass(ms: number): void {
    this.now += ms;
    this.core.table.expire(this.now);
  }

  #carried(): Carried {
    const fd = ++this.#lastFd;
    this.closed.set(fd, 0);
    return new Carried(fd, () => this.closed.set(fd, (this.closed.get(fd) ?? 0) + 1));
  }
}

/** The code of what a call throws. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof CallError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

export function objectOf({ feed }: Scene, ino: number): MarkedObject<CoreGroup> | undefined {
  return feed.filesystem.objects.get(BigInt(ino));
}
