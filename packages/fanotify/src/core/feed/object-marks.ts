// The kernel's marks of files and directories: for each channel the least that serves all groups.

import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../abi/index.ts';
import { assertAdmitted, beltOf } from '../../decision/admission.ts';
import { openMount } from '../../decision/mount-paths.ts';
import { NotPermittedError } from '../../group/errors.ts';
import { kindOf } from '../../identity/filesystems.ts';
import { mountIdOf } from '../../identity/handle-at.ts';
import type { MountTable } from '../../identity/mount-table.ts';
import { type Kernel, KernelError } from '../../kernel/index.ts';
import { ON_CHILD, ONDIR } from '../bits.ts';
import type { Channel } from '../channel.ts';
import type { CoreFilesystem, CoreObject } from '../core.ts';
import { CallError } from '../errors.ts';
import type { CoreGroup } from '../group.ts';
import { kernelMaskOf, type ObjectMask } from '../marks.ts';
import { type KernelGroup, UNMARKED, unasked } from './kernel-group.ts';

/** What the kernel was told of an object, and how it is found again. */
interface Known {
  /** `major:minor` of a mount that it was reached by. */
  readonly device: string | undefined;
  /** `struct file_handle`; undefined where the file system has none. */
  readonly handle: Buffer | undefined;
  readonly masks: Map<Channel, ObjectMask>;
  /** The kernel's ignored mask survives from now on, as long as there is the mark. */
  readonly surviving: Set<Channel>;
}

export interface ObjectMarksParts {
  readonly kernel: Kernel;
  readonly mounts: MountTable;
  /** The kernel group of a channel, opened if need be. */
  groupOf(channel: Channel): KernelGroup;
  /** The kernel groups that there are. */
  opened(): Iterable<KernelGroup>;
  /** What groups may hear of an object by other marks than its own. */
  heardWidely(object: CoreObject, channel: Channel): ReadonlyMap<CoreGroup, number>;
  /** An object is no more. */
  forget(object: CoreObject): void;
  /** What has to be heard of an object besides, now that its marks are as they are. */
  watch(object: CoreObject, target: number): void;
}

export class ObjectMarks {
  readonly #parts: ObjectMarksParts;
  readonly #kernel: Kernel;
  #heardWidely: ObjectMarksParts['heardWidely'];
  readonly #known = new Map<CoreObject, Known>();
  /** Those that the kernel ignores something of. */
  readonly #ignoring = new Set<CoreObject>();
  /** Those that somebody ignores something of, and the kernel nothing: since others hear it. */
  readonly #unignored = new Set<CoreObject>();
  readonly #soon = new Set<CoreObject>();
  /** Those of them that nobody marks any more, by inode number: the same may be marked anew meanwhile. */
  readonly #leaving = new Map<CoreFilesystem, Map<bigint, CoreObject>>();
  /** Goes round through what is known, to find what is gone. */
  #round: Iterator<CoreObject> | undefined;

  constructor(parts: ObjectMarksParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
    this.#heardWidely = parts.heardWidely;
  }

  /** How many marks there are in the kernel. */
  get kernelMarks(): number {
    let marks = 0;
    for (const { masks } of this.#known.values()) marks += masks.size;
    return marks;
  }

  /** Whether {@link catchUp} has something to do. */
  get isBehind(): boolean {
    return this.#soon.size > 0;
  }

  /** @param target A descriptor that is open on it. */
  sync(object: CoreObject, target: number): void {
    this.#endLeaving(object, target);
    this.#taken(object);
    let known = this.#known.get(object);
    if (!known) {
      this.#lookForGone();
      known = this.#learn(target);
      this.#known.set(object, known);
    }
    this.#bring(object, known, target);
  }

  syncSoon(object: CoreObject): void {
    if (!this.#known.has(object)) return;
    this.#soon.add(object);
    if (object.marks.length > 0) return;
    const { filesystem, ino } = object;
    const leaving = this.#leaving.get(filesystem) ?? new Map<bigint, CoreObject>();
    this.#leaving.set(filesystem, leaving.set(ino, object));
  }

  /** It is no more to be done later. */
  #taken(object: CoreObject): void {
    this.#soon.delete(object);
    const { filesystem, ino } = object;
    const leaving = this.#leaving.get(filesystem);
    if (leaving?.get(ino) !== object) return;
    leaving.delete(ino);
    if (leaving.size === 0) this.#leaving.delete(filesystem);
  }

  /** The kernel has one mark of an inode: what is still to be taken from it must not be taken from its next. */
  #endLeaving(object: CoreObject, target: number): void {
    const before = this.#leaving.get(object.filesystem)?.get(object.ino);
    if (!before || before === object) return;
    this.#taken(before);
    const known = this.#known.get(before);
    if (known) this.#bring(before, known, target);
  }

