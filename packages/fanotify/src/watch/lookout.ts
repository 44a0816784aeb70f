// Notices when a path leads elsewhere: what is above the roots is moved or deleted, a link on the way is replaced, or what was not
// there comes.

import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../abi/index.ts';
import { LimitError, UnsupportedError } from '../group/errors.ts';
import { Group, internalsOf } from '../group/group.ts';
import type { KernelEvent } from '../group/kernel-event.ts';
import type { FileEventName } from '../group/names.ts';
import type { HandleKey } from '../identity/locator.ts';
import { type Kernel, KernelError } from '../kernel/index.ts';
import { typeOf } from './disk.ts';

const OF_ITSELF: readonly FileEventName[] = ['deleteSelf', 'moveSelf'];
const OF_ENTRIES: readonly FileEventName[] = ['create', 'delete', 'movedFrom', 'movedTo'];
/** As many links as the kernel follows on one way: path_resolution(7). */
const MOST_LINKS = 40;

/** A directory on the way to a root. */
interface Waymark {
  readonly path: Buffer;
  /** The entries of it that the way goes through and that may change: links, and what is not there yet. */
  readonly names: Set<string>;
}

/** Looks out for paths. */
export class Lookout {
  readonly #kernel: Kernel;
  readonly #group: Group<'handle'>;
  /** By the key of a directory: names of entries that matter. */
  #names = new Map<HandleKey, Set<string>>();

  private constructor(kernel: Kernel, group: Group<'handle'>) {
    this.#kernel = kernel;
    this.#group = group;
  }

  /** Undefined where this user may open no more groups: then the roots alone are heard. */
  static async open(kernel: Kernel): Promise<Lookout | undefined> {
    try {
      return new Lookout(kernel, await Group.open({ kernel, report: ['name', 'fid'] }));
    } catch (error) {
      if (error instanceof LimitError || error instanceof UnsupportedError) return undefined;
      throw error;
    }
  }

  /** Looks out for these paths, and for no others any more. */
  async watch(paths: readonly Buffer[]): Promise<void> {
    await this.#group.flush('inode');
    this.#names = new Map();
    const waymarks = new Map<string, Waymark>();
    for (const path of paths) this.#follow(path, waymarks, 0);
    const { paths: identities } = internalsOf(this.#group as Group);
    for (const { path, names } of waymarks.values()) {
      const events = names.size > 0 ? [...OF_ITSELF, ...OF_ENTRIES] : OF_ITSELF;
      try {
        await this.#group.mark(path, { events, children: false, onlyDirectory: true });
        const key = identities.add(path, { keep: false })?.key;
        if (key !== undefined) this.#names.set(key, names);
      } catch (error) {
        // What this user may not hear, or what has gone just now.
        if (!(error instanceof Error) || !(error.cause instanceof KernelError)) throw error;
      }
    }
  }

  /** Goes down a path, through links. */
  #follow(path: Buffer, waymarks: Map<string, Waymark>, links: number): void {
    for (let end = 0; end < path.length; ) {
      const above = path.subarray(0, Math.max(1, end));
      const next = path.indexOf(0x2f, end + 1);
      const here = path.subarray(0, next < 0 ? path.length : next);
      const name = here.subarray(above.length === 1 ? 1 : above.length + 1).toString('latin1');
      const type = this.#typeAt(here);
      const waymark = waymarkAt(above, waymarks);
      if (type === undefined || type === 'symlink') waymark.names.add(name);
      if (type === undefined) return;
      if (type === 'symlink' && links < MOST_LINKS) {
        const target = this.#targetOf(here);
        if (target) this.#follow(target, waymarks, links + 1);
      }
      end = here.length;
    }
  }

  #typeAt(path: Buffer) {
    try {
      return typeOf(this.#kernel.statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW));
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Where a link leads: an absolute path, '.' and '..' not yet resolved. */
  #targetOf(link: Buffer): Buffer | undefined {
    try {
      const target = this.#kernel.readlink(link);
      if (target[0] === 0x2f) return target;
      return Buffer.concat([link.subarray(0, link.lastIndexOf(0x2f) + 1), target]);
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  /** Gives something whenever a path may lead elsewhere. */
  async *changes(): AsyncGenerator<void, void, void> {
    for await (const batch of this.#group.batches()) {
      if ((batch as unknown as readonly KernelEvent[]).some((event) => this.#matters(event))) yield;
    }
  }

  #matters(event: KernelEvent): boolean {
    if (event.kind === 'overflow' || event.dfidRecord === 0) return true;
    const name = event.nameIn(event.dfidRecord);
    if (name.length === 0 || (name.length === 1 && name[0] === 0x2e)) return true;
    return this.#names.get(event.keyOf(event.dfidRecord))?.has(name.toString('latin1')) !== false;
  }

  ref(): void {
    this.#group.ref();
  }

  unref(): void {
    this.#group.unref();
  }

  async close(): Promise<void> {
    await this.#group.close();
  }
}

function waymarkAt(path: Buffer, waymarks: Map<string, Waymark>): Waymark {
  const id = path.toString('latin1');
  let waymark = waymarks.get(id);
  if (!waymark) {
    waymark = { path, names: new Set() };
    waymarks.set(id, waymark);
  }
  return waymark;
}