  /** Does some of what was to be done soon. */
  catchUp(most: number): void {
    let left = most;
    for (const object of this.#soon) {
      if (left-- === 0) return;
      this.#taken(object);
      this.#syncAgain(object);
    }
  }

  /** Groups may hear more than before: what the kernel ignored it may ignore no longer. */
  recheck(): void {
    // Many objects are of one file system, of which the same is heard.
    this.#heardWidely = memo(this.#parts.heardWidely);
    for (const object of this.#ignoring) if (!this.#isInLine(object)) this.#syncAgain(object);
    this.#heardWidely = this.#parts.heardWidely;
  }

  /** Groups may hear less than before: what only some ignored the kernel may ignore by now. */
  recheckSoon(): void {
    for (const object of this.#unignored) this.#soon.add(object);
  }

  /** A channel's kernel group is no more. */
  closed(channel: Channel): void {
    for (const { masks, surviving } of this.#known.values()) {
      masks.delete(channel);
      surviving.delete(channel);
    }
  }

  #learn(target: number): Known {
    const mountId = mountIdOf(this.#kernel, target);
    const device = mountId === undefined ? undefined : this.#parts.mounts.byId(mountId)?.device;
    return { device, handle: this.#handleOf(target), masks: new Map(), surviving: new Set() };
  }

  #handleOf(target: number): Buffer | undefined {
    try {
      return this.#kernel.nameToHandleAt(target, '', AT_EMPTY_PATH).handle;
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  #bring(object: CoreObject, known: Known, target: number): void {
    const path = `/proc/self/fd/${target}`;
    const channels = new Set(known.masks.keys());
    for (const { group } of object.marks) {
      channels.add(group.notification);
      channels.add(group.permission);
    }
    this.#parts.watch(object, target);
    let ignores = false;
    for (const channel of channels) {
      const from = known.masks.get(channel) ?? UNMARKED;
      const to = this.#maskOf(object, channel, known);
      ignores ||= to.ignored !== 0;
      if (from.mask === to.mask && from.ignored === to.ignored) continue;
      const shown = this.#shown(target);
      if (channel.asks && (to.mask & ~from.mask) !== 0) this.#assertAdmitted(known.device, shown);
      this.#parts.groupOf(channel).markObject(path, shown, from, to);
      if (to.mask === 0 && to.ignored === 0) {
        known.masks.delete(channel);
        known.surviving.delete(channel);
      } else {
        known.masks.set(channel, to);
        if (to.survives) known.surviving.add(channel);
      }
    }
    if (ignores) this.#ignoring.add(object);
    else this.#ignoring.delete(object);
    if (!ignores && object.marks.some(({ ignored }) => ignored !== 0)) this.#unignored.add(object);
    else this.#unignored.delete(object);
    if (object.marks.length === 0 && known.masks.size === 0) this.#known.delete(object);
  }

  #isInLine(object: CoreObject): boolean {
    const known = this.#known.get(object);
    for (const [channel, { mask, ignored }] of known?.masks ?? []) {
      const to = this.#maskOf(object, channel, known as Known);
      if (to.mask !== mask || to.ignored !== ignored) return false;
    }
    return true;
  }

  #maskOf(object: CoreObject, channel: Channel, known: Known): ObjectMask {
    const hasIgnored = object.marks.some(({ ignored }) => ignored !== 0);
    const wanted = kernelMaskOf(object, channel, hasIgnored ? this.#heardWidely(object, channel) : NOBODY);
    const mask = object.isDirectory ? wanted.mask : wanted.mask & ~(ON_CHILD | ONDIR);
    // The kernel's mark cannot be made to end again, or not be found when somebody else asks: then the core ignores alone.
    const isStuck = known.handle === undefined || (known.surviving.has(channel) && !wanted.survives);
    return isStuck ? { mask, ignored: 0, survives: false } : { ...wanted, mask };
  }

  /** Whether somebody may hold what is done to an object. */
  #assertAdmitted(device: string | undefined, shown: string): void {
    const { mounts } = this.#parts;
    const [mount] = device === undefined ? [] : mounts.byDevice(device);
    if (mount && kindOf(mount.type) === 'pseudo') {
      throw new CallError(
        'EOPNOTSUPP',
        `${JSON.stringify(shown)} is the kernel's own: nobody may hold what is read there`,
      );
    }
    try {
      assertAdmitted(beltOf(process.env, this.#kernel), mounts, device, shown);
    } catch (error) {
      if (error instanceof NotPermittedError) throw new CallError('EPERM', error.message, undefined, { cause: error });
      throw error;
    }
  }

  #shown(target: number): string {
    try {
      return this.#kernel.readlink(`/proc/self/fd/${target}`).toString();
    } catch {
      return `descriptor ${target}`;
    }
  }

  /** Finds the object again. What is gone has no marks any more. */
  #syncAgain(object: CoreObject): void {
    const known = this.#known.get(object);
    if (!known) return;
    const target = this.#open(known);
    if (target === 'unreachable') return;
    if (target === 'gone') {
      this.gone(object);
      return;
    }
    try {
      this.#bring(object, known, target);
    } catch (error) {
      // The kernel tells more than anybody asked for, which is left out here.
      if (!(error instanceof CallError)) throw error;
    } finally {
      this.#kernel.close(target);
    }
  }

  /** An object is no more, and the kernel's marks went with it. */
  gone(object: CoreObject): void {
    this.#known.delete(object);
    this.#ignoring.delete(object);
    this.#unignored.delete(object);
    this.#taken(object);
    this.#parts.forget(object);
  }

  #open({ device, handle }: Known): number | 'gone' | 'unreachable' {
    const mount = device === undefined ? undefined : this.#parts.mounts.byDevice(device)[0];
    if (!mount) return 'gone';
    const mountFd = handle && openMount(this.#kernel, mount);
    if (mountFd === undefined) return 'unreachable';
    let anchor: number | undefined;
    try {
      // By a descriptor of O_PATH no handle can be opened.
      anchor = unasked(this.#kernel, this.#parts.opened(), mountFd, () =>
        this.#kernel.openAt(mountFd, '.', O_DIRECTORY | O_CLOEXEC),
      );
      return this.#kernel.openByHandleAt(anchor, handle as Buffer, O_PATH | O_CLOEXEC);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code === 'ESTALE' ? 'gone' : 'unreachable';
    } finally {
      this.#kernel.close(mountFd);
      if (anchor !== undefined) this.#kernel.close(anchor);
    }
  }

  /** For each that is new, two are looked at: so what is deleted does not pile up. */
  #lookForGone(): void {
    for (let looks = 0; looks < 2 && this.#known.size > 0; looks++) {
      this.#round ??= this.#known.keys();
      const { value: object, done } = this.#round.next();
      if (done || !object) {
        this.#round = undefined;
        return;
      }
      const known = this.#known.get(object);
      const target = known ? this.#open(known) : 'unreachable';
      if (target === 'gone') this.gone(object);
      else if (typeof target === 'number') this.#kernel.close(target);
    }
  }
}

const NOBODY: ReadonlyMap<CoreGroup, number> = new Map();

/** The same, asked once for each file system and channel. */
function memo(heardWidely: ObjectMarksParts['heardWidely']): ObjectMarksParts['heardWidely'] {
  const known = new Map<CoreFilesystem, Map<Channel, ReadonlyMap<CoreGroup, number>>>();
  return (object, channel) => {
    const { filesystem } = object;
    const byChannel = known.get(filesystem) ?? new Map<Channel, ReadonlyMap<CoreGroup, number>>();
    known.set(filesystem, byChannel);
    const heard = byChannel.get(channel) ?? heardWidely(object, channel);
    byChannel.set(channel, heard);
    return heard;
  };
}
